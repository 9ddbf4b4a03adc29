//! Numbers with the noun that they count.

/// A number and what it counts, as people say it: `1 place`, `2 places`, `3 entries`.
pub fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 {
        return format!("1 {noun}");
    }
    let is_vowel = |letter: char| "aeiou".contains(letter);
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(is_vowel) => format!("{count} {stem}ies"),
        _ => format!("{count} {noun}s"),
    }
}

/// A number of bytes as people say it: `812 bytes`, `63.4 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = None;
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = Some(next);
    }
    unit.map_or(counted(count, "byte"), |unit| format!("{value:.1} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        for (count, noun, expected) in [
            (0, "place", "0 places"),
            (1, "place", "1 place"),
            (2, "place", "2 places"),
            (1, "entry", "1 entry"),
            (2, "entry", "2 entries"),
            (2, "day", "2 days"),
        ] {
            assert_eq!(counted(count, noun), expected);
        }
    }

    #[test]
    fn bytes_are_said_in_the_unit_that_fits() {
        for (count, expected) in
            [(0, "0 bytes"), (1, "1 byte"), (812, "812 bytes"), (1536, "1.5 KiB"), (120 << 20, "120.0 MiB")]
        {
            assert_eq!(bytes(count), expected);
        }
    }
}
