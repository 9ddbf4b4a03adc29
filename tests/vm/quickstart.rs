//! The quickstart boots, twice, from one disk.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use brc::inspect::{Expected, verify};
use gptman::{GPT, GPTPartitionEntry};

use super::{
    bench::{AARCH64, BENCH, Bench, folder, sha256},
    oci,
};

/// The options of `brc boot` that bring `script` into the machine and have it run after everything else.
pub fn probe(folder: &Path, script: &str) -> Vec<String> {
    let credentials = [
        ("systemd.extra-unit.check.service", include_str!("check.service")),
        ("systemd.unit-dropin.multi-user.target~check", "[Unit]\nWants=check.service\n"),
        ("check.sh", script),
    ];
    let mut options = Vec::new();
    for (name, content) in credentials {
        let file = folder.join(name);
        fs::write(&file, content).unwrap();
        options.extend(["--credential".to_owned(), format!("{name}=@{}", file.display())]);
    }
    options
}

/// The answers of the check that are called `name`.
pub fn answers<'a>(serial: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("CHECK {name}:");
    serial.lines().filter_map(|line| line.strip_prefix(&start)).map(str::trim).collect()
}

/// A read-only disk with the tools that the image does not have.
fn tools(bench: &Bench, folder: &Path) -> PathBuf {
    let disk = folder.join("tools.erofs");
    bench.disk_of(bench.trees["probe"], &disk);
    disk
}

#[test]
fn the_published_image_boots_verified_runs_a_container_and_keeps_its_data() {
    let boots = boots_verified_and_runs_a_container(&BENCH, "quickstart", 2);
    let [first, second] = boots.as_slice() else { panic!("it was booted twice") };
    assert_eq!(answers(first, "machine-id"), answers(second, "machine-id"));
    assert_eq!(answers(first, "marker"), [""]);
    assert_eq!(answers(second, "marker"), ["left by an earlier boot"]);
}

#[test]
fn so_does_the_image_for_the_other_architecture() {
    boots_verified_and_runs_a_container(&AARCH64, "quickstart-aarch64", 1);
}

/// Boots the published image some times, with one disk, and looks around each time; what was printed.
pub fn boots_verified_and_runs_a_container(bench: &Bench, name: &str, times: usize) -> Vec<String> {
    let folder = folder(name);
    let published = sha256(&bench.image);
    let report = verify(&bench.image, &Expected::default()).unwrap();
    assert_eq!(report.figures.entry, Some(format!("{}_0.1.0+3-0.efi", bench.variant)));

    let archive = folder.join("oci.tar");
    fs::write(
        &archive,
        oci::archive("localhost/probe:1", bench.architecture.debian(), &bench.file("probe", "usr/bin/busybox")),
    )
    .unwrap();
    let mut options = probe(&folder, include_str!("check.sh"));
    for disk in [archive, tools(bench, &folder)] {
        options.extend(["--disk".to_owned(), disk.display().to_string()]);
    }
    options.extend(["--persist".to_owned(), folder.join("disk.raw").display().to_string()]);

    let boots: Vec<String> = (0..times).map(|_| bench.boot(&bench.image, "CHECK-END", &options)).collect();
    for serial in &boots {
        println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
        let one = |name: &str| -> &str {
            let found = answers(serial, name);
            assert_eq!(found.len(), 1, "{name}: {found:?} in\n{serial}");
            found[0]
        };
        assert_eq!(answers(serial, "mount"), ["/ erofs ro", "/var ext4 rw"]);
        let table = one("table");
        let (root_hash, blocks) = (report.figures.root_hash.unwrap(), report.figures.data_blocks);
        assert!(table.starts_with(&format!("root: 0 {} verity 1 ", blocks * 8)), "{table}");
        assert!(table.contains(&format!(" sha256 {root_hash} ")), "{table}");
        assert!(table.ends_with(" 1 restart_on_corruption"), "{table}");
        assert!(one("status").ends_with(" verity V"), "{}", one("status"));
        let agent: serde_json::Value = serde_json::from_str(one("agent")).unwrap();
        let said = |at: &str| agent.pointer(at).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let facts = ["/variant", "/version", "/architecture", "/slot", "/root/state", "/entry/state"].map(said);
        assert_eq!(facts, [bench.variant, "0.1.0", bench.architecture.name(), "A", "verified", "good"], "{agent}");
        assert_eq!(said("/root/root_hash"), root_hash.to_string());
        assert_eq!(one("runc"), format!("runc version {}", version_of_runc(bench)));
        assert_eq!(one("containerd"), "active");
        assert_eq!(answers(serial, "failed"), [""; 0]);
        settings_are_those_of_the_page(&answers(serial, "setting"));
        // It was counted when published, and proved itself good.
        assert_eq!(one("entries"), format!("{}_0.1.0.efi", bench.variant));
        assert_eq!(one("container"), "hello from process 1 of bin dev proc run sys");
        assert_eq!(one("container status"), "0");
        assert!(!serial.to_lowercase().contains("press any key"), "{serial}");
        let machine_id = one("machine-id");
        assert!(machine_id.len() == 32 && machine_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_eq!(sha256(&bench.image), published, "the image under test was written");
    boots
}

/// The version of upstream that the manifest says: of Debian's package, or of the one that is built here.
fn version_of_runc(bench: &Bench) -> String {
    let manifest = fs::read(bench.image.with_extension("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let components = manifest["components"].as_array().unwrap();
    let runc = components.iter().find(|component| component["name"] == "runc" || component["name"] == "brc/runc");
    let version = runc.unwrap()["version"].as_str().unwrap();
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream).to_owned()
}

/// Every setting of the running kernel that the page says brc sets has that value, for each device that it is of.
fn settings_are_those_of_the_page(found: &[&str]) {
    let page = include_str!("../../docs/reference/sysctl.md");
    let mut told = 0;
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [setting, _, _, ours, reason] = cells[..] else { panic!("{line}") };
        let of_setting = |line: &&&str| line.split(' ').next() == Some(setting);
        let values: Vec<&str> = found.iter().filter(of_setting).map(|line| line[setting.len()..].trim()).collect();
        assert_eq!(values.is_empty(), ours.is_empty(), "{setting}: {found:?}");
        for value in values {
            assert!(value == ours || value.is_empty() && reason.starts_with("not there in"), "{setting}: {value}");
        }
        told += usize::from(!ours.is_empty());
    }
    assert!(told > 20, "{told}");
}

/// A disk with a data partition and an ESP that have the labels, types and identities of those on `disk`. The data
/// partition has the same content, the ESP none.
fn look_alike(disk: &Path, to: &Path) {
    let mut from = fs::File::open(disk).unwrap();
    let table = GPT::find_from(&mut from).unwrap();
    let named = |name: &str| table.iter().find(|(_, entry)| entry.partition_name.as_str() == name).unwrap().1.clone();
    let (esp, data) = (named("esp"), named("brc-data"));
    let length = |entry: &GPTPartitionEntry| entry.size().unwrap() * table.sector_size;
    let mut out = fs::OpenOptions::new().read(true).write(true).create_new(true).open(to).unwrap();
    out.set_len(length(&esp) + length(&data) + (4 << 20)).unwrap();
    let mut copy = GPT::new_from(&mut out, table.sector_size, [7; 16]).unwrap();
    let mut next = (1 << 20) / table.sector_size;
    for (number, entry) in [(1, &esp), (2, &data)] {
        let (starting_lba, ending_lba) = (next, next + entry.size().unwrap() - 1);
        copy[number] = GPTPartitionEntry { starting_lba, ending_lba, ..entry.clone() };
        next = ending_lba + 1;
    }
    let data_at = copy[2].starting_lba * table.sector_size;
    copy.write_into(&mut out).unwrap();
    from.seek(SeekFrom::Start(data.starting_lba * table.sector_size)).unwrap();
    out.seek(SeekFrom::Start(data_at)).unwrap();
    std::io::copy(&mut from.take(length(&data)), &mut out).unwrap();
}

#[test]
fn var_and_the_esp_are_those_of_the_disk_with_the_root_whatever_else_is_attached() {
    let folder = folder("look-alike");
    let script = "ls /efi > /dev/null\n\
                  while read -r device folder kind rest; do\n\
                  case \"$folder $kind\" in '/var ext4' | '/efi vfat') echo \"CHECK mount: $folder $device\" ;; esac\n\
                  done < /proc/mounts\n\
                  echo \"CHECK marker: $(cat /var/marker 2> /dev/null)\"\n\
                  echo 'of another machine' > /var/marker; sync\n\
                  brc-agent status --json | while IFS= read -r line; do echo \"CHECK agent: $line\"; done\n\
                  echo \"CHECK disks: $(echo /sys/block/vd*)\"; echo CHECK-END\n";
    let options = probe(&folder, script);
    let with = |more: [&str; 2]| [&options[..], &more.map(str::to_owned)].concat();
    let (disk, other) = (folder.join("disk.raw"), folder.join("other.raw"));
    let first = BENCH.boot(&BENCH.image, "CHECK-END", &with(["--persist", disk.to_str().unwrap()]));
    assert_eq!(answers(&first, "disks"), ["/sys/block/vda"]);
    look_alike(&disk, &other);
    // A fresh machine: the other disk's partition is there before its own is made.
    let second = BENCH.boot(&BENCH.image, "CHECK-END", &with(["--disk", other.to_str().unwrap()]));
    assert_eq!(answers(&second, "disks"), ["/sys/block/vda /sys/block/vdb"]);
    for serial in [&first, &second] {
        let mut mounts = answers(serial, "mount");
        mounts.sort_unstable();
        assert_eq!(mounts, ["/efi /dev/vda1", "/var /dev/vda6"]);
        assert_eq!(answers(serial, "marker"), [""]);
        let agent: serde_json::Value = serde_json::from_str(answers(serial, "agent")[0]).unwrap();
        let data = serde_json::json!({"mounted": true, "device": "/dev/vda6", "file_system": "ext4"});
        assert_eq!(agent["data"], data, "{agent}");
    }
    // What boots it is kept for its project, so that garbage collection leaves it.
    assert!(!BENCH.store.projects("quickstart machine").unwrap().is_empty());
}
