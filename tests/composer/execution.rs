//! One lock for machines of either architecture, and locks of the first version.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use brc::{
    build::AfterFailure,
    compose::{Project, Session, SetPins},
    fetch::{Client, ClientConfig, Mirrors, Network, Patience, Proxies},
    lock::{Goal, Lock},
    sandbox::Sandbox,
    store::Store,
};
use brc_contract::Architecture;

use crate::support::{
    archive::{ArchiveKey, KeySpec, NOW, PackageSpec, SuiteSpec},
    project::{Ran, brc, folder, repository, sha256},
};

/// A compiler for either target on either machine, tools that ask which machine it is, and a loader of the target.
const RECIPES: &str = r#"
project "both"
archive "notes" { suite "notes"; keyring "notes.asc" }
packages "compiler" archive="notes" suite="notes" {
    gcc
    when arch="x86_64" { gcc-x86-64 }
    when arch="aarch64" { gcc-aarch64 }
    when arch="x86_64" execution="aarch64" { without "libc-amd64-cross" reason="the image has its own" }
    when arch="aarch64" execution="x86_64" { without "libc-arm64-cross" reason="the image has its own" }
}
packages "tools" archive="notes" suite="notes" {
    shell
    when execution="aarch64" { only-on-arm }
    otherwise { only-on-x86 }
}
packages "loader" archive="notes" suite="notes" { loader; when execution="aarch64" { loader-of-arm } }
packages "library" archive="notes" suite="notes" { libc }
component "compiled" {
    build-with "compiler"
    link-with "library"
    when execution="aarch64" { build-with "tools" }
    step "true"
}
kernel "none" {
    version "1"
    upstream { url "file://KERNEL" sha256="SHA256" }
    config "none.config"
}
variant "v" {
    version "1"
    arch "x86_64" "aarch64"
    include "none" "compiled"
    tool "root-filesystem" "tools"
    tool "finish" "tools"
    tool "boot-loader" "loader"
    tool "machine" "tools"
    tool "oracle" "tools"
    tool "probe" "loader"
}
"#;

/// A project beside an archive whose mirror is a folder.
pub struct World {
    pub folder: PathBuf,
    key: ArchiveKey,
}

impl World {
    /// With two copies of a project, `here` and `there`.
    pub fn new(name: &str, recipes: &str) -> World {
        let world = World { folder: folder(name), key: ArchiveKey::new(&KeySpec::default()) };
        for project in ["here", "there"] {
            let project = world.folder.join(project);
            fs::create_dir_all(&project).unwrap();
            let kernel = world.folder.join("kernel.tar");
            fs::write(&kernel, "no kernel is compiled here\n").unwrap();
            let recipes = recipes.replace("KERNEL", kernel.to_str().unwrap()).replace("SHA256", &sha256(&kernel));
            fs::write(project.join("brc.kdl"), recipes).unwrap();
            fs::write(project.join("notes.asc"), world.key.certificate()).unwrap();
            fs::write(project.join("none.config"), "CONFIG_EFI=y\n").unwrap();
        }
        world
    }

    /// The archive has everything in this version, but for what is `gone`.
    pub fn publish(&self, version: u64, gone: &str) {
        let number = version.to_string();
        let package = |name: &str, word: &str| PackageSpec::new(name, &number).architecture(word);
        let mut packages = vec![
            package("gcc-aarch64", "amd64").depends("gcc, libc-arm64-cross"),
            package("gcc-x86-64", "arm64").depends("gcc, libc-amd64-cross"),
            package("gcc-aarch64", "arm64").with("Source", "gcc-defaults (1.220)"),
            package("gcc-x86-64", "amd64").with("Source", "gcc-defaults (1.220)"),
            package("libc-arm64-cross", "all"),
            package("libc-amd64-cross", "all"),
            package("only-on-arm", "arm64"),
            package("only-on-x86", "amd64"),
            package("loader-of-arm", "arm64"),
        ];
        for word in ["amd64", "arm64"] {
            packages.push(package("gcc", word).with("Source", "gcc-defaults (1.220)"));
            packages.push(package("shell", word).depends("libc"));
            packages.push(package("loader", word).with("Source", "systemd"));
            packages.push(package("libc", word).with("Source", "glibc"));
        }
        packages.retain(|package| package.name != gone);
        let suite = SuiteSpec {
            mirror: "notes".to_owned(),
            valid_until: None,
            date: NOW + version,
            ..SuiteSpec::new("notes", packages)
        };
        let mirror = self.folder.join("mirror");
        let _ = fs::remove_dir_all(&mirror);
        for (path, bytes) in suite.files(&self.key) {
            let path = mirror.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// A project as a machine of this architecture reads it.
    pub fn project(&self, name: &str, execution: Architecture) -> Project {
        let mut project = Project::open(&self.folder.join(name).join("brc.kdl")).unwrap();
        project.execution = execution;
        project
    }

    /// Locks a project as a machine of this architecture does; what it was told meanwhile.
    fn lock(&self, project: &str, execution: Architecture, goal: Goal) -> Vec<String> {
        let mut mirrors = Mirrors::new();
        mirrors.offer("notes", &[self.folder.join("mirror").to_str().unwrap().to_owned()]).unwrap();
        let client = Client::new(ClientConfig {
            network: Network::Offline,
            mirrors,
            vendored: Vec::new(),
            downloads: self.folder.join("downloads"),
            proxies: Proxies::default(),
            patience: Patience::default(),
        });
        let (store, cancelled) = (Store::open(&self.folder.join("store")).unwrap(), AtomicBool::new(false));
        let session = Session {
            client: client.unwrap(),
            sandbox: Sandbox::new(store.clone(), env!("CARGO_BIN_EXE_brc").into()),
            store,
            signing_keys: Vec::new(),
            jobs: 1,
            after_failure: AfterFailure::Stop,
            now: NOW,
            cancelled: &cancelled,
            events: Box::new(|_| {}),
            status: Box::new(|_| {}),
        };
        let project = self.project(project, execution);
        let (flats, old) = (project.all_flats().unwrap(), project.lock().unwrap());
        let made = session.make_lock(&project, &flats, &old, goal, SetPins::Missing);
        let (lock, report) = made.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
        project.write_lock(&lock).unwrap();
        report.warnings.iter().map(ToString::to_string).collect()
    }

    fn text(&self, project: &str) -> String {
        fs::read_to_string(self.folder.join(project).join("brc.lock")).unwrap()
    }

    pub fn brc(&self, words: &[&str]) -> Ran {
        let mirror = format!("notes={}", self.folder.join("mirror").display());
        let mut command = brc();
        command.args(words).arg("--mirror").arg(mirror).current_dir(self.folder.join("here"));
        Ran::new(command.arg("--store").arg(self.folder.join("store")))
    }
}

#[test]
fn a_machine_of_either_architecture_writes_the_same_lock_byte_for_byte() {
    let world = World::new("either-architecture", RECIPES);
    world.publish(1, "");
    for goal in [Goal::Complete, Goal::Complete, Goal::Update(Default::default())] {
        let here = world.lock("here", Architecture::X86_64, goal.clone());
        let there = world.lock("there", Architecture::Aarch64, goal);
        assert_eq!((here, there), (vec![], vec![]));
        assert_eq!(world.text("here"), world.text("there"));
        world.publish(2, "");
    }
    let text = world.text("here");
    let lock = Lock::parse(&text).unwrap();
    let held = |name: &str, architecture| -> Vec<String> {
        let closure = lock.closure(name, architecture).unwrap_or_else(|| panic!("{name} {architecture:?}: {text}"));
        closure.members.keys().map(|id| id.name.clone()).collect()
    };
    let (x86, arm) = (Architecture::X86_64, Architecture::Aarch64);
    assert_eq!(held("tool both/compiler for aarch64", x86), ["gcc", "gcc-aarch64"]);
    assert_eq!(held("tool both/compiler for aarch64", arm), ["gcc", "gcc-aarch64"]);
    assert_eq!(held("tool both/compiler for x86_64", x86), ["gcc", "gcc-x86-64"]);
    assert_eq!(held("tool both/compiler for x86_64", arm), ["gcc", "gcc-x86-64"]);
    assert_eq!(held("tool both/tools", x86), ["libc", "only-on-x86", "shell"]);
    assert_eq!(held("tool both/tools", arm), ["libc", "only-on-arm", "shell"]);
    // A loader is for the target, whichever machine composes.
    assert_eq!(held("tool both/loader", x86), ["loader"]);
    assert_eq!(held("tool both/loader", arm), ["loader", "loader-of-arm"]);
    // The one machine goes on where the other stopped, and nothing changes.
    fs::copy(world.folder.join("here/brc.lock"), world.folder.join("there/brc.lock")).unwrap();
    world.lock("there", arm, Goal::Complete);
    assert_eq!(world.text("there"), text);
}

#[test]
fn the_locks_of_this_repository_serve_machines_of_either_architecture() {
    for recipe in [
        "brc.kdl",
        "examples/aws-k8s/aws-k8s.kdl",
        "examples/ci/node.kdl",
        "examples/hardened/hardened.kdl",
        "examples/kernel-module/kernel-module.kdl",
        "examples/quickstart/quickstart.kdl",
    ] {
        for execution in Architecture::ALL {
            let mut project = Project::open(&repository().join(recipe)).unwrap();
            project.execution = execution;
            let (flats, lock) = (project.all_flats().unwrap(), project.lock().unwrap());
            let wanted = project.wanted(&flats).unwrap();
            let missing: Vec<String> = lock.missing(&wanted).iter().map(ToString::to_string).collect();
            assert_eq!(missing, [""; 0], "{recipe} {execution:?}");
            assert!(lock.unasked(&wanted).is_empty(), "{recipe} {execution:?}");
        }
    }
}

/// A lock as the first version had it.
fn first_version(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("    source "));
    lines.map(|line| format!("{line}\n")).collect::<String>().replace("\nlock 2\n", "\nlock 1\n")
}

#[test]
fn a_lock_of_the_first_version_is_read_and_rewritten() {
    let world = World::new("first-version", RECIPES);
    world.publish(1, "");
    assert!(world.brc(&["lock"]).output.status.success());
    let second = world.text("here");
    assert!(second.contains("\n    source \"glibc\" \"1\"\n"), "{second}");
    assert!(second.contains("\n    source \"gcc-defaults\" \"1.220\"\n"), "{second}");
    let lock = |folder: &Path| folder.join("here/brc.lock");
    fs::write(lock(&world.folder), first_version(&second)).unwrap();

    // It serves as it is, and it is said what it does not say.
    let checked = world.brc(&["check", "--locked"]);
    let told = String::from_utf8_lossy(&checked.output.stderr).into_owned();
    assert!(checked.output.status.success(), "{told}{:?}", checked.events);
    assert!(told.contains("does not say what source"), "{told}");
    assert!(told.contains("`brc lock` adds that and moves nothing"), "{told}");
    assert_eq!(world.text("here"), first_version(&second));

    // The archive moved on, and lost a package: what is locked stays, the rest is asked of what is listed.
    world.publish(1, "loader-of-arm");
    let ran = world.brc(&["lock"]);
    assert!(ran.output.status.success(), "{:?}", ran.events);
    assert_eq!(ran.of("change").count(), 0);
    let is_of_suite = |line: &&str| !line.starts_with("suite ");
    let expected = second.replace("    source \"loader-of-arm\" \"1\"\n", "    source\n");
    let lines = |text: &str| text.lines().filter(is_of_suite).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&world.text("here")), lines(&expected));
    let checked = world.brc(&["check", "--locked"]);
    assert!(!String::from_utf8_lossy(&checked.output.stderr).contains("does not say"), "{:?}", checked.events);
    // Nobody is asked twice.
    fs::remove_dir_all(world.folder.join("mirror")).unwrap();
    assert!(world.brc(&["lock"]).output.status.success());
}
