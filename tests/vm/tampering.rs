//! A root in which one bit is another: never run, wherever it is.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use super::{
    bench::{BENCH, folder},
    quickstart::probe,
};

/// What the kernel says before it starts the machine again.
const RESTART: &str = "Restarting system with command 'dm-verity device corrupted'";
/// The number of the root partition; the ESP and the hash tree come first.
const ROOT_PARTITION: u64 = 3;
const SECTOR: u64 = 512;
/// The entry array of a GPT starts at sector 2, each entry has 128 bytes, and its start is at byte 32 (UEFI 2.11,
/// section 5.3.3).
const ENTRIES: u64 = 2 * SECTOR;

/// Where the middle one of a file's extents begins in the root, as `dump.erofs` says.
fn extent_of(file: &str) -> u64 {
    let command = ["/usr/bin/dump.erofs", &format!("--path={file}"), "-e", "/image/root.erofs"];
    let (_, printed) = BENCH.run(&[(BENCH.trees["oracle"], ""), (BENCH.trees["erofs"], "image")], &command, None);
    // ` 311: 27178784..27182880 |    4096 :   44806144..  44810240 |    4096`
    let extents: Vec<u64> = printed
        .lines()
        .filter_map(|line| line.split_once('|')?.1.split_once(':')?.1.split_once("..")?.0.trim().parse().ok())
        .collect();
    assert!(!extents.is_empty(), "{file} has no extents in\n{printed}");
    extents[extents.len() / 2]
}

/// A copy of the image with one other bit in `file`.
fn tampered(name: &str, file: &str) -> PathBuf {
    let image = folder(name).join(BENCH.image.file_name().unwrap());
    fs::copy(&BENCH.image, &image).unwrap();
    let disk = File::options().read(true).write(true).open(&image).unwrap();
    let mut start = [0; 8];
    disk.read_exact_at(&mut start, ENTRIES + (ROOT_PARTITION - 1) * 128 + 32).unwrap();
    let at = u64::from_le_bytes(start) * SECTOR + extent_of(file) + 1000;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, at).unwrap();
    disk.write_all_at(&[byte[0] ^ 1], at).unwrap();
    println!("{name}: one bit of byte {at} is another");
    image
}

#[test]
fn one_bit_in_process_1_restarts_the_machine_before_anything_runs() {
    let image = tampered("process-1", "/usr/lib/systemd/systemd");
    let serial = BENCH.boot(&image, RESTART, &[]);
    assert!(serial.contains("is corrupted"), "{serial}");
    assert!(!serial.contains("Reached target"), "{serial}");
    fs::remove_file(image).unwrap();
}

#[test]
fn one_bit_in_a_file_that_is_read_later_restarts_the_machine_when_it_is_read() {
    let image = tampered("later", "/usr/bin/ctr");
    let script = "echo CHECK-READS\ncp /usr/bin/ctr /dev/null\necho CHECK-HAS-READ\n";
    let serial = BENCH.boot(&image, RESTART, &probe(image.parent().unwrap(), script));
    let (before, after) = serial.split_once("CHECK-READS").expect("it booted");
    assert!(before.contains("Reached target multi-user.target") && !before.contains("is corrupted"), "{serial}");
    assert!(after.contains("is corrupted") && !after.contains("CHECK-HAS-READ"), "{serial}");
    fs::remove_file(image).unwrap();
}
