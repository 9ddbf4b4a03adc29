//! Files and folders on their way: a header for each, and behind it its content.

use std::{error::Error, fmt};

/// The most bytes of a header: that of the longest name.
pub const MAX_ENTRY_HEADER: usize = FIXED + MAX_NAME;
/// Bytes of a header before the name.
const FIXED: usize = 15;
/// The longest name, and what a link may point to.
const MAX_NAME: usize = 4096;

/// One thing of those that are copied. What follows it: as many bytes as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Who may do what with it: the last nine bits of a mode.
    pub mode: u32,
    /// How many bytes follow: those of a file, or of what a link points to.
    pub size: u64,
    /// Where it is below what is copied, with `/` between names; nothing for that itself.
    pub name: String,
}

/// What can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder, which comes before what is in it.
    Folder,
    /// A symbolic link.
    Link,
    /// Nothing more comes.
    End,
}

impl Entry {
    /// What says that nothing more comes.
    pub fn end() -> Self {
        Entry { kind: EntryKind::End, mode: 0, size: 0, name: String::new() }
    }

    /// Its header.
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self.kind {
            EntryKind::File => b'f',
            EntryKind::Folder => b'd',
            EntryKind::Link => b'l',
            EntryKind::End => b'e',
        };
        let mut bytes = vec![kind];
        bytes.extend(self.mode.to_le_bytes());
        bytes.extend(self.size.to_le_bytes());
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend(self.name.as_bytes());
        bytes
    }
}

/// Reads a header from the beginning of `bytes`: the entry and the length of its header, or nothing while more must come.
///
/// # Errors
/// What no entry is, or one that leads out of what is copied.
pub fn parse_entry(bytes: &[u8]) -> Result<Option<(Entry, usize)>, EntryError> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else { return Ok(None) };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let kind = match fixed[0] {
        b'f' => EntryKind::File,
        b'd' => EntryKind::Folder,
        b'l' => EntryKind::Link,
        b'e' => EntryKind::End,
        _ => return Err(EntryError::Kind),
    };
    let (mode, size, length) = (number(&fixed[1..5]) as u32, number(&fixed[5..13]), number(&fixed[13..]) as usize);
    if length > MAX_NAME || mode > 0o777 {
        return Err(EntryError::Kind);
    }
    let Some(name) = rest.get(..length) else { return Ok(None) };
    let name = String::from_utf8(name.to_vec()).map_err(|_| EntryError::Kind)?;
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if !name.is_empty() && !name.split('/').all(is_plain) {
        return Err(EntryError::Name { name });
    }
    let fits = match kind {
        EntryKind::File => true,
        EntryKind::Link => size > 0 && size <= MAX_NAME as u64,
        EntryKind::Folder | EntryKind::End => size == 0,
    };
    if !fits {
        return Err(EntryError::Size { name, size });
    }
    Ok(Some((Entry { kind, mode, size, name }, FIXED + length)))
}

/// What comes is no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryError {
    /// It is no header at all.
    Kind,
    /// It would lie outside.
    Name { name: String },
    /// It cannot be so large.
    Size { name: String, size: u64 },
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryError::Kind => f.write_str("what comes is no file, folder or link"),
            EntryError::Name { name } => write!(f, "`{}` is no name of a file", name.escape_debug()),
            EntryError::Size { name, size } => write!(f, "`{}` cannot have {size} bytes", name.escape_debug()),
        }
    }
}

impl Error for EntryError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: EntryKind, size: u64, name: &str) -> Entry {
        Entry { kind, mode: 0o640, size, name: name.to_owned() }
    }

    #[test]
    fn an_entry_is_written_like_this_and_read_back_once_all_of_it_is_there() {
        let file = entry(EntryKind::File, 258, "a/b");
        assert_eq!(file.encode(), b"f\xa0\x01\0\0\x02\x01\0\0\0\0\0\0\x03\0a/b");
        for entry in [file, entry(EntryKind::Folder, 0, ""), entry(EntryKind::Link, 3, "l"), Entry::end()] {
            let bytes = entry.encode();
            for length in 0..bytes.len() {
                assert_eq!(parse_entry(&bytes[..length]), Ok(None), "{length} of {entry:?}");
            }
            assert_eq!(parse_entry(&[&bytes[..], b"content"].concat()), Ok(Some((entry, bytes.len()))));
        }
    }

    #[test]
    fn what_leads_out_or_cannot_be_is_refused() {
        for name in ["/", "/etc", "..", "a/../b", "a/", "a//b", ".", "./a", "a\0b"] {
            let refused = parse_entry(&entry(EntryKind::File, 0, name).encode());
            assert_eq!(refused, Err(EntryError::Name { name: name.to_owned() }));
        }
        for wrong in [
            entry(EntryKind::Folder, 1, "a"),
            entry(EntryKind::Link, 0, "a"),
            entry(EntryKind::Link, 4097, "a"),
            entry(EntryKind::End, 1, ""),
        ] {
            assert!(matches!(parse_entry(&wrong.encode()), Err(EntryError::Size { .. })), "{wrong:?}");
        }
        let setuid = Entry { mode: 0o4755, ..entry(EntryKind::File, 0, "a") };
        let long = entry(EntryKind::File, 0, &"a".repeat(4097));
        for bytes in
            [setuid.encode(), long.encode(), [b'x'; 15].to_vec(), b"f\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\xff".to_vec()]
        {
            assert_eq!(parse_entry(&bytes), Err(EntryError::Kind));
        }
    }
}
