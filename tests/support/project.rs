//! The quickstart project, composed by the program under test.
//!
//! The user's own store is used (`BRC_STORE`, else the cache), so that a kernel is compiled once on a machine; what
//! a test changes it changes in a copy.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;

/// The program under test, as a user calls it.
pub fn brc() -> Command {
    Command::new(env!("CARGO_BIN_EXE_brc"))
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The store that a user of this machine has.
pub fn user_store() -> PathBuf {
    let cache = || {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        cache.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache")).join("brc")
    };
    env::var_os("BRC_STORE").map_or_else(cache, PathBuf::from)
}

/// A folder for this test, empty, on the file system of the build.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What `brc --json` did.
pub struct Ran {
    pub output: Output,
    pub events: Vec<Value>,
}

impl Ran {
    /// Runs a command with `--json`, whatever becomes of it.
    pub fn new(command: &mut Command) -> Ran {
        let output = command.arg("--json").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let events = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        Ran { output, events }
    }

    /// Runs a command that must succeed.
    pub fn well(command: &mut Command) -> Ran {
        let ran = Ran::new(command);
        let talk = String::from_utf8_lossy(&ran.output.stderr);
        assert!(ran.output.status.success(), "{command:?}\n{talk}\n{:#?}", ran.events.last());
        ran
    }

    /// The stages that were performed, as `component stage`, in order.
    pub fn performed(&self) -> Vec<String> {
        self.of("finished").map(|event| format!("{} {}", text(event, "component"), text(event, "stage"))).collect()
    }

    /// The events of one kind.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }
}

/// A field that is a text.
pub fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or("")
}

/// The quickstart image, composed once for all tests of this process.
pub struct Quickstart {
    pub disk: PathBuf,
    pub manifest: PathBuf,
    /// The lock that it was composed by, which `--relock` may have moved.
    pub lock: PathBuf,
    pub ran: Ran,
}

/// Composes the quickstart image as the README says. Compiles its kernel when the store does not have it.
pub fn quickstart() -> &'static Quickstart {
    static COMPOSED: OnceLock<Quickstart> = OnceLock::new();
    COMPOSED.get_or_init(|| {
        // In a copy of the project, since `--relock` may write its lock.
        let out = folder("quickstart-out");
        let recipe = copy_of_quickstart(&folder("quickstart-project"));
        let mut command = brc();
        command.args(["compose", "--arch=x86_64", "--relock", "--out"]).arg(&out).arg(&recipe);
        let ran = Ran::well(&mut command);
        let composed = ran.of("composed").next().expect("an image was composed");
        let (disk, manifest) = (text(composed, "disk").into(), text(composed, "manifest").into());
        Quickstart { disk, manifest, lock: recipe.with_file_name("brc.lock"), ran }
    })
}

/// Copies `examples/quickstart` to `folder` and changes its import line, as a user would; the recipe's path.
pub fn copy_of_quickstart(folder: &Path) -> PathBuf {
    let example = repository().join("examples/quickstart");
    for name in ["quickstart.kdl", "brc.lock"] {
        fs::copy(example.join(name), folder.join(name)).unwrap();
    }
    let project = fs::read_to_string(example.join("brc.kdl")).unwrap();
    assert!(project.contains("path \"../..\""), "{project}");
    let import = format!("path {:?}", repository().to_str().unwrap());
    fs::write(folder.join("brc.kdl"), project.replace("path \"../..\"", &import)).unwrap();
    folder.join("quickstart.kdl")
}

/// Copies `examples/kernel-module` to `folder`, with a signed module that nothing loads; the recipe's path.
pub fn signed_module(folder: &Path) -> PathBuf {
    let example = repository().join("examples/kernel-module");
    let read = |name: &str| fs::read_to_string(example.join(name)).unwrap();
    let changed = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{from} in {text}");
        text.replace(from, to)
    };
    let import = format!("path {:?}", repository().to_str().unwrap());
    fs::write(folder.join("brc.kdl"), changed(read("brc.kdl"), "path \"../..\"", &import)).unwrap();
    let recipe = changed(
        read("kernel-module.kdl"),
        "feature \"kernel-modules\" on=#true",
        "feature \"signed-modules\" on=#true\n    override \"brc/linux-6.12\" { module-certificate \"modules.pem\" }",
    );
    let recipe = changed(recipe, "    kernel-module \"hello\"", "    //");
    fs::write(folder.join("kernel-module.kdl"), recipe).unwrap();
    fs::create_dir(folder.join("hello")).unwrap();
    for name in ["brc.lock", "hello/Kbuild", "hello/hello.c"] {
        fs::copy(example.join(name), folder.join(name)).unwrap();
    }
    fs::copy(repository().join("tests/data/signing/modules.pem"), folder.join("modules.pem")).unwrap();
    folder.join("kernel-module.kdl")
}

/// A second store that shares the first one's objects by hard links, so that nothing is compiled again.
pub fn second_store(name: &str) -> PathBuf {
    quickstart();
    linked_store(name)
}

/// A store that shares what the user's store has, whatever that is, by hard links.
pub fn linked_store(name: &str) -> PathBuf {
    let to = folder(name);
    // As brc makes it, whatever the umask is.
    fs::set_permissions(&to, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir_all(user_store()).unwrap();
    link_all(&user_store(), &to).unwrap();
    let _ = fs::remove_dir_all(to.join("temporary"));
    to
}

fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = entry.file_name();
        if ["temporary", "checkouts", "failed", "machines", "stamps"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            link_all(&source, &target)?;
        } else if kind.is_file() && name != "lock" {
            // Another brc may take a temporary name away meanwhile; objects and memo stay. What many checkouts hold
            // (an empty file) may have as many names as the file system allows.
            match fs::hard_link(&source, &target) {
                Err(error) if matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::TooManyLinks) => {
                    fs::copy(&source, &target)?;
                    fs::File::open(&target)?.set_modified(entry.metadata()?.modified()?)?;
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Makes a store forget what the actions of these stages gave.
pub fn forget(store: &Path, ran: &Ran, stages: &[&str]) -> usize {
    let known = ran.of("reused").chain(ran.of("finished"));
    let keys: Vec<&str> =
        known.filter(|event| stages.contains(&text(event, "stage"))).map(|event| text(event, "key")).collect();
    let memo = |key: &str| store.join("memo").join(&key[..2]).join(key);
    keys.iter().filter(|key| fs::remove_file(memo(key)).is_ok()).count()
}

/// The SHA-256 of a file.
pub fn sha256(path: &Path) -> String {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    io::copy(&mut fs::File::open(path).unwrap(), &mut hasher).unwrap();
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
