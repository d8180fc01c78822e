//! The Medsynapse PACS Broker: MLLP in, REST, web pages, everything stored durably.

fn main() {}
