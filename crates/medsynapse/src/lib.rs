#![doc = include_str!("../README.md")]

mod change;
#[cfg(feature = "json")]
pub mod domain;
mod effect;
mod id;
pub mod interpret;
pub mod map;
mod notification;
mod order;
mod person_name;
mod profile;
mod rejection;
pub mod render;
mod report;
mod rtf;
mod segments;
#[cfg(feature = "synth")]
pub mod synth;

pub use change::{Change, OrderControl, PatientMerge, PatientUpdate, RegisterOrder};
pub use effect::Effect;
pub use id::{AccessionNumber, InvalidId, PatientId, StudyInstanceUid};
pub use interpret::{Facts, Interpretation, interpret};
pub use map::{Attribute, Attributes, Mapping, Patch, Patches};
pub use notification::{Notification, Unwritable, notification};
pub use order::{Order, OrderState};
pub use person_name::PersonName;
pub use profile::{Preset, Profile};
pub use rejection::{Finding, Rejection, Warning};
pub use report::{Report, ReportFormat, ReportStatus, StudyStatus};
pub use rtf::{rich_text, text_of_rich_text};
pub use segments::Segments;
