//! [`Limits`]: how much a stranger may make us hold.

/// Sizes a decoder accepts. Equality is always allowed: a frame of exactly `frame_bytes_max`
/// bytes is delivered, one byte more is an error.
///
/// ```
/// use hl7_mllp::{Limits, MllpCodec};
///
/// let codec = MllpCodec::with_limits(Limits { frame_bytes_max: 64 * 1024, ..Limits::default() });
/// assert_eq!(codec.limits().frame_bytes_max, 65_536);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes of one frame, framing bytes not counted. Default 16 MiB, which holds a
    /// report with an embedded document.
    pub frame_bytes_max: usize,
    /// Bytes outside any block between two frames, skipped and counted up to here. Default
    /// 64 KiB: enough for a chatty gateway's banner, too little to stream at us for ever.
    pub junk_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 16 * 1024 * 1024,
            junk_bytes_max: 64 * 1024,
        }
    }
}
