//! The habits of people: where they stand, what they mistype, what they paste.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::project::{brc, folder, repository};

/// A project with one variant for each name; nothing of it has to be fetched to be read.
fn project(name: &str, variants: &[&str]) -> std::path::PathBuf {
    let folder = folder(name);
    fs::create_dir(folder.join("variants")).unwrap();
    fs::write(folder.join("brc.kdl"), "project \"acme\"\nread \"parts.kdl\" \"variants/*.kdl\"\n").unwrap();
    fs::write(folder.join("k.config"), "").unwrap();
    let zeros = "0".repeat(64);
    let parts = format!(
        "kernel \"k\" {{\n    version \"1\"\n    config \"k.config\"\n    upstream {{ url \"file:///k\" \
         sha256=\"{zeros}\" }}\n}}\n\ncomponent \"part\" {{\n    file \"/etc/part\" text=\"part\"\n}}\n"
    );
    fs::write(folder.join("parts.kdl"), parts).unwrap();
    for variant in variants {
        let text = format!(
            "variant \"{variant}\" {{\n    version \"1\"\n    arch \"x86_64\" \"aarch64\"\n    include \"k\" \"part\"\n}}\n"
        );
        fs::write(folder.join("variants").join(format!("{variant}.kdl")), text).unwrap();
    }
    folder
}

/// Runs brc with a store of its own, from `folder`.
fn run_in(folder: &Path, words: &[&str]) -> Output {
    brc().args(words).current_dir(folder).env("BRC_STORE", folder.join("store")).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The command of the last `next:` line.
fn next(output: &Output) -> String {
    let said = said(output);
    let next = said.lines().rev().find_map(|line| line.strip_prefix("next: ")).unwrap_or_else(|| panic!("{said}"));
    next.to_owned()
}

/// What a shell does with a line that was printed to be pasted.
fn pasted(folder: &Path, line: &str) -> Output {
    Command::new("bash").args(["-c", line]).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn verbs_are_about_the_project_one_stands_in() {
    let one = project("stands-one", &["node"]);
    for below in ["", "variants", "store"] {
        fs::create_dir_all(one.join(below)).unwrap();
        for words in [&["show"][..], &["graph"], &["why", "part"], &["check"], &["show", "--variant", "node"]] {
            let output = run_in(&one.join(below), words);
            assert!(output.status.success(), "{below} {words:?}: {}", said(&output));
        }
    }
    let told = said(&run_in(&one.join("variants"), &["why", "part"]));
    assert!(told.contains("acme/node (variants/node.kdl:") && told.contains("acme/part"), "{told}");
    assert!(said(&run_in(&one, &["why", "variants/node.kdl", "part"])).contains("acme/part"));
    // A folder is as good as standing in it.
    assert!(run_in(Path::new("/"), &["show", one.to_str().unwrap()]).status.success());

    let two = project("stands-two", &["node", "other"]);
    let output = run_in(&two, &["show"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--variant`: acme/node, acme/other"), "{}", said(&output));
    assert!(run_in(&two, &["show", "--variant", "other"]).status.success());
    assert!(run_in(&two, &["check"]).status.success());

    let nowhere = tempfile::tempdir().unwrap();
    for verb in ["show", "check", "compose", "lock", "plan", "update"] {
        let output = run_in(nowhere.path(), &[verb]);
        assert_eq!(output.status.code(), Some(2), "{verb}: {}", said(&output));
        assert!(said(&output).contains("there is no `brc.kdl` in"), "{verb}: {}", said(&output));
    }
}

#[test]
fn a_base_without_a_kernel_is_no_choice() {
    let folder = project("stands-base", &["node"]);
    let base = "variant \"base\" {\n    version \"1\"\n    arch \"x86_64\"\n    include \"part\"\n}\n";
    fs::write(folder.join("variants/base.kdl"), base).unwrap();
    let output = run_in(&folder, &["show"]);
    assert!(output.status.success() && said(&output).contains("// node "), "{}", said(&output));
}

#[test]
fn check_says_what_it_read_in_one_line() {
    let folder = project("check-line", &["node"]);
    let output = run_in(&folder, &["check"]);
    assert_eq!(said(&output), "good: 3 files, 1 variant and 2 components read\n");
    fs::write(folder.join("variants/node.kdl"), "variant \"node\" { versio \"1\" }\n").unwrap();
    let output = run_in(&folder, &["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!said(&output).contains("good"), "{}", said(&output));
    // What packages do without is told to those who ask.
    let quickstart = repository().join("examples/quickstart");
    let told = |words: &[&str]| said(&run_in(&quickstart, words)).lines().count();
    assert_eq!(told(&["check", "--store", "/nonexistent"]), 1);
    assert!(told(&["check", "--verbose", "--store", "/nonexistent"]) > 5);
}

#[test]
fn what_cannot_be_written_is_told_and_a_reader_that_went_away_is_not() {
    let folder = project("full", &["node"]);
    for words in [&["show"][..], &["show", "--json"], &["graph"], &["completions", "bash"], &["--help"], &["--version"]]
    {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = brc().args(words).current_dir(&folder).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{words:?}: {}", said(&output));
        assert!(said(&output).contains("error: standard output cannot be written: No space left"), "{}", said(&output));

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = brc().args(words).current_dir(&folder).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), said(&output)), (Some(141), String::new()), "{words:?}");

        let line = format!("{} {} >&-", env!("CARGO_BIN_EXE_brc"), words.join(" "));
        let output = pasted(&folder, &line);
        assert_eq!(output.status.code(), Some(3), "{line}: {}", said(&output));
    }
    let null = brc().arg("show").current_dir(&folder).stdout(Stdio::null()).status().unwrap();
    assert!(null.success());
}

#[test]
fn no_text_of_a_recipe_reaches_the_terminal_raw() {
    let folder = project("escapes", &["node"]);
    let evil = "\\u{1b}]52;c;eA==\\u{7}\\u{9b}2J";
    let recipe = format!(
        "component \"part\" {{\n    needs \"a{evil}\"\n}}\ncomponent \"other\" {{\n    file \"/etc/{evil}\" from=\"x{evil}\"\n}}\n"
    );
    let parts = fs::read_to_string(folder.join("parts.kdl")).unwrap();
    let kernel = parts.split("component").next().unwrap();
    fs::write(folder.join("parts.kdl"), format!("{kernel}{recipe}")).unwrap();
    for words in [&["check"][..], &["check", "--json"], &["show"], &["why", "\u{1b}]0;title\u{7}"]] {
        let output = run_in(&folder, words);
        assert!(!output.status.success());
        let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let text = String::from_utf8(all).unwrap();
        assert!(text.contains("1b"), "{text}");
        assert!(!text.contains(|letter: char| letter.is_control() && letter != '\n'), "{words:?}: {text:?}");
    }
}

#[test]
fn a_project_is_started_once_and_passes_its_check() {
    let set = repository().to_str().unwrap();
    let folder = folder("Init It's");
    for (place, code) in [("brc", 2), ("My Images", 2), ("-x", 2), ("mine", 0)] {
        let place = folder.join(place);
        fs::create_dir(&place).unwrap();
        let output = run_in(&place, &["init", "--recipes", set]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        if code == 2 {
            assert!(said(&output).contains("brc init my-images"), "{}", said(&output));
            assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        }
    }
    let mine = folder.join("mine");
    let read = || ["brc.kdl", "variants/mine.kdl"].map(|name| fs::read_to_string(mine.join(name)).unwrap());
    let before = read();
    assert_eq!(said(&run_in(&mine, &["check"])).lines().count(), 1);
    assert!(run_in(&mine, &["fmt", "--check"]).status.success());
    let again = run_in(&mine, &["init", "--recipes", set]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("`brc.kdl` is there already"), "{}", said(&again));
    // Another name must not leave half a project behind either.
    fs::remove_file(mine.join("brc.kdl")).unwrap();
    assert_eq!(run_in(&mine, &["init", "--recipes", set]).status.code(), Some(2));
    assert!(!mine.join("brc.kdl").exists());
    assert_eq!(before[1], fs::read_to_string(mine.join("variants/mine.kdl")).unwrap());
}

#[test]
fn a_wrong_word_of_the_command_line_is_its_own_fault() {
    let folder = project("wrong-words", &["node"]);
    let made = Command::new("mkfifo").arg(folder.join("fifo")).status().unwrap();
    assert!(made.success());
    for words in [
        &["verify", "missing.raw"][..],
        &["verify", "fifo"],
        &["verify", "variants"],
        &["verify", "k.config", "--manifest", "missing.json"],
        &["verify", "k.config", "--manifest", "fifo"],
        &["boot", "missing.raw"],
        &["boot", "fifo"],
        &["compose", "missing.kdl"],
        &["check", "missing/brc.kdl"],
        &["fmt", "missing.kdl"],
        &["fmt", "fifo"],
        &["init", "--recipes", "missing"],
        &["build"],
        &["build", "a", "b", "c"],
        &["check", "--source", "part=missing"],
    ] {
        let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let command = format!("timeout 20 {} {line}", env!("CARGO_BIN_EXE_brc"));
        let output = pasted(&folder, &command);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
    }
}

#[test]
fn an_empty_variable_says_nothing() {
    let folder = project("empty-variables", &["node"]);
    let output = brc()
        .args(["store", "du"])
        .envs([("BRC_STORE", ""), ("BRC_JOBS", ""), ("BRC_SIGNING_KEY", ""), ("BRC_MIRROR_DEBIAN", "")])
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(folder.join("cache/brc").is_dir());
}

#[test]
fn recipes_are_laid_out_and_what_check_prints_does_it() {
    let folder = project("layout it's", &["node"]);
    assert!(run_in(&folder, &["fmt", "--check"]).status.success());
    let file = folder.join("variants/node.kdl");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("// kept\n{}", good.replace("    ", "\t"))).unwrap();
    let spaced = folder.join("variants/it's one.kdl");
    fs::write(&spaced, "component   \"spaced\" { file \"/etc/x\" text=\"x\"; }\n").unwrap();
    let checked = run_in(&folder, &["fmt", "--check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "variants/it's one.kdl\nvariants/node.kdl\n");
    let done = pasted(&folder, &next(&checked));
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("// kept\n{good}"));
    assert!(fs::read_to_string(&spaced).unwrap().starts_with("component \"spaced\" { file"));
    assert!(run_in(&folder, &["fmt", "--check"]).status.success());
    // What cannot be read is told, and left alone; what is only meant wrongly is laid out all the same.
    fs::write(&spaced, "component   \"spaced\" { nonsense }\n").unwrap();
    fs::write(&file, "variant \"node\" {\n").unwrap();
    let output = run_in(&folder, &["fmt"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert_eq!(fs::read_to_string(&file).unwrap(), "variant \"node\" {\n");
    assert_eq!(fs::read_to_string(&spaced).unwrap(), "component \"spaced\" { nonsense }\n");
}

#[test]
fn what_is_not_locked_is_locked_by_the_line_that_says_so() {
    let folder = project("paste it's $(touch broken)", &["node"]);
    let output = run_in(&folder, &["plan", "variants/node.kdl"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let line = next(&output);
    assert!(line.contains("lock variants/node.kdl --store "), "{line}");
    // The kernel's archive is not there; everything but that is understood.
    let pasted = pasted(&folder, &line);
    assert!(pasted.status.success() || pasted.status.code() == Some(4), "{line}: {}", said(&pasted));
    assert!(!folder.join("broken").exists());
}

#[test]
fn a_name_that_nothing_has_is_told_before_anything_is_locked() {
    let folder = project("unknown-part", &["node"]);
    for words in [
        &["build", "prat"][..],
        &["repro", "prat"],
        &["shell", "prat"],
        &["log", "prat"],
        &["why", "--rebuilt", "prat"],
    ] {
        let output = run_in(&folder, words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
        let expected = "nothing is called `prat`, did you mean `part`";
        assert!(said(&output).contains(expected), "{words:?}: {}", said(&output));
    }
    let output = run_in(&folder, &["build", "part"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("`acme/part` only brings files or packages"), "{}", said(&output));
    assert!(!folder.join("brc.lock").exists());
}

#[test]
fn a_wrong_command_line_is_an_object_too() {
    let folder = project("wrong-json", &["node"]);
    for words in [&["--json"][..], &["--json", "nonsense"], &["check", "--jso", "--json"], &["build", "--json"]] {
        let output = run_in(&folder, words);
        assert_eq!((output.status.code(), &*output.stderr), (Some(2), &b""[..]), "{words:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).expect(&text);
        assert_eq!((line["version"].as_u64(), line["event"].as_str()), (Some(1), Some("error")), "{text}");
        assert!(!line["error"].as_str().unwrap().starts_with("error"), "{text}");
    }
    // Behind `--` a word is no option, and help is for people.
    let output = run_in(&folder, &["nonsense", "--", "--json"]);
    assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{}", said(&output));
    let output = run_in(&folder, &["--json", "--help"]);
    assert!(output.status.success() && said(&output).contains("Usage:"), "{}", said(&output));
}

#[test]
fn with_json_every_line_is_an_object_of_this_version() {
    let folder = project("only-json", &["node"]);
    for words in [&["show"][..], &["graph"], &["why", "part"], &["check"], &["store", "du"], &["store", "gc"]] {
        let output = run_in(&folder, &[words, &["--json"]].concat());
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.is_empty(), "{words:?}");
        for line in text.lines() {
            let object: serde_json::Value = serde_json::from_str(line).expect(line);
            assert_eq!(object["version"].as_u64(), Some(1), "{line}");
        }
    }
    let drawn = run_in(&folder, &["graph", "--json", "--format", "dot"]);
    assert!(said(&drawn).starts_with("digraph"), "{}", said(&drawn));
}

#[test]
fn a_mirror_that_no_archive_of_the_project_has_is_refused_with_those_that_one_may_name() {
    let folder = project("mirror-names", &["node"]);
    let archive = "archive \"d\" { suite \"s\"; suite \"s-security\" mirror=\"d-security\"; keyring \"k.asc\"; }\n";
    fs::write(folder.join("k.asc"), "").unwrap();
    let parts = fs::read_to_string(folder.join("parts.kdl")).unwrap();
    fs::write(folder.join("parts.kdl"), format!("{archive}{parts}")).unwrap();
    let with = |text: &str| {
        fs::write(folder.join("mirrors.toml"), text).unwrap();
        run_in(&folder, &["lock"])
    };
    let refused = with("d-security = \"file:///nowhere\"\ndd = \"file:///nowhere\"\n");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    let message = "mirrors.toml` is the mirror of no archive of this project: expected one of d, d-security";
    assert!(said(&refused).contains("error: `dd` in `") && said(&refused).contains(message), "{}", said(&refused));
    let taken = with("d-security = \"file:///nowhere\"\n");
    assert!(!said(&taken).contains("mirrors.toml"), "{}", said(&taken));
}
