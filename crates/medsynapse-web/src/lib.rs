//! Web pages of the Medsynapse PACS Broker.
