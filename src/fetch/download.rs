//! One file from the first place that has it, checked.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::PathBuf,
};

use super::{
    Client, Location, LocationError, Network,
    archive::UnpackError,
    client::Watch,
    partial::Partial,
    transfer::TransferError,
    vendor::{BY_DIGEST, in_parallel},
};
use crate::{
    content::{Digest, RelPath, RelPathError, Sha256, Url},
    plan::{Failure, Fault, Located},
};

/// A file that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it is, for people: `runc`, `trixie InRelease`.
    pub name: String,
    /// Where it may be.
    pub place: Place,
    /// What it must be.
    pub expect: Expect,
}

/// Where a file may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below each base of a mirror.
    Mirror(Located),
    /// At one of these URLs, in order.
    Urls(Vec<Url>),
}

/// What a file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Its SHA-256; without one the caller checks it in another way (a signature).
    pub sha256: Option<Sha256>,
    /// Its size in bytes, where it is known.
    pub size: Option<u64>,
    /// The most bytes that are taken when the size is not known.
    pub limit: u64,
}

impl Expect {
    /// The most bytes that may come.
    pub(super) fn most(&self) -> u64 {
        self.size.unwrap_or(self.limit)
    }
}

/// A file that is there and is what was expected. Its place in `downloads` is freed when this goes.
#[derive(Debug)]
pub struct Downloaded {
    /// The file, open for reading at its start; nobody else writes it.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256,
    path: Option<PathBuf>,
}

impl Drop for Downloaded {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A file that stays is found and checked by the next run.
            let _ = fs::remove_file(path);
        }
    }
}

impl Client {
    /// Downloads a file from the first place that has what is expected: vendored folders, then each base of the
    /// mirror or each URL.
    ///
    /// # Errors
    /// What went wrong at the first place that failed otherwise than by not having the file; [`FetchError::Gone`]
    /// when no place has it.
    pub fn download(&self, wanted: &Wanted, watch: Watch<'_>) -> Result<Downloaded, FetchError> {
        let mut places = self.vendored_places(wanted);
        places.extend(self.places(wanted, !places.is_empty())?);
        let mut partial = Partial::open(&self.config.downloads, wanted, &watch)?;
        let sha256 = self.download_from_any(&places, wanted, &mut partial, &watch)?;
        let size = partial.size();
        let (file, path) = partial.finish()?;
        Ok(Downloaded { file, size, sha256, path })
    }

    /// Fetches each file from its own places, `connections` at a time, whatever is here or in vendored folders already;
    /// the results are in the order of `wanted`. What came stays where the next download of it looks first.
    ///
    /// This is how a URL is held to a digest: that something with the digest is here does not say that it is there.
    pub fn confirm_all(&self, wanted: &[Wanted], connections: usize, watch: Watch<'_>) -> Vec<Result<(), FetchError>> {
        in_parallel(wanted, connections, |wanted| {
            let places = self.places(wanted, false)?;
            let mut partial = Partial::open(&self.config.downloads, wanted, &watch)?;
            partial.start_again()?;
            self.download_from_any(&places, wanted, &mut partial, &watch).map(drop)
        })
    }

    fn download_from_any(
        &self,
        places: &[Location],
        wanted: &Wanted,
        partial: &mut Partial,
        watch: &Watch<'_>,
    ) -> Result<Sha256, FetchError> {
        let mut failed: Option<FetchError> = None;
        for place in places {
            match self.download_from(place, wanted, partial, watch) {
                Ok(sha256) => return Ok(sha256),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    failed = match failed {
                        Some(earlier) if !earlier.is_gone() || error.is_gone() => Some(earlier),
                        _ => Some(error),
                    };
                }
            }
        }
        match failed {
            Some(error) if !error.is_gone() => Err(error),
            _ => Err(self.gone(wanted, places)),
        }
    }

    /// The vendored files that may be it.
    fn vendored_places(&self, wanted: &Wanted) -> Vec<Location> {
        let Some(sha256) = wanted.expect.sha256 else { return Vec::new() };
        let paths = self.config.vendored.iter().map(|folder| folder.join(BY_DIGEST).join(sha256.to_string()));
        paths.filter(|path| path.is_file()).map(Location::Local).collect()
    }

    /// The places that its mirror or URLs are, in order; none for a mirror that nobody named, where it `is_vendored`.
    fn places(&self, wanted: &Wanted, is_vendored: bool) -> Result<Vec<Location>, FetchError> {
        match &wanted.place {
            Place::Mirror(located) => {
                let path = RelPath::new(&located.path)
                    .map_err(|source| FetchError::Path { name: wanted.name.clone(), source })?;
                let bases = self.config.mirrors.bases(&located.mirror);
                if bases.is_empty() && !is_vendored {
                    return Err(FetchError::NoMirror {
                        name: wanted.name.clone(),
                        mirror: located.mirror.clone(),
                        variable: located.mirror.to_ascii_uppercase().replace('-', "_"),
                    });
                }
                Ok(bases.iter().map(|base| base.below(&path)).collect())
            }
            Place::Urls(urls) => {
                let wrong = |source| FetchError::Place { name: wanted.name.clone(), source };
                urls.iter().map(|url| Location::parse(url.as_str()).map_err(wrong)).collect()
            }
        }
    }

    /// Downloads from one place and checks what came; what was begun elsewhere is gone on with, and thrown away
    /// when the whole turns out wrong.
    fn download_from(
        &self,
        place: &Location,
        wanted: &Wanted,
        partial: &mut Partial,
        watch: &Watch<'_>,
    ) -> Result<Sha256, FetchError> {
        let name = || wanted.name.clone();
        if matches!(place, Location::Server(_)) && self.config.network == Network::Offline {
            if partial.size() > 0 && wanted.expect.sha256 == Some(partial.sha256()) {
                return Ok(partial.sha256());
            }
            return Err(FetchError::Offline { name: name(), place: place.clone() });
        }
        loop {
            let resumed = partial.size() > 0;
            let mismatch = match self.attempt(place, wanted, partial, watch)? {
                Some(mismatch) => mismatch,
                None => match wanted.expect.sha256 {
                    Some(expected) if expected != partial.sha256() => {
                        Mismatch::Sha256 { expected, found: partial.sha256() }
                    }
                    _ => return Ok(partial.sha256()),
                },
            };
            partial.start_again()?;
            // The bytes that were there before may have been the wrong ones; those are tried once only.
            if !resumed {
                return Err(FetchError::Mismatch { name: name(), place: place.clone(), mismatch: Box::new(mismatch) });
            }
        }
    }

    fn gone(&self, wanted: &Wanted, places: &[Location]) -> FetchError {
        FetchError::Gone { name: wanted.name.clone(), wanted: wanted.place.clone(), places: places.to_vec() }
    }
}

/// How a file differs from what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It has another digest.
    #[error("expected SHA-256 {expected}, found {found}")]
    Sha256 {
        /// What the lock states.
        expected: Sha256,
        /// What came.
        found: Sha256,
    },
    /// It has another size.
    #[error("expected {expected} bytes, found {found}")]
    Size {
        /// What the lock states.
        expected: u64,
        /// What came or was announced.
        found: u64,
    },
    /// It is longer than anything of its kind may be.
    #[error("expected at most {limit} bytes, more came")]
    TooLong {
        /// The most that is taken.
        limit: u64,
    },
}

/// A file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody said who serves an archive.
    #[error(
        "no mirror is known for `{mirror}`, which has `{name}`: give `--mirror {mirror}=URL`, set \
         `BRC_MIRROR_{variable}=URL`, or name one in the configuration"
    )]
    NoMirror {
        /// What was wanted.
        name: String,
        /// The mirror's name.
        mirror: String,
        /// The end of the variable's name.
        variable: String,
    },
    /// A URL cannot be read.
    #[error("`{name}` cannot be fetched")]
    Place {
        /// What was wanted.
        name: String,
        /// What is wrong.
        source: LocationError,
    },
    /// A path in an archive cannot be read.
    #[error("`{name}` cannot be fetched: its path in the archive is wrong")]
    Path {
        /// What was wanted.
        name: String,
        /// What is wrong.
        source: RelPathError,
    },
    /// The network would be needed.
    #[error("`{name}` is not here and `--offline` forbids to fetch it from {place}: run once without, or `brc vendor`")]
    Offline {
        /// What was wanted.
        name: String,
        /// Where it would have been looked for.
        place: Location,
    },
    /// No place has the file.
    #[error("`{name}` ({wanted}) is gone: not at {}", list(places))]
    Gone {
        /// What was wanted.
        name: String,
        /// The mirror and the path in it, or the URLs.
        wanted: Place,
        /// Where it was looked for.
        places: Vec<Location>,
    },
    /// A place failed.
    #[error("`{name}` could not be fetched from {place} (tries: {tries})")]
    Transfer {
        /// What was wanted.
        name: String,
        /// Where it was looked for.
        place: Location,
        /// How often it was tried.
        tries: u32,
        /// What happened last.
        source: TransferError,
    },
    /// A place has something else.
    #[error("`{name}` from {place} is not what the lock states: {mismatch}")]
    Mismatch {
        /// What was wanted.
        name: String,
        /// Where it came from.
        place: Location,
        /// How it differs.
        mismatch: Box<Mismatch>,
    },
    /// A vendored folder has another tree.
    #[error("`{path}` is not what the lock states: expected the tree {expected}, found {found}; vendor it again")]
    OtherTree {
        /// The file.
        path: PathBuf,
        /// What the lock states.
        expected: Digest,
        /// What it holds.
        found: Digest,
    },
    /// What a vendored folder has is no tree.
    #[error("`{path}` cannot be unpacked: vendor it again")]
    NoTree {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<UnpackError>,
    },
    /// The disk failed.
    #[error("the download `{path}` could not be {doing}")]
    Disk {
        /// What was done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The fetch was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Mirror(located) => write!(f, "{}: {}", located.mirror, located.path),
            Place::Urls(urls) => urls.first().map_or(Ok(()), |url| write!(f, "{url}")),
        }
    }
}

/// Places as people read them.
fn list(places: &[Location]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl FetchError {
    /// Whether every place said that it does not have the file.
    pub fn is_gone(&self) -> bool {
        matches!(self, FetchError::Gone { .. } | FetchError::Transfer { source: TransferError::Gone, .. })
    }

    /// Whether one place failed, and what another place has can still be trusted.
    pub fn is_of_one_place(&self) -> bool {
        matches!(self, FetchError::Gone { .. } | FetchError::Transfer { .. } | FetchError::Offline { .. })
    }

    /// The file of a mirror that every place said it does not have.
    pub fn gone(&self) -> Option<&Located> {
        match self {
            FetchError::Gone { wanted: Place::Mirror(located), .. } => Some(located),
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            FetchError::Gone { wanted: Place::Mirror(_), .. } => Some(
                "`brc update` takes what there is now; or name a mirror that keeps old files, or a folder of `brc vendor`",
            ),
            FetchError::Gone { .. } => Some("correct `url` in the recipe, or name a second one that has the file"),
            FetchError::Transfer { .. } => Some("look at the network and at proxies, or name another mirror or `url`"),
            FetchError::Mismatch { .. } => Some(
                "it is not the file that was locked: if that is meant, correct `sha256` in the recipe or run \
                 `brc update`; if not, do not trust that server",
            ),
            _ => None,
        }
    }

    /// Whether another place cannot help.
    fn is_final(&self) -> bool {
        matches!(self, FetchError::Disk { .. } | FetchError::Cancelled)
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            FetchError::NoMirror { .. } | FetchError::Offline { .. } | FetchError::Disk { .. } => Fault::Machine,
            FetchError::Transfer { source, .. } if source.is_local() => Fault::Machine,
            FetchError::NoTree { source, .. } => source.fault(),
            FetchError::Cancelled => Fault::Cancelled,
            _ => Fault::Outside,
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Failure { fault: error.fault(), error: Box::new(error) }
    }
}
