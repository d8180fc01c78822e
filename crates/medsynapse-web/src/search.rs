//! [`Search`]: which messages a page lists, as its address says.

use medsynapse_broker::Clock;
use medsynapse_store::{MessageOrder, MessageQuery, MessageSummary, Page, Store, StoreError};
use serde::Deserialize;

use crate::address;
use crate::filter::{Filter, NotUnderstood};

/// Longer text names nothing.
const TEXT_MAX: usize = 128;

/// The parameters of the address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Parameters {
    #[serde(default)]
    q: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    ack: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    before: String,
}

/// Which messages are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) text: String,
    /// MSH-9.1; `Some("")` are those without one.
    pub(crate) kind: Option<String>,
    pub(crate) ack: String,
    pub(crate) page: u64,
    /// Where a page of filtered messages begins.
    pub(crate) before: Option<i64>,
}

/// What the text of a search names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Accession,
    Patient,
    ControlId,
}

impl By {
    pub(crate) const ALL: [Self; 3] = [Self::Accession, Self::Patient, Self::ControlId];

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Accession => "accession number",
            Self::Patient => "patient ID",
            Self::ControlId => "control ID",
        }
    }

    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Accession => "acc:",
            Self::Patient => "pid:",
            Self::ControlId => "id:",
        }
    }
}

/// What a search found.
pub(crate) struct Found {
    pub(crate) page: Page<MessageSummary>,
    /// What the text was taken for.
    pub(crate) by: Option<By>,
    /// What else it names, and how often.
    pub(crate) also: Vec<(By, u64)>,
    /// How many messages there are of each type.
    pub(crate) types: Vec<(String, u64)>,
    /// Where filtered messages go on; `None`: they are not filtered by words.
    pub(crate) filtered: Option<Filtered>,
}

/// What became of a search by words.
#[derive(Default)]
pub(crate) struct Filtered {
    /// Where the next page begins.
    pub(crate) next: Option<i64>,
    /// Why nothing was looked for.
    pub(crate) problem: Option<NotUnderstood>,
}

impl From<Parameters> for Search {
    fn from(parameters: Parameters) -> Self {
        let text: String = parameters.q.trim().chars().take(TEXT_MAX).collect();
        let ack = ["AA", "AR", "AE"]
            .into_iter()
            .find(|code| *code == parameters.ack);
        Self {
            text,
            kind: parameters.kind.filter(|kind| kind != "all"),
            ack: ack.unwrap_or_default().to_owned(),
            page: parameters.page.parse().unwrap_or(1).clamp(1, 1 << 40),
            before: parameters.before.parse().ok(),
        }
    }
}

impl Search {
    /// Whether anything is asked for but everything.
    pub(crate) fn narrows(&self) -> bool {
        !self.text.is_empty() || self.kind.is_some() || !self.ack.is_empty()
    }

    /// The address of the page that this search shows.
    pub(crate) fn address(&self) -> String {
        let mut address = String::from("/");
        let mut add = |name: &str, value: &str| {
            address.push(if address.len() == 1 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            address::encode(value, &mut address);
        };
        if !self.text.is_empty() {
            add("q", &self.text);
        }
        if let Some(kind) = &self.kind {
            add("type", kind);
        }
        if !self.ack.is_empty() {
            add("ack", &self.ack);
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        if let Some(before) = self.before {
            add("before", &before.to_string());
        }
        address
    }

    pub(crate) fn find(
        &self,
        store: &dyn Store,
        rows: u32,
        clock: &dyn Clock,
    ) -> Result<Found, StoreError> {
        let types = store.message_types()?;
        if let Some(filter) = Filter::read(&self.text, clock) {
            return self.filter(filter, store, rows, types);
        }
        let prefixed = By::ALL.into_iter().find_map(|by| {
            let rest = self.text.get(by.prefix().len()..)?;
            let start = self.text.get(..by.prefix().len())?;
            start
                .eq_ignore_ascii_case(by.prefix())
                .then_some((by, rest.trim()))
        });
        let find = |named: Option<(By, &str)>| store.messages(&self.query(named, rows));
        if self.text.is_empty() {
            return Ok(Found {
                page: find(None)?,
                by: None,
                also: Vec::new(),
                types,
                filtered: None,
            });
        }
        if let Some((by, text)) = prefixed {
            let page = find(Some((by, text)))?;
            return Ok(Found {
                page,
                by: Some(by),
                also: Vec::new(),
                types,
                filtered: None,
            });
        }
        // Without a prefix the text is taken for the first thing that it names.
        let mut first = None;
        let mut also = Vec::new();
        for by in By::ALL {
            let page = find(Some((by, &self.text)))?;
            match &first {
                None if page.total > 0 => first = Some((by, page)),
                Some(_) if page.total > 0 => also.push((by, page.total)),
                _ => {}
            }
        }
        let (by, page) = match first {
            Some((by, page)) => (Some(by), page),
            None => (
                None,
                Page {
                    items: Vec::new(),
                    total: 0,
                },
            ),
        };
        Ok(Found {
            page,
            by,
            also,
            types,
            filtered: None,
        })
    }

    fn filter(
        &self,
        filter: Result<Filter, NotUnderstood>,
        store: &dyn Store,
        rows: u32,
        types: Vec<(String, u64)>,
    ) -> Result<Found, StoreError> {
        let mut items = Vec::new();
        let filtered = match filter {
            Err(problem) => Filtered {
                next: None,
                problem: Some(problem),
            },
            Ok(filter) => {
                let search = filter.page(self.kind.as_deref(), &self.ack, self.before, rows);
                let slice = store.search(&search)?;
                items = slice.items;
                Filtered {
                    next: slice.next,
                    problem: None,
                }
            }
        };
        let total = items.len().try_into().unwrap_or(u64::MAX);
        Ok(Found {
            page: Page { items, total },
            by: None,
            also: Vec::new(),
            types,
            filtered: Some(filtered),
        })
    }

    fn query(&self, named: Option<(By, &str)>, rows: u32) -> MessageQuery {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let mut query = MessageQuery {
            message_code: self.kind.clone(),
            ack_code: given(&self.ack),
            order: MessageOrder::NewestFirst,
            offset: (self.page - 1).saturating_mul(u64::from(rows)),
            limit: rows,
            ..MessageQuery::default()
        };
        if let Some((by, text)) = named {
            let slot = match by {
                By::Accession => &mut query.accession_number,
                By::Patient => &mut query.patient_id,
                By::ControlId => &mut query.control_id,
            };
            *slot = Some(text.to_owned());
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_its_address() {
        let search = Search {
            text: "A B&<".into(),
            kind: Some("ORM".into()),
            ack: "AR".into(),
            page: 3,
            before: None,
        };
        assert_eq!(search.address(), "/?q=A%20B%26%3C&type=ORM&ack=AR&page=3");
        assert_eq!(
            Search {
                page: 1,
                ..Search::default()
            }
            .address(),
            "/"
        );
    }

    #[test]
    fn odd_parameters_do_no_harm() {
        let parameters = Parameters {
            q: "x".repeat(1000),
            kind: Some("all".into()),
            ack: "zz".into(),
            page: "-1".into(),
            before: "x".into(),
        };
        let search = Search::from(parameters);
        assert_eq!(
            search,
            Search {
                text: "x".repeat(128),
                page: 1,
                ..Search::default()
            }
        );
    }
}
