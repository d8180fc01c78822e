//! Domain JSON: what an application sends and gets, without HL7.
//!
//! [`Request`] reads `{"order": …}`, `{"report": …}`, `{"patient": …}`, `{"merge": …}`,
//! `{"acknowledgement": …}` or the short order form; [`to_message`] makes the message and says
//! where each value went ([`Explain`]); [`from_message`] goes the other way. All of it is plain
//! functions: time, control ids, accession numbers and what is known of a patient are passed in
//! ([`Context`]).
//!
//! - A member that is absent keeps what is known, `null` clears it (HL7's `""`), text sets it;
//!   empty text is refused.
//! - Members that a form does not have are refused, so that a slip of the pen is not an order
//!   without a priority. `status`, `createdAt`, `updatedAt`, `warnings` and `_map`, which answers
//!   have, may be sent back; they change nothing, and a warning says so.
//! - Everything in a message that has no member is listed in `warnings`.
//!
//! The members are the rows of [`map`](crate::map).

mod complete;
mod context;
mod convert;
mod date;
mod error;
mod form;
mod name;
mod parse;
mod reference;
mod request;
mod show;
mod status;
mod unique;
mod unmapped;
mod validate;
mod view;
mod write;

pub use context::{Context, Fill, Station, accession_number};
pub use convert::{Converted, RoundTrip, convert, round_trip};
pub use error::{Errors, Problem};
pub use form::Form;
pub use reference::{members_table, schema};
pub use request::Request;
pub use show::{Dates, NotMapped, Options, from_message, warnings_json};
pub use validate::{Issue, Severity, Source, Validation, validate};
pub use view::{order_json, report_json};
pub use write::{Explain, Origin, to_message};
