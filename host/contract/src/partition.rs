//! What partitions are called: types, attribute bits, identities that follow from the root hash.
//!
//! Source: Discoverable Partitions Specification (UAPI.2), systemd's `sd-gpt.h`.

use crate::{Architecture, Guid};

/// The type of an EFI system partition.
pub const ESP: Guid = Guid::from_number(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);
/// The type of a Linux partition that nothing mounts by its type; brc's data partition has it.
pub const LINUX_GENERIC: Guid = Guid::from_number(0x0fc63daf_8483_4772_8e79_3d69d8477de4);
/// The type of a partition that is an archive with images of containers, on the disk for data; brc's own.
pub const CONTAINER_IMAGE: Guid = Guid::from_number(0x6d1f5c0e_2b0a_4d0c_9d0b_7a6a3c6e51f4);

/// Attribute bit 59: the file system is grown to the partition's size when mounted.
pub const GROW_FILE_SYSTEM: u64 = 1 << 59;
/// Attribute bit 60: the partition is only ever mounted read-only.
pub const READ_ONLY: u64 = 1 << 60;
/// Attribute bit 63: the partition is not mounted by its type.
pub const NO_AUTO: u64 = 1 << 63;

/// The largest EFI system partition: room for three of the largest kernel images and more.
pub const MAX_ESP_BYTES: u64 = 4 << 30;
/// The longest label of a partition, in UTF-16 units (UEFI 2.10, section 5.3.3).
pub const MAX_LABEL_UNITS: usize = 36;
/// The label of the partitions of a slot that holds nothing, as systemd-sysupdate knows it.
pub const EMPTY_LABEL: &str = "_empty";
/// The label of the data partition.
pub const DATA_LABEL: &str = "brc-data";
/// The label of a partition that is an archive with images of containers.
pub const CONTAINER_IMAGE_LABEL: &str = "brc-image";
/// The label of the EFI system partition.
pub const ESP_LABEL: &str = "esp";

/// The type of a root partition.
pub const fn root(architecture: Architecture) -> Guid {
    Guid::from_number(match architecture {
        Architecture::X86_64 => 0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
        Architecture::Aarch64 => 0xb921b045_1df0_41c3_af44_4c6f280d3fae,
    })
}

/// The type of the dm-verity hash partition of a root partition.
pub const fn root_verity(architecture: Architecture) -> Guid {
    Guid::from_number(match architecture {
        Architecture::X86_64 => 0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5,
        Architecture::Aarch64 => 0xdf3300ce_d69f_4c92_978c_9bfb0f38d820,
    })
}

/// The identity of the root partition whose dm-verity root hash this is: its first 128 bits.
pub fn root_guid(root_hash: &[u8; 32]) -> Guid {
    Guid::from_bytes(half(root_hash, 0))
}

/// The identity of the hash partition whose dm-verity root hash this is: its last 128 bits.
pub fn hash_guid(root_hash: &[u8; 32]) -> Guid {
    Guid::from_bytes(half(root_hash, 16))
}

/// The root hash that the identities of a root and a hash partition speak of.
pub fn root_hash_of(root: Guid, hash: Guid) -> [u8; 32] {
    let mut whole = [0; 32];
    whole[..16].copy_from_slice(&root.bytes());
    whole[16..].copy_from_slice(&hash.bytes());
    whole
}

fn half(root_hash: &[u8; 32], from: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&root_hash[from..from + 16]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_the_specification() {
        for (guid, text) in [
            (ESP, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
            (LINUX_GENERIC, "0fc63daf-8483-4772-8e79-3d69d8477de4"),
            (root(Architecture::X86_64), "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
            (root_verity(Architecture::X86_64), "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
            (root(Architecture::Aarch64), "b921b045-1df0-41c3-af44-4c6f280d3fae"),
            (root_verity(Architecture::Aarch64), "df3300ce-d69f-4c92-978c-9bfb0f38d820"),
        ] {
            assert_eq!(guid.to_string(), text);
        }
    }

    #[test]
    fn identities_are_the_halves_of_the_root_hash() {
        let root_hash: [u8; 32] = std::array::from_fn(|at| at as u8);
        assert_eq!(root_guid(&root_hash).to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(hash_guid(&root_hash).to_string(), "10111213-1415-1617-1819-1a1b1c1d1e1f");
        assert_eq!(root_hash_of(root_guid(&root_hash), hash_guid(&root_hash)), root_hash);
    }
}
