//! Living with builds: what ran, why, where outputs lie, whether they are the same elsewhere.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    process::{nap, sleepers, wait_until},
    project::{Ran, brc, copy_of_quickstart, folder, linked_store, quickstart, sha256, text},
};

/// A project with a component `note`, which is built in a moment from one file, and a store that has the tools.
struct Project {
    store: PathBuf,
    recipe: PathBuf,
}

impl Project {
    fn new(name: &str) -> Self {
        let store = linked_store(&format!("{name}-store"));
        let recipe = copy_of_quickstart(&folder(&format!("{name}-project")));
        Project { store, recipe }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.recipe.with_file_name(name)
    }

    /// States the component: what its source says, and what is done with it.
    fn state(&self, source: &str, script: &str) {
        let file = self.path("note.txt");
        fs::write(&file, source).unwrap();
        let component = format!(
            "component \"note\" {{\n    version \"1\"\n    upstream {{ url \"file://{}\" sha256=\"{}\" unpack=#false }}\n    \
             build-with \"brc/finish-tools\"\n    step #\"{script}\"#\n    install \"note\" to=\"/usr/lib/note\"\n}}\n",
            file.display(),
            sha256(&file)
        );
        let example =
            fs::read_to_string(super::support::project::repository().join("examples/quickstart/quickstart.kdl"));
        let variant = example.unwrap().replace("include ", "include \"note\" ");
        fs::write(&self.recipe, format!("{component}\n{variant}")).unwrap();
    }

    fn command(&self, verb: &str, words: &[&str]) -> Command {
        let mut command = brc();
        command.arg(verb).arg("--store").arg(&self.store).arg(&self.recipe).args(words);
        if !words.iter().any(|word| word.starts_with("--arch")) && verb != "lock" {
            command.arg("--arch=x86_64");
        }
        command
    }

    fn run(&self, verb: &str, words: &[&str]) -> Ran {
        Ran::well(&mut self.command(verb, words))
    }

    fn output(&self, verb: &str, words: &[&str]) -> Output {
        self.command(verb, words).stdin(Stdio::null()).output().unwrap()
    }

    /// What `brc what-ran` says of the last build: each action with its reason.
    fn reasons(&self) -> Vec<(String, String)> {
        let ran = self.run("what-ran", &[]);
        let actions = ran.events[0]["actions"].as_array().unwrap();
        actions.iter().map(|action| (title(action), text(action, "reason").to_owned())).collect()
    }
}

fn title(action: &Value) -> String {
    format!("{} {}", text(action, "component"), text(action, "stage"))
}

const COPY: &str = "cp note.txt note";

#[test]
fn what_ran_is_told_with_the_reason() {
    let project = Project::new("reasons");
    let pair = |step: &str, reason: &str| (step.to_owned(), reason.to_owned());
    project.state("one\n", COPY);
    let missing = project.output("what-ran", &[]);
    assert_eq!(missing.status.code(), Some(1));
    project.run("build", &["note"]);
    let never = "never built before";
    assert_eq!(project.reasons(), [pair("quickstart/note fetch", never), pair("quickstart/note build", never)]);

    project.run("build", &["note"]);
    let ran = project.run("what-ran", &[]);
    assert_eq!(ran.events[0]["actions"].as_array().unwrap().len(), 0);
    assert!(ran.events[0]["reused"].as_u64().unwrap() > 10);
    assert_eq!(project.run("what-ran", &["--earlier=1"]).events[0]["actions"].as_array().unwrap().len(), 2);

    project.state("one\n", &format!("{COPY}; echo more >>note"));
    project.run("build", &["note"]);
    let [(step, reason)] = &project.reasons()[..] else { panic!("{:?}", project.reasons()) };
    assert_eq!((step.as_str(), reason.as_str()), ("quickstart/note build", "command changed"));

    project.state("two\n", COPY);
    project.run("build", &["note"]);
    let reasons = project.reasons();
    assert!(reasons[1].1.contains("changed"), "{reasons:?}");

    let built = project.run("build", &["note"]);
    let key = text(built.of("reused").find(|event| title(event) == "quickstart/note build").unwrap(), "key").to_owned();
    fs::remove_file(project.store.join("memo").join(&key[..2]).join(&key)).unwrap();
    project.run("build", &["note"]);
    assert_eq!(project.reasons(), [pair("quickstart/note build", "what it gave before was collected")]);

    let ran = project.run("what-ran", &[]);
    let action = &ran.events[0]["actions"][0];
    assert_eq!(action["where"], "this machine");
    let reproduce = format!("/brc build {} quickstart/note --store ", project.recipe.display());
    assert!(text(action, "reproduce").contains(&reproduce), "{action}");
    assert_eq!(ran.events[0]["critical_path"]["steps"], serde_json::json!(["quickstart/note build"]));
    assert!(ran.events[0]["processor_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_changed_input_is_told_down_to_the_line() {
    let project = Project::new("rebuilt");
    project.state("one\ntwo\nthree\n", COPY);
    project.run("build", &["note"]);
    let nothing = project.output("why", &["--rebuilt", "finish-tools"]);
    assert_eq!(nothing.status.code(), Some(1), "{}", String::from_utf8_lossy(&nothing.stderr));

    project.state("one\n2\nthree\n", COPY);
    project.run("lock", &[]);
    let told = |project: &Project| String::from_utf8(project.output("why", &["--rebuilt", "note"]).stdout).unwrap();
    assert!(told(&project).contains("quickstart/note fetch would run now"), "{}", told(&project));
    project.run("build", &["note"]);
    let text = told(&project);
    for line in [
        "input `source` changed from ",
        ", made by `quickstart/note fetch`",
        "    `/note.txt` has other bytes\n",
        "    from line 2 of `/note.txt`:\n      - two\n      + 2\n",
        "quickstart/note fetch ran ",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }

    project.state("one\n2\nthree\n", &format!("{COPY} # better"));
    let text = told(&project);
    for line in [
        "quickstart/note build would run now:\n",
        "  command changed",
        "    + cp note.txt note # better\n",
        "quickstart.kdl:5",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
}

#[test]
fn a_touched_component_with_the_same_output_makes_nothing_downstream_run() {
    // It compiles the kernel where the store does not have it.
    quickstart();
    let project = Project::new("same-output");
    let out = folder("same-output-out");
    // As a compiler does: what is a comment does not come out.
    let compile = "while read -r line; do case $line in //*) ;; *) echo \"$line\" ;; esac; done <note.txt >note";
    let compose = || project.run("compose", &["--arch=x86_64", "--out", out.to_str().unwrap()]);
    project.state("// first\nint main;\n", compile);
    let first = compose();
    assert!(first.performed().contains(&"quickstart disk".to_owned()));
    project.state("// first\nint main;\n", &format!("{compile} # touched"));
    assert_eq!(compose().performed(), ["quickstart/note build"]);
    project.state("// second\nint main;\n", compile);
    // The manifest states the hash of the source; nothing takes what came out.
    let performed = compose().performed();
    assert_eq!(performed, ["quickstart/note fetch", "quickstart/note build", "quickstart manifest"]);
    let image = |ran: &Ran| sha256(text(ran.of("composed").next().unwrap(), "disk").as_ref());
    let touched = compose();
    assert_eq!(touched.performed(), [""; 0]);
    assert_eq!(image(&first), image(&touched));
}

#[test]
fn what_two_processes_want_is_done_by_one_of_them() {
    let project = Project::new("living-at-once");
    project.state("words\n", COPY);
    project.run("lock", &[]);
    let [one, other] = std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| project.run("build", &["note"]))).map(|build| build.join().unwrap())
    });
    let did = |ran: &Ran| ran.performed().iter().any(|title| title.ends_with("note build"));
    assert_ne!(did(&one), did(&other));
}

#[test]
fn outputs_are_shown_and_copied_out() {
    let project = Project::new("outputs");
    project.state("one\n", COPY);
    let ran = project.run("build", &["note"]);
    let built = ran.of("built").next().unwrap();
    assert_eq!(fs::read(Path::new(text(built, "path")).join("usr/lib/note")).unwrap(), b"one\n");
    let out = folder("outputs-out");
    let shown = project.output("build", &["note", "--out", out.to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), out.to_str().unwrap());
    assert_eq!(fs::read(out.join("usr/lib/note")).unwrap(), b"one\n");
    project.run("build", &["note", "--arch=x86_64,aarch64", "--out", out.to_str().unwrap()]);
    for architecture in ["x86_64", "aarch64"] {
        assert_eq!(fs::read(out.join(architecture).join("usr/lib/note")).unwrap(), b"one\n");
    }
    assert_eq!(project.reasons(), [("quickstart/note build".to_owned(), "never built before".to_owned())]);
}

#[test]
fn when_brc_is_killed_no_process_of_a_build_remains() {
    let project = Project::new("killed");
    let nap = nap(6666);
    project.state("one\n", &format!("sleep {nap} & sleep {nap}"));
    let mut victim = project.command("build", &["note"]);
    let mut victim = victim.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    wait_until("the start of both commands", || sleepers(&nap).len() == 2);
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the end of all processes", || sleepers(&nap).is_empty());
}

#[test]
fn a_failure_names_the_command_that_looks_inside() {
    let project = Project::new("failure");
    project.state("one\n", "echo before; touch half; printf '\\033]0;title\\007\\000\\033[31mloudly\\n' >&2; exit 3");
    let failed = project.output("build", &["note"]);
    assert_eq!(failed.status.code(), Some(1));
    let talk = String::from_utf8_lossy(&failed.stderr).into_owned();
    // What a log holds is shown, and no terminal obeys it.
    let shown = "\\u{1b}]0;title\\u{7}\\u{0}\\u{1b}[31mloudly";
    assert!(talk.contains(shown) && !talk.contains('\u{1b}') && !talk.contains('\0'), "{talk}");
    let log = project.output("log", &["note"]);
    assert_eq!(String::from_utf8_lossy(&log.stdout), format!("==> quickstart/note build\nbefore\n{shown}\n"));
    let next = talk.lines().find_map(|line| line.strip_prefix("next: ")).unwrap_or_else(|| panic!("{talk}"));
    let mut shell = Command::new("bash");
    let mut shell = shell.args(["-c", next]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // The end of what a pipe brings ends no command that still runs.
    let commands = b"sleep 0.3; test -e half && echo there; exit 7\n";
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), commands).unwrap();
    let said = shell.wait_with_output().unwrap();
    assert_eq!((said.status.code(), String::from_utf8_lossy(&said.stdout).as_ref()), (Some(7), "there\n"));
    assert_eq!(project.reasons()[1].0, "quickstart/note build");
    let told = String::from_utf8(project.output("what-ran", &[]).stderr).unwrap();
    assert!(told.contains(", on this machine ran 2 actions (1 failed), "), "{told}");
    project.run("why", &["--rebuilt", "note"]);
    // A failure that is tried again says so.
    project.output("build", &["note"]);
    assert_eq!(project.reasons()[0].1, "it failed the last time");
}

#[test]
fn what_never_ran_was_never_built() {
    let project = Project::new("never-ran");
    // Two steps are ready, one processor: the one that comes second is not tried.
    project.state("one\n", "exit 1");
    let recipe = fs::read_to_string(&project.recipe).unwrap().replace("include ", "include \"both\" ");
    let built = |name: &str, more: &str, step: &str| {
        format!("component \"{name}\" {{ version \"1\"; build-with \"brc/finish-tools\"; {more} step \"{step}\"; }}\n")
    };
    let second = |step: &str| {
        let recipe = built("second", "", step) + &built("both", "link-with \"note\" \"second\";", "true") + &recipe;
        fs::write(&project.recipe, recipe).unwrap();
    };
    second("exit 1");
    let failed = project.output("build", &["both", "--jobs=1"]);
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    let due = project.run("why", &["--rebuilt", "both"]);
    assert!(due.events.iter().all(|action| action["state"] == "due"), "{:?}", due.events);
    let ran: Vec<String> = project.reasons().into_iter().map(|(step, _)| step).collect();
    let untried = if ran.contains(&"quickstart/second build".to_owned()) { "note" } else { "second" };
    assert!(!ran.contains(&format!("quickstart/{untried} build")), "{ran:?}");
    let other = project.output("build", &[untried]);
    assert_eq!(other.status.code(), Some(1), "{}", String::from_utf8_lossy(&other.stderr));
    let (step, reason) = project.reasons().pop().unwrap();
    assert_eq!((step, reason.as_str()), (format!("quickstart/{untried} build"), "never built before"));
}

#[test]
fn interrupting_a_comparison_is_no_finding() {
    let project = Project::new("interrupted");
    project.state("one\n", &format!("{COPY}; sleep 2"));
    project.run("build", &["note"]);
    let mut repro = project.command("repro", &["note"]);
    let mut repro = repro.process_group(0).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(repro.stderr.take().unwrap()).lines();
    let line = talk.find(|line| line.as_ref().unwrap().starts_with("building `note` again"));
    assert!(line.is_some());
    std::thread::sleep(Duration::from_secs(1));
    let group = rustix::process::Pid::from_child(&repro);
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    let rest: Vec<String> = talk.map(Result::unwrap).collect();
    assert_eq!(repro.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(!rest.iter().any(|line| line.contains("other surroundings")), "{rest:?}");
}

#[test]
fn a_path_of_the_image_leads_to_whoever_brought_it() {
    // It compiles the kernel where the store does not have it.
    quickstart();
    let project = Project::new("path");
    project.state("one\n", &format!("{COPY}\"#\n    drop \"/usr/lib/nothing\"\n    step #\"true"));
    let out = project.path("out");
    let composed = project.output("compose", &["--out", out.to_str().unwrap()]);
    let talk = String::from_utf8_lossy(&composed.stderr).into_owned();
    assert!(composed.status.success() && talk.contains("`drop \"/usr/lib/nothing\"` fits nothing"), "{talk}");
    for (path, expected) in [
        ("/usr/lib/note", "quickstart/note ("),
        ("/usr/bin/brc-agent", "brc/agent ("),
        ("/usr/bin/udevadm", "package udev"),
        // It is told where that really is.
        ("/bin/udevadm", "package udev"),
        ("/usr/lib/os-release", "brc itself"),
        ("/etc/passwd", "finish steps: "),
    ] {
        let told = project.output("why", &[path]);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("quickstart/quickstart ("),
            "{path}: {text}{}",
            String::from_utf8_lossy(&told.stderr)
        );
        assert!(lines[lines.len() - 2].contains(expected) && lines[lines.len() - 1].ends_with(path), "{path}: {text}");
    }
    assert_eq!(project.output("why", &["/usr/lib/no-such"]).status.code(), Some(1));
}

#[test]
fn what_packages_and_recipes_place_is_told_without_a_build() {
    let project = Project::new("why-stated");
    // Nothing of it can be built, so whatever is told was not.
    project.state("one\n", "exit 1");
    let recipe = fs::read_to_string(&project.recipe).unwrap();
    let placed =
        recipe.replacen("component \"note\" {", "component \"note\" {\n    file \"/etc/placed\" text=\"x\"", 1);
    fs::write(&project.recipe, placed).unwrap();
    project.run("lock", &[]);
    for (path, expected) in [
        ("/usr/lib/note", "quickstart/note ("),
        ("/etc/placed", "quickstart/note ("),
        ("/usr/bin/udevadm", "package udev"),
        ("/usr/bin/brc-agent", "brc/agent ("),
        ("/usr/lib/os-release", "brc itself"),
    ] {
        let ran = project.run("why", &[path]);
        let chain = ran.events.last().unwrap()["chain"].to_string();
        assert!(chain.contains(expected) && chain.ends_with(&format!("{path}\"]")), "{path}: {chain}");
        let performed = ran.performed();
        assert!(performed.iter().all(|step| step.ends_with(" fetch")), "{path}: {performed:?}");
    }
}

#[test]
fn a_component_is_built_that_no_variant_has() {
    let project = Project::new("beside");
    project.state("one\n", COPY);
    let recipe = fs::read_to_string(&project.recipe).unwrap();
    let aside = "component \"aside\" {\n    version \"1\"\n    build-with \"brc/finish-tools\"\n    \
                 step #\"echo $version >\"$out/aside\"\"#\n}\n";
    fs::write(&project.recipe, format!("{recipe}\n{aside}")).unwrap();
    project.run("lock", &[]);
    let ran = project.run("build", &["aside"]);
    let built = ran.of("built").next().unwrap();
    assert_eq!(fs::read_to_string(Path::new(text(built, "path")).join("aside")).unwrap(), "1\n");
    // Its failure is looked into as any other's, by the line that says so.
    fs::write(&project.recipe, format!("{recipe}\n{}", aside.replace("echo", "false"))).unwrap();
    let failed = project.output("build", &["aside"]);
    let talk = String::from_utf8_lossy(&failed.stderr).into_owned();
    let next = talk.lines().find_map(|line| line.strip_prefix("next: ")).unwrap_or_else(|| panic!("{talk}"));
    let looked = Command::new("bash").args(["-c", next]).stdin(Stdio::null()).output().unwrap();
    assert!(looked.status.success(), "{next}: {}", String::from_utf8_lossy(&looked.stderr));
}

#[test]
fn a_component_is_the_same_in_other_surroundings_or_the_first_byte_is_named() {
    let project = Project::new("repro");
    project.state("one\n", COPY);
    let same = project.output("repro", &["note"]);
    let said = String::from_utf8_lossy(&same.stdout).into_owned();
    assert!(same.status.success(), "{said}{}", String::from_utf8_lossy(&same.stderr));
    assert!(said.starts_with("same bytes: ") && said.ends_with(" (1 file)\n"), "{said}");

    project.state("one\n", "echo always >note; dd if=/dev/urandom bs=64 count=1 >>note");
    let other = Ran::new(&mut project.command("repro", &["note"]));
    assert_eq!(other.output.status.code(), Some(1), "{}", String::from_utf8_lossy(&other.output.stderr));
    let found = other.events.last().unwrap();
    assert_eq!((text(found, "step"), text(found, "path")), ("quickstart/note build", "/usr/lib/note"), "{found}");
    assert_eq!(found["byte"], 7, "{found}");
    assert_eq!(text(found, "again").split(' ').count(), 16);
    assert_eq!(project.output("repro", &["no-such"]).status.code(), Some(2));
}

#[test]
fn a_build_for_one_architecture_leaves_what_is_locked_for_the_other() {
    let project = Project::new("whole-lock");
    project.state("one\n", COPY);
    project.run("lock", &[]);
    let lock = || fs::read_to_string(project.path("brc.lock")).unwrap();
    let before = lock();
    let old = sha256(&project.path("note.txt"));
    project.state("two\n", COPY);
    project.run("build", &["note", "--arch=x86_64"]);
    assert_eq!(lock(), before.replace(&old, &sha256(&project.path("note.txt"))));
    assert!(before.contains("arm64") && before.contains(&old), "{before}");
}

#[test]
fn a_local_checkout_takes_the_place_of_a_source() {
    let project = Project::new("checkout");
    project.state("locked\n", "cp note.txt note; echo $version >>note");
    let lock = || fs::read(project.path("brc.lock")).unwrap();
    project.run("lock", &[]);
    let before = lock();
    let source = project.path("elsewhere");
    for (path, content) in [("note.txt", "mine\n"), ("made.o", "1"), (".gitignore", "*.o\n")] {
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join(path), content).unwrap();
    }
    let option = format!("note={}", source.display());
    let built =
        |ran: &Ran| fs::read_to_string(Path::new(text(ran.of("built").next().unwrap(), "path")).join("usr/lib/note"));
    let ran = project.run("build", &["note", "--source", &option]);
    assert_eq!(ran.performed(), ["quickstart/note build"], "nothing is fetched");
    let mine = built(&ran).unwrap();
    let version = mine.strip_prefix("mine\n1+dev.").unwrap_or_else(|| panic!("{mine}")).trim().to_owned();
    assert!(version.len() == 8 && version.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}");

    // What git ignores is no input.
    fs::write(source.join("made.o"), "2").unwrap();
    assert_eq!(project.run("build", &["note", "--source", &option]).performed(), [""; 0]);
    let same = project.output("repro", &["note", "--source", &option]);
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stderr));

    fs::write(project.path("brc.local.kdl"), "component \"note\" { source \"elsewhere\"; }\n").unwrap();
    assert_eq!(built(&project.run("build", &["note"])).unwrap(), mine);
    assert!(lock() == before, "the lock was changed");

    // What nothing composes is told: for this run alone it can only be a mistake.
    let recipe = fs::read_to_string(&project.recipe).unwrap();
    fs::write(&project.recipe, format!("component \"idle\" {{ version \"1\"; step \"true\"; }}\n{recipe}")).unwrap();
    let idle = "component \"idle\" { source \"elsewhere\"; }\n";
    fs::write(project.path("brc.local.kdl"), idle).unwrap();
    let warned = project.output("build", &["note"]);
    let talk = String::from_utf8_lossy(&warned.stderr).into_owned();
    assert!(warned.status.success() && talk.contains("`quickstart/idle`, which is not composed here"), "{talk}");
    let refused = project.output("build", &["note", "--source", "idle=."]);
    let talk = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{talk}");
    assert!(talk.contains("`--source quickstart/idle=…` changes nothing"), "{talk}");

    for (option, code) in [("nothing=.", 2), ("note", 2), ("note=nowhere", 2), ("system=.", 2)] {
        let wrong = project.output("build", &["note", "--source", option]);
        assert_eq!(wrong.status.code(), Some(code), "{option}: {}", String::from_utf8_lossy(&wrong.stderr));
    }
}

#[test]
fn an_edit_of_a_rust_component_compiles_no_crate_anew() {
    let project = Project::new("crates");
    let source = project.path("host");
    let host = super::support::project::repository().join("host");
    let copied = Command::new("cp").arg("-r").args([&host, &source]).status().unwrap();
    assert!(copied.success());
    let option = format!("brc/agent={}", source.display());
    let build = || project.run("build", &["brc/agent", "--source", &option]);
    let program = |ran: &Ran| {
        let built = Path::new(text(ran.of("built").next().unwrap(), "path"));
        fs::read(built.join("usr/bin/brc-agent")).unwrap()
    };
    let says = |program: &[u8], words: &str| program.windows(words.len()).any(|found| found == words.as_bytes());
    let first = program(&build());

    // An edit of one line is seen, and nothing but the component runs for it.
    let file = source.join("agent/src/main.rs");
    let usage = fs::read_to_string(&file).unwrap();
    assert!(usage.contains("Usage:") && says(&first, "Usage:"));
    fs::write(&file, usage.replacen("Usage:", "It is called as", 1)).unwrap();
    let edited = build();
    assert_eq!(edited.performed(), ["brc/agent build"]);
    assert!(says(&program(&edited), "It is called as") && !says(&program(&edited), "Usage:"));
}

#[test]
fn an_image_with_a_local_checkout_says_so_and_is_not_released() {
    // It compiles the kernel where the store does not have it.
    quickstart();
    let project = Project::new("development");
    project.state("locked\n", COPY);
    fs::create_dir_all(project.path("elsewhere")).unwrap();
    fs::write(project.path("elsewhere/note.txt"), "mine\n").unwrap();
    fs::write(project.path("brc.local.kdl"), "component \"note\" { source \"elsewhere\"; }\n").unwrap();
    // Linked with what is linked with the note: it is in there too.
    let linked = |name: &str, with: &str| {
        let step = "mkdir -p \"$out/usr/lib\"; cp /sysroot/usr/lib/* \"$out/usr/lib\"";
        let tools = "build-with \"brc/finish-tools\"";
        format!("component \"{name}\" {{ version \"1\"; {tools}; link-with \"{with}\"; step #\"{step}/{name}\"#; }}\n")
    };
    let recipe = fs::read_to_string(&project.recipe).unwrap().replace("include ", "include \"top\" ");
    fs::write(&project.recipe, linked("top", "middle") + &linked("middle", "note") + &recipe).unwrap();
    let out = folder("development-out");
    let composed = project.run("compose", &["--arch=x86_64", "--out", out.to_str().unwrap()]);
    let composed = composed.of("composed").next().unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(text(composed, "manifest")).unwrap()).unwrap();
    let components = manifest["components"].as_array().unwrap();
    let marked: Vec<&Value> = components.iter().filter(|component| component["development"] == true).collect();
    let [note, top] = marked[..] else { panic!("{marked:?}") };
    assert_eq!(text(top, "name"), "quickstart/top");
    assert_eq!((text(note, "name"), &text(note, "version")[..6]), ("quickstart/note", "1+dev."));
    let verify = |words: &[&str]| brc().arg("verify").args(words).arg(text(composed, "disk")).output().unwrap();
    assert!(verify(&[]).status.success());
    let refused = verify(&["--release"]);
    let talk = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{talk}");
    assert!(talk.contains("`quickstart/note` 1+dev."), "{talk}");
}
