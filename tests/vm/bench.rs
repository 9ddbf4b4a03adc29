//! The composed examples and the tools for looking at them, made once for all tests of this binary.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output as Printed,
    sync::{LazyLock, atomic::AtomicBool},
    time::Instant,
};

use brc::{
    build::AfterFailure,
    compose::{ComposeOrder, Locked, Project, Session},
    content::Digest,
    fetch::{Client, ClientConfig, Mirrors, Network, Patience, Proxies},
    graph::Role,
    plan::{Goal, ImagePart, Input, Output, Performer, Request, Run, Stdin},
    sandbox::Sandbox,
    store::Store,
};
use brc_contract::Architecture;

pub use super::{project::sha256, run::path};
use super::{
    project::{self as user, user_store},
    run::run,
};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_brc");
/// A boot takes 15 seconds on an idle machine; this is for one that is busy with other tests.
const BOOT_SECONDS: &str = "600";
/// What `brc boot` says when the emulator stands still.
const LOST_TIMER: &str = "a timer of the machine was lost";

/// The image under test, as `brc compose` left it.
pub static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::new("quickstart", Architecture::X86_64));
/// The same for the other architecture, composed by the same command.
pub static AARCH64: LazyLock<Bench> = LazyLock::new(|| Bench::new("quickstart", Architecture::Aarch64));

pub struct Bench {
    /// The example.
    pub variant: &'static str,
    pub architecture: Architecture,
    pub image: PathBuf,
    pub store: Store,
    /// Trees by goal: `oracle`, `probe`, `root-filesystem`, `erofs`.
    pub trees: BTreeMap<&'static str, Digest>,
}

/// A folder for the files of one test, empty.
pub fn folder(name: &str) -> PathBuf {
    user::folder(&format!("vm/{name}"))
}

/// A project on the set that brc ships, whose recipes stand in `NAME.kdl`.
#[cfg(feature = "suite-vm")]
pub fn project(folder: &Path, name: &str, recipes: &str) {
    let set = env!("CARGO_MANIFEST_DIR");
    let project = format!("project {name:?}\nrecipes \"brc\" {{ path {set:?} }}\nread \"{name}.kdl\"\n");
    fs::write(folder.join("brc.kdl"), project).unwrap();
    fs::write(folder.join(format!("{name}.kdl")), recipes).unwrap();
}

pub fn brc(arguments: &[&str]) -> Printed {
    let started = Instant::now();
    let printed = user::brc().args(arguments).output().unwrap();
    println!("brc {}: {:.1} s", arguments.join(" "), started.elapsed().as_secs_f64());
    printed
}

pub fn must(arguments: &[&str]) {
    let printed = brc(arguments);
    assert!(printed.status.success(), "brc {arguments:?}:\n{}", String::from_utf8_lossy(&printed.stderr));
}

impl Bench {
    pub fn new(variant: &'static str, architecture: Architecture) -> Self {
        let recipe = &format!("{}/examples/{variant}/{variant}.kdl", env!("CARGO_MANIFEST_DIR"));
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("out");
        must(&["compose", recipe, "--arch", "x86_64,aarch64", "--relock", "--out", out.to_str().unwrap()]);
        // The tool sets that checks use; composing alone does not need them.
        for tools in ["oracles", "probes"] {
            must(&["build", recipe, tools, "--arch", architecture.name()]);
        }
        let store = Store::open(&user_store()).unwrap();
        let trees = trees(&store, Path::new(recipe), variant, architecture);
        Self {
            variant,
            architecture,
            image: out.join(format!("{variant}_0.1.0_{}.raw", architecture.name())),
            store,
            trees,
        }
    }

    /// Boots a copy of `image` until `text` is printed, which it must; what it printed.
    pub fn boot(&self, image: &Path, text: &str, more: &[String]) -> String {
        let mut arguments = vec!["boot", image.to_str().unwrap(), "--until", text, "--timeout", BOOT_SECONDS];
        arguments.extend(more.iter().map(String::as_str));
        let mut printed = brc(&arguments);
        // An emulator that loses a timer says nothing about the image.
        for _ in 0..2 {
            if printed.status.code() == Some(3) && String::from_utf8_lossy(&printed.stderr).contains(LOST_TIMER) {
                printed = brc(&arguments);
            }
        }
        let serial = String::from_utf8_lossy(&printed.stdout).into_owned();
        let errors = String::from_utf8_lossy(&printed.stderr);
        assert_eq!(printed.status.code(), Some(0), "`{text}` was not printed:\n{serial}\n{errors}");
        serial
    }

    /// Writes a tree to a file as a read-only disk.
    pub fn disk_of(&self, tree: Digest, to: &Path) {
        let command = ["/usr/bin/mkfs.erofs", "--quiet", "--tar=f", "/out/disk.erofs"];
        let (made, _) = self.run(&[(self.trees["root-filesystem"], "")], &command, Some(tree));
        let (blob, _) = self.store.file_in(made, &path("disk.erofs")).unwrap();
        fs::copy(self.store.blob_path(blob), to).unwrap();
    }

    /// A file of a tree.
    pub fn file(&self, tree: &str, at: &str) -> Vec<u8> {
        let (blob, _) = self.store.file_in(self.trees[tree], &path(at)).unwrap();
        self.store.read(blob).unwrap()
    }

    /// Runs a program among `inputs`; its output folder and what it printed.
    pub fn run(&self, inputs: &[(Digest, &str)], command: &[&str], stdin: Option<Digest>) -> (Digest, String) {
        let input = |(tree, at): &(Digest, &str)| Input { owner: (*at).into(), tree: *tree, at: path(at) };
        let run = Run {
            inputs: inputs.iter().map(input).collect(),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/usr/sbin".to_owned())]).into(),
            stdin: stdin.map(Stdin::ArchiveOf),
            outputs: BTreeMap::from([("out".to_owned(), Output::Folder(path("out")))]),
            ..run(command)
        };
        let log = self.store.log_path(Digest::of(format!("{} {command:?} {stdin:?}", std::process::id()).as_bytes()));
        let cancelled = AtomicBool::new(false);
        let request = Request { log: &log, cancelled: &cancelled, job_server: None, progress: &|_| {} };
        let sandbox = Sandbox::new(self.store.clone(), EXECUTABLE.into());
        let outcome =
            sandbox.perform(&run, &request).unwrap_or_else(|failure| panic!("{command:?}: {}", failure.error));
        let printed = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        (outcome["out"], printed)
    }
}

/// What `brc` has built of an example; nothing is left to be done, so nothing is fetched.
fn trees(store: &Store, recipe: &Path, variant: &str, architecture: Architecture) -> BTreeMap<&'static str, Digest> {
    let downloads = tempfile::tempdir().unwrap();
    let client = Client::new(ClientConfig {
        network: Network::Offline,
        mirrors: Mirrors::new(),
        vendored: Vec::new(),
        downloads: downloads.path().to_owned(),
        proxies: Proxies::default(),
        patience: Patience::default(),
    });
    let cancelled = AtomicBool::new(false);
    let session = Session {
        store: store.clone(),
        client: client.unwrap(),
        sandbox: Sandbox::new(store.clone(), EXECUTABLE.into()),
        signing_keys: Vec::new(),
        jobs: 2,
        after_failure: AfterFailure::Stop,
        now: 0,
        cancelled: &cancelled,
        events: Box::new(|_| {}),
        status: Box::new(|_| {}),
    };
    let project = Project::open(recipe).unwrap();
    let variant = project.variant(Some(variant)).unwrap();
    let order = ComposeOrder { variant, architectures: vec![architecture], image_version: None, beside: None };
    let images = session.images(&project, &order, Locked::AsItIs).unwrap();
    let mut lowered = session.lower(&project, &images).unwrap();
    let tool = ImagePart::Tool;
    let wanted = [
        ("oracle", tool(Role::Oracle)),
        ("probe", tool(Role::Probe)),
        ("root-filesystem", tool(Role::RootFilesystem)),
        ("erofs", ImagePart::RootImage),
    ];
    let goal = |part| Goal::of_image(&images[0].title(), part);
    lowered.plan.goals.retain(|(one, _)| wanted.iter().any(|(_, part)| *one == goal(*part)));
    let built = session.build(&lowered).unwrap();
    wanted.into_iter().map(|(name, part)| (name, built.goals[&goal(part)])).collect()
}
