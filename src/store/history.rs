//! What the last builds of a project did, so that people can be told what ran and why.
//!
//! Records `brc-build 1` in `builds/ab…`, a folder for each project and variant, with ascending numbers as names.
//! Nothing is decided by them: one that is lost or broken makes an explanation shorter.
//!
//! ```text
//! project PATH                        variant NAME                    command WORD
//! began SECONDS-SINCE-1970            took MILLISECONDS               processors MILLISECONDS
//! end done|failed                     known NUMBER-OF-REUSED-STEPS
//! text TEXT                           each text of facts once; they count from 0
//! step ran|reused|failed KEY MILLISECONDS COMPONENT STAGE
//! needs STEP …                        earlier steps of this record; they count from 0
//! gave DIGEST OUTPUT
//! tree DIGEST FACT                    a tree that the step took
//! fact TEXT-NUMBER FACT               anything else that its key was made from
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Store, StoreError,
    name::{file_name, path_word, word, word_path, word_text},
    shard::list,
};
use crate::content::Digest;

const FIRST_LINE: &str = "brc-build 1";
/// How many builds of a project and variant are remembered.
const MAX_BUILDS: usize = 20;

/// One build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecord {
    /// What was asked for: `compose`, `build runc`.
    pub command: String,
    /// When it began by the caller's clock, in seconds since 1970.
    pub began: u64,
    /// How long it took.
    pub took: Duration,
    /// How long processors worked for it, all together.
    pub processors: Duration,
    /// How it ended.
    pub end: BuildEnd,
    /// How many steps were reused.
    pub known: usize,
    /// The steps, every one after those it needs. None where every step was reused and the build before says them.
    pub steps: Vec<StepRecord>,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildEnd {
    /// It reached its goals.
    Done,
    /// A step failed, or somebody stopped it.
    Failed,
}

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// Its component.
    pub component: String,
    /// What was done.
    pub stage: String,
    /// The key of its action; its log and outcome go by it.
    pub key: Digest,
    /// What became of it.
    pub state: StepState,
    /// How long it took.
    pub took: Duration,
    /// The places in [`BuildRecord::steps`] of the steps that it took something from.
    pub needs: Vec<usize>,
    /// Its trees by output name; none where it failed.
    pub gave: BTreeMap<String, Digest>,
    /// What its key was made from.
    pub facts: BTreeMap<String, RecordedFact>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// It was performed.
    Ran,
    /// Its outcome was remembered.
    Reused,
    /// It has no outcome.
    Failed,
    /// It would be performed now: of what is foreseen, never of a build that was.
    Due,
}

/// One of the things that a key was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedFact {
    /// A tree.
    Tree(Digest),
    /// Anything else.
    Text(String),
}

impl Store {
    /// Remembers a build of a project and variant, and forgets the ones that are too old.
    ///
    /// A build that reused everything replaces one before it that did too.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn record_build(&self, project: &Path, variant: &str, build: &BuildRecord) -> Result<(), StoreError> {
        let (folder, heading) = self.builds_of(project, variant)?;
        fs::create_dir_all(&folder).map_err(|source| StoreError::io("make", &folder, source))?;
        let known = list(folder.clone())?;
        let last = known.iter().filter_map(|path| number_of(path)).max().unwrap_or_default();
        let mut number = last + 1;
        // The name is taken before anything is written: two processes never get the same one. A record that a kill
        // left empty counts as not there.
        let path = loop {
            let path = folder.join(format!("{number:08}"));
            match File::create_new(&path) {
                Ok(_) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(StoreError::io("write", &path, source)),
            }
        };
        self.write_record(&path, FIRST_LINE, &encode(&heading, build))?;
        let mut old = known.len().saturating_sub(MAX_BUILDS - 1);
        let repeats =
            |path: &PathBuf| Ok::<bool, StoreError>(self.read_build(path)?.is_some_and(|b| b.steps.is_empty()));
        if build.steps.is_empty() && known.last().map(repeats).transpose()?.unwrap_or_default() {
            known.last().into_iter().try_for_each(|path| forget(path))?;
            old = old.saturating_sub(1);
        }
        known.iter().take(old).try_for_each(|path| forget(path))
    }

    /// The last builds of a project and variant, the newest first, at most `most`.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn builds(&self, project: &Path, variant: &str, most: usize) -> Result<Vec<BuildRecord>, StoreError> {
        let (folder, _) = self.builds_of(project, variant)?;
        let mut builds = Vec::new();
        for path in list(folder)?.into_iter().rev() {
            if builds.len() == most {
                break;
            }
            builds.extend(self.read_build(&path)?);
        }
        Ok(builds)
    }

    fn read_build(&self, path: &Path) -> Result<Option<BuildRecord>, StoreError> {
        Ok(self.read_record(path, FIRST_LINE)?.and_then(|lines| decode(&lines)))
    }

    /// Every folder of records, with the project that they are about as its newest record says it.
    pub(super) fn build_folders(&self) -> Result<Vec<(PathBuf, Option<PathBuf>)>, StoreError> {
        let mut folders = Vec::new();
        for folder in list(self.dir().join("builds"))? {
            let mut project = None;
            for path in list(folder.clone())?.iter().rev() {
                let lines = self.read_record(path, FIRST_LINE)?;
                project = lines.and_then(|lines| word_path(lines.lines().next()?.strip_prefix("project ")?));
                if project.is_some() {
                    break;
                }
            }
            folders.push((folder, project));
        }
        Ok(folders)
    }

    fn builds_of(&self, project: &Path, variant: &str) -> Result<(PathBuf, String), StoreError> {
        let project = project.canonicalize().map_err(|source| StoreError::io("find", project, source))?;
        let (project, variant) = (path_word(&project), file_name(variant));
        let name = Digest::of(format!("{project} {variant}").as_bytes()).to_string();
        Ok((self.dir().join("builds").join(name), format!("project {project}\nvariant {variant}\n")))
    }
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

/// Removes a record; another process may have done so.
fn forget(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path, source)),
        _ => Ok(()),
    }
}

impl BuildEnd {
    const ALL: [(BuildEnd, &'static str); 2] = [(BuildEnd::Done, "done"), (BuildEnd::Failed, "failed")];

    /// The word for it.
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

impl StepState {
    const ALL: [(StepState, &'static str); 4] = [
        (StepState::Ran, "ran"),
        (StepState::Reused, "reused"),
        (StepState::Failed, "failed"),
        (StepState::Due, "due"),
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

fn name_in<T: Copy + PartialEq>(all: &[(T, &'static str)], wanted: T) -> &'static str {
    all.iter().find(|(one, _)| *one == wanted).map_or("", |(_, name)| name)
}

fn from_name<T: Copy>(all: &[(T, &'static str)], name: &str) -> Option<T> {
    all.iter().find(|(_, known)| *known == name).map(|(one, _)| *one)
}

fn encode(heading: &str, build: &BuildRecord) -> String {
    let mut texts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut table = String::new();
    let mut steps = String::new();
    for step in &build.steps {
        let (state, took) = (step.state.name(), step.took.as_millis());
        steps.push_str(&format!("step {state} {} {took} {} {}\n", step.key, word(&step.component), word(&step.stage)));
        if !step.needs.is_empty() {
            let needs: Vec<String> = step.needs.iter().map(usize::to_string).collect();
            steps.push_str(&format!("needs {}\n", needs.join(" ")));
        }
        step.gave.iter().for_each(|(name, tree)| steps.push_str(&format!("gave {tree} {}\n", word(name))));
        for (name, fact) in &step.facts {
            match fact {
                RecordedFact::Tree(tree) => steps.push_str(&format!("tree {tree} {}\n", word(name))),
                RecordedFact::Text(text) => {
                    let next = texts.len();
                    let number = *texts.entry(text).or_insert_with(|| {
                        table.push_str(&format!("text {}\n", word(text)));
                        next
                    });
                    steps.push_str(&format!("fact {number} {}\n", word(name)));
                }
            }
        }
    }
    format!(
        "{heading}command {}\nbegan {}\ntook {}\nprocessors {}\nend {}\nknown {}\n{table}{steps}",
        word(&build.command),
        build.began,
        build.took.as_millis(),
        build.processors.as_millis(),
        build.end.name(),
        build.known,
    )
}

fn decode(lines: &str) -> Option<BuildRecord> {
    let mut lines = lines.lines();
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    field("project")?;
    field("variant")?;
    let mut build = BuildRecord {
        command: word_text(field("command")?)?,
        began: field("began")?.parse().ok()?,
        took: milliseconds(field("took")?)?,
        processors: milliseconds(field("processors")?)?,
        end: from_name(&BuildEnd::ALL, field("end")?)?,
        known: field("known")?.parse().ok()?,
        steps: Vec::new(),
    };
    let mut texts: Vec<String> = Vec::new();
    for line in lines {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "text" => texts.push(word_text(rest)?),
            "step" => build.steps.push(decode_step(rest)?),
            _ => {
                let before = build.steps.len().checked_sub(1)?;
                let step = build.steps.last_mut()?;
                match kind {
                    "needs" => {
                        step.needs = rest.split(' ').map(|need| need.parse().ok()).collect::<Option<_>>()?;
                        step.needs.iter().all(|need| *need < before).then_some(())?;
                    }
                    "gave" | "tree" => {
                        let (tree, name) = rest.split_once(' ')?;
                        let (tree, name) = (Digest::parse(tree).ok()?, word_text(name)?);
                        match kind {
                            "gave" => drop(step.gave.insert(name, tree)),
                            _ => drop(step.facts.insert(name, RecordedFact::Tree(tree))),
                        }
                    }
                    "fact" => {
                        let (number, name) = rest.split_once(' ')?;
                        let text = texts.get(number.parse::<usize>().ok()?)?.clone();
                        step.facts.insert(word_text(name)?, RecordedFact::Text(text));
                    }
                    _ => return None,
                }
            }
        }
    }
    Some(build)
}

fn decode_step(line: &str) -> Option<StepRecord> {
    let mut words = line.split(' ');
    Some(StepRecord {
        state: from_name(&StepState::ALL, words.next()?)?,
        key: Digest::parse(words.next()?).ok()?,
        took: milliseconds(words.next()?)?,
        component: word_text(words.next()?)?,
        stage: word_text(words.next()?)?,
        needs: Vec::new(),
        gave: BTreeMap::new(),
        facts: BTreeMap::new(),
    })
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, time::SystemTime};

    use crate::store::{GcMode, GcPolicy};

    fn step(name: &str) -> StepRecord {
        StepRecord {
            component: format!("shop/{name}"),
            stage: "build".to_owned(),
            key: Digest::of(name.as_bytes()),
            state: StepState::Ran,
            took: Duration::from_millis(1500),
            needs: Vec::new(),
            gave: BTreeMap::from([("out".to_owned(), Digest::of(b"out"))]),
            facts: BTreeMap::from([
                ("command".to_owned(), RecordedFact::Text("make\n  all %".to_owned())),
                ("input `source`".to_owned(), RecordedFact::Tree(Digest::of(b"source"))),
            ]),
        }
    }

    fn build(began: u64) -> BuildRecord {
        let second = StepRecord { needs: vec![0], state: StepState::Failed, gave: BTreeMap::new(), ..step("b") };
        BuildRecord {
            command: "build b".to_owned(),
            began,
            took: Duration::from_millis(3000),
            processors: Duration::from_millis(4000),
            end: BuildEnd::Failed,
            known: 7,
            steps: vec![step("a"), second],
        }
    }

    #[test]
    fn the_format_of_a_build_does_not_change() {
        // A change here is a change of the store's format: it needs a new version in `FIRST_LINE`.
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let (out, source) = (Digest::of(b"out"), Digest::of(b"source"));
        let golden = format!(
            "project /p\nvariant v\ncommand build%20b\nbegan 9\ntook 3000\nprocessors 4000\nend failed\nknown 7\n\
             text make%0A%20%20all%20%25\n\
             step ran {a} 1500 shop/a build\ngave {out} out\nfact 0 command\ntree {source} input%20%60source%60\n\
             step failed {b} 1500 shop/b build\nneeds 0\nfact 0 command\ntree {source} input%20%60source%60\n"
        );
        assert_eq!(encode("project /p\nvariant v\n", &build(9)), golden);
        assert_eq!(decode(&golden), Some(build(9)));
        for (from, to) in [("needs 0", "needs 1"), ("fact 0", "fact 1"), ("ran", "walked"), ("took", "look")] {
            assert_eq!(decode(&golden.replacen(from, to, 1)), None, "{to}");
        }
    }

    #[test]
    fn the_last_builds_are_kept_and_older_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        for began in 1..=30 {
            store.record_build(dir.path(), "v", &build(began)).unwrap();
        }
        store.record_build(dir.path(), "w", &build(99)).unwrap();
        let began: Vec<u64> = store.builds(dir.path(), "v", 99).unwrap().iter().map(|build| build.began).collect();
        assert_eq!(began, (11..=30).rev().collect::<Vec<u64>>());
        // Builds that did nothing push out none that did.
        for began in 31..=60 {
            let idle = BuildRecord { steps: Vec::new(), end: BuildEnd::Done, ..build(began) };
            store.record_build(dir.path(), "v", &idle).unwrap();
        }
        let began: Vec<u64> = store.builds(dir.path(), "v", 2).unwrap().iter().map(|build| build.began).collect();
        assert_eq!(began, [60, 30]);
        assert_eq!(store.builds(dir.path(), "v", 99).unwrap().len(), MAX_BUILDS);
    }

    #[test]
    fn processes_that_record_at_once_lose_nothing_and_a_kill_leaves_nothing_broken() {
        let dir = tempfile::tempdir().unwrap();
        let stores: Vec<Store> = (0..4).map(|_| Store::open(&dir.path().join("store")).unwrap()).collect();
        std::thread::scope(|scope| {
            for (number, store) in (0_u64..).zip(&stores) {
                let project = dir.path();
                scope.spawn(move || {
                    (0..4).for_each(|n| store.record_build(project, "v", &build(number * 4 + n)).unwrap())
                });
            }
        });
        let began = || -> BTreeSet<u64> {
            stores[0].builds(dir.path(), "v", 99).unwrap().iter().map(|build| build.began).collect()
        };
        assert_eq!(began(), (0..16).collect());
        // As a kill leaves it: the name is taken, and nothing is written.
        let (folder, _) = stores[0].builds_of(dir.path(), "v").unwrap();
        fs::write(folder.join("00000017"), "").unwrap();
        stores[0].record_build(dir.path(), "v", &build(77)).unwrap();
        assert_eq!(stores[0].builds(dir.path(), "v", 1).unwrap()[0].began, 77);
        assert!(folder.join("00000018").exists());
    }

    #[test]
    fn records_go_with_their_project() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("store")).unwrap();
        let project = dir.path().join("project");
        fs::create_dir(&project).unwrap();
        store.record_build(&project, "v", &build(1)).unwrap();
        let mut policy = GcPolicy::new(SystemTime::now());
        (policy.keep_used_within, policy.mode) = (Duration::ZERO, GcMode::Remove);
        store.gc(&policy).unwrap();
        assert_eq!(store.builds(&project, "v", 9).unwrap().len(), 1);
        fs::remove_dir(&project).unwrap();
        store.gc(&policy).unwrap();
        assert!(list(store.dir().join("builds")).unwrap().is_empty());
    }
}
