//! The same image from any surroundings, and nothing done twice.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
#[cfg(feature = "suite-vm")]
use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::support::{
    archive::{ArchiveKey, KeySpec, PackageSpec, SuiteSpec},
    project::{Ran, brc, copy_of_quickstart, folder, forget, quickstart, second_store, sha256, text, user_store},
};

/// Everything that is made after the packages are fetched and the kernel is compiled.
const IMAGE_STAGES: [&str; 10] =
    ["tools", "root", "finish", "visible", "erofs", "verity", "uki", "esp", "disk", "manifest"];

fn compose(command: &mut Command, store: &Path, out: &Path, recipe: &Path) -> Ran {
    Ran::well(command.args(["compose", "--arch=x86_64"]).arg("--store").arg(store).arg("--out").arg(out).arg(recipe))
}

/// What was performed is these actions and those of an image with another root, and nothing else.
fn assert_image_after(ran: &Ran, others: &[&str]) {
    let mut performed = ran.performed();
    performed.sort();
    let image = ["disk", "erofs", "esp", "finish", "manifest", "root", "uki", "verity", "visible"];
    let image = image.map(|stage| format!("quickstart {stage}"));
    let mut expected: Vec<String> = others.iter().map(|other| (*other).to_owned()).chain(image).collect();
    expected.sort();
    assert_eq!(performed, expected);
}

/// Does something whose children have one processor of this machine.
fn on_one_processor<T>(work: impl FnOnce() -> T) -> T {
    let all = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|processor| all.is_set(*processor)).unwrap());
    sched_setaffinity(None, &one).unwrap();
    assert_eq!(std::thread::available_parallelism().unwrap().get(), 1, "jobs are as many as processors");
    let gave = work();
    sched_setaffinity(None, &all).unwrap();
    gave
}

#[test]
fn a_second_store_folder_locale_umask_and_processor_count_give_the_same_image() {
    let first = quickstart();
    let store = second_store("surroundings-store");
    assert!(forget(&store, &first.ran, &IMAGE_STAGES) > 8);
    let out = folder("surroundings-out");
    let recipe = copy_of_quickstart(&folder("surroundings-project"));
    fs::copy(&quickstart().lock, recipe.with_file_name("brc.lock")).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_brc")]);
    command.env("LC_ALL", "tr_TR.UTF-8").env("LANG", "tr_TR.UTF-8").env("TZ", "Pacific/Kiritimati");
    let ran = on_one_processor(|| compose(&mut command, &store, &out, &recipe));
    for stage in ["quickstart root", "quickstart finish", "quickstart erofs", "quickstart disk"] {
        assert!(ran.performed().iter().any(|performed| performed == stage), "`{stage}` was not done again");
    }
    let composed = ran.of("composed").next().unwrap();
    assert_eq!(sha256(text(composed, "disk").as_ref()), sha256(&first.disk));
    assert_eq!(sha256(text(composed, "manifest").as_ref()), sha256(&first.manifest));
}

#[test]
fn composing_again_runs_nothing() {
    let first = quickstart();
    let recipe = first_project().join("quickstart.kdl");
    let out = first.disk.parent().unwrap();
    let ran = compose(&mut brc(), &user_store(), out, &recipe);
    assert_eq!(ran.performed(), [""; 0]);
    assert_eq!(ran.of("started").count(), 0);
}

#[test]
fn a_comment_rebuilds_nothing_and_a_line_only_what_depends_on_it() {
    let first = quickstart();
    let store = second_store("edit-store");
    let (out, project) = (folder("edit-out"), folder("edit-project"));
    let recipe = copy_of_quickstart(&project);
    fs::copy(&quickstart().lock, project.join("brc.lock")).unwrap();
    let original = fs::read_to_string(&recipe).unwrap();
    fs::write(&recipe, format!("// A comment more.\n{original}\n// And one at the end.\n")).unwrap();
    let ran = compose(&mut brc(), &store, &out, &recipe);
    assert_eq!(ran.performed(), [""; 0], "a comment is no input of anything");
    assert_eq!(sha256(text(ran.of("composed").next().unwrap(), "disk").as_ref()), sha256(&first.disk));

    let with_file = original.replace("budget root", "file \"/usr/lib/note\" from=\"note\"\n    budget root");
    assert_ne!(with_file, original);
    fs::write(&recipe, &with_file).unwrap();
    fs::write(project.join("note"), "one\n").unwrap();
    compose(&mut brc(), &store, &out, &recipe);
    fs::write(project.join("note"), "two\n").unwrap();
    let ran = compose(&mut brc(), &store, &out, &recipe);
    assert_image_after(&ran, &[]);
}

#[test]
fn another_date_of_the_lock_makes_anew_only_what_shows_it() {
    quickstart();
    let store = second_store("date-store");
    let (out, project) = (folder("date-out"), folder("date-project"));
    let recipe = copy_of_quickstart(&project);
    let lock = fs::read_to_string(&quickstart().lock).unwrap();
    let date = lock.lines().find(|line| line.starts_with("epoch ")).unwrap();
    fs::write(project.join("brc.lock"), lock.replace(date, "epoch \"2026-12-24T12:00:00Z\"")).unwrap();
    let ran = compose(&mut brc(), &store, &out, &recipe);
    let mut performed = ran.performed();
    performed.sort();
    // The times of files in the root and on the ESP, and what holds these.
    let showing = ["disk", "erofs", "esp", "manifest", "uki", "verity"];
    assert_eq!(performed, showing.map(|stage| format!("quickstart {stage}")));
}

#[test]
fn an_override_of_a_component_changes_it_and_what_holds_it() {
    quickstart();
    let store = second_store("override-store");
    let (out, project) = (folder("override-out"), folder("override-project"));
    let recipe = copy_of_quickstart(&project);
    fs::copy(&quickstart().lock, project.join("brc.lock")).unwrap();
    for (version, greeting) in [("1", "one"), ("2", "two")] {
        fs::write(project.join(format!("note-{version}.txt")), greeting).unwrap();
    }
    let original = fs::read_to_string(&recipe).unwrap().replace("include ", "include \"note\" ");
    let url = |version: &str| format!("file://{}/note-{version}.txt", project.display());
    let component = format!(
        "component \"note\" {{\n    version \"1\"\n    upstream {{ url \"{}\" sha256=\"{}\" unpack=#false }}\n    \
         build-with \"brc/finish-tools\"\n    step \"cp note-*.txt note\"\n    install \"note\" to=\"/usr/lib/note\"\n}}\n",
        url("{version}"),
        sha256(&project.join("note-1.txt"))
    );
    fs::write(&recipe, format!("{component}\n{original}")).unwrap();
    compose(&mut brc(), &store, &out, &recipe);
    let change = format!(
        "override \"note\" {{\n    version \"2\"\n    upstream {{ url \"{}\" sha256=\"{}\" }}\n}}\n",
        url("{version}"),
        sha256(&project.join("note-2.txt"))
    );
    fs::write(&recipe, format!("{component}\n{change}\n{original}")).unwrap();
    let ran = compose(&mut brc(), &store, &out, &recipe);
    assert_image_after(&ran, &["quickstart/note build", "quickstart/note fetch"]);
}

/// An archive with two versions of `brc-note`, each of which needs `brc-note-data` of its own version, and of `brc-apart`, which
/// nothing ties to them; gives its mirror's folder and the recipe that takes all of it.
fn archive_of_notes(project: &Path) -> (PathBuf, String) {
    let suite = |name: &str, version: &str| {
        let package = |name: &str| PackageSpec::new(name, version).file(&format!("usr/lib/{name}"), version);
        let note = package("brc-note").depends(&format!("brc-note-data (= {version})"));
        let packages = vec![note, package("brc-note-data"), package("brc-apart")];
        SuiteSpec { mirror: "notes".to_owned(), valid_until: None, ..SuiteSpec::new(name, packages) }
    };
    let key = ArchiveKey::new(&KeySpec::default());
    fs::write(project.join("notes.asc"), key.certificate()).unwrap();
    let mirror = project.join("mirror");
    for (path, bytes) in [suite("notes", "1"), suite("notes-updates", "2")].iter().flat_map(|suite| suite.files(&key)) {
        let path = mirror.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let recipe = "archive \"notes\" {\n    suite \"notes\" \"notes-updates\"\n    keyring \"notes.asc\"\n}\n\
                  packages \"notes\" archive=\"notes\" suite=\"notes\" {\n    brc-note\n    brc-apart\n}\n";
    (mirror, recipe.to_owned())
}

#[test]
fn an_override_of_one_package_version_changes_that_and_what_holds_it() {
    quickstart();
    let store = second_store("version-store");
    let (out, project) = (folder("version-out"), folder("version-project"));
    let recipe = copy_of_quickstart(&project);
    fs::copy(&quickstart().lock, project.join("brc.lock")).unwrap();
    let (mirror, notes) = archive_of_notes(&project);
    fs::write(project.join("mirrors.toml"), format!("notes = {:?}\n", mirror.to_str().unwrap())).unwrap();
    let original = fs::read_to_string(&recipe).unwrap().replace("include ", "include \"notes\" ");
    // The archive is for one architecture.
    let original = original.replace(" \"aarch64\"", "");
    fs::write(&recipe, format!("{notes}{original}")).unwrap();
    let ran = compose(&mut brc(), &store, &out, &recipe);
    assert_eq!(locked_of(&project, "brc-note"), ["2"]);
    let fetched: Vec<_> = ran.performed().into_iter().filter(|performed| performed.ends_with(" fetch")).collect();
    assert_eq!(fetched.len(), 3, "{fetched:?}");

    let with = |version: &str| format!("{notes}override \"notes\" {{ brc-note version={version:?} }}\n{original}");
    fs::write(&recipe, with("3")).unwrap();
    let refused = Ran::new(brc().args(["compose", "--arch=x86_64"]).arg("--store").arg(&store).arg(&recipe));
    let message = format!("{:?}", refused.events);
    assert_eq!(refused.output.status.code(), Some(2), "{message}");
    let expected =
        "`brc-note` is wanted in version 3, but of `brc-note` there is only 1 in `notes`, 2 in `notes-updates`";
    assert!(message.contains(expected), "{message}");

    fs::write(&recipe, with("1")).unwrap();
    let ran = compose(&mut brc(), &store, &out, &recipe);
    assert_image_after(&ran, &["brc-note fetch", "brc-note-data fetch"]);
    assert_eq!(
        [locked_of(&project, "brc-note"), locked_of(&project, "brc-note-data"), locked_of(&project, "brc-apart")],
        [["1"], ["1"], ["2"]]
    );
}

/// The versions of a package in a project's lock.
fn locked_of(project: &Path, name: &str) -> Vec<String> {
    let lock = fs::read_to_string(project.join("brc.lock")).unwrap();
    let start = format!("package {name:?} \"");
    let versions = lock.lines().filter_map(|line| line.strip_prefix(&start)?.split('"').next().map(str::to_owned));
    versions.collect()
}

#[test]
fn a_flipped_bit_in_the_store_is_mended() {
    let first = quickstart();
    let store = second_store("flip-store");
    assert!(forget(&store, &first.ran, &IMAGE_STAGES) > 8);
    // Objects of the second store are the first one's by hard link: the damaged one must be a file of its own.
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(&first.manifest).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    let bash = files.iter().find(|file| file["path"] == "/usr/bin/bash").unwrap();
    let blob = text(bash, "blake3");
    let object = store.join("objects").join(&blob[..2]).join(blob);
    let mut bytes = fs::read(&object).unwrap();
    bytes[100_000] ^= 1;
    fs::remove_file(&object).unwrap();
    fs::write(&object, &bytes).unwrap();
    let out = folder("flip-out");
    let recipe = copy_of_quickstart(&folder("flip-project"));
    fs::copy(&quickstart().lock, recipe.with_file_name("brc.lock")).unwrap();
    let ran = compose(&mut brc(), &store, &out, &recipe);
    assert!(ran.performed().iter().any(|performed| performed == "bash fetch"), "{:?}", ran.performed());
    assert_eq!(sha256(text(ran.of("composed").next().unwrap(), "disk").as_ref()), sha256(&first.disk));
}

// Thirty kills take a few minutes.
#[cfg(feature = "suite-vm")]
#[test]
fn thirty_kills_leave_a_store_that_composes_the_same_image() {
    let first = quickstart();
    let store = second_store("kill-store");
    let out = folder("kill-out");
    let recipe = copy_of_quickstart(&folder("kill-project"));
    fs::copy(&quickstart().lock, recipe.with_file_name("brc.lock")).unwrap();
    let mut killed = 0;
    assert!(forget(&store, &first.ran, &IMAGE_STAGES) > 8);
    for kill in 0..30 {
        // As many as the killed one had come to.
        forget(&store, &first.ran, &IMAGE_STAGES);
        let mut command = brc();
        command.args(["compose", "--json", "--arch=x86_64"]);
        command.arg("--store").arg(&store).arg("--out").arg(&out).arg(&recipe);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // From before the first action to the last ones: after so many have begun or ended, and a little.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut turns = lines.filter(|line| ["\"started\"", "\"finished\""].iter().any(|event| line.contains(event)));
        let turn = kill % 15;
        assert_eq!(turns.by_ref().take(turn).count(), turn, "it ended before kill {kill}");
        std::thread::sleep(std::time::Duration::from_millis(kill as u64 * 79 % 400));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().signal() == Some(9));
    }
    assert!(killed >= 25, "only {killed} of 30 were still at work");
    let ran = compose(&mut brc(), &store, &out, &recipe);
    assert_eq!(sha256(text(ran.of("composed").next().unwrap(), "disk").as_ref()), sha256(&first.disk));
    let verified = brc().args(["store", "verify", "--store"]).arg(&store).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

// It fetches some 300 MB.
#[cfg(feature = "suite-vm")]
#[test]
fn what_was_vendored_composes_without_any_network() {
    let first = quickstart();
    let store = second_store("vendor-store");
    assert!(forget(&store, &first.ran, &["fetch", "tools", "root", "disk"]) > 100);
    let (vendored, out) = (folder("vendored"), folder("vendor-out"));
    let recipe = copy_of_quickstart(&folder("vendor-project"));
    fs::copy(&quickstart().lock, recipe.with_file_name("brc.lock")).unwrap();
    let status = brc().arg("vendor").arg(&recipe).arg(&vendored).status().unwrap();
    assert!(status.success());
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]).arg(env!("CARGO_BIN_EXE_brc")).env("BRC_VENDOR", &vendored);
    command.args(["--offline", "--mirror", "debian=http://example.org/debian"]);
    let ran = compose(&mut command, &store, &out, &recipe);
    assert!(ran.performed().iter().any(|performed| performed == "systemd fetch"));
    assert_eq!(sha256(text(ran.of("composed").next().unwrap(), "disk").as_ref()), sha256(&first.disk));
}

/// The project of the image that all tests share.
fn first_project() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("quickstart-project")
}
