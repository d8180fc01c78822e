//! The Medsynapse PACS Broker conformance statement as code: orders, patients, reports and their HL7 mapping.
