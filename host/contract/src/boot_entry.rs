//! Boot entries: what systemd-boot reads from the name of a unified kernel image, and which one it starts.
//!
//! A name `NAME+LEFT-DONE.efi` counts tries: systemd-boot takes one from LEFT and adds one to DONE before it
//! starts the entry; the host removes the counter once health says so. With LEFT at 0 the entry is bad: it is
//! started only when nothing else is there. Source: Boot Loader Specification (UAPI.1), "Boot counting", and
//! systemd's `src/boot/boot.c`.

use std::{cmp::Ordering, error::Error, fmt};

use crate::{ImageName, compare_versions};

/// The tries that a new entry has.
const NEW_TRIES: u8 = 3;
/// Counters have one digit, so that the rename on FAT, which must keep its length to be atomic, does.
const MAX_TRIES: u8 = 9;

/// The counter in an entry's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How often it may still be started before it is bad, 0 to 9.
    pub left: u8,
    /// How often it was started, 0 to 9.
    pub done: u8,
}

/// The file name of an entry: `quickstart_1.2.0+3-0.efi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    /// The variant and version, joined by `_`.
    pub stem: String,
    /// The counter; an entry without one is good.
    pub tries: Option<Tries>,
}

/// An entry as systemd-boot sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// Its file name.
    pub name: EntryName,
    /// `IMAGE_ID` of its `.osrel`; entries are grouped by it.
    pub sort_key: String,
    /// `IMAGE_VERSION` of its `.osrel`; the newest comes first.
    pub version: String,
}

/// What the counter in an entry's name says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has proven itself: its name has no counter.
    Good,
    /// It has tries left.
    OnTrial(Tries),
    /// It is given up.
    Bad,
}

/// A file name is not one of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryNameError {
    name: String,
    reason: &'static str,
}

impl EntryName {
    /// The name under which an image is published: three tries left, none done.
    pub fn new(image: &ImageName) -> Self {
        EntryName { stem: image.to_string(), tries: Some(Tries { left: NEW_TRIES, done: 0 }) }
    }

    /// Reads a file name; the last `+` counts and the ending's case does not, as for systemd-boot.
    ///
    /// # Errors
    /// When it does not end in `.efi`, has no stem, or has a counter that is not `+LEFT-DONE` of one digit each.
    pub fn parse(name: &str) -> Result<Self, EntryNameError> {
        let wrong = |reason| Err(EntryNameError { name: name.to_owned(), reason });
        let Some((base, ending)) = name.rsplit_once('.') else {
            return wrong("it does not end in `.efi`");
        };
        if !ending.eq_ignore_ascii_case("efi") {
            return wrong("it does not end in `.efi`");
        }
        let (stem, tries) = match base.rsplit_once('+') {
            None => (base, None),
            Some((stem, counter)) => match counter.as_bytes() {
                [left @ b'0'..=b'9', b'-', done @ b'0'..=b'9'] => {
                    (stem, Some(Tries { left: left - b'0', done: done - b'0' }))
                }
                _ => return wrong("its counter is not `+LEFT-DONE` of one digit each"),
            },
        };
        if stem.is_empty() || stem.contains(['/', '\\', '\0']) {
            return wrong("it has no name before the counter");
        }
        Ok(EntryName { stem: stem.to_owned(), tries })
    }

    /// The name that systemd-boot gives the entry just before it starts it.
    pub fn started(&self) -> Self {
        let tries = self.tries.map(|tries| match tries.left {
            0 => tries,
            left => Tries { left: left - 1, done: (tries.done + 1).min(MAX_TRIES) },
        });
        EntryName { stem: self.stem.clone(), tries }
    }

    /// The name of the entry once it has proven itself: without a counter.
    pub fn good(&self) -> Self {
        EntryName { stem: self.stem.clone(), tries: None }
    }

    /// The name of the entry once it is given up: no tries left. The length stays where there was a counter.
    pub fn bad(&self) -> Self {
        let done = self.tries.map_or(NEW_TRIES, |tries| (tries.done + tries.left).clamp(1, MAX_TRIES));
        EntryName { stem: self.stem.clone(), tries: Some(Tries { left: 0, done }) }
    }

    /// What its counter says of it.
    pub fn standing(&self) -> Standing {
        match self.tries {
            None => Standing::Good,
            Some(tries) if tries.left == 0 => Standing::Bad,
            Some(tries) => Standing::OnTrial(tries),
        }
    }

    /// Whether `other` is a name of the same entry, whatever is counted. The loader speaks of entries in small
    /// letters, and FAT does not tell letters apart.
    pub fn is_same_entry(&self, other: &EntryName) -> bool {
        self.stem.eq_ignore_ascii_case(&other.stem)
    }

    /// Whether it is given up: systemd-boot starts it only when nothing else is there.
    pub fn is_bad(&self) -> bool {
        self.standing() == Standing::Bad
    }

    /// Whether it has proven itself.
    pub fn is_good(&self) -> bool {
        self.tries.is_none()
    }
}

/// The order of systemd-boot's menu; it starts the first (`boot_entry_compare`; one machine, no profiles).
pub fn boot_order(a: &BootEntry, b: &BootEntry) -> Ordering {
    let tries = |entry: &BootEntry| entry.name.tries.unwrap_or(Tries { left: u8::MAX, done: 0 });
    a.name
        .is_bad()
        .cmp(&b.name.is_bad())
        // An entry with a sort key comes before one without.
        .then_with(|| a.sort_key.is_empty().cmp(&b.sort_key.is_empty()))
        .then_with(|| a.sort_key.cmp(&b.sort_key))
        .then_with(|| compare_versions(&b.version, &a.version))
        .then_with(|| compare_versions(&b.name.stem, &a.name.stem))
        .then_with(|| tries(b).left.cmp(&tries(a).left))
        .then_with(|| tries(a).done.cmp(&tries(b).done))
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem)?;
        if let Some(Tries { left, done }) = self.tries {
            write!(f, "+{left}-{done}")?;
        }
        f.write_str(".efi")
    }
}

impl fmt::Display for EntryNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not the name of a boot entry: {}", self.name.escape_debug(), self.reason)
    }
}

impl Error for EntryNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_entry_counts_down_to_bad() {
        let mut name = EntryName::new(&ImageName::new("quickstart", "1.2.0"));
        for expected in ["+3-0", "+2-1", "+1-2", "+0-3", "+0-3"] {
            assert_eq!(name.to_string(), format!("quickstart_1.2.0{expected}.efi"));
            assert_eq!(EntryName::parse(&name.to_string()), Ok(name.clone()));
            name = name.started();
        }
        assert!(name.is_bad());
        assert_eq!(name.good().to_string(), "quickstart_1.2.0.efi");
        assert_eq!(name.good().started(), name.good());
        let fresh = EntryName::new(&ImageName::new("a", "1"));
        assert_eq!(fresh.bad().to_string(), "a_1+0-3.efi");
        assert_eq!(fresh.good().bad().to_string(), "a_1+0-3.efi");
    }

    #[test]
    fn names_are_read_as_systemd_boot_reads_them() {
        let name = EntryName::parse("a_1+build5+2-1.EFI").unwrap();
        assert_eq!((name.stem.as_str(), name.tries), ("a_1+build5", Some(Tries { left: 2, done: 1 })));
        for text in ["", "a", "a.conf", "a+3.efi", "a+10-0.efi", "+3-0.efi", "a+x-1.efi", "a/b.efi"] {
            assert!(EntryName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_counter_says_how_an_entry_stands() {
        let tries = Tries { left: 1, done: 2 };
        for (name, standing) in
            [("a_1.efi", Standing::Good), ("a_1+1-2.efi", Standing::OnTrial(tries)), ("A_1+0-3.EFI", Standing::Bad)]
        {
            let name = EntryName::parse(name).unwrap();
            assert_eq!(name.standing(), standing, "{name}");
            assert!(name.is_same_entry(&EntryName::new(&ImageName::new("a", "1"))));
            assert!(!name.is_same_entry(&EntryName::new(&ImageName::new("a", "1.0"))));
        }
    }

    #[test]
    fn the_highest_version_with_tries_left_is_started() {
        let entry = |name: &str, version: &str| BootEntry {
            name: EntryName::parse(name).unwrap(),
            sort_key: "a".into(),
            version: version.into(),
        };
        let mut entries =
            [entry("a_1.9.0.efi", "1.9.0"), entry("a_2.0.0+0-3.efi", "2.0.0"), entry("a_1.10.0+1-2.efi", "1.10.0")];
        entries.sort_by(boot_order);
        let order: Vec<&str> = entries.iter().map(|entry| entry.version.as_str()).collect();
        assert_eq!(order, ["1.10.0", "1.9.0", "2.0.0"]);
    }
}
