//! Prints `docs/reference/field-mapping.md`.

#![expect(clippy::print_stdout, reason = "the page is its output")]

fn main() {
    print!("{}", medsynapse::map::reference());
}
