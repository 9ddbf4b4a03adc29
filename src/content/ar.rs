//! The outer layer of a Debian package: the members of an `ar` archive (deb(5), ar(5) of Debian).
//!
//! Only what dpkg itself reads is read: names in the header, decimal sizes, no long names. (The crate `ar`
//! panics on a name that points outside of a name table, and allocates whatever a header claims.)

use std::io::{self, Read};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_BYTES: usize = 60;

/// The most decompressed bytes of a package's control archive; the largest in Debian has a few MiB of file lists.
pub const MAX_CONTROL_BYTES: u64 = 64 << 20;

/// The header of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, without padding.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Reads the magic at the start.
///
/// # Errors
/// Something else stands there, or the bytes cannot be had.
pub fn read_magic(reader: &mut dyn Read) -> Result<(), ArError> {
    let mut magic = [0; MAGIC.len()];
    fill(reader, &mut magic)?;
    if &magic == MAGIC { Ok(()) } else { Err(ArError::Format("it does not start with `!<arch>`")) }
}

/// Reads the next member's header; `None` at the end.
///
/// # Errors
/// What is no header that dpkg would take, or bytes that cannot be had.
pub fn read_member(reader: &mut dyn Read) -> Result<Option<Member>, ArError> {
    let mut header = [0; HEADER_BYTES];
    match reader.read(&mut header[..1]).map_err(ArError::Read)? {
        0 => return Ok(None),
        _ => fill(reader, &mut header[1..])?,
    }
    if header[58..] != *b"`\n" {
        return Err(ArError::Format("a member's header does not end with its mark"));
    }
    let text = |from: usize, to: usize| {
        let bytes = header[from..to].iter().copied();
        let is_plain = bytes.clone().all(|byte| (b' '..=b'~').contains(&byte));
        is_plain.then(|| bytes.map(char::from).collect::<String>())
    };
    let name = text(0, 16).ok_or(ArError::Format("a member's name is not plain text"))?;
    let name = name.trim_end_matches(' ');
    // GNU's ar ends names with a slash, deb(5) allows it.
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() || name.contains(['/', ' ']) {
        return Err(ArError::Format("a member has a long or empty name"));
    }
    let size = text(48, 58).ok_or(ArError::Format("a member's size is not a number"))?;
    let digits = size.trim_end_matches(' ');
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ArError::Format("a member's size is not a number"));
    }
    let size = digits.parse().map_err(|_| ArError::Format("a member's size is not a number"))?;
    Ok(Some(Member { name: name.to_owned(), size }))
}

/// Passes over the byte that makes a member's size even; the last one may lack it.
///
/// # Errors
/// The bytes cannot be had.
pub fn skip_padding(reader: &mut dyn Read, member: &Member) -> Result<(), ArError> {
    if member.size % 2 == 1 {
        let mut byte = [0; 1];
        reader.read(&mut byte).map_err(ArError::Read)?;
    }
    Ok(())
}

fn fill(reader: &mut dyn Read, bytes: &mut [u8]) -> Result<(), ArError> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ArError::Format("it ends in the middle of a header"),
        _ => ArError::Read(error),
    })
}

/// An `ar` archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// It is not one.
    #[error("{0}")]
    Format(&'static str),
    /// The bytes cannot be had.
    #[error("the package cannot be read")]
    Read(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, size: &str) -> Vec<u8> {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).into_bytes()
    }

    #[test]
    fn members_are_read_with_and_without_a_slash() {
        for name in ["control.tar.xz", "control.tar.xz/"] {
            let member = read_member(&mut &header(name, "5")[..]).unwrap().unwrap();
            assert_eq!(member, Member { name: "control.tar.xz".into(), size: 5 });
        }
        assert_eq!(read_member(&mut io::empty()).unwrap(), None);
    }

    #[test]
    fn odd_headers_are_refused() {
        let mut bad_mark = header("a", "1");
        bad_mark[58] = b' ';
        let cases = [
            header("/5", "1"),
            header("//", "1"),
            header("#1/9999", "1"),
            header("", "1"),
            header("a", "-1"),
            header("a", "+1"),
            header("a", ""),
            header("a", "0x10"),
            header("a\0b", "1"),
            header("a", "1")[..59].to_vec(),
            bad_mark,
        ];
        for case in cases {
            assert!(read_member(&mut &case[..]).is_err(), "{}", String::from_utf8_lossy(&case));
        }
    }
}
