//! The sequence number protocol (HL7 2.3 chapter 2, 2.23.1), both ends, without any I/O.
//!
//! A sender numbers its messages 1, 2, 3 in MSH-13. The receiver stores the number of the last
//! message it accepted, in the same step as the message, and says in MSA-4 which it expects
//! next. 0 asks for that number; -1 says that the next number, whatever it is, shall be the new
//! beginning.
//!
//! ```
//! use hl7_message::sequence::{Incoming, Number, Receiver, Sender, Step};
//!
//! let (mut receiver, mut sender) = (Receiver::default(), Sender::<&str>::new(100));
//! sender.push("first").unwrap();
//!
//! // A link begins with the question for the number expected.
//! assert_eq!(sender.next().unwrap().0, Number::START);
//! let Incoming::Tell(expected) = receiver.receive(Number::START) else { panic!() };
//! assert_eq!(sender.answered(true, Some(expected)), Step::Continue);
//!
//! // Then message after message. The receiver stores before it answers.
//! let (number, message) = sender.next().unwrap();
//! assert_eq!((number.get(), message), (1, Some(&"first")));
//! let Incoming::Process(accepted) = receiver.receive(number) else { panic!() };
//! let stored: Receiver = accepted.receiver();      // into the transaction of the message
//! let expected = receiver.accept(accepted);        // only then is there a number to answer
//! assert_eq!(sender.answered(true, Some(expected)), Step::Continue);
//! assert_eq!((receiver, sender.len()), (stored, 0));
//! ```

mod number;
mod receiver;
mod sender;

pub use number::{InvalidNumber, Number};
pub use receiver::{Accepted, Incoming, Receiver};
pub use sender::{Frozen, QueueFull, Sender, Step};

#[cfg(test)]
mod tests;
