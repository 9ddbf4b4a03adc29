//! Names of objects: SHA-1 over kind, size and bytes.

use std::fmt;

use sha1_checked::Sha1;

use super::GitFormatError;

/// The name of an object of git, by which its bytes are checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName([u8; ObjectName::BYTES]);

impl ObjectName {
    /// Its bytes.
    pub(super) const BYTES: usize = 20;

    /// Takes the bytes of a name.
    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(ObjectName)
    }

    /// Reads 40 hexadecimal digits, in small letters.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 2 * Self::BYTES || !text.bytes().all(is_digit) {
            return None;
        }
        let mut name = [0; Self::BYTES];
        for (byte, digits) in name.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(ObjectName(name))
    }

    /// The name of an object. Bytes that were made to share a name with others, as SHA-1 lets one do, are refused as
    /// git refuses them.
    pub(super) fn of(kind: &str, bytes: &[u8]) -> Result<Self, GitFormatError> {
        let mut hasher = Sha1::new();
        sha1_checked::Digest::update(&mut hasher, format!("{kind} {}\0", bytes.len()));
        sha1_checked::Digest::update(&mut hasher, bytes);
        checked(hasher)
    }

    /// The SHA-1 of bytes.
    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, GitFormatError> {
        let mut hasher = Sha1::new();
        sha1_checked::Digest::update(&mut hasher, bytes);
        checked(hasher)
    }
}

fn checked(hasher: Sha1) -> Result<ObjectName, GitFormatError> {
    let result = hasher.try_finalize();
    if result.has_collision() {
        return Err(GitFormatError::new("an object was made to have the SHA-1 of another one"));
    }
    Ok(ObjectName((*result.hash()).into()))
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectName({self})")
    }
}
