//! Messages and their parts as people read them.

use core::fmt::{self, Write as _};

use crate::field::{Component, Field, Repetition, Subcomponent};
use crate::message::Message;
use crate::segment::Segment;

/// Bytes as text in one line: what is no UTF-8 as U+FFFD, control characters as their pictures.
fn write_line(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\0'..='\x1F' => {
                let picture = char::from_u32(0x2400 + u32::from(c));
                f.write_char(picture.unwrap_or(char::REPLACEMENT_CHARACTER))?;
            }
            '\x7F' => f.write_char('\u{2421}')?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
}

/// All of it, a segment a line, escape sequences as they are.
///
/// These are a person's data: for a log, [`Debug`](fmt::Debug) shows names and sizes alone.
///
/// ```
/// use hl7_message::Message;
///
/// let message = Message::parse(b"\x0BMSH|^~\\&|RIS\rPID|1||77\tA\r\x1C\r")?;
/// assert_eq!(message.to_string(), "MSH|^~\\&|RIS\nPID|1||77␉A\n");
/// assert_eq!(format!("{message:?}"), r#"Message { bytes: 28, segments: ["MSH", "PID"], .. }"#);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments()
            .try_for_each(|segment| writeln!(f, "{segment}"))
    }
}

macro_rules! display {
    ($($view:ident),*) => {
        $(
            /// In one line, as it is written: escape sequences as they are, what is no UTF-8 as
            /// U+FFFD, control characters as their pictures. A person's data: not for a log.
            impl fmt::Display for $view<'_> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write_line(f, self.as_bytes())
                }
            }
        )*
    };
}

display! { Segment, Field, Repetition, Component, Subcomponent }

#[cfg(test)]
mod tests {
    use crate::{Message, loc};

    #[test]
    fn people_see_every_byte_in_its_line() {
        let message = Message::parse(b"MSH|^~\\&|\rPID|M\xFCller\n\x7F|a\\T\\b^c\r").unwrap();
        assert_eq!(
            message.to_string(),
            "MSH|^~\\&|\nPID|M\u{FFFD}ller␊␡|a\\T\\b^c\n"
        );
        let field = message.field(loc!("PID-2")).unwrap();
        assert_eq!(field.to_string(), r"a\T\b^c");
        assert_eq!(field.first().to_string(), r"a\T\b");
    }
}
