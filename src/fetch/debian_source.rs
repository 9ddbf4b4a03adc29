//! Debian source packages of format 3.0: several archives become one tree (dpkg-source(1)).

use super::{
    Expect, Place, WantedFile,
    perform::{Fetcher, PerformError, watch},
};
use crate::{
    content::{Tree, TreeError},
    plan::{DebianSource, Failure, Outcome, Request},
};

impl Fetcher {
    /// Fetches every archive of a source package and lays them out; their patches are not applied.
    pub(super) fn debian_source(&self, source: &DebianSource, request: &Request<'_>) -> Result<Outcome, Failure> {
        let mut tree = Tree::new();
        for archive in &source.files {
            let wanted = WantedFile {
                name: archive.located.path.rsplit('/').next().unwrap_or(&source.name).to_owned(),
                place: Place::Mirror(archive.located.clone()),
                expect: Expect { sha256: Some(archive.sha256), size: Some(archive.size), limit: archive.size },
            };
            let downloaded = self.client.download(&wanted, watch(request))?;
            let content = self.unpack(&wanted.name, &downloaded.file, request)?;
            if !archive.at.is_root() {
                tree.remove(&archive.at);
            }
            let content = content.moved_to(&archive.at);
            content.and_then(|content| lay(&mut tree, &content)).map_err(|source| PerformError::Place { source })?;
        }
        let tree = self.store.put_tree(&tree).map_err(PerformError::Store)?;
        Ok(Outcome::from([("data".to_owned(), tree)]))
    }
}

fn lay(tree: &mut Tree, content: &Tree) -> Result<(), TreeError> {
    for (path, entry) in content.entries() {
        let metadata = content.metadata(path).unwrap_or_else(|| entry.plain_metadata());
        tree.insert_with(path.clone(), entry.clone(), metadata)?;
    }
    Ok(())
}
