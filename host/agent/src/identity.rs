//! Who a machine is, for as long as it lives.
//!
//! The identity of the data partition *is* the machine's: it is made with it, and needs no file system to be found again.
//! So a machine keeps its identity whatever becomes of its files, and one whose firmware gives it another one keeps it
//! too. A virtual machine's firmware is its maker's word, though: a copy of its disk gets another identity with it.

use brc_contract::{Guid, gpt, partition, well_known};
use brc_linux::Files;

use crate::{disk::RootDisk, settings, status::MAX_SMALL};

/// Identities that firmware has when nobody gave it one: vendors ship many machines with each of them.
const NOBODY: [&str; 7] = [
    "00020003-0004-0005-0006-000700080009",
    "01234567-8910-1112-1314-151617181920",
    "03000200-0400-0500-0006-000700080009",
    "03020100-0504-0706-0809-0a0b0c0d0e0f",
    "11111111-2222-3333-4444-555555555555",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "4c4c4544-0000-2010-8020-80c04f202020",
];
/// Whose machines are virtual, or clouds': what their firmware says was given to this one machine.
const MAKERS: [&str; 8] =
    ["qemu", "amazon ec2", "google", "microsoft corporation", "vmware", "xen", "innotek", "openstack"];

/// The identity of a machine whose firmware says `firmware` and whose data partition has the identity `kept`; `None` when
/// neither gives one, so that one is made up.
pub fn identity(firmware: Option<Guid>, kept: Option<Guid>, is_virtual: bool) -> Option<Guid> {
    let firmware = firmware.filter(is_somebody);
    if is_virtual { firmware.or(kept) } else { kept.or(firmware) }
}

/// The identity that the firmware gives.
pub fn of_firmware(files: &Files) -> Option<Guid> {
    settings::firmware(files).and_then(|text| Guid::parse(&text).ok())
}

/// Whether the firmware is that of a virtual machine or a cloud.
pub fn is_virtual(files: &Files) -> bool {
    let maker = files.text("/sys/class/dmi/id/sys_vendor", MAX_SMALL).unwrap_or_default().trim().to_ascii_lowercase();
    MAKERS.into_iter().any(|known| maker.starts_with(known))
        || files
            .text("/proc/cpuinfo", 16 << 20)
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("flags") && line.contains(" hypervisor")))
}

/// The identity of the data partition on the disk of the root, if there is one yet. `read` gives so many bytes of a device
/// from a byte on.
pub fn of_data(files: &Files, read: impl Fn(&str, u64, usize) -> std::io::Result<Vec<u8>>) -> Option<Guid> {
    let disk = RootDisk::of(files).ok()?;
    data_of(&partitions(disk.size, |at, length| read(&disk.name, at, length))?)
}

/// The partitions of a disk that has a table of them. `read` gives so many bytes of the disk from a byte on.
pub(crate) fn partitions(
    size: gpt::DiskSize,
    read: impl Fn(u64, usize) -> std::io::Result<Vec<u8>>,
) -> Option<Vec<gpt::Partition>> {
    let copies = gpt::Copies::read(size, |at, bytes| read(at.saturating_mul(size.sector as u64), bytes)).ok()?;
    Some(copies.table().ok()?.partitions().collect())
}

/// The identity of the data partition among these.
pub(crate) fn data_of(partitions: &[gpt::Partition]) -> Option<Guid> {
    let is_data = |found: &&gpt::Partition| found.label.to_string() == partition::DATA_LABEL;
    partitions.iter().find(is_data).map(|found| found.identity)
}

/// How the data partition is made on a machine with this identity, from how the image says it is.
pub fn data_definition(files: &Files, identity: &Guid) -> Result<String, brc_linux::FileError> {
    let text = files.text(&format!("/{}", well_known::DATA_DEFINITION), MAX_SMALL)?;
    Ok(format!("{}\nUUID={identity}\n", text.trim_end()))
}

/// An identity as systemd has it (machine-id(5)).
pub fn machine_id(identity: &Guid) -> String {
    identity.to_string().to_ascii_lowercase().replace('-', "")
}

fn is_somebody(identity: &Guid) -> bool {
    let text = identity.to_string().to_ascii_lowercase();
    let digits = machine_id(identity);
    !NOBODY.contains(&text.as_str()) && digits.chars().any(|digit| !digits.starts_with(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guid(text: &str) -> Option<Guid> {
        Some(Guid::parse(text).unwrap())
    }

    #[test]
    fn a_machine_keeps_its_identity_and_a_copy_of_a_virtual_one_gets_its_own() {
        let (a, b) = (guid("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"), guid("c0ffee00-0000-4000-8000-000000000001"));
        for (firmware, kept, is_virtual, expected) in [
            (a, None, true, a),
            (a, None, false, a),
            (a, a, true, a),
            (a, b, true, a),
            (a, b, false, b),
            (None, b, true, b),
            (None, b, false, b),
            (None, None, true, None),
        ] {
            assert_eq!(identity(firmware, kept, is_virtual), expected, "{firmware:?} {kept:?} {is_virtual}");
        }
    }

    #[test]
    fn what_vendors_hand_out_many_times_is_no_identity() {
        for text in NOBODY.into_iter().chain([
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
        ]) {
            assert_eq!(identity(guid(text), None, true), None, "{text}");
        }
        let kept = guid("3b8f8425-20e0-4f3b-907f-1a25a76f98e8");
        assert_eq!(identity(guid(NOBODY[0]), kept, true), kept);
    }

    #[test]
    fn a_machine_id_is_the_identity_without_dashes() {
        let id = Guid::parse("3B8F8425-20E0-4F3B-907F-1A25A76F98E8").unwrap();
        assert_eq!(machine_id(&id), "3b8f842520e04f3b907f1a25a76f98e8");
    }
}
