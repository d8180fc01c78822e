//! Names of people: XPN, XCN and CNN to PN.

/// Most characters of a component group, PS3.5 section 6.2.
const GROUP_CHARACTERS_MAX: usize = 64;

/// A name in its HL7 parts, from the family name on: family, given, middle, suffix, prefix, degree.
///
/// Gives the alphabetic component group, and what had to be changed.
pub(crate) fn to_pn<'a>(
    parts: impl IntoIterator<Item = &'a str>,
) -> (String, Option<&'static str>) {
    let mut parts = parts.into_iter();
    let mut replaced = false;
    let mut next = || {
        let part = parts.next().unwrap_or_default();
        replaced |= part.contains(['=', '\\', '^']);
        clean(part)
    };
    let (family, given, middle) = (next(), next(), next());
    let (suffix, prefix, degree) = (next(), next(), next());
    let suffix = match (suffix.is_empty(), degree.is_empty()) {
        (_, true) => suffix,
        (true, false) => degree,
        (false, false) => format!("{suffix} {degree}"),
    };
    let mut name = [family, given, middle, prefix, suffix].join("^");
    name.truncate(name.trim_end_matches(['^', ' ']).len());
    let cut = cut(&mut name);
    let odd = match (cut, replaced) {
        (true, _) => Some("longer than 64 characters: cut at the end of a component"),
        (false, true) => Some("a delimiter of DICOM in it became a blank"),
        (false, false) => None,
    };
    (name, odd)
}

/// A part without what delimits in PN, and without control characters.
fn clean(part: &str) -> String {
    let text: String = part
        .chars()
        .map(|c| {
            if matches!(c, '=' | '\\' | '^') || c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    text.trim().to_owned()
}

/// Cuts at the end of a component, or inside the first one where that alone is too long.
fn cut(name: &mut String) -> bool {
    let Some((end, _)) = name.char_indices().nth(GROUP_CHARACTERS_MAX) else {
        return false;
    };
    let head = name.get(..end).unwrap_or_default();
    // A caret right behind the limit ends a component as well.
    let whole = name.get(end..).is_some_and(|rest| rest.starts_with('^'));
    let at = if whole {
        end
    } else {
        head.rfind('^').unwrap_or(end)
    };
    name.truncate(at);
    name.truncate(name.trim_end_matches(['^', ' ']).len());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parts: &[&str], expected: &str) {
        assert_eq!(to_pn(parts.iter().copied()).0, expected);
    }

    #[test]
    fn prefix_and_suffix_change_places() {
        check(
            &["SMITH", "JOHN", "Q", "JR", "DR", "MD"],
            "SMITH^JOHN^Q^DR^JR MD",
        );
        check(&["SMITH", "JOHN", "", "", "", "MD"], "SMITH^JOHN^^^MD");
    }

    #[test]
    fn trailing_carets_go() {
        check(&["SMITH", "", ""], "SMITH");
        check(&["JOHN DOE"], "JOHN DOE");
    }

    #[test]
    fn delimiters_become_blanks() {
        check(&["A=B", "C\\D"], "A B^C D");
        assert!(to_pn(["A=B"]).1.is_some());
    }

    #[test]
    fn a_long_name_is_cut_at_a_component() {
        let given = "G".repeat(40);
        let middle = "M".repeat(40);
        check(&["FAMILY", &given, &middle], &format!("FAMILY^{given}"));
        check(&[&"Ä".repeat(70)], &"Ä".repeat(64));
    }
}
