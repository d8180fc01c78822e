//! [`Ids`]: names that do not meet those of another run.

/// How many prefixes of six characters there are.
const PREFIXES: u64 = 36_u64.pow(6);

/// A letter, six characters that the seed decides, and a number: `A0K3F9Q000001`.
///
/// Two seeds below 2,176,782,336 never have the same prefix.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    prefix: String,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        // The factor has no divisor in common with 36^6: other seeds, other products.
        let mixed = (u128::from(seed) * 1_181_783_497 + 905_346_613) % u128::from(PREFIXES);
        let mut left = u64::try_from(mixed).unwrap_or_default();
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            let value = u8::try_from(left % 36).unwrap_or_default();
            *digit = if value < 10 {
                b'0' + value
            } else {
                b'A' + value - 10
            };
            left /= 36;
        }
        Self {
            prefix: digits.iter().map(|&digit| char::from(digit)).collect(),
        }
    }

    /// Writes the id; at most 16 characters up to a thousand million of them.
    pub(super) fn write(&self, out: &mut String, letter: char, number: u64) {
        out.push(letter);
        out.push_str(&self.prefix);
        write_number(out, number, 6);
    }

    pub(super) fn text(&self, letter: char, number: u64) -> String {
        let mut text = String::with_capacity(16);
        self.write(&mut text, letter, number);
        text
    }
}

/// Writes a number with at least `width` digits.
pub(super) fn write_number(out: &mut String, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        if number == 0 && count >= width {
            break;
        }
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        count += 1;
    }
    let digits = digits.get(20 - count..).unwrap_or_default();
    out.push_str(core::str::from_utf8(digits).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_short_and_known() {
        let ids = Ids::new(0);
        assert_eq!(ids.text('A', 1).len(), 13);
        assert_eq!(ids.text('A', 999_999_999).len(), 16);
        assert!(ids.text('A', 7).ends_with("000007"));
    }

    #[test]
    fn seeds_have_prefixes_of_their_own() {
        let small = (0..20_000).map(|seed| Ids::new(seed).prefix);
        assert_eq!(small.collect::<HashSet<_>>().len(), 20_000);
        assert_ne!(Ids::new(u64::MAX).prefix, Ids::new(u64::MAX - 1).prefix);
    }

    #[test]
    fn numbers_have_their_digits() {
        let text = |number, width| {
            let mut out = String::new();
            write_number(&mut out, number, width);
            out
        };
        assert_eq!(text(0, 1), "0");
        assert_eq!(text(7, 3), "007");
        assert_eq!(text(1234, 3), "1234");
        assert_eq!(text(u64::MAX, 1), u64::MAX.to_string());
    }
}
