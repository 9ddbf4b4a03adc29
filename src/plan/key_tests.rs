//! Which fields of which action change its key. A new field does not compile here until it has a row.

use std::collections::BTreeMap;

use brc_contract::Architecture::{Aarch64, X86_64};

use super::{
    Action, BootFile, BootRecord, BoundUki, DataDisk, DebianPackage, DebianSource, Disk, Esp, Extract, Fact, Facts,
    Fetch, FileOf, Initramfs, Input, Located, Manifest, Modules, Named, Network, Output, PackagedKernel, Part,
    PartRole, PartSource, Replaced, Root, RootLayer, Run, SignedModules, Slot, SourceArchive, Stdin, Uki, UrlFile,
    Verity, Visible, Zstd,
};
use crate::content::{Digest, Glob, RelPath, Sha256, Url};

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn tree(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn file(text: &str) -> FileOf<Digest> {
    FileOf { tree: tree(text), path: path(text) }
}

fn run() -> Run<Digest> {
    Run {
        inputs: vec![Input { owner: "tools".into(), tree: tree("tools"), at: path("") }],
        command: vec!["/usr/bin/sh".into(), "-c".into(), "true".into()],
        environment: BTreeMap::from([("PATH".into(), "/usr/bin".into())]).into(),
        directory: path("build"),
        stdin: Some(Stdin::ArchiveOf(tree("root"))),
        outputs: BTreeMap::from([("out".into(), Output::Folder(path("out")))]),
        network: Network::None,
        uid: 0,
        architecture: X86_64,
        processors: 4,
        timeout_seconds: 60,
        product: None,
    }
}

fn layer() -> RootLayer<Digest> {
    RootLayer {
        owner: "runc".into(),
        tree: tree("runc"),
        drop: vec![Glob::new("/usr/share/doc/**").unwrap()],
        replaces: vec![path("etc/x")],
        users: BTreeMap::from([(path("etc/x"), (7, 8))]),
    }
}

fn slot() -> Slot {
    Slot { verity_size: 4096, root_size: 8192, empty_guids: [[1; 16], [2; 16]] }
}

fn disk() -> Disk<Digest> {
    Disk {
        guid: [3; 16],
        esp: file("esp"),
        esp_guid: [4; 16],
        root: file("root"),
        verity: tree("verity"),
        slots: vec![slot()],
        label: "a_1".into(),
        architecture: X86_64,
    }
}

fn uki() -> Uki<Digest> {
    Uki {
        stub: file("stub"),
        kernel: file("kernel"),
        os_release: "ID=brc\n".into(),
        release: file("release"),
        initramfs: Some(file("initramfs")),
        command_line: "ro".into(),
        architecture: X86_64,
    }
}

fn manifest() -> Manifest<Digest> {
    Manifest {
        variant: "a".into(),
        version: "1".into(),
        architecture: X86_64,
        components: vec![Part {
            name: "a".into(),
            role: PartRole::Root,
            version: "1".into(),
            purl: "pkg:generic/a@1".into(),
            supplier: "brc".into(),
            license: "MIT".into(),
            source: None,
            sha256: None,
            made_from: PartSource::Locked,
        }],
        root: tree("root"),
        owners: tree("owners"),
        root_image: file("erofs"),
        verity: tree("verity"),
        esp: file("esp"),
    }
}

fn of(action: Action<Digest>) -> super::Key {
    action.key()
}

/// Asserts that every change makes another key, and no two the same; and that people can be told why.
fn all_differ(rows: Vec<(&str, Action<Digest>)>) {
    let mut keys = BTreeMap::new();
    let mut told: Vec<(&str, Facts)> = Vec::new();
    for (name, action) in rows {
        let facts = action.facts();
        if let Some((other, _)) = told.iter().find(|(_, known)| *known == facts) {
            assert_eq!(name, "input order", "`{name}` and `{other}` share their facts");
        }
        told.push((name, facts));
        if let Some(other) = keys.insert(of(action), name) {
            panic!("`{name}` and `{other}` share a key");
        }
    }
}

#[test]
fn every_field_of_a_run_but_labels_is_in_its_key() {
    // No `..`: a new field stops the build here until it has a row below.
    let Run {
        inputs: _,
        command: _,
        environment: _,
        directory: _,
        stdin: _,
        outputs: _,
        network: _,
        uid: _,
        architecture: _,
        processors: _,
        timeout_seconds: _,
        product: _,
    } = run();
    let change = |change: fn(&mut Run<Digest>)| {
        let mut run = run();
        change(&mut run);
        Action::Run(run)
    };
    all_differ(vec![
        ("nothing", change(|_| {})),
        ("input tree", change(|run| run.inputs[0].tree = tree("other"))),
        ("input place", change(|run| run.inputs[0].at = path("target"))),
        ("input order", change(|run| run.inputs.push(Input { owner: "b".into(), tree: tree("b"), at: path("") }))),
        ("command", change(|run| run.command[2] = "false".into())),
        ("word border", change(|run| run.command = vec!["/usr/bin/sh".into(), "-ct".into(), "rue".into()])),
        ("environment value", change(|run| run.environment.insert("PATH".into(), "/bin".into()).map_or((), drop))),
        ("environment name", change(|run| run.environment.insert("A".into(), String::new()).map_or((), drop))),
        ("directory", change(|run| run.directory = path("other"))),
        ("no stdin", change(|run| run.stdin = None)),
        ("stdin", change(|run| run.stdin = Some(Stdin::ArchiveOf(tree("other"))))),
        ("output kind", change(|run| run.outputs.insert("out".into(), Output::Changed(path("out"))).map_or((), drop))),
        ("output name", change(|run| run.outputs = BTreeMap::from([("b".into(), Output::Folder(path("out")))]))),
        ("output path", change(|run| run.outputs = BTreeMap::from([("out".into(), Output::Folder(path("b")))]))),
        ("network", change(|run| run.network = Network::Fetching { expected: None })),
        ("expected", change(|run| run.network = Network::Fetching { expected: Some(tree("b")) })),
        ("other expected", change(|run| run.network = Network::Fetching { expected: Some(tree("c")) })),
        ("uid", change(|run| run.uid = 1)),
        ("architecture", change(|run| run.architecture = Aarch64)),
        ("processors", change(|run| run.processors = 8)),
        ("product", change(|run| run.product = Some(crate::plan::Product { built_at: path("a"), glibc: None }))),
        ("build folder", change(|run| run.product = Some(crate::plan::Product { built_at: path("b"), glibc: None }))),
        ("glibc", change(|run| run.product = Some(crate::plan::Product { built_at: path("a"), glibc: Some((2, 41)) }))),
    ]);
    let relabelled = change(|run| run.inputs[0].owner = "another label".into());
    assert_eq!(of(relabelled), of(Action::Run(run())), "who brings an input is a label");
    let patient = change(|run| run.timeout_seconds = 61);
    assert_eq!(of(patient), of(Action::Run(run())), "what came out in time is what it is");
}

#[test]
fn a_run_whose_tree_is_known_is_keyed_by_that_tree_alone() {
    let mut fetching = run();
    fetching.network = Network::Fetching { expected: Some(tree("crates")) };
    let mut other = Run { command: vec!["/usr/bin/other".into()], inputs: vec![], uid: 1, ..run() };
    other.network = fetching.network;
    assert_eq!(of(Action::Run(fetching)), of(Action::Run(other)));
}

#[test]
fn a_fetch_is_keyed_by_what_it_gets_and_never_by_where() {
    let package = || DebianPackage {
        name: "runc".into(),
        sha256: Sha256::of(b"runc"),
        size: 7,
        located: Located { mirror: "debian".into(), path: "pool/runc.deb".into() },
    };
    let url = || UrlFile {
        sha256: Sha256::of(b"runc"),
        name: "runc.tar".into(),
        urls: vec![Url::new("https://example.org/runc.tar")],
        extract: Extract::Archive,
    };
    let DebianPackage { name: _, sha256: _, size: _, located: _ } = package();
    let UrlFile { sha256: _, name: _, urls: _, extract: _ } = url();
    let source = |change: fn(&mut DebianSource)| {
        let located = Located { mirror: "debian".into(), path: "pool/runc.orig.tar.xz".into() };
        let archive = SourceArchive { sha256: Sha256::of(b"runc"), size: 7, at: path("debian"), located };
        let mut source = DebianSource { name: "runc".into(), files: vec![archive] };
        let [SourceArchive { sha256: _, size: _, at: _, located: _ }] = &source.files[..] else { panic!("one file") };
        change(&mut source);
        Action::Fetch(Fetch::DebianSource(source))
    };
    let debian = |package| Action::Fetch(Fetch::Debian(package));
    let file = |file| Action::Fetch(Fetch::Url(file));
    all_differ(vec![
        ("package", debian(package())),
        ("package sha256", debian(DebianPackage { sha256: Sha256::of(b"b"), ..package() })),
        ("package size", debian(DebianPackage { size: 8, ..package() })),
        ("source", source(|_| {})),
        ("source files", source(|source| source.files.clear())),
        ("source sha256", source(|source| source.files[0].sha256 = Sha256::of(b"b"))),
        ("source size", source(|source| source.files[0].size = 8)),
        ("source at", source(|source| source.files[0].at = path("b"))),
        ("url", file(url())),
        ("url sha256", file(UrlFile { sha256: Sha256::of(b"b"), ..url() })),
        ("url kept", file(UrlFile { extract: Extract::Keep, ..url() })),
        ("url kept as", file(UrlFile { extract: Extract::Keep, name: "b".into(), ..url() })),
    ]);
    let elsewhere = Located { mirror: "other".into(), path: "elsewhere.deb".into() };
    let moved = debian(DebianPackage { located: elsewhere, name: "label".into(), ..package() });
    assert_eq!(of(moved), of(debian(package())));
    let moved = source(|source| {
        source.name = "label".into();
        source.files[0].located.path = "elsewhere".into();
    });
    assert_eq!(of(moved), of(source(|_| {})));
    assert_eq!(of(file(UrlFile { urls: vec![], ..url() })), of(file(url())));
    assert_eq!(of(file(UrlFile { name: "b".into(), ..url() })), of(file(url())), "an unpacked file's name is a label");
}

#[test]
fn every_field_of_a_root_its_modules_or_verity_is_in_its_key() {
    let RootLayer { owner: _, tree: _, drop: _, replaces: _, users: _ } = layer();
    let root = |change: fn(&mut RootLayer<Digest>)| {
        let mut layer = layer();
        change(&mut layer);
        Action::from(Root { layers: vec![layer] })
    };
    let signed = |modules: &str, certificate: FileOf<Digest>| {
        Action::from(SignedModules { modules: tree(modules), certificate })
    };
    let modules = |of: &str| Action::from(Modules { tree: tree(of) });
    let visible = |of: &str, owners: &str, stated: &str| {
        let stated = vec![path(stated)];
        Action::from(Visible { tree: tree(of), owners: tree(owners), stated })
    };
    let replaced = |of: &str, with: &str| Action::from(Replaced { tree: tree(of), with: tree(with) });
    let data_disk = |of: &str, guid, size| Action::from(DataDisk { tree: tree(of), guid: [guid; 16], size });
    let verity = |data: &str, salt, uuid| Action::from(Verity { data: file(data), salt, uuid });
    all_differ(vec![
        ("layer", root(|_| {})),
        ("no layer", Action::from(Root { layers: vec![] })),
        ("owner", root(|layer| layer.owner = "b".into())),
        ("layer tree", root(|layer| layer.tree = tree("b"))),
        ("drop", root(|layer| layer.drop.clear())),
        ("replaces", root(|layer| layer.replaces.clear())),
        ("users", root(|layer| layer.users.clear())),
        ("uid", root(|layer| layer.users.values_mut().for_each(|(uid, _)| *uid = 1))),
        ("gid", root(|layer| layer.users.values_mut().for_each(|(_, gid)| *gid = 1))),
        ("modules", modules("root")),
        ("modules tree", modules("b")),
        ("visible", visible("root", "owners", "var/a")),
        ("visible tree", visible("b", "owners", "var/a")),
        ("visible owners", visible("root", "b", "var/a")),
        ("visible stated", visible("root", "owners", "var/b")),
        ("replaced", replaced("root", "modules")),
        ("replaced tree", replaced("b", "modules")),
        ("replaced with", replaced("root", "b")),
        ("data disk", data_disk("root", 1, 1)),
        ("data disk tree", data_disk("b", 1, 1)),
        ("data disk guid", data_disk("root", 2, 1)),
        ("data disk size", data_disk("root", 1, 2)),
        ("signed", signed("modules", file("certificate"))),
        ("signed modules", signed("b", file("certificate"))),
        ("certificate tree", signed("modules", FileOf { tree: tree("b"), ..file("certificate") })),
        ("certificate file", signed("modules", FileOf { path: path("b"), ..file("certificate") })),
        ("verity", verity("erofs", [1; 32], [1; 16])),
        ("verity data", verity("b", [1; 32], [1; 16])),
        ("salt", verity("erofs", [2; 32], [1; 16])),
        ("uuid", verity("erofs", [1; 32], [2; 16])),
    ]);
}

#[test]
fn every_field_of_a_finished_kernel_is_in_its_key() {
    let named = |name: &str| vec![Named { name: name.to_owned(), origin: "k.kdl:1".to_owned() }];
    let initramfs = || Initramfs {
        boot: tree("boot"),
        modules: tree("modules"),
        init: file("init"),
        load: named("erofs"),
        firmware: vec![],
        disks: vec![],
    };
    let row = |change: &dyn Fn(&mut Initramfs<Digest>)| {
        let mut initramfs = initramfs();
        let Initramfs { boot: _, modules: _, init: _, load: _, firmware: _, disks: _ } = &initramfs;
        change(&mut initramfs);
        Action::from(initramfs)
    };
    let packages = |names: &[&str], drop: &[&str]| {
        let packages = names.iter().map(|name| tree(name)).collect();
        Action::from(PackagedKernel { packages, drop: drop.iter().map(|glob| Glob::new(glob).unwrap()).collect() })
    };
    all_differ(vec![
        ("nothing", row(&|_| {})),
        ("boot", row(&|found| found.boot = tree("b"))),
        ("modules", row(&|found| found.modules = tree("b"))),
        ("init", row(&|found| found.init = file("b"))),
        ("load", row(&|found| found.load = named("b"))),
        ("firmware", row(&|found| found.firmware = vec![Named { name: path("b"), origin: String::new() }])),
        ("disks", row(&|found| found.disks = vec!["b".to_owned()])),
        ("packages", packages(&["a"], &[])),
        ("two packages", packages(&["a", "b"], &[])),
        ("drop", packages(&["a"], &["/b"])),
    ]);
    let elsewhere = row(&|found| found.load[0].origin = "k.kdl:2".to_owned());
    assert_eq!(elsewhere.key(), row(&|_| {}).key(), "where a recipe says it is no matter");
}

#[test]
fn every_field_of_a_kernel_image_is_in_its_key() {
    let row = |change: fn(&mut Uki<Digest>)| {
        let mut uki = uki();
        change(&mut uki);
        Action::from(uki)
    };
    macro_rules! set {
        ($field:ident, $value:expr) => {
            row(|uki| uki.$field = $value)
        };
    }
    let bound = |uki: &str, verity: &str, salt| {
        Action::from(BoundUki { uki: file(uki), verity: tree(verity), salt: [salt; 32] })
    };
    let record = |uki: &str, to: &str, from: &str| {
        let files = vec![BootFile { to: path(to), from: file(from) }];
        Action::from(BootRecord { uki: file(uki), files })
    };
    all_differ(vec![
        ("nothing", row(|_| {})),
        ("stub", set!(stub, file("b"))),
        ("kernel", set!(kernel, file("b"))),
        ("os_release", set!(os_release, "b".into())),
        ("release", set!(release, file("b"))),
        ("initramfs", set!(initramfs, Some(file("b")))),
        ("no initramfs", set!(initramfs, None)),
        ("command_line", set!(command_line, "b".into())),
        ("architecture", set!(architecture, Aarch64)),
        ("bound", bound("a", "a", 1)),
        ("bound uki", bound("b", "a", 1)),
        ("bound verity", bound("a", "b", 1)),
        ("bound salt", bound("a", "a", 2)),
        ("record", record("a", "a", "a")),
        ("record uki", record("b", "a", "a")),
        ("record to", record("a", "b", "a")),
        ("record from", record("a", "a", "b")),
    ]);
}

#[test]
fn every_field_of_an_esp_or_disk_is_in_its_key() {
    let esp = |to: &str, from: &str, size, volume_id, epoch| {
        let files = vec![BootFile { to: path(to), from: file(from) }];
        Action::from(Esp { files, size, volume_id, epoch })
    };
    let row = |change: fn(&mut Disk<Digest>)| {
        let mut disk = disk();
        change(&mut disk);
        Action::from(disk)
    };
    macro_rules! set {
        ($field:ident, $value:expr) => {
            row(|disk| disk.$field = $value)
        };
    }
    let Slot { verity_size: _, root_size: _, empty_guids: _ } = slot();
    all_differ(vec![
        ("esp alone", esp("a", "a", None, 1, 1)),
        ("esp to", esp("b", "a", None, 1, 1)),
        ("esp from", esp("a", "b", None, 1, 1)),
        ("esp size", esp("a", "a", Some(0), 1, 1)),
        ("esp volume", esp("a", "a", None, 2, 1)),
        ("esp epoch", esp("a", "a", None, 1, 2)),
        ("disk", row(|_| {})),
        ("guid", set!(guid, [9; 16])),
        ("esp", set!(esp, file("b"))),
        ("esp_guid", set!(esp_guid, [9; 16])),
        ("root", set!(root, file("b"))),
        ("verity", set!(verity, tree("b"))),
        ("no slots", set!(slots, vec![])),
        ("slot verity", set!(slots, vec![Slot { verity_size: 1, ..slot() }])),
        ("slot root", set!(slots, vec![Slot { root_size: 1, ..slot() }])),
        ("slot guids", set!(slots, vec![Slot { empty_guids: [[1; 16], [3; 16]], ..slot() }])),
        ("label", set!(label, "b".into())),
        ("architecture", set!(architecture, Aarch64)),
    ]);
}

#[test]
fn every_field_of_a_pack_is_in_its_key() {
    let Manifest {
        variant: _,
        version: _,
        architecture: _,
        components: _,
        root: _,
        owners: _,
        root_image: _,
        verity: _,
        esp: _,
    } = manifest();
    let row = |change: fn(&mut Manifest<Digest>)| {
        let mut manifest = manifest();
        change(&mut manifest);
        Action::from(manifest)
    };
    let zstd = |of: &str, name: &str| Action::from(Zstd { of: file(of), name: name.into() });
    all_differ(vec![
        ("nothing", row(|_| {})),
        ("variant", row(|manifest| manifest.variant = "b".into())),
        ("version", row(|manifest| manifest.version = "b".into())),
        ("architecture", row(|manifest| manifest.architecture = Aarch64)),
        ("components", row(|manifest| manifest.components.clear())),
        ("component name", row(|manifest| manifest.components[0].name = "b".into())),
        ("component version", row(|manifest| manifest.components[0].version = "b".into())),
        ("component license", row(|manifest| manifest.components[0].license = "b".into())),
        ("component sha256", row(|manifest| manifest.components[0].sha256 = Some(Sha256::of(b"b")))),
        ("component role", row(|manifest| manifest.components[0].role = PartRole::Kernel)),
        ("component purl", row(|manifest| manifest.components[0].purl = "pkg:generic/a@2".into())),
        ("component supplier", row(|manifest| manifest.components[0].supplier = "b".into())),
        ("component source", row(|manifest| manifest.components[0].source = Some("b".into()))),
        ("component made from", row(|manifest| manifest.components[0].made_from = PartSource::Checkout)),
        ("root", row(|manifest| manifest.root = tree("b"))),
        ("owners", row(|manifest| manifest.owners = tree("b"))),
        ("root_image", row(|manifest| manifest.root_image = file("b"))),
        ("verity", row(|manifest| manifest.verity = tree("b"))),
        ("esp", row(|manifest| manifest.esp = file("b"))),
        ("zstd", zstd("disk", "a")),
        ("zstd of", zstd("b", "a")),
        ("zstd name", zstd("disk", "b")),
    ]);
}

#[test]
fn facts_are_named_as_people_know_them() {
    let mut run = run();
    run.environment.insert("CC".into(), "gcc\n-std=c99".into());
    let found = Action::Run(run).facts();
    let text = |name: &str| match &found[name] {
        Fact::Text(text) => text.clone(),
        Fact::Tree(digest) => digest.short(),
    };
    for (name, value) in [
        ("action", "run"),
        ("kind version", "2"),
        ("input `tools`", &tree("tools").short()),
        ("command", "/usr/bin/sh\n-c\ntrue"),
        ("variable `CC`", "gcc\n-std=c99"),
        ("output `out`", "out"),
        ("stdin archive", &tree("root").short()),
    ] {
        assert_eq!(text(name), value, "{name}");
    }
    let found = Action::from(Root { layers: vec![layer(), layer()] }).facts();
    for name in ["layer `runc`", "layer `runc` (2)", "layer `runc`, drop", "layer `runc`, replaces"] {
        assert!(found.contains_key(name), "{name} in {found:?}");
    }
    let found = Action::from(manifest()).facts();
    assert_eq!(found["component `a`"], Fact::Text("1".into()));
    assert!(found.contains_key("root image") && found.contains_key("root image, file"), "{found:?}");
}

#[test]
fn keys_stay_what_they_are() {
    // Another key makes every store rebuild everything: raise `FORMAT` and say so in the key changelog
    // (docs/reference/keys.md) when this has to change.
    assert_eq!(of(Action::Run(run())).digest().short(), "5e4dad2e492a");
}
