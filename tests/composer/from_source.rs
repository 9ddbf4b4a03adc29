//! Components from source: every build system for both targets, and an image of a project's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;

use crate::support::{
    package::{TarEntry, zip},
    project::{Ran, brc, folder, linked_store, quickstart, repository, text, user_store},
    server::Server,
};

/// The one module that a component of the project needs.
const MODULE: &str = "example.org/word@v1.0.0";
const MODULE_FILE: &str = "module example.org/word\n\ngo 1.24\n";
pub const MODULE_SOURCE: &str = "package word\n\nfunc Word() string { return \"hello from\" }\n";

/// A module proxy on loopback that has it, and nothing else.
pub fn module_proxy(source: &str) -> Server {
    let server = Server::start();
    let file = |name: &str, text: &str| TarEntry::file(&format!("{MODULE}/{name}"), text.as_bytes());
    let versions = "/example.org/word/@v/v1.0.0";
    server.put_bytes(&format!("{versions}.info"), b"{\"Version\":\"v1.0.0\"}");
    server.put_bytes(&format!("{versions}.mod"), MODULE_FILE.as_bytes());
    server.put_bytes(&format!("{versions}.zip"), &zip(&[file("go.mod", MODULE_FILE), file("word.go", source)]));
    server
}

/// Copies the project of `tests/data/from-source` to a folder of its own; its recipes import this repository's by path.
pub fn copy_of_project(name: &str) -> PathBuf {
    let to = folder(name);
    copy(&repository().join("tests/data/from-source"), &to);
    // What it has in common with quickstart is locked, and in the store when quickstart was composed.
    fs::copy(repository().join("examples/quickstart/brc.lock"), to.join("brc.lock")).unwrap();
    let import = format!("recipes \"brc\" {{ path {:?} }}\n", repository().to_str().unwrap());
    fs::write(to.join("brc.kdl"), format!("project \"acme\"\n{import}read \"acme.kdl\"\n")).unwrap();
    to.join("acme.kdl")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// The project, locked once for all tests here.
pub fn project() -> &'static Path {
    static PROJECT: OnceLock<PathBuf> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let recipe = copy_of_project("from-source-project");
        let proxy = module_proxy(MODULE_SOURCE);
        Ran::well(brc().arg("lock").arg(&recipe).env("GOPROXY", proxy.url("")));
        recipe
    })
}

fn command(verb: &str, recipe: &Path, variant: &str) -> Command {
    let mut command = brc();
    command.arg(verb).arg(recipe).arg(format!("--variant={variant}"));
    command
}

/// What an ELF file says of itself: machine, whether it is position-independent, whether it is a program.
fn elf(file: &Path) -> (u16, bool, bool) {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let number = |at: usize, length: usize| -> usize {
        bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!(&bytes[..6], b"\x7fELF\x02\x01", "{}", file.display());
    let headers = (0..number(56, 2)).map(|index| number(32, 8) + index * number(54, 2));
    // PT_INTERP: a loader is named.
    let is_program = headers.into_iter().any(|at| number(at, 4) == 3);
    (u16::try_from(number(18, 2)).unwrap(), number(16, 2) == 3, is_program)
}

#[test]
fn every_build_system_builds_for_either_target_what_is_position_independent_and_runs() {
    let out = folder("from-source-built");
    // The name of the library that the program is linked with, if there is one, and what the program says.
    for (name, library, says) in [
        ("autotools", "libword-autotools.so.0.0.0", "hello from patched autotools 2!\n"),
        ("meson", "libword-meson.so", "hello from meson\n"),
        ("cmake", "libword-cmake.so", "hello from cmake\n"),
        ("cargo", "", "hello from special cargo\n"),
        ("vendored", "", "hello from vendored go\n"),
        ("go", "", "hello from patched go 3!\n"),
    ] {
        let out = out.join(name);
        let mut build = command("build", project(), "all");
        Ran::well(build.arg(format!("greet-{name}")).arg("--arch=x86_64,aarch64").arg("--out").arg(&out));
        for (architecture, machine) in [("x86_64", 62), ("aarch64", 183)] {
            let built = out.join(architecture).join("usr");
            assert_eq!(elf(&built.join(format!("bin/greet-{name}"))), (machine, true, true), "{name} {architecture}");
            if !library.is_empty() {
                let library = built.join(format!("lib/{architecture}-linux-gnu/{library}"));
                assert_eq!(elf(&library), (machine, true, false), "{name} {architecture}");
            }
            let said = fs::read_to_string(built.join("share/greet").join(name)).ok();
            let runs_here = architecture == std::env::consts::ARCH;
            assert_eq!(said.as_deref(), runs_here.then_some(says), "{name} {architecture}");
        }
    }
}

#[test]
fn what_components_of_one_folder_ask_alike_is_locked_for_each() {
    let lock = fs::read_to_string(project().with_file_name("brc.lock")).unwrap();
    let tree = |name: &str| {
        let start = format!("tree \"acme/{name}\" \"crates\" ");
        let answer = lock.lines().find_map(|line| line.strip_prefix(&start));
        answer.unwrap_or_else(|| panic!("no crates of `{name}`")).to_owned()
    };
    assert_eq!(tree("greet-cargo"), tree("greet-again"));
}

#[test]
fn an_edit_of_a_go_component_compiles_no_module_anew() {
    let source = folder("from-source-edited");
    copy(&repository().join("tests/data/from-source/go"), &source);
    // Locking it fetches what no server has afterwards.
    let recipe = project();
    let store = linked_store("from-source-edited-store");
    // A module of its own cannot be embedded.
    fs::remove_dir_all(source.join("tools")).unwrap();
    // It takes in all of its folder, hidden folders too.
    fs::create_dir(source.join(".hidden")).unwrap();
    fs::write(source.join(".hidden/words"), "words in a hidden folder").unwrap();
    let build = |imports: &str, says: &str| {
        let embed = "//go:embed *\nvar source embed.FS\n";
        let code = format!("package main\n\nimport {imports}\n\n{embed}\nfunc init() {{ print({says:?}, &source) }}\n");
        fs::write(source.join("before.go"), code).unwrap();
        let mut build = command("build", recipe, "all");
        build.args(["greet-go", "--arch=x86_64", "--source"]).arg(format!("greet-go={}", source.display()));
        let ran = Ran::well(build.arg("--store").arg(&store));
        let built = Path::new(text(ran.of("built").next().unwrap(), "path")).join("usr/bin/greet-go");
        let built = fs::read(built).unwrap();
        let has = |words: &str| built.windows(words.len()).any(|found| found == words.as_bytes());
        assert!(has(says) && has("words in a hidden folder"), "{says}");
        // What go keeps has the time of the build in it; it is no part of the source.
        assert!(!has("trim.txt"), "go's cache is embedded");
        ran.performed()
    };
    build("\"embed\"", "the first words");
    let edited = build("\"embed\"", "words after an edit");
    assert_eq!(edited, ["acme/greet-go imports", "acme/greet-go build"]);
    // What more it takes in is compiled, too.
    let more = build("(\n\t\"embed\"\n\t_ \"time/tzdata\"\n)", "words with all time zones");
    assert_eq!(more, ["acme/greet-go imports", "acme/greet-go dependencies", "acme/greet-go build"]);
}

#[test]
fn what_comes_with_go_is_compiled_once_for_all_components_of_an_architecture() {
    let recipe = repository().join("examples/aws-k8s/aws-k8s.kdl");
    let ran = Ran::well(brc().arg("plan").arg(recipe).arg("--arch=x86_64,aarch64"));
    let of = |stage: &str| ran.events.iter().filter(|step| step["stage"] == *stage).collect::<Vec<_>>();
    let libraries: Vec<&Value> = of("standard-library").into_iter().map(|step| &step["step"]).collect();
    assert_eq!(libraries.len(), 2);
    let takes = |step: &&&Value| step["needs"].as_array().unwrap().iter().any(|need| libraries.contains(&need));
    let of_go = |step: &&&Value| ["brc/containerd", "brc/runc", "brc/cni-plugins"].contains(&text(step, "component"));
    assert_eq!(of("dependencies").iter().filter(of_go).filter(takes).count(), 6);
}

#[test]
fn a_patched_and_overridden_component_in_c_and_one_in_go_come_into_an_image() {
    // It compiles the kernel where the store does not have it.
    quickstart();
    let out = folder("from-source-out");
    let mut compose = command("compose", project(), "acme");
    let ran = Ran::well(compose.arg("--arch=x86_64").arg("--out").arg(&out));
    let composed = ran.of("composed").next().unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(text(composed, "manifest")).unwrap()).unwrap();
    let list = |name: &str| manifest[name].as_array().unwrap().clone();
    let version = |name: &str| {
        let found = list("components").into_iter().find(|component| component["name"] == *name);
        text(&found.unwrap_or_else(|| panic!("{name}")), "version").to_owned()
    };
    assert_eq!((version("acme/greet-autotools"), version("acme/greet-go")), ("2".to_owned(), "3".to_owned()));
    let file = |path: &str| {
        let found = list("files").into_iter().find(|file| file["path"] == *path);
        found.unwrap_or_else(|| panic!("{path}"))
    };
    let content = |path: &str| {
        let blob = text(&file(path), "blake3").to_owned();
        fs::read(user_store().join("objects").join(&blob[..2]).join(blob)).unwrap()
    };
    for program in ["/usr/bin/greet-autotools", "/usr/bin/greet-go"] {
        assert_eq!(&content(program)[..4], b"\x7fELF", "{program}");
    }
    for (path, says) in [
        ("/usr/share/greet/autotools", "hello from patched autotools 2!\n"),
        ("/usr/share/greet/go", "hello from patched go 3!\n"),
    ] {
        assert_eq!(String::from_utf8(content(path)).unwrap(), says);
    }
    // The mode is that of what was built.
    let greeter = file("/usr/bin/greet-go");
    assert_eq!(text(&greeter, "mode"), "0755");
    assert!(greeter["uid"].as_u64().unwrap() > 0 && greeter["gid"].as_u64().unwrap() > 0, "{greeter}");
    // What the disk holds is what the manifest says.
    Ran::well(brc().arg("verify").arg(text(composed, "disk")));
}

#[test]
fn a_module_for_a_kernel_that_comes_finished_is_refused() {
    let recipe = copy_of_project("from-source-module");
    let module = "component \"module\" { version \"1\"; upstream { folder \"autotools\" }; build-with \"brc/c\"; kbuild; }\n\
                  variant \"module\" { version \"1\"; extends \"brc/base\"; arch \"x86_64\"; include \"module\"; }\n";
    fs::write(&recipe, module).unwrap();
    let refused = brc().arg("build").arg(&recipe).arg("module").output().unwrap();
    let text = talk(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    let told = "`acme/module` is built with `kbuild`, and kernel `brc/debian-cloud` comes finished: modules need a kernel from source";
    assert!(text.contains(told), "{text}");
}

#[test]
fn modules_that_are_neither_locked_nor_beside_the_source_are_asked_for() {
    let mut build = command("build", project(), "all");
    let refused = build.args(["greet-unlocked", "--arch=x86_64"]).output().unwrap();
    let text = talk(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    for part in
        ["found: none are locked, and there is no `vendor`", "help: state `go-module` with the folder of `go.mod`"]
    {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
