//! Files of the machine, each read with a limit.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::PathBuf,
};

/// The files below one folder: `/` on a machine, another one in a test.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// The files below `root`.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Files { root: root.into() }
    }

    /// The content of a file.
    ///
    /// # Errors
    /// When it cannot be read or has more than `limit` bytes.
    pub fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, FileError> {
        let failed = |source| FileError::Read { path: path.to_owned(), source };
        let file = File::open(self.real(path)).map_err(failed)?;
        let mut bytes = Vec::new();
        // Files below /proc and /sys do not know their size: only reading tells.
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > limit {
            return Err(FileError::TooLong { path: path.to_owned(), limit });
        }
        Ok(bytes)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read, has more than `limit` bytes or is not UTF-8.
    pub fn text(&self, path: &str, limit: usize) -> Result<String, FileError> {
        String::from_utf8(self.bytes(path, limit)?).map_err(|_| FileError::NotText { path: path.to_owned() })
    }

    /// The names in a folder, sorted, without those that are not UTF-8.
    ///
    /// # Errors
    /// When it cannot be read or has more than `limit` names.
    pub fn names(&self, path: &str, limit: usize) -> Result<Vec<String>, FileError> {
        let failed = |source| FileError::Read { path: path.to_owned(), source };
        let mut names = Vec::new();
        for (at, entry) in fs::read_dir(self.real(path)).map_err(failed)?.enumerate() {
            if at == limit {
                return Err(FileError::TooMany { path: path.to_owned(), limit });
            }
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// The last name of what a link points to; `None` when there is no such link.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn link(&self, path: &str) -> Result<Option<String>, FileError> {
        match fs::read_link(self.real(path)) {
            Ok(target) => Ok(target.file_name().and_then(|name| name.to_str()).map(str::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileError::Read { path: path.to_owned(), source }),
        }
    }

    fn real(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// A file of the machine does not give what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or may not be read.
    #[error("`{path}` cannot be read")]
    Read { path: String, source: io::Error },
    /// It has more bytes than it can have.
    #[error("`{path}` has more than {limit} bytes")]
    TooLong { path: String, limit: usize },
    /// It has more names than it can have.
    #[error("`{path}` has more than {limit} names")]
    TooMany { path: String, limit: usize },
    /// It is not UTF-8.
    #[error("`{path}` is not UTF-8")]
    NotText { path: String },
}

impl FileError {
    /// Whether there is nothing by that name.
    pub fn is_absence(&self) -> bool {
        matches!(self, FileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
