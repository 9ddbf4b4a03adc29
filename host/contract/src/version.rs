//! The order of versions, as systemd-boot and systemd-sysupdate see it.
//!
//! Source: UAPI.10, Version Format Specification; systemd's `strverscmp_improved`.

use std::cmp::Ordering;

/// Compares two versions as UAPI.10 says: `1.9.0` < `1.10.0`, `1~rc1` < `1`, `1` < `1-2` < `1^git` < `1.1`.
///
/// Characters other than letters, digits, `~`, `-`, `^` and `.` only separate.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (without_separators(a), without_separators(b));
        // A part after `~` is older than anything, also than the end.
        let order = compare_mark(b'~', &mut a, &mut b);
        if order.is_ne() {
            return order;
        }
        if a.is_empty() || b.is_empty() {
            return (!a.is_empty()).cmp(&!b.is_empty());
        }
        for mark in *b"-^." {
            let order = compare_mark(mark, &mut a, &mut b);
            if order.is_ne() {
                return order;
            }
        }
        let of_digits = a.first().is_some_and(u8::is_ascii_digit) || b.first().is_some_and(u8::is_ascii_digit);
        let (part_a, rest_a) = split(a, of_digits);
        let (part_b, rest_b) = split(b, of_digits);
        // Letters compare bytewise, so capitals are older; of two with a common start the shorter is older.
        let order = if of_digits { compare_numbers(part_a, part_b) } else { part_a.cmp(part_b) };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The version that has `mark` here is older; when both have it, both are moved behind it.
fn compare_mark(mark: u8, a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    match (a.strip_prefix(&[mark]), b.strip_prefix(&[mark])) {
        (Some(rest_a), Some(rest_b)) => {
            (*a, *b) = (rest_a, rest_b);
            Ordering::Equal
        }
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

fn is_known(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"~-^.".contains(&byte)
}

fn without_separators(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|byte| is_known(*byte)).unwrap_or(text.len());
    &text[from..]
}

fn split(text: &[u8], of_digits: bool) -> (&[u8], &[u8]) {
    let belongs = |byte: &u8| if of_digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
    text.split_at(text.iter().position(|byte| !belongs(byte)).unwrap_or(text.len()))
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    // A part without digits is older than zero: letters are older than numbers.
    let by_presence = (!a.is_empty()).cmp(&!b.is_empty());
    let significant = |part: &[u8]| -> usize { part.iter().position(|byte| *byte != b'0').unwrap_or(part.len()) };
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    by_presence.then(a.len().cmp(&b.len())).then(a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_examples_are_in_order() {
        // UAPI.10, "Examples" and systemd's `test-string-util.c`, each line in ascending order.
        for line in [
            "~1 | | ab | abb | abc | 0001 | 002 | 12 | 122 | 122.9 | 123~rc1 | 123 | 123-a | 123-a.1 | 123-a1 | 123-a1.1 | 123-3 | 123-3.1 | 123^patch1 | 123^1 | 123.a-1 | 123.1-1 | 123a-1 | 124",
            "1.9.0 | 1.10.0 | 1.10.1~rc1 | 1.10.1",
            "1~rc1 | 1~rc2 | 1 | 1-1 | 1-2 | 1^git1 | 1.0 | 1.1 | 1a | 2",
            "B | a | b",
        ] {
            let versions: Vec<&str> = line.split('|').map(str::trim).collect();
            for (i, a) in versions.iter().enumerate() {
                for (j, b) in versions.iter().enumerate() {
                    assert_eq!(compare_versions(a, b), i.cmp(&j), "{a} with {b}");
                }
            }
        }
    }

    #[test]
    fn separators_and_leading_zeros_do_not_count() {
        for (a, b) in [("1_2", "1+2"), ("01.002", "1.2"), ("a_", "a"), ("1:2", "1 2")] {
            assert_eq!(compare_versions(a, b), Ordering::Equal, "{a} with {b}");
        }
        assert_eq!(compare_versions("00000000000000000000000000000000001", "99999999999999999999999"), Ordering::Less);
    }
}
