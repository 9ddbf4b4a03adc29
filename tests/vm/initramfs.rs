//! Images that do not reach their root: the first program says why on the console, and the machine restarts.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use brc::inspect::{Expected, verify};
use gptman::GPT;

use super::bench::{BENCH, folder};

/// What the kernel says when its first process has ended and it obeys `panic=10`.
const RESTART: &str = "Rebooting in 10 seconds";
/// The numbers of the partitions.
const ESP: u32 = 1;
const ROOT: u32 = 3;

/// A copy of the image, to be changed.
struct Disk {
    file: File,
    table: GPT,
}

impl Disk {
    /// Where a partition begins, in bytes, and how many it has.
    fn place(&self, number: u32) -> (u64, u64) {
        let (entry, sector) = (&self.table[number], self.table.sector_size);
        (entry.starting_lba * sector, entry.size().unwrap() * sector)
    }

    /// Puts `to` where `from` stands on the ESP, which it does once: in the unified kernel image.
    fn replace(&self, from: &[u8], to: &[u8]) {
        let (start, length) = self.place(ESP);
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, start).unwrap();
        let found: Vec<usize> = memchr::memmem::find_iter(&bytes, from).collect();
        let [at] = found[..] else { panic!("{:?}: {found:?}", from.escape_ascii().to_string()) };
        self.file.write_all_at(to, start + at as u64).unwrap();
    }
}

/// Boots a changed copy of the image, which must restart before anything of its root runs; what `brc-early` said.
fn refused(name: &str, change: impl FnOnce(&mut Disk)) -> String {
    let image = folder(name).join(BENCH.image.file_name().unwrap());
    fs::copy(&BENCH.image, &image).unwrap();
    let mut file = File::options().read(true).write(true).open(&image).unwrap();
    let table = GPT::find_from(&mut file).unwrap();
    change(&mut Disk { file, table });
    let serial = BENCH.boot(&image, RESTART, &[]);
    fs::remove_file(image).unwrap();
    let said: Vec<&str> =
        serial.lines().filter_map(|line| Some(line.split_once("brc-early: ")?.1.trim_end())).collect();
    let [said] = said[..] else { panic!("{said:?} in\n{serial}") };
    println!("{name}: {said}");
    assert!(said.ends_with("; the kernel panics now and restarts the machine after 10 s"), "{said}");
    assert!(serial.contains("Attempted to kill init"), "{serial}");
    assert!(!serial.contains("systemd["), "{serial}");
    said.to_owned()
}

#[test]
fn a_module_that_is_missing_is_named() {
    let said = refused("module-missing", |disk| disk.replace(b"modules/virtio_blk.ko\0", b"modules/virtio_blk.kx\0"));
    assert!(said.starts_with("module `virtio_blk.ko`, which `/modules/order` of the initramfs names"), "{said}");
    assert!(said.contains("its file cannot be opened: No such file or directory"), "{said}");
}

#[test]
fn a_module_that_the_kernel_refuses_is_named() {
    let said = refused("module-refused", |disk| {
        disk.replace(b"modules/virtio_blk.ko\0\x7fELF", b"modules/virtio_blk.ko\0\x7fELG");
    });
    assert!(said.starts_with("module `virtio_blk.ko`, which"), "{said}");
    assert!(said.contains("the kernel refuses it"), "{said}");
}

#[test]
fn a_partition_that_is_missing_is_named() {
    let mut wanted = String::new();
    let said = refused("partition-missing", |disk| {
        let identity = &mut disk.table[ROOT].unique_partition_guid;
        wanted = brc_contract::Guid::from_mixed_endian(*identity).to_string();
        identity[0] ^= 1;
        disk.table.write_into(&mut disk.file).unwrap();
    });
    let expected = format!("the partition with the root, `PARTUUID={wanted}`, is not there after 60 s: disk `vda` has");
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn a_root_hash_that_does_not_fit_is_said_before_the_machine_restarts() {
    let mut wrong = String::new();
    let said = refused("root-hash-wrong", |disk| {
        let right = verify(&BENCH.image, &Expected::default()).unwrap().figures.root_hash.unwrap().to_string();
        let first = if right.starts_with('0') { '1' } else { '0' };
        wrong = format!("{first}{}", &right[1..]);
        disk.replace(format!(" sha256 {right} ").as_bytes(), format!(" sha256 {wrong} ").as_bytes());
    });
    assert!(said.starts_with("the root on `vda3` is not the one of the kernel command line"), "{said}");
    assert!(said.contains(&format!("the root hash `{wrong}`")), "{said}");
}

#[test]
fn a_root_whose_first_block_is_another_is_said_before_the_machine_restarts() {
    let said = refused("first-block", |disk| {
        // Where EROFS says what it is.
        let at = disk.place(ROOT).0 + 1024;
        let mut byte = [0];
        disk.file.read_exact_at(&mut byte, at).unwrap();
        disk.file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    });
    assert!(said.starts_with("the root on `vda3` is not the one of the kernel command line"), "{said}");
}
