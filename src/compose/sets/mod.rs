//! Recipe sets from elsewhere, had before there are recipes: as the lock has them, or as they are found now.
//!
//! Each is a tree of the store, laid out read-only; its digest is computed here, whoever served it.

mod failure;
mod remote;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicBool,
};

pub use self::failure::SetError;
use self::remote::Remote;
use super::{ComposeError, ProjectPlace};
use crate::{
    content::{Digest, Entry, RelPath, Tree, rel_path},
    fetch::{Client, Network},
    lock::{Lock, LockedSet},
    recipe::{ImportedSet, PROJECT_FILE, SourcePath},
    store::{Checkout, Memo as _, Store, StoreError},
};

/// What may be done about the sets of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetGoal {
    /// Those that are locked are taken; recipes cannot be read without the others, which is told with their place.
    AsLocked,
    /// Those that are not locked are looked for.
    Complete,
    /// Those of these names become what their tag or branch is now; without names, all.
    Newest(BTreeSet<String>),
}

/// A recipe set from elsewhere in a folder, which stays as long as this does.
#[derive(Debug, Clone)]
pub struct SetFolder {
    /// What the lock says of it, or will.
    pub locked: LockedSet,
    checkout: Checkout,
}

impl SetFolder {
    /// Where it is, as recipes see it.
    pub(super) fn path(&self) -> SourcePath {
        SourcePath::new(&self.checkout.path().to_string_lossy())
    }

    /// The key by which the store remembers that its tree is wanted.
    pub(super) fn key(&self) -> Digest {
        key_of(self.locked.tree)
    }
}

/// Has recipe sets in folders.
pub struct SetKeeper<'a> {
    /// Where their files are kept.
    pub store: Store,
    /// Fetches them; its mirrors may name other places for them.
    pub client: Client,
    /// Set when everything is to stop.
    pub cancelled: &'a AtomicBool,
    /// Is given a line on what is done.
    pub status: &'a dyn Fn(&str),
}

impl SetKeeper<'_> {
    /// The folders of the sets that a project imports from elsewhere, by their names.
    ///
    /// # Errors
    /// A lock that cannot be read, a set that cannot be had or is another one than is locked.
    pub fn folders(
        &self,
        place: &ProjectPlace,
        imports: &[ImportedSet],
        goal: &SetGoal,
    ) -> Result<BTreeMap<String, SetFolder>, ComposeError> {
        let lock = place.lock()?;
        let mut folders = BTreeMap::new();
        for import in imports {
            // A second import of one name is a mistake, which is told with its place when the recipes are read.
            if folders.contains_key(&import.name) {
                continue;
            }
            let found = self.folder(import, &lock, goal);
            let named = |source| ComposeError::Set { name: import.name.clone(), source: Box::new(source) };
            folders.extend(found.map_err(named)?.map(|folder| (import.name.clone(), folder)));
        }
        Ok(folders)
    }

    fn folder(&self, import: &ImportedSet, lock: &Lock, goal: &SetGoal) -> Result<Option<SetFolder>, SetError> {
        let name = &import.name;
        let locked = lock.sets.get(name).filter(|locked| locked.source == import.source);
        let moves = matches!(goal, SetGoal::Newest(names) if names.is_empty() || names.contains(name));
        match locked {
            Some(locked) if !moves => self.have(name, locked).map(Some),
            None if *goal == SetGoal::AsLocked => Ok(None),
            locked => self.newest(import, locked).map(Some),
        }
    }

    /// A set exactly as it is locked.
    fn have(&self, name: &str, locked: &LockedSet) -> Result<SetFolder, SetError> {
        let has_it = self.store.recall(key_of(locked.tree))?.is_some();
        if has_it && let Some(folder) = self.lay_out(locked)? {
            return Ok(folder);
        }
        if !self.client.vendored_tree(locked.tree, &self.store, self.cancelled).map_err(Box::new)? {
            if self.client.config().network == Network::Offline {
                return Err(SetError::Offline { version: locked.version() });
            }
            let tree = self.fetch_locked(name, locked)?;
            if tree.digest() != locked.tree {
                let (place, pin) = (locked.source.url(), locked.pin.clone());
                return Err(SetError::OtherTree { place, pin, expected: locked.tree, found: tree.digest() });
            }
            self.store.put_tree(&tree)?;
        }
        self.keep(locked.clone())
    }

    /// The files of a set as it is locked, from whoever has them now.
    fn fetch_locked(&self, name: &str, locked: &LockedSet) -> Result<Tree, SetError> {
        (self.status)(&format!("fetching the recipe set `{name}`, {}", locked.version()));
        let remote = Remote::new(&self.client, name, &locked.source, self.cancelled);
        match remote.tree_of(&locked.pin, &self.store) {
            // Whether its name leads elsewhere now is what people want to know.
            Err(error) if error.is_gone() => {
                let now = remote.pin().ok().filter(|now| *now != locked.pin);
                let (place, version) = (locked.source.url(), locked.version());
                Err(SetError::Gone { place, version, set: name.to_owned(), now })
            }
            fetched => fetched,
        }
    }

    /// A set as it is now.
    fn newest(&self, import: &ImportedSet, locked: Option<&LockedSet>) -> Result<SetFolder, SetError> {
        let ImportedSet { name, source } = import;
        let remote = Remote::new(&self.client, name, source, self.cancelled);
        let pin = remote.pin()?;
        if let Some(locked) = locked.filter(|locked| locked.pin == pin) {
            return self.have(name, locked);
        }
        (self.status)(&format!("locking: fetching the recipe set `{name}`, {}", source.version()));
        let tree = remote.tree_of(&pin, &self.store)?;
        if !matches!(tree.entry(&rel_path!(PROJECT_FILE)), Some(Entry::File { .. })) {
            let (place, version) = (source.url(), source.version());
            return Err(SetError::NoSet { place, version });
        }
        let tree = self.store.put_tree(&tree)?;
        self.keep(LockedSet { source: source.clone(), pin, tree })
    }

    /// Remembers that the tree of a set, which is in the store, is wanted, and lays it out.
    fn keep(&self, locked: LockedSet) -> Result<SetFolder, SetError> {
        let outcome = BTreeMap::from([("set".to_owned(), locked.tree)]);
        self.store.remember(key_of(locked.tree), &outcome)?;
        let missing = StoreError::Missing { digest: locked.tree };
        self.lay_out(&locked)?.ok_or(SetError::Store(missing))
    }

    /// A set whose tree is in the store, in a folder; `None` when something of it is lost.
    fn lay_out(&self, locked: &LockedSet) -> Result<Option<SetFolder>, SetError> {
        match self.store.checkout(&[(RelPath::ROOT, locked.tree)]) {
            Ok(checkout) => Ok(Some(SetFolder { locked: locked.clone(), checkout })),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The key of the memory that a set's tree is wanted.
fn key_of(tree: Digest) -> Digest {
    Digest::of(format!("recipe set {tree}").as_bytes())
}
