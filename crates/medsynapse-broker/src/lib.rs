//! The use cases of the Medsynapse PACS Broker: receive a message, apply it, acknowledge it.
