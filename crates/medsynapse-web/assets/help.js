// `?` shows the keys of this page.
import { onKey } from "./keys.js";

const dialog = document.getElementById("keys");
const here = document.getElementById("keys-here");
const foot = document.getElementById("keys-foot");

here.replaceChildren(...[...foot.childNodes].map((node) => node.cloneNode(true)));
onKey({ "?": () => { if (!dialog.open) dialog.showModal(); } });
