//! The calendar: days since 1970 as year, month and day, and dates as they are written, all in UTC.

pub use brc_contract::date::{DAY_SECONDS, civil_date, date_text};

/// The months as programs abbreviate them, whatever the language.
pub const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
/// Seconds since 1970 that everything shows but an image: objects and checkouts of the store, and
/// `SOURCE_DATE_EPOCH` while something is built. 1980-01-02T00:00:00Z is the first whole day that every archive
/// format can hold in every time zone.
///
/// It is the same for every build, so that no build is done again because a date moved.
pub const FIXED_TIME: u64 = 315_619_200;

/// Reads a date of RFC 5322 (`Sat, 21 Nov 2026 09:15:44 UTC`); gives seconds since 1970, or `None` for anything else, other
/// time zones and years before 1970.
pub fn parse_rfc5322(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    let weekday = words.next()?.strip_suffix(',')?;
    let day = number(words.next()?, 1, 31)?;
    let month_name = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month_name)? as u64 + 1;
    let year = number(words.next()?, 1970, 9999)?;
    let mut clock = words.next()?.split(':');
    let hour = number(clock.next()?, 0, 23)?;
    let minute = number(clock.next()?, 0, 59)?;
    let second = number(clock.next()?, 0, 60)?;
    let zone = words.next()?;
    if clock.next().is_some() || words.next().is_some() || !matches!(zone, "UTC" | "GMT" | "+0000") {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let consistent = WEEKDAYS.get((days % 7) as usize) == Some(&weekday) && civil_date(days) == (year, month, day);
    consistent.then_some(days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

/// Reads what [`date_text`] writes.
pub fn parse_date(text: &str) -> Option<u64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let mut clock = clock.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    let (year, month, day) = (number(year, 1970, 9999)?, number(month, 1, 12)?, number(day, 1, 31)?);
    let days = days_since_1970(year, month, day);
    let seconds = number(hour, 0, 23)? * 3600 + number(minute, 0, 59)? * 60 + number(second, 0, 59)?;
    let seconds = days * DAY_SECONDS + seconds;
    (date_text(seconds) == text).then_some(seconds)
}

/// The number of days from 1970-01-01 to a date (the proleptic Gregorian calendar, counted from March so that the leap day
/// is the last of a year).
pub fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let to_month = (153 * month + 2) / 5;
    365 * year + year / 4 - year / 100 + year / 400 + to_month + day.saturating_sub(1) - 719_468
}

fn number(text: &str, least: u64, most: u64) -> Option<u64> {
    let digits = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| (least..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_gregorian_calendar() {
        for (days, date) in
            [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (11_017, (2000, 3, 1)), (20_778, (2026, 11, 21))]
        {
            assert_eq!(civil_date(days), date);
        }
    }

    #[test]
    fn dates_of_archives_are_read() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", 0),
            ("Tue, 29 Feb 2000 23:59:59 UTC", 951_868_799),
            ("Sat, 21 Nov 2026 09:15:44 UTC", 1_795_252_544),
            ("Mon, 01 Mar 2100 00:00:00 +0000", 4_107_542_400),
        ] {
            assert_eq!(parse_rfc5322(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_in_utc_is_refused() {
        for text in [
            "",
            "Sat, 21 Nov 2026 09:15:44",
            "Sat, 21 Nov 2026 09:15:44 +0100",
            "Sun, 21 Nov 2026 09:15:44 UTC",
            "Sun, 29 Feb 2026 00:00:00 UTC",
            "Sun, 99 Feb 2026 00:00:00 UTC",
            "Sat, 21 Nov 2026 09:15:44:00 UTC",
            "Sat, 21 Nov 2026 09:15:44 UTC more",
            "Sat, +1 Nov 2026 09:15:44 UTC",
        ] {
            assert_eq!(parse_rfc5322(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(date_text(1_795_252_544), "2026-11-21T09:15:44Z");
        for seconds in (0..8_000_000_000_u64).step_by(86_399 * 61) {
            assert_eq!(parse_date(&date_text(seconds)), Some(seconds));
        }
        assert_eq!(parse_date("2026-02-30T00:00:00Z"), None);
    }
}
