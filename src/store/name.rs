//! Texts as file names and as words of a record: everything unusual is written `%41`.

use super::Store;
use crate::content::Digest;
use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// Names longer than this are replaced by their digest; file systems allow 255 bytes.
const MAX_NAME_BYTES: usize = 200;

/// A text as one file name: it has no `/`, no `:` or `,` (which mount options split at), and starts with no dot.
pub(super) fn file_name(text: &str) -> String {
    let mut name = escape(text.as_bytes(), b"");
    if name.starts_with('.') || name.is_empty() {
        name = format!("%2E{}", name.strip_prefix('.').unwrap_or_default());
    }
    if name.len() > MAX_NAME_BYTES { Digest::of(text.as_bytes()).to_string() } else { name }
}

/// A path as one word.
pub(super) fn path_word(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes(), b"/")
}

/// Any text as one word.
pub(super) fn word(text: &str) -> String {
    escape(text.as_bytes(), b"/:,;=$(){}[]<>|&*?!#\"'\\~^")
}

/// The text of a word; `None` for what [`word`] does not write.
pub(super) fn word_text(word: &str) -> Option<String> {
    String::from_utf8(word_bytes(word)?).ok()
}

/// The path of a word; `None` for what [`path_word`] does not write.
pub(super) fn word_path(word: &str) -> Option<PathBuf> {
    Some(PathBuf::from(OsString::from_vec(word_bytes(word)?)))
}

fn word_bytes(word: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

fn escape(bytes: &[u8], also_plain: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._+@".contains(byte) || also_plain.contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

impl Store {
    /// Where the sandbox of a step that failed may be kept: `failed/NAME`. The folder above is there, this is not
    /// made. What lies there too long goes with the garbage.
    pub fn failed_dir(&self, name: &str) -> PathBuf {
        self.dir().join("failed").join(file_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_one_plain_file_name() {
        for (text, expected) in [
            ("runc.compile", "runc.compile"),
            ("a/b:c", "a%2Fb%3Ac"),
            ("..", "%2E."),
            ("", "%2E"),
            ("ä", "%C3%A4"),
            (&"x".repeat(300), &Digest::of("x".repeat(300).as_bytes()).to_string()),
        ] {
            assert_eq!(file_name(text), expected);
        }
    }

    #[test]
    fn a_path_is_read_back_from_its_word() {
        for path in ["/home/a b/ü", "/", "/x%41\n"] {
            let word = path_word(Path::new(path));
            assert!(!word.contains([' ', '\n']));
            assert_eq!(word_path(&word).as_deref(), Some(Path::new(path)));
        }
        assert_eq!(word_path("%4"), None);
        assert_eq!(word_path("%zz"), None);
    }
}
