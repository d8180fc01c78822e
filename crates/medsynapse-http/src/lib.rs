#![doc = include_str!("../README.md")]

mod app;
mod health;
mod hosts;
mod index;
mod keys;
mod message;
mod message_log;
mod metrics;
mod moment;
mod order;
mod problem;
mod query;
mod reading;
mod receive;
mod router;

pub use app::{App, Limits};
pub use hosts::{AllowedHosts, check_host};
pub use keys::ApiKeys;
pub use message_log::{MessageLog, MessageLogPaths};
pub use metrics::MetricsPage;
pub use problem::{HL7_ACK_CODE, Problem, ProblemAt};
pub use router::router;
