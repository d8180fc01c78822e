#![doc = include_str!("../README.md")]
mod board;
mod charset;
mod conformance;
mod convert;
mod dataset;
pub mod explain;
mod item;
#[cfg(feature = "broker")]
pub mod live;
mod moment;
mod person;
mod query;
pub mod scp;
pub mod scu;
mod search;
pub mod table;
mod test;
mod view;

pub use board::{Board, Found, TooMany};
pub use charset::ResponseCharset;
pub use conformance::page as conformance_page;
pub use convert::{MappingSettings, map};
pub use dataset::dataset;
pub use item::{Item, Oddity};
pub use query::{InvalidIdentifier, Query, QueryOptions};
pub use search::{InvalidSearch, Search, camel, dicom_json, plain_json};
pub use table::Element;
pub use view::{MAX_RESULTS, OverLimit, View};
