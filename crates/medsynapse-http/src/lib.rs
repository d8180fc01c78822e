#![doc = include_str!("../README.md")]

mod access;
mod app;
mod body;
mod dictionary;
mod gateway;
mod health;
mod hosts;
mod idempotency;
mod index;
mod message;
mod message_log;
mod metrics;
mod moment;
mod new_order;
mod openapi;
mod operations;
mod order;
mod problem;
mod problem_code;
mod query;
mod reading;
mod receive;
mod router;
mod tools;
mod v1;
mod worklist;

pub use access::{
    Access, ApiKey, ApiKeys, Caller, Fetch, Guard, Login, LoginError, NewKey, Random, Rate, Rates,
    Scope, Scopes, TokenError, TokenSettings, Tokens, Trail, Unkept, UnknownScope,
};
pub use app::{App, Limits};
pub use gateway::{Gateway, GatewaySettings};
pub use hosts::{AllowedHosts, check_host};
pub use message_log::{MessageLog, MessageLogPaths};
pub use metrics::MetricsPage;
pub use openapi::openapi;
pub use operations::{Connection, Connections};
pub use problem::{HL7_ACK_CODE, Problem, ProblemAt};
pub use problem_code::ProblemCode;
pub use router::router;
