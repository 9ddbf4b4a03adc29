//! The files of a repository: metadata and targets, which any server serves, and drafts, which wait for signatures.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use super::metadata::{Described, Hashes, Listing, MAX_METADATA_BYTES, MetadataFile, Role, Signable, Signed, encode};
use crate::content::{Sha256, Sha256Hasher};

const METADATA: &str = "metadata";
const TARGETS: &str = "targets";
const DRAFTS: &str = "drafts";
/// The one file whose name has no version: who reads it knows all the others.
pub const TIMESTAMP: &str = "timestamp.json";
/// How much of a target is copied together.
const PIECE: usize = 1 << 20;
/// What the names of files begin with that are being written.
const TEMPORARY: &str = ".brc-";

/// The folder of a repository.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// A part of an image, as it is read.
pub struct Part<'f> {
    /// The file.
    pub file: &'f mut dyn Read,
    /// Its size in bytes.
    pub size: u64,
}

impl Folder {
    /// The folder at a path, which need not be there.
    pub fn new(path: &Path) -> Self {
        Folder(path.to_owned())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, and the folder for metadata in it: of two who do so at once the second fails.
    pub fn begin(&self) -> Result<(), FolderError> {
        let path = self.0.join(METADATA);
        let made = fs::create_dir_all(&self.0).and_then(|()| fs::create_dir(&path));
        made.map_err(|source| FolderError::Write { path, source })
    }

    /// Whether it was begun.
    pub fn is_begun(&self) -> bool {
        self.0.join(METADATA).exists()
    }

    /// Waits until nobody else changes it.
    pub fn lock(&self) -> Result<File, FolderError> {
        let path = self.0.join(METADATA);
        let locked = File::open(&path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|source| FolderError::Read { path, source })
    }

    /// The version of the newest root; 0 where there is none.
    pub fn newest_root(&self) -> Result<u64, FolderError> {
        let version = |name: &str| name.strip_suffix(".root.json")?.parse::<u64>().ok();
        let names = names(&self.0.join(METADATA))?;
        Ok(names.iter().filter_map(|name| version(name)).max().unwrap_or(0))
    }

    /// Metadata by the name of their file.
    pub fn read<T: Signable>(&self, name: &str) -> Result<Signed<T>, FolderError> {
        read(&self.0.join(METADATA).join(name))
    }

    /// The metadata that a listing vouches for.
    pub fn listed<T: Signable>(&self, listing: &Listing, name: &str) -> Result<Signed<T>, FolderError> {
        let missing = || FolderError::NotListed { name: name.to_owned() };
        let file = listing.meta.get(name).ok_or_else(missing)?;
        let path = self.0.join(METADATA).join(format!("{}.{name}", file.version));
        let bytes = read_bytes(&path)?;
        if (MetadataFile { version: file.version, ..described(&bytes) }) != *file {
            return Err(FolderError::Target { path });
        }
        parse(&path, &bytes)
    }

    /// Writes metadata, and says what they are.
    pub fn write<T: Signable>(&self, name: &str, metadata: &Signed<T>) -> Result<MetadataFile, FolderError> {
        let bytes = encode(metadata).map_err(FolderError::Encode)?;
        write(&self.0.join(METADATA), name, &bytes)?;
        Ok(described(&bytes))
    }

    /// What waits for signatures of a role.
    pub fn draft<T: Signable>(&self, role: Role) -> Result<Option<Signed<T>>, FolderError> {
        let path = self.draft_path(role);
        if path.exists() { read(&path).map(Some) } else { Ok(None) }
    }

    /// Where it is.
    pub fn draft_path(&self, role: Role) -> PathBuf {
        self.0.join(DRAFTS).join(format!("{}.json", role.name()))
    }

    /// Writes what waits for signatures of a role, or takes it away.
    pub fn write_draft<T: Signable>(&self, role: Role, draft: Option<&Signed<T>>) -> Result<(), FolderError> {
        let (folder, path) = (self.0.join(DRAFTS), self.draft_path(role));
        if let Some(draft) = draft {
            fs::create_dir_all(&folder).map_err(|source| FolderError::Write { path: folder.clone(), source })?;
            return write(&folder, &format!("{}.json", role.name()), &encode(draft).map_err(FolderError::Encode)?);
        }
        remove(&path)?;
        // The last one gone, the folder goes; one with something else in it stays.
        fs::remove_dir(&folder).unwrap_or_default();
        Ok(())
    }

    /// Writes a target under its digest.
    pub fn write_target(&self, name: &str, part: Part<'_>) -> Result<Described, FolderError> {
        let folder = self.0.join(TARGETS);
        let refused = |source| FolderError::Write { path: folder.join(name), source };
        fs::create_dir_all(&folder).map_err(refused)?;
        let mut file = temporary(&folder).map_err(refused)?;
        let described = copy(part.file, file.as_file_mut(), part.size).map_err(refused)?;
        if described.length != part.size {
            return Err(refused(io::ErrorKind::UnexpectedEof.into()));
        }
        file.as_file().sync_all().map_err(refused)?;
        file.persist(self.target_path(name, &described)).map_err(|error| refused(error.error))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(refused)?;
        Ok(described)
    }

    /// A small target, which is what the metadata say.
    pub fn read_target(&self, name: &str, described: &Described) -> Result<Vec<u8>, FolderError> {
        let path = self.target_path(name, described);
        let bytes = read_bytes(&path)?;
        if Sha256::of(&bytes).to_string() == described.hashes.sha256 {
            Ok(bytes)
        } else {
            Err(FolderError::Target { path })
        }
    }

    /// Reads a target and compares it with what the metadata say.
    pub fn check_target(&self, name: &str, described: &Described) -> Result<(), FolderError> {
        let path = self.target_path(name, described);
        let failed = |source| FolderError::Read { path: path.clone(), source };
        let mut file = File::open(&path).map_err(failed)?;
        let found = copy(&mut file, &mut io::sink(), u64::MAX).map_err(failed)?;
        if found == *described { Ok(()) } else { Err(FolderError::Target { path }) }
    }

    /// Where a target is.
    pub fn target_path(&self, name: &str, described: &Described) -> PathBuf {
        self.0.join(TARGETS).join(file_name(name, described))
    }

    /// Takes away the targets that are not among these files, metadata of snapshots and targets that are more than one
    /// version old, and what a run left that was cut off; nobody else may be writing.
    pub fn sweep(&self, kept: &BTreeSet<String>, [snapshot, targets]: [u64; 2]) -> Result<(), FolderError> {
        let folder = self.0.join(TARGETS);
        for name in names(&folder)?.iter().filter(|name| !kept.contains(*name)) {
            remove(&folder.join(name))?;
        }
        let folder = self.0.join(METADATA);
        for name in names(&folder)? {
            let is_old = |ending: &str, newest: u64| {
                let version = name.strip_suffix(ending).and_then(|version| version.parse::<u64>().ok());
                // Who has read the timestamp a moment ago still finds what it names.
                version.is_some_and(|version| version + 1 < newest)
            };
            if name.starts_with(TEMPORARY) || is_old(".snapshot.json", snapshot) || is_old(".targets.json", targets) {
                remove(&folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// What the file of a target is called.
pub fn file_name(name: &str, described: &Described) -> String {
    format!("{}.{name}", described.hashes.sha256)
}

/// The names in a folder, sorted; none where there is no folder.
fn names(folder: &Path) -> Result<Vec<String>, FolderError> {
    let failed = |source| FolderError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn remove(path: &Path) -> Result<(), FolderError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FolderError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
    let refused = |source| FolderError::Write { path: folder.join(name), source };
    let mut file = temporary(folder).map_err(refused)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(refused)?;
    file.persist(folder.join(name)).map_err(|error| refused(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(refused)
}

/// What metadata are as a file, but for their version.
pub fn describe<T: Signable>(signed: &Signed<T>) -> Result<MetadataFile, FolderError> {
    Ok(described(&encode(signed).map_err(FolderError::Encode)?))
}

fn described(bytes: &[u8]) -> MetadataFile {
    MetadataFile { version: 0, length: bytes.len() as u64, hashes: Hashes { sha256: Sha256::of(bytes).to_string() } }
}

fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    tempfile::Builder::new().prefix(TEMPORARY).permissions(mode).tempfile_in(folder)
}

/// Copies at most so many bytes, and says what they are.
fn copy(from: &mut dyn Read, to: &mut dyn io::Write, most: u64) -> io::Result<Described> {
    let (mut hasher, mut length) = (Sha256Hasher::default(), 0);
    let mut piece = vec![0; PIECE];
    while length < most {
        let wanted = (most - length).min(PIECE as u64) as usize;
        let size = from.read(&mut piece[..wanted])?;
        if size == 0 {
            break;
        }
        hasher.update(&piece[..size]);
        to.write_all(&piece[..size])?;
        length += size as u64;
    }
    Ok(Described { length, hashes: Hashes { sha256: hasher.finish().to_string() } })
}

/// Metadata in a file, wherever it is.
pub fn read<T: Signable>(path: &Path) -> Result<Signed<T>, FolderError> {
    parse(path, &read_bytes(path)?)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, FolderError> {
    let failed = |source| FolderError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_METADATA_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_METADATA_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

fn parse<T: Signable>(path: &Path, bytes: &[u8]) -> Result<Signed<T>, FolderError> {
    serde_json::from_slice(bytes).map_err(|source| FolderError::Json { path: path.to_owned(), source })
}

/// The files of a repository cannot be read or written, or are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file is not what its name says.
    #[error("`{}` is no metadata", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    /// Metadata cannot be written as text.
    #[error("metadata cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// A file is not listed where it has to be.
    #[error("`{name}` is not listed by the metadata that has to")]
    NotListed { name: String },
    /// A file is not what the metadata says.
    #[error("`{}` is not what the metadata says", path.display())]
    Target { path: PathBuf },
}
