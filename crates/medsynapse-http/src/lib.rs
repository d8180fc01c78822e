//! REST gateway of the Medsynapse PACS Broker.
