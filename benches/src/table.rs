//! The table that is printed.

use std::fmt::Write as _;

/// Floor and stretch of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// The more the better.
    AtLeast(f64, f64),
    /// The less the better.
    AtMost(f64, f64),
}

impl Limit {
    fn verdict(self, value: f64) -> &'static str {
        let (floor, stretch) = match self {
            Self::AtLeast(floor, stretch) => (value >= floor, value >= stretch),
            Self::AtMost(floor, stretch) => (value <= floor, value <= stretch),
        };
        match (floor, stretch) {
            (_, true) => "stretch",
            (true, false) => "floor",
            (false, false) => "MISSED",
        }
    }

    fn written(self) -> (String, String) {
        let (sign, floor, stretch) = match self {
            Self::AtLeast(floor, stretch) => ("≥", floor, stretch),
            Self::AtMost(floor, stretch) => ("≤", floor, stretch),
        };
        (format!("{sign} {floor}"), format!("{sign} {stretch}"))
    }
}

/// Figures, each beside what it should be.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
    notes: Vec<String>,
}

impl Table {
    /// Adds a ratio.
    pub fn ratio(&mut self, name: &str, value: f64, limit: Limit, detail: &str) {
        self.row(name, format!("{value:.2}"), value, limit, detail);
    }

    /// Adds a figure with a unit.
    pub fn figure(&mut self, name: &str, value: f64, unit: &str, limit: Limit, detail: &str) {
        self.row(name, format!("{value:.1} {unit}"), value, limit, detail);
    }

    fn row(&mut self, name: &str, shown: String, value: f64, limit: Limit, detail: &str) {
        let (floor, stretch) = limit.written();
        let verdict = limit.verdict(value).to_owned();
        eprintln!("  {name}: {shown} ({verdict}) {detail}");
        self.rows.push([
            name.to_owned(),
            shown,
            floor,
            stretch,
            verdict,
            detail.to_owned(),
        ]);
    }

    /// Adds a line below the table.
    pub fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    /// Prints it on standard output.
    #[expect(clippy::print_stdout, reason = "this is what was asked for")]
    pub fn print(&self) {
        let mut text = String::from(
            "| figure | measured | floor | stretch | met | from |\n|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        print!("{text}");
    }
}
