//! The [nom] combinators that this crate is built on, for people who build on it.
//!
//! All work on bytes and borrow from their input.
//!
//! ```
//! use hl7_message::combinators;
//!
//! let (rest, name) = combinators::segment(b"PID|1\rPV1|1\r").unwrap();
//! assert_eq!((name, rest), (&b"PID|1"[..], &b"PV1|1\r"[..]));
//! ```

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take, take_while, take_while_m_n, take_while1};
use nom::character::complete::{digit1, i16, line_ending, one_of, space0, u16};
use nom::combinator::{eof, map, map_opt, opt, recognize, value, verify};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use crate::error::ParseErrorKind;
use crate::escape::{Delimiter, FormatCommand, Token};
use crate::location::Location;
use crate::separators::Separators;
use crate::timestamp::{Fraction, Timestamp};

/// `MSH`, MSH-1 and MSH-2: the delimiters of the message that follows.
///
/// # Errors
///
/// What is wrong, in which field of MSH, and at which offset of `input`.
pub(crate) fn separators(input: &[u8]) -> Result<Separators, (ParseErrorKind, u16, usize)> {
    let no_header = |_: nom::Err<nom::error::Error<&[u8]>>| (ParseErrorKind::NoHeader, 0, 0);
    let (rest, _) = tag("MSH")(input).map_err(no_header)?;
    let no_field = |_: nom::Err<nom::error::Error<&[u8]>>| (ParseErrorKind::FieldSeparator, 1, 3);
    let (rest, field): (_, &[u8]) = take(1_usize)(rest).map_err(no_field)?;
    let own = field.first().copied().unwrap_or_default();
    let (_, encoding) = encoding_characters(own)(rest).map_err(no_field)?;
    Separators::parse(field, encoding).map_err(|kind| match kind {
        ParseErrorKind::FieldSeparator => (kind, 1, 3),
        _ => (kind, 2, 4),
    })
}

/// What stands between MSH-1 and the next field separator or line end.
fn encoding_characters<'a>(field: u8) -> impl FnMut(&'a [u8]) -> IResult<&'a [u8], &'a [u8]> {
    move |input| take_while(|byte| byte != field && !is_line_end(byte)).parse(input)
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The start of a message, `MSH|^~\&`: gives its delimiters and leaves the field separator
/// before MSH-3 as the next byte.
///
/// # Errors
///
/// Where `input` does not start with MSH or its delimiters cannot work.
///
/// ```
/// use hl7_message::{Separators, combinators};
///
/// let (rest, separators) = combinators::message_start(b"MSH|^~\\&|RIS").unwrap();
/// assert_eq!((separators, rest), (Separators::DEFAULT, &b"|RIS"[..]));
/// ```
pub fn message_start(input: &[u8]) -> IResult<&[u8], Separators> {
    map_opt(
        recognize((tag("MSH"), take(1_usize), |rest| {
            let field = input.get(3).copied().unwrap_or_default();
            encoding_characters(field)(rest)
        })),
        |bytes: &[u8]| separators(bytes).ok(),
    )
    .parse(input)
}

/// One segment and its terminator CR, LF, CR LF, or the end of input; gives the segment.
///
/// # Errors
///
/// Where there is no byte before the terminator.
///
/// ```
/// use hl7_message::combinators::segment;
///
/// assert_eq!(segment(b"PID|1\r\nPV1|1\r\n").unwrap(), (&b"PV1|1\r\n"[..], &b"PID|1"[..]));
/// assert!(segment(b"\rPV1|1").is_err());
/// ```
pub fn segment(input: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(
        take_while1(|byte| !is_line_end(byte)),
        alt((line_ending, tag("\r"), eof)),
    )
    .parse(input)
}

/// The segments of a message one after the other, blank lines stepped over; whatever ends a line
/// ends a segment.
///
/// ```
/// use hl7_message::combinators::segments;
///
/// let all: Vec<_> = segments(b"MSH|^~\\&|RIS\r\nPID|1\n\nPV1|1").collect();
/// assert_eq!(all, [&b"MSH|^~\\&|RIS"[..], b"PID|1", b"PV1|1"]);
/// ```
pub fn segments(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    core::iter::from_fn(move || {
        let blank = rest.iter().take_while(|byte| is_line_end(**byte)).count();
        let (after, found) = segment(rest.get(blank..)?).ok()?;
        rest = after;
        Some(found)
    })
}

/// The longest location at the start of `input`, such as `PID-3[2].4.1`.
///
/// # Errors
///
/// Where no location stands there, or one that breaks off: `PID-`.
///
/// ```
/// use hl7_message::{combinators, loc};
///
/// let (rest, location) = combinators::location(b"PID-5.1 = SMITH").unwrap();
/// assert_eq!((location, rest), (loc!("PID-5.1"), &b" = SMITH"[..]));
/// assert!(combinators::location(b"PID-x").is_err());
/// ```
pub fn location(input: &[u8]) -> IResult<&[u8], Location> {
    match Location::read_start(input) {
        Ok((location, rest)) => Ok((rest, location)),
        Err(error) => {
            let at = input.get(error.offset..).unwrap_or_default();
            let kind = nom::error::ErrorKind::Verify;
            Err(nom::Err::Error(nom::error::Error::new(at, kind)))
        }
    }
}

/// A number, data type NM: a sign, digits, and digits behind a point; gives its bytes.
///
/// # Errors
///
/// Where no digit stands there.
///
/// ```
/// use hl7_message::combinators::number;
///
/// assert_eq!(number(b"-37.5^cm").unwrap(), (&b"^cm"[..], &b"-37.5"[..]));
/// assert_eq!(number(b"+.5").unwrap().1, b"+.5");
/// assert!(number(b"low").is_err());
/// ```
pub fn number(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let fraction = || (tag("."), digit1);
    recognize((
        opt(one_of("+-")),
        alt((recognize((digit1, opt(fraction()))), recognize(fraction()))),
    ))
    .parse(input)
}

/// A formatting command of FT without its dot: `sp 3`, `in+4`, `br`.
///
/// # Errors
///
/// Where the standard has no such command.
///
/// ```
/// use hl7_message::{combinators, escape::FormatCommand};
///
/// let (rest, command) = combinators::format_command(b"in+4").unwrap();
/// assert_eq!((command, rest), (FormatCommand::Indent(4), &b""[..]));
/// ```
pub fn format_command(input: &[u8]) -> IResult<&[u8], FormatCommand> {
    let count = || preceded((space0, opt(tag("+"))), u16);
    let signed = || {
        preceded(
            space0,
            alt((preceded(tag("+"), verify(i16, |n| *n >= 0)), i16)),
        )
    };
    alt((
        value(FormatCommand::LineBreak, tag_no_case("br")),
        value(FormatCommand::WrapOn, tag_no_case("fi")),
        value(FormatCommand::WrapOff, tag_no_case("nf")),
        value(FormatCommand::Centre, tag_no_case("ce")),
        map(preceded(tag_no_case("sp"), opt(count())), |lines| {
            FormatCommand::SkipLines(lines.unwrap_or(1))
        }),
        map(
            preceded(tag_no_case("sk"), count()),
            FormatCommand::SkipSpaces,
        ),
        map(preceded(tag_no_case("in"), signed()), FormatCommand::Indent),
        map(
            preceded(tag_no_case("ti"), signed()),
            FormatCommand::TemporaryIndent,
        ),
    ))
    .parse(input)
}

/// One escape sequence that starts and ends with `escape`, for instance `\F\`.
///
/// # Errors
///
/// Where what follows does not have the shape of a sequence of HL7: it is text then.
///
/// ```
/// use hl7_message::{combinators::escape_sequence, escape::Token};
///
/// let (rest, token) = escape_sequence(b'\\')(br"\X0D\ and").unwrap();
/// assert_eq!((token, rest), (Token::Hex(b"0D"), &b" and"[..]));
/// assert!(escape_sequence(b'\\')(br"\server\share").is_err());
/// ```
pub fn escape_sequence<'a>(escape: u8) -> impl FnMut(&'a [u8]) -> IResult<&'a [u8], Token<'a>> {
    move |input| {
        let mark = [escape];
        let body = take_while1(move |byte| byte != escape);
        delimited(tag(&mark[..]), map_opt(body, token), tag(&mark[..])).parse(input)
    }
}

/// The meaning of what stands between two escape characters.
fn token(body: &[u8]) -> Option<Token<'_>> {
    let hex = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    Some(match body {
        b"F" => Token::Delimiter(Delimiter::Field),
        b"S" => Token::Delimiter(Delimiter::Component),
        b"T" => Token::Delimiter(Delimiter::Subcomponent),
        b"R" => Token::Delimiter(Delimiter::Repetition),
        b"E" => Token::Delimiter(Delimiter::Escape),
        b"H" => Token::Highlight,
        b"N" => Token::Normal,
        [b'X', digits @ ..] if hex(digits) && digits.len() % 2 == 0 => Token::Hex(digits),
        [b'X', digits @ ..] if hex(digits) => Token::Unknown(body),
        [b'C', set @ ..] if hex(set) && set.len() == 4 => Token::SingleByteSet(set),
        [b'M', set @ ..] if hex(set) && matches!(set.len(), 4 | 6) => Token::MultiByteSet(set),
        [b'Z', local @ ..] => Token::Local(local),
        [b'.', command @ ..] if !command.is_empty() => Token::Format(command),
        _ => return None,
    })
}

/// A time stamp, data type TS: `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+/-ZZZZ]`.
///
/// # Errors
///
/// Where no calendar date stands at the start of `input`.
///
/// ```
/// use hl7_message::{Precision, combinators::timestamp};
///
/// let (rest, at) = timestamp(b"202306141314+0200^M").unwrap();
/// assert_eq!((at.precision(), rest), (Precision::Minute, &b"^M"[..]));
/// ```
pub fn timestamp(input: &[u8]) -> IResult<&[u8], Timestamp> {
    let digits = |count| {
        map(
            take_while_m_n(count, count, |b: u8| b.is_ascii_digit()),
            |digits: &[u8]| {
                digits
                    .iter()
                    .fold(0_u16, |value, digit| value * 10 + u16::from(digit - b'0'))
            },
        )
    };
    let fraction = || {
        map(
            preceded(tag("."), take_while_m_n(1, 9, |b: u8| b.is_ascii_digit())),
            |digits: &[u8]| Fraction::from_digits(digits),
        )
    };
    let zone = map(
        (
            one_of("+-"),
            verify(digits(2), |h| *h <= 14),
            verify(digits(2), |m| *m < 60),
        ),
        |(sign, hours, minutes)| {
            let total = i16::try_from(hours * 60 + minutes).unwrap_or_default();
            if sign == '-' { -total } else { total }
        },
    );
    let seconds = (digits(2), opt(fraction()));
    let minutes = (digits(2), opt(seconds));
    let hours = (digits(2), opt(minutes));
    let days = (digits(2), opt(hours));
    let months = (digits(2), opt(days));
    map_opt(
        (digits(4), opt(months), opt(zone)),
        |(year, months, offset)| Timestamp::from_nested(year, months, offset),
    )
    .parse(input)
}
