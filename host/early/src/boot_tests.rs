//! The steps of a boot on a machine that is made of values.

use std::{collections::BTreeMap, io::ErrorKind, time::Duration};

use brc_contract::{Guid, error_chain, gpt};

use super::*;
use crate::command_line::tests::{DATA, HASH, line};

/// A machine that is made of values, where every call can fail.
struct Fake {
    files: BTreeMap<String, String>,
    /// The sectors of the disks, by path and first byte.
    sectors: BTreeMap<(String, u64), Vec<u8>>,
    /// What has been done, in order.
    calls: Vec<String>,
    /// Which call fails, and how.
    fails: Option<(String, ErrorKind)>,
    /// What device-mapper says of the root once a block of it was read.
    status: &'static str,
    /// When `/sys` shows the disk.
    appears: Duration,
    clock: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
/// The last sector of the disk.
const LAST: u64 = 2047;

impl Fake {
    fn new() -> Self {
        let mut fake = Fake {
            files: BTreeMap::new(),
            sectors: BTreeMap::new(),
            calls: Vec::new(),
            fails: None,
            status: "V",
            appears: Duration::ZERO,
            clock: Duration::ZERO,
        };
        fake.file("/proc/cmdline", &line());
        fake.file("/modules/order", "dm-mod.ko\nvirtio_blk.ko\n");
        fake.file("/sys/class/block/loop0/uevent", "MAJOR=7\nMINOR=0\nDEVNAME=loop0\nDEVTYPE=disk\nDISKSEQ=1\n");
        fake.disk("vda", 2, [(HASH, 2), (DATA, 3)]);
        fake
    }

    fn file(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
    }

    /// A disk with these partitions, in both of its tables.
    fn disk(&mut self, name: &str, sequence: u32, partitions: [(&str, u32); 2]) {
        let folder = format!("/sys/class/block/{name}");
        let common = format!("MAJOR=254\nDISKSEQ={sequence}\n");
        self.file(&format!("{folder}/uevent"), &format!("{common}MINOR=0\nDEVNAME={name}\nDEVTYPE=disk\n"));
        self.file(&format!("{folder}/size"), &format!("{}\n", LAST + 1));
        self.file(&format!("{folder}/queue/logical_block_size"), "512\n");
        for (_, number) in partitions {
            let text = format!("{common}MINOR={number}\nDEVNAME={name}{number}\nDEVTYPE=partition\nPARTN={number}\n");
            self.file(&format!("/sys/class/block/{name}{number}/uevent"), &text);
        }
        let partitions = partitions.map(|(identity, number)| gpt::Partition {
            number,
            kind: Guid::from_number(1),
            identity: Guid::parse(identity).unwrap(),
            first: 40 * u64::from(number),
            last: 40 * u64::from(number) + 9,
            attributes: 0,
            label: gpt::Label::new("x").unwrap(),
        });
        let size = gpt::DiskSize { sector: 512, sectors: LAST + 1 };
        for step in gpt::Table::create(size, Guid::from_number(9), &partitions) {
            if let gpt::Step::Write { sector, bytes } = step {
                self.sectors.insert((format!("/dev/{name}"), sector * 512), bytes);
            }
        }
    }

    fn remove(&mut self, path: &str) {
        self.files.retain(|file, _| !file.starts_with(path));
    }

    fn call(&mut self, call: String) -> io::Result<()> {
        let fails = self.fails.as_ref().filter(|(fails, _)| *fails == call).map(|(_, kind)| *kind);
        self.calls.push(call);
        fails.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn boot(&mut self) -> String {
        let Failed { error, command_line } = boot(self, &["single".into(), "é".into()]);
        assert!(command_line.is_empty() || Some(&command_line) == self.files.get(COMMAND_LINE));
        error_chain(&error)
    }
}

impl Machine for Fake {
    fn text(&mut self, path: &str) -> Result<String, FileError> {
        let failed = |source| FileError::Read { path: path.to_owned(), source };
        if !path.starts_with("/sys/") {
            self.call(format!("read {path}")).map_err(failed)?;
        }
        self.files.get(path).cloned().ok_or_else(|| failed(ErrorKind::NotFound.into()))
    }

    fn names(&mut self, folder: &str) -> Result<Vec<String>, FileError> {
        let fails = self.fails.as_ref().filter(|(fails, _)| fails == "names");
        if let Some((_, kind)) = fails {
            return Err(FileError::Read { path: folder.to_owned(), source: (*kind).into() });
        }
        let names = self.files.keys().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')?.split_once('/'));
        let mut names: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
        names.dedup();
        names.retain(|name| name.starts_with("loop") || self.clock >= self.appears);
        Ok(names)
    }

    fn bytes_at(&mut self, path: &str, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.call(format!("read {path} {at}"))?;
        if path == "/dev/dm-0" && self.status == "V" {
            return Ok(vec![0; length]);
        }
        let sectors = (at..at + length as u64).step_by(512).map(|at| self.sectors.get(&(path.to_owned(), at)).cloned());
        let bytes: Option<Vec<Vec<u8>>> = sectors.collect();
        bytes.map(|bytes| bytes.concat()).ok_or_else(|| io::Error::other("nothing can be read there"))
    }

    fn elapsed(&mut self) -> Duration {
        self.clock
    }

    fn pause(&mut self, time: Duration) {
        self.clock += time;
    }

    fn note(&mut self, line: &str) {
        self.calls.push(format!("note {line}"));
    }

    fn mount(&mut self, file_system: KernelFileSystem) -> io::Result<()> {
        self.call(format!("mount {}", file_system.name()))
    }

    fn load_module(&mut self, path: &str) -> Result<(), ModuleError> {
        self.call(format!("open {path}")).map_err(ModuleError::Open)?;
        self.call(format!("load {path}")).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => ModuleError::NoDevice,
            _ => ModuleError::Refused(error),
        })
    }

    fn create_device(&mut self, name: &str) -> Result<DeviceNumber, DeviceMapperError> {
        let done = self.call(format!("create {name}"));
        done.map_err(|source| DeviceMapperError::Create { name: name.to_owned(), source })?;
        Ok(DeviceNumber { major: 253, minor: 0 })
    }

    fn set_table(&mut self, device: DeviceNumber, target: &MappedTarget) -> Result<(), DeviceMapperError> {
        let MappedTarget { start, sectors, kind, parameters } = target;
        let done = self.call(format!("set {start} {sectors} {kind} {parameters}"));
        done.map_err(|source| DeviceMapperError::Load { device, parameters: parameters.clone(), source })
    }

    fn status(&mut self, device: DeviceNumber) -> Result<Vec<MappedTarget>, StatusError> {
        let done = self.call("ask".to_owned());
        done.map_err(|source| DeviceMapperError::Refused { device, source })?;
        let (kind, parameters) = ("verity".to_owned(), self.status.to_owned());
        Ok(vec![MappedTarget { start: 0, sectors: 80, kind, parameters }])
    }

    fn mount_root(&mut self, device: &str, file_system: &str, options: &str) -> io::Result<()> {
        self.call(format!("mount {device} {file_system} {options:?}"))
    }

    fn find_program(&mut self, path: &str) -> io::Result<()> {
        self.call(format!("find {path}"))
    }

    fn hand_over(&mut self, file_system: KernelFileSystem) -> io::Result<()> {
        self.call(format!("move {}", file_system.folder()))
    }

    fn free_initramfs(&mut self) -> io::Result<()> {
        self.call("free".to_owned())
    }

    fn enter_root(&mut self) -> io::Result<()> {
        self.call("enter".to_owned())
    }

    fn execute(&mut self, path: &str, arguments: &[OsString]) -> io::Error {
        // That it returns at all is the failure.
        let kind = self.call(format!("execute {path} {arguments:?}")).err().map_or(ErrorKind::Other, |e| e.kind());
        kind.into()
    }
}

/// The steps of a boot; what is read to find the partitions left out.
const STEPS: [&str; 22] = [
    "mount devtmpfs",
    "mount proc",
    "mount sysfs",
    "read /proc/cmdline",
    "read /modules/order",
    "open /modules/dm-mod.ko",
    "load /modules/dm-mod.ko",
    "open /modules/virtio_blk.ko",
    "load /modules/virtio_blk.ko",
    "create root",
    "set 0 80 verity 1 254:3 254:2 4096 4096 10 1 sha256 ff 00 0",
    "read /dev/dm-0 0",
    "set 0 80 verity 1 254:3 254:2 4096 4096 10 1 sha256 ff 00 1 restart_on_corruption",
    "mount /dev/dm-0 erofs \"\"",
    "find /sbin/init",
    "note 2 modules, root on `vda3`, verified by `vda2`, after 0 ms",
    "move /dev",
    "move /proc",
    "move /sys",
    "free",
    "enter",
    "execute /sbin/init [\"single\", \"é\"]",
];

fn steps(fake: &Fake) -> Vec<&str> {
    let calls = fake.calls.iter().map(String::as_str);
    calls.filter(|call| !call.starts_with("read /dev/v")).collect()
}

#[test]
fn a_boot_goes_these_steps_in_this_order() {
    let mut fake = Fake::new();
    fake.boot();
    assert_eq!(steps(&fake), STEPS);
}

#[test]
fn whatever_fails_is_named_with_its_reason_and_is_the_last_step() {
    let reason = ErrorKind::TimedOut.to_string();
    for (step, expected) in [
        ("mount devtmpfs", "`devtmpfs` cannot be mounted on `/dev`"),
        ("mount proc", "`proc` cannot be mounted on `/proc`"),
        ("mount sysfs", "`sysfs` cannot be mounted on `/sys`"),
        ("read /proc/cmdline", "`/proc/cmdline` cannot be read"),
        ("read /modules/order", "`/modules/order` cannot be read"),
        ("open /modules/dm-mod.ko", "module `dm-mod.ko`, which `/modules/order`"),
        ("load /modules/virtio_blk.ko", "module `virtio_blk.ko`, which `/modules/order`"),
        ("create root", "does not make a device `root`"),
        (STEPS[10], "does not take the table `1 254:3 254:2 "),
        (STEPS[11], "the first block of the root cannot be read from `/dev/dm-0`"),
        (STEPS[12], "does not take the table `1 254:3 254:2 "),
        (STEPS[13], "the root on `/dev/dm-0` cannot be mounted as `erofs`"),
        ("find /sbin/init", "the root has no program `/sbin/init`"),
        ("move /dev", "`devtmpfs` cannot be moved into the root"),
        ("move /proc", "`proc` cannot be moved into the root"),
        ("move /sys", "`sysfs` cannot be moved into the root"),
        ("free", "the files of the initramfs cannot be deleted"),
        ("enter", "the root cannot take the place of the initramfs"),
        (STEPS[21], "`/sbin/init` of the root cannot be executed"),
    ] {
        let mut fake = Fake::new();
        fake.fails = Some((step.to_owned(), ErrorKind::TimedOut));
        let error = fake.boot();
        assert!(error.contains(expected) && error.ends_with(&reason), "{step}: {error}");
        let last = steps(&fake).into_iter().rfind(|call| *call != "ask");
        assert_eq!(last, Some(step));
    }
    let mut fake = Fake::new();
    fake.fails = Some(("names".to_owned(), ErrorKind::TimedOut));
    assert!(fake.boot().contains("the block devices are not known: `/sys/class/block`"));
}

#[test]
fn a_module_that_is_loaded_already_is_no_failure() {
    let mut fake = Fake::new();
    fake.fails = Some(("load /modules/dm-mod.ko".to_owned(), ErrorKind::AlreadyExists));
    fake.boot();
    assert_eq!(steps(&fake), STEPS);
}

#[test]
fn a_module_that_finds_nothing_here_that_it_is_for_is_passed_over() {
    let mut fake = Fake::new();
    // Stands for ENODEV, which has no kind.
    fake.fails = Some(("load /modules/virtio_blk.ko".to_owned(), ErrorKind::Unsupported));
    fake.boot();
    let mut expected = STEPS.to_vec();
    expected.insert(9, "note module `virtio_blk.ko` finds nothing here that it is for");
    assert_eq!(steps(&fake), expected);
}

#[test]
fn a_kernel_that_needs_no_module_boots_as_well() {
    let mut fake = Fake::new();
    fake.file("/modules/order", "");
    fake.boot();
    assert_eq!(steps(&fake)[5], "create root");
}

#[test]
fn a_list_that_brc_did_not_write_is_refused() {
    let mut fake = Fake::new();
    fake.file("/modules/order", "../init\n");
    let error = fake.boot();
    assert!(error.contains("`/modules/order`") && error.contains("\"../init\" is no file of a module"), "{error}");
}

#[test]
fn a_root_hash_that_does_not_fit_is_said_before_the_kernel_restarts() {
    let mut fake = Fake::new();
    fake.status = "C";
    let error = fake.boot();
    let expected = "the root on `vda3` is not the one of the kernel command line: with the hash tree on `vda2` its \
                    first block does not come to the root hash `ff`";
    assert!(error.starts_with(expected), "{error}");
    assert!(!fake.calls.iter().any(|call| call.contains("restart_on_corruption")), "{:?}", fake.calls);
    let mut fake = Fake::new();
    (fake.status, fake.fails) = ("C", Some(("ask".to_owned(), ErrorKind::TimedOut)));
    assert!(fake.boot().contains("device-mapper says nothing about device 253:0"));
}

#[test]
fn another_root_than_the_verified_one_is_refused() {
    let mut fake = Fake::new();
    fake.file("/proc/cmdline", &line().replace("root=/dev/dm-0", "root=/dev/vda9"));
    let error = fake.boot();
    assert!(error.contains("`root=/dev/vda9`: expected `/dev/dm-0`"), "{error}");
    assert!(!fake.calls.iter().any(|call| call.starts_with("set")), "{:?}", fake.calls);
}

#[test]
fn a_disk_that_comes_late_is_waited_for_and_one_that_comes_too_late_is_not() {
    for (appears, expected) in [(SECOND / 2, 500), (SECOND * 59, 59_000)] {
        let mut fake = Fake::new();
        fake.appears = appears;
        fake.boot();
        let milliseconds = fake.clock.as_millis();
        assert!((expected..expected + 100).contains(&milliseconds), "{milliseconds} ms");
        assert!(fake.calls.iter().any(|call| call.starts_with("execute")), "{:?}", fake.calls);
    }
    let mut fake = Fake::new();
    fake.appears = SECOND * 61;
    let error = fake.boot();
    assert!(error.contains(&format!("`PARTUUID={HASH}`, is not there after 60 s: no disk has partitions")), "{error}");
}

#[test]
fn a_missing_partition_is_named_with_what_is_there() {
    type Change = fn(&mut Fake);
    let cases: [(Change, &str, &str, &str); 7] = [
        (|fake| fake.disk("vda", 2, [(HASH, 2), (OTHER, 3)]), "the root", DATA, "disk `vda` has only the hash tree"),
        (
            |fake| fake.disk("vda", 2, [(OTHER, 2), (DATA, 3)]),
            "the hash tree of the root",
            HASH,
            "disk `vda` has only the data",
        ),
        (
            |fake| fake.disk("vda", 2, [(OTHER, 2), (OTHER, 3)]),
            "the hash tree of the root",
            HASH,
            "disk `vda` has no partition of this root",
        ),
        (|fake| fake.remove("/sys/class/block/vda3"), "the root", DATA, "disk `vda` has only the hash tree"),
        (
            |fake| {
                fake.disk("vda", 2, [(OTHER, 2), (DATA, 3)]);
                fake.disk("vdb", 3, [(HASH, 2), (OTHER, 3)]);
            },
            "the hash tree of the root",
            HASH,
            "disk `vda` has only the data, disk `vdb` has only the hash tree",
        ),
        (
            |fake| fake.sectors.retain(|(path, _), _| path != "/dev/vda"),
            "the hash tree of the root",
            HASH,
            "disk `vda`: its partition table cannot be read: nothing can be read there",
        ),
        (
            |fake| fake.sectors.values_mut().for_each(|bytes| bytes[60] ^= 1),
            "the hash tree of the root",
            HASH,
            "disk `vda`: the GUID partition table is damaged",
        ),
    ];
    for (change, what, identity, there) in cases {
        let mut fake = Fake::new();
        change(&mut fake);
        let error = fake.boot();
        let expected = format!("the partition with {what}, `PARTUUID={identity}`, is not there after 60 s: {there}");
        assert_eq!(error, expected);
    }
}

const OTHER: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn the_backup_table_counts_when_the_first_one_is_damaged_and_both_partitions_are_of_one_disk() {
    let mut fake = Fake::new();
    for (at, bytes) in &mut fake.sectors {
        bytes[60] ^= u8::from(at.1 == 512);
    }
    fake.boot();
    assert_eq!(steps(&fake), STEPS);
    // A disk that has one of them comes first.
    fake.disk("vaa", 3, [(HASH, 2), (OTHER, 3)]);
    fake.calls.clear();
    fake.boot();
    assert_eq!(steps(&fake), STEPS);
}
