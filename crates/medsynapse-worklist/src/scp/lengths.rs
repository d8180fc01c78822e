//! What a data set says of its own lengths, looked at before it is read.
//!
//! The reader takes as much memory as an element says that it has, before it looks whether that
//! many bytes are there, and one frame of the stack for each sequence in a sequence. Twelve bytes
//! could so ask for 4 GiB.

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, uids};
use dicom_object::InMemDicomObject;

use super::message::transfer_syntax;

/// Most sequences and items in one another; the attributes of PS3.3 need fewer than ten.
const DEPTH_MAX: usize = 32;
/// The length of what ends with a delimiter.
const UNDEFINED: u32 = u32::MAX;

/// Explicit VR Big Endian, retired and still met.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// Reads a data set in one of the two little endian syntaxes that have no compression; `None`
/// where it cannot be read, or claims more than is there.
pub(crate) fn read(bytes: &[u8], syntax: &str) -> Option<InMemDicomObject> {
    if !is_sound(bytes, syntax, None) {
        return None;
    }
    InMemDicomObject::read_dataset_with_ts(bytes, &transfer_syntax(syntax)).ok()
}

/// Whether no element claims more bytes than follow it, and no sequence is too deep. What comes
/// from `until` on, at the top, is not looked at.
pub(crate) fn is_sound(bytes: &[u8], syntax: &str, until: Option<Tag>) -> bool {
    if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        return false;
    }
    let walk = Walk {
        bytes,
        explicit: syntax != uids::IMPLICIT_VR_LITTLE_ENDIAN,
        big_endian: syntax == BIG_ENDIAN,
    };
    let mut at = 0;
    // Where the containers that are open end; the last place there is where a delimiter does.
    let mut open: Vec<usize> = Vec::new();
    while let Some(header) = walk.header(at) {
        while open.last().is_some_and(|end| *end <= at) {
            open.pop();
        }
        if open.is_empty() && until.is_some_and(|until| header.tag >= until) {
            return true;
        }
        let start = at + header.bytes;
        at = start;
        if header.tag == ITEM_END || header.tag == SEQUENCE_END {
            open.pop();
            continue;
        }
        // Its items are no data sets.
        if header.length == UNDEFINED && header.tag == PIXEL_DATA {
            return false;
        }
        let end = if header.length == UNDEFINED {
            usize::MAX
        } else {
            let end = start.checked_add(header.length as usize);
            let Some(end) = end.filter(|end| *end <= bytes.len()) else {
                return false;
            };
            end
        };
        if header.is_container {
            open.push(end);
            if open.len() > DEPTH_MAX {
                return false;
            }
        } else {
            at = end;
        }
    }
    true
}

struct Header {
    tag: Tag,
    length: u32,
    /// Of the header itself.
    bytes: usize,
    is_container: bool,
}

struct Walk<'b> {
    bytes: &'b [u8],
    explicit: bool,
    big_endian: bool,
}

impl Walk<'_> {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.array(at)?;
        Some(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.array(at)?;
        Some(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// The header there; `None` where the bytes do not reach for one.
    fn header(&self, at: usize) -> Option<Header> {
        let tag = Tag(self.u16(at)?, self.u16(at + 2)?);
        let (vr, length, bytes) = if !self.explicit || tag.group() == 0xFFFE {
            let entry = StandardDataDictionary.by_tag(tag);
            let vr = entry.map_or(VR::UN, |entry| entry.vr().relaxed());
            (vr, self.u32(at + 4)?, 8)
        } else {
            let vr = VR::from_binary(self.array(at + 4)?).unwrap_or(VR::UN);
            if has_short_length(vr) {
                (vr, u32::from(self.u16(at + 6)?), 8)
            } else {
                (vr, self.u32(at + 8)?, 12)
            }
        };
        Some(Header {
            tag,
            length,
            bytes,
            is_container: tag == ITEM || vr == VR::SQ || length == UNDEFINED,
        })
    }
}

/// PS3.5 7.1.2.
const fn has_short_length(vr: VR) -> bool {
    use VR::{AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, PN, SH, SL, SS, ST, TM, UI, UL, US};
    matches!(
        vr,
        AE | AS
            | AT
            | CS
            | DA
            | DS
            | DT
            | FL
            | FD
            | IS
            | LO
            | LT
            | PN
            | SH
            | SL
            | SS
            | ST
            | TM
            | UI
            | UL
            | US
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;
    const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;

    fn element(tag: Tag, length: u32, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(tag.group().to_le_bytes());
        bytes.extend(tag.element().to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(value);
        bytes
    }

    fn sequence(levels: usize) -> Vec<u8> {
        let level = [
            element(Tag(0x0040, 0x0100), UNDEFINED, b""),
            element(ITEM, UNDEFINED, b""),
        ];
        level.concat().repeat(levels)
    }

    #[test]
    fn more_than_is_there_is_not_read() {
        let name = Tag(0x0010, 0x0010);
        assert!(read(&element(name, 4, b"A^B "), IMPLICIT).is_some());
        assert!(read(&element(name, 5, b"A^B "), IMPLICIT).is_none());
        assert!(read(&element(name, 0xFFFF_FFFE, b"A^B "), IMPLICIT).is_none());
        let explicit = b"\x10\x00\x00\x40UT\0\0\xFE\xFF\xFF\xFFA";
        assert!(read(explicit, EXPLICIT).is_none());
        let unknown = b"\x10\x00\x00\x40??\0\0\xFE\xFF\xFF\xFFA";
        assert!(read(unknown, EXPLICIT).is_none());
        let inside = [sequence(1), element(name, 0x7FFF_FFFF, b"A")].concat();
        assert!(read(&inside, IMPLICIT).is_none());
    }

    #[test]
    fn sequences_in_sequences_end_somewhere() {
        assert!(is_sound(&sequence(16), IMPLICIT, None));
        assert!(!is_sound(&sequence(17), IMPLICIT, None));
        assert!(read(&sequence(60_000), IMPLICIT).is_none());
        let closed = [
            sequence(1),
            element(ITEM_END, 0, b""),
            element(SEQUENCE_END, 0, b""),
        ];
        assert!(read(&closed.concat().repeat(100), IMPLICIT).is_some());
    }

    #[test]
    fn a_head_may_end_in_what_comes_later() {
        let until = Tag(0x0020, 0x000F);
        let study = element(Tag(0x0020, 0x000D), 4, b"1.2\0");
        let head = [study, element(Tag(0x7FE0, 0x0010), 1 << 30, b"pixels")].concat();
        assert!(is_sound(&head, IMPLICIT, Some(until)));
        assert!(!is_sound(&head, IMPLICIT, None));
        let before = element(Tag(0x0008, 0x0050), 1 << 30, b"A");
        assert!(!is_sound(&before, IMPLICIT, Some(until)));
        let studies = element(Tag(0x0008, 0x1110), UNDEFINED, b"");
        let inside = [studies, element(ITEM, UNDEFINED, b""), head].concat();
        assert!(!is_sound(&inside, IMPLICIT, Some(until)));
    }
}
