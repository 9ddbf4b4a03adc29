//! The status of a machine whose files were copied from a real boot, and of machines that differ from it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    reason = "a test may stop at the first thing that is wrong, and its table has as many lines as cases"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use brc_agent::{Status, disk::RootDisk, loader};
use brc_contract::SlotName;
use brc_linux::{
    Files,
    block_device::DeviceNumber,
    device_mapper::{DeviceMapperError, Question},
    mapped_target::{AnswerError, targets},
};
use serde_json::{Value, json};

const BOOT: &str = include_str!("data/quickstart.boot");
const ESP: &str = "efi/EFI/Linux";

/// A machine as it was when its files were copied, to be changed by a test.
struct Machine {
    root: PathBuf,
    /// What device-mapper answers, by question: `table`, `status`; and `short` to a buffer that was too small.
    answers: BTreeMap<String, Vec<u8>>,
}

impl Machine {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("status").join(name);
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
        let mut machine = Machine { root, answers: BTreeMap::new() };
        let (_, items) = BOOT.split_once("\n\n").unwrap();
        let mut lines = items.lines().peekable();
        while let Some(line) = lines.next() {
            let mut words = line.split(' ');
            let (kind, path) = (words.next().unwrap(), words.next().unwrap());
            let mut content = Vec::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
                content.push(&line[1..]);
            }
            match (kind, path.strip_prefix('/')) {
                ("text", Some(path)) => machine.write(path, format!("{}\n", content.join("\n")).as_bytes()),
                ("hex", Some(path)) => machine.write(path, &bytes(&content.concat())),
                ("hex", None) => drop(machine.answers.insert(path.to_owned(), bytes(&content.concat()))),
                ("link", Some(path)) => {
                    fs::create_dir_all(machine.root.join(path).parent().unwrap()).unwrap();
                    symlink(words.next().unwrap(), machine.root.join(path)).unwrap();
                }
                _ => panic!("{line}"),
            }
        }
        machine
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.root.join(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    fn replace(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.root.join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        self.write(path, text.replace(from, to).as_bytes());
    }

    /// Gives the entry another file name.
    fn rename_entry(&self, name: &str) {
        let folder = self.root.join(ESP);
        fs::rename(folder.join("quickstart_0.1.0.efi"), folder.join(name)).unwrap();
    }

    fn status(&self) -> Status {
        let ask = |device: DeviceNumber, question| {
            assert_eq!(device, DeviceNumber { major: 253, minor: 0 });
            let name = if question == Question::Table { "table" } else { "status" };
            let refused = || DeviceMapperError::Refused { device, source: ErrorKind::PermissionDenied.into() };
            self.answers.get(name).cloned().ok_or_else(refused)
        };
        Status::of(&Files::below(&self.root), "x86_64", &ask)
    }

    fn json(&self) -> Value {
        brc_agent::json(&self.status())
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What the status must be of the boot that was copied.
fn expected() -> Value {
    json!({
        "status_version": 1,
        "variant": "quickstart",
        "version": "0.1.0",
        "architecture": "x86_64",
        "kernel": "6.12.117",
        "machine_id": "3b8f842520e04f3b907f1a25a76f98e8",
        "slot": "A",
        "entry": {"name": "quickstart_0.1.0.efi", "state": "good", "tries": null},
        "root": {
            "state": "verified",
            "root_hash": "26d9487ab546dd4c9f4f3cdb9a011e349f4128cf85ebcc380e5c87865705f216",
            "on_corruption": "restart",
        },
        "data": {"mounted": true, "device": "/dev/vda6", "file_system": "ext4"},
        "last_failure": null,
        "missing": [],
    })
}

#[test]
fn the_status_of_a_real_boot_is_told() {
    let machine = Machine::new("real");
    assert_eq!(machine.json(), expected());
    assert_eq!(
        brc_agent::text(&machine.status()),
        "variant       quickstart\n\
         version       0.1.0\n\
         architecture  x86_64\n\
         kernel        6.12.117\n\
         machine id    3b8f842520e04f3b907f1a25a76f98e8\n\
         slot          A\n\
         entry         quickstart_0.1.0.efi, good\n\
         root          verified, root hash 26d9487ab546dd4c9f4f3cdb9a011e349f4128cf85ebcc380e5c87865705f216\n\
         data          /dev/vda6, ext4, on /var\n\
         last failure  none\n"
    );
}

#[test]
fn a_data_partition_of_another_disk_by_the_same_label_changes_nothing() {
    let machine = Machine::new("look-alike");
    let links = machine.root.join("dev/disk/by-partlabel");
    fs::create_dir_all(&links).unwrap();
    symlink("../../vdb2", links.join("brc-data")).unwrap();
    assert_eq!(machine.json(), expected());
}

/// A change of the machine, and the member of the status that alone is different then.
type Case = (&'static str, fn(&mut Machine), &'static str, Value);

#[test]
fn what_differs_from_a_good_boot_is_told_and_nothing_else_changes() {
    let unverified = |reason: &str| json!({"state": "unverified", "reason": reason});
    let cases: [Case; 12] = [
        ("untried", |machine| machine.rename_entry("quickstart_0.1.0+2-1.efi"), "entry", {
            json!({"name": "quickstart_0.1.0.efi", "state": "on-trial", "tries": {"left": 2, "done": 1}})
        }),
        ("bad", |machine| machine.rename_entry("QUICKSTART_0.1.0+0-3.EFI"), "entry", {
            json!({"name": "quickstart_0.1.0.efi", "state": "bad", "tries": null})
        }),
        ("two-files", |machine| machine.write(&format!("{ESP}/quickstart_0.1.0+1-2.efi"), b""), "entry", {
            json!({"name": "quickstart_0.1.0.efi", "state": "good", "tries": null})
        }),
        (
            "slot-b",
            |machine| {
                for (from, to) in [("vda2", "vda4"), ("vda3", "vda5")] {
                    machine.remove(&format!("sys/dev/block/253:0/slaves/{from}"));
                    machine.write(&format!("sys/dev/block/253:0/slaves/{to}"), b"");
                }
            },
            "slot",
            json!("B"),
        ),
        (
            "corrupted",
            |machine| {
                let status = machine.answers.get_mut("status").unwrap();
                let at = status.iter().rposition(|byte| *byte == b'V').unwrap();
                status[at] = b'C';
            },
            "root",
            {
                let mut root = expected()["root"].clone();
                root["state"] = json!("corrupted");
                root
            },
        ),
        ("other-hash", |machine| machine.replace("proc/cmdline", "sha256 26d9", "sha256 26d8"), "root", {
            unverified("its dm-verity table is not the one of the kernel command line")
        }),
        ("no-hash", |machine| machine.replace("proc/cmdline", "dm-mod.create", "dm-mod.destroy"), "root", {
            unverified("the kernel command line names no root hash")
        }),
        (
            "failed-before",
            |machine| machine.write("var/lib/brc/update/last-failure", b"1.2.0: a.service failed\nits last words\n"),
            "last_failure",
            json!("1.2.0: a.service failed"),
        ),
        ("no-data", |machine| machine.replace("proc/self/mountinfo", " /var ", " /mnt "), "data", {
            json!({"mounted": false})
        }),
        ("var-in-memory", |machine| machine.replace("proc/self/mountinfo", "254:6", "0:40"), "data", {
            json!({"mounted": false})
        }),
        ("var-elsewhere", |machine| machine.replace("sys/dev/block/254:6/uevent", "vda6", "vdb1"), "data", {
            json!({"mounted": false})
        }),
        (
            "encrypted",
            |machine| {
                machine.replace("proc/self/mountinfo", "254:6", "253:1");
                machine.write("sys/dev/block/253:1/uevent", b"MAJOR=253\nMINOR=1\nDEVNAME=dm-1\n");
                machine.write("sys/dev/block/253:1/slaves/vda6", b"");
            },
            "data",
            json!({"mounted": true, "device": "/dev/dm-1", "file_system": "ext4"}),
        ),
    ];
    for (name, change, member, value) in cases {
        let mut machine = Machine::new(name);
        change(&mut machine);
        let mut wanted = expected();
        wanted[member] = value;
        assert_eq!(machine.json(), wanted, "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_null_with_its_reason_and_nothing_else_is_missing() {
    const SELECTED: &str = "sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    type Case = (&'static str, fn(&mut Machine), &'static [&'static str], &'static str);
    let cases: [Case; 17] = [
        (
            "not-root",
            |machine| machine.answers.clear(),
            &["root"],
            "device-mapper says nothing about device 253:0: permission denied",
        ),
        (
            "short-answer",
            |machine| {
                let short = machine.answers["short"].clone();
                machine.answers.insert("table".to_owned(), short);
            },
            &["root"],
            "longer than its buffer",
        ),
        ("cut-answer", |machine| machine.answers.get_mut("status").unwrap().truncate(340), &["root"], "ends too early"),
        ("no-cmdline", |machine| machine.remove("proc/cmdline"), &["root"], "`/proc/cmdline` cannot be read"),
        (
            "long-cmdline",
            |machine| machine.write("proc/cmdline", &[b'a'; 70_000]),
            &["root"],
            "`/proc/cmdline` has more than 65536 bytes",
        ),
        (
            "binary-cmdline",
            |machine| machine.write("proc/cmdline", b"ro \xff\xfe"),
            &["root"],
            "`/proc/cmdline` is not UTF-8",
        ),
        (
            "no-os-release",
            |machine| machine.remove("usr/lib/os-release"),
            &["variant", "version"],
            "`usr/lib/os-release` cannot be read",
        ),
        (
            "other-system",
            |machine| machine.write("usr/lib/os-release", b"ID=debian\n"),
            &["variant", "version"],
            "no image of brc",
        ),
        (
            "no-machine-id",
            |machine| machine.write("etc/machine-id", b"\x1b[2Juninitialized\n"),
            &["machine_id"],
            "`\\u{1b}[2Juninitialized`",
        ),
        ("no-efi", |machine| machine.remove("sys/firmware"), &["entry"], "LoaderEntrySelected"),
        ("odd-variable", |machine| machine.write(SELECTED, b"\x06\0\0\0a"), &["entry"], "half a UTF-16 unit"),
        ("long-variable", |machine| machine.write(SELECTED, &[0; 5000]), &["entry"], "more than 4096 bytes"),
        (
            "other-entry",
            |machine| machine.write(SELECTED, b"\x06\0\0\0a\0u\0t\0o\0\0\0"),
            &["entry"],
            "`auto` is not the name of a boot entry",
        ),
        ("no-esp", |machine| machine.remove("efi"), &["entry.state"], "`/efi/EFI/Linux` cannot be read"),
        (
            "no-entry-file",
            |machine| machine.rename_entry("other_0.1.0.efi"),
            &["entry.state"],
            "no file of entry `quickstart_0.1.0.efi`",
        ),
        (
            "two-disks",
            |machine| machine.replace("sys/class/block/vda3/uevent", "DISKSEQ=1", "DISKSEQ=2"),
            &["slot"],
            "on one disk",
        ),
        ("no-label", |machine| machine.remove("dev/brc"), &["data"], "there is no `/dev/brc/data`"),
    ];
    for (name, change, missing, reason) in cases {
        let mut machine = Machine::new(name);
        change(&mut machine);
        let mut found = machine.json();
        let told = found["missing"].as_array().unwrap().clone();
        let names: Vec<&str> = told.iter().map(|missing| missing["what"].as_str().unwrap()).collect();
        assert_eq!(names, missing, "{name}");
        for told in &told {
            assert!(told["reason"].as_str().unwrap().contains(reason), "{name}: {told}");
        }
        let mut wanted = expected();
        for what in missing {
            match what.split_once('.') {
                Some((outer, inner)) => wanted[outer][inner] = Value::Null,
                None => wanted[what] = Value::Null,
            }
        }
        found["missing"] = json!([]);
        assert_eq!(found, wanted, "{name}");
        assert!(!brc_agent::text(&machine.status()).contains('\x1b'), "{name}");
    }
}

#[test]
fn a_machine_that_is_no_image_is_told_as_such() {
    let machine = Machine::new("nothing");
    machine.remove("sys");
    machine.remove("usr");
    machine.write("proc/self/mountinfo", b"1 0 0:45 / / rw - overlay overlay rw\n");
    let status = brc_agent::json(&machine.status());
    assert_eq!(status["root"], json!({"state": "unverified", "reason": "its device 0:45 is not a mapped one"}));
    for member in ["variant", "version", "slot", "entry"] {
        assert_eq!(status[member], Value::Null, "{member}");
    }
}

#[test]
fn an_answer_of_the_kernel_that_is_cut_off_anywhere_is_refused() {
    let machine = Machine::new("cut");
    for name in ["table", "status"] {
        let whole = &machine.answers[name];
        assert_eq!(targets(whole).unwrap().len(), 1);
        for length in 0..whole.len() {
            assert_eq!(targets(&whole[..length]), Err(AnswerError::Truncated), "{name}: {length} bytes");
        }
    }
    assert_eq!(targets(&machine.answers["short"]), Err(AnswerError::Full));
}

#[test]
fn the_loaders_variables_of_a_real_boot_are_read() {
    let files = Files::below(Machine::new("variables").root);
    for (name, expected) in [
        ("LoaderEntrySelected", "quickstart_0.1.0.efi"),
        ("LoaderBootCountPath", "\\EFI\\Linux\\quickstart_0.1.0+2-1.efi"),
    ] {
        let bytes = files.bytes(&loader::variable_path(name), loader::MAX_VARIABLE).unwrap();
        assert_eq!(loader::text(&bytes).as_deref(), Ok(expected));
    }
}

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brc-agent")).args(arguments).output().unwrap()
}

#[test]
fn a_wrong_command_line_is_refused() {
    for (arguments, said) in [
        (&[] as &[&str], "no verb: expected `status`"),
        (&["state"], "`state` is no verb: expected `status`"),
        (&["status", "now"], "now"),
        (&["status", "--yaml"], "--yaml"),
        (&["status", "--json=1"], "--json"),
    ] {
        let output = agent(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(errors.contains(said) && errors.contains("brc-agent --help"), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty());
    }
    for arguments in [["--help"], ["-h"], ["--version"], ["-V"]] {
        assert_eq!(agent(&arguments).status.code(), Some(0), "{arguments:?}");
    }
}

/// Wherever the tests run, the program looks at that machine and lives.
#[test]
fn this_machine_is_looked_at() {
    let output = agent(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = match status["root"]["state"].as_str() {
        Some("verified") => 0,
        Some(_) => 1,
        None => 3,
    };
    assert_eq!(output.status.code(), Some(code), "{status}");
    assert_eq!(status["architecture"], std::env::consts::ARCH);
    let text = agent(&["status"]);
    assert_eq!((text.status.code(), String::from_utf8(text.stdout).unwrap().lines().count()), (Some(code), 10));
}

#[test]
fn the_disk_is_the_one_that_the_kernel_mapped_the_root_from() {
    let machine = Machine::new("disk");
    let disk = |name: &str, sequence: u32, sectors: &str| {
        let folder = format!("sys/class/block/{name}");
        let uevent = format!("MAJOR=254\nMINOR=0\nDEVNAME={name}\nDEVTYPE=disk\nDISKSEQ={sequence}\n");
        machine.write(&format!("{folder}/uevent"), uevent.as_bytes());
        machine.write(&format!("{folder}/size"), sectors.as_bytes());
        machine.write(&format!("{folder}/queue/logical_block_size"), b"4096\n");
    };
    disk("vda", 1, "8388608\n");
    // Another disk with partitions of the same numbers, before it in the list.
    disk("sda", 2, "1024\n");
    let part = b"MAJOR=8\nMINOR=3\nDEVNAME=sda3\nDEVTYPE=partition\nDISKSEQ=2\nPARTN=3\n";
    machine.write("sys/class/block/sda3/uevent", part);
    let found = RootDisk::of(&Files::below(&machine.root)).unwrap();
    assert_eq!((found.name.as_str(), found.running), ("vda", SlotName::A));
    assert_eq!((found.size.sector, found.size.sectors), (4096, 1 << 20));
    let partitions: Vec<(u32, &str)> = found.partitions.iter().map(|(number, name)| (*number, name.as_str())).collect();
    assert_eq!(partitions, [(2, "vda2"), (3, "vda3"), (4, "vda4"), (5, "vda5"), (6, "vda6")]);

    for (file, content, reason) in [
        ("sys/class/block/vda/queue/logical_block_size", "1\n", "is no size of a disk"),
        ("sys/class/block/vda/size", "many\n", "is no size of a disk"),
        ("sys/class/block/vda/uevent", "", "the disk that `vda2` lies on is not among"),
    ] {
        let good = fs::read(machine.root.join(file)).unwrap();
        machine.write(file, content.as_bytes());
        let error = RootDisk::of(&Files::below(&machine.root)).unwrap_err().to_string();
        assert!(error.contains(reason), "{file}: {error}");
        machine.write(file, &good);
    }
}
