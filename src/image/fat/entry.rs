//! Directory entries: short names, long names, dates.

use std::collections::BTreeSet;

use crate::content::{DAY_SECONDS, civil_date, days_since_1970};

/// The size of one entry in bytes.
pub const ENTRY_BYTES: usize = 32;
/// The flag of a folder.
pub const DIRECTORY: u8 = 0x10;
/// The flag of a file that was written.
pub const ARCHIVE: u8 = 0x20;
/// The flags of an entry that holds a part of a long name.
const LONG_NAME: u8 = 0x0f;
/// UTF-16 units in one part of a long name.
const UNITS_PER_PART: usize = 13;
/// The longest name in UTF-16 units.
const MAX_UNITS: usize = 255;

/// A name of eight and three characters, padded with blanks.
pub type ShortName = [u8; 11];

/// A moment as FAT writes it: date, then time in steps of two seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    date: u16,
    time: u16,
}

/// Names are given out once: the short names that are taken in one folder.
#[derive(Debug, Default)]
pub struct Names {
    taken: BTreeSet<ShortName>,
}

impl Stamp {
    /// The moment `epoch` seconds after 1970 in UTC, moved to the nearest that FAT knows (1980 to 2107).
    pub fn of(epoch: u64) -> Self {
        let second = epoch % DAY_SECONDS;
        let (year, month, day) = civil_date(epoch / DAY_SECONDS);
        if year < 1980 {
            return Stamp { date: 1 << 5 | 1, time: 0 };
        }
        if year > 2107 {
            return Stamp { date: 127 << 9 | 12 << 5 | 31, time: 23 << 11 | 59 << 5 | 29 };
        }
        // Each of these fits its field: hour < 24, minute < 60, half second < 30, month <= 12, day <= 31.
        Stamp {
            date: ((year - 1980) << 9 | month << 5 | day) as u16,
            time: ((second / 3600) << 11 | (second / 60 % 60) << 5 | (second % 60 / 2)) as u16,
        }
    }
}

impl Stamp {
    /// When the file of a short entry was written.
    pub fn of_entry(entry: &[u8; ENTRY_BYTES]) -> Self {
        let time = u16::from_le_bytes([entry[22], entry[23]]);
        Stamp { date: u16::from_le_bytes([entry[24], entry[25]]), time }
    }

    /// The moment in seconds after 1970.
    pub fn epoch(self) -> u64 {
        let (date, time) = (u64::from(self.date), u64::from(self.time));
        let (year, month, day) = (1980 + (date >> 9), date >> 5 & 15, date & 31);
        let second = (time >> 11) * 3600 + (time >> 5 & 63) * 60 + (time & 31) * 2;
        days_since_1970(year, month, day) * DAY_SECONDS + second
    }
}

/// Whether FAT can hold a file of this name.
pub fn is_name(name: &str) -> bool {
    let forbidden = |character: char| character < ' ' || "\"*/:<>?\\|\u{7f}".contains(character);
    !name.is_empty()
        && !name.contains(forbidden)
        && !name.ends_with(['.', ' '])
        && name.encode_utf16().count() <= MAX_UNITS
}

impl Names {
    /// The entries of `name` without the last, which is made by [`short_entry`], and its short name. A name that is a
    /// short one already, in capitals, needs none.
    ///
    /// `None` when every short name for it is taken.
    pub fn give(&mut self, name: &str) -> Option<(Vec<u8>, ShortName)> {
        if let Some(short) = exact_short_name(name)
            && self.taken.insert(short)
        {
            return Some((Vec::new(), short));
        }
        let short =
            (1..=999_999).map(|number| numbered_short_name(name, number)).find(|short| !self.taken.contains(short))?;
        self.taken.insert(short);
        Some((long_entries(name, &short), short))
    }
}

/// The name as a short one if it is one: capitals, digits and few others, at most 8 and 3.
fn exact_short_name(name: &str) -> Option<ShortName> {
    let (base, ending) = name.split_once('.').unwrap_or((name, ""));
    let is_short = |part: &str, len: usize| part.len() <= len && part.bytes().all(is_short_character);
    let has_ending = name.contains('.');
    if base.is_empty() || !is_short(base, 8) || !is_short(ending, 3) || (has_ending && ending.is_empty()) {
        return None;
    }
    Some(padded(base, ending))
}

fn is_short_character(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

/// A short name for a long one: its first letters, `~` and a number.
fn numbered_short_name(name: &str, number: u32) -> ShortName {
    let (base, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let part = |text: &str, len: usize| -> String {
        let fitting = text.chars().filter(|character| *character != ' ' && *character != '.').map(|character| {
            let upper = character.to_ascii_uppercase();
            if u8::try_from(upper).is_ok_and(is_short_character) { upper } else { '_' }
        });
        fitting.take(len).collect()
    };
    let tail = format!("~{number}");
    padded(&format!("{}{tail}", part(base, 8 - tail.len())), &part(ending, 3))
}

fn padded(base: &str, ending: &str) -> ShortName {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.as_bytes());
    short[8..8 + ending.len()].copy_from_slice(ending.as_bytes());
    short
}

/// The entries that hold a long name, last part first.
fn long_entries(name: &str, short: &ShortName) -> Vec<u8> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if !units.len().is_multiple_of(UNITS_PER_PART) {
        units.push(0);
        units.resize(units.len().next_multiple_of(UNITS_PER_PART), 0xffff);
    }
    let parts = units.len() / UNITS_PER_PART;
    let mut entries = Vec::with_capacity(parts * ENTRY_BYTES);
    for (index, part) in units.chunks(UNITS_PER_PART).enumerate().rev() {
        let mut entry = [0; ENTRY_BYTES];
        // At most 20 parts: 255 units.
        entry[0] = (index + 1) as u8 | if index + 1 == parts { 0x40 } else { 0 };
        entry[11] = LONG_NAME;
        entry[13] = checksum(short);
        for (place, unit) in places().zip(part) {
            entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
        }
        entries.extend(entry);
    }
    entries
}

/// The UTF-16 units in a part of a long name, without the padding; `None` when the entry is none.
pub fn long_name_part(entry: &[u8; ENTRY_BYTES]) -> Option<Vec<u16>> {
    if entry[11] != LONG_NAME {
        return None;
    }
    let units = places().map(|place| u16::from_le_bytes([entry[place], entry[place + 1]]));
    Some(units.filter(|unit| *unit != 0xffff).collect())
}

/// Where the units of a part of a long name stand in its entry.
fn places() -> impl Iterator<Item = usize> {
    (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2))
}

fn checksum(short: &ShortName) -> u8 {
    short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The entry of a file or folder itself.
pub fn short_entry(name: &ShortName, flags: u8, stamp: Stamp, cluster: u32, size: u32) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    let (high, low) = ((cluster >> 16) as u16, cluster as u16);
    entry[..11].copy_from_slice(name);
    entry[11] = flags;
    for (at, value) in [
        (14, stamp.time),
        (16, stamp.date),
        (18, stamp.date),
        (20, high),
        (22, stamp.time),
        (24, stamp.date),
        (26, low),
    ] {
        entry[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    entry[28..].copy_from_slice(&size.to_le_bytes());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_civil_dates() {
        for (epoch, year, month, day, hour, minute, second) in [
            (0, 1980, 1, 1, 0, 0, 0),
            (315_532_800, 1980, 1, 1, 0, 0, 0),
            (951_782_400 + 3661, 2000, 2, 29, 1, 1, 0),
            (1_763_904_645, 2025, 11, 23, 13, 30, 44),
            (u64::MAX, 2107, 12, 31, 23, 59, 58),
        ] {
            let date = (year - 1980) << 9 | month << 5 | day;
            let time = (hour << 11) | (minute << 5) | (second / 2);
            assert_eq!(Stamp::of(epoch), Stamp { date, time }, "{epoch}");
            assert_eq!(Stamp::of(Stamp::of(epoch).epoch()), Stamp { date, time }, "{epoch}");
        }
    }

    #[test]
    fn short_names_are_unique_and_capitals_need_no_long_one() {
        let mut names = Names::default();
        assert_eq!(names.give("BOOTX64.EFI"), Some((Vec::new(), *b"BOOTX64 EFI")));
        assert_eq!(names.give("quickstart_1.0+3-0.efi").unwrap().1, *b"QUICKS~1EFI");
        assert_eq!(names.give("quickstart_1.1+3-0.efi").unwrap().1, *b"QUICKS~2EFI");
        let (long, short) = names.give("loader").unwrap();
        assert_eq!((long.len(), short), (ENTRY_BYTES, *b"LOADER~1   "));
        for name in ["", "a/b", "a.", "a:b", "a\n", &"x".repeat(256)] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name("a+b c.ä"));
    }
}
