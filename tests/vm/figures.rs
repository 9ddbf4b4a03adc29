//! What programs of the machine cost it: their size and memory, the time before systemd, and how fast an update is.

use super::{quickstart::answers, update::Fleet};

/// Before the update: sizes, memory, what of the start is the first program's. While it is written: the time of each
/// step and the most memory. Afterwards: when the new version was found good.
const SCRIPT: &str = r#"
now() { echo "CHECK at: $1 ${EPOCHREALTIME/[.,]/}"; }
peak() { while IFS=$':\t ' read -r name value rest; do [ "$name" != VmHWM ] || peak=$value; done < /proc/$1/status; } 2> /dev/null
for second in {1..600}; do
    case $(brc-agent status --json) in *'"state":"good"'*) break ;; esac
    sleep 1
done
. /usr/lib/os-release
now "good $IMAGE_VERSION"
dmesg | while IFS= read -r line; do case $line in *'erofs: (device dm-0): mounted'* | *'running in system mode'*) echo "CHECK dmesg: $line" ;; esac; done
if [ $IMAGE_VERSION = 1.9.0 ]; then
    for second in {1..240}; do [ -z "$(ls /run/systemd/netif/leases)" ] || break; sleep 1; done
    for name in brc-agent brc-update; do echo "CHECK size: $name $(stat -c %s /usr/bin/$name)"; done
    for process in /proc/[0-9]*; do
        case $(readlink $process/exe) in */brc-*) while read -r name value rest; do [ $name != VmRSS: ] || echo "CHECK resident: $value $(readlink $process/exe)"; done < $process/status ;; esac
    done
    # One that waits for what it is to read has all its libraries.
    mkfifo /run/quiet
    brc-agent settings apply - < /run/quiet &
    agent=$!
    exec 9> /run/quiet
    sleep 5
    while read -r name value rest; do [ $name != VmRSS: ] || echo "CHECK waiting: $value"; done < /proc/$agent/status
    exec 9>&-
    # As much as an update writes, before it does and where it does; the first time the disk's file grows.
    size=$(($(< /sys/class/block/dm-0/size) / 2048))
    echo "CHECK megabytes: $size"
    for run in 0 1 2 3; do
        now "dd $run"
        dd if=/dev/zero of=/dev/vda5 bs=1M count=$size conv=fsync 2> /dev/null
    done
    now "dd 4"
    mkfifo /run/steps
    brc-update apply > /run/applied 2> /run/steps &
    update=$!
    while kill -0 $update; do peak $update; echo $peak > /run/peak; sleep 0.2; done 2> /dev/null &
    while IFS= read -r step; do now "$step"; done < /run/steps
    now "written"
    wait $update
    echo "CHECK applied: $? $(< /run/applied)"
    echo "CHECK peak: $(< /run/peak)"
    sync
    now reboot
    systemctl reboot
else
    sync
    echo CHECK-END
fi
"#;

/// The seconds between two marks, the first of each that is named so.
fn between(serial: &str, from: &str, to: &str) -> f64 {
    let at = |name: &str| {
        let mark = answers(serial, "at").into_iter().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        mark.unwrap_or_else(|| panic!("no `{name}`"))
    };
    let (from, to): (f64, f64) = (at(from), at(to));
    (to - from) / 1e6
}

#[test]
fn programs_of_the_machine_stay_small_while_they_wait_and_while_an_update_is_written() {
    let fleet = Fleet::new("figures", "x86_64");
    let first = fleet.compose("1.9.0");
    fleet.offer(&fleet.compose("1.10.0"));
    let serial = fleet.boot_with(&first, SCRIPT);
    println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
    let number = |text: &str| text.parse::<u64>().unwrap();
    assert_eq!(answers(&serial, "size").len(), 2);
    for line in answers(&serial, "size") {
        let (name, size) = line.split_once(' ').unwrap();
        assert!(number(size) <= 12 << 20, "{name}: {size}");
    }
    // Nothing is resident while nobody asks, but for what waits for a unit.
    assert_eq!(answers(&serial, "resident"), [""; 0]);
    assert!(number(answers(&serial, "waiting")[0]) <= 15 << 10, "{:?}", answers(&serial, "waiting"));
    assert!(number(answers(&serial, "peak")[0]) <= 64 << 10, "{:?}", answers(&serial, "peak"));
    assert_eq!(answers(&serial, "applied"), ["0 1.10.0 is started by the next reboot"]);
    let dd: Vec<f64> = (1..=3).map(|run| between(&serial, &format!("dd {run}"), &format!("dd {}", run + 1))).collect();
    let root = between(&serial, "writing the root", "reading both back");
    println!(
        "{} MiB: dd {dd:?} s, the update's root {root:.2} s, reading back {:.2} s",
        answers(&serial, "megabytes")[0],
        between(&serial, "reading both back", "writing the kernel image")
    );
    println!("reboot to healthy: {:.1} s", between(&serial, "reboot", "good 1.10.0"));
}
