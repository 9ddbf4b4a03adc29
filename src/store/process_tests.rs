//! Tests with several processes: the test binary starts itself again as [`child`], with a job in its environment.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    object_id::{ObjectId, ObjectMode},
    *,
};
use crate::content::{Entry, RelPath, Tree};

const JOB: &str = "BRC_TEST_STORE_JOB";
const KILLS: u64 = 30;

/// What a started process does. In the parent, where no job is set, there is nothing to do.
#[test]
fn child() {
    let Ok(job) = std::env::var(JOB) else { return };
    let (job, dir) = job.split_once(' ').unwrap();
    let dir = Path::new(dir);
    match job {
        // Until it is killed, long before that.
        "fill" => (0..u32::MAX).for_each(|number| remember(&Store::open(dir).unwrap(), std::process::id(), number)),
        "churn" => churn(dir),
        "same" => (0..100).for_each(|number| remember(&Store::open(dir).unwrap(), 0, number)),
        "hold" => {
            let _store = Store::open(dir).unwrap();
            fs::write(dir.with_extension("held"), "").unwrap();
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        "full" => fill_the_disk(dir),
        "read-only" => {
            let error = Store::open(dir).unwrap_err();
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
            assert_eq!(error.fault(), Fault::Machine);
        }
        other => panic!("no such job: {other}"),
    }
}

fn command(job: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::process_tests::child"]).env(JOB, format!("{job} {}", dir.display()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a process and kills it after a while; true when it was still at work, as it should be.
fn start_and_kill(job: &str, dir: &Path, after: Duration) -> bool {
    let mut child = command(job, dir).spawn().unwrap();
    thread::sleep(after);
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    was_running
}

/// Stores a few files, a tree and a checkout of it, and remembers them.
fn remember(store: &Store, seed: u32, number: u32) {
    let mut tree = Tree::new();
    for file in 0..5_u32 {
        let bytes = format!("{seed} {number} {file} ").repeat(200 * file as usize + 1);
        let (blob, size) = store.put_reader(&mut bytes.as_bytes()).unwrap();
        let path = RelPath::new(&format!("usr/lib/{file}/file")).unwrap();
        tree.insert(path, Entry::File { blob, size, executable: file % 2 == 1 }).unwrap();
    }
    let tree = store.put_tree(&tree).unwrap();
    let key = Digest::of(format!("{seed} {number}").as_bytes());
    store.checkout(&[(RelPath::ROOT, tree)]).unwrap();
    store.remember(key, &BTreeMap::from([("out".to_owned(), tree)])).unwrap();
}

/// Stores and collects garbage in turn; every second time everything goes.
fn churn(dir: &Path) {
    let mut store = Store::open(dir).unwrap();
    for number in 0.. {
        remember(&store, std::process::id(), number);
        let keep_used_within = Duration::from_secs(u64::from(number % 2) * 3600);
        store.gc(&GcPolicy { keep_used_within, ..GcPolicy::new(SystemTime::now()) }).unwrap();
    }
}

fn fill_the_disk(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let small = store.put(b"small").unwrap();
    let error = (0..100_u8).find_map(|number| store.put(&vec![number + 1; 1 << 20]).err()).unwrap();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Machine);
    assert_eq!(store.read(small).unwrap(), b"small");
    assert_eq!(fs::read_dir(dir.join("temporary")).unwrap().count(), 0);
    assert!(store.verify(Mend::Report).unwrap().is_clean());
}

/// Opens a store that nobody else uses, so that leftovers go. A process that another test has just forked holds
/// the locks of this one until it starts its program, which may take a moment.
fn open_alone(dir: &Path) -> Store {
    let begun = Instant::now();
    loop {
        let store = Store::open(dir).unwrap();
        if fs::read_dir(dir.join("temporary")).unwrap().count() == 0 {
            return store;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "leftovers stay");
        drop(store);
        thread::sleep(Duration::from_millis(5));
    }
}

/// Everything that is remembered can be used.
fn check_everything(dir: &Path) -> usize {
    let store = open_alone(dir);
    let report = store.verify(Mend::Report).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let entries = store.members("memo").unwrap();
    for entry in &entries {
        let outcome = store.recall(entry.digest).unwrap().unwrap();
        let checkout = store.checkout(&[(RelPath::ROOT, outcome["out"])]).unwrap();
        for (path, entry) in store.tree(outcome["out"]).unwrap().entries() {
            if let Entry::File { blob, .. } = entry {
                assert_eq!(Digest::of(&fs::read(path.on(checkout.path())).unwrap()), *blob);
            }
        }
    }
    entries.len()
}

#[test]
fn a_store_whose_processes_are_killed_stays_usable() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let killed = (0..KILLS)
        .filter(|number| start_and_kill("fill", &store, Duration::from_millis(15 + number * 37 % 120)))
        .count() as u64;
    assert_eq!(killed, KILLS, "children ended by themselves");
    assert!(check_everything(&store) > 0, "nothing was stored");
}

#[test]
fn garbage_collection_that_is_killed_leaves_nothing_broken() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    for number in 0..KILLS / 3 {
        assert!(start_and_kill("churn", &store, Duration::from_millis(40 + number * 53 % 100)));
        check_everything(&store);
    }
}

#[test]
fn processes_that_store_the_same_at_once_agree() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let children: Vec<Child> = (0..4).map(|_| command("same", &store).spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(check_everything(&store), 100);
}

#[test]
fn garbage_collection_names_the_process_that_uses_the_store_and_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut store = Store::open(&path).unwrap();
    let mut child = command("hold", &path).spawn().unwrap();
    let begun = Instant::now();
    while !path.with_extension("held").exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the child did not open the store");
        thread::sleep(Duration::from_millis(5));
    }
    let policy = GcPolicy::new(SystemTime::now());
    let error = store.gc(&policy).unwrap_err();
    assert!(matches!(&error, StoreError::Busy { processes } if processes == &[child.id()]), "{error}");
    assert!(error.to_string().contains(&child.id().to_string()));
    // Measuring disturbs nobody.
    store.gc(&GcPolicy { mode: GcMode::Measure, ..policy.clone() }).unwrap();
    let waiting = thread::spawn(move || store.gc(&GcPolicy { when_busy: WhenBusy::Wait, ..policy }).map(|_| ()));
    thread::sleep(Duration::from_millis(100));
    assert!(!waiting.is_finished());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    waiting.join().unwrap().unwrap();
}

#[test]
fn no_object_that_a_power_cut_has_torn_is_built_upon() {
    let dir = tempfile::tempdir().unwrap();
    remember(&Store::open(dir.path()).unwrap(), 0, 0);
    let key = Digest::of(b"0 0");
    let members = Store::open(dir.path()).unwrap().members("objects").unwrap();
    for member in members {
        fs::set_permissions(&member.path, fs::Permissions::from_mode(0o644)).unwrap();
        let file = fs::File::options().write(true).open(&member.path).unwrap();
        file.set_len(member.metadata.len() / 2).unwrap();
        file.set_modified(member.metadata.modified().unwrap()).unwrap();
        fs::set_permissions(&member.path, member.metadata.permissions()).unwrap();

        let store = Store::open(dir.path()).unwrap();
        let outcome = store.recall(key).unwrap().unwrap();
        for checkout in store.members("checkouts").unwrap() {
            store.set_aside(&checkout.path).unwrap();
        }
        match store.checkout(&[(RelPath::ROOT, outcome["out"])]) {
            Err(error) => {
                assert_eq!(error.lost_object(), Some(member.digest), "{error}");
                assert!(store.keys_naming(member.digest).unwrap().contains(&key));
                store.forget(key).unwrap();
            }
            // The checkout needs only one of an object and its executable twin.
            Ok(checkout) => {
                let found = fs::read(checkout.path().join("usr/lib/1/file")).unwrap();
                assert_eq!(found, "0 0 1 ".repeat(201).into_bytes());
                let twin = ObjectId { digest: member.digest, mode: ObjectMode::Executable };
                assert!(store.object_path(twin).exists());
            }
        }
        store.verify(Mend::Repair).unwrap();
        remember(&store, 0, 0);
        drop(store);
        assert_eq!(check_everything(dir.path()), 1);
    }
}

/// Runs a job on a file system of its own, which `mount` makes at `$1`.
fn in_mount_namespace(job: &str, mount: &str) {
    let dir = tempfile::tempdir().unwrap();
    let inner = command(job, &dir.path().join("mounted/store"));
    fs::create_dir(dir.path().join("mounted")).unwrap();
    let script = format!("{mount} || exit 77; shift; exec \"$@\"");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"])
        .arg(dir.path().join("mounted"))
        .arg(inner.get_program())
        .args(inner.get_args())
        .env(JOB, format!("{job} {}", dir.path().join("mounted/store").display()))
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        }
        other => eprintln!("NOT TESTED: `{job}` needs unshare(1) and unprivileged user namespaces: {other:?}"),
    }
}

#[test]
fn a_full_disk_is_told_apart_and_leaves_the_store_whole() {
    in_mount_namespace("full", "mount -t tmpfs -o size=4m none \"$1\"");
}

#[test]
fn a_read_only_store_is_told_apart() {
    in_mount_namespace("read-only", "mount -t tmpfs none \"$1\" && mkdir \"$1/store\" && mount -o remount,ro \"$1\"");
}
