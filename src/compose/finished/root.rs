//! A finished root, as it is looked at.

use crate::{
    content::{Entry, FolderLinks, RelPath, Tree},
    store::{Store, StoreError},
};

/// A finished root.
pub(super) struct Root<'a> {
    pub(super) tree: &'a Tree,
    links: FolderLinks,
    store: &'a Store,
}

impl<'a> Root<'a> {
    pub(super) fn new(tree: &'a Tree, store: &'a Store) -> Self {
        Root { tree, links: FolderLinks::of([tree]), store }
    }

    /// Where `path` leads in the end, links of folders and its own followed; `None` when nothing is there.
    pub(super) fn real(&self, path: &RelPath) -> Option<RelPath> {
        self.links.real_folder(path).ok().filter(|real| self.tree.entry(real).is_some())
    }

    /// Whether `path` leads to a file that may be executed.
    pub(super) fn is_program(&self, path: &RelPath) -> bool {
        let real = self.real(path).filter(|real| matches!(self.tree.entry(real), Some(Entry::File { .. })));
        real.and_then(|real| self.tree.metadata(&real)).is_some_and(|metadata| metadata.mode & 0o111 != 0)
    }

    /// The text of a file, links followed; `None` when there is none. Bytes that are not UTF-8 are replaced: what is
    /// looked for is ASCII.
    pub(super) fn text(&self, path: &RelPath) -> Result<Option<String>, StoreError> {
        let entry = self.real(path).and_then(|real| self.tree.entry(&real));
        let Some(Entry::File { blob, .. }) = entry else { return Ok(None) };
        self.store.read(*blob).map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
