//! Recipe sets from elsewhere: fetched before anything else, locked by commit and tree.

use std::{fs, path::PathBuf, process::Command};

use serde_json::json;

use crate::{
    oracle::oracles,
    registry::Registry,
    support::{
        git::GitServer,
        package::{TarEntry, packed, tar},
        project::{Ran, brc, folder, repository, second_store, sha256, text, user_store},
        server::{Answer, Server},
        sha256_hex,
    },
};

/// A set without packages: a kernel that nobody compiles here, and a file.
const SET: &str = r##"
project "small"
read "recipes/*.kdl"
kernel "none" {
    version "1"
    upstream { url "file://KERNEL" sha256="SHA256" }
    config "none.config"
}
variant "base" {
    version "1"
    arch "x86_64"
    include "none" "note"
    tool "root-filesystem" "note"
    tool "finish" "note"
    tool "boot-loader" "note"
}
"##;

/// A set in a repository of git, and projects that import it.
struct World {
    folder: PathBuf,
    server: GitServer,
}

impl World {
    fn new(name: &str) -> World {
        let folder = folder(name);
        let world = World { server: GitServer::start(&folder), folder };
        world.write("kernel.tar", "no kernel is compiled here\n");
        let kernel = world.path("kernel.tar");
        let set = SET.replace("KERNEL", kernel.to_str().unwrap()).replace("SHA256", &sha256(&kernel));
        world.write("set/brc.kdl", &set);
        world.write("set/none.config", "CONFIG_EFI=y\n");
        world.write("set/recipes/note.kdl", "component \"note\" { file \"/usr/share/note\" from=\"../note\"; }\n");
        world.write("set/note", "first\n");
        world
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn lock(&self) -> String {
        fs::read_to_string(self.path("mine/brc.lock")).unwrap_or_default()
    }

    /// A project on the set, from the tag `v1`.
    fn project(&self) {
        self.import(&format!("git {:?} tag=\"v1\"", self.server.url()));
    }

    fn import(&self, place: &str) {
        let text = format!(
            "project \"mine\"\nrecipes \"small\" {{ {place} }}\n\
             variant \"mine\" {{ version \"1\"; extends \"small/base\"; }}\n"
        );
        self.write("mine/brc.kdl", &text);
    }

    fn brc(&self, words: &[&str]) -> Command {
        let mut command = brc();
        command.args(words).current_dir(self.path("mine"));
        if !words.contains(&"--store") {
            command.arg("--store").arg(self.path("store"));
        }
        command
    }

    fn well(&self, words: &[&str]) -> Ran {
        Ran::well(&mut self.brc(words))
    }

    /// What a command says that must fail with this exit code.
    fn refused(&self, words: &[&str], code: i32) -> String {
        let ran = Ran::new(&mut self.brc(words));
        assert_eq!(ran.output.status.code(), Some(code), "{words:?} {:?}", ran.events);
        format!("{:?}", ran.events)
    }
}

#[test]
fn a_set_is_locked_by_commit_and_tree_and_stays_when_its_tag_moves() {
    let world = World::new("set-git");
    let first = world.server.commit(&world.path("set"), "v1");
    world.project();
    world.well(&["lock"]);
    let locked = world.lock();
    let line = locked.lines().find(|line| line.starts_with("set ")).unwrap().to_owned();
    let expected = format!("set \"small\" git=\"{}\" tag=\"v1\" commit=\"{first}\" tree=\"", world.server.url());
    assert!(line.starts_with(&expected), "{line}");

    // What is locked and here is asked of nobody.
    let before = world.server.requests();
    world.well(&["check", "--locked"]);
    world.write("set/note", "second\n");
    let second = world.server.commit(&world.path("set"), "v1");
    world.well(&["lock"]);
    assert_eq!((world.lock(), world.server.requests()), (locked.clone(), before));

    // Where it is not here, the locked commit is fetched, whatever the tag is now.
    world.well(&["check", "--locked", "--store", world.path("other").to_str().unwrap()]);
    assert!(world.server.requests() > before);

    let moved = |ran: &Ran| -> Vec<String> {
        let change = |event| {
            format!(
                "{} {} {} {}",
                text(event, "package"),
                text(event, "architecture"),
                text(event, "from"),
                text(event, "to")
            )
        };
        ran.of("change").map(change).collect()
    };
    let expected = [format!("small set v1 ({}) v1 ({})", &first[..12], &second[..12])];
    assert_eq!(moved(&world.well(&["outdated"])), expected);
    assert_eq!(world.lock(), locked, "it is only looked at");
    assert_eq!(moved(&world.well(&["update", "small"])), expected);
    assert!(world.lock().contains(&second), "{}", world.lock());

    // Another tag is another question.
    world.server.commit(&world.path("set"), "v2");
    world.import(&format!("git {:?} tag=\"v2\"", world.server.url()));
    let told = world.refused(&["check"], 2);
    assert!(told.contains("set-not-locked") && told.contains("`small` is not locked"), "{told}");
    world.well(&["lock"]);
    assert!(world.lock().contains("tag=\"v2\""), "{}", world.lock());
    world.import(&format!("git {:?} branch=\"main\"", world.server.url()));
    world.well(&["lock"]);
    assert!(world.lock().contains("branch=\"main\""), "{}", world.lock());
    world.import(&format!("git {:?} commit={first:?}", world.server.url()));
    world.well(&["lock"]);
    assert!(world.lock().contains(&format!(".git\" commit=\"{first}\"")), "{}", world.lock());
}

#[test]
fn a_set_is_taken_from_a_vendored_folder_without_network_and_from_mirrors() {
    let world = World::new("set-git-vendored");
    world.server.commit(&world.path("set"), "v1");
    // Nobody listens there.
    world.import("git \"http://127.0.0.1:9/small.git\" tag=\"v1\"");
    let mirror = format!("small={}", world.server.url());
    let told = world.refused(&["lock", "--offline"], 3);
    assert!(told.contains("`http://127.0.0.1:9/small.git` would have to be asked"), "{told}");
    world.well(&["lock", "--mirror", &mirror]);
    assert!(world.lock().contains("git=\"http://127.0.0.1:9/small.git\""), "{}", world.lock());
    world.well(&["vendor", "vendored", "--mirror", &mirror]);
    let other = world.path("other");
    let other = ["--store", other.to_str().unwrap()];
    let told = world.refused(&["check", "--locked", "--offline", other[0], other[1]], 3);
    assert!(told.contains("is neither in the store nor in a vendored folder"), "{told}");
    let before = world.server.requests();
    let mut command = world.brc(&["check", "--locked", "--offline", other[0], other[1]]);
    Ran::well(command.env("BRC_VENDOR", world.path("mine/vendored")));
    assert_eq!(world.server.requests(), before);
    // A mirror of a name that neither an archive nor a set has is one that nobody asks.
    world.write("mine/mirrors.toml", "smal = \"http://127.0.0.1:9/x\"\n");
    let told = world.refused(&["vendor", "vendored"], 2);
    assert!(told.contains("expected one of small"), "{told}");
}

#[test]
fn what_is_no_set_says_so_and_what_to_do() {
    let world = World::new("set-git-refused");
    world.server.commit(&world.path("set"), "v1.0.0");
    world.server.commit(&world.path("set"), "v1.1.0");
    let url = world.server.url();
    let import = |url: &str, tag: &str| world.import(&format!("git {url:?} tag={tag:?}"));
    import(&url, "v1.0.1");
    let told = world.refused(&["lock"], 4);
    assert!(told.contains("has no `refs/tags/v1.0.1`, but `v1.0.0`, `v1.1.0`"), "{told}");
    import(&url.replace("set.git", "other.git"), "v1.0.0");
    let told = world.refused(&["lock"], 4);
    assert!(told.contains("there is no git repository at") && told.contains("404"), "{told}");
    assert!(world.lock().is_empty());

    // A lock that was changed, or a server that has something else under that name.
    import(&url, "v1.0.0");
    world.well(&["lock"]);
    let lock = world.lock();
    let tree = lock.split("tree=\"").nth(1).unwrap().split('"').next().unwrap();
    world.write("mine/brc.lock", &lock.replace(tree, &"ab".repeat(32)));
    let told = world.refused(&["check"], 4);
    assert!(told.contains("is not what `brc.lock` states") && told.contains(tree), "{told}");

    // A folder without recipes, and one that leads elsewhere.
    fs::remove_file(world.path("set/brc.kdl")).unwrap();
    world.server.commit(&world.path("set"), "v3");
    import(&url, "v3");
    assert!(world.refused(&["lock"], 4).contains("has no `brc.kdl` at the top of v3"));
}

/// The set of a world as an artifact: its layer and its manifest.
fn artifact(world: &World) -> (Vec<u8>, Vec<u8>) {
    let read = |path: &str| fs::read(world.path(&format!("set/{path}"))).unwrap();
    let files = ["brc.kdl", "none.config", "note", "recipes/note.kdl"];
    let mut entries = vec![TarEntry::directory("recipes/")];
    entries.extend(files.map(|path| TarEntry::file(path, &read(path))));
    let layer = packed(&tar(&entries), ".gz");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(&layer), "size": layer.len(),
        }],
    });
    (layer, manifest.to_string().into_bytes())
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}

/// The tree in the line of a lock that is a set's.
fn tree_of(lock: &str) -> &str {
    lock.split(" tree=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn a_set_comes_from_a_registry_of_containers_too() {
    let world = World::new("set-oci");
    let store = brc::store::Store::open(&user_store()).unwrap();
    let tools = store.checkout(&[(brc::content::RelPath::ROOT, oracles(&store))]).unwrap();
    let registry = Registry::start(tools.path(), &world.folder);
    let push = || {
        let (layer, manifest) = artifact(&world);
        let index = json!({"manifests": [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(&manifest)},
        ]});
        world.write("layout/index.json", &index.to_string());
        for bytes in [&b"{}"[..], &layer, &manifest] {
            let path = world.path("layout/blobs").join(digest(bytes).replace(':', "/"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        registry.push(&world.path("layout"), "brc/small", "v1");
        digest(&manifest)
    };
    let first = push();
    let place = format!("127.0.0.1:{}/brc/small", registry.port);
    world.import(&format!("oci {place:?} tag=\"v1\""));
    world.well(&["lock"]);
    let locked = world.lock();
    let expected = format!("set \"small\" oci={place:?} tag=\"v1\" manifest=\"{}\" tree=\"", &first[7..]);
    assert!(locked.contains(&expected), "{locked}");

    // The tag moves, and what is locked is there by its digest.
    world.write("set/note", "second\n");
    let second = push();
    assert_ne!(first, second);
    world.well(&["check", "--locked", "--store", world.path("other").to_str().unwrap()]);
    let told = world.well(&["outdated"]);
    let change = told.of("change").next().unwrap();
    assert_eq!(text(change, "to"), format!("v1 ({})", &second[7..19]));
    world.well(&["update", "small"]);
    assert_ne!(tree_of(&world.lock()), tree_of(&locked));
    let by_registry = world.lock();

    // Whichever way the files come, they are one tree.
    world.server.commit(&world.path("set"), "v1");
    world.project();
    world.well(&["lock"]);
    assert_eq!(tree_of(&world.lock()), tree_of(&by_registry));

    world.import(&format!("oci {place:?} tag=\"v2\""));
    let told = world.refused(&["lock"], 4);
    assert!(told.contains("has no `v2` (the server answered 404), but `v1`"), "{told}");
    world.import(&format!("oci {place:?} digest={first:?}"));
    world.well(&["lock"]);
    assert_eq!(tree_of(&world.lock()), tree_of(&locked));
}

#[test]
fn a_registry_is_asked_with_a_token_and_held_to_its_digests() {
    let world = World::new("set-oci-refused");
    let server = Server::start();
    let (layer, manifest) = artifact(&world);
    let place = format!("{}/small", server.url("").strip_prefix("http://").unwrap());
    let challenge =
        format!("Bearer realm=\"{}\",service=\"here\",scope=\"repository:small:pull\"", server.url("/token"));
    server.put_with("/v2/small/manifests/v1", &manifest, [Answer::Challenge(challenge)]);
    server.put_bytes("/token?service=here&scope=repository:small:pull", br#"{"token":"abc"}"#);
    let by_digest = format!("/v2/small/manifests/{}", digest(&manifest));
    let blob = format!("/v2/small/blobs/{}", digest(&layer));
    world.import(&format!("oci {place:?} tag=\"v1\""));
    for (manifest, layer, expected) in [
        (
            &manifest[..],
            &b"something else"[..],
            format!("sent as `{}` is `{}`", digest(&layer), digest(b"something else")),
        ),
        (b"{}", &layer, format!("sent as `{}` is `{}`", digest(&manifest), digest(b"{}"))),
    ] {
        server.put_bytes(&by_digest, manifest);
        server.put_bytes(&blob, layer);
        let told = world.refused(&["lock"], 4);
        assert!(told.contains(&expected) && told.contains("is not to be trusted"), "{told}");
    }
    let seen = server.seen();
    let asked: Vec<_> = seen.iter().filter(|seen| seen.path.ends_with("manifests/v1")).take(2).collect();
    assert_eq!(asked[0].authorization, None);
    assert_eq!(asked[1].authorization.as_deref(), Some("Bearer abc"));
    server.put_bytes(&by_digest, &manifest);
    world.well(&["lock"]);
}

/// The repository's own set, as it lies here, from a server: a project outside with three lines of its own has its image
/// of what was built for others.
#[test]
fn a_project_elsewhere_composes_its_own_variant_of_the_locked_set_without_a_compiler() {
    // A store of its own with all that others built, so that its image is put together every time.
    let store = second_store("elsewhere-store");
    let folder = folder("set-git-compose");
    let server = GitServer::start(&folder);
    server.commit(repository(), "v0.4.0");
    let project = folder.join("mine");
    fs::create_dir(&project).unwrap();
    let lines = format!(
        "project \"mine\"\nrecipes \"brc\" {{ git {:?} tag=\"v0.4.0\"; }}\nvariant \"mine\" {{ version \"1\"; extends \
         \"brc/base\"; include \"brc/containerd-debian\" \"brc/cni-plugins-debian\"; file \"/usr/share/mine\" text=\"own\"; }}\n",
        server.url()
    );
    fs::write(project.join("brc.kdl"), lines).unwrap();
    let words = ["compose", "--arch=x86_64", "--out=out", "--store"];
    let compose = || Ran::well(brc().args(words).arg(&store).current_dir(&project));
    let ran = compose();
    // All that a compiler makes is there, and only the image itself is put together.
    let performed = ran.performed();
    assert!(performed.contains(&"mine root".to_owned()), "{performed:?}");
    assert!(performed.iter().all(|stage| stage.starts_with("mine ")), "{performed:?}");
    let reused: Vec<String> =
        ran.of("reused").map(|event| format!("{} {}", text(event, "component"), text(event, "stage"))).collect();
    for built in ["brc/early build", "brc/agent build"] {
        assert!(reused.contains(&built.to_owned()), "{built} in {reused:?}");
    }
    let lock = fs::read_to_string(project.join("brc.lock")).unwrap();
    assert!(lock.contains("tag=\"v0.4.0\" commit=\""), "{lock:.300}");
    assert!(compose().performed().is_empty());
    fs::remove_dir_all(&folder).unwrap();
    brc::store::remove_all(&store).unwrap();
}
