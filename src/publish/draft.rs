//! Changes that wait for signatures: made in one place, signed in several, published once enough have signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    folder::{FolderError, file_name, read},
    key::Keys,
    metadata::{
        Described, Role, Root, Signable, Signature, Signed, Tally, Targets, VerifyMetadataError, message, tally, verify,
    },
    repository::{Repository, RepositoryError, Signers, known, unsigned},
};

impl Repository {
    /// Adds signatures to what others may have signed already: those of the keys at hand, and those of copies that were
    /// signed elsewhere; publishes what then has enough.
    ///
    /// # Errors
    /// Nothing that waits, keys that sign none of it, a copy of something else.
    pub fn sign(&mut self, copies: &[PathBuf], signers: &Signers<'_>) -> Result<(), RepositoryError> {
        let before = self.signatures();
        if self.drafts.root.is_none() && self.drafts.targets.is_none() {
            return Err(RepositoryError::NothingWaits { folder: self.folder.path().to_owned() });
        }
        for path in copies {
            self.take_signatures(path)?;
        }
        let version = self.timestamp.signed.head.version;
        self.settle(Role::Root, &Signers { may_wait: true, ..*signers })?;
        if self.timestamp.signed.head.version == version {
            if self.signatures() == before {
                return Err(RepositoryError::NothingSigned { folder: signers.keys.folder().to_owned() });
            }
            return Ok(());
        }
        self.sweep()
    }

    /// What the next version of the targets begins with: what waits, else what machines see.
    pub(super) fn newest_targets(&self) -> &Targets {
        &self.drafts.targets.as_ref().unwrap_or(&self.targets).signed
    }

    /// Drafts the next version of the targets; whoever has signed the one before it signs again.
    pub(super) fn draft_targets(&mut self, targets: BTreeMap<String, Described>, now: u64) {
        let root = self.drafts.root.as_ref().unwrap_or(&self.root);
        let head = self.head(Role::Targets, &root.signed, self.targets.signed.head.version + 1, now);
        self.drafts.targets = Some(unsigned(Targets { head, targets }));
    }

    /// Signs the targets anew as they are.
    ///
    /// # Errors
    /// A key that is missing, a disk that refuses.
    pub fn renew_targets(&mut self, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        self.fit(signers)?;
        self.draft_targets(self.newest_targets().targets.clone(), signers.now);
        self.settle(Role::Targets, signers)
    }

    /// Whether the keys at hand can make a change of the targets as a whole, where that is wanted.
    pub(super) fn fit(&self, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        self.is_all_known(signers)?;
        for role in [Role::Targets, Role::Snapshot, Role::Timestamp] {
            match known(role, signers.keys, &self.root.signed) {
                Err(RepositoryError::NoKey { .. } | RepositoryError::TooFew { .. }) if signers.may_wait => {}
                found => drop(found?),
            }
        }
        Ok(())
    }

    /// Whoever can write to the folder can leave a draft there: unless drafts are spoken of, nothing goes on from one
    /// that says something new and that nobody vouches for.
    pub(super) fn is_all_known(&self, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        let is_new = |draft: &&Signed<Targets>| {
            draft.signed.targets != self.targets.signed.targets
                && !tally(draft, Role::Targets, &self.root.signed).is_enough()
        };
        if !signers.may_wait && self.drafts.targets.as_ref().filter(is_new).is_some() {
            return Err(RepositoryError::Waits { path: self.folder.draft_path(Role::Targets) });
        }
        Ok(())
    }

    /// Signs the drafts with the keys at hand, and publishes what has enough signatures. Where nothing may wait, the
    /// draft of a role is published or nothing is written.
    pub(super) fn settle(&mut self, role: Role, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        self.follow_root(signers.now);
        self.sign_drafts(role, signers.keys)?;
        let ready = self.ready(role, signers.now);
        let is_left = |(root, targets): &(Signed<Root>, Signed<Targets>)| match role {
            Role::Root => self.drafts.root.as_ref().is_some_and(|draft| draft.signed != root.signed),
            _ => self.drafts.targets.as_ref().is_some_and(|draft| draft.signed != targets.signed),
        };
        if !signers.may_wait && ready.as_ref().is_none_or(is_left) {
            if role != Role::Root {
                verify(&self.root, Role::Root, &self.root.signed, signers.now)?;
            }
            return Err(self.too_few(role, signers.keys));
        }
        if let Some((root, _)) = &ready {
            for role in [Role::Snapshot, Role::Timestamp] {
                match known(role, signers.keys, &root.signed) {
                    // Whoever has these keys publishes it.
                    Err(RepositoryError::NoKey { .. } | RepositoryError::TooFew { .. }) if signers.may_wait => {
                        return self.write_drafts();
                    }
                    found => drop(found?),
                }
            }
        }
        // What was signed is on the disk before anything is published: a run that is cut off goes on from it.
        self.write_drafts()?;
        let Some((root, targets)) = ready else { return Ok(()) };
        self.switch(root, targets, signers)?;
        self.drafts.root.take_if(|draft| draft.signed == self.root.signed);
        self.drafts.targets.take_if(|draft| draft.signed == self.targets.signed);
        self.follow_root(signers.now);
        self.write_drafts()
    }

    /// A root that names other keys of the targets needs targets that these have signed, and any needs some that count.
    fn follow_root(&mut self, now: u64) {
        let Some(next) = self.drafts.root.as_ref().filter(|_| self.drafts.targets.is_none()) else { return };
        if verify(&self.targets, Role::Targets, &next.signed, now).is_err() {
            self.draft_targets(self.targets.signed.targets.clone(), now);
        }
    }

    fn write_drafts(&self) -> Result<(), RepositoryError> {
        self.folder.write_draft(Role::Root, self.drafts.root.as_ref())?;
        Ok(self.folder.write_draft(Role::Targets, self.drafts.targets.as_ref())?)
    }

    /// The root and the targets that can be published now, when either is new. The root needs the signatures that it
    /// wants itself and those that the root before it wants (TUF 1.0.33, section 5.3), and targets that it vouches for.
    fn ready(&self, role: Role, now: u64) -> Option<(Signed<Root>, Signed<Targets>)> {
        let is_signed =
            |root: &&Signed<Root>| [&self.root, *root].iter().all(|by| tally(root, Role::Root, &by.signed).is_enough());
        let next = self.drafts.root.as_ref().filter(is_signed).map(|root| (root, true));
        let old = Some((&self.root, false)).filter(|_| self.is_published());
        // Targets that say the same again are there for the root that waits; the one before needs none.
        let is_change = |targets: &&Signed<Targets>| {
            role == Role::Targets || self.drafts.root.is_none() || targets.signed.targets != self.targets.signed.targets
        };
        next.into_iter().chain(old).find_map(|(root, is_new)| {
            verify(root, Role::Root, &root.signed, now).ok()?;
            let counts = |targets: &&Signed<Targets>| verify(targets, Role::Targets, &root.signed, now).is_ok();
            let drafted = self.drafts.targets.as_ref().filter(|targets| is_new || is_change(targets)).filter(counts);
            let seen = Some(&self.targets).filter(|_| is_new && self.is_published()).filter(counts);
            Some((root.clone(), drafted.or(seen)?.clone()))
        })
    }

    /// Adds the signatures of the keys at hand, and drops those that count for nobody. Who changes the targets signs no
    /// root that happens to wait.
    fn sign_drafts(&mut self, role: Role, keys: &Keys) -> Result<(), RepositoryError> {
        let mut roots = vec![self.root.signed.clone()];
        roots.extend(self.drafts.root.as_ref().map(|draft| draft.signed.clone()));
        let is_asked = role == Role::Root || !self.is_published();
        if let Some(draft) = self.drafts.root.as_mut().filter(|_| is_asked) {
            sign_with(draft, Role::Root, &roots, keys)?;
        }
        if let Some(draft) = &mut self.drafts.targets {
            sign_with(draft, Role::Targets, &roots, keys)?;
        }
        Ok(())
    }

    /// Takes the signatures of a copy that says the same as a draft.
    fn take_signatures(&mut self, path: &Path) -> Result<(), RepositoryError> {
        fn taken<T: Signable>(draft: Option<&mut Signed<T>>, path: &Path) -> Result<bool, FolderError> {
            let Some(draft) = draft else { return Ok(false) };
            let copy = match read::<T>(path) {
                // A copy of the other role's draft has another shape.
                Err(FolderError::Json { .. }) => return Ok(false),
                copy => copy?,
            };
            let is_same = copy.signed == draft.signed;
            draft.signatures.extend(copy.signatures.into_iter().filter(|_| is_same));
            Ok(is_same)
        }
        if taken(self.drafts.root.as_mut(), path)? || taken(self.drafts.targets.as_mut(), path)? {
            return Ok(());
        }
        Err(RepositoryError::OtherDraft { path: path.to_owned() })
    }

    /// Who has signed what waits.
    fn signatures(&self) -> Vec<Signature> {
        let root = self.drafts.root.iter().flat_map(|draft| &draft.signatures);
        root.chain(self.drafts.targets.iter().flat_map(|draft| &draft.signatures)).cloned().collect()
    }

    /// Why the draft of a role cannot be published with these keys alone.
    fn too_few(&self, role: Role, keys: &Keys) -> RepositoryError {
        let next = self.drafts.root.as_ref();
        let roots = [Some(&self.root), next].into_iter().flatten().map(|root| &root.signed);
        let tallies: Vec<Tally> = match (role, next, &self.drafts.targets) {
            (Role::Root, Some(draft), targets) => {
                let of_targets = targets.iter().map(|targets| tally(targets, Role::Targets, &draft.signed));
                roots.map(|by| tally(draft, Role::Root, by)).chain(of_targets).collect()
            }
            (_, _, Some(draft)) => vec![tally(draft, Role::Targets, &self.root.signed)],
            _ => Vec::new(),
        };
        let lacking = tallies.iter().enumerate().find(|(_, tally)| !tally.is_enough());
        let role = if role == Role::Root && lacking.is_none_or(|(at, _)| at < 2) { Role::Root } else { Role::Targets };
        let (found, wanted) = lacking.map_or((0, 1), |(_, tally)| (tally.found.len() as u64, tally.threshold));
        RepositoryError::TooFew { role: role.name(), folder: keys.folder().to_owned(), found, wanted }
    }

    /// Takes files away that neither machines nor drafts refer to any more.
    pub(super) fn sweep(&self) -> Result<(), RepositoryError> {
        let all = [Some(&self.targets), self.drafts.targets.as_ref()];
        let kept: BTreeSet<String> = all
            .into_iter()
            .flatten()
            .flat_map(|targets| &targets.signed.targets)
            .map(|(name, described)| file_name(name, described))
            .collect();
        Ok(self.folder.sweep(&kept, [self.snapshot.signed.head.version, self.targets.signed.head.version])?)
    }
}

/// Signs a draft with the keys at hand that one of the roots names, and drops the signatures of others.
fn sign_with<T: Signable>(
    draft: &mut Signed<T>,
    role: Role,
    roots: &[Root],
    keys: &Keys,
) -> Result<(), RepositoryError> {
    let message = message(&draft.signed).ok_or(VerifyMetadataError::Form { role: role.name() })?;
    let wanted: BTreeSet<String> = roots.iter().flat_map(|root| root.identities(role)).collect();
    let mut seen = BTreeSet::new();
    draft.signatures.retain(|one| {
        let key = roots.iter().find_map(|root| root.keys.get(&one.keyid));
        key.is_some_and(|key| one.counts(key, &message))
            && wanted.contains(&one.keyid)
            && seen.insert(one.keyid.clone())
    });
    for key in keys.of(role).filter(|key| key.can_sign()) {
        let id = key.identity();
        if wanted.contains(&id) && !seen.contains(&id) {
            draft.signatures.push(key.signature(&message)?);
        }
    }
    draft.signatures.sort_by(|one, other| one.keyid.cmp(&other.keyid));
    Ok(())
}
