//! Where a recipe set is asked for: at its mirrors, or else where recipes say that it is.

use std::sync::atomic::AtomicBool;

use super::SetError;
use crate::{
    content::{Fault, Tree, Url},
    fetch::{Client, Location, ObjectName, Watch},
    plan::Progress,
    recipe::{Reference, Revision, SetSource},
    store::Store,
};

/// A recipe set on servers.
pub(super) struct Remote<'a> {
    client: &'a Client,
    /// The name that mirrors are named by.
    name: &'a str,
    source: &'a SetSource,
    cancelled: &'a AtomicBool,
}

impl<'a> Remote<'a> {
    pub(super) fn new(client: &'a Client, name: &'a str, source: &'a SetSource, cancelled: &'a AtomicBool) -> Self {
        Remote { client, name, source, cancelled }
    }

    /// The commit or manifest that the source is now.
    pub(super) fn pin(&self) -> Result<String, SetError> {
        let full = match self.source {
            SetSource::Git { revision: Revision::Commit(commit), .. } => return Ok(commit.clone()),
            SetSource::Git { revision: Revision::Tag(tag), .. } => format!("refs/tags/{tag}"),
            SetSource::Git { revision: Revision::Branch(branch), .. } => format!("refs/heads/{branch}"),
            SetSource::Oci { reference: Reference::Digest(digest), .. } => return Ok(digest.to_string()),
            SetSource::Oci { reference: Reference::Tag(tag), .. } => {
                return self.of_first(|url, watch| Ok(self.client.oci_artifact(url, tag, watch)?.manifest.to_string()));
            }
        };
        self.of_first(|url, watch| {
            let commit = self.client.git_repository(url, watch)?.commit_of(&full, watch)?;
            Ok(commit.to_string())
        })
    }

    /// The files of a commit or manifest, their bytes in the store.
    pub(super) fn tree_of(&self, pin: &str, store: &Store) -> Result<Tree, SetError> {
        match self.source {
            SetSource::Git { .. } => {
                let name = ObjectName::parse(pin).ok_or_else(|| SetError::NoCommit { text: pin.to_owned() })?;
                self.of_first(|url, watch| Ok(self.client.git_repository(url, watch)?.tree_of(name, store, watch)?))
            }
            SetSource::Oci { .. } => self.of_first(|url, watch| {
                let artifact = self.client.oci_artifact(url, &format!("sha256:{pin}"), watch)?;
                Ok(self.client.oci_tree(url, &artifact, store, watch)?)
            }),
        }
    }

    /// What the first place says that can; else why the first one cannot.
    fn of_first<T>(&self, ask: impl Fn(&Url, &Watch<'_>) -> Result<T, SetError>) -> Result<T, SetError> {
        let ignore = |_: Progress| {};
        let watch = Watch { cancelled: self.cancelled, progress: &ignore };
        let mut first = None;
        for url in &self.places()? {
            match ask(url, &watch) {
                Ok(found) => return Ok(found),
                Err(error) if error.fault() == Fault::Cancelled => return Err(error),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| SetError::Offline { version: self.source.version() }))
    }

    fn places(&self) -> Result<Vec<Url>, SetError> {
        let place = |mirror: &'a Location| match mirror {
            Location::Server(url) => Ok(url.clone()),
            Location::Local(_) => Err(SetError::LocalMirror { place: mirror.to_string() }),
        };
        let mirrors = self.client.config().mirrors.bases(self.name);
        match mirrors {
            [] => Ok(vec![self.source.url()]),
            mirrors => mirrors.iter().map(place).collect(),
        }
    }
}
