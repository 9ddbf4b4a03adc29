//! Commands that are suggested to people, ready to be pasted into a shell.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::arguments::Subject;

/// Writes commands that are about the same as the one that brc was started with.
#[derive(Debug, Clone)]
pub struct Hints {
    /// This program as a shell finds it.
    program: OsString,
    subject: Subject,
    /// Options that every command about the same has to repeat.
    options: Vec<OsString>,
}

impl Hints {
    /// For a program that was called so, a command line about `subject`, and the options that are repeated.
    pub fn new(called: Option<OsString>, subject: Subject, options: Vec<OsString>) -> Self {
        // A name alone is found by the shell's PATH, whatever it was when brc was started.
        let path = called.filter(|called| Path::new(called).components().count() > 1);
        Hints { program: path.unwrap_or_else(|| "brc".into()), subject, options }
    }

    /// A command about the image of this command line: `brc VERB FILE WORDS…` with every option that makes it the same
    /// image. None where a whole project is meant, as it is while locking.
    pub fn image(&self, verb: &str, words: &[&str]) -> Option<String> {
        let choice = self.subject.choice.as_ref()?;
        let mut line = self.words(verb, words);
        let arch = Some(choice.arch.join(",")).filter(|list| !list.is_empty());
        for (option, value) in [("--variant", choice.variant.clone()), ("--arch", arch)] {
            line.extend(value.into_iter().flat_map(|value| [option.into(), value.into()]));
        }
        Some(command_line(&line))
    }

    /// A command about the whole project of this command line.
    pub fn project(&self, verb: &str, words: &[&str]) -> String {
        command_line(&self.words(verb, words))
    }

    /// A command about files alone.
    pub fn files<'f>(&self, verb: &str, files: impl IntoIterator<Item = &'f PathBuf>) -> String {
        let files = files.into_iter().map(|file| file.clone().into_os_string());
        command_line(&[self.program.clone(), verb.into()].into_iter().chain(files).collect::<Vec<_>>())
    }

    fn words(&self, verb: &str, words: &[&str]) -> Vec<OsString> {
        let mut line = vec![self.program.clone(), verb.into()];
        line.extend(self.subject.file.clone().map(OsString::from));
        line.extend(words.iter().map(OsString::from));
        line.extend(self.options.iter().cloned());
        line
    }
}

/// Words as one line of a POSIX shell.
fn command_line(words: &[OsString]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it back: bare where that is safe, else in quotes. Control characters and bytes that are not
/// UTF-8 are written as numbers (`$'\x1b'`), since no line that is shown may hold them.
fn quoted(word: &OsStr) -> String {
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
    use crate::cli::arguments::Choice;

    #[test]
    fn a_hint_is_about_the_same_image() {
        let choice = Choice { variant: Some("v".to_owned()), arch: vec!["x86_64".to_owned(), "aarch64".to_owned()] };
        let subject = Subject { file: Some("it's.kdl".into()), choice: Some(choice) };
        let hints = Hints::new(Some("./brc".into()), subject, vec!["--store".into(), "s".into()]);
        let image = "./brc shell 'it'\\''s.kdl' runc --failed --store s --variant v --arch x86_64,aarch64";
        assert_eq!(hints.image("shell", &["runc", "--failed"]).as_deref(), Some(image));
        assert_eq!(hints.project("lock", &[]), "./brc lock 'it'\\''s.kdl' --store s");
        let whole = Hints::new(Some("brc".into()), Subject::default(), Vec::new());
        assert_eq!((whole.image("shell", &["runc"]), whole.project("lock", &[])), (None, "brc lock".to_owned()));
        assert_eq!(whole.files("fmt", &["a b".into()]), "brc fmt 'a b'");
    }

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
