//! HL7 v2 messages as JSON: a lossless form and a path view.
