//! Small text files with a version in the first line and a digest of everything in the last.
//!
//! ```text
//! brc-NAME VERSION
//! … lines …
//! end BLAKE3-OF-EVERYTHING-ABOVE
//! ```
//!
//! Who owns a format owns its first line and the lines; this file owns only the frame. A file that was torn by a
//! power cut or changed by hand does not fit its last line and counts as not there.

use std::{fs, io, path::Path};

use super::{Store, StoreError, unfinished::Unfinished};
use crate::content::Digest;

/// Frames lines, each of which ends with a line break.
pub(super) fn frame(first: &str, lines: &str) -> String {
    let mut text = format!("{first}\n{lines}");
    let end = Digest::of(text.as_bytes());
    text.push_str(&format!("end {end}\n"));
    text
}

/// The lines inside a frame, or `None` when the frame is another one or broken.
pub(super) fn unframe<'a>(first: &str, text: &'a str) -> Option<&'a str> {
    let at = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (body, end) = text.split_at_checked(at)?;
    let digest = Digest::parse(end.strip_prefix("end ")?.strip_suffix('\n')?).ok()?;
    if digest != Digest::of(body.as_bytes()) {
        return None;
    }
    body.strip_prefix(first)?.strip_prefix('\n')
}

impl Store {
    /// The lines of a record; `None` when it is not there or broken.
    pub(super) fn read_record(&self, path: &Path, first: &str) -> Result<Option<String>, StoreError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(unframe(first, &text).map(str::to_owned)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
            Err(source) => Err(StoreError::io("read", path, source)),
        }
    }

    /// Writes a record, whole or not at all; not flushed.
    pub(super) fn write_record(&self, path: &Path, first: &str, lines: &str) -> Result<(), StoreError> {
        let mut unfinished = Unfinished::create(self)?;
        unfinished.write(frame(first, lines).as_bytes())?;
        unfinished.place(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_record_is_noticed() {
        let text = frame("brc-test 1", "one\ntwo\n");
        assert_eq!(unframe("brc-test 1", &text), Some("one\ntwo\n"));
        assert_eq!(unframe("brc-test 2", &text), None);
        assert_eq!(unframe("brc-test 1", &frame("brc-test 1", "")), Some(""));
        for at in 0..text.len() {
            assert_eq!(unframe("brc-test 1", &text[..at]), None, "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(unframe("brc-test 1", &String::from_utf8(bytes).unwrap()), None, "changed at {at}");
        }
    }
}
