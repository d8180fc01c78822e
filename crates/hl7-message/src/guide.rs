//! Two pages for those who want to know: [what it survives](survives) and
//! [how it is fast](speed).

#![expect(
    clippy::doc_markdown,
    reason = "pages of prose, in which names of tools are names"
)]

#[doc = include_str!("../docs/speed.md")]
pub mod speed {}

#[doc = include_str!("../docs/survives.md")]
pub mod survives {}
