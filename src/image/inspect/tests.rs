use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use brc_contract::{Architecture, EntryName, command_line, well_known};

use super::*;
use crate::{
    content::{Digest, Entry, Metadata, RelPath},
    image::{Assembler, pe::tests::small_pe},
    plan::{Action, Assemble, BootFile, FileOf, Performer, Request, Slot, identity},
    store::Store,
};

/// A root made by `mkfs.erofs` 1.8.6 (zstd) of files with owners, modes, a capability and a link.
const ROOT: &[u8] = include_bytes!("../../../tests/data/root.erofs");
const OS_RELEASE: &str = "ID=brc\nIMAGE_ID=\"quickstart\"\nIMAGE_VERSION=\"0.1.0\"\n";
const ROOT_PARTITION: u64 = 64 << 10;
const HASH_PARTITION: u64 = 16 << 10;

/// An image in a folder that goes with it.
struct Sample {
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

    fn make(&self, output: &str, assemble: Assemble<Digest>) -> Digest {
        let request = Request {
            action: &Action::Assemble(assemble),
            log: Path::new("unused"),
            cancelled: &AtomicBool::new(false),
            job_server: None,
            progress: &|_| {},
        };
        Assembler::new(self.store.clone()).perform(&request).unwrap()[output]
    }

    /// The ESP of a sample.
    fn esp(&self, seed: &Seed, verity: Digest) -> FileOf<Digest> {
        let architecture = Architecture::X86_64;
        let machine = architecture.pe_machine();
        let uki = Assemble::Uki {
            stub: self.file("stub", &small_pe(machine, 8)),
            kernel: self.file("kernel", &small_pe(machine, 0)),
            os_release: OS_RELEASE.to_owned(),
            release: self.file("release", b"6.12.1\n"),
            initramfs: None,
            command_line: command_line::VERIFIED_ROOT.to_owned(),
            verity,
            salt: seed.verity_salt(),
            architecture,
        };
        let uki = FileOf { tree: self.make("uki", uki), path: RelPath::new("uki.efi").unwrap() };
        let loader = self.file("loader", &small_pe(machine, 1));
        let entry = EntryName::new("quickstart", "0.1.0");
        let files = [
            (well_known::default_loader(architecture), loader.clone()),
            (well_known::installed_loader(architecture), loader),
            (well_known::LOADER_CONF.to_owned(), self.file("conf", b"timeout 0\n")),
            (format!("{}/{entry}", well_known::UKI_FOLDER), uki),
        ];
        let esp = Assemble::Esp {
            files: files.map(|(to, from)| BootFile { to: RelPath::new(&to).unwrap(), from }).to_vec(),
            size: None,
            volume_id: identity::fat_volume_id(seed.partition(partition::ESP, 0)),
            epoch: 1_763_942_400,
        };
        FileOf { tree: self.make("esp", esp), path: RelPath::new("esp.img").unwrap() }
    }
}

fn sample() -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let maker = Maker { store: Store::open(&folder.path().join("store")).unwrap() };
    let architecture = Architecture::X86_64;
    let seed = Seed::of("quickstart", architecture);
    let root = maker.file("root.erofs", ROOT);
    let verity = Assemble::Verity { data: root.clone(), salt: seed.verity_salt(), uuid: seed.verity_uuid() };
    let verity = maker.make("verity", verity);
    let slot = |number: u64| Slot {
        verity_size: HASH_PARTITION,
        root_size: ROOT_PARTITION,
        empty_guids: [partition::root_verity(architecture), partition::root(architecture)]
            .map(|kind| seed.partition(kind, number).bytes()),
    };
    let disk = Assemble::Disk {
        guid: seed.disk().bytes(),
        esp: maker.esp(&seed, verity),
        esp_guid: seed.partition(partition::ESP, 0).bytes(),
        root,
        verity,
        slots: vec![slot(0), slot(1)],
        label: "quickstart_0.1.0".to_owned(),
        architecture,
    };
    let (blob, _) = maker.store.file_in(maker.make("disk", disk), &RelPath::new("disk.raw").unwrap()).unwrap();
    let disk = folder.path().join("disk.raw");
    fs::copy(maker.store.blob_path(blob), &disk).unwrap();
    let mut permissions = fs::metadata(&disk).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    fs::set_permissions(&disk, permissions).unwrap();
    Sample { folder, disk }
}

impl Sample {
    fn table(&self) -> Table {
        let file = File::open(&self.disk).unwrap();
        table::read(&file, file.metadata().unwrap().len(), &mut Findings::default()).unwrap().unwrap()
    }

    /// Changes a byte, checks, and puts it back.
    fn flipped(&self, offset: u64, bits: u8, expected: Option<&Expected>) -> Report {
        let file = OpenOptions::new().read(true).write(true).open(&self.disk).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ bits], offset).unwrap();
        let report = verify(&self.disk, expected).unwrap();
        file.write_all_at(&byte, offset).unwrap();
        report
    }

    /// What a manifest would say of this image.
    fn expected(&self) -> Expected {
        let report = verify(&self.disk, None).unwrap();
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
        root.insert_with(path("usr/bin/mount"), file(&mount, true), Metadata::with_mode(0o4755)).unwrap();
        root.insert_with(path("usr/bin/ping"), file(&ping, true), capable).unwrap();
        Expected { root_hash: report.figures.root_hash.unwrap(), esp_sha256: Sha256::of(&bytes), root }
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
    let report = verify(&sample.disk, Some(&sample.expected())).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.is_good());
    assert_eq!(report.figures.data_blocks, 3);
    assert_eq!(report.figures.hash_blocks, 1);
    assert_eq!(report.figures.entry.as_deref(), Some("quickstart_0.1.0+3-0.efi"));
    assert_eq!(report.figures.paths, 12);
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
        let report = sample.flipped(root.start + at, bits, None);
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
            let report = sample.flipped(partition.start + next(partition.size()), 1 << next(8), None);
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
        let report = sample.flipped(at, 1 << next(8), None);
        let parts = [Part::Table, Part::Gap];
        assert!(report.findings.iter().any(|finding| parts.contains(&finding.part)), "byte {at}");
    }
}

#[test]
fn a_flip_in_the_esp_is_found_without_a_manifest_but_in_programs_and_with_one_everywhere() {
    let sample = sample();
    let esp = sample.table().partitions[0].clone();
    let file = File::open(&sample.disk).unwrap();
    let (_, files) = crate::image::fat::read(&file, esp.start, esp.size()).unwrap();
    let in_file = |at: u64| files.values().any(|(offset, size)| (*offset..offset + size).contains(&at));
    let mut next = numbers(0x5eed_0004);
    // Heads, tables and folders lie in the first part; the last place is far behind the files.
    let first: u64 = (files.values().map(|(offset, size)| offset + size).max().unwrap() + 4096).min(esp.size());
    let mut places: Vec<u64> = (0..80).map(|_| next(first)).filter(|at| !in_file(*at)).collect();
    places.extend([0, 67, 512, 512 + 488, 16384, esp.size() - 1]);
    for at in places {
        let report = sample.flipped(esp.start + at, 1 << next(8), None);
        assert!(!report.is_good(), "byte {at} of the ESP");
    }
    let expected = sample.expected();
    for (offset, size) in files.values() {
        let report = sample.flipped(esp.start + offset + next(*size), 1 << next(8), Some(&expected));
        assert!(report.findings.iter().any(|finding| finding.part == Part::Esp), "{:?}", report.findings);
    }
}

#[test]
fn what_differs_from_the_manifest_is_told_with_both_values() {
    let sample = sample();
    let mut expected = sample.expected();
    let path = |text: &str| RelPath::new(text).unwrap();
    expected.root.set_metadata(path("usr/bin/mount"), Metadata::with_mode(0o755));
    expected.root.set_metadata(path("usr/bin/ping"), Metadata::with_mode(0o755));
    expected.root.remove(&path("etc/shadow"));
    expected.root.insert(path("etc/more"), Entry::Directory).unwrap();
    expected.root_hash = Sha256::of(b"another");
    let problems: Vec<String> =
        verify(&sample.disk, Some(&expected)).unwrap().findings.iter().map(ToString::to_string).collect();
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
        assert!(!verify(&path, None).unwrap().is_good(), "{size} bytes");
    }
    assert!(verify(&folder.path().join("none"), None).is_err());
}

#[test]
fn an_image_that_was_cut_or_grown_has_findings() {
    let sample = sample();
    let size = fs::metadata(&sample.disk).unwrap().len();
    let file = OpenOptions::new().write(true).open(&sample.disk).unwrap();
    for changed in [size - 512, size - (1 << 20), size / 2, size + 512] {
        file.set_len(changed).unwrap();
        assert!(!verify(&sample.disk, None).unwrap().is_good(), "{changed} bytes");
    }
    drop(sample.folder);
}
