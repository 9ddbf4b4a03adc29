//! Whose keys count: the first root of a repository, and every root that follows on another.

use std::{collections::BTreeMap, path::Path};

use super::{
    folder::Folder,
    key::{Keys, SigningKey},
    metadata::{Role, RoleKeys, Root},
    repository::{Repository, RepositoryError, Signers, unsigned},
};
use brc_contract::update::{OFFERS_VERSION, Offers};

/// What a root says of each role beside its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many of its keys must sign.
    pub thresholds: BTreeMap<Role, u64>,
    /// How many days its signatures count.
    pub days: BTreeMap<Role, u64>,
}

/// What a new root says otherwise than the one before.
#[derive(Default)]
pub struct RootChange {
    /// Keys that roles get.
    pub added: Vec<(Role, SigningKey)>,
    /// Keys that roles lose, each by the first digits of its identity.
    pub dropped: Vec<(Role, String)>,
    /// Their thresholds and days.
    pub policy: Policy,
}

impl Repository {
    /// Begins a repository in a folder that has none, with all keys of each role that are known; it offers nothing.
    ///
    /// # Errors
    /// A folder that has one, a role without a key, a disk that refuses.
    pub fn init(folder: &Path, policy: &Policy, signers: &Signers<'_>) -> Result<Self, RepositoryError> {
        let files = Folder::new(folder);
        if files.is_begun() {
            return Err(RepositoryError::There { folder: folder.to_owned() });
        }
        let mut root = Root {
            head: Role::Root.head(1, String::new()),
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
        };
        for role in Role::ALL {
            let keys = RoleKeys { keyids: Vec::new(), threshold: 1, days: None };
            root.roles.insert(role.name().to_owned(), keys);
            add_keys(&mut root, role, signers.keys);
            if root.identities(role).is_empty() {
                return Err(RepositoryError::NoKey { role: role.name(), folder: signers.keys.folder().to_owned() });
            }
        }
        apply(&mut root, policy)?;
        let mut repository = Repository::unseen(files, &unsigned(root));
        let root = repository.root.signed.clone();
        repository.root.signed.head = repository.head(Role::Root, &root, 1, signers.now);
        repository.drafts.root = Some(repository.root.clone());
        repository.fit(signers)?;
        if !signers.may_wait {
            super::repository::known(Role::Root, signers.keys, &root)?;
        }
        repository.folder.begin()?;
        repository.lock = Some(repository.folder.lock()?);
        let offers = Offers { manifest_version: OFFERS_VERSION, max_version: None, updates: Vec::new() };
        repository.offer(&offers, signers)?;
        Ok(repository)
    }

    /// Drafts the next root, on top of one that waits already, and publishes it once the root before it and it itself
    /// have enough signatures. Without a change it says the same for longer.
    ///
    /// # Errors
    /// A key that is not there, a threshold that cannot be met, a key that is missing, a disk that refuses.
    pub fn change_root(&mut self, change: &RootChange, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        self.is_all_known(signers)?;
        if !signers.may_wait && self.drafts.root.is_some() {
            return Err(RepositoryError::Waits { path: self.folder.draft_path(Role::Root) });
        }
        let mut root = self.drafts.root.as_ref().unwrap_or(&self.root).signed.clone();
        for (role, key) in &change.added {
            let id = key.identity();
            root.keys.insert(id.clone(), key.public().clone());
            root.roles.entry(role.name().to_owned()).and_modify(|keys| {
                keys.keyids.retain(|known| *known != id);
                keys.keyids.push(id);
            });
        }
        for (role, wanted) in &change.dropped {
            let known = root.identities(*role);
            let mut fitting = known.iter().filter(|id| id.starts_with(wanted.as_str()));
            let (Some(id), None) = (fitting.next(), fitting.next()) else {
                let known = known.iter().map(|id| format!("`{id}`")).collect();
                return Err(RepositoryError::UnknownKey { role: role.name(), key: wanted.clone(), known });
            };
            root.roles.entry(role.name().to_owned()).and_modify(|keys| keys.keyids.retain(|known| known != id));
        }
        let used: Vec<String> = root.roles.values().flat_map(|keys| keys.keyids.clone()).collect();
        root.keys.retain(|id, _| used.contains(id));
        apply(&mut root, &change.policy)?;
        let version = if self.is_published() { self.root.signed.head.version + 1 } else { 1 };
        root.head = self.head(Role::Root, &root, version, signers.now);
        if !self.is_published() {
            self.root.signed = root.clone();
        }
        self.drafts.root = Some(unsigned(root));
        self.settle(Role::Root, signers)
    }
}

fn add_keys(root: &mut Root, role: Role, keys: &Keys) {
    for key in keys.of(role) {
        root.keys.insert(key.identity(), key.public().clone());
        if let Some(keys) = root.roles.get_mut(role.name()) {
            keys.keyids.push(key.identity());
        }
    }
}

/// Sets thresholds and days, and refuses what no role can meet.
fn apply(root: &mut Root, policy: &Policy) -> Result<(), RepositoryError> {
    for role in Role::ALL {
        let Some(keys) = root.roles.get_mut(role.name()) else { continue };
        keys.threshold = policy.thresholds.get(&role).copied().unwrap_or(keys.threshold);
        keys.days = policy.days.get(&role).copied().or(keys.days);
        if keys.threshold == 0 || keys.threshold > keys.keyids.len() as u64 {
            let (threshold, keys) = (keys.threshold, keys.keyids.len());
            return Err(RepositoryError::Threshold { role: role.name(), threshold, keys });
        }
    }
    Ok(())
}
