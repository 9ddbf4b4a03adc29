//! GUIDs, in text order, and the mixed-endian bytes that GPT writes of them.

use std::{error::Error, fmt};

/// A GUID, its 16 bytes in the order in which its text shows them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

/// A text is not a GUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseGuidError {
    text: String,
}

impl Guid {
    /// The GUID that names nothing; the type of an unused partition entry.
    pub const NIL: Guid = Guid([0; 16]);

    /// Takes 16 bytes in text order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Guid(bytes)
    }

    /// The bytes in text order.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The GUID of a number whose hexadecimal digits are its text without dashes; for constants.
    pub const fn from_number(number: u128) -> Self {
        Guid(number.to_be_bytes())
    }

    /// Reads `c12a7328-f81f-11d2-ba4b-00a0c93ec93b`, digits of either case.
    ///
    /// # Errors
    /// When the text has another shape.
    pub fn parse(text: &str) -> Result<Self, ParseGuidError> {
        let wrong = || ParseGuidError { text: text.to_owned() };
        let dashes = [8, 13, 18, 23];
        if text.len() != 36 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut number: u128 = 0;
        for (at, character) in text.chars().enumerate() {
            if dashes.contains(&at) {
                if character != '-' {
                    return Err(wrong());
                }
                continue;
            }
            let digit = character.to_digit(16).ok_or_else(wrong)?;
            number = number << 4 | u128::from(digit);
        }
        Ok(Self::from_number(number))
    }

    /// The bytes as GPT writes them: the first three fields little-endian (UEFI 2.10, appendix A).
    pub const fn mixed_endian(self) -> [u8; 16] {
        swap(self.0)
    }

    /// Reads what GPT has written.
    pub const fn from_mixed_endian(bytes: [u8; 16]) -> Self {
        Guid(swap(bytes))
    }
}

const fn swap(b: [u8; 16]) -> [u8; 16] {
    [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if [4, 6, 8, 10].contains(&at) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl fmt::Display for ParseGuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a GUID: expected a text like `c12a7328-f81f-11d2-ba4b-00a0c93ec93b`", self.text)
    }
}

impl Error for ParseGuidError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_fields_are_swapped_on_disk() {
        let esp = Guid::parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").unwrap();
        let disk = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
        assert_eq!(esp.mixed_endian(), disk);
        assert_eq!(Guid::from_mixed_endian(disk), esp);
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    }

    #[test]
    fn what_is_no_guid_is_refused() {
        for text in ["", "c12a7328f81f11d2ba4b00a0c93ec93b", "c12a7328-f81f-11d2-ba4b-00a0c93ec93g", &"é".repeat(18)] {
            assert!(Guid::parse(text).is_err(), "{text}");
        }
    }
}
