//! URLs that no lock has seen, each held once to the SHA-256 that its recipe states.
//!
//! Everything else goes by the digest alone. A new version with the digest of the old one would otherwise be the old
//! file under a new name, wherever that is in a store.

use std::collections::BTreeMap;

use super::{ComposeError, Session};
use crate::{
    content::{Digest, Sha256, Url, counted},
    fetch::{Expect, FetchError, MAX_URL_BYTES, Mismatch, Place, WantedFile, Watch},
    lock::{LockError, Problem, Wanted, WantedUrl},
    plan::Progress,
    store::Memo,
};

/// How many URLs are asked at once.
const CONNECTIONS: usize = 8;

impl Session<'_> {
    /// Asks every wanted URL that is not among `seen`, unless this store has seen it; gives what is to be warned of.
    ///
    /// # Errors
    /// A URL that has something else, or that has nothing where no other has it.
    pub(super) fn confirm_urls(
        &self,
        wanted: &Wanted,
        seen: &BTreeMap<Url, Sha256>,
    ) -> Result<Vec<Problem>, ComposeError> {
        let mut unseen = Vec::new();
        for url in wanted.urls.iter().filter(|url| seen.get(&url.url) != Some(&url.sha256)) {
            if self.store.recall(mark(url)).map_err(ComposeError::Store)?.is_none() {
                unseen.push(url);
            }
        }
        if unseen.is_empty() {
            return Ok(Vec::new());
        }
        (self.status)(&format!("locking: fetching {} by URL", counted(unseen.len(), "file")));
        let downloads: Vec<WantedFile> = unseen.iter().map(|url| download(url)).collect();
        let watch = Watch { cancelled: self.cancelled, progress: &|_: Progress| {} };
        let mut failed = Vec::new();
        for (url, result) in unseen.iter().zip(self.client.confirm_all(&downloads, CONNECTIONS, watch)) {
            match result {
                Ok(()) => self.store.remember(mark(url), &BTreeMap::new()).map_err(ComposeError::Store)?,
                Err(error) => failed.push((*url, error)),
            }
        }
        judge(wanted, seen, failed)
    }
}

/// What the store remembers once a URL had what was stated.
fn mark(url: &WantedUrl) -> Digest {
    Digest::of(format!("a file by URL\n{}\n{}\n", url.url.as_str(), url.sha256).as_bytes())
}

fn download(url: &WantedUrl) -> WantedFile {
    WantedFile {
        name: url.url.to_string(),
        place: Place::Urls(vec![url.url.clone()]),
        expect: Expect { sha256: Some(url.sha256), size: None, limit: MAX_URL_BYTES },
    }
}

/// Which failures are mistakes of recipes, which are the outside's, and which hinder nothing.
fn judge(
    wanted: &Wanted,
    seen: &BTreeMap<Url, Sha256>,
    failed: Vec<(&WantedUrl, FetchError)>,
) -> Result<Vec<Problem>, ComposeError> {
    let names: Vec<&Url> = failed.iter().map(|(url, _)| &url.url).collect();
    let (mut mistakes, mut warnings, mut outside) = (Vec::new(), Vec::new(), None);
    for (url, error) in failed {
        let origin = url.origin.clone();
        let has_it = |other: &&WantedUrl| other.sha256 == url.sha256 && !names.contains(&&other.url);
        let other = wanted.urls.iter().find(has_it).filter(|_| error.is_of_one_place());
        let older = seen.iter().find(|(other, sha256)| **sha256 == url.sha256 && **other != url.url);
        match (other, older, found(&error)) {
            (Some(other), _, _) => {
                let message = format!("{error}; `{}` has what is stated", other.url);
                warnings.push(Problem { origin, message });
            }
            (None, Some((older, _)), Some(found)) => {
                let message = format!(
                    "`{}` {found}, and the SHA-256 that is stated for it is that of `{older}`: state the one that its \
                     maker publishes for the new file",
                    url.url
                );
                mistakes.push(Problem { origin, message });
            }
            _ => outside = outside.or(Some(error)),
        }
    }
    match outside {
        _ if !mistakes.is_empty() => Err(ComposeError::Lock(LockError::Unmet(mistakes))),
        Some(error) => Err(ComposeError::Fetch(Box::new(error))),
        None => Ok(warnings),
    }
}

/// What is at a URL in place of what was stated, as the end of a sentence about it; `None` when nobody knows.
fn found(error: &FetchError) -> Option<String> {
    match error {
        FetchError::Mismatch { mismatch, .. } => Some(match **mismatch {
            Mismatch::Sha256 { found, .. } => format!("has the SHA-256 {found}"),
            Mismatch::Size { .. } | Mismatch::TooLong { .. } => "has a file of another size".to_owned(),
        }),
        error => error.is_gone().then(|| "is not there".to_owned()),
    }
}
