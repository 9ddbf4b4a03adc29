//! The performer of `Fetch`.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use super::{
    Client, Downloaded, Expect, Place, UnpackError, WantedFile, Watch,
    archive::{Ownership, Unpacker},
    deb::unpack_deb,
    zip::is_zip,
};
use crate::{
    content::{
        Compression, Entry, RelPath, RelPathError, Tree, TreeError,
        tar_reader::{Limits, ReadError},
    },
    plan::{DebianPackage, Extract, Failure, Fault, Fetch, Outcome, Performer, Request, UrlFile},
    store::{Store, StoreError},
};

/// A file by URL whose size nobody knows may be this large.
pub const MAX_URL_BYTES: u64 = 8 << 30;

/// Performs `Action::Fetch` with a client and a store.
#[derive(Clone)]
pub struct Fetcher {
    pub(super) client: Client,
    pub(super) store: Store,
    limits: Limits,
}

impl Fetcher {
    /// A fetcher that puts what it gets into `store`.
    pub fn new(client: Client, store: Store) -> Self {
        Fetcher { client, store, limits: Limits::default() }
    }

    fn debian(&self, package: &DebianPackage, request: &Request<'_>) -> Result<Outcome, Failure> {
        let downloaded = self.client.download(&WantedFile::from(package), watch(request))?;
        let unpacked = unpack_deb(&downloaded.file, &self.store, &self.limits, request.cancelled)
            .map_err(|source| PerformError::unpack(&package.name, source))?;
        let mut outcome = Outcome::new();
        for (name, tree) in [("data", &unpacked.data), ("control", &unpacked.control)] {
            outcome.insert(name.to_owned(), self.store.put_tree(tree).map_err(PerformError::Store)?);
        }
        Ok(outcome)
    }

    fn url(&self, file: &UrlFile, request: &Request<'_>) -> Result<Outcome, Failure> {
        let mut downloaded = self.client.download(&WantedFile::from(file), watch(request))?;
        let tree = match file.extract {
            Extract::Keep => self.keep(&file.name, &mut downloaded)?,
            Extract::Archive => self.unpack(&file.name, &downloaded.file, request).map_err(keepable)?,
        };
        let tree = self.store.put_tree(&tree).map_err(PerformError::Store)?;
        Ok(Outcome::from([("data".to_owned(), tree)]))
    }

    /// Unpacks an archive of strangers, without its single top folder if it has one.
    pub(super) fn unpack(&self, name: &str, file: &File, request: &Request<'_>) -> Result<Tree, PerformError> {
        let unpacker = Unpacker {
            blobs: &self.store,
            limits: &self.limits,
            ownership: Ownership::Dropped,
            cancelled: request.cancelled,
        };
        unpack_archive(file, &unpacker).map_err(|source| PerformError::unpack(name, source))
    }

    fn keep(&self, name: &str, downloaded: &mut Downloaded) -> Result<Tree, PerformError> {
        let path = RelPath::new(name).map_err(|source| PerformError::Name { source })?;
        let (blob, size) = self.store.put_reader(&mut downloaded.file).map_err(PerformError::Store)?;
        let mut tree = Tree::new();
        tree.insert(path, Entry::File { blob, size, executable: false })
            .map_err(|source| PerformError::Place { source })?;
        Ok(tree)
    }
}

/// Names the way out that a file by URL has.
fn keepable(error: PerformError) -> PerformError {
    match error {
        PerformError::Unpack { name, source } if matches!(*source, UnpackError::NoTar { .. }) => {
            PerformError::NoArchive { name, source }
        }
        other => other,
    }
}

/// Unpacks an archive whose kind its first bytes show, without its single top folder if it has one.
fn unpack_archive(file: &File, unpacker: &Unpacker<'_>) -> Result<Tree, UnpackError> {
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let start = reader.fill_buf().map_err(UnpackError::from_reader)?;
    let tree = if is_zip(start) {
        unpacker.unpack_zip(file)?
    } else {
        unpacker.unpack(Compression::of_magic(start), reader)?
    };
    if tree.is_empty() {
        return Err(ReadError::Format("it is no archive, or an empty one".to_owned()).into());
    }
    match single_folder(&tree).and_then(|top| tree.subtree(&top)) {
        Some(below) => Ok(below),
        None => Ok(tree),
    }
}

/// The folder that holds everything else, if there is one.
fn single_folder(tree: &Tree) -> Option<RelPath> {
    let mut tops = tree.entries().filter(|(path, _)| path.parent().is_some_and(|parent| parent.is_root()));
    match (tops.next(), tops.next()) {
        (Some((path, Entry::Directory)), None) => Some(path.clone()),
        _ => None,
    }
}

pub(super) fn watch<'a>(request: &'a Request<'_>) -> Watch<'a> {
    Watch { cancelled: request.cancelled, progress: request.progress }
}

impl From<&DebianPackage> for WantedFile {
    fn from(package: &DebianPackage) -> Self {
        WantedFile {
            name: package.name.clone(),
            place: Place::Mirror(package.located.clone()),
            expect: Expect { sha256: Some(package.sha256), size: Some(package.size), limit: package.size },
        }
    }
}

impl From<&UrlFile> for WantedFile {
    fn from(file: &UrlFile) -> Self {
        WantedFile {
            name: file.name.clone(),
            place: Place::Urls(file.urls.clone()),
            expect: Expect { sha256: Some(file.sha256), size: None, limit: MAX_URL_BYTES },
        }
    }
}

impl Performer<Fetch> for Fetcher {
    fn perform(&self, fetch: &Fetch, request: &Request<'_>) -> Result<Outcome, Failure> {
        match fetch {
            Fetch::Debian(package) => self.debian(package, request),
            Fetch::DebianSource(source) => self.debian_source(source, request),
            Fetch::Url(file) => self.url(file, request),
        }
    }
}

/// What was fetched could not be made a tree.
#[derive(Debug, thiserror::Error)]
pub enum PerformError {
    /// It is not what it should be.
    #[error("`{name}` has the right digest, but cannot be unpacked")]
    Unpack {
        /// What was fetched.
        name: String,
        /// Why not.
        source: Box<UnpackError>,
    },
    /// It is no archive.
    #[error(
        "`{name}` has the right digest, and is no archive that is unpacked: tar, plain or compressed with bzip2, gzip, \
         lzma, xz or zstd, or zip; `unpack=#false` at its `url` keeps it as the one file that it is"
    )]
    NoArchive {
        /// What was fetched.
        name: String,
        /// What it is.
        source: Box<UnpackError>,
    },
    /// The store does not take it.
    #[error("what was fetched cannot be stored")]
    Store(#[source] StoreError),
    /// The name that the file is to get is no path.
    #[error("what was fetched cannot get its name")]
    Name {
        /// What is wrong.
        source: RelPathError,
    },
    /// The name that the file is to get is taken.
    #[error("what was fetched cannot get its name")]
    Place {
        /// What is wrong.
        source: TreeError,
    },
}

impl PerformError {
    fn unpack(name: &str, source: UnpackError) -> Self {
        PerformError::Unpack { name: name.to_owned(), source: Box::new(source) }
    }
}

impl From<PerformError> for Failure {
    fn from(error: PerformError) -> Self {
        let fault = match &error {
            PerformError::Unpack { source, .. } | PerformError::NoArchive { source, .. } => source.fault(),
            PerformError::Store(error) => error.fault(),
            PerformError::Name { .. } | PerformError::Place { .. } => Fault::Build,
        };
        Failure { fault, error: Box::new(error) }
    }
}
