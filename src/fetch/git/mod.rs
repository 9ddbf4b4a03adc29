//! A commit of a git repository, read by brc itself: git's protocol, version 2, over HTTP.
//!
//! Recipe sets are fetched before there are recipes, so before there is a tool set with git in it. What is read here is
//! as little as that takes: a list of references, and one commit with its files and no history. Why it is not a library
//! stands in `docs/design/sets.md`.

mod failure;
mod format_error;
mod name;
mod pack;
mod packet;
mod protocol;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::atomic::AtomicBool;

use self::protocol::Reference;
pub use self::{failure::GitError, format_error::GitFormatError, name::ObjectName, pack::GitLimits};
use super::{
    Client, Network, Watch,
    exchange::{ExchangeError, Question, Reply},
    near::nearest,
};
use crate::{
    content::{Tree, Url},
    store::Blobs,
};

/// The most bytes of an answer that is no pack.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// A repository on a server that was found to have one.
pub struct GitRepository<'c> {
    client: &'c Client,
    /// Where it is in the end: the first answer may have led elsewhere.
    url: Url,
}

impl Client {
    /// Looks for a repository at a URL.
    ///
    /// # Errors
    /// No connection, or something else there.
    pub fn git_repository(&self, url: &Url, watch: &Watch<'_>) -> Result<GitRepository<'_>, GitError> {
        let base = url.as_str().trim_end_matches('/');
        let asked = "/info/refs?service=git-upload-pack";
        if self.config.network == Network::Offline {
            return Err(GitError::Offline { place: url.clone() });
        }
        let question = Question {
            url: Url::new(format!("{base}{asked}")),
            headers: vec![("Git-Protocol", "version=2".to_owned())],
            body: None,
            limit: MAX_LIST_BYTES,
        };
        let reply = self.ask_git(&question, url, watch)?;
        let is_smart = reply.content_type.starts_with("application/x-git-upload-pack-advertisement");
        // Where it leads to is asked from then on, as git does it.
        let Some(found) = reply.url.as_str().strip_suffix(asked).filter(|_| is_smart) else {
            return Err(GitError::NoRepository { place: url.clone(), status: reply.status });
        };
        protocol::read_capabilities(&reply.body).map_err(|source| GitError::Format { place: url.clone(), source })?;
        Ok(GitRepository { client: self, url: Url::new(found) })
    }

    fn ask_git(&self, question: &Question, place: &Url, watch: &Watch<'_>) -> Result<Reply, GitError> {
        let place = || place.clone();
        let reply = self.exchange(question, watch).map_err(|error| match error {
            ExchangeError::Cancelled => GitError::Cancelled,
            ExchangeError::Transfer(source) => GitError::Transfer { place: place(), source },
        })?;
        match reply.status {
            200 => Ok(reply),
            401 | 403 => Err(GitError::Forbidden { place: place(), status: reply.status }),
            status => Err(GitError::NoRepository { place: place(), status }),
        }
    }
}

impl GitRepository<'_> {
    /// The commit of a reference, which is named as a whole: `refs/tags/v1`.
    ///
    /// # Errors
    /// [`GitError::NoReference`] with those that are nearest, or no answer.
    pub fn commit_of(&self, reference: &str, watch: &Watch<'_>) -> Result<ObjectName, GitError> {
        let found = self.list(reference, watch)?.into_iter().find(|found| found.name == reference);
        if let Some(found) = found {
            return Ok(found.commit);
        }
        let folder = reference.rfind('/').map_or("", |at| &reference[..=at]);
        let all = self.list(folder, watch)?;
        let names: Vec<&str> = all.iter().filter_map(|found| found.name.strip_prefix(folder)).collect();
        let near = nearest(reference.strip_prefix(folder).unwrap_or_default(), names);
        Err(GitError::NoReference { place: self.url.clone(), reference: reference.to_owned(), near })
    }

    /// The files of a commit, their bytes in the store.
    ///
    /// # Errors
    /// A commit that the server does not have, a pack that is none, a tree that cannot be kept.
    pub fn tree_of(&self, commit: ObjectName, blobs: &dyn Blobs, watch: &Watch<'_>) -> Result<Tree, GitError> {
        let limits = GitLimits::default();
        let answer = self.ask("git-upload-pack", protocol::fetch_question(commit), limits.pack_bytes, watch)?;
        let read = protocol::read_pack_of(&answer)
            .and_then(|pack| read_git_pack(&pack, commit, blobs, &limits, watch.cancelled));
        read.map_err(|source| match source {
            GitFormatError::Said(said) if said.contains("not our ref") || said.contains("unadvertised object") => {
                GitError::NoCommit { place: self.url.clone(), commit }
            }
            GitFormatError::Cancelled => GitError::Cancelled,
            GitFormatError::Store(source) => GitError::Store(source),
            source => GitError::Format { place: self.url.clone(), source },
        })
    }

    fn list(&self, prefix: &str, watch: &Watch<'_>) -> Result<Vec<Reference>, GitError> {
        let answer = self.ask("git-upload-pack", protocol::list_question(prefix), MAX_LIST_BYTES, watch)?;
        protocol::read_references(&answer).map_err(|source| GitError::Format { place: self.url.clone(), source })
    }

    fn ask(&self, service: &str, body: Vec<u8>, limit: u64, watch: &Watch<'_>) -> Result<Vec<u8>, GitError> {
        let question = Question {
            url: Url::new(format!("{}/{service}", self.url.as_str())),
            headers: vec![
                ("Git-Protocol", "version=2".to_owned()),
                ("Content-Type", format!("application/x-{service}-request")),
                ("Accept", format!("application/x-{service}-result")),
            ],
            body: Some(body),
            limit,
        };
        Ok(self.client.ask_git(&question, &self.url, watch)?.body)
    }
}

/// Reads a pack that was fetched for a commit, as a stranger's: the files of that commit, their bytes in the store.
///
/// # Errors
/// What is wrong with it first.
pub fn read_git_pack(
    pack: &[u8],
    commit: ObjectName,
    blobs: &dyn Blobs,
    limits: &GitLimits,
    cancelled: &AtomicBool,
) -> Result<Tree, GitFormatError> {
    let objects = pack::read_pack(pack, limits, cancelled)?;
    tree::tree_of(&objects, commit, blobs, limits)
}
