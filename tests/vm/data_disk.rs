//! Data on a disk of its own.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{
    bench::{self, BENCH, folder, must},
    quickstart::{answers, probe},
};

const RECIPES: &str = r#"
variant "apart" {
    version "1.0.0"
    extends "brc/base"
    arch "x86_64"
    include "brc/network"
    layout "ab" { data disk="separate" size="1GiB" }
}
"#;

/// Says where `/var` is, how large, what is on the system's disk, who the machine is, and whether all of it stays when the
/// partition goes and comes back; leaves a file behind.
const SCRIPT: &str = "while read -r device folder kind rest; do\n\
    case \"$folder $kind\" in '/var ext4') echo \"CHECK mount: $device\" ;; esac\n\
    done < /proc/mounts\n\
    disk=$(readlink -f /dev/brc/data-disk); read -r size < /sys/class/block/${disk##*/}/${disk##*/}*1/size\n\
    echo \"CHECK sectors: $size\"\n\
    esp=$(readlink -f /dev/brc/esp)\n\
    echo \"CHECK system: $(echo /sys/class/block/${esp##*/}/../*/partition)\"\n\
    echo \"CHECK disk: $disk\"\n\
    echo \"CHECK id: $(cat /etc/machine-id)\"\n\
    for part in /sys/class/block/${disk##*/}/${disk##*/}*1; do\n\
    echo remove > $part/uevent; udevadm settle; sleep 3; echo add > $part/uevent; udevadm settle\n\
    done\n\
    echo \"CHECK still: $(echo $(systemctl is-active var.mount local-fs.target brc-settings.service))\"\n\
    echo \"CHECK marker: $(cat /var/marker 2> /dev/null)\"\n\
    echo kept > /var/marker; sync\n\
    brc-agent status --json | while IFS= read -r line; do echo \"CHECK agent: $line\"; done\n\
    echo CHECK-END\n";

#[test]
fn data_lies_on_a_disk_of_its_own_grows_with_it_and_the_systems_is_left_alone() {
    let folder = folder("data-disk");
    bench::project(&folder, "apart", RECIPES);
    let (recipe, out) = (folder.join("apart.kdl"), folder.join("out"));
    must(&["compose", recipe.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let image = out.join("apart_1.0.0_x86_64.raw");
    // Once as QEMU has disks and once as EC2 has, where they are asked for names and have none.
    let given = folder.join("user-data");
    fs::write(&given, "[settings]\nmotd = 'hello'\n").unwrap();
    // An empty disk that is gone with the instance is none for data.
    let given = ["--as", "ec2", "--user-data", given.to_str().unwrap(), "--instance-disk", "1024"];
    for (name, cloud, partition) in [("virtio", &[][..], "1"), ("nvme", &given[..], "p1")] {
        let disk = folder.join(format!("{name}.raw"));
        let first = boot(&folder, &image, &disk, cloud);
        let kept = folder.join(format!("{name}.raw.data"));
        let file = File::options().write(true).open(&kept).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 30);
        file.set_len(2 << 30).unwrap();
        let second = boot(&folder, &image, &disk, cloud);
        for serial in [&first, &second] {
            // Which of two NVMe disks comes first is not told.
            let data = &format!("{}{partition}", answers(serial, "disk")[0]);
            assert_eq!(answers(serial, "mount"), [data], "{serial}");
            let system: Vec<&str> = answers(serial, "system")[0].split(' ').collect();
            let is_of_data = |path: &&str| path.contains(data.trim_start_matches("/dev/"));
            assert_eq!((system.len(), system.iter().any(is_of_data)), (5, false), "the ESP and two slots: {system:?}");
            let agent: serde_json::Value = serde_json::from_str(answers(serial, "agent")[0]).unwrap();
            assert_eq!(agent["data"]["device"], data.as_str(), "{agent}");
            assert!(!serial.contains("does not say who it is"), "{serial}");
            // As when its table is read again, which takes the partition away and brings it back.
            assert_eq!(answers(serial, "still"), ["active active active"], "{serial}");
        }
        assert_eq!(answers(&first, "id"), answers(&second, "id"));
        assert_eq!((answers(&first, "marker"), answers(&second, "marker")), (vec![""], vec!["kept"]));
        let sectors = [&first, &second].map(|serial| answers(serial, "sectors")[0].parse::<u64>().unwrap());
        assert!(sectors[0] > 1_900_000 && sectors[1] > sectors[0] + 1_900_000, "{sectors:?}");
    }
}

fn boot(folder: &Path, image: &Path, disk: &Path, cloud: &[&str]) -> String {
    let mut options = probe(folder, SCRIPT);
    options.extend(["--persist", disk.to_str().unwrap()].iter().chain(cloud).map(|word| (*word).to_owned()));
    BENCH.boot(image, "CHECK-END", &options)
}
