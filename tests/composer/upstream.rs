//! What locked programs fetch, by the scripts that brc runs for it, from servers on loopback.
//!
//! The programs are this machine's own, in a sandbox that has nothing else of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use brc::{
    content::{Digest, Entry, Tree},
    plan::{Failure, Fault, Network, Output, Run},
    sandbox::NetworkAccess,
};

use crate::{
    sandbox::bench::{Bench, add, chain, libraries_of, path},
    support::server::Server,
};

const GIT: &str = include_str!("../../src/plan/lower/fetch-git.sh");
const CRATES: &str = include_str!("../../src/plan/lower/fetch-crates.sh");

/// A script in a sandbox that has these programs besides its shell, and the host's network.
fn fetch(
    bench: &Bench,
    script: &str,
    programs: &[(&str, &str)],
    variables: &[(&str, &str)],
    change: impl FnOnce(&mut Run<Digest>),
) -> Result<Tree, Failure> {
    let mut tree = Tree::clone(&bench.store.tree(bench.root).unwrap());
    let mut put = |from: &str, to: &str| {
        if tree.entry(&path(to)).is_none() {
            add(&bench.store, &mut tree, from, to);
        }
    };
    for (from, to) in programs {
        put(from, to);
        for library in libraries_of(from) {
            put(&library, library.trim_start_matches('/'));
        }
    }
    let mut run = bench.script(&format!("mkdir -p \"$HOME\"\n{script}"));
    run.inputs[0].tree = bench.store.put_tree(&tree).unwrap();
    run.environment.insert("HOME".into(), "/tmp/home".into());
    run.environment.extend(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    run.network = Network::Fetching { expected: None };
    change(&mut run);
    let access: BTreeMap<String, String> = variables
        .iter()
        .filter(|(name, _)| name.starts_with("CARGO_"))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let sandbox = bench.sandbox().with_network(NetworkAccess::new(access, None));
    let outcome = bench.perform_by(&sandbox, &run, None)?;
    Ok(Tree::clone(&bench.store.tree(outcome["tree"]).unwrap()))
}

fn files(tree: &Tree) -> Vec<String> {
    let files = tree.entries().filter(|(_, entry)| !matches!(entry, Entry::Directory));
    files.map(|(path, _)| path.as_str().to_owned()).collect()
}

/// Runs git on this machine, away from its user's configuration.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for (name, value) in [("NAME", "a"), ("EMAIL", "a@example.org")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    let output = command.args(["-c", "protocol.file.allow=always"]).args(arguments).output().expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Commits everything in a folder, which becomes a repository; the commit.
fn commit(folder: &Path) -> String {
    git(folder, &["init", "-q"]);
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-qm", "x"]);
    git(folder, &["rev-parse", "HEAD"])
}

/// Serves a repository as files alone, as `git update-server-info` prepares them.
fn serve(server: &Server, repository: &Path, name: &str) {
    git(repository, &["update-server-info"]);
    let top = repository.join(".git");
    let mut next = vec![top.clone()];
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let at = entry.unwrap().path();
            if at.is_dir() {
                next.push(at);
                continue;
            }
            let below = at.strip_prefix(&top).unwrap().display().to_string();
            let bytes = fs::read(&at).unwrap();
            server.put_bytes(&format!("/{name}/{below}"), &bytes);
            if below == "info/refs" {
                server.put_bytes(&format!("/{name}/info/refs?service=git-upload-pack"), &bytes);
            }
        }
    }
}

fn fetch_git(bench: &Bench, url: &str, commit: &str) -> Result<Tree, Failure> {
    let helper = format!("{}/git-remote-http", git(Path::new("/"), &["--exec-path"]));
    let programs = [
        ("/usr/bin/git", "usr/bin/git"),
        (helper.as_str(), "usr/lib/git-core/git-remote-http"),
        ("/usr/bin/find", "usr/bin/find"),
    ];
    fetch(bench, GIT, &programs, &[("url", url), ("commit", commit)], |run| {
        run.environment.insert("PATH".into(), "/usr/bin:/bin:/usr/lib/git-core".into());
        run.outputs = BTreeMap::from([("tree".into(), Output::Folder(path("source")))]);
    })
}

/// Two repositories on a server, the second in a folder of the first.
struct Repositories {
    folder: tempfile::TempDir,
    server: Server,
    commit: String,
}

impl Repositories {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (main, sub) = (folder.path().join("main"), folder.path().join("sub"));
        for (repository, file) in [(&main, "a.c"), (&sub, "s.c")] {
            fs::create_dir(repository).unwrap();
            fs::write(repository.join(file), file).unwrap();
        }
        commit(&sub);
        git(&main, &["init", "-q"]);
        git(&main, &["submodule", "--quiet", "add", sub.to_str().unwrap(), "deep/sub"]);
        fs::write(main.join(".gitmodules"), "[submodule \"it's a sub\"]\n\tpath = deep/sub\n\turl = ../sub\n").unwrap();
        let commit = commit(&main);
        let server = Server::start();
        serve(&server, &main, "main");
        serve(&server, &sub, "sub");
        Repositories { folder, server, commit }
    }

    fn main(&self) -> PathBuf {
        self.folder.path().join("main")
    }

    /// What a fetch of this commit that must fail says.
    fn refusal(&self, bench: &Bench, commit: &str) -> String {
        let failure = fetch_git(bench, &self.server.url("/main"), commit).unwrap_err();
        assert_eq!(failure.fault, Fault::Outside, "{}", chain(&failure));
        chain(&failure)
    }
}

#[test]
fn a_commit_comes_with_its_submodules_and_without_history() {
    let (bench, repositories) = (Bench::new(), Repositories::new());
    let tree = fetch_git(&bench, &repositories.server.url("/main"), &repositories.commit).unwrap();
    assert_eq!(files(&tree), [".gitmodules", "a.c", "deep/sub/s.c"]);
    assert_eq!(tree.special_metadata().count(), 0);
    let again = fetch_git(&bench, &repositories.server.url("/main/"), &repositories.commit).unwrap();
    assert_eq!(again.digest(), tree.digest());
}

#[test]
fn a_commit_or_repository_that_is_not_there_is_named() {
    let (bench, repositories) = (Bench::new(), Repositories::new());
    let other = "0123456789abcdef0123456789abcdef01234567";
    let text = repositories.refusal(&bench, other);
    assert!(
        text.contains(&format!("expected: the commit `{other}` of `{}`", repositories.server.url("/main"))),
        "{text}"
    );
    assert!(text.contains("found: no such commit") && text.contains("help: correct `commit=`"), "{text}");
    let failure = fetch_git(&bench, &repositories.server.url("/none"), &repositories.commit).unwrap_err();
    assert!(chain(&failure).contains("help: correct the URL in the recipe"), "{}", chain(&failure));
}

#[test]
fn a_submodule_that_no_commit_pins_is_refused() {
    let (bench, repositories) = (Bench::new(), Repositories::new());
    let modules = repositories.main().join(".gitmodules");
    for (at, expected) in [
        ("other", "the submodule `other` in `.gitmodules`, which the commit does not pin"),
        ("../up", "a submodule at `../up`"),
        ("deep/.git/x", "a submodule at `deep/.git/x`"),
    ] {
        fs::write(&modules, format!("[submodule \"x\"]\n\tpath = {at}\n\turl = ../sub\n")).unwrap();
        let commit = commit(&repositories.main());
        serve(&repositories.server, &repositories.main(), "main");
        let text = repositories.refusal(&bench, &commit);
        assert!(text.contains(expected), "{at}: {text}");
    }
}

#[test]
fn submodules_come_from_where_recipes_may_take_repositories_from() {
    let (bench, repositories) = (Bench::new(), Repositories::new());
    // A repository that the source brings along, whose configuration git would obey.
    let inner = repositories.main().join("inner");
    git(&repositories.main(), &["clone", "-q", "--bare", "../sub", "inner"]);
    fs::write(inner.join("objects/info/kept"), "").unwrap();
    fs::write(inner.join("refs/kept"), "").unwrap();
    for (from, shown) in [
        ("file:///source/inner", "file:///source/inner"),
        ("/source/inner", "/source/inner"),
        ("git://example.org/x", "git://example.org/x"),
        ("ssh://git:secret@example.org/x", "ssh://example.org/x"),
        ("ext::sh -c id", "ext::sh -c id"),
    ] {
        let modules = format!("[submodule \"x\"]\n\tpath = deep/sub\n\turl = {from}\n");
        fs::write(repositories.main().join(".gitmodules"), modules).unwrap();
        let commit = commit(&repositories.main());
        serve(&repositories.server, &repositories.main(), "main");
        let text = repositories.refusal(&bench, &commit);
        let expected = format!("the submodule `deep/sub` from `{shown}`, which is neither `https://…` nor `http://…`");
        assert!(text.contains(&expected), "{from}: {text}");
    }
}

/// A registry of one crate, `a` 1.0.0, that states this checksum of it.
fn registry(checksum: &str) -> Server {
    let server = Server::start();
    let config = format!("{{\"dl\":\"{}/{{crate}}-{{version}}.crate\"}}", server.url(""));
    server.put_bytes("/config.json", config.as_bytes());
    let line = format!(
        "{{\"name\":\"a\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"{checksum}\",\"features\":{{}},\"yanked\":false}}\n"
    );
    server.put_bytes("/1/a", line.as_bytes());
    server.put_bytes("/a-1.0.0.crate", &the_crate());
    server
}

fn the_crate() -> Vec<u8> {
    use crate::support::package::{TarEntry, gzip, tar};
    gzip(&tar(&[
        TarEntry::file("a-1.0.0/Cargo.toml", b"[package]\nname = \"a\"\nversion = \"1.0.0\"\n"),
        TarEntry::file("a-1.0.0/src/lib.rs", b"pub fn a() {}\n"),
    ]))
}

/// Fetches the crates of a lock file that states this checksum.
fn fetch_crates(bench: &Bench, server: &Server, checksum: &str) -> Result<Tree, Failure> {
    let index = format!("sparse+{}/", server.url(""));
    let lock = format!(
        "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{index}\"\nchecksum = \"{checksum}\"\n\n\
         [[package]]\nname = \"x\"\nversion = \"0.0.0\"\ndependencies = [\n \"a\",\n]\n"
    );
    let manifest = "[package]\nname = \"x\"\nversion = \"0.0.0\"\n\n[dependencies]\na = { version = \"1\", registry = \"test\" }\n";
    let mut source = Tree::new();
    // Whoever wrote the source has no say in how it is fetched.
    let config = "[net]\noffline = true\n";
    for (at, text) in
        [("Cargo.toml", manifest), ("Cargo.lock", &lock), ("src/main.rs", ""), (".cargo/config.toml", config)]
    {
        let blob = bench.store.put(text.as_bytes()).unwrap();
        source.insert(path(at), Entry::File { blob, size: text.len() as u64, executable: false }).unwrap();
    }
    let source = bench.store.put_tree(&source).unwrap();
    let programs = [(env!("CARGO"), "bin/cargo")];
    let variables = [("manifest", "Cargo.lock"), ("CARGO_REGISTRIES_TEST_INDEX", &index)];
    fetch(bench, CRATES, &programs, &variables, |run| {
        run.inputs.push(brc::plan::Input { owner: "source".into(), tree: source, at: path("build") });
        run.outputs = BTreeMap::from([("tree".into(), Output::Folder(path("vendor/crates")))]);
    })
}

#[test]
fn crates_come_with_what_cargo_must_be_told_and_are_held_to_their_checksums() {
    let bench = Bench::new();
    let checksum = crate::support::sha256_hex(&the_crate());
    let server = registry(&checksum);
    let tree = fetch_crates(&bench, &server, &checksum).unwrap();
    assert_eq!(
        files(&tree),
        ["a-1.0.0/.cargo-checksum.json", "a-1.0.0/Cargo.toml", "a-1.0.0/src/lib.rs", "cargo-config.toml"]
    );
    // Nothing in it shows which cargo fetched it.
    let Some(Entry::File { blob, .. }) = tree.entry(&path("a-1.0.0/.cargo-checksum.json")) else { panic!("no sums") };
    let sums = String::from_utf8(bench.store.read(*blob).unwrap()).unwrap();
    assert_eq!(sums, format!("{{\"files\":{{}},\"package\":\"{checksum}\"}}"));
    let other = "0".repeat(64);
    let failure = fetch_crates(&bench, &server, &other).unwrap_err();
    assert_eq!(failure.fault, Fault::Outside);
    let text = chain(&failure);
    assert!(text.contains("checksum for `a v1.0.0") && text.contains("changed between lock files"), "{text}");
    assert!(text.contains("expected: every crate of `Cargo.lock`") && text.contains("help: "), "{text}");
    // The index agrees with the lock file, and what is served is something else.
    let failure = fetch_crates(&bench, &registry(&other), &other).unwrap_err();
    assert!(chain(&failure).contains("failed to verify the checksum of `a v1.0.0"), "{}", chain(&failure));
}
