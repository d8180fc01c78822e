//! Zero-copy HL7 v2 messages: read, address, edit and write segments, fields and components over borrowed bytes.
