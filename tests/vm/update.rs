//! A machine that takes updates from a signed repository, and comes back from one that does not work.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use brc_contract::gpt::{Copies, DiskSize, Which};
use serde_json::Value;

use super::{
    bench::{self, BENCH, folder, must},
    project,
    quickstart::{answers, probe},
};

/// A variant whose machines are updated.
const RECIPES: &str = r#"
variant "fleet" {
    version "1.9.0"
    extends "brc/base"
    arch "x86_64" "aarch64"
    include "our-updates" "brc/network"
}
component "our-updates" {
    needs "brc/updates"
    file "/usr/lib/brc/update/url" text="http://10.0.2.100/"
    file "/usr/lib/brc/update/root.json" from="root.json"
}
"#;

/// What the machine does at each start: it says what runs, and takes what is newer. `CHECK-END` comes when nothing is.
const SCRIPT: &str = r#"
for second in {1..240}; do
    case $(brc-agent status --json) in *'"state":"good"'*) break ;; esac
    sleep 1
done
for second in {1..240}; do
    [ -z "$(ls /run/systemd/netif/leases)" ] || break
    sleep 1
done
systemctl start --wait brc-update-reason
brc-agent status --json | while IFS= read -r line; do echo "CHECK agent: $line"; done
echo "CHECK machine-id: $(systemd-id128 machine-id)"
while IFS='=' read -r key value; do case $key in CLIENTID) echo "CHECK client-id: $value" ;; esac; done < /run/systemd/netif/leases/*
echo "CHECK owners: "$(stat -c %u:%g /var/log/journal /var/lib/systemd/timesync)
echo "CHECK journals: $(ls /var/log/journal)"
echo "CHECK boots: $(journalctl --list-boots --no-pager --quiet | wc -l)"
echo "CHECK motd: $(cat /etc/motd 2> /dev/null)"
echo "CHECK marker: $(cat /var/marker 2> /dev/null)"
. /usr/lib/os-release
echo "left by $IMAGE_VERSION" >> /var/marker
brc-agent settings set motd=kept
brc-update check --json 2>&1 | while IFS= read -r line; do echo "CHECK update: $line"; done
said=$(brc-update apply 2>&1)
echo "CHECK apply: $? ${said##*$'\n'}"
echo "CHECK entries: $(echo $(ls /efi/EFI/Linux))"
case $said in
    *'is started by the next reboot') BREAK; sync; systemctl reboot ;;
    *) sync; echo CHECK-END ;;
esac
"#;

/// Serves a repository until the process is killed; the port of the loopback where it does.
pub fn serve(repository: &str) -> (Child, String) {
    let mut serve = project::brc();
    serve.args(["repo", "serve", "--listen", "127.0.0.1:0", repository]).stderr(Stdio::piped());
    let mut server = serve.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
    (server, port)
}

/// A machine that takes updates, and where from.
pub struct Fleet {
    folder: PathBuf,
    architecture: &'static str,
    /// What serves the repository, and the port of the loopback where it does.
    server: Child,
    port: String,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Fleet {
    /// A project with a repository that offers nothing yet.
    pub fn new(name: &str, architecture: &'static str) -> Fleet {
        let folder = folder(name);
        let [keys, repository] = ["keys", "repository"].map(|name| folder.join(name).to_str().unwrap().to_owned());
        must(&["keys", "new", &keys]);
        must(&["repo", "init", &repository, "--keys", &keys]);
        let (server, port) = serve(&repository);
        let fleet = Fleet { folder, architecture, server, port };
        fs::copy(fleet.path("repository/metadata/1.root.json"), fleet.path("root.json")).unwrap();
        bench::project(&fleet.folder, "fleet", RECIPES);
        fleet
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    fn text(&self, below: &str) -> String {
        self.path(below).to_str().unwrap().to_owned()
    }

    /// Composes a version.
    pub fn compose(&self, version: &str) -> PathBuf {
        let (recipe, out) = (self.text("fleet.kdl"), self.text("out"));
        must(&["compose", &recipe, "--image-version", version, "--arch", self.architecture, "--out", &out]);
        self.path(&format!("out/fleet_{version}_{}.raw", self.architecture))
    }

    /// Has the repository offer an image.
    pub fn offer(&self, image: &Path) {
        must(&["repo", "add", &self.text("repository"), image.to_str().unwrap(), "--keys", &self.text("keys")]);
    }

    /// The copy of the partition table on the machine's disk that is bad.
    fn bad_copy(&self) -> Option<Which> {
        let disk = fs::File::open(self.path("machine.raw")).unwrap();
        let size = DiskSize { sector: 512, sectors: disk.metadata().unwrap().len() / 512 };
        let read = |sector: u64, length: usize| {
            let mut bytes = vec![0; length];
            disk.read_exact_at(&mut bytes, sector * 512).map(|()| bytes)
        };
        Copies::read(size, read).unwrap().bad()
    }

    /// Boots the fleet's machine until nothing is newer; `damage` is done before each reboot into an update.
    fn boot(&self, image: &Path, damage: &str) -> String {
        self.boot_with(image, &SCRIPT.replace("BREAK", damage))
    }

    pub fn boot_with(&self, image: &Path, script: &str) -> String {
        let mut options = probe(&self.folder, script);
        // Not after ten minutes, as on a machine: what works does after half a minute.
        let soon = "systemd.unit-dropin.brc-update-judge.timer~soon=[Timer]\nOnBootSec=\nOnBootSec=100s\n";
        options.extend(["--credential".to_owned(), soon.to_owned()]);
        options.extend(["--reach".to_owned(), format!("{}:80", self.port)]);
        options.extend(["--persist".to_owned(), self.text("machine.raw")]);
        BENCH.boot(image, "CHECK-END", &options)
    }
}

/// What the agent told of the last version that did not work, at each start.
fn last_failures(serial: &str) -> Vec<String> {
    let told = answers(serial, "agent").into_iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    told.map(|agent| agent["last_failure"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The version, slot and entry's state that the agent told at each start.
fn starts(serial: &str) -> Vec<(String, String, String)> {
    let told = answers(serial, "agent").into_iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let said = |agent: &Value, at: &str| agent.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    told.map(|agent| {
        assert_eq!(said(&agent, "/root/state"), "verified");
        (said(&agent, "/version"), said(&agent, "/slot"), said(&agent, "/entry/state"))
    })
    .collect()
}

/// A machine of 1.9.0 takes 1.10.0 and is the same one afterwards: its identities, its settings, and what it has written.
fn takes_an_update(fleet: &Fleet) -> PathBuf {
    let first = fleet.compose("1.9.0");
    fleet.offer(&fleet.compose("1.10.0"));
    let serial = fleet.boot(&first, ":");
    println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
    let start = |version: &str, slot: &str| (version.to_owned(), slot.to_owned(), "good".to_owned());
    assert_eq!(starts(&serial), [start("1.9.0", "A"), start("1.10.0", "B")]);
    assert_eq!(answers(&serial, "apply"), ["0 1.10.0 is started by the next reboot", "0 there is nothing to take now"]);
    assert_eq!(
        answers(&serial, "entries"),
        ["fleet_1.10.0+3-0.efi fleet_1.9.0.efi", "fleet_1.10.0.efi fleet_1.9.0.efi"]
    );
    for name in ["machine-id", "client-id", "owners", "journals"] {
        let found = answers(&serial, name);
        assert!(found.len() == 2 && !found[0].is_empty() && found[0] == found[1], "{name}: {found:?}");
    }
    assert_eq!(answers(&serial, "boots"), ["1", "2"]);
    assert_eq!(answers(&serial, "motd"), ["", "kept"]);
    assert_eq!(answers(&serial, "marker"), ["", "left by 1.9.0"]);
    first
}

#[test]
fn a_machine_of_the_other_architecture_takes_an_update_too() {
    takes_an_update(&Fleet::new("update-aarch64", "aarch64"));
}

#[test]
fn an_update_is_given_up_before_it_is_started_and_another_is_taken_without_being_asked() {
    let fleet = Fleet::new("update-by-itself", "x86_64");
    let first = fleet.compose("1.9.0");
    fleet.offer(&fleet.compose("1.10.0"));
    // Whoever goes back after an update was written, and before the reboot, stays where they are.
    let back = "case $said in *'is started by the next reboot')\n\
        brc-update rollback 2>&1 | while IFS= read -r line; do echo \"CHECK rollback: $line\"; done\n\
        echo \"CHECK required: $(ls /run/reboot-required 2> /dev/null)\" ;; esac\ncase $said";
    let serial = fleet.boot_with(&first, &SCRIPT.replace("BREAK", ":").replacen("case $said", back, 1));
    let start = |version: &str, slot: &str| (version.to_owned(), slot.to_owned(), "good".to_owned());
    assert_eq!(starts(&serial), [start("1.9.0", "A"), start("1.9.0", "A")]);
    assert_eq!(answers(&serial, "rollback"), ["1.9.0 is started by the next reboot"]);
    assert_eq!(answers(&serial, "required"), [""]);
    let applied = ["0 1.10.0 is started by the next reboot", "1 error: version `1.10.0` was started here and given up"];
    assert_eq!(answers(&serial, "apply"), applied);
    assert_eq!(last_failures(&serial), ["", "1.10.0: given up by hand"]);

    fleet.offer(&fleet.compose("1.11.0"));
    let itself = "brc-agent settings set updates.by-itself=started\nsystemctl start brc-update-by-itself\nsaid=$(";
    let serial = fleet.boot_with(&first, &SCRIPT.replace("BREAK", ":").replacen("said=$(", itself, 1));
    assert_eq!(starts(&serial), [start("1.9.0", "A"), start("1.11.0", "B")]);
    assert_eq!(answers(&serial, "apply").last(), Some(&"0 there is nothing to take now"));
}

#[test]
fn an_update_is_taken_verified_and_kept_and_a_broken_one_is_fallen_back_from() {
    let fleet = Fleet::new("update", "x86_64");
    let first = takes_an_update(&fleet);
    let start = |version: &str, slot: &str| (version.to_owned(), slot.to_owned(), "good".to_owned());

    // Power that goes while the table is written leaves one copy of it torn: the machine starts, and has it mended.
    for sector in [1, 2] {
        let disk = fs::OpenOptions::new().write(true).open(fleet.path("machine.raw")).unwrap();
        disk.write_all_at(&[0xff; 512], sector * 512).unwrap();
        drop(disk);
        assert_eq!(fleet.bad_copy(), Some(Which::Primary));
        let serial = fleet.boot(&first, ":");
        assert_eq!(starts(&serial), [start("1.10.0", "B")], "sector {sector}");
        assert_eq!(fleet.bad_copy(), None, "sector {sector}");
    }
    // This firmware mends what it finds; what is torn while the machine runs, only the machine does.
    let torn = "for sector in 1 2 $(($(< /sys/class/block/vda/size) - 1)); do\n\
        dd if=/dev/zero of=/dev/vda bs=512 seek=$sector count=1 conv=notrunc,fsync 2> /dev/null\n\
        echo \"CHECK mended: $(brc-update mend)\"\n\
        done\n";
    let serial = fleet.boot_with(&first, &SCRIPT.replace("BREAK", ":").replace("said=$(", &format!("{torn}said=$(")));
    let bad = |copy: &str, good: &str| format!("the {copy} partition table was bad: written anew from the {good}");
    let [primary, backup] = [bad("primary", "backup"), bad("backup", "primary")];
    assert_eq!(answers(&serial, "mended"), [primary.as_str(), &primary, &backup]);
    assert_eq!(fleet.bad_copy(), None);

    // The next one is damaged on the disk after it was checked: it never starts, and what ran comes back by itself.
    fleet.offer(&fleet.compose("1.11.0"));
    let damage = "dd if=/dev/urandom of=/dev/vda3 bs=1M count=40 conv=fsync 2> /dev/null";
    let serial = fleet.boot(&first, damage);
    println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
    assert_eq!(starts(&serial), [start("1.10.0", "B"), start("1.10.0", "B")]);
    let applied = ["0 1.11.0 is started by the next reboot", "1 error: version `1.11.0` was started here and given up"];
    assert_eq!(answers(&serial, "apply"), applied);
    assert_eq!(
        answers(&serial, "entries"),
        ["fleet_1.10.0.efi fleet_1.11.0+3-0.efi", "fleet_1.10.0.efi fleet_1.11.0+0-3.efi"]
    );
    assert_eq!(last_failures(&serial)[1], "1.11.0: it never came as far as its settings; its console says why");

    // Asked for, it is taken once more, and works; then somebody goes back by hand, and the machine stays there.
    let serial = fleet.boot_with(&first, &SCRIPT.replace("apply", "apply --now").replace("BREAK", ":"));
    assert_eq!(starts(&serial), [start("1.10.0", "B"), start("1.11.0", "A")]);
    let back =
        "[ $IMAGE_VERSION = 1.10.0 ] || { brc-update rollback; sync; systemctl reboot; sleep 1000; }\ncase $said";
    let serial = fleet.boot_with(&first, &SCRIPT.replace("BREAK", ":").replace("case $said", back));
    assert_eq!(starts(&serial), [start("1.11.0", "A"), start("1.10.0", "B")]);
    assert_eq!(answers(&serial, "entries").last(), Some(&"fleet_1.10.0.efi fleet_1.11.0+0-3.efi"));

    // One that starts and does not work: after three tries what ran before is back, and says what failed.
    let recipes = fs::read_to_string(fleet.path("fleet.kdl")).unwrap();
    let broken = "component \"our-updates\" {\n    unit \"broken.service\" enable=#true text=\"[Service]\\nExecStart=/usr/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n\"";
    fs::write(fleet.path("fleet.kdl"), recipes.replace("component \"our-updates\" {", broken)).unwrap();
    fleet.offer(&fleet.compose("1.12.0"));
    let serial = fleet.boot(&first, ":");
    assert_eq!(starts(&serial), [start("1.10.0", "B"), start("1.10.0", "B")]);
    let applied = ["0 1.12.0 is started by the next reboot", "1 error: version `1.12.0` was started here and given up"];
    assert_eq!(answers(&serial, "apply"), applied);
    let failures = last_failures(&serial);
    assert_eq!(failures[0], "1.11.0: given up by hand");
    assert!(failures[1].starts_with("1.12.0: broken.service "), "{failures:?}");
}

/// What the machine of one version says of itself: whom it tells how it fares, which loader it has, what it takes.
const LOOK: &str = r#"
say() { while IFS= read -r line; do echo "CHECK $1: $line"; done; }
until [ -e /efi/EFI/Linux/fleet_1.9.0.efi ]; do sleep 1; done
systemctl start brc-update-loader
journalctl -b -u brc-update-loader -o cat --no-pager | say loader
ls /efi/EFI/BOOT /efi/EFI/systemd | say files
for file in /efi/EFI/BOOT/BOOTX64.EFI /efi/EFI/systemd/systemd-bootx64.efi /usr/lib/systemd/boot/efi/systemd-bootx64.efi; do md5sum < $file; done | say sums
for second in {1..240}; do [ -z "$(ls /run/systemd/netif/leases)" ] || break; sleep 1; done
brc-update report | say report
brc-agent settings set metrics.send-metrics=true metrics.metrics-url=http://10.0.2.100/metadata/timestamp.json 'metrics.service-checks=["containerd"]'
brc-update report | say report
brc-agent settings set metrics.metrics-url=http://10.0.2.100/nowhere
brc-update report 2>&1 | say report
brc-update check --json | say check
brc-update apply 2>&1 | say apply
dmesg | while IFS= read -r line; do case $line in *erofs*mounted*|*'running in system mode'*) echo "CHECK started: $line" ;; esac; done
systemd-analyze time | say time
sync
echo CHECK-END
"#;

/// Makes the loader of an image, on its ESP, say that it is of an older version.
fn age_loader(image: &Path) {
    let mark = b"#### LoaderInfo: systemd-boot 2";
    let disk = fs::OpenOptions::new().read(true).write(true).open(image).unwrap();
    // The ESP is the first partition; what the root has of the loader lies behind it.
    let mut entry = [0; 48];
    disk.read_exact_at(&mut entry, 1024).unwrap();
    let [first, last] = [32, 40].map(|at| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap()) * 512);
    let mut esp = vec![0; (last + 512 - first) as usize];
    disk.read_exact_at(&mut esp, first).unwrap();
    let places: Vec<usize> = (0..esp.len() - mark.len()).filter(|at| esp[*at..].starts_with(mark)).collect();
    assert!(places.len() >= 2, "the loader is there under two names: {places:?}");
    for at in places {
        disk.write_all_at(b"1", first + (at + mark.len() - 1) as u64).unwrap();
    }
}

#[test]
fn a_halted_version_is_left_the_loader_is_renewed_and_somebody_is_told_how_the_machine_fares() {
    let fleet = Fleet::new("update-look", "x86_64");
    let first = fleet.compose("1.9.0");
    age_loader(&first);
    fleet.offer(&fleet.compose("1.10.0"));
    must(&["repo", "halt", &fleet.text("repository"), "fleet_1.10.0", "--keys", &fleet.text("keys")]);
    let serial = fleet.boot_with(&first, LOOK);
    println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
    let loader = answers(&serial, "loader").join(" | ");
    assert!(loader.contains("the loader 157") && loader.contains("was replaced by 257"), "{loader}");
    let files = answers(&serial, "files");
    assert!(files.contains(&"BOOTX64.before") && files.contains(&"systemd-bootx64.before"), "{files:?}");
    let sums = answers(&serial, "sums");
    assert!(sums.len() == 3 && sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    let report = answers(&serial, "report");
    assert_eq!(report[0], "settings name nobody to tell");
    for word in [
        "told `http://10.0.2.100/metadata/timestamp.json?",
        "&variant=fleet&",
        "version=1.9.0&",
        "is_healthy=true&failed_services=",
    ] {
        assert!(report[1].contains(word), "{word}: {report:?}");
    }
    assert!(report[2].starts_with("error: `http://10.0.2.100/nowhere` does not take the report"), "{report:?}");
    let check: Value = serde_json::from_str(answers(&serial, "check")[0]).unwrap();
    assert_eq!(check["update"], Value::Null, "{check}");
    assert_eq!(answers(&serial, "apply"), ["there is nothing to take now"]);
    // The loader that was put there starts the machine.
    let serial = fleet.boot_with(&first, "echo CHECK-END");
    assert!(serial.contains("CHECK-END"));
}
