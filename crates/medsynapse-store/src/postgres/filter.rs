//! Conditions of a query, put together with their values.

use std::fmt::Write as _;

use tokio_postgres::types::ToSql;

/// A value of a condition.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// `WHERE` with its values, in order. A `?` in a condition becomes the number of its value.
#[derive(Debug, Default)]
pub(super) struct Filter {
    text: String,
    values: Vec<Value>,
}

impl Filter {
    /// Adds a condition without a value.
    pub(super) fn fixed(&mut self, condition: &str) {
        self.text.push_str(if self.text.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        self.text.push_str(condition);
    }

    /// Adds a condition with one `?`.
    pub(super) fn with(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        self.with_all(condition, vec![Box::new(value)]);
    }

    /// Adds a condition with one `?`, if there is a value for it.
    pub(super) fn maybe<T>(&mut self, condition: &str, value: Option<T>)
    where
        T: ToSql + Sync + Send + 'static,
    {
        if let Some(value) = value {
            self.with(condition, value);
        }
    }

    /// Adds a condition with many `?`.
    pub(super) fn with_all(&mut self, condition: &str, values: Vec<Value>) {
        let mut number = self.values.len();
        let mut numbered = String::with_capacity(condition.len() + 8);
        for c in condition.chars() {
            if c == '?' {
                number += 1;
                // Writing to a String cannot fail.
                let _ = write!(numbered, "${number}");
            } else {
                numbered.push(c);
            }
        }
        self.fixed(&numbered);
        self.values.extend(values);
    }

    /// Adds `column = ANY (…)`, if anything is asked for.
    pub(super) fn among(&mut self, column: &str, values: &[String]) {
        if !values.is_empty() {
            self.with(&format!("{column} = ANY (?)"), values.to_vec());
        }
    }

    /// Adds a value that stands behind the conditions, and gives its place.
    pub(super) fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// The text, with a blank before it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The values as statements take them.
    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values
            .iter()
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect()
    }
}

/// Text as PostgreSQL can keep it: it has no NUL. The bytes of a message keep theirs.
pub(super) fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// A query's text, as it may be compared.
pub(super) fn asked(text: Option<&String>) -> Option<String> {
    text.map(|text| without_nul(text).into_owned())
}

/// A pattern for `ILIKE` that finds `text` anywhere.
pub(super) fn anywhere(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in without_nul(text).chars() {
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
    format!("{}~", without_nul(digits))
}

/// Where the next page begins, if this one is full.
pub(super) fn next<T, C>(items: &[T], limit: u32, cursor: impl Fn(&T) -> C) -> Option<C> {
    let full = items.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    items.last().filter(|_| full).map(cursor)
}
