//! The lock on the disk, and what is fetched to make it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::PathBuf,
};

use super::{
    ComposeError, Project, Session,
    lock_file::{LOCK_FILE, MAX_LOCK_BYTES, read_lock},
    manifests,
};
use crate::{
    content::counted,
    fetch::{Downloaded, Expect, Place, WantedFile, Watch},
    graph::{Flat, Image, Manifests, pin, wanted},
    lock::{Closure, Goal, Lock, Locking, NeededFile, Report, Wanted},
    plan::{Located, Progress},
    recipe::{Code, Diagnostic, Name},
};

/// The most bytes of a keyring.
const MAX_KEYRING_BYTES: u64 = 4 << 20;
/// How many indices and packages are fetched at once.
const CONNECTIONS: usize = 8;

/// Which pins of the imported sets are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetPins {
    /// Those of what the project has not pinned itself.
    Missing,
    /// All of them.
    All,
}

impl Project {
    /// Where the lock is.
    pub fn lock_path(&self) -> PathBuf {
        self.root.join(LOCK_FILE)
    }

    /// The lock as it is on the disk; an empty one when there is none.
    ///
    /// # Errors
    /// A file that cannot be read or is no lock.
    pub fn lock(&self) -> Result<Lock, ComposeError> {
        Ok(read_lock(self.lock_path())?.unwrap_or_default())
    }

    /// The lock of each imported set that brings one, with the set's name, in the order of the imports.
    ///
    /// # Errors
    /// A file that cannot be read or is no lock.
    fn set_locks(&self) -> Result<Vec<(&str, Lock)>, ComposeError> {
        let mut locks = Vec::new();
        for set in self.recipes.sets.iter().skip(1) {
            // Beneath the set: one that was fetched from elsewhere leads nobody out of its folder.
            let path = set.root.join(LOCK_FILE);
            let on_disk = self.on_disk(path.as_str());
            if on_disk.symlink_metadata().is_err() {
                continue;
            }
            let text = String::from_utf8_lossy(&self.read_file(path.as_str(), MAX_LOCK_BYTES)?).into_owned();
            let lock = Lock::parse(&text).map_err(|source| ComposeError::BadLock { path: on_disk, source })?;
            locks.push((set.name.as_str(), lock));
        }
        Ok(locks)
    }

    /// What `flats` want locked.
    ///
    /// # Errors
    /// A keyring that cannot be read.
    pub fn wanted(&self, flats: &[Flat]) -> Result<Wanted, ComposeError> {
        let mut keyrings: BTreeMap<Name, Vec<Vec<u8>>> = BTreeMap::new();
        for name in flats.iter().flat_map(Flat::archives) {
            let Some(archive) = self.recipes.archives.get(&name) else { continue };
            let mut bytes = Vec::new();
            for keyring in &archive.keyrings {
                let Some(path) = keyring.fill(|_| None) else { continue };
                bytes.push(self.read_file(path.as_str(), MAX_KEYRING_BYTES)?);
            }
            keyrings.insert(name, bytes);
        }
        let sets = self.sets.iter().map(|(name, set)| (name.clone(), set.locked.clone())).collect();
        Ok(Wanted { sets, ..wanted(&self.recipes, flats, &keyrings, &self.manifests(flats)?, &self.sources) })
    }

    /// An image with everything that the lock pins.
    ///
    /// # Errors
    /// What the lock does not have, or that recipes cannot mean.
    pub fn pin(&self, flat: &Flat, lock: &Lock) -> Result<Image, ComposeError> {
        let manifests = self.manifests(std::slice::from_ref(flat))?;
        pin(flat, lock, &self.sources, &manifests).map_err(|found| self.refused(found))
    }

    /// The files in folders of source that say what is fetched for them.
    fn manifests(&self, flats: &[Flat]) -> Result<Manifests, ComposeError> {
        // Several components may be made from one folder, each with another language.
        let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (path, names) in flats.iter().flat_map(Flat::manifests) {
            wanted.entry(path).or_default().extend(names);
        }
        wanted
            .into_iter()
            .map(|(path, names)| {
                let found = manifests(&self.open_folder(&path)?, &names)?;
                Ok((path, found))
            })
            .collect()
    }

    /// Writes the lock, whole or not at all; does nothing when it stays the same. Where `brc.lock` is a link to a lock
    /// that several projects share, that one is written.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn write_lock(&self, lock: &Lock) -> Result<(), ComposeError> {
        let (mut path, text) = (self.lock_path(), lock.to_text());
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        if path.is_symlink() {
            path = path.canonicalize().map_err(|source| ComposeError::Write { path, source })?;
        }
        let refused = |source| ComposeError::Write { path: path.clone(), source };
        let mut file = tempfile::Builder::new()
            .prefix(".brc.lock")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(path.parent().unwrap_or(&self.root))
            .map_err(refused)?;
        file.write_all(text.as_bytes()).map_err(refused)?;
        file.persist(&path).map_err(|error| refused(error.error))?;
        Ok(())
    }

    /// What the packages of an image say against being composed as they are locked: scripts that no recipe accounts for,
    /// packages that cannot be together.
    pub fn objections(&self, flats: &[Flat], lock: &Lock) -> Vec<Diagnostic> {
        let mut diagnostics = self.unaccounted(flats, lock);
        diagnostics.extend(conflicting(flats, lock));
        diagnostics
    }

    fn unaccounted(&self, flats: &[Flat], lock: &Lock) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for flat in flats {
            let stated = flat.components.iter().flat_map(|component| &component.maintainer_scripts);
            let accounted: BTreeSet<String> =
                stated.flat_map(|reasoned| &reasoned.packages).map(|package| package.value.clone()).collect();
            let name = crate::graph::image_closure(flat);
            let Some(closure) = lock.closure(&name, flat.situation.architecture) else { continue };
            for (package, scripts) in lock.unaccounted(closure, &accounted) {
                let message = format!(
                    "package `{package}` has maintainer scripts that nothing accounts for: {}",
                    scripts.join(", ")
                );
                let diagnostic = Diagnostic::error(Code::UnaccountedScripts, flat.name.span, message).help(format!(
                    "say what replaces them: `maintainer-scripts \"{package}\" reason=\"…\"` in the package group"
                ));
                if !diagnostics.contains(&diagnostic) {
                    diagnostics.push(diagnostic);
                }
            }
        }
        diagnostics
    }
}

/// Packages of one image that say they cannot be together.
fn conflicting(flats: &[Flat], lock: &Lock) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for flat in flats {
        let architecture = flat.situation.architecture;
        let Some(closure) = lock.closure(&crate::graph::image_closure(flat), architecture) else { continue };
        for conflict in lock.conflicts(closure, architecture) {
            let (package, with, relation) = (&conflict.package, &conflict.with, &conflict.relation);
            let message = format!("package `{package}` cannot be together with `{with}`: it says `{relation}`");
            let help = format!(
                "name one of them at most; what is there because something depends on it is left out by \
                 `without \"{with}\" reason=\"…\"` in the package group"
            );
            let diagnostic = Diagnostic::error(Code::ConflictingPackages, flat.name.span, message).help(help);
            if !diagnostics.contains(&diagnostic) {
                diagnostics.push(diagnostic);
            }
        }
    }
    diagnostics
}

impl Session<'_> {
    /// Makes a lock that serves `flats`, fetching what must be read for it, also by programs that it locks.
    ///
    /// # Errors
    /// Wishes that cannot be met, an archive that its keys do not vouch for, or files that cannot be had.
    pub fn make_lock(
        &self,
        project: &Project,
        flats: &[Flat],
        own: &Lock,
        goal: Goal,
        pins: SetPins,
    ) -> Result<(Lock, Report), ComposeError> {
        let mut wanted = project.wanted(flats)?;
        let mut elsewhere = project.wanted(&project.elsewhere(flats)?)?.closures;
        let id = |one: &Closure| (one.name.clone(), one.architecture);
        elsewhere.retain(|other| wanted.closures.iter().all(|one| id(one) != id(other)));
        wanted.elsewhere = elsewhere;
        let start = self.start(project, own, pins)?;
        let seen = start.urls.clone();
        let mut locking = Locking::new(wanted.clone(), start, goal, self.now);
        loop {
            locking.advance().map_err(ComposeError::Lock)?;
            let needed = locking.needed();
            if needed.is_empty() {
                break;
            }
            (self.status)(&format!("locking: fetching {}", counted(needed.len(), "file")));
            self.receive_all(&mut locking, &needed)?;
        }
        let (mut lock, mut report) = locking.finish().map_err(ComposeError::Lock)?;
        report.warnings.extend(self.confirm_urls(&wanted, &seen)?);
        lock.forget_idle_numbers(own);
        report.changes = lock.changes_since(own);
        self.fetch_trees(project, flats, &wanted, &mut lock)?;
        Ok((lock, report))
    }

    /// What locking starts from: the project's own lock with what the imported sets have pinned.
    fn start(&self, project: &Project, own: &Lock, pins: SetPins) -> Result<Lock, ComposeError> {
        let sets = project.set_locks()?;
        let names: Vec<String> = sets.iter().map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() {
            return match pins {
                SetPins::Missing => Ok(own.clone()),
                SetPins::All => Err(ComposeError::NoSetLock),
            };
        }
        let all = sets.iter().fold(Lock::default(), |all, (_, lock)| all.completed_by(lock));
        Ok(match pins {
            SetPins::Missing => own.clone().completed_by(&all),
            SetPins::All => {
                (self.status)(&format!("locking: taking what {} pinned", names.join(" and ")));
                own.replaced_by(&all)
            }
        })
    }

    fn receive_all(&self, locking: &mut Locking, needed: &[NeededFile]) -> Result<(), ComposeError> {
        let ignore = |_: Progress| {};
        let watch = Watch { cancelled: self.cancelled, progress: &ignore };
        // By-hash first; a mirror that has none of them is asked by name.
        let mut tried = 0;
        let mut open = by_content(needed);
        while !open.is_empty() {
            let downloads: Vec<WantedFile> = open.iter().map(|(file, _)| download(file, tried)).collect();
            let mut again = Vec::new();
            // What is built from it needs the file too, and finds it there.
            let read = |at: usize, downloaded: Downloaded| {
                let is_input = open[at].0.is_input;
                if is_input { downloaded.kept().read() } else { downloaded.read() }
            };
            let results = self.client.download_all(&downloads, CONNECTIONS, watch, read);
            for ((file, alike), result) in open.iter().zip(results) {
                match result {
                    Ok(bytes) => {
                        let path = || PathBuf::from(file.paths.first().map_or("", String::as_str));
                        let bytes = bytes.map_err(|source| ComposeError::Read { path: path(), source })?;
                        for file in std::iter::once(file).chain(alike) {
                            locking.receive(file, &bytes).map_err(ComposeError::Lock)?;
                        }
                    }
                    Err(error) if error.is_gone() && tried + 1 < file.paths.len() => again.push((*file, alike.clone())),
                    Err(error) => return Err(ComposeError::Fetch(Box::new(error))),
                }
            }
            open = again;
            tried += 1;
        }
        Ok(())
    }
}

/// What a lock of an older brc does not say, as a line for people; `None` when it says all. Nothing that is built needs
/// it, so that a lock serves as long as its packages are there.
pub fn older(lock: &Lock, wanted: &Wanted) -> Option<String> {
    let unasked = lock.unasked(wanted);
    let first = unasked.first()?;
    Some(format!(
        "warning: `{LOCK_FILE}` is of an older brc and does not say what source {} was built from, `{first}` first: \
         `brc lock` adds that and moves nothing",
        counted(unasked.len(), "package")
    ))
}

/// Each file with those that must have the same bytes, which are fetched once: empty indices of several architectures
/// are alike.
fn by_content(needed: &[NeededFile]) -> Vec<(&NeededFile, Vec<&NeededFile>)> {
    let mut groups: Vec<(&NeededFile, Vec<&NeededFile>)> = Vec::new();
    for file in needed {
        match groups.iter_mut().find(|(first, _)| file.sha256.is_some() && first.sha256 == file.sha256) {
            Some((_, alike)) => alike.push(file),
            None => groups.push((file, Vec::new())),
        }
    }
    groups
}

fn download(file: &NeededFile, tried: usize) -> WantedFile {
    let path = file.paths.get(tried).or(file.paths.last()).cloned().unwrap_or_default();
    WantedFile {
        name: file.paths.last().cloned().unwrap_or_default(),
        place: Place::Mirror(Located { mirror: file.mirror.clone(), path }),
        expect: Expect { sha256: file.sha256, size: file.size, limit: file.limit },
    }
}

#[cfg(test)]
mod tests {
    use brc_contract::Architecture;

    use super::*;
    use crate::content::{RelPath, Sha256};

    #[test]
    fn components_of_two_languages_may_be_made_from_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = "project \"p\"\n\
            archive \"d\" { suite \"s\"; keyring \"k.asc\"; }\n\
            packages \"rust\" archive=\"d\" suite=\"s\" { cargo; }\n\
            packages \"go\" archive=\"d\" suite=\"s\" { golang; }\n\
            kernel \"k\" { config \"k.config\"; version \"1\"; upstream { url \"https://example.org/k\" sha256=\"0000000000000000000000000000000000000000000000000000000000000000\"; }; }\n\
            component \"crate\" { version \"1\"; step \"x\"; upstream { folder \"src\"; crates \"Cargo.lock\"; }; }\n\
            component \"module\" { version \"1\"; step \"x\"; upstream { folder \"src\"; go-module \".\"; }; }\n\
            variant \"v\" { version \"1\"; arch \"x86_64\"; include \"k\" \"crate\" \"module\"; }\n";
        fs::create_dir(folder.path().join("src")).unwrap();
        for (at, text) in
            [("brc.kdl", recipe), ("k.config", ""), ("k.asc", ""), ("src/Cargo.lock", "1"), ("src/go.mod", "2")]
        {
            fs::write(folder.path().join(at), text).unwrap();
        }
        let project = Project::open(&folder.path().join("brc.kdl")).unwrap_or_else(|error| panic!("{error:?}"));
        let variant = project.variant(None).unwrap();
        let flats = project.flats(&variant, &[Architecture::X86_64]).unwrap_or_else(|error| panic!("{error:?}"));
        let found = project.manifests(&flats).unwrap();
        let names: Vec<&str> = found["src"].keys().map(RelPath::as_str).collect();
        assert_eq!(names, ["Cargo.lock", "go.mod"]);
    }

    #[test]
    fn one_content_is_fetched_once() {
        let file = |path: &str, content: Option<&str>| NeededFile {
            mirror: "m".to_owned(),
            paths: vec![path.to_owned()],
            sha256: content.map(|content| Sha256::of(content.as_bytes())),
            size: None,
            limit: 1,
            is_input: false,
        };
        let needed =
            [file("a", Some("1")), file("b", None), file("c", Some("1")), file("d", None), file("e", Some("2"))];
        let paths = |file: &NeededFile| file.paths[0].clone();
        let groups: Vec<String> = by_content(&needed)
            .into_iter()
            .map(|(first, alike)| paths(first) + &alike.into_iter().map(paths).collect::<String>())
            .collect();
        assert_eq!(groups, ["ac", "b", "d", "e"]);
    }
}
