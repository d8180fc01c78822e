//! Small programs that use the crates; each is run by a test.
