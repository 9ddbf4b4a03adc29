//! Commands that are told to people, ready to be pasted into a shell.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

/// Words as one line of a POSIX shell.
pub fn command_line(words: &[OsString]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it back: bare where that is safe, else in quotes. Control characters and bytes that are not
/// UTF-8 are written as numbers (`$'\x1b'`), since no line that is shown may hold them.
pub fn quoted(word: &OsStr) -> String {
    let bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(byte);
    let bytes = word.as_bytes();
    match word.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(bare) => text.to_owned(),
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let written = |byte: &u8| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            };
            format!("$'{}'", bytes.iter().map(written).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_every_word_back_as_it_was() {
        let words: Vec<OsString> = [
            &b"plain/path_1.kdl"[..],
            b"",
            b"a b",
            b"it's",
            b"$(touch x)",
            b"`id`;*?~!#&|<>\"\\",
            b"new\nline\ttab\x1b]0;x\x07",
            b"caf\xe9",
            "caf\u{e9} \u{65e5}".as_bytes(),
            b"-x",
            b"~",
            b"a=b c",
        ]
        .iter()
        .map(|bytes| OsStr::from_bytes(bytes).to_owned())
        .collect();
        let line = command_line(&words);
        assert!(!line.contains(|letter: char| letter.is_control()), "{line}");
        let script = format!("printf '%s\\0' {line}");
        let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
        let back: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let expected: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).chain([&b""[..]]).collect();
        assert_eq!(back, expected, "{line}");
    }
}
