//! A store with a small root, and runs in it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, atomic::AtomicBool},
};

use brc::{
    content::{Digest, Entry, RelPath, Tree},
    plan::{Failure, Input, Outcome, Output, Performer, Progress, Request, Run},
    sandbox::Sandbox,
    store::Store,
};

pub use crate::support::run::path;
use crate::support::run::run;

/// The program that becomes a sandbox.
pub const EXECUTABLE: &str = env!("CARGO_BIN_EXE_brc");

/// The programs of this machine that the root is made from.
const PROGRAMS: [&str; 26] = [
    "cat", "chmod", "chown", "cp", "dd", "env", "grep", "hostname", "id", "ln", "ls", "mkdir", "mkfifo", "mount", "mv",
    "nproc", "readlink", "rm", "sh", "sleep", "stat", "tail", "touch", "uname", "unshare", "wc",
];

/// A store in a folder of its own, and the digest of a root with a shell.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub store: Store,
    pub root: Digest,
    pub cancelled: AtomicBool,
    pub lines: Mutex<Vec<String>>,
}

impl Bench {
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// One whose store lies below this folder.
    pub fn new_in(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let root = store.put_tree(&root_tree(&store)).unwrap();
        Self { folder, store, root, cancelled: AtomicBool::new(false), lines: Mutex::default() }
    }

    /// A run of a shell script with no outputs.
    pub fn script(&self, script: &str) -> Run<Digest> {
        Run {
            inputs: vec![Input { owner: "root".into(), tree: self.root, at: RelPath::ROOT }],
            timeout_seconds: 60,
            ..run(&["/bin/sh", "-euc", script])
        }
    }

    pub fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.store.clone(), EXECUTABLE.into())
    }

    pub fn log(&self) -> PathBuf {
        self.store.log_path(Digest::of(b"the log of this test"))
    }

    pub fn perform(&self, run: &Run<Digest>) -> Result<Outcome, Failure> {
        self.perform_with(run, None)
    }

    pub fn perform_with(&self, run: &Run<Digest>, job_server: Option<&Path>) -> Result<Outcome, Failure> {
        self.perform_by(&self.sandbox(), run, job_server)
    }

    pub fn perform_by(
        &self,
        sandbox: &Sandbox,
        run: &Run<Digest>,
        job_server: Option<&Path>,
    ) -> Result<Outcome, Failure> {
        let log = self.log();
        let progress = |progress: Progress| {
            if let Progress::Line(line) = progress {
                self.lines.lock().unwrap().push(line);
            }
        };
        let request = Request { log: &log, cancelled: &self.cancelled, job_server, progress: &progress };
        sandbox.perform(run, &request)
    }

    /// What a script prints; it must succeed.
    pub fn prints(&self, script: &str) -> String {
        self.prints_of(&self.script(script))
    }

    pub fn prints_of(&self, run: &Run<Digest>) -> String {
        self.perform(run).map(drop).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
        fs::read_to_string(self.log()).unwrap()
    }

    /// The output folder `out` of a script that must succeed.
    pub fn out(&self, script: &str) -> Tree {
        self.output(script, Output::Folder(path("out")))
    }

    /// The one output of a script that must succeed.
    pub fn output(&self, script: &str, output: Output) -> Tree {
        let mut run = self.script(script);
        run.outputs.insert("out".into(), output);
        let outcome = self.perform(&run).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
        Tree::clone(&self.store.tree(outcome["out"]).unwrap())
    }

    /// A tree of text files, by path.
    pub fn tree(&self, files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (at, text) in files {
            tree.insert(path(at), self.file(text)).unwrap();
        }
        tree
    }

    pub fn file(&self, text: &str) -> Entry {
        Entry::File { blob: self.store.put(text.as_bytes()).unwrap(), size: text.len() as u64, executable: false }
    }

    pub fn text(&self, tree: &Tree, at: &str) -> String {
        let Some(Entry::File { blob, .. }) = tree.entry(&path(at)) else { panic!("no file {at}") };
        String::from_utf8(self.store.read(*blob).unwrap()).unwrap()
    }
}

/// A failure with all its causes, as a person reads it.
pub fn chain(failure: &Failure) -> String {
    brc_contract::error_chain(failure.error.as_ref())
}

fn root_tree(store: &Store) -> Tree {
    let mut tree = Tree::new();
    let mut libraries = BTreeSet::new();
    for name in PROGRAMS {
        let program = [format!("/bin/{name}"), format!("/usr/bin/{name}")]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap_or_else(|| panic!("this machine has no `{name}`; install coreutils, grep, hostname, util-linux"));
        libraries.extend(libraries_of(&program));
        add(store, &mut tree, &program, &format!("bin/{name}"));
    }
    for library in libraries {
        add(store, &mut tree, &library, library.trim_start_matches('/'));
    }
    tree
}

/// The libraries that a program of this machine needs.
pub fn libraries_of(program: &str) -> BTreeSet<String> {
    let needs = Command::new("ldd").arg(program).output().expect("`ldd` tells which libraries a program needs");
    let needs = String::from_utf8(needs.stdout).unwrap();
    needs.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}

/// Adds a file of this machine to a tree.
pub fn add(store: &Store, tree: &mut Tree, from: &str, to: &str) {
    let executable = fs::metadata(from).unwrap().permissions().mode() & 0o111 != 0;
    // The store refuses links.
    let (blob, size) = store.put_file(&fs::canonicalize(from).unwrap()).unwrap();
    tree.insert(path(to), Entry::File { blob, size, executable }).unwrap();
}
