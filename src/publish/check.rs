//! What a repository says of itself: to whoever looks after it, and whether a machine would believe it.

use std::{collections::BTreeSet, path::Path};

use super::{
    change::shown,
    folder::Folder,
    metadata::{Role, Root, Signed, Tally, Targets, tally, verify},
    repository::{Repository, RepositoryError},
};
use brc_contract::update::Offers;

/// What a repository says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Its roles, the root first; none while nothing is published.
    pub roles: Vec<StatedRole>,
    /// The version that no machine goes beyond.
    pub max_version: Option<String>,
    /// What it offers.
    pub images: Vec<StatedImage>,
    /// How many bytes its targets have.
    pub bytes: u64,
    /// What waits for signatures.
    pub waiting: Vec<Waiting>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedRole {
    /// Which one.
    pub role: Role,
    /// Its version.
    pub version: u64,
    /// When it ends.
    pub expires: String,
    /// How many must sign.
    pub threshold: u64,
    /// The identities of its keys.
    pub keys: Vec<String>,
}

/// An image that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedImage {
    /// Its name and architecture.
    pub image: String,
    /// When its last wave ends, in seconds since 1970.
    pub waves_end: Option<u64>,
    /// Whether no machine takes it.
    pub is_halted: bool,
}

/// What waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose.
    pub role: Role,
    /// Which version it will be.
    pub version: u64,
    /// When it ends.
    pub expires: String,
    /// What it changes, a sentence each.
    pub changes: Vec<String>,
    /// Whose signatures it has and wants: by which version of the root.
    pub tallies: Vec<(u64, Tally)>,
}

impl Waiting {
    /// Whether enough have signed.
    pub fn is_signed(&self) -> bool {
        self.tallies.iter().all(|(_, tally)| tally.is_enough())
    }
}

impl Repository {
    /// Checks everything that a machine would, and every target.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(folder: &Path, now: u64) -> Result<Stated, RepositoryError> {
        let drafted = Repository::look(folder)?;
        if !drafted.is_published() {
            return drafted.state();
        }
        let files = Folder::new(folder);
        let newest = files.newest_root()?;
        let repository = Repository { drafts: drafted.drafts, ..Repository::seen(&files, newest)? };
        let Repository { root, targets, snapshot, timestamp, .. } = &repository;
        verify(root, Role::Root, &root.signed, now)?;
        verify(targets, Role::Targets, &root.signed, now)?;
        verify(snapshot, Role::Snapshot, &root.signed, now)?;
        verify(timestamp, Role::Timestamp, &root.signed, now)?;
        // A machine that has slept comes through all of them.
        let mut before: Signed<Root> = files.read("1.root.json")?;
        for version in 1..=newest {
            let next: Signed<Root> = files.read(&format!("{version}.root.json"))?;
            for by in [&before, &next] {
                verify(&next, Role::Root, &by.signed, 0)?;
            }
            if next.signed.head.version != version {
                let path = files.path().join(format!("metadata/{version}.root.json"));
                let found = next.signed.head.version;
                return Err(RepositoryError::Root { path, found, expected: version });
            }
            before = next;
        }
        for (name, described) in &targets.signed.targets {
            files.check_target(name, described)?;
        }
        repository.state()
    }

    /// What it says, without a look at its targets.
    ///
    /// # Errors
    /// Offers that cannot be read.
    pub fn state(&self) -> Result<Stated, RepositoryError> {
        let waiting = self.waiting()?;
        if !self.is_published() {
            return Ok(Stated { roles: Vec::new(), max_version: None, images: Vec::new(), bytes: 0, waiting });
        }
        let offers = self.offers_of(&self.targets.signed)?;
        let root = &self.root.signed;
        let heads = [&root.head, &self.targets.signed.head, &self.snapshot.signed.head, &self.timestamp.signed.head];
        let role = |(role, head): (Role, &super::metadata::Head)| StatedRole {
            role,
            version: head.version,
            expires: head.expires.clone(),
            threshold: root.roles.get(role.name()).map_or(1, |keys| keys.threshold),
            keys: root.identities(role).into_iter().collect(),
        };
        let images = offers.updates.iter().map(|offer| StatedImage {
            image: shown(offer),
            waves_end: offer.waves.last().map(|last| last.at),
            is_halted: offer.halted,
        });
        Ok(Stated {
            roles: Role::ALL.into_iter().zip(heads).map(role).collect(),
            images: images.collect(),
            bytes: self.targets.signed.targets.values().map(|described| described.length).sum(),
            max_version: offers.max_version.clone(),
            waiting,
        })
    }

    fn waiting(&self) -> Result<Vec<Waiting>, RepositoryError> {
        let mut waiting = Vec::new();
        let next = self.drafts.root.as_ref();
        if let Some(draft) = next {
            let before = self.is_published().then_some(&self.root);
            let by = before.into_iter().chain([draft]);
            waiting.push(Waiting {
                role: Role::Root,
                version: draft.signed.head.version,
                expires: draft.signed.head.expires.clone(),
                changes: root_changes(before.map(|root| &root.signed), &draft.signed),
                tallies: by.map(|by| (by.signed.head.version, tally(draft, Role::Root, &by.signed))).collect(),
            });
        }
        if let Some(draft) = &self.drafts.targets {
            let root = &next.unwrap_or(&self.root).signed;
            waiting.push(Waiting {
                role: Role::Targets,
                version: draft.signed.head.version,
                expires: draft.signed.head.expires.clone(),
                changes: self.offer_changes(draft)?,
                tallies: vec![(root.head.version, tally(draft, Role::Targets, root))],
            });
        }
        Ok(waiting)
    }

    /// What other targets would offer.
    fn offer_changes(&self, draft: &Signed<Targets>) -> Result<Vec<String>, RepositoryError> {
        let new = self.offers_of(&draft.signed)?;
        let old = if self.is_published() { self.offers_of(&self.targets.signed)?.updates } else { Vec::new() };
        let limit = |offers: &Offers| offers.max_version.clone();
        let old_limit = if self.is_published() { limit(&self.offers_of(&self.targets.signed)?) } else { None };
        let mut changes = Vec::new();
        for offer in &new.updates {
            let digest = &offer.root_hash;
            match old.iter().find(|one| shown(one) == shown(offer)) {
                None => changes.push(format!("offers {}, root hash {digest}", shown(offer))),
                Some(one) if one.root_hash != *digest => {
                    changes.push(format!("offers another {}, root hash {digest}", shown(offer)));
                }
                Some(one) if one.halted != offer.halted => {
                    changes.push(format!("{} {}", if offer.halted { "halts" } else { "resumes" }, shown(offer)));
                }
                Some(one) if one != offer => changes.push(format!("offers {} in other waves", shown(offer))),
                Some(_) => {}
            }
        }
        let is_gone = |one: &&brc_contract::update::Offer| !new.updates.iter().any(|offer| shown(offer) == shown(one));
        changes.extend(old.iter().filter(is_gone).map(|one| format!("removes {}", shown(one))));
        if limit(&new) != old_limit {
            changes.push(match limit(&new) {
                Some(most) => format!("no machine goes beyond {most}"),
                None => "takes the limit away".to_owned(),
            });
        }
        Ok(changes)
    }
}

/// What another root says otherwise.
fn root_changes(old: Option<&Root>, new: &Root) -> Vec<String> {
    let mut changes = Vec::new();
    for role in Role::ALL {
        let name = role.name();
        let before = old.map_or_else(BTreeSet::new, |old| old.identities(role));
        let after = new.identities(role);
        changes.extend(after.difference(&before).map(|id| format!("adds key {id} of {name}")));
        changes.extend(before.difference(&after).map(|id| format!("drops key {id} of {name}")));
        let threshold = |root: &Root| root.roles.get(name).map(|keys| keys.threshold);
        if old.and_then(threshold) != threshold(new) {
            changes.push(format!("{name} wants {} of {} signatures", threshold(new).unwrap_or(1), after.len()));
        }
        if old.is_some_and(|old| old.days(role) != new.days(role)) {
            changes.push(format!("{name} counts {} days", new.days(role)));
        }
    }
    changes
}
