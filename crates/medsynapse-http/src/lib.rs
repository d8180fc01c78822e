#![doc = include_str!("../README.md")]

mod access;
mod app;
mod health;
mod hosts;
mod index;
mod message;
mod message_log;
mod metrics;
mod moment;
mod openapi;
mod order;
mod problem;
mod query;
mod reading;
mod receive;
mod router;

pub use access::{
    Access, ApiKey, ApiKeys, Caller, Fetch, Guard, NewKey, Rate, Rates, Scope, Scopes, TokenError,
    TokenSettings, Tokens, Trail, UnknownScope,
};
pub use app::{App, Limits};
pub use hosts::{AllowedHosts, check_host};
pub use message_log::{MessageLog, MessageLogPaths};
pub use metrics::MetricsPage;
pub use openapi::openapi;
pub use problem::{HL7_ACK_CODE, Problem, ProblemAt};
pub use router::router;
