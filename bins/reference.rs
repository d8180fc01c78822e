//! The page of a program in `docs/reference/`, made from its command line. Part of the unit tests
//! of each program.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command};

/// Compares the page with the command line; with `UPDATE_DOCS` in the environment writes it first.
#[track_caller]
pub(crate) fn check(mut command: Command) {
    command.build();
    let name = command.get_name().to_owned();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(format!("{name}.md"));
    let wanted = page(&command);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/reference/{name}.md is not up to date: run this test with UPDATE_DOCS=1"
    );
}

fn page(command: &Command) -> String {
    let name = command.get_name();
    let mut page = format!(
        "# {name}\n\nMade from the command line of the program; a test keeps it true. `{name} \
         --help` says the same.\n"
    );
    section(command, "", 2, &mut page);
    page
}

fn section(command: &Command, before: &str, level: usize, page: &mut String) {
    let name = format!("{before}{}", command.get_name());
    if level > 2 {
        write!(page, "\n{} {name}\n", "#".repeat(level.min(3))).unwrap();
    }
    let about = command.get_long_about().or(command.get_about());
    if let Some(about) = about {
        let about = escaped(&about.to_string());
        let about = about.trim_end_matches('.');
        write!(page, "\n{about}.\n").unwrap();
    }
    let mut usage = command.clone().term_width(90);
    let usage = usage.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    write!(page, "\n```text\n{usage}\n```\n").unwrap();
    let shown: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
        .filter(|arg| level == 2 || !arg.is_global_set())
        .collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in &shown {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        let title = match heading {
            _ if level > 2 => None,
            None => Some("Options"),
            other => other,
        };
        if let Some(title) = title {
            write!(page, "\n{} {title}\n", "#".repeat(level)).unwrap();
        }
        page.push_str("\n| option | what |\n|---|---|\n");
        for arg in shown.iter().filter(|arg| arg.get_help_heading() == heading) {
            row(arg, page);
        }
    }
    if let Some(more) = command.get_after_long_help().or(command.get_after_help()) {
        write!(page, "\n```text\n{}\n```\n", more.to_string().trim_end()).unwrap();
    }
    let commands: Vec<&Command> = command
        .get_subcommands()
        .filter(|command| command.get_name() != "help" && !command.is_hide_set())
        .collect();
    if level == 2 && !commands.is_empty() {
        page.push_str("\n## Commands\n");
    }
    for command in commands {
        section(command, &format!("{name} "), 3, page);
    }
}

fn row(arg: &Arg, page: &mut String) {
    let mut flag = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let takes_value = arg.get_action().takes_values();
    let names = arg.get_value_names().unwrap_or_default();
    if takes_value && flag.is_empty() {
        write!(flag, "{}", names.join(" ")).unwrap();
    } else if takes_value {
        write!(flag, " <{}>", names.join("> <")).unwrap();
    }
    let help = arg.get_long_help().or(arg.get_help());
    let mut what = escaped(&help.map(ToString::to_string).unwrap_or_default());
    if !what.ends_with('.') {
        what.push('.');
    }
    let values: Vec<_> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if takes_value && !values.is_empty() {
        write!(what, " One of {}.", values.join(", ")).unwrap();
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if takes_value && !defaults.is_empty() {
        write!(what, " Default: {}.", defaults.join(", ")).unwrap();
    }
    if let Some(variable) = arg.get_env() {
        write!(what, " Environment: `{}`.", variable.to_string_lossy()).unwrap();
    }
    writeln!(page, "| `{flag}` | {what} |").unwrap();
}

/// On one line, for a cell.
fn escaped(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|").replace('<', "&lt;")
}
