//! The repository of updates, as far as its signed metadata vouches for it.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    pin::Pin,
};

use brc_contract::update::{MAX_OFFERS_BYTES, OFFERS, Offers};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tough::{Limits, RepositoryLoader, TargetName};
use url::Url;

use crate::transport::Http;

/// The clock that tough keeps: it refuses to work before a time that it has seen.
const KNOWN_TIME: &str = "latest_known_time.json";

/// What is known of a repository before it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its metadata is.
    pub metadata: String,
    /// Where its targets are.
    pub targets: String,
    /// The root metadata that is trusted: the image brings it.
    pub root: Vec<u8>,
    /// Where what was seen of it is kept, so that it cannot be taken back.
    pub kept: PathBuf,
}

/// How far the machine's clock is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// What it says, in seconds since 1970.
    pub now: u64,
    /// When the image was made: no machine that runs it is in an earlier time.
    pub floor: u64,
    /// Whether servers of time agree.
    pub is_agreed: bool,
}

/// A repository whose metadata was checked.
pub struct Repository {
    runtime: Runtime,
    repository: tough::Repository,
    kept: PathBuf,
    is_agreed: bool,
}

/// A target as it comes, its size and digest checked at its end.
pub struct Content<'r> {
    runtime: &'r Runtime,
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, tough::error::Error>> + Send + Sync>>,
    rest: Bytes,
    size: u64,
}

impl Repository {
    /// Fetches and checks the metadata.
    ///
    /// # Errors
    /// A clock that is before the image's own time; whatever the framework refuses, by its reason.
    pub fn open(settings: &Settings, clock: &Clock) -> Result<Self, RepositoryError> {
        if clock.now < clock.floor {
            return Err(RepositoryError::Clock { now: clock.now, floor: clock.floor });
        }
        let failed = |source| RepositoryError::Kept { path: settings.kept.clone(), source };
        fs::create_dir_all(&settings.kept).map_err(failed)?;
        forget_time(&settings.kept, clock.is_agreed)?;
        let base = |url: &str| {
            let wrong = |source| RepositoryError::Url { url: url.to_owned(), source };
            let slash = if url.ends_with('/') { "" } else { "/" };
            Url::parse(&format!("{url}{slash}")).map_err(wrong)
        };
        let runtime = Builder::new_current_thread().enable_time().build().map_err(RepositoryError::Runtime)?;
        let loader = RepositoryLoader::new(&settings.root, base(&settings.metadata)?, base(&settings.targets)?)
            .transport(Http::new())
            .limits(Limits::default())
            .datastore(&settings.kept);
        let loaded = runtime.block_on(loader.load());
        forget_time(&settings.kept, clock.is_agreed)?;
        let repository = loaded.map_err(|error| RepositoryError::of(error, clock))?;
        Ok(Repository { runtime, repository, kept: settings.kept.clone(), is_agreed: clock.is_agreed })
    }

    /// What it offers.
    ///
    /// # Errors
    /// When it offers nothing, or what comes is not what is signed or no offer.
    pub fn offers(&self) -> Result<Offers, RepositoryError> {
        let mut content = self.target(OFFERS)?;
        if content.size > MAX_OFFERS_BYTES {
            return Err(RepositoryError::Offers { source: io::ErrorKind::FileTooLarge.into() });
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|source| RepositoryError::Offers { source })?;
        serde_json::from_slice(&bytes).map_err(|error| RepositoryError::Offers { source: error.into() })
    }

    /// How many bytes a target has.
    ///
    /// # Errors
    /// A name that is none, or of nothing.
    pub fn size(&self, name: &str) -> Result<u64, RepositoryError> {
        let missing = || RepositoryError::NoTarget { name: name.to_owned() };
        let wanted = TargetName::new(name).map_err(|_| missing())?;
        let mut all = self.repository.all_targets();
        all.find(|(name, _)| **name == wanted).map(|(_, target)| target.length).ok_or_else(missing)
    }

    /// A target, as it comes.
    ///
    /// # Errors
    /// A name that is none, or of nothing; a server that does not have it.
    pub fn target(&self, name: &str) -> Result<Content<'_>, RepositoryError> {
        let missing = || RepositoryError::NoTarget { name: name.to_owned() };
        let size = self.size(name)?;
        let wanted = TargetName::new(name).map_err(|_| missing())?;
        let opened = self.runtime.block_on(self.repository.read_target(&wanted));
        forget_time(&self.kept, self.is_agreed)?;
        let failed = |source| RepositoryError::Target { name: name.to_owned(), source: Box::new(source) };
        let stream = opened.map_err(failed)?.ok_or_else(missing)?;
        // Who has read to the end may read again.
        Ok(Content { runtime: &self.runtime, stream: Box::pin(stream.fuse()), rest: Bytes::new(), size })
    }
}

/// One start in 2040 must not stop updates until then: a time on which no server has agreed is not remembered.
fn forget_time(kept: &Path, is_agreed: bool) -> Result<(), RepositoryError> {
    let path = kept.join(KNOWN_TIME);
    if is_agreed {
        return Ok(());
    }
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RepositoryError::Kept { path, source }),
        _ => Ok(()),
    }
}

impl Content<'_> {
    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(piece) => self.rest = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let size = buffer.len().min(self.rest.len());
        buffer[..size].copy_from_slice(&self.rest.split_to(size));
        Ok(size)
    }
}

/// The repository says nothing that can be believed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The clock is wrong for certain.
    #[error(
        "the clock is not trusted: it says {}, and the image was made {}; wait for the time servers, or set the clock",
        shown(*now),
        shown(*floor)
    )]
    Clock { now: u64, floor: u64 },
    /// The metadata's time is over.
    #[error("the repository's metadata has expired: whoever publishes updates signs it anew with `brc repo refresh`")]
    Expired { source: Box<tough::error::Error> },
    /// The metadata's time is over by a clock on which nobody agreed.
    #[error("the clock is not trusted: by it the repository's metadata has expired, and no time server has agreed yet")]
    ClockOrExpired { source: Box<tough::error::Error> },
    /// The metadata is not there or not to be believed.
    #[error("the repository is not believed")]
    Metadata { source: Box<tough::error::Error> },
    /// Its address is none.
    #[error("`{url}` is no address of a repository")]
    Url { url: String, source: url::ParseError },
    /// What was seen of it cannot be kept.
    #[error("`{}` cannot be written", path.display())]
    Kept { path: PathBuf, source: io::Error },
    /// The program cannot wait for a server.
    #[error("the program cannot start")]
    Runtime(#[source] io::Error),
    /// There is no such target.
    #[error("the repository has no target `{name}`")]
    NoTarget { name: String },
    /// A target does not come.
    #[error("the target `{name}` cannot be fetched")]
    Target { name: String, source: Box<tough::error::Error> },
    /// What is offered cannot be read.
    #[error("the target `{OFFERS}` cannot be read")]
    Offers { source: io::Error },
}

impl RepositoryError {
    fn of(error: tough::error::Error, clock: &Clock) -> Self {
        let source = Box::new(error);
        match (&*source, clock.is_agreed) {
            (tough::error::Error::ExpiredMetadata { .. }, true) => RepositoryError::Expired { source },
            (tough::error::Error::ExpiredMetadata { .. }, false) => RepositoryError::ClockOrExpired { source },
            _ => RepositoryError::Metadata { source },
        }
    }
}

fn shown(seconds: u64) -> String {
    Timestamp::from_second(seconds as i64).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
