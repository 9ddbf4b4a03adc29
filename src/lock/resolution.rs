//! From checked indices and the old lock to the packages and closures of the new one.

use std::collections::{BTreeMap, BTreeSet};

use crate::content::Compression;

use super::{
    closure::{self, Solved, Stock},
    document::{BuiltFrom, ClosureId, Lock, LockedClosure, LockedSource, LockedWant, Package, PackageId, SourceId},
    goal::Goal,
    index::{self, Catalogue, Entry, IndexError, Listed, Origin},
    refusal::{LockError, refuse},
    report::Problem,
    source,
    wanted::{Closure, Wanted, WantedSource},
};

/// An index that was received and checked against a signed digest.
pub(super) struct Index {
    pub(super) archive: String,
    pub(super) suite: String,
    pub(super) mirror: String,
    pub(super) kind: IndexKind,
    /// Its path below the suite's folder.
    pub(super) path: String,
    /// The most bytes of its text.
    pub(super) text_limit: u64,
    /// How it is compressed.
    pub(super) compression: Compression,
    /// Its bytes as they were fetched.
    pub(super) bytes: Vec<u8>,
}

/// What an index lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexKind {
    /// Binary packages.
    Packages,
    /// Source packages.
    Sources,
}

/// What was chosen.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) packages: BTreeMap<PackageId, Package>,
    pub(super) closures: BTreeMap<ClosureId, LockedClosure>,
    pub(super) sources: BTreeMap<SourceId, LockedSource>,
    pub(super) warnings: Vec<Problem>,
}

/// Solves the closures that are stale (by their place in `wanted`), chooses the sources that are, and takes over the
/// others.
pub(super) fn resolve(
    wanted: &Wanted,
    old: &Lock,
    goal: &Goal,
    stale: &[usize],
    stale_sources: &[&WantedSource],
    indices: &[Index],
) -> Result<Resolved, LockError> {
    let mut indices: Vec<&Index> = indices.iter().collect();
    indices.sort_by_key(|index| (&index.archive, &index.suite, &index.path));
    let texts = texts(&indices)?;
    let stays = index::locked(old).filter(|(id, _)| !goal.moves(id)).map(|(_, entry)| entry);
    let mut listed = Listed { entries: stays.collect(), odd: Vec::new() };
    let mut source_entries = Vec::new();
    let source_names: BTreeSet<&str> = stale_sources.iter().map(|source| source.id.name.as_str()).collect();
    for (index, text) in indices.iter().zip(&texts) {
        let origin = Origin { archive: &index.archive, suite: &index.suite, mirror: &index.mirror };
        let refused = |error: IndexError| refuse_index(index, error.reason);
        match index.kind {
            IndexKind::Packages => {
                let found = index::read(text, origin).map_err(refused)?;
                listed.entries.extend(found.entries);
                listed.odd.extend(found.odd);
            }
            IndexKind::Sources => {
                source_entries.extend(source::read(text, origin, &source_names).map_err(refused)?);
            }
        }
    }
    let mut catalogues: BTreeMap<&str, Catalogue<'_>> = BTreeMap::new();
    let mut resolved = Resolved::default();
    let mut problems = unknown_names(wanted, old, goal);
    let mut elsewhere: BTreeMap<&str, Problem> = BTreeMap::new();
    for source in &wanted.sources {
        let is_stale = stale_sources.iter().any(|stale| stale.id == source.id);
        let chosen = match old.sources.get(&source.id) {
            Some(known) if !is_stale => Ok(known.clone()),
            _ => source::choose(source, &wanted.archives, &source_entries),
        };
        match chosen {
            Ok(chosen) => drop(resolved.sources.insert(source.id.clone(), chosen)),
            Err(problem) => problems.push(problem),
        }
    }
    for (number, closure) in wanted.every_closure().enumerate() {
        let id = ClosureId { name: closure.name.clone(), architecture: closure.architecture };
        let before = old.closures.get(&id);
        if let (false, Some(before)) = (stale.contains(&number), before) {
            resolved.adopt(id, before, old);
            continue;
        }
        let architecture = closure.architecture;
        let catalogue =
            catalogues.entry(architecture.debian()).or_insert_with(|| Catalogue::new(&listed, architecture));
        match closure::solve(closure, &wanted.archives, (catalogue, Stock::Archives), before) {
            Ok(mut solved) => {
                // What ends nothing elsewhere may be needed here.
                if number >= wanted.closures.len() {
                    solved.idle.clear();
                }
                resolved.enter(id, closure, &solved, old);
            }
            Err(found) if number < wanted.closures.len() => problems.extend(found),
            // It is no use to this machine.
            Err(found) => match before {
                Some(before) => resolved.adopt(id, before, old),
                // The first says what it is about.
                None => drop(elsewhere.entry(architecture.name()).or_insert_with(|| unmet_elsewhere(closure, &found))),
            },
        }
    }
    resolved.ask_sources(&listed);
    if problems.is_empty() {
        resolved.warnings.extend(elsewhere.into_values());
        return Ok(resolved);
    }
    problems.sort();
    problems.dedup();
    Err(LockError::Unmet(problems))
}

/// The stale closures that can be had from what is pinned already: no list is read for them.
pub(super) fn from_pins(wanted: &Wanted, old: &Lock, stale: &[usize]) -> Resolved {
    let pinned = Listed { entries: index::locked(old).map(|(_, entry)| entry).collect(), odd: Vec::new() };
    let mut catalogues: BTreeMap<&str, Catalogue<'_>> = BTreeMap::new();
    let mut resolved = Resolved::default();
    for (number, closure) in stale.iter().filter_map(|number| Some((number, wanted.closure(*number)?))) {
        let id = ClosureId { name: closure.name.clone(), architecture: closure.architecture };
        let before = old.closures.get(&id);
        let catalogue = catalogues
            .entry(closure.architecture.debian())
            .or_insert_with(|| Catalogue::new(&pinned, closure.architecture));
        if let Ok(mut solved) = closure::solve(closure, &wanted.archives, (catalogue, Stock::Pins), before) {
            if *number >= wanted.closures.len() {
                solved.idle.clear();
            }
            resolved.enter(id, closure, &solved, old);
        }
    }
    resolved
}

fn unmet_elsewhere(closure: &Closure, found: &[Problem]) -> Problem {
    let (name, architecture) = (&closure.name, closure.architecture.name());
    let why: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
    let message = format!(
        "{architecture} machines cannot compose this, since nothing can be locked for their `{name}`: {}",
        why.join("; ")
    );
    Problem { origin: String::new(), message }
}

fn texts(indices: &[&Index]) -> Result<Vec<String>, LockError> {
    let text = |index: &&Index| {
        index::decompress(&index.bytes, index.compression, index.text_limit)
            .map_err(|error| refuse_index(index, error.reason))
    };
    indices.iter().map(text).collect()
}

fn refuse_index(index: &Index, reason: String) -> LockError {
    let place = format!("{} {}", index.archive, index.suite);
    refuse(&place, &index.path, "an index of packages", reason, "report it to the archive")
}

/// Names that should be moved and that nothing holds.
fn unknown_names(wanted: &Wanted, old: &Lock, goal: &Goal) -> Vec<Problem> {
    let Goal::Update(names) = goal else { return Vec::new() };
    let known: BTreeSet<&str> = old.packages.keys().map(|id| id.name.as_str()).collect();
    let named = |name: &str| {
        wanted.closures.iter().any(|one| one.packages.iter().any(|want| want.name == name))
            || wanted.sets.contains_key(name)
            || wanted.sources.iter().any(|source| source.id.name == name)
            || wanted.trees.iter().any(|tree| tree.component == name || tree.component.rsplit('/').next() == Some(name))
    };
    let unknown = names.iter().filter(|name| !known.contains(name.as_str()) && !named(name));
    let problem =
        |name| Problem { origin: String::new(), message: format!("`{name}` is not locked, so it cannot be updated") };
    unknown.map(problem).collect()
}

impl Goal {
    /// Whether a locked package is to move.
    fn moves(&self, id: &PackageId) -> bool {
        match self {
            Goal::Complete => false,
            Goal::Update(names) => names.is_empty() || names.contains(&id.name),
            Goal::Relock(gone) => gone.packages.contains(id),
        }
    }
}

impl Resolved {
    /// Takes a closure over as it was.
    fn adopt(&mut self, id: ClosureId, closure: &LockedClosure, old: &Lock) {
        for (package, state) in old.packages_of(closure) {
            self.packages.entry(package.clone()).or_insert_with(|| state.clone());
        }
        self.closures.insert(id, closure.clone());
    }

    /// Enters what packages were built from that were locked before locks said it. What left the archive stays without.
    fn ask_sources(&mut self, listed: &Listed<'_>) {
        let is_unasked = |package: &Package| package.built_from == BuiltFrom::Unasked;
        let unasked = self.packages.iter().filter(|(_, package)| is_unasked(package));
        let names: BTreeSet<String> = unasked.map(|(id, _)| id.name.clone()).collect();
        for entry in listed.entries.iter().filter(|entry| !entry.locked && names.contains(entry.name)) {
            let package = self.packages.get_mut(&entry.id());
            if let Some(package) = package.filter(|one| is_unasked(one) && one.sha256 == entry.sha256) {
                package.built_from = entry.built_from();
            }
        }
        let left = self.packages.values_mut().filter(|package| is_unasked(package));
        left.for_each(|package| package.built_from = BuiltFrom::Unlisted);
    }

    /// Enters a closure that was solved.
    pub(super) fn enter(&mut self, id: ClosureId, closure: &Closure, solved: &Solved<'_>, old: &Lock) {
        self.warnings.extend(solved.idle.iter().map(|name| {
            let message =
                format!("`without \"{name}\"` changes nothing in `{}`: nothing in it needs that", closure.name);
            Problem { origin: String::new(), message }
        }));
        self.warnings.extend(solved.odd.iter().map(|odd| {
            let message = format!("{odd}, so it was passed over; report it to the archive");
            Problem { origin: String::new(), message }
        }));
        let mut members = BTreeMap::new();
        for (entry, parent) in solved.members.values() {
            let package = entry.id();
            self.packages.entry(package.clone()).or_insert_with(|| match old.packages.get(&package) {
                Some(known) if known.sha256 == entry.sha256 => known.clone(),
                _ => locked_package(entry),
            });
            members.insert(package, parent.map(str::to_owned));
        }
        self.closures.insert(id, LockedClosure { members, ..LockedClosure::asking(closure) });
    }
}

fn locked_package(entry: &Entry<'_>) -> Package {
    Package {
        suite: entry.suite.to_owned(),
        mirror: entry.mirror.to_owned(),
        path: entry.path.to_owned(),
        size: entry.size,
        sha256: entry.sha256,
        built_from: entry.built_from(),
        relations: entry.relations(),
        contents: None,
    }
}

impl LockedClosure {
    /// The question of a closure, without an answer.
    pub(super) fn asking(closure: &Closure) -> Self {
        let mut wants: BTreeMap<String, LockedWant> = BTreeMap::new();
        let mut sorted: Vec<_> = closure.packages.iter().collect();
        sorted.sort_by_key(|want| (&want.name, want.suite.is_none(), &want.suite, &want.archive));
        for want in sorted {
            // The same package from two recipes: the first with a suite counts, as when it is solved.
            let locked = wants.entry(want.name.clone()).or_insert_with(|| LockedWant {
                archive: want.archive.clone(),
                suite: want.suite.clone(),
                version: None,
                without: BTreeSet::new(),
            });
            // Two that state different versions are never solved, so never locked.
            locked.version = locked.version.take().or_else(|| want.version.clone());
            locked.without.extend(want.without.iter().cloned());
        }
        Self {
            purpose: closure.purpose,
            wants,
            without: closure.without.iter().map(|pruned| pruned.name.clone()).collect(),
            satisfied: closure.satisfied.iter().cloned().collect(),
            members: BTreeMap::new(),
        }
    }

    /// Whether this answers just what the closure asks.
    pub(super) fn answers(&self, closure: &Closure) -> bool {
        let asked = Self::asking(closure);
        self.purpose == asked.purpose
            && self.wants == asked.wants
            && self.without == asked.without
            && self.satisfied == asked.satisfied
    }
}
