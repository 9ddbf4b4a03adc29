//! Folders of files that are named by digests: `FOLDER/ab/abcdef…`.

use std::{
    fs::{self, Metadata},
    io,
    path::PathBuf,
};

use super::{Store, StoreError};
use crate::content::Digest;

/// One file or folder that is named by a digest.
#[derive(Debug)]
pub(super) struct Member {
    pub digest: Digest,
    /// What follows the digest in the name: empty, or `.x`.
    pub suffix: String,
    pub path: PathBuf,
    pub metadata: Metadata,
}

impl Store {
    /// `FOLDER/ab/abcdef…` for a digest.
    pub(super) fn shard(&self, folder: &str, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        // A digest is 64 ASCII digits, so its first two can be had.
        self.dir().join(folder).join(&name[..2]).join(&name)
    }

    /// Everything in a folder that is named by a digest, sorted by name. Other names are passed over.
    pub(super) fn members(&self, folder: &str) -> Result<Vec<Member>, StoreError> {
        let mut members = Vec::new();
        let top = self.dir().join(folder);
        for shard in list(top)? {
            if shard.is_dir() {
                members.extend(list(shard)?.into_iter().filter_map(|path| member(path).transpose()));
            }
        }
        members.into_iter().collect()
    }
}

/// What is in a folder, sorted by name.
pub(super) fn list(folder: PathBuf) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |source| StoreError::io("list", &folder, source);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn member(path: PathBuf) -> Result<Option<Member>, StoreError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((text, suffix)) = name.split_at_checked(64) else { return Ok(None) };
    let Ok(digest) = Digest::parse(text) else { return Ok(None) };
    let suffix = suffix.to_owned();
    match fs::symlink_metadata(&path) {
        Ok(metadata) => Ok(Some(Member { digest, suffix, path, metadata })),
        // Another process has removed it since the folder was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::io("look at", &path, source)),
    }
}
