//! Bytes that are written already: what of them would end the place that they go to.

use crate::location::Location;
use crate::separators::Separators;

/// What ends a segment or an MLLP frame.
pub(crate) const fn ends_segment(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C)
}

/// The first of `bytes` that would end what stands at `location`, its segment or the frame.
pub(crate) fn first_end(bytes: &[u8], location: Location, separators: Separators) -> Option<usize> {
    let in_component = location.component_number().is_some();
    let in_repetition = in_component || location.repetition_number() > 1;
    let in_subcomponent = in_component && location.subcomponent_number().is_some();
    let ends = |byte: u8| {
        ends_segment(byte)
            || byte == separators.field()
            || (in_repetition && byte == separators.repetition())
            || (in_component && byte == separators.component())
            || (in_subcomponent && Some(byte) == separators.subcomponent())
    };
    bytes.iter().position(|&byte| ends(byte))
}
