//! The extended headers of a tar archive: pax records and GNU's long names, with limits.
//!
//! Read here rather than by the crate `tar`, which takes as many bytes into memory as a header claims, and looks
//! up single records without saying which ones it does not know.

use std::{collections::BTreeMap, io::Read};

use super::limits::{Limits, ReadError};

/// Records that say nothing that a tree keeps.
const IGNORED: [&str; 8] = ["mtime", "atime", "ctime", "uname", "gname", "comment", "charset", "hdrcharset"];
/// Where programs put extended attributes: star and GNU tar; libarchive writes both, this one is enough.
const ATTRIBUTE: &str = "SCHILY.xattr.";

/// What the extended headers before an entry say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extension {
    /// Its path, where the header has no room.
    pub path: Option<String>,
    /// The target of its link, where the header has no room.
    pub link: Option<String>,
    /// Its size.
    pub size: Option<u64>,
    /// Its owner.
    pub uid: Option<u64>,
    /// Its group.
    pub gid: Option<u64>,
    /// Its extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Extension {
    /// Takes in a pax header of `size` bytes (POSIX.1-2024, pax, "pax Extended Header").
    pub fn read_pax(&mut self, reader: &mut dyn Read, size: u64, limits: &Limits) -> Result<(), ReadError> {
        for (key, value) in records(&read_limited(reader, size, limits)?)? {
            let text = || text(value);
            match key {
                "path" => set(&mut self.path, text()?)?,
                "linkpath" => set(&mut self.link, text()?)?,
                "size" => set(&mut self.size, number(value)?)?,
                "uid" => set(&mut self.uid, number(value)?)?,
                "gid" => set(&mut self.gid, number(value)?)?,
                _ => match key.strip_prefix(ATTRIBUTE) {
                    Some(name) => self.add_attribute(name, value)?,
                    None if IGNORED.contains(&key) || key.starts_with("LIBARCHIVE.") => {}
                    None if key.starts_with("SCHILY.") && !key.starts_with("SCHILY.acl.") => {}
                    None => return Err(ReadError::Format(format!("it has a pax record `{}`", key.escape_debug()))),
                },
            }
        }
        Ok(())
    }

    /// Checks a global pax header: it may say only what is ignored.
    pub fn read_global(reader: &mut dyn Read, size: u64, limits: &Limits) -> Result<(), ReadError> {
        let bytes = read_limited(reader, size, limits)?;
        match records(&bytes)?.into_iter().find(|(key, _)| !IGNORED.contains(key)) {
            Some((key, _)) => {
                Err(ReadError::Format(format!("it has a pax record `{}` for all entries", key.escape_debug())))
            }
            None => Ok(()),
        }
    }

    /// Takes in GNU's long path of the next entry.
    pub fn read_long_path(&mut self, reader: &mut dyn Read, size: u64, limits: &Limits) -> Result<(), ReadError> {
        set(&mut self.path, long_name(&read_limited(reader, size, limits)?)?)
    }

    /// Takes in GNU's long link target of the next entry.
    pub fn read_long_link(&mut self, reader: &mut dyn Read, size: u64, limits: &Limits) -> Result<(), ReadError> {
        set(&mut self.link, long_name(&read_limited(reader, size, limits)?)?)
    }

    fn add_attribute(&mut self, name: &str, value: &[u8]) -> Result<(), ReadError> {
        let shown = name.escape_debug();
        // They change what an overlay file system shows, so they are never content.
        if name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") {
            return Err(ReadError::Format(format!("it has the attribute `{shown}`")));
        }
        // XATTR_NAME_MAX and XATTR_SIZE_MAX of Linux.
        if name.is_empty() || name.len() > 255 || name.contains('\0') || value.len() > 65536 {
            return Err(ReadError::Format(format!("the attribute `{shown}` is not one that Linux can hold")));
        }
        if self.xattrs.insert(name.to_owned(), value.to_vec()).is_some() {
            return Err(ReadError::Format(format!("the attribute `{shown}` stands there twice")));
        }
        Ok(())
    }
}

fn read_limited(reader: &mut dyn Read, size: u64, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    if size > limits.extension_bytes {
        return Err(ReadError::Limit { what: "bytes in an extended header", limit: limits.extension_bytes });
    }
    let mut bytes = Vec::new();
    reader.take(size).read_to_end(&mut bytes).map_err(ReadError::from_reader)?;
    if (bytes.len() as u64) < size { Err(ReadError::Truncated) } else { Ok(bytes) }
}

/// Splits `LENGTH KEY=VALUE\n` records; the length is that of the whole record.
fn records(bytes: &[u8]) -> Result<Vec<(&str, &[u8])>, ReadError> {
    let wrong = || ReadError::Format("it has a broken pax header".to_owned());
    let mut records = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = rest.iter().take(20).position(|byte| *byte == b' ').ok_or_else(wrong)?;
        let length = number(rest.get(..space).ok_or_else(wrong)?)?;
        let length = usize::try_from(length).map_err(|_| wrong())?;
        let record = rest.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
        let (key, value) = record.split_at(equals);
        let key = std::str::from_utf8(key).map_err(|_| wrong())?;
        records.push((key, value.get(1..).unwrap_or(&[])));
        rest = rest.get(length..).unwrap_or(&[]);
    }
    Ok(records)
}

fn long_name(bytes: &[u8]) -> Result<String, ReadError> {
    text(bytes.strip_suffix(b"\0").unwrap_or(bytes))
}

fn text(bytes: &[u8]) -> Result<String, ReadError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(ReadError::Format(format!("the name `{}` is not UTF-8 text", bytes.escape_ascii()))),
    }
}

fn number(bytes: &[u8]) -> Result<u64, ReadError> {
    let digits = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| ReadError::Format("a pax record has a broken number".to_owned()))
}

/// Readers of tar disagree on which of two statements counts, so there may be only one.
fn set<T>(place: &mut Option<T>, value: T) -> Result<(), ReadError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ReadError::Format("an extended header says something twice".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Extension, ReadError> {
        let mut extension = Extension::default();
        extension.read_pax(&mut &bytes[..], bytes.len() as u64, &Limits::default())?;
        Ok(extension)
    }

    #[test]
    fn records_are_read_bytewise() {
        let extension = read(b"12 path=a b\n34 SCHILY.xattr.security.ima=\n=\0\xff\n11 uid=123\n").unwrap();
        assert_eq!(extension.path.as_deref(), Some("a b"));
        assert_eq!(extension.uid, Some(123));
        assert_eq!(extension.xattrs["security.ima"], b"\n=\0\xff");
    }

    #[test]
    fn broken_records_are_refused() {
        let cases: [&[u8]; 12] = [
            b"12 path=a b",
            b"99 path=a\n",
            b"0 path=a\n",
            b"3 path=a\n",
            b"path=a\n",
            b"99999999999999999999999 path=a\n",
            b"10 path a\n",
            b"9 path=a\n9 path=b\n",
            b"11 path=a\0\n",
            b"10 uid=-1\n",
            b"22 GNU.sparse.major=1\n",
            b"37 SCHILY.xattr.trusted.overlay.opa=y\n",
        ];
        for case in cases {
            assert!(read(case).is_err(), "{}", case.escape_ascii());
        }
    }

    #[test]
    fn a_claimed_size_is_not_believed() {
        let limits = Limits::default();
        let mut extension = Extension::default();
        let claim = limits.extension_bytes + 1;
        assert!(matches!(
            extension.read_long_path(&mut std::io::repeat(b'a'), claim, &limits),
            Err(ReadError::Limit { .. })
        ));
    }
}
