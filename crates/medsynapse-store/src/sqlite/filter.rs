//! Conditions of a query, put together with their values.

use rusqlite::types::Value;

/// `WHERE` with its values, in order.
#[derive(Debug, Default)]
pub(super) struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Filter {
    /// Adds a condition without a value.
    pub(super) fn fixed(&mut self, condition: &str) {
        self.conditions.push(condition.into());
    }

    /// Adds a condition with one `?`.
    pub(super) fn with(&mut self, condition: &str, value: impl Into<Value>) {
        self.conditions.push(condition.into());
        self.values.push(value.into());
    }

    /// Adds a condition with one `?`, if there is a value for it.
    pub(super) fn maybe(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.with(condition, value);
        }
    }

    /// Adds a condition with many `?`.
    pub(super) fn with_all(&mut self, condition: String, values: Vec<Value>) {
        self.conditions.push(condition);
        self.values.extend(values);
    }

    /// Adds `column IN (…)`, if anything is asked for.
    pub(super) fn among(&mut self, column: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let places = vec!["?"; values.len()].join(", ");
        let values = values.iter().cloned().map(Value::Text).collect();
        self.with_all(format!("{column} IN ({places})"), values);
    }

    /// The text, with a blank before it, and the values.
    pub(super) fn into_parts(self) -> (String, Vec<Value>) {
        let text = if self.conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.conditions.join(" AND "))
        };
        (text, self.values)
    }
}

/// A pattern for `LIKE … ESCAPE '\'` that finds `text` anywhere.
pub(super) fn anywhere(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The end of a range of TS that begin with these digits.
pub(super) fn up_to(digits: &str) -> String {
    // Every TS that begins with the digits sorts before this one.
    format!("{digits}~")
}
