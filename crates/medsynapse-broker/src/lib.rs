#![doc = include_str!("../README.md")]

mod broker;
mod clock;
mod control_id;
mod faults;
mod follower;
mod intake;
mod meters;
mod mllp;
mod outbox;
mod read;
mod replay;

pub use broker::{ActError, Answer, Broker, BrokerConfig, Origin, Pending};
pub use clock::{Clock, ManualClock, SystemClock};
pub use control_id::ControlIds;
pub use faults::{
    Fault, FaultPlan, Faults, FaultyHandler, FaultyStream, FaultyUpgrade, InvalidFaultPlan,
};
pub use intake::Queue;
pub use medsynapse_store::{Event, EventKind};
pub use mllp::MllpHandler;
pub use outbox::{LaneConfig, LanePhase, LaneSource, LaneStatus, Lanes, Outbox, Pulse, Taken};
pub use replay::{Replayed, replay, replay_log};
