//! The way from what is wanted to a lock, as a machine that asks for files and never fetches any itself.
//!
//! ```text
//! let mut locking = Locking::new(&wanted, &old, &goal, now)?;
//! loop {
//!     let needed = locking.needed();
//!     if needed.is_empty() { break }
//!     for file in fetched(needed) { locking.receive(&file, &bytes)?; }
//!     locking.advance()?;
//! }
//! let (lock, report) = locking.finish()?;
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::content::{Compression, DAY_SECONDS, Digest, Sha256, date_text};

use super::{
    control,
    document::{BuiltFrom, Lock, LockedSuite, Package, PackageId, Purpose, SourceId, TreeId},
    goal::Goal,
    index,
    refusal::{ArchiveError, LockError, refuse},
    release::{self, Release},
    report::{Problem, Report},
    resolution::{self, Index, IndexKind},
    user,
    wanted::{Archive, Closure, Suite, Wanted, WantedSource},
};

/// After so many days without a new list an archive looks frozen: Debian's stable suites get one every two months or
/// so, and those before them every few.
const MAX_QUIET_DAYS: u64 = 180;

/// A file that has to be fetched before locking can go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededFile {
    /// The mirror that serves it.
    pub mirror: String,
    /// Its path below the mirror's URL, and where else it may be, in the order to try (by-hash first).
    pub paths: Vec<String>,
    /// Its SHA-256, when something signed states it.
    pub sha256: Option<Sha256>,
    /// Its size in bytes, when something signed states it.
    pub size: Option<u64>,
    /// The most bytes it may have.
    pub limit: u64,
    /// Whether what is locked is built from it: then it is wanted once more.
    pub is_input: bool,
}

/// Locking under way.
pub struct Locking {
    wanted: Wanted,
    old: Lock,
    goal: Goal,
    now: u64,
    stage: Stage,
    /// What each file means: of two archives on one mirror with one suite, something to either.
    needed: BTreeMap<NeededFile, Vec<Meaning>>,
    releases: BTreeMap<(usize, usize), Release>,
    indices: Vec<Index>,
    lock: Lock,
    warnings: Vec<Problem>,
}

/// How far locking has come: what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Releases,
    Indices,
    Packages,
    Done,
}

/// What a needed file is.
#[derive(Debug, Clone)]
enum Meaning {
    Release { archive: usize, suite: usize },
    Index { archive: usize, suite: usize, kind: IndexKind, file: IndexFile },
    Package(PackageId),
}

impl Locking {
    /// Starts from what is wanted and the old lock (empty when there is none).
    ///
    /// `now` is seconds since 1970, for the validity of keys and archives.
    pub fn new(wanted: Wanted, old: Lock, goal: Goal, now: u64) -> Self {
        let mut locking = Self {
            lock: Lock { users: old.users.clone(), groups: old.groups.clone(), ..Lock::default() },
            wanted,
            old,
            goal,
            now,
            stage: Stage::Releases,
            needed: BTreeMap::new(),
            releases: BTreeMap::new(),
            indices: Vec::new(),
            warnings: Vec::new(),
        };
        locking.lock.sets.clone_from(&locking.wanted.sets);
        locking.lock.urls = locking.wanted.urls.iter().map(|url| (url.url.clone(), url.sha256)).collect();
        if locking.goal == Goal::Complete {
            locking.take_from_pins();
        }
        locking.need_releases();
        locking
    }

    /// Solves what can be solved without asking an archive.
    fn take_from_pins(&mut self) {
        let resolved = resolution::from_pins(&self.wanted, &self.old, &self.stale());
        self.old.closures.extend(resolved.closures);
        self.warnings.extend(resolved.warnings);
    }

    /// The files to fetch next; none when only [`Locking::advance`] or [`Locking::finish`] is left.
    pub fn needed(&self) -> Vec<NeededFile> {
        self.needed.keys().cloned().collect()
    }

    /// Takes one file that was needed, in any order. What is not needed later is not kept.
    pub fn receive(&mut self, file: &NeededFile, bytes: &[u8]) -> Result<(), LockError> {
        let Some(meanings) = self.needed.remove(file) else {
            return Err(LockError::OutOfTurn { path: file.path().to_owned() });
        };
        meanings.into_iter().try_for_each(|meaning| self.receive_as(meaning, file, bytes))
    }

    fn receive_as(&mut self, meaning: Meaning, file: &NeededFile, bytes: &[u8]) -> Result<(), LockError> {
        self.check_bytes(file, &meaning, bytes)?;
        match meaning {
            Meaning::Release { archive, suite } => {
                let (of, which) = self.suite(archive, suite)?;
                let release = release::read(of, which, bytes, self.now)?;
                self.check_forward(of, which, &release)?;
                self.warnings.extend(self.looks_frozen(of, which, &release));
                self.releases.insert((archive, suite), release);
            }
            Meaning::Index { archive, suite, kind, file } => {
                let (of, which) = self.suite(archive, suite)?;
                let index = Index {
                    archive: of.name.clone(),
                    suite: which.name.clone(),
                    mirror: which.mirror.clone(),
                    kind,
                    path: file.path,
                    text_limit: file.text_limit,
                    compression: file.compression,
                    bytes: bytes.to_vec(),
                };
                self.indices.push(index);
            }
            Meaning::Package(id) => {
                let contents = control::inspect(&id.name, bytes).map_err(|error| {
                    let next = "report it to the archive; no other file has this digest";
                    refuse(&id.archive, file.path(), "a Debian package", error.reason, next)
                })?;
                if let Some(package) = self.lock.packages.get_mut(&id) {
                    package.contents = Some(contents);
                }
            }
        }
        Ok(())
    }

    /// Goes on once everything needed was received; [`Locking::needed`] then says what comes next.
    pub fn advance(&mut self) -> Result<(), LockError> {
        while self.needed.is_empty() && self.stage != Stage::Done {
            match self.stage {
                Stage::Releases => self.need_indices()?,
                Stage::Indices => {
                    self.solve()?;
                    self.need_packages();
                }
                Stage::Packages | Stage::Done => self.stage = Stage::Done,
            }
        }
        Ok(())
    }

    /// Gives the new lock and what was done.
    pub fn finish(mut self) -> Result<(Lock, Report), LockError> {
        self.advance()?;
        if let Some(file) = self.needed.keys().next() {
            return Err(LockError::OutOfTurn { path: file.path().to_owned() });
        }
        self.lock.trees = self.kept_trees();
        let mut problems = user::allot(&mut self.lock, &self.wanted.users);
        problems.extend(self.lock.disagreements(&self.wanted));
        if !problems.is_empty() {
            return Err(LockError::Unmet(problems));
        }
        let report = Report { changes: self.lock.changes_since(&self.old), warnings: self.warnings };
        Ok((self.lock, report))
    }

    /// The fetched trees that stay: those that are still asked for and were not told to move. What is missing then is
    /// for the caller to have fetched, since only a built tool set can.
    fn kept_trees(&self) -> BTreeMap<TreeId, Digest> {
        let is_named = |id: &TreeId| match &self.goal {
            Goal::Update(names) => {
                let bare = id.component.rsplit('/').next().unwrap_or(&id.component);
                names.contains(&id.component) || names.contains(bare)
            }
            Goal::Complete | Goal::Relock(_) => false,
        };
        let ids = self.wanted.trees.iter().map(|tree| tree.id(&self.lock)).filter(|id| !is_named(id));
        ids.filter_map(|id| self.old.trees.get(&id).map(|tree| (id.clone(), *tree))).collect()
    }

    /// The closures that have to be solved anew; the others stay as they are.
    fn stale(&self) -> Vec<usize> {
        let stale = |closure: &&Closure| match (&self.goal, self.old.closure(&closure.name, closure.architecture)) {
            (_, None) => true,
            (Goal::Complete, Some(old)) => !old.answers(closure),
            (Goal::Update(names), Some(old)) => {
                names.is_empty() || !old.answers(closure) || old.members.keys().any(|id| names.contains(&id.name))
            }
            (Goal::Relock(gone), Some(old)) => {
                !old.answers(closure) || old.members.keys().any(|id| gone.packages.contains(id))
            }
        };
        let closures = self.wanted.every_closure().enumerate();
        closures.filter(|(_, closure)| stale(closure)).map(|(index, _)| index).collect()
    }

    /// The source packages that have to be chosen anew.
    fn stale_sources(&self) -> Vec<&WantedSource> {
        let moves = |id: &SourceId| match &self.goal {
            Goal::Update(names) => names.is_empty() || names.contains(&id.name),
            Goal::Relock(gone) => gone.sources.contains(id),
            Goal::Complete => false,
        };
        let stale = |source: &&WantedSource| !self.old.sources.contains_key(&source.id) || moves(&source.id);
        self.wanted.sources.iter().filter(stale).collect()
    }

    /// The packages of which nobody has asked yet what they were built from, each with its closure.
    fn unasked(&self) -> Vec<(&Closure, &PackageId, &Package)> {
        let closures = self.wanted.every_closure();
        let found = closures.filter_map(|one| Some((one, self.old.closure(&one.name, one.architecture)?)));
        let packages = found.flat_map(|(one, old)| self.old.packages_of(old).map(move |(id, found)| (one, id, found)));
        packages.filter(|(_, _, package)| package.built_from == BuiltFrom::Unasked).collect()
    }

    fn suite(&self, archive: usize, suite: usize) -> Result<(&Archive, &Suite), LockError> {
        let found = self.wanted.archives.get(archive).and_then(|of| Some((of, of.suites.get(suite)?)));
        found.ok_or_else(|| LockError::OutOfTurn { path: "InRelease".to_owned() })
    }

    /// Asks for the `InRelease` of every suite that a package may come from.
    fn need_releases(&mut self) {
        let (stale, sources, unasked) = (self.stale(), self.stale_sources(), self.unasked());
        if stale.is_empty() && sources.is_empty() && unasked.is_empty() {
            return;
        }
        let wants = stale.iter().filter_map(|index| self.wanted.closure(*index)).flat_map(|one| &one.packages);
        let mut named: BTreeSet<(&str, &str)> =
            wants.filter_map(|want| Some((want.archive.as_str(), want.suite.as_deref()?))).collect();
        named.extend(sources.iter().map(|source| (source.id.archive.as_str(), source.id.suite.as_str())));
        named.extend(unasked.iter().map(|(_, id, package)| (id.archive.as_str(), package.suite.as_str())));
        let mut needed: BTreeMap<NeededFile, Vec<Meaning>> = BTreeMap::new();
        for (archive, of) in self.wanted.archives.iter().enumerate() {
            for (suite, which) in of.suites.iter().enumerate() {
                if which.only_when_named && !named.contains(&(of.name.as_str(), which.name.as_str())) {
                    continue;
                }
                let file = NeededFile {
                    mirror: which.mirror.clone(),
                    paths: vec![format!("dists/{}/InRelease", which.name)],
                    sha256: None,
                    size: None,
                    limit: release::MAX_IN_RELEASE_BYTES,
                    is_input: false,
                };
                needed.entry(file).or_default().push(Meaning::Release { archive, suite });
            }
        }
        self.needed = needed;
    }

    /// Asks for the indices of the architectures in question.
    fn need_indices(&mut self) -> Result<(), LockError> {
        let stale = self.stale();
        let closures = stale.iter().filter_map(|index| self.wanted.closure(*index));
        let closures = closures.chain(self.unasked().into_iter().map(|(closure, _, _)| closure));
        let architectures: BTreeSet<&str> = closures.map(|closure| closure.architecture.debian()).collect();
        let here: BTreeSet<&str> = self.wanted.closures.iter().map(|closure| closure.architecture.debian()).collect();
        let sources = self.stale_sources();
        let mut needed: BTreeMap<NeededFile, Vec<Meaning>> = BTreeMap::new();
        for ((archive, suite), release) in &self.releases {
            let (of, which) = self.suite(*archive, *suite)?;
            let all = (release.separate_all && !architectures.is_empty()).then_some("all");
            let is_family = |source: &&WantedSource| {
                source.id.archive == of.name && of.family(&source.id.suite).any(|one| one.name == which.name)
            };
            let has_sources = sources.iter().any(is_family);
            for area in &which.areas {
                // Not every archive is for every architecture.
                let is_there = |word: &&str| here.contains(word) || release.has_packages(area, word);
                let words = architectures.iter().copied().filter(is_there).chain(all);
                let packages = words.map(|word| (IndexKind::Packages, format!("{area}/binary-{word}"), "Packages"));
                let sources = has_sources.then(|| (IndexKind::Sources, format!("{area}/source"), "Sources"));
                for (kind, folder, name) in packages.chain(sources) {
                    let (needed_file, file) = index_file(of, which, release, &folder, name)?;
                    let meaning = Meaning::Index { archive: *archive, suite: *suite, kind, file };
                    needed.entry(needed_file).or_default().push(meaning);
                }
            }
        }
        self.needed = needed;
        self.stage = Stage::Indices;
        Ok(())
    }

    /// Nothing that was received counts unless it is what a signed file says.
    fn check_bytes(&self, file: &NeededFile, meaning: &Meaning, bytes: &[u8]) -> Result<(), LockError> {
        let place = match meaning {
            Meaning::Release { archive, suite } | Meaning::Index { archive, suite, .. } => {
                let (of, which) = self.suite(*archive, *suite)?;
                format!("{} {}", of.name, which.name)
            }
            Meaning::Package(id) => id.archive.clone(),
        };
        let next = "the mirror is being updated or damaged: try again later, or another mirror";
        let size = bytes.len() as u64;
        if size > file.limit {
            let expected = format!("at most {} bytes", file.limit);
            return Err(refuse(&place, file.path(), &expected, format!("{size} bytes"), next));
        }
        if let Some(expected) = file.size.filter(|expected| *expected != size) {
            return Err(refuse(&place, file.path(), &format!("{expected} bytes"), format!("{size} bytes"), next));
        }
        if let Some(expected) = file.sha256 {
            let found = Sha256::of(bytes);
            if found != expected {
                let expected = format!("the SHA-256 {expected}");
                return Err(refuse(&place, file.path(), &expected, found.to_string(), next));
            }
        }
        Ok(())
    }

    /// Refuses a list that is older than the one that was locked: signed once, it is signed for ever, and an old one
    /// brings back what was fixed since. Where old states are wanted, `accept-expired` says so.
    fn check_forward(&self, of: &Archive, which: &Suite, release: &Release) -> Result<(), LockError> {
        let Some(locked) = self.old.suites.get(&(of.name.clone(), which.name.clone())) else { return Ok(()) };
        if which.accept_expired || release.date >= locked.date {
            return Ok(());
        }
        let refusal = ArchiveError {
            archive: format!("{} {}", of.name, which.name),
            what: "InRelease".to_owned(),
            expected: format!("a list of {} or newer, as locked", date_text(locked.date)),
            found: format!("`Date: {}`", date_text(release.date)),
            next: "try another mirror; for an archive that is frozen on purpose write `accept-expired=#true` at the \
                   suite"
                .to_owned(),
        };
        Err(LockError::Archive(Box::new(refusal)))
    }

    /// Whether a list that does not say how long it is valid is so old that somebody may be holding it back. What is
    /// locked already is compared by [`Self::check_forward`]; without that, age is all there is.
    fn looks_frozen(&self, of: &Archive, which: &Suite, release: &Release) -> Option<Problem> {
        let is_known = self.old.suites.contains_key(&(of.name.clone(), which.name.clone()));
        let days = self.now.saturating_sub(release.date) / DAY_SECONDS;
        let is_judged = !is_known || matches!(self.goal, Goal::Update(_));
        if release.expires || which.accept_expired || !is_judged || days <= MAX_QUIET_DAYS {
            return None;
        }
        let message = format!(
            "the list of `{} {}` is {days} days old (`Date: {}`) and states no `Valid-Until`, so nothing tells whether \
             there is a newer one: compare with another mirror; for an archive that is frozen on purpose write \
             `accept-expired=#true` at the suite",
            of.name,
            which.name,
            date_text(release.date)
        );
        Some(Problem { origin: String::new(), message })
    }

    /// Chooses all versions.
    fn solve(&mut self) -> Result<(), LockError> {
        let stale = self.stale();
        let sources = self.stale_sources();
        let resolved = resolution::resolve(&self.wanted, &self.old, &self.goal, &stale, &sources, &self.indices)?;
        self.warnings.extend(resolved.warnings);
        self.lock.packages = resolved.packages;
        self.lock.closures = resolved.closures;
        self.lock.sources = resolved.sources;
        self.indices.clear();
        self.enter_suites();
        Ok(())
    }

    /// Notes what was read, and when. The epoch moves only when everything does: a package that is added must not
    /// change the bytes of all others.
    fn enter_suites(&mut self) {
        for (archive, of) in self.wanted.archives.iter().enumerate() {
            for (suite, which) in of.suites.iter().enumerate() {
                let key = (of.name.clone(), which.name.clone());
                let read = self.releases.get(&(archive, suite));
                let read = read.map(|release| LockedSuite { date: release.date, sha256: release.sha256 });
                if let Some(state) = read.or_else(|| self.old.suites.get(&key).cloned()) {
                    self.lock.suites.insert(key, state);
                }
            }
        }
        let everything = matches!(&self.goal, Goal::Update(names) if names.is_empty());
        self.lock.epoch = match self.old.epoch {
            epoch if epoch != 0 && !everything => epoch,
            _ => self.lock.suites.values().map(|suite| suite.date).max().unwrap_or(0),
        };
    }

    /// Asks for the packages of images that nobody has looked into yet.
    fn need_packages(&mut self) {
        let images = self.lock.closures.values().filter(|closure| closure.purpose == Purpose::Image);
        let ids: BTreeSet<&PackageId> = images.flat_map(|closure| closure.members.keys()).collect();
        for id in ids {
            let Some(package) = self.lock.packages.get(id).filter(|package| package.contents.is_none()) else {
                continue;
            };
            let file = NeededFile {
                mirror: package.mirror.clone(),
                paths: vec![package.path.clone()],
                sha256: Some(package.sha256),
                size: Some(package.size),
                limit: package.size,
                is_input: true,
            };
            self.needed.entry(file).or_default().push(Meaning::Package(id.clone()));
        }
        self.stage = Stage::Packages;
    }
}

/// How an index is to be read.
#[derive(Debug, Clone)]
struct IndexFile {
    /// Its path below the suite's folder.
    path: String,
    /// The most bytes of its text.
    text_limit: u64,
    compression: Compression,
}

/// The index `name` in `folder` of a suite, as a file to fetch: of those that are listed the smallest.
fn index_file(
    of: &Archive,
    which: &Suite,
    release: &Release,
    folder: &str,
    name: &str,
) -> Result<(NeededFile, IndexFile), LockError> {
    let plain = format!("{folder}/{name}");
    let found = Compression::ALL.into_iter().find_map(|compression| {
        let path = format!("{plain}{}", compression.suffix());
        Some((*release.files.get(&path)?, IndexFile { path, text_limit: u64::MAX, compression }))
    });
    let Some((listed, mut index)) = found else {
        let place = format!("{} {}", of.name, which.name);
        let expected = format!("a digest of `{plain}`, as xz, zst, lzma, bz2, gz or plain");
        let next = "state the archive's `area`, or drop that architecture from the variant";
        return Err(refuse(&place, "InRelease", &expected, folders_with(release, name), next));
    };
    let root = format!("dists/{}", which.name);
    let mut paths = vec![format!("{root}/{}", index.path)];
    if release.by_hash {
        paths.insert(0, format!("{root}/{folder}/by-hash/SHA256/{}", listed.sha256));
    }
    let file = NeededFile {
        mirror: which.mirror.clone(),
        paths,
        sha256: Some(listed.sha256),
        size: Some(listed.size),
        limit: listed.size.min(index::most_bytes(index.compression)),
        is_input: false,
    };
    index.text_limit = release.files.get(&plain).map_or(u64::MAX, |plain| plain.size);
    Ok((file, index))
}

/// Where a suite has indices of this name, for people.
fn folders_with(release: &Release, name: &str) -> String {
    let folder = |path: &String| {
        let (folder, file) = path.rsplit_once('/')?;
        Compression::of_suffix(file.strip_prefix(name)?).map(|_| format!("`{folder}`"))
    };
    let folders: BTreeSet<String> = release.files.keys().filter_map(folder).collect();
    match folders.is_empty() {
        true => "none of that name".to_owned(),
        false => format!("it in {}", folders.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

impl NeededFile {
    /// The path that it has in messages.
    pub fn path(&self) -> &str {
        self.paths.last().map_or("", String::as_str)
    }
}
