//! What a command leaves behind is taken as it says.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use brc::{
    content::{Entry, Metadata, RelPath, Tree},
    plan::{Fault, Input, Output, Stdin},
    sandbox::Layering,
    store::Kind,
};

use super::bench::{Bench, chain, path};

fn names(tree: &Tree) -> Vec<&str> {
    tree.entries().map(|(path, _)| path.as_str()).collect()
}

#[test]
fn a_folder_is_taken_with_modes_and_links() {
    let bench = Bench::new();
    let tree = bench.out(
        "cd /out; mkdir -p a/b; echo text > a/b/file; cp /bin/true tool 2> /dev/null || cp /bin/cat tool; \
         ln -s a/b/file link; ln a/b/file hard; chmod 4755 tool; chmod 600 hard; mkdir locked; echo s > locked/s; \
         chmod 000 locked/s locked",
    );
    assert_eq!(names(&tree), ["a", "a/b", "a/b/file", "hard", "link", "locked", "locked/s", "tool"]);
    assert_eq!(tree.metadata(&path("tool")).unwrap(), Metadata::with_mode(0o4755));
    assert_eq!(tree.metadata(&path("hard")).unwrap(), Metadata::with_mode(0o600));
    assert_eq!(tree.metadata(&path("locked")).unwrap(), Metadata::with_mode(0));
    assert_eq!(tree.entry(&path("link")), Some(&Entry::Symlink { target: "a/b/file".into() }));
    assert_eq!((bench.text(&tree, "a/b/file"), bench.text(&tree, "locked/s")), ("text\n".into(), "s\n".into()));
}

#[test]
fn the_same_command_leaves_the_same_tree() {
    let script = "echo $PPID $$ > /out/processes; touch /out/now; uname -a > /out/uname; nproc > /out/nproc";
    let (one, two) = (Bench::new(), Bench::new());
    assert_eq!(one.out(script), two.out(script));
}

#[test]
fn a_folder_is_empty_before_the_command() {
    let bench = Bench::new();
    let mut run = bench.script("ls -a /out; echo new > /out/new");
    let before = bench.store.put_tree(&bench.tree(&[("old/a", "a"), ("b", "b")])).unwrap();
    run.inputs.push(Input { owner: "before".into(), tree: before, at: path("out") });
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let outcome = bench.perform(&run).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
    assert_eq!(names(&bench.store.tree(outcome["out"]).unwrap()), ["new"]);
    assert_eq!(std::fs::read_to_string(bench.log()).unwrap(), ".\n..\n");
}

#[test]
fn an_untouched_output_is_empty() {
    assert!(Bench::new().out("true").is_empty());
}

#[test]
fn a_changed_folder_keeps_owners_of_what_was_there() {
    let bench = Bench::new();
    let mut before = bench.tree(&[("etc/old/a", "a"), ("etc/keep", "k"), ("usr/bin/tool", "t"), ("var/x/y", "y")]);
    let mut special = Metadata::with_mode(0o4750);
    (special.uid, special.gid) = (3, 4);
    special.xattrs.insert("security.capability".into(), b"cap".to_vec());
    before.set_metadata(path("usr/bin/tool"), special.clone());
    let mut group = Metadata::with_mode(0o640);
    group.gid = 42;
    before.insert_with(path("etc/shadow"), bench.file("root:*\n"), group.clone()).unwrap();
    let mut spool = Metadata::with_mode(0o2775);
    spool.gid = 8;
    before.insert_with(path("var/mail"), Entry::Directory, spool.clone()).unwrap();

    let tree = bench.store.put_tree(&before).unwrap();
    let mut run = bench.script(
        "cd /image; echo sys:* >> etc/shadow; rm -r etc/old; mkdir etc/new; echo n > etc/new/n; \
         mv usr/bin/tool usr/bin/moved; mv usr/bin/moved usr/bin/tool; echo m > var/mail/m; chmod 0711 var/x",
    );
    run.inputs.push(Input { owner: "image".into(), tree, at: path("image") });
    run.outputs.insert("out".into(), Output::Changed(path("image")));
    // The two ways to keep changes apart give the same tree.
    for layering in [Layering::Overlay, Layering::Copy] {
        let sandbox = bench.sandbox().with_layering(layering);
        let outcome = bench.perform_by(&sandbox, &run, None).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
        let after = bench.store.tree(outcome["out"]).unwrap();
        assert_eq!(
            names(&after),
            [
                "etc",
                "etc/keep",
                "etc/new",
                "etc/new/n",
                "etc/shadow",
                "usr",
                "usr/bin",
                "usr/bin/tool",
                "var",
                "var/mail",
                "var/mail/m",
                "var/x",
                "var/x/y"
            ]
        );
        assert_eq!(bench.text(&after, "etc/shadow"), "root:*\nsys:*\n");
        assert_eq!(after.metadata(&path("etc/shadow")), Some(group.clone()));
        assert_eq!(after.metadata(&path("usr/bin/tool")), Some(special.clone()));
        assert_eq!(after.metadata(&path("var/mail")), Some(spool.clone()));
        assert_eq!(after.metadata(&path("var/x")), Some(Metadata::with_mode(0o711)));
        assert_eq!(after.metadata(&path("etc/new/n")), Some(Metadata::with_mode(0o644)));
        assert_eq!(*bench.store.tree(tree).unwrap(), before);
    }
}

#[test]
fn what_no_tree_can_hold_is_refused_by_name() {
    let bench = Bench::new();
    let mut run = bench.script("mkdir /out/a; mkfifo /out/a/pipe");
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let failure = bench.perform(&run).unwrap_err();
    assert_eq!(failure.fault, Fault::Build);
    assert!(chain(&failure).contains("`/out/a/pipe` is a FIFO"), "{}", chain(&failure));
}

#[test]
fn a_name_that_is_no_text_is_told_without_a_path_of_the_host() {
    let bench = Bench::new();
    let mut run = bench.script("mkdir /out/a; touch \"$(printf '/out/a/caf\\351')\"");
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let text = chain(&bench.perform(&run).unwrap_err());
    assert!(text.contains(r"`/out/a` has the name `caf\xe9`"), "{text}");
    assert!(!text.contains("upper"), "{text}");
}

/// Makes a folder of 16,384 folders one in another.
const DEEP: &str = "p=d/; i=0; while [ $i -lt 14 ]; do p=$p$p; i=$((i+1)); done; mkdir -p $p";

#[test]
fn folders_nested_too_deeply_are_refused_as_output_and_removed() {
    let bench = Bench::new_in(std::path::Path::new("/dev/shm"));
    for script in ["cd /out; mkdir -p $(printf 'd/%.0s' 1 2 3 4 5 6 7 8 9 10); cd d", "cd /out"] {
        let mut run = bench.script(&format!("{script}; {DEEP}"));
        run.outputs.insert("out".into(), Output::Folder(path("out")));
        let failure = bench.perform(&run).unwrap_err();
        assert_eq!(failure.fault, Fault::Build);
        assert!(chain(&failure).contains("below `/d` folders are nested too deeply"), "{}", chain(&failure));
    }
    // Where nobody looks they do no harm.
    bench.prints(DEEP);
    let left = std::fs::read_dir(bench.store.dir().join("temporary")).unwrap().count();
    assert_eq!(left, 0);
    // What a failed run left is kept, counted, and removed when it runs again.
    let failure = bench.perform(&bench.script(&format!("{DEEP}; exit 1"))).unwrap_err();
    assert!(failure.error.to_string().contains("exited with 1"), "{}", chain(&failure));
    assert!(bench.store.du().unwrap().of(Kind::Failed).count > 16_384);
    bench.prints("true");
    assert_eq!(bench.store.du().unwrap().of(Kind::Failed).count, 0);
}

#[test]
fn an_output_of_more_bytes_than_anybody_wants_is_refused() {
    let bench = Bench::new();
    let mut run = bench.script("dd if=/dev/null of=/out/huge bs=1G seek=33 2> /dev/null");
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let failure = bench.perform(&run).unwrap_err();
    assert_eq!(failure.fault, Fault::Build);
    assert!(chain(&failure).contains("with `/out/huge` it has more than 32 GiB"), "{}", chain(&failure));
}

/// Leaves a file of 31 GiB, most of it a hole, which takes long to read.
const LARGE: &str = "dd if=/dev/null of=/out/large bs=1G seek=31 2> /dev/null; echo left";

#[test]
fn outputs_are_taken_in_the_time_of_the_step() {
    let bench = Bench::new();
    let mut run = bench.script(LARGE);
    run.timeout_seconds = 2;
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let started = Instant::now();
    let failure = bench.perform(&run).unwrap_err();
    assert_eq!(failure.fault, Fault::Build);
    assert!(chain(&failure).contains("could not be taken within the 2 seconds"), "{}", chain(&failure));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn taking_outputs_is_stopped_with_the_run() {
    let bench = Bench::new();
    let mut run = bench.script(LARGE);
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let failure = std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.perform(&run));
        while bench.lines.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Half a second later the command has ended, and its output is being read.
        std::thread::sleep(Duration::from_millis(500));
        bench.cancelled.store(true, Ordering::Relaxed);
        let stopped = Instant::now();
        let failure = run.join().unwrap().unwrap_err();
        assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
        failure
    });
    assert_eq!(failure.fault, Fault::Cancelled, "{}", chain(&failure));
}

#[test]
fn an_output_that_was_replaced_is_refused() {
    let bench = Bench::new();
    let mut run = bench.script("rm -r /out; ln -s /bin /out");
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let failure = bench.perform(&run).unwrap_err();
    assert!(chain(&failure).contains("`/out` is not a folder"), "{}", chain(&failure));
}

#[test]
fn the_archive_of_a_tree_is_read_on_standard_input() {
    let bench = Bench::new();
    let tree = bench.tree(&[("hello", "world")]);
    let mut run = bench.script("cat > /out/archive; dd if=/out/archive bs=1 count=2 2> /dev/null; echo");
    run.environment.insert("SOURCE_DATE_EPOCH".into(), "1700000000".into());
    run.stdin = Some(Stdin::ArchiveOf(bench.store.put_tree(&tree).unwrap()));
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    let outcome = bench.perform(&run).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
    let out = bench.store.tree(outcome["out"]).unwrap();
    let Some(Entry::File { blob, .. }) = out.entry(&path("archive")) else { panic!("no archive") };
    let mut expected = Vec::new();
    let open = |blob| bench.store.open_blob(blob).map_err(std::io::Error::other);
    brc::content::write_archive(&tree, 1_700_000_000, open, &mut expected).unwrap();
    assert_eq!(bench.store.read(*blob).unwrap(), expected);

    // A command that does not care to read it is no failure.
    let mut run = bench.script("true");
    let large = Entry::File { blob: bench.store.put(&vec![7; 1 << 20]).unwrap(), size: 1 << 20, executable: false };
    let mut tree = Tree::new();
    tree.insert(path("large"), large).unwrap();
    run.stdin = Some(Stdin::ArchiveOf(bench.store.put_tree(&tree).unwrap()));
    bench.perform(&run).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
}

#[test]
fn a_store_in_memory_does_too() {
    let memory = std::path::Path::new("/dev/shm");
    assert!(memory.is_dir(), "this test needs a file system in memory at /dev/shm");
    let bench = Bench::new_in(memory);
    let tree = bench.out("mkdir /out/a; echo x > /out/a/x; rm -r /out/a; mkdir /out/a; echo y > /out/a/y; rm /bin/wc");
    assert_eq!(names(&tree), ["a", "a/y"]);
    let root = bench.output("rm /bin/wc; mkdir /bin/wc", Output::Changed(path("bin")));
    assert_eq!(root.entry(&path("wc")), Some(&Entry::Directory));
}

#[test]
fn inputs_that_disagree_are_named_by_owner() {
    let bench = Bench::new();
    let mut run = bench.script("true");
    for (owner, text) in [("one", "1"), ("two", "2")] {
        let tree = bench.store.put_tree(&bench.tree(&[("x", text)])).unwrap();
        run.inputs.push(Input { owner: owner.into(), tree, at: path("opt") });
    }
    let failure = bench.perform(&run).unwrap_err();
    assert!(chain(&failure).contains("`/opt/x` is brought by both `one` and `two`"), "{}", chain(&failure));
}

#[test]
fn inputs_and_outputs_where_the_sandbox_has_its_own_are_refused() {
    let bench = Bench::new();
    for at in ["proc", "dev/x", "tmp/out", "run"] {
        let mut run = bench.script("true");
        run.outputs.insert("out".into(), Output::Folder(path(at)));
        assert!(chain(&bench.perform(&run).unwrap_err()).contains("has its own"), "{at}");
        let mut run = bench.script("true");
        run.inputs.push(Input { owner: "x".into(), tree: bench.root, at: path(at) });
        assert!(chain(&bench.perform(&run).unwrap_err()).contains("has its own"), "{at}");
    }
}

#[test]
fn inputs_are_never_changed() {
    let bench = Bench::new();
    let before = bench.tree(&[("a", "a")]);
    let digest = bench.store.put_tree(&before).unwrap();
    let mut run = bench.script("echo more >> /in/a; chmod 777 /in/a; cat /in/a");
    run.inputs.push(Input { owner: "in".into(), tree: digest, at: path("in") });
    assert_eq!(bench.prints_of(&run), "amore\n");
    assert_eq!(bench.prints_of(&run), "amore\n");
    assert_eq!(bench.text(&before, "a"), "a");
    assert_eq!(bench.output("true", Output::Changed(RelPath::ROOT)), *bench.store.tree(bench.root).unwrap());
}
