//! Durable store of the Medsynapse PACS Broker: messages, orders, patients and reports, one writer with group commit.
