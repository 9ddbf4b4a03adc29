//! What systemd-boot tells the running system in EFI variables (Boot Loader Interface).

/// The longest variable that is read, in bytes.
pub const MAX_VARIABLE: usize = 4096;

/// The file with the variable `name` of the Boot Loader Interface.
pub fn variable_path(name: &str) -> String {
    format!("/sys/firmware/efi/efivars/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
}

/// The text in the file of a variable: four bytes of attributes (Linux, `filesystems/efivarfs.rst`), then UTF-16
/// little-endian that ends with NUL.
///
/// # Errors
/// When it is anything else.
pub fn text(variable: &[u8]) -> Result<String, VariableError> {
    let mut texts = texts(variable)?;
    match (texts.pop(), texts.is_empty()) {
        (Some(text), true) => Ok(text),
        (None, _) => Err(VariableError::NoEnd),
        (Some(_), false) => Err(VariableError::EarlyEnd),
    }
}

/// The texts in the file of a variable that lists them: as for [`text`], each ends with NUL.
///
/// # Errors
/// When it is anything else.
pub fn texts(variable: &[u8]) -> Result<Vec<String>, VariableError> {
    let content = variable.get(4..).ok_or(VariableError::Short)?;
    if content.len() % 2 != 0 {
        return Err(VariableError::HalfUnit);
    }
    let units: Vec<u16> = content.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let texts = match units.as_slice() {
        [] => return Ok(Vec::new()),
        [texts @ .., 0] => texts.split(|unit| *unit == 0),
        _ => return Err(VariableError::NoEnd),
    };
    texts.map(|text| String::from_utf16(text).map_err(|_| VariableError::NotText)).collect()
}

/// A variable holds no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// Not even attributes.
    #[error("it has less than the 4 bytes of its attributes")]
    Short,
    /// An odd number of bytes.
    #[error("it has half a UTF-16 unit")]
    HalfUnit,
    /// No NUL at the end.
    #[error("it does not end with NUL")]
    NoEnd,
    /// A NUL before the end.
    #[error("it has a NUL in its middle")]
    EarlyEnd,
    /// A surrogate without its partner.
    #[error("it is not UTF-16")]
    NotText,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_texts_are_read() {
        let cases: [(&[u8], Result<&str, VariableError>); 8] = [
            (b"\x06\0\0\0a\0\xe9\0\0\0", Ok("aé")),
            (b"\x06\0\0\0\0\0", Ok("")),
            (b"", Err(VariableError::Short)),
            (b"\x06\0\0", Err(VariableError::Short)),
            (b"\x06\0\0\0", Err(VariableError::NoEnd)),
            (b"\x06\0\0\0a\0\0", Err(VariableError::HalfUnit)),
            (b"\x06\0\0\0a\0\0\0b\0\0\0", Err(VariableError::EarlyEnd)),
            (b"\x06\0\0\0\0\xd8\0\0", Err(VariableError::NotText)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes).as_deref(), expected.as_ref().map(|text| *text), "{bytes:?}");
        }
        assert_eq!(texts(b"\x06\0\0\0a\0\0\0b\0\0\0"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(texts(b"\x06\0\0\0"), Ok(Vec::new()));
        assert_eq!(texts(b"\x06\0\0\0a\0\0\0b\0"), Err(VariableError::NoEnd));
    }
}
