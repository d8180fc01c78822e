//! Sends HL7 v2 messages by MLLP or HTTP and prints each acknowledgement.

fn main() {}
