//! MLLP (HL7 minimal lower layer protocol): framing codec, client and server for tokio.
