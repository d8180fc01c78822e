//! Prints the DICOM conformance page: `cargo run -p medsynapse-worklist --example conformance_page`.

#[expect(clippy::print_stdout, reason = "its purpose")]
fn main() {
    print!("{}", medsynapse_worklist::conformance_page());
}
