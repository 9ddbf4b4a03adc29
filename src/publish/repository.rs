//! A repository in a folder: opened, and switched from one state to the next.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    folder::{Folder, FolderError, TIMESTAMP, describe},
    key::{KeyError, Keys, SigningKey},
    metadata::{
        Head, Listing, MetadataFile, Role, Root, Signable, Signed, Targets, VerifyMetadataError, message, verify,
    },
};
use crate::content::{DAY_SECONDS, date_text};
use brc_contract::update::{OFFERS, Offers, ScheduleError};

/// With which keys a change is signed, and when.
#[derive(Clone, Copy)]
pub struct Signers<'k> {
    /// The keys at hand.
    pub keys: &'k Keys,
    /// The time, in seconds since 1970.
    pub now: u64,
    /// Whether others sign what these keys cannot: without it a change is made as a whole or not at all.
    pub may_wait: bool,
}

/// A repository in a folder, whose signatures were checked when it was opened.
pub struct Repository {
    pub(super) folder: Folder,
    /// Whoever changes a repository has it alone.
    pub(super) lock: Option<File>,
    /// What machines see. Before anything was published the root is the draft's, and the others have version 0.
    pub(super) root: Signed<Root>,
    pub(super) targets: Signed<Targets>,
    pub(super) snapshot: Signed<Listing>,
    pub(super) timestamp: Signed<Listing>,
    pub(super) drafts: Drafts,
}

/// What waits for signatures: the next version of each.
#[derive(Debug, Clone, Default)]
pub struct Drafts {
    /// The next root.
    pub root: Option<Signed<Root>>,
    /// The next targets.
    pub targets: Option<Signed<Targets>>,
}

impl Repository {
    /// Opens a repository whose every signature counts; that their time is over is passed over, which signing anew mends.
    ///
    /// # Errors
    /// A folder without a repository, or metadata that is not to be believed.
    pub fn open(folder: &Path) -> Result<Self, RepositoryError> {
        let files = Folder::new(folder);
        if !files.is_begun() {
            return Err(RepositoryError::None { folder: folder.to_owned() });
        }
        let lock = Some(files.lock()?);
        Ok(Repository { lock, ..Repository::look(folder)? })
    }

    /// As [`Repository::open`], without keeping others from it.
    pub(super) fn look(folder: &Path) -> Result<Self, RepositoryError> {
        let files = Folder::new(folder);
        let newest = files.newest_root()?;
        let draft: Option<Signed<Root>> = files.draft(Role::Root)?;
        let is_halfway = newest > 0 && draft.as_ref().is_some_and(|draft| draft.signed.head.version == newest);
        let mut repository = match (Repository::seen(&files, newest), &draft) {
            // A root was written, and the run cut off before all that it vouches for: it goes on from its drafts.
            (Err(_), Some(draft)) if newest == 0 || is_halfway && newest == 1 => Repository::unseen(files, draft),
            (Err(_), Some(_)) if is_halfway => Repository::seen(&files, newest - 1)?,
            (seen, _) => seen?,
        };
        repository.drafts.targets = repository.next(Role::Targets, repository.targets.signed.head.version)?;
        let before = if repository.is_published() { repository.root.signed.head.version } else { 0 };
        repository.drafts.root = repository.next(Role::Root, before)?;
        Ok(repository)
    }

    /// What machines see that have come to this root.
    pub(super) fn seen(folder: &Folder, root: u64) -> Result<Self, RepositoryError> {
        if root == 0 {
            return Err(RepositoryError::None { folder: folder.path().to_owned() });
        }
        let root: Signed<Root> = folder.read(&format!("{root}.root.json"))?;
        let timestamp: Signed<Listing> = folder.read(TIMESTAMP)?;
        let snapshot: Signed<Listing> = folder.listed(&timestamp.signed, "snapshot.json")?;
        let targets: Signed<Targets> = folder.listed(&snapshot.signed, "targets.json")?;
        signed_for(&root, Role::Root, &root.signed)?;
        signed_for(&targets, Role::Targets, &root.signed)?;
        signed_for(&snapshot, Role::Snapshot, &root.signed)?;
        signed_for(&timestamp, Role::Timestamp, &root.signed)?;
        Ok(Repository {
            folder: folder.clone(),
            lock: None,
            root,
            targets,
            snapshot,
            timestamp,
            drafts: Drafts::default(),
        })
    }

    /// A repository of which machines see nothing yet, with the root that it will begin with.
    pub(super) fn unseen(folder: Folder, root: &Signed<Root>) -> Self {
        let nothing = |role: Role| unsigned(Listing { head: role.head(0, String::new()), meta: BTreeMap::new() });
        Repository {
            folder,
            lock: None,
            root: root.clone(),
            targets: unsigned(Targets { head: Role::Targets.head(0, String::new()), targets: BTreeMap::new() }),
            snapshot: nothing(Role::Snapshot),
            timestamp: nothing(Role::Timestamp),
            drafts: Drafts::default(),
        }
    }

    /// Whether machines see anything of it.
    pub(super) fn is_published(&self) -> bool {
        self.targets.signed.head.version > 0
    }

    /// The draft of what follows a version; an older one was published when a run was cut off.
    fn next<T: Signable>(&self, role: Role, version: u64) -> Result<Option<Signed<T>>, RepositoryError> {
        let Some(draft) = self.folder.draft::<T>(role)?.filter(|draft| draft.signed.head().version > version) else {
            return Ok(None);
        };
        let head = draft.signed.head();
        if *head != role.head(version + 1, head.expires.clone()) {
            let (path, found) = (self.folder.draft_path(role), head.version);
            return Err(RepositoryError::Draft { path, role: role.name(), found, expected: version + 1 });
        }
        Ok(Some(draft))
    }

    /// What a role's next version says of itself.
    pub(super) fn head(&self, role: Role, root: &Root, version: u64, now: u64) -> Head {
        role.head(version, date_text(now + root.days(role) * DAY_SECONDS))
    }

    /// What it offers, as some targets have it.
    pub(super) fn offers_of(&self, targets: &Targets) -> Result<Offers, RepositoryError> {
        let missing = || RepositoryError::NoOffers { folder: self.folder.path().to_owned() };
        let described = targets.targets.get(OFFERS).ok_or_else(missing)?;
        let bytes = self.folder.read_target(OFFERS, described)?;
        let path = self.folder.target_path(OFFERS, described);
        serde_json::from_slice(&bytes).map_err(|source| FolderError::Json { path, source }.into())
    }

    /// Signs snapshot and timestamp anew, so that they count for longer; neither the root's nor the targets' key is
    /// needed.
    ///
    /// # Errors
    /// A key that is missing, a disk that refuses, a root or targets whose time is over.
    pub fn refresh(&mut self, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        let folder = || self.folder.path().to_owned();
        if !self.is_published() {
            return Err(RepositoryError::Unpublished { folder: folder() });
        }
        if self.folder.newest_root()? > self.root.signed.head.version {
            return Err(RepositoryError::Halfway { folder: folder() });
        }
        verify(&self.root, Role::Root, &self.root.signed, signers.now)?;
        verify(&self.targets, Role::Targets, &self.root.signed, signers.now)?;
        let (root, targets) = (self.root.clone(), self.targets.clone());
        self.switch(root, targets, signers)
    }

    /// Makes a root and targets, both signed enough, what machines see: signs a snapshot with these targets and a
    /// timestamp of it. The last rename is what machines see.
    pub(super) fn switch(
        &mut self,
        root: Signed<Root>,
        targets: Signed<Targets>,
        signers: &Signers<'_>,
    ) -> Result<(), RepositoryError> {
        let listing = |role: Role, old: &Signed<Listing>, name: &str, file: MetadataFile| {
            let head = self.head(role, &root.signed, old.signed.head.version + 1, signers.now);
            let listing = Listing { head, meta: BTreeMap::from([(name.to_owned(), file)]) };
            signed(role, listing, signers.keys, &root.signed)
        };
        let is_published = self.is_published();
        // Both keys are looked for before anything is written.
        let version = targets.signed.head.version;
        let described = MetadataFile { version, ..describe(&targets)? };
        let snapshot = listing(Role::Snapshot, &self.snapshot, "targets.json", described)?;
        let version = snapshot.signed.head.version;
        let described = MetadataFile { version, ..describe(&snapshot)? };
        let timestamp = listing(Role::Timestamp, &self.timestamp, "snapshot.json", described)?;
        if targets.signed.head.version > self.targets.signed.head.version {
            self.folder.write(&format!("{}.targets.json", targets.signed.head.version), &targets)?;
        }
        self.folder.write(&format!("{version}.snapshot.json"), &snapshot)?;
        // Next to each other: in between machines see a root and a timestamp that need not go together.
        if root.signed != self.root.signed || !is_published {
            self.folder.write(&format!("{}.root.json", root.signed.head.version), &root)?;
        }
        self.folder.write(TIMESTAMP, &timestamp)?;
        (self.root, self.targets, self.snapshot, self.timestamp) = (root, targets, snapshot, timestamp);
        Ok(())
    }
}

/// As [`verify`], whatever the time is.
fn signed_for<T: Signable>(signed: &Signed<T>, role: Role, root: &Root) -> Result<(), RepositoryError> {
    Ok(verify(signed, role, root, 0)?)
}

pub(super) fn unsigned<T>(signed: T) -> Signed<T> {
    Signed { signatures: Vec::new(), signed }
}

fn signed<T: Signable>(role: Role, value: T, keys: &Keys, root: &Root) -> Result<Signed<T>, RepositoryError> {
    let message = message(&value).ok_or(VerifyMetadataError::Form { role: role.name() })?;
    let signatures =
        known(role, keys, root)?.into_iter().map(|key| key.signature(&message)).collect::<Result<_, _>>()?;
    Ok(Signed { signatures, signed: value })
}

/// The keys of a role at hand that a root knows, as many as it wants: what other keys sign nobody believes, and it would
/// stand in the way of what is right.
pub(super) fn known<'k>(role: Role, keys: &'k Keys, root: &Root) -> Result<Vec<&'k SigningKey>, RepositoryError> {
    let (role, folder, ids) = (role.name(), || keys.folder().to_owned(), root.identities(role));
    let all: Vec<_> = keys.all().filter(|(of, key)| of.name() == role && key.can_sign()).map(|(_, key)| key).collect();
    if all.is_empty() {
        return Err(RepositoryError::NoKey { role, folder: folder() });
    }
    let known: Vec<_> = all.into_iter().filter(|key| ids.contains(&key.identity())).collect();
    let (found, wanted) = (known.len() as u64, root.roles.get(role).map_or(1, |keys| keys.threshold));
    if known.is_empty() {
        return Err(RepositoryError::OtherKey { role, folder: folder() });
    }
    if found < wanted {
        return Err(RepositoryError::TooFew { role, folder: folder(), found, wanted });
    }
    Ok(known)
}

/// A repository does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is none.
    #[error("`{}` holds no repository", folder.display())]
    None { folder: PathBuf },
    /// There is one.
    #[error("`{}` holds a repository already", folder.display())]
    There { folder: PathBuf },
    /// A role cannot sign.
    #[error("there is no key of `{role}` in `{}`: expected `{role}.pem`; with `--draft` somebody else signs", folder.display())]
    NoKey { role: &'static str, folder: PathBuf },
    /// The keys at hand are not those of the repository.
    #[error("the key of `{role}` in `{}` is not the one that the repository's root names; nothing was written", folder.display())]
    OtherKey { role: &'static str, folder: PathBuf },
    /// A role wants more signatures than there are keys.
    #[error("`{role}` wants {wanted} signatures, and `{}` has {found} of its keys; nothing was written: with `--draft` others sign the rest by `brc repo sign`", folder.display())]
    TooFew { role: &'static str, folder: PathBuf, found: u64, wanted: u64 },
    /// A role would want what it can never have.
    #[error("`{role}` would want {threshold} signatures and have {}: expected at least 1, and no more than it has keys", crate::content::counted(*keys, "key"))]
    Threshold { role: &'static str, threshold: u64, keys: usize },
    /// A key is to go that is not there.
    #[error("`{role}` has no key `{key}` that could go: its keys are {}", known.join(", "))]
    UnknownKey { role: &'static str, key: String, known: Vec<String> },
    /// An image is not offered.
    #[error("`{image}` is not offered: what is offered is {}", offered.join(", "))]
    NotOffered { image: String, offered: Vec<String> },
    /// Machines need an image.
    #[error("`{image}` stays, and nothing was removed: {why}")]
    Needed { image: String, why: String },
    /// A draft follows on something else.
    #[error("`{}` is no draft of version {expected} of `{role}` (it says {found}): what it was made from has changed; remove it and make the change again", path.display())]
    Draft { path: PathBuf, role: &'static str, found: u64, expected: u64 },
    /// A root stands under another's name.
    #[error("`{}` is root {found}: expected {expected}", path.display())]
    Root { path: PathBuf, found: u64, expected: u64 },
    /// A copy of a draft says something else.
    #[error("`{}` is no copy of a draft that waits in the repository: signatures are taken from what says the same", path.display())]
    OtherDraft { path: PathBuf },
    /// Something else waits.
    #[error("`{}` waits for signatures, which this change would go on from: see `brc repo check`, then sign it with `brc repo sign`, remove it, or go on from it with `--draft`", path.display())]
    Waits { path: PathBuf },
    /// Nothing waits for signatures.
    #[error("nothing waits for signatures in `{}`", folder.display())]
    NothingWaits { folder: PathBuf },
    /// No key at hand signs what waits.
    #[error("no key in `{}` signs what waits, or all of them have: `brc repo check` says which keys are missing", folder.display())]
    NothingSigned { folder: PathBuf },
    /// There is nothing to sign anew.
    #[error("`{}` has not been published yet: its drafts wait for `brc repo sign`", folder.display())]
    Unpublished { folder: PathBuf },
    /// A run was cut off.
    #[error("a new root of `{}` was being published when it was cut off: `brc repo sign` goes on with it", folder.display())]
    Halfway { folder: PathBuf },
    /// Metadata is not to be believed.
    #[error(transparent)]
    Metadata(#[from] VerifyMetadataError),
    /// Waves are no schedule.
    #[error(transparent)]
    Waves(#[from] ScheduleError),
    /// It says nothing of what it offers.
    #[error("the repository in `{}` has no target `{OFFERS}`", folder.display())]
    NoOffers { folder: PathBuf },
    /// Its files are not as they should be.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}
