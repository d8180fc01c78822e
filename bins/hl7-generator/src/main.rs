//! Makes HL7 v2.3 messages of a believable radiology day.

fn main() {}
