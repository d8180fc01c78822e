//! Prints `docs/reference/domain.schema.json`; with the name of a form, the table of its members
//! for `docs/reference/json.md`.

#![expect(clippy::print_stdout, reason = "what it prints is its purpose")]

use medsynapse::domain::{Form, members_table, schema};

fn main() {
    let name = std::env::args().nth(1);
    match Form::ALL
        .into_iter()
        .find(|form| Some(form.name()) == name.as_deref())
    {
        Some(form) => print!("{}", members_table(form)),
        None => println!("{:#}", schema()),
    }
}
