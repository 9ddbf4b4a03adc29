//! Locking from end to end, against small archives made here.

mod built_from;
mod closure;
mod elsewhere;
mod indices;
mod inherit;
mod keeping;
mod source;
mod text;
mod tree;
mod trust;

#[path = "../../../tests/support"]
#[expect(dead_code, reason = "shared with the tests in `tests/`, which use all of it")]
mod support {
    pub mod archive;
    pub mod package;
}

use std::collections::BTreeMap;

use brc_contract::Architecture;

pub(super) use super::*;
pub(super) use support::{
    archive::{ArchiveKey, KeySpec, NOW, PackageSpec, SourceSpec, SubkeySpec, SuiteSpec},
    package,
};

/// The files of all mirrors, by mirror and path.
type Files = BTreeMap<(String, String), Vec<u8>>;

/// An archive and what is served of it.
pub(super) struct World {
    pub(super) archive: Archive,
    pub(super) files: Files,
}

impl World {
    /// An archive of these suites, signed by the default key.
    pub(super) fn new(suites: &[SuiteSpec]) -> World {
        World::signed(suites, &ArchiveKey::new(&KeySpec::default()))
    }

    pub(super) fn signed(suites: &[SuiteSpec], key: &ArchiveKey) -> World {
        let mut files = Files::new();
        let mut named = Vec::new();
        for suite in suites {
            for (path, bytes) in suite.files(key) {
                files.insert((suite.mirror.clone(), path), bytes);
            }
            named.push(Suite {
                name: suite.name.clone(),
                mirror: suite.mirror.clone(),
                only_when_named: suite.name.ends_with("-backports"),
                accept_expired: false,
                areas: suite.areas.iter().map(|area| (*area).to_owned()).collect(),
            });
        }
        World {
            archive: Archive { name: "debian".to_owned(), suites: named, keyrings: vec![key.certificate()] },
            files,
        }
    }

    /// Replaces a file, or all those whose path ends so.
    pub(super) fn change(&mut self, end: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut found = false;
        for ((_, path), bytes) in &mut self.files {
            if path.ends_with(end) {
                found = true;
                change(bytes);
            }
        }
        assert!(found, "{end}");
    }

    pub(super) fn wanting(&self, closures: Vec<Closure>) -> Wanted {
        Wanted { archives: vec![self.archive.clone()], closures, ..Wanted::default() }
    }

    /// Locks a tool set of these packages from nothing.
    pub(super) fn tool(&self, packages: &[&str]) -> Result<(Lock, Report), LockError> {
        self.lock(self.wanting(vec![closure(packages)]), &Lock::default(), Goal::Complete)
    }

    pub(super) fn lock(&self, wanted: Wanted, old: &Lock, goal: Goal) -> Result<(Lock, Report), LockError> {
        self.lock_counting(wanted, old, goal).map(|(lock, report, _)| (lock, report))
    }

    /// Also gives the paths of everything that was fetched.
    pub(super) fn lock_counting(
        &self,
        wanted: Wanted,
        old: &Lock,
        goal: Goal,
    ) -> Result<(Lock, Report, Vec<String>), LockError> {
        let mut fetched = Vec::new();
        let mut locking = Locking::new(wanted, old.clone(), goal, NOW);
        loop {
            let needed = locking.needed();
            if needed.is_empty() {
                break;
            }
            for file in needed {
                let served = |path: &String| self.files.get(&(file.mirror.clone(), path.clone()));
                let bytes = file.paths.iter().find_map(served).unwrap_or_else(|| panic!("not served: {file:?}"));
                fetched.push(file.path().to_owned());
                locking.receive(&file, bytes)?;
            }
            locking.advance()?;
        }
        let (lock, report) = locking.finish()?;
        Ok((lock, report, fetched))
    }
}

/// A tool set for amd64.
pub(super) fn closure(packages: &[&str]) -> Closure {
    let wants = packages.iter().enumerate();
    Closure {
        name: "tool test".to_owned(),
        architecture: Architecture::X86_64,
        purpose: Purpose::Tool,
        packages: wants.map(|(line, name)| want(name, line + 1)).collect(),
        without: Vec::new(),
        satisfied: Vec::new(),
    }
}

pub(super) fn want(name: &str, line: usize) -> Want {
    Want {
        name: name.to_owned(),
        archive: "debian".to_owned(),
        suite: None,
        version: None,
        without: Vec::new(),
        origin: format!("test.kdl:{line}"),
    }
}

/// The packages of a lock as `name version` lines.
pub(super) fn names(lock: &Lock) -> Vec<String> {
    lock.packages.keys().map(|id| format!("{} {}", id.name, id.version)).collect()
}

/// What a failure says.
pub(super) fn told(result: Result<(Lock, Report), LockError>) -> String {
    match result {
        Ok((lock, _)) => panic!("locked {:?}", names(&lock)),
        Err(error) => error.to_string(),
    }
}
