//! [`View`]: what somebody who asks is shown, and how.

use crate::charset::ResponseCharset;
use crate::item::Item;
use crate::query::QueryOptions;
use crate::table::Element;

/// Most items in the answer to one query, unless configured otherwise.
pub const MAX_RESULTS: usize = 1_000;

/// What happens where more items match than are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverLimit {
    /// The query fails with A700 before the first item.
    #[default]
    Refuse,
    /// The first items are given, and nothing says that there are more.
    Truncate,
}

/// What somebody who asks is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Steps of these AE titles alone.
    pub stations: Option<Vec<String>>,
    /// Steps of these modalities alone.
    pub modalities: Option<Vec<String>>,
    /// Most items; 0 is no limit.
    pub max_results: usize,
    /// What happens beyond that.
    pub over_limit: OverLimit,
    /// What text is written in.
    pub charset: ResponseCharset,
    /// How queries are read.
    pub options: QueryOptions,
}

impl Default for View {
    fn default() -> Self {
        Self {
            stations: None,
            modalities: None,
            max_results: MAX_RESULTS,
            over_limit: OverLimit::Refuse,
            charset: ResponseCharset::Auto,
            options: QueryOptions::default(),
        }
    }
}

impl View {
    /// Whether a step is among those that are shown.
    pub fn shows(&self, item: &Item) -> bool {
        let among = |allowed: &Option<Vec<String>>, element| {
            allowed.as_ref().is_none_or(|allowed| {
                item.get(element)
                    .split('\\')
                    .any(|one| allowed.iter().any(|other| other == one))
            })
        };
        among(&self.stations, Element::ScheduledStationAETitle)
            && among(&self.modalities, Element::Modality)
    }
}
