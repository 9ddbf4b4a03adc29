//! Directory entries as they are read, and what of names and times FAT can hold.

use std::cell::Cell;

use fatfs::{Date, DateTime, Time, TimeProvider};

use crate::content::{DAY_SECONDS, civil_date, days_since_1970};

/// The size of one entry in bytes.
pub const ENTRY_BYTES: usize = 32;
/// The flag of a folder.
pub const DIRECTORY: u8 = 0x10;
/// The flag of the label.
pub const LABEL: u8 = 0x08;
/// The flags of an entry that holds a part of a long name.
const LONG_NAME: u8 = 0x0f;
/// The longest name in bytes: `fatfs` takes no longer one.
const MAX_NAME_BYTES: usize = 255;

thread_local! {
    /// The moment that [`Clock`] shows on this thread.
    static NOW: Cell<DateTime> = const { Cell::new(FIRST) };
}
/// The first moment that FAT knows.
const FIRST: DateTime =
    DateTime { date: Date { year: 1980, month: 1, day: 1 }, time: Time { hour: 0, min: 0, sec: 0, millis: 0 } };

/// A clock that stands still. `fatfs` takes none but one that lives as long as the program, so there is one for all file
/// systems, and each thread stops it for the one that it writes.
#[derive(Debug)]
pub struct Clock;

impl Clock {
    /// The clock, stopped for this thread at the moment `epoch` seconds after 1970 in UTC.
    pub fn stopped_at(epoch: u64) -> &'static Self {
        NOW.set(moment(epoch));
        &Clock
    }
}

impl TimeProvider for Clock {
    fn get_current_date(&self) -> Date {
        NOW.get().date
    }

    fn get_current_date_time(&self) -> DateTime {
        NOW.get()
    }
}

/// The moment `epoch` seconds after 1970, moved to the nearest that FAT knows: 1980 to 2107, in steps of two seconds.
fn moment(epoch: u64) -> DateTime {
    let (first, end) = (days_since_1970(1980, 1, 1), days_since_1970(2108, 1, 1));
    let epoch = epoch.clamp(first * DAY_SECONDS, end * DAY_SECONDS - 1);
    let (year, month, day) = civil_date(epoch / DAY_SECONDS);
    let second = epoch % DAY_SECONDS / 2 * 2;
    // Each of these is small.
    let date = Date { year: year as u16, month: month as u16, day: day as u16 };
    let (hour, min, sec) = ((second / 3600) as u16, (second / 60 % 60) as u16, (second % 60) as u16);
    DateTime { date, time: Time { hour, min, sec, millis: 0 } }
}

/// When the file of an entry was written, in seconds after 1970.
pub fn epoch_of(entry: &[u8; ENTRY_BYTES]) -> u64 {
    let number = |at: usize| u64::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
    let (time, date) = (number(22), number(24));
    let (year, month, day) = (1980 + (date >> 9), date >> 5 & 15, date & 31);
    let second = (time >> 11) * 3600 + (time >> 5 & 63) * 60 + (time & 31) * 2;
    days_since_1970(year, month, day) * DAY_SECONDS + second
}

/// Whether FAT can hold a file of this name, and `fatfs` write it.
pub fn is_name(name: &str) -> bool {
    let forbidden =
        |character: char| !(' '..='\u{ffff}').contains(&character) || "\"*/:<>?\\|\u{7f}".contains(character);
    !name.is_empty() && !name.contains(forbidden) && !name.ends_with(['.', ' ']) && name.len() <= MAX_NAME_BYTES
}

/// The UTF-16 units in a part of a long name, without the padding; `None` when the entry is none.
pub fn long_name_part(entry: &[u8; ENTRY_BYTES]) -> Option<Vec<u16>> {
    if entry[11] != LONG_NAME {
        return None;
    }
    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
    let units = places.map(|place| u16::from_le_bytes([entry[place], entry[place + 1]]));
    Some(units.filter(|unit| *unit != 0xffff).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_civil_dates_that_fat_knows() {
        for (epoch, year, month, day, hour, min, sec) in [
            (0, 1980, 1, 1, 0, 0, 0),
            (315_532_800, 1980, 1, 1, 0, 0, 0),
            (951_782_400 + 3661, 2000, 2, 29, 1, 1, 0),
            (1_763_904_645, 2025, 11, 23, 13, 30, 44),
            (u64::MAX, 2107, 12, 31, 23, 59, 58),
        ] {
            let time = Time { hour, min, sec, millis: 0 };
            assert_eq!(
                Clock::stopped_at(epoch).get_current_date_time(),
                DateTime { date: Date { year, month, day }, time },
                "{epoch}"
            );
        }
    }

    #[test]
    fn names_that_fat_cannot_hold_are_known() {
        for name in ["", "a/b", "a.", "a:b", "a\n", &"x".repeat(256), "\u{1f980}"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name("a+b c.ä"));
    }
}
