// Leafing through generated messages with the keyboard.
import { onKey } from "./keys.js";

const go = (rel) => () => document.querySelector(`a[rel="${rel}"]`)?.click();
onKey({ n: go("next"), p: go("prev") });
