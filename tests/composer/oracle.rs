//! Other tools agree with what was composed. They are locked components, run in a sandbox.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{OnceLock, atomic::AtomicBool},
};

use brc::{
    content::{Digest, Entry, RelPath, Tree},
    image::fat::{self, FatFile, Volume},
    plan::{Input, Output, Performer as _, Request, Run},
    sandbox::Sandbox,
    store::Store,
};

use crate::{
    signing,
    support::{
        self,
        project::{Ran, brc, copy_of_quickstart, folder, quickstart, text, user_store},
        run::path,
    },
};

/// The trees of the shared image's steps, by stage, from the store's memo.
fn outcome(store: &Store, ran: &Ran, stage: &str, output: &str) -> Digest {
    let known = ran.of("reused").chain(ran.of("finished"));
    let makers = ["quickstart", "brc/debian-cloud"];
    let keys = known.filter(|event| text(event, "stage") == stage && makers.contains(&text(event, "component")));
    let key = Digest::parse(text(keys.last().expect(stage), "key")).unwrap();
    store.recall(key).unwrap().expect(stage)[output]
}

/// The tree of the tool set with the oracles, built once for all tests.
pub fn oracles(store: &Store) -> Digest {
    static TREE: OnceLock<Digest> = OnceLock::new();
    *TREE.get_or_init(|| {
        quickstart();
        let recipe = copy_of_quickstart(&folder("oracle-project"));
        let ran = Ran::well(brc().arg("build").arg(&recipe).arg("brc/oracles"));
        let known = ran.of("reused").chain(ran.of("finished"));
        let tools: Vec<&str> = known
            .filter(|event| text(event, "component") == "brc/oracles" && text(event, "stage") == "tools")
            .map(|event| text(event, "key"))
            .collect();
        store.recall(Digest::parse(tools[0]).unwrap()).unwrap().unwrap()["root"]
    })
}

pub fn run(store: &Store, tools: Digest, image: Digest, script: &str) -> String {
    let run = Run {
        inputs: vec![
            Input { owner: "oracles".into(), tree: tools, at: RelPath::ROOT },
            Input { owner: "image".into(), tree: image, at: path("image") },
        ],
        environment: BTreeMap::from([("PATH".into(), "/usr/sbin:/usr/bin".into()), ("LC_ALL".into(), "C".into())])
            .into(),
        directory: path("out"),
        outputs: BTreeMap::from([("out".into(), Output::Folder(path("out")))]),
        ..support::run::run(&["/usr/bin/sh", "-euc", script])
    };
    // Tests run beside each other, so each command has its own.
    let log = tempfile::NamedTempFile::new().unwrap();
    let log = log.path();
    let request = Request { log, cancelled: &AtomicBool::new(false), job_server: None, progress: &|_| {} };
    let sandbox = Sandbox::new(store.clone(), PathBuf::from(env!("CARGO_BIN_EXE_brc")));
    let outcome = sandbox.perform(&run, &request);
    let said = fs::read_to_string(log).unwrap_or_default();
    let outcome = outcome.unwrap_or_else(|failure| panic!("{}\n{said}", failure.error));
    let (blob, _) = store.file_in(outcome["out"], &path("said")).unwrap();
    String::from_utf8(store.read(blob).unwrap()).unwrap()
}

#[test]
fn the_oracles_agree_with_every_part_of_the_image() {
    let image = quickstart();
    let store = Store::open(&user_store()).unwrap();
    let part = |stage: &str, output: &str| outcome(&store, &image.ran, stage, output);
    let tools = oracles(&store);
    let parts = [
        part("disk", "disk"),
        part("esp", "esp"),
        part("erofs", "erofs"),
        part("verity", "verity"),
        part("uki", "uki"),
    ];
    let mut tree = Tree::new();
    for digest in parts {
        for (at, entry) in store.tree(digest).unwrap().entries() {
            tree.insert(at.clone(), entry.clone()).unwrap();
        }
    }
    let together = store.put_tree(&tree).unwrap();

    let said = run(&store, tools, together, "sgdisk -v /image/disk.raw >said");
    assert!(said.contains("No problems found"), "{said}");
    fsck_finds_nothing(&store, tools, together);
    // It says nothing when nothing is wrong, and the shell ends at the first command that fails.
    let said = run(&store, tools, together, "fsck.erofs --extract /image/root.erofs >said 2>&1");
    assert!(!said.to_lowercase().contains("err"), "{said}");
    let script = "veritysetup verify /image/root.erofs /image/hash $(cat /image/root-hash) && echo agreed >said";
    assert_eq!(run(&store, tools, together, script), "agreed\n");
    let said = run(&store, tools, together, "ukify --json=short inspect /image/uki.efi >said");
    let sections: serde_json::Value = serde_json::from_str(&said).unwrap();
    let root_hash = text_of(&store, &tree, "root-hash");
    let line = sections[".cmdline"]["text"].as_str().unwrap();
    assert!(line.contains(root_hash.trim()), "{line}");
    assert!(sections[".osrel"]["text"].as_str().unwrap().contains("IMAGE_ID=\"quickstart\""));
    for name in [".linux", ".osrel", ".cmdline", ".initrd", ".uname"] {
        assert!(sections[name].is_object(), "{name}");
    }
}

fn fsck_finds_nothing(store: &Store, tools: Digest, image: Digest) {
    let said = run(store, tools, image, "fsck.fat -n /image/esp.img >said 2>&1");
    assert_eq!(said.lines().count(), 2, "its version and its count, and no word more:\n{said}");
}

#[test]
fn fsck_and_mtools_agree_with_folders_of_every_kind() {
    let store = Store::open(&user_store()).unwrap();
    let tools = oracles(&store);
    let mut names: Vec<String> =
        ["EFI/BOOT/BOOTX64.EFI", "EFI/Linux/x_1.0.0+3-0.efi", "EFI/Linux/x_1.1.0+3-0.efi", "a/b/c/d", "a/b/e f/g.h i"]
            .map(str::to_owned)
            .into();
    // More entries than a cluster has, short names that would be the same, folders in folders.
    names.extend((0..60).map(|number| format!("many/a rather long name, number {number}")));
    names.extend((0..60).map(|number| format!("folders/folder {number}/x")));
    let place = folder("fat");
    let content = |number: usize, name: &str| {
        fs::write(place.join("content"), name.repeat(number * 10)).unwrap();
        let content = fs::File::open(place.join("content")).unwrap();
        fs::remove_file(place.join("content")).unwrap();
        FatFile { path: path(name), size: content.metadata().unwrap().len(), content }
    };
    let files: Vec<FatFile> = names.iter().enumerate().map(|(number, name)| content(number, name)).collect();
    let expected: String = names.iter().enumerate().map(|(number, name)| name.repeat(number * 10)).collect();
    let quoted: String = names.iter().map(|name| format!("'{name}' ")).collect();
    for (size, label) in [(33 << 20, None), (300 << 20, Some(*b"CIDATA     "))] {
        let image = place.join("esp.img");
        let out = fs::File::options().read(true).write(true).create(true).truncate(true).open(&image).unwrap();
        out.set_len(size).unwrap();
        fat::write(&Volume { size, id: 0x1234_5678, label, epoch: 1_700_000_001 }, &files, &out).unwrap();
        let stored = || {
            let (blob, size) = store.put_file(&image).unwrap();
            let mut tree = Tree::new();
            tree.insert(path("esp.img"), Entry::File { blob, size, executable: false }).unwrap();
            store.put_tree(&tree).unwrap()
        };
        let written = stored();
        fsck_finds_nothing(&store, tools, written);
        let script =
            format!("mkdir found && mcopy -s -i /image/esp.img '::*' found && cd found && cat {quoted} >../said");
        assert!(run(&store, tools, written, &script) == expected, "mcopy finds other files");

        // What is written can be changed where it stands.
        let system = fatfs::FileSystem::new(out, fatfs::FsOptions::new()).unwrap();
        let folder = system.root_dir().open_dir("EFI/Linux").unwrap();
        folder.rename("x_1.0.0+3-0.efi", &folder, "x_1.0.0+2-1.efi").unwrap();
        folder.remove("x_1.1.0+3-0.efi").unwrap();
        folder.create_file("another file.efi").unwrap().write_all(&[7; 100_000]).unwrap();
        drop(folder);
        system.unmount().unwrap();
        let changed = stored();
        fsck_finds_nothing(&store, tools, changed);
        let script = "mdir -b -i /image/esp.img ::/EFI/Linux >said";
        let listed = run(&store, tools, changed, script);
        let mut listed: Vec<&str> = listed.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, ["::/EFI/Linux/another file.efi", "::/EFI/Linux/x_1.0.0+2-1.efi"]);
    }
}

#[test]
fn cpio_and_modprobe_agree_with_the_initramfs() {
    let image = quickstart();
    let store = Store::open(&user_store()).unwrap();
    let (initramfs, modules) =
        (outcome(&store, &image.ran, "initramfs", "initramfs"), outcome(&store, &image.ran, "unpack", "modules"));
    let mut tree = store.tree(modules).map(std::sync::Arc::unwrap_or_clone).unwrap();
    for (at, entry) in store.tree(initramfs).unwrap().entries() {
        tree.insert(at.clone(), entry.clone()).unwrap();
    }
    let together = store.put_tree(&tree).unwrap();
    let tools = oracles(&store);
    // Folders before what lies in them, everything root's, of no time.
    let listed = run(&store, tools, together, "cpio -itv --numeric-uid-gid </image/initramfs.cpio >said");
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    for line in &lines {
        assert_eq!(line[2..4], ["0", "0"], "{listed}");
        assert_eq!(line[5..8], ["Jan", "1", "1970"], "{listed}");
    }
    let names: Vec<&str> = lines.iter().filter_map(|line| line.last().copied()).collect();
    assert_eq!(names[..2], ["modules", "init"], "{listed}");
    // In their order, each module is one that modprobe finds for those that the recipe names, and none is missing.
    let order = run(&store, tools, together, "cpio -i --to-stdout modules/order </image/initramfs.cpio >said");
    let script = "cp -r /image/usr . && release=$(ls usr/lib/modules) && depmod -b /out/usr $release && \
                  modprobe -a -S $release -d /out/usr --show-depends sha256-ssse3 dm-verity erofs virtio_blk >said";
    let known = run(&store, tools, together, script);
    let plain = |name: &str| name.trim_end_matches(".xz").replace('-', "_");
    // A faster crc32c, which another module asks for softly by what it does and not by its name: the kernel has one.
    let known: Vec<String> = known
        .lines()
        .filter_map(|line| line.strip_prefix("insmod ")?.trim().rsplit('/').next().map(plain))
        .filter(|name| name != "crc32c_intel.ko")
        .collect();
    let order: Vec<&str> = order.lines().collect();
    let missing: Vec<_> = known.iter().filter(|name| !order.contains(&name.as_str())).collect();
    assert!(missing.is_empty() && known.len() >= 6, "{missing:?} of {known:?} in {order:?}");
    let more: Vec<_> = order.iter().filter(|name| !known.iter().any(|known| known == **name)).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn python_tuf_believes_the_repository_and_fetches_every_target() {
    let store = Store::open(&user_store()).unwrap();
    let image = quickstart().disk.to_str().unwrap().to_owned();
    let folder = folder("oracle-repository");
    let (keys, repository) = (folder.join("keys"), folder.join("repository"));
    Ran::well(brc().args(["keys", "new"]).arg(&keys));
    Ran::well(brc().args(["repo", "init"]).arg(&repository).arg("--keys").arg(&keys));
    Ran::well(brc().args(["repo", "add"]).arg(&repository).arg(&image).arg("--keys").arg(&keys));
    Ran::well(brc().args(["repo", "refresh"]).arg(&repository).arg("--keys").arg(&keys));
    // A machine that has slept: it trusts the first root, and twelve have followed, each with other keys.
    signing::rotated(&repository, &keys, 12);

    let mut tree = Tree::new();
    let mut expected = Vec::new();
    for part in ["metadata", "targets"] {
        for entry in fs::read_dir(repository.join(part)).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let (blob, size) = store.put_file(&file).unwrap();
            tree.insert(path(&format!("{part}/{name}")), Entry::File { blob, size, executable: false }).unwrap();
            if let (true, Some((digest, target))) = (part == "targets", name.split_once('.')) {
                expected.push(format!("{target} {size} {digest}"));
            }
        }
    }
    let repository = store.put_tree(&tree).unwrap();
    let script = format!(
        "cat > /tmp/client.py <<'END'\n{}END\npython3 /tmp/client.py > said",
        include_str!("../support/tuf_client.py")
    );
    let said = run(&store, oracles(&store), repository, &script);
    // What was offered before is still there, and nobody asks for it.
    let fetched: Vec<&str> = said.lines().collect();
    assert!(fetched.iter().all(|line| expected.contains(&(*line).to_owned())), "{fetched:?} {expected:?}");
    assert_eq!(fetched.len(), 4, "root, hash tree, kernel image, and what is offered: {fetched:?}");
}

fn text_of(store: &Store, tree: &Tree, name: &str) -> String {
    let Some(Entry::File { blob, .. }) = tree.entry(&path(name)) else { panic!("{name}") };
    String::from_utf8(store.read(*blob).unwrap()).unwrap()
}

#[test]
fn verify_finds_nothing_in_what_was_composed_and_every_flip_in_it() {
    let image = quickstart();
    let good = Ran::well(brc().arg("verify").arg(&image.disk));
    let report = &good.events[0];
    assert_eq!(report["good"], true);
    assert!(report["verity"]["data_blocks"].as_u64().unwrap() > 10_000);
    assert!(report["root"]["paths"].as_u64().unwrap() > 1_000);

    // As many as the first tier has time for; the others are in `suite-vm`.
    let flips = if cfg!(feature = "suite-vm") { 200 } else { 12 };
    let copy = folder("flips").join("copy.raw");
    fs::copy(&image.disk, &copy).unwrap();
    let regions = regions(&copy);
    let (esp, root) = (partition(&copy, 1), partition(&copy, 3));
    let mut places = Places(0x9e37_79b9_7f4a_7c15);
    for (number, (part, region)) in (0..flips).zip(regions.iter().cycle()) {
        let offset = places.within(region);
        flip(&copy, offset);
        let ran = Ran::new(brc().arg("verify").arg(&copy).arg("--manifest").arg(&image.manifest));
        assert_eq!(ran.output.status.code(), Some(1), "flip {number} at byte {offset}, in the {part}");
        let findings = ran.events[0]["findings"].as_array().unwrap();
        let block = (*part == "root partition").then(|| (offset - root.start) / 4096);
        let named = |finding: &serde_json::Value| {
            finding["part"] == *part && block.is_none_or(|block| finding["block"] == block)
        };
        assert!(findings.iter().any(named), "flip {number} at byte {offset}, in the {part}: {findings:#?}");
        flip(&copy, offset);
    }
    Ran::well(brc().arg("verify").arg(&copy).arg("--manifest").arg(&image.manifest));

    // Boot loader and kernel hang on the root hash alone.
    let root_hash = text(&report["verity"], "root_hash");
    let verify = || brc().arg("verify").arg(&copy).args(["--strict", "--root-hash", root_hash]).output().unwrap();
    assert!(verify().status.success());
    for number in 0..flips {
        let offset = places.within(&esp);
        flip(&copy, offset);
        assert_eq!(verify().status.code(), Some(1), "flip {number} at byte {offset} of the ESP");
        flip(&copy, offset);
    }
    let unknown = Ran::well(brc().arg("verify").arg(&copy));
    assert_eq!(unknown.events[0]["unchecked"], serde_json::json!(["root hash"]));
    assert_eq!(brc().args(["verify", "--strict"]).arg(&copy).output().unwrap().status.code(), Some(1));
}

/// Every region of a disk, by the part that `brc verify` names when a byte of it is another: the root twice, since most
/// bytes are its.
fn regions(image: &Path) -> Vec<(&'static str, std::ops::Range<u64>)> {
    let [esp, hashes, root, other_hashes, other_root] = [1, 2, 3, 4, 5].map(|number| partition(image, number));
    let (end, table) = (fs::metadata(image).unwrap().len(), 34 * 512);
    vec![
        ("root partition", root.clone()),
        ("partition table", 0..table),
        ("EFI system partition", esp.clone()),
        ("hash partition", hashes),
        ("root partition", root),
        ("gap between partitions", table..esp.start),
        ("empty slot", other_hashes),
        ("empty slot", other_root),
        ("partition table", end - 33 * 512..end),
    ]
}

/// Places that look random and are the same in every run (xorshift64).
struct Places(u64);

impl Places {
    fn within(&mut self, region: &std::ops::Range<u64>) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        region.start + self.0 % (region.end - region.start)
    }
}

fn flip(file: &Path, offset: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    byte[0] ^= 1 << (offset % 8);
    file.write_all_at(&byte, offset).unwrap();
}

/// The bytes of the partition with this number: the first is the ESP, the third slot A's root.
fn partition(image: &Path, number: u32) -> std::ops::Range<u64> {
    let mut file = fs::File::open(image).unwrap();
    let gpt = gptman::GPT::read_from(&mut file, 512).unwrap();
    let partition = &gpt[number];
    partition.starting_lba * 512..(partition.ending_lba + 1) * 512
}
