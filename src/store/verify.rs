//! Verification: every object is hashed again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use rayon::prelude::*;

use super::{
    Memo, Store, StoreError,
    check::{digest_of, open_regular},
    object_id::object_failure,
    reach::Reach,
    shard::Member,
};
use crate::content::Digest;

/// What to do with damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Only tell.
    Report,
    /// Move damaged objects to `damaged` and forget the actions that gave them, so that the next run performs
    /// these again.
    Repair,
}

/// What verification found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Objects that were hashed, whole or damaged.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damaged objects, and where each lies now.
    pub damaged: BTreeMap<Digest, PathBuf>,
    /// Keys of actions whose outcome cannot be used, each with the first object that is damaged or missing.
    pub broken: BTreeMap<Digest, Digest>,
    /// Memo files that are broken themselves.
    pub unreadable: Vec<PathBuf>,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.broken.is_empty() && self.unreadable.is_empty()
    }
}

impl Store {
    /// Hashes every object, on all processors, and looks whether every remembered outcome is whole.
    ///
    /// # Errors
    /// The file system's; damage is no error.
    pub fn verify(&self, mend: Mend) -> Result<VerifyReport, StoreError> {
        let members = self.members("objects")?;
        let states = members.par_iter().map(hash).collect::<Result<Vec<State>, StoreError>>()?;
        let mut report = VerifyReport::default();
        let mut whole = BTreeSet::new();
        for (member, state) in members.iter().zip(states) {
            match state {
                State::Gone => continue,
                State::Whole if member.suffix.is_empty() => {
                    whole.insert(member.digest);
                }
                State::Whole => {}
                State::Damaged => {
                    let path = if mend == Mend::Repair { self.move_damaged(member)? } else { member.path.clone() };
                    report.damaged.insert(member.digest, path);
                }
            }
            report.objects += 1;
            report.bytes += member.metadata.len();
        }
        if mend == Mend::Repair && !report.damaged.is_empty() {
            self.forget_tables();
            // They hold links to the damaged files.
            for checkout in self.members("checkouts")? {
                self.set_aside(&checkout.path)?;
            }
        }
        self.verify_memo(mend, &whole, &mut report)?;
        Ok(report)
    }

    /// The keys of the actions whose outcome contains an object; what to forget when it is damaged or missing.
    ///
    /// Reads every tree that is remembered.
    ///
    /// # Errors
    /// The file system's.
    pub fn keys_naming(&self, object: Digest) -> Result<BTreeSet<Digest>, StoreError> {
        let present = self.members("objects")?.into_iter().map(|member| member.digest).collect();
        let mut keys = BTreeSet::new();
        for member in self.members("memo")? {
            let Some(outcome) = self.read_memo(&member.path, member.digest)? else { continue };
            let mut reach = Reach::new(self, &present);
            reach.outcome(&outcome)?;
            if reach.objects.contains(&object) {
                keys.insert(member.digest);
            }
        }
        Ok(keys)
    }

    fn verify_memo(&self, mend: Mend, whole: &BTreeSet<Digest>, report: &mut VerifyReport) -> Result<(), StoreError> {
        let mut reach = Reach::new(self, whole);
        for Member { digest: key, path, .. } in self.members("memo")? {
            let lacking = match self.read_memo(&path, key)? {
                Some(outcome) => reach.outcome(&outcome)?,
                None => {
                    report.unreadable.push(path);
                    None
                }
            };
            report.broken.extend(lacking.map(|object| (key, object)));
        }
        if mend == Mend::Repair {
            for key in report.broken.keys() {
                self.forget(*key)?;
            }
            for path in &report.unreadable {
                fs::remove_file(path).map_err(|source| StoreError::io("remove", path, source))?;
            }
        }
        Ok(())
    }

    fn move_damaged(&self, member: &Member) -> Result<PathBuf, StoreError> {
        let to = self.dir().join("damaged").join(format!("{}{}", member.digest, member.suffix));
        fs::rename(&member.path, &to).map_err(|source| StoreError::io("move away", &member.path, source))?;
        Ok(to)
    }
}

enum State {
    Whole,
    Damaged,
    /// Another process has removed it meanwhile.
    Gone,
}

fn hash(member: &Member) -> Result<State, StoreError> {
    let failed = |source| object_failure(member.digest, &member.path, source);
    let found = match open_regular(&member.path) {
        Ok(Some(mut file)) => digest_of(&mut file, |_| Ok(()), failed),
        Ok(None) => return Ok(State::Damaged),
        Err(error) => Err(failed(error)),
    };
    match found {
        Ok((digest, _)) if digest == member.digest => Ok(State::Whole),
        Ok(_) | Err(StoreError::Damaged { .. }) => Ok(State::Damaged),
        Err(StoreError::Missing { .. }) => Ok(State::Gone),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Entry, RelPath, Tree};
    use std::os::unix::fs::PermissionsExt;

    fn remember(store: &Store, text: &str) -> (Digest, Digest, Digest) {
        let blob = store.put(text.as_bytes()).unwrap();
        let mut tree = Tree::new();
        let entry = Entry::File { blob, size: text.len() as u64, executable: true };
        tree.insert(RelPath::new("usr/bin/tool").unwrap(), entry).unwrap();
        let tree = store.put_tree(&tree).unwrap();
        let key = Digest::of(format!("key {text}").as_bytes());
        store.remember(key, &BTreeMap::from([("out".to_owned(), tree)])).unwrap();
        (key, tree, blob)
    }

    #[test]
    fn damage_is_named_moved_away_and_what_needs_it_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (bad, bad_tree, blob) = remember(&store, "bad");
        let (good, good_tree, _) = remember(&store, "good");
        let checkout = store.checkout(&[(RelPath::ROOT, bad_tree)]).unwrap().path().to_owned();
        assert!(store.verify(Mend::Report).unwrap().is_clean());
        let path = store.blob_path(blob);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "Bad").unwrap();

        let found = store.verify(Mend::Report).unwrap();
        assert_eq!(found.damaged, BTreeMap::from([(blob, path.clone())]));
        assert_eq!(found.broken, BTreeMap::from([(bad, blob)]));
        assert_eq!(store.keys_naming(blob).unwrap(), BTreeSet::from([bad]));
        assert_eq!(store.keys_naming(good_tree).unwrap(), BTreeSet::from([good]));
        assert!(path.exists());

        let mended = store.verify(Mend::Repair).unwrap();
        assert_eq!(fs::read_to_string(&mended.damaged[&blob]).unwrap(), "Bad");
        assert!(!path.exists() && !checkout.exists());
        assert_eq!(store.recall(bad).unwrap(), None);
        assert!(store.recall(good).unwrap().is_some());
        assert!(store.verify(Mend::Report).unwrap().is_clean());
        remember(&store, "bad");
        assert!(store.checkout(&[(RelPath::ROOT, bad_tree)]).unwrap().path().join("usr/bin/tool").exists());
    }

    #[test]
    fn a_damaged_folder_object_and_a_broken_memo_file_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (key, tree, _) = remember(&store, "one");
        let (torn, ..) = remember(&store, "two");
        fs::remove_file(store.blob_path(tree)).unwrap();
        fs::write(store.shard("memo", torn), "brc-memo 1\n").unwrap();
        let found = store.verify(Mend::Repair).unwrap();
        assert_eq!(found.broken, BTreeMap::from([(key, tree)]));
        assert_eq!(found.unreadable.len(), 1);
        assert!(store.verify(Mend::Report).unwrap().is_clean());
    }
}
