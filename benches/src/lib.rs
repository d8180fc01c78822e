//! Benchmarks of the workspace: see `BASELINE.md`.
