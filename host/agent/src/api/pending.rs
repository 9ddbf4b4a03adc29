//! Settings that somebody proposes in several calls, and commits in one.

use brc_contract::settings::{MAX_SETTINGS, Value};
use brc_linux::Files;

/// Where they are kept until the machine starts again.
const FOLDER: &str = "/run/brc/settings/pending";
/// So many are open at once.
const MAX_OPEN: usize = 32;
const MAX_NAME: usize = 64;

/// What is proposed under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The file that keeps it.
    pub path: String,
    /// The values so far.
    pub values: Value,
}

impl Pending {
    /// What is proposed under a name, be it nothing.
    ///
    /// # Errors
    /// A name that is none, a file that cannot be read.
    pub fn of(files: &Files, name: &str) -> Result<Self, PendingError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_plain) {
            return Err(PendingError::Name { name: name.to_owned() });
        }
        let path = format!("{FOLDER}/{name}");
        let values = match files.text(&path, 2 * MAX_SETTINGS) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(error) if error.is_absence() => Value::none(),
            Err(error) => return Err(error.into()),
        };
        Ok(Pending { path, values })
    }

    /// The names under which something is proposed.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn open(files: &Files) -> Result<Vec<String>, PendingError> {
        match files.names(FOLDER, MAX_OPEN) {
            Ok(names) => Ok(names),
            Err(error) if error.is_absence() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The file with `values` laid over what it has.
    ///
    /// # Errors
    /// More than may be proposed, or too many proposals at once.
    pub fn with(self, files: &Files, values: Value) -> Result<(String, Vec<u8>), PendingError> {
        let is_new = self.values.is_none();
        let bytes = serde_json::to_vec(&self.values.overlaid(values))?;
        if bytes.len() > MAX_SETTINGS {
            return Err(PendingError::TooMuch);
        }
        if is_new && Pending::open(files)?.len() >= MAX_OPEN {
            return Err(PendingError::TooMany);
        }
        Ok((self.path, bytes))
    }
}

/// What is proposed cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// It cannot be called so.
    #[error(
        "`{}` is no name of a transaction: expected up to {MAX_NAME} letters, digits, `-` and `_`",
        name.escape_debug()
    )]
    Name { name: String },
    /// Its file.
    #[error(transparent)]
    File(#[from] brc_linux::FileError),
    /// Its file is not what this program writes.
    #[error("what is pending cannot be read back: discard it")]
    Format(#[from] serde_json::Error),
    /// It is too long.
    #[error("what is pending would have more than {MAX_SETTINGS} bytes: commit or discard it")]
    TooMuch,
    /// There are too many.
    #[error("{MAX_OPEN} transactions are open: commit or discard one")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_proposed_in_several_calls_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::below(folder.path());
        let below = folder.path().join(FOLDER.trim_start_matches('/'));
        assert_eq!(Pending::open(&files).unwrap(), [""; 0]);
        fs::create_dir_all(&below).unwrap();
        for (name, number) in [("a", 1), ("b", 2)] {
            let values = Value::Integer(number).nested([name].into_iter());
            let (path, bytes) = Pending::of(&files, "mine").unwrap().with(&files, values).unwrap();
            fs::write(folder.path().join(path.trim_start_matches('/')), bytes).unwrap();
        }
        let pending = Pending::of(&files, "mine").unwrap();
        assert_eq!(
            pending.values.at(["a"]).zip(pending.values.at(["b"])),
            Some((&Value::Integer(1), &Value::Integer(2)))
        );
        assert_eq!(Pending::open(&files).unwrap(), ["mine"]);
        for number in 1..MAX_OPEN {
            fs::write(below.join(number.to_string()), "{}").unwrap();
        }
        let more = Pending::of(&files, "more").unwrap().with(&files, Value::none());
        assert!(matches!(more, Err(PendingError::TooMany)));
        for name in ["", "../a", "a/b", "a.b", &"x".repeat(65)] {
            assert!(matches!(Pending::of(&files, name), Err(PendingError::Name { .. })), "{name}");
        }
        fs::write(below.join("bad"), "{").unwrap();
        assert!(matches!(Pending::of(&files, "bad"), Err(PendingError::Format(_))));
    }
}
