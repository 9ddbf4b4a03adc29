//! One file from the first place that has it, checked.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::PathBuf,
};

use super::{
    Client, FetchError, Location, Mismatch, Network, Place, WantedFile, Watch, parallel::in_parallel, partial::Partial,
    vendor::BY_DIGEST,
};
use crate::content::{RelPath, Sha256};

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

impl Downloaded {
    /// Its content.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map(|_| bytes)
    }

    /// Leaves the file where the next download of it looks first.
    pub fn kept(mut self) -> Self {
        self.path = None;
        self
    }
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
    /// Downloads many files, `connections` at a time, and gives each to `take` as soon as it is there, with its place
    /// in `wanted`; the results are in that order.
    ///
    /// One that fails does not stop the others, so that everything that is gone can be told at once. No file is
    /// held while another is waited for: two processes that want the same ones would wait for each other.
    pub fn download_all<R: Send>(
        &self,
        wanted: &[WantedFile],
        connections: usize,
        watch: Watch<'_>,
        take: impl Fn(usize, Downloaded) -> R + Sync,
    ) -> Vec<Result<R, FetchError>> {
        in_parallel(wanted, connections, |at, wanted| self.download(wanted, watch).map(|file| take(at, file)))
    }

    /// Downloads a file from the first place that has what is expected: vendored folders, then each base of the
    /// mirror or each URL.
    ///
    /// # Errors
    /// What went wrong at the first place that failed otherwise than by not having the file; [`FetchError::Gone`]
    /// when no place has it.
    pub fn download(&self, wanted: &WantedFile, watch: Watch<'_>) -> Result<Downloaded, FetchError> {
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
    pub fn confirm_all(
        &self,
        wanted: &[WantedFile],
        connections: usize,
        watch: Watch<'_>,
    ) -> Vec<Result<(), FetchError>> {
        in_parallel(wanted, connections, |_, wanted| {
            let places = self.places(wanted, false)?;
            let mut partial = Partial::open(&self.config.downloads, wanted, &watch)?;
            partial.start_again()?;
            self.download_from_any(&places, wanted, &mut partial, &watch).map(drop)
        })
    }

    fn download_from_any(
        &self,
        places: &[Location],
        wanted: &WantedFile,
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
    fn vendored_places(&self, wanted: &WantedFile) -> Vec<Location> {
        let Some(sha256) = wanted.expect.sha256 else { return Vec::new() };
        let paths = self.config.vendored.iter().map(|folder| folder.join(BY_DIGEST).join(sha256.to_string()));
        paths.filter(|path| path.is_file()).map(Location::Local).collect()
    }

    /// The places that its mirror or URLs are, in order; none for a mirror that nobody named, where it `is_vendored`.
    fn places(&self, wanted: &WantedFile, is_vendored: bool) -> Result<Vec<Location>, FetchError> {
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
        wanted: &WantedFile,
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

    fn gone(&self, wanted: &WantedFile, places: &[Location]) -> FetchError {
        FetchError::Gone { name: wanted.name.clone(), wanted: wanted.place.clone(), places: places.to_vec() }
    }
}
