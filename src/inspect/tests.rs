use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use brc_contract::{Architecture, EntryName, ImageName, well_known};

use super::*;
use crate::{
    content::{Digest, Entry, Metadata, RelPath},
    image::{Assembler, pe::tests::small_pe},
    plan::{
        Assemble, BootFile, BootRecord, BoundUki, Disk, Esp, FileOf, Performer, Request, Slot, Uki, Verity, identity,
    },
    store::Store,
};

/// A root made by `mkfs.erofs` 1.8.6 (zstd) of files with owners, modes, a capability and a link, and of what
/// [`Maker::record`] says of the sample's start.
const ROOT: &[u8] = include_bytes!("../../tests/data/root.erofs");
/// The same without what it says of its start, as an older brc made it.
const OLD_ROOT: &[u8] = include_bytes!("../../tests/data/old-root.erofs");
const OS_RELEASE: &str = "ID=brc\nIMAGE_ID=\"quickstart\"\nIMAGE_VERSION=\"0.1.0\"\n";
const ROOT_PARTITION: u64 = 64 << 10;
const HASH_PARTITION: u64 = 16 << 10;
/// The command line of the sample, as its root says it.
const COMMAND_LINE: &str = "root=/dev/dm-0 rootfstype=erofs ro rootwait gpt panic=10 \
    dm-mod.create=\"root,,,ro,0 {sectors} verity 1 {root-partition} {hash-partition} 4096 4096 {blocks} 1 sha256 \
    {root-hash} {salt} 1 restart_on_corruption\" dm-mod.waitfor={root-partition},{hash-partition}";
const ARCHITECTURE: Architecture = Architecture::X86_64;

/// What starts an image.
#[derive(Clone)]
struct Start {
    kernel: Vec<u8>,
    command_line: String,
    loader: Vec<u8>,
    /// Files of the ESP beside the usual ones.
    more: Vec<(&'static str, &'static [u8])>,
}

impl Start {
    fn usual() -> Self {
        let machine = ARCHITECTURE.pe_machine();
        let command_line = COMMAND_LINE.to_owned();
        Start { kernel: small_pe(machine, 0), command_line, loader: small_pe(machine, 1), more: Vec::new() }
    }
}

/// An image in a folder that goes with it.
struct Sample {
    /// What its root says of its start.
    record: Vec<u8>,
    folder: tempfile::TempDir,
    disk: PathBuf,
}

struct Maker {
    store: Store,
}

impl Maker {
    fn file(&self, name: &str, bytes: &[u8]) -> FileOf<Digest> {
        let mut tree = Tree::new();
        let path = RelPath::new(name).unwrap();
        let entry = Entry::File { blob: self.store.put(bytes).unwrap(), size: bytes.len() as u64, executable: false };
        tree.insert(path.clone(), entry).unwrap();
        FileOf { tree: self.store.put_tree(&tree).unwrap(), path }
    }

    fn make(&self, output: &str, assemble: &Assemble<Digest>) -> Digest {
        let request = Request {
            log: Path::new("unused"),
            cancelled: &AtomicBool::new(false),
            job_server: None,
            progress: &|_| {},
        };
        Assembler::new(self.store.clone()).perform(assemble, &request).unwrap()[output]
    }

    /// The kernel image of a sample, not bound to its root, and the other files of its ESP.
    fn start(&self, start: &Start) -> (FileOf<Digest>, Vec<BootFile<Digest>>) {
        let uki = Assemble::Uki(Uki {
            stub: self.file("stub", &small_pe(ARCHITECTURE.pe_machine(), 8)),
            kernel: self.file("kernel", &start.kernel),
            os_release: OS_RELEASE.to_owned(),
            release: self.file("release", b"6.12.1\n"),
            initramfs: None,
            command_line: start.command_line.clone(),
            architecture: ARCHITECTURE,
        });
        let loader = self.file("loader", &start.loader);
        let mut files = vec![
            (well_known::default_loader(ARCHITECTURE), loader.clone()),
            (well_known::installed_loader(ARCHITECTURE), loader),
            (well_known::LOADER_CONF.to_owned(), self.file("conf", b"timeout 0\n")),
        ];
        files.extend(start.more.iter().map(|(path, bytes)| ((*path).to_owned(), self.file("more", bytes))));
        let files = files.into_iter().map(|(to, from)| BootFile { to: RelPath::new(&to).unwrap(), from });
        (FileOf { tree: self.make("uki", &uki), path: RelPath::new("uki.efi").unwrap() }, files.collect())
    }

    /// What the root of a sample says of its start.
    fn record(&self, start: &Start) -> Vec<u8> {
        let (uki, files) = self.start(start);
        let tree = self.make("record", &Assemble::BootRecord(BootRecord { uki, files }));
        let (blob, _) = self.store.file_in(tree, &RelPath::new(well_known::BOOT_RECORD).unwrap()).unwrap();
        self.store.read(blob).unwrap()
    }

    /// The ESP of a sample.
    fn esp(&self, start: &Start, seed: &Seed, verity: Digest) -> FileOf<Digest> {
        let (uki, mut files) = self.start(start);
        let bound = BoundUki { uki: uki.clone(), verity, salt: seed.verity_salt() };
        let bound = self.make("uki", &Assemble::BoundUki(bound));
        let entry = format!("{}/{}", well_known::UKI_FOLDER, EntryName::new(&ImageName::new("quickstart", "0.1.0")));
        files.push(BootFile { to: RelPath::new(&entry).unwrap(), from: FileOf { tree: bound, ..uki } });
        let esp = Assemble::Esp(Esp {
            files,
            size: None,
            volume_id: identity::fat_volume_id(seed.partition(partition::ESP, 0)),
            epoch: 1_763_942_400,
        });
        FileOf { tree: self.make("esp", &esp), path: RelPath::new("esp.img").unwrap() }
    }
}

fn sample() -> Sample {
    sample_of(ROOT, &Start::usual())
}

fn sample_of(root: &[u8], start: &Start) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let maker = Maker { store: Store::open(&folder.path().join("store")).unwrap() };
    let seed = Seed::of("quickstart", ARCHITECTURE);
    let root = maker.file("root.erofs", root);
    let verity = Verity { data: root.clone(), salt: seed.verity_salt(), uuid: seed.verity_uuid() };
    let verity = maker.make("verity", &Assemble::Verity(verity));
    let slot = |number: u64| Slot {
        verity_size: HASH_PARTITION,
        root_size: ROOT_PARTITION,
        empty_guids: [partition::root_verity(ARCHITECTURE), partition::root(ARCHITECTURE)]
            .map(|kind| seed.partition(kind, number).bytes()),
    };
    let disk = Assemble::Disk(Disk {
        guid: seed.disk().bytes(),
        esp: maker.esp(start, &seed, verity),
        esp_guid: seed.partition(partition::ESP, 0).bytes(),
        root,
        verity,
        slots: vec![slot(0), slot(1)],
        label: "quickstart_0.1.0".to_owned(),
        architecture: ARCHITECTURE,
    });
    let (blob, _) = maker.store.file_in(maker.make("disk", &disk), &RelPath::new("disk.raw").unwrap()).unwrap();
    let disk = folder.path().join("disk.raw");
    fs::copy(maker.store.blob_path(blob), &disk).unwrap();
    let mut permissions = fs::metadata(&disk).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    fs::set_permissions(&disk, permissions).unwrap();
    Sample { record: maker.record(&Start::usual()), folder, disk }
}

impl Sample {
    fn table(&self) -> Table {
        let file = File::open(&self.disk).unwrap();
        table::read(&file, file.metadata().unwrap().len(), &mut Findings::default()).unwrap().unwrap()
    }

    /// What is found without knowing anything of the image.
    fn problems(&self) -> Vec<String> {
        self.problems_with(&Expected::default())
    }

    fn problems_with(&self, expected: &Expected) -> Vec<String> {
        verify(&self.disk, expected).unwrap().findings.iter().map(ToString::to_string).collect()
    }

    /// Changes a byte, checks, and puts it back.
    fn flipped(&self, offset: u64, bits: u8) -> Report {
        let file = OpenOptions::new().read(true).write(true).open(&self.disk).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ bits], offset).unwrap();
        let report = verify(&self.disk, &Expected::default()).unwrap();
        file.write_all_at(&byte, offset).unwrap();
        report
    }

    /// What a manifest would say of this image.
    fn expected(&self) -> Expected {
        let report = verify(&self.disk, &Expected::default()).unwrap();
        let esp = &self.table().partitions[0];
        let mut bytes = vec![0; esp.size() as usize];
        File::open(&self.disk).unwrap().read_exact_at(&mut bytes, esp.start).unwrap();
        let mut root = Tree::new();
        let path = |text: &str| RelPath::new(text).unwrap();
        let with = |mode, gid| Metadata { gid, ..Metadata::with_mode(mode) };
        let file =
            |bytes: &[u8], executable| Entry::File { blob: Digest::of(bytes), size: bytes.len() as u64, executable };
        let ping = [&b"\x7fELF"[..], &b"ping ".repeat(3000)].concat();
        let mount: Vec<u8> = (0..30_000_u32).map(|number| ((number * number) >> 3) as u8).collect();
        let mut capable = Metadata::with_mode(0o755);
        let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        capable.xattrs.insert("security.capability".to_owned(), capability);
        root.insert(path("bin"), Entry::Symlink { target: "usr/bin".to_owned() }).unwrap();
        root.insert_with(path("efi"), Entry::Directory, Metadata::with_mode(0o700)).unwrap();
        root.insert(path("var"), Entry::Directory).unwrap();
        root.insert(path("etc/machine-id"), file(b"", false)).unwrap();
        root.insert_with(path("etc/shadow"), file(b"root:!*:20000::::::\n", false), with(0o640, 42)).unwrap();
        root.insert(path("usr/lib/os-release"), file(OS_RELEASE.as_bytes(), false)).unwrap();
        root.insert(path(well_known::BOOT_RECORD), file(&self.record, false)).unwrap();
        root.insert_with(path("usr/bin/mount"), file(&mount, true), Metadata::with_mode(0o4755)).unwrap();
        root.insert_with(path("usr/bin/ping"), file(&ping, true), capable).unwrap();
        let root_hash = report.figures.root_hash.unwrap();
        let (entry, architecture) = ("quickstart_0.1.0".to_owned(), ARCHITECTURE.name().to_owned());
        let manifest = FromManifest { entry, architecture, root_hash, esp_sha256: Sha256::of(&bytes), root };
        Expected { root_hash: Some(root_hash), manifest: Some(manifest) }
    }
}

/// Numbers that look random and are the same in every run (xorshift64).
fn numbers(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

#[test]
fn an_image_as_it_was_written_is_good() {
    let sample = sample();
    let report = verify(&sample.disk, &sample.expected()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.unchecked, []);
    assert!(report.is_good());
    assert_eq!(report.figures.data_blocks, 3);
    assert_eq!(report.figures.hash_blocks, 1);
    assert_eq!(report.figures.entry.as_deref(), Some("quickstart_0.1.0+3-0.efi"));
    assert_eq!(report.figures.paths, 14);
    assert_eq!(report.figures.architecture, Some("x86_64"));
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let (a, b) = (sample(), sample());
    let digest = |sample: &Sample| Digest::of(&fs::read(&sample.disk).unwrap());
    assert_eq!(digest(&a), digest(&b));
}

#[test]
fn two_hundred_of_two_hundred_flips_over_the_root_partition_are_found_in_their_block() {
    let sample = sample();
    let root = sample.table().partitions[2].clone();
    assert_eq!(root.size(), ROOT_PARTITION);
    let mut next = numbers(0x5eed_0001);
    for _ in 0..200 {
        let (at, bits) = (next(root.size()), 1 << next(8));
        let report = sample.flipped(root.start + at, bits);
        let found = report.findings.iter().find(|finding| finding.part == Part::Root).expect("a finding");
        assert_eq!(found.block, Some(at / BLOCK), "{found}");
    }
}

#[test]
fn a_flip_in_the_hash_partition_or_an_empty_slot_is_found() {
    let sample = sample();
    let table = sample.table();
    let mut next = numbers(0x5eed_0002);
    for (index, part) in [(1, Part::HashTree), (3, Part::EmptySlot), (4, Part::EmptySlot)] {
        let partition = &table.partitions[index];
        for _ in 0..40 {
            let report = sample.flipped(partition.start + next(partition.size()), 1 << next(8));
            assert!(report.findings.iter().any(|finding| finding.part == part), "{:?}", report.findings);
        }
    }
}

#[test]
fn a_flip_in_the_tables_or_between_partitions_is_found() {
    let sample = sample();
    let size = fs::metadata(&sample.disk).unwrap().len();
    let table = sample.table();
    let mut next = numbers(0x5eed_0003);
    let mut places: Vec<u64> = (0..60).map(|_| next(34 * SECTOR)).collect();
    places.extend((0..40).map(|_| size - 33 * SECTOR + next(33 * SECTOR)));
    // Behind the ESP there is no gap: it ends at a whole megabyte.
    places.extend(table.partitions.iter().skip(1).map(Partition::end));
    places.extend([512, 1024, 1024 + 4 * 128, size - 512, size - 1, 34 * SECTOR]);
    for at in places {
        let report = sample.flipped(at, 1 << next(8));
        let parts = [Part::Table, Part::Gap];
        assert!(report.findings.iter().any(|finding| parts.contains(&finding.part)), "byte {at}");
    }
}

#[test]
fn a_flip_anywhere_in_the_esp_is_found_without_a_manifest() {
    let sample = sample();
    let esp = sample.table().partitions[0].clone();
    let file = File::open(&sample.disk).unwrap();
    let (_, files) = crate::image::fat::read(&file, esp.start, esp.size()).unwrap();
    let mut next = numbers(0x5eed_0004);
    // Heads, tables and folders lie in the first part; the last place is far behind the files.
    let first: u64 = (files.values().map(|(offset, size)| offset + size).max().unwrap() + 4096).min(esp.size());
    let mut places: Vec<u64> = (0..60).map(|_| next(first)).collect();
    places.extend([0, 67, 512, 512 + 488, 16384, esp.size() - 1]);
    // The files themselves: heads, sections and what stands between them.
    for (offset, size) in files.values() {
        places.extend((0..8).map(|_| offset + next(*size)));
    }
    for at in places {
        let report = sample.flipped(esp.start + at, 1 << next(8));
        assert!(!report.is_good(), "byte {at} of the ESP");
    }
}

#[test]
fn a_kernel_command_line_or_loader_that_the_root_does_not_vouch_for_is_found() {
    let usual = Start::usual();
    let other = small_pe(ARCHITECTURE.pe_machine(), 3);
    let word = format!("{} init=/bin/sh", usual.command_line);
    let words = format!("the root vouches for `{}", &COMMAND_LINE[..40]);
    // Each is an image whose bytes all agree with each other, but for what its root says.
    for (start, problem) in [
        (Start { kernel: other.clone(), ..usual.clone() }, "its section `.linux` is not the one"),
        (Start { command_line: word, ..usual.clone() }, words.as_str()),
        (Start { loader: other, ..usual.clone() }, "`/EFI/BOOT/BOOTX64.EFI` is not what the root vouches for"),
        (
            Start { more: vec![("loader/entries/a.conf", b"efi /a\n")], ..usual.clone() },
            "`/loader/entries/a.conf` is not what the root vouches for",
        ),
        (
            Start { more: vec![("EFI/Linux/quickstart_0.1.0+3-0.efi.extra.d/a.addon.efi", b"a")], ..usual.clone() },
            "a.addon.efi` is not what the root vouches for",
        ),
    ] {
        let problems = sample_of(ROOT, &start).problems();
        assert!(problems.iter().any(|line| line.contains(problem)), "{problem}: {problems:#?}");
    }
    assert_eq!(sample_of(ROOT, &usual).problems(), [""; 0]);
}

#[test]
fn what_was_not_checked_is_told() {
    let sample = sample();
    let unchecked = |sample: &Sample, expected: &Expected| verify(&sample.disk, expected).unwrap().unchecked;
    assert_eq!(unchecked(&sample, &Expected::default()), [Unchecked::RootHash]);
    let manifest = sample.expected().manifest;
    let root_hash = manifest.as_ref().map(|manifest| manifest.root_hash);
    assert_eq!(unchecked(&sample, &Expected { root_hash: None, manifest }), [Unchecked::RootHash]);
    assert_eq!(unchecked(&sample, &Expected { root_hash, manifest: None }), []);
    let another = Expected { root_hash: Some(Sha256::of(b"another")), manifest: None };
    assert!(sample.problems_with(&another)[0].contains("say root hash"), "{:?}", sample.problems_with(&another));
    let old = sample_of(OLD_ROOT, &Start::usual());
    assert_eq!(old.problems(), [""; 0]);
    assert_eq!(unchecked(&old, &Expected::default()), [Unchecked::RootHash, Unchecked::Boot]);
}

#[test]
fn the_command_line_is_read_and_what_is_no_image_has_none() {
    let words = command_line(&sample().disk).unwrap();
    assert!(words.iter().any(|word| word == "ro"), "{words:?}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(command_line(empty.path()).unwrap(), [""; 0]);
}

#[test]
fn an_esp_of_a_terabyte_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.raw");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len((1 << 40) + (8 << 20)).unwrap();
    let mut table = gptman::GPT::new_from(&mut file, SECTOR, [1; 16]).unwrap();
    let kinds = [partition::ESP, partition::root_verity(ARCHITECTURE), partition::root(ARCHITECTURE)];
    let mut next = 2048;
    for (number, (kind, sectors)) in (1..).zip(kinds.into_iter().zip([1 << 31, 2048, 2048])) {
        let (starting_lba, ending_lba) = (next, next + sectors - 1);
        let (kind, guid) = (kind.mixed_endian(), [number as u8; 16]);
        table[number] = gptman::GPTPartitionEntry {
            partition_type_guid: kind,
            unique_partition_guid: guid,
            starting_lba,
            ending_lba,
            attribute_bits: 0,
            partition_name: "x".into(),
        };
        next = ending_lba + 1;
    }
    table.write_into(&mut file).unwrap();
    gptman::GPT::write_protective_mbr_into(&mut file, SECTOR).unwrap();
    let report = verify(&path, &Expected::default()).unwrap();
    let problems: Vec<&str> = report.findings.iter().map(|finding| finding.problem.as_str()).collect();
    assert!(problems.contains(&"it has 1099511627776 bytes, brc makes none of more than 4 GiB"), "{problems:#?}");
}

#[test]
fn what_differs_from_the_manifest_is_told_with_both_values() {
    let sample = sample();
    let mut expected = sample.expected();
    let manifest = expected.manifest.as_mut().unwrap();
    let path = |text: &str| RelPath::new(text).unwrap();
    manifest.root.set_metadata(path("usr/bin/mount"), Metadata::with_mode(0o755));
    manifest.root.set_metadata(path("usr/bin/ping"), Metadata::with_mode(0o755));
    manifest.root.remove(&path("etc/shadow"));
    manifest.root.insert(path("etc/more"), Entry::Directory).unwrap();
    manifest.root_hash = Sha256::of(b"another");
    let problems = sample.problems_with(&expected);
    for (place, problem) in [
        ("partition table", "root hash"),
        ("`/usr/bin/mount`", "has 4755 0:0, the manifest says 0755 0:0"),
        ("`/usr/bin/ping`", "security.capability=0100000200200000"),
        ("`/etc/shadow`", "is not in the manifest"),
        ("`/etc/more`", "is not there"),
    ] {
        assert!(problems.iter().any(|line| line.contains(place) && line.contains(problem)), "{place}: {problems:#?}");
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[test]
fn a_file_that_is_no_image_has_findings_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.raw");
    let mut next = numbers(0x5eed_0005);
    for size in [0, 1, 512, 60_000, 1 << 20] {
        let bytes: Vec<u8> = (0..size).map(|_| next(256) as u8).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        assert!(!verify(&path, &Expected::default()).unwrap().is_good(), "{size} bytes");
    }
    assert!(verify(&folder.path().join("none"), &Expected::default()).is_err());
}

#[test]
fn an_image_that_was_cut_or_grown_has_findings() {
    let sample = sample();
    let size = fs::metadata(&sample.disk).unwrap().len();
    let file = OpenOptions::new().write(true).open(&sample.disk).unwrap();
    for changed in [size - 512, size - (1 << 20), size / 2, size + 512] {
        file.set_len(changed).unwrap();
        assert!(!verify(&sample.disk, &Expected::default()).unwrap().is_good(), "{changed} bytes");
    }
    drop(sample.folder);
}

#[test]
fn what_an_image_has_in_it_is_read_as_it_stands_there() {
    let sample = sample();
    let found = contents(&sample.disk).unwrap().unwrap();
    assert_eq!(found.name, ImageName::new("quickstart", "0.1.0"));
    assert_eq!(found.root_hash, verify(&sample.disk, &Expected::default()).unwrap().figures.root_hash.unwrap());
    assert_eq!(found.kernel_image.release, "6.12.1");
    assert_eq!(found.kernel_image.sections[".cmdline"], found.kernel_image.words.join(" ").len() as u64 + 2);
    let partitions: Vec<(&str, u64)> =
        found.partitions.iter().map(|partition| (partition.what.as_str(), partition.bytes)).collect();
    let esp = partitions[0].1;
    let [hash, root] = [HASH_PARTITION, ROOT_PARTITION];
    assert_eq!(
        partitions,
        [("ESP", esp), ("hash tree A", hash), ("root A", root), ("hash tree B", hash), ("root B", root)]
    );
    let used: Vec<u64> = found.partitions[1..].iter().map(|partition| partition.used).collect();
    assert_eq!(used[1], ROOT.len() as u64);
    assert_eq!(used[2..], [0, 0]);
    assert_eq!(found.boot_record.unwrap().kernel_image.command_line, COMMAND_LINE);
    let taken: u64 = found.stored.values().sum();
    assert!(taken > 0 && taken < ROOT.len() as u64, "{:?}", found.stored);
    let nothing = sample.folder.path().join("nothing");
    fs::write(&nothing, vec![0; 1 << 20]).unwrap();
    assert_eq!(contents(&nothing).unwrap(), None);
}
