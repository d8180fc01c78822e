//! HL7 v2 messages for tests, benchmarks and fuzz seeds; every person in them is invented.
