//! The identities of a disk, all from one seed, so that the same variant always makes the same bytes.
//!
//! The seed is the first 16 bytes of the SHA-256 of `brc-seed 1`, the variant's name and the architecture's name,
//! each ended by a NUL. What is derived from it follows systemd-repart (`repart.c`): HMAC-SHA256 keyed by the seed,
//! its first 16 bytes, marked as a version 4 UUID.

use brc_contract::{Architecture, Guid};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::content;

/// What every identity of a variant's disk is derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed([u8; 16]);

impl Seed {
    /// The seed of a variant for an architecture.
    pub fn of(variant: &str, architecture: Architecture) -> Self {
        let text = format!("brc-seed 1\0{variant}\0{}\0", architecture.name());
        Seed(first_half(*content::Sha256::of(text.as_bytes()).as_bytes()))
    }

    /// A seed that was chosen elsewhere.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Seed(bytes)
    }

    /// The GUID of the disk.
    pub fn disk(&self) -> Guid {
        uuid(hmac(&self.0, &[b"disk-uuid"]))
    }

    /// The GUID of the disk for data.
    pub fn data_disk(&self) -> Guid {
        uuid(hmac(&self.0, &[b"data-disk-uuid"]))
    }

    /// The GUID of the partition of type `kind` that has `index` others of its type before it.
    pub fn partition(&self, kind: Guid, index: u64) -> Guid {
        let number = index.to_le_bytes();
        uuid(hmac(&self.0, &[&kind.bytes(), if index == 0 { &[] } else { &number }]))
    }

    /// The UUID of the dm-verity superblock.
    pub fn verity_uuid(&self) -> [u8; 16] {
        uuid(hmac(&self.0, &[b"verity-uuid"])).bytes()
    }

    /// The salt of the dm-verity hash tree.
    pub fn verity_salt(&self) -> [u8; 32] {
        hmac(&self.0, &[b"verity-salt"])
    }
}

/// The UUID of the file system in a partition.
pub fn file_system_uuid(partition: Guid) -> Guid {
    uuid(hmac(&partition.bytes(), &[b"file-system-uuid"]))
}

/// The volume id of the FAT file system in a partition: the first four bytes of its UUID.
pub fn fat_volume_id(partition: Guid) -> u32 {
    let [a, b, c, d, ..] = file_system_uuid(partition).bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn hmac(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length: 16 bytes are zero-padded to a block (RFC 2104, section 2).
    let mut block = [0; 64];
    block[..16].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as Mac>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn uuid(bytes: [u8; 32]) -> Guid {
    let mut half = first_half(bytes);
    half[6] = half[6] & 0x0f | 0x40;
    half[8] = half[8] & 0x3f | 0x80;
    Guid::from_bytes(half)
}

fn first_half(bytes: [u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| bytes[at])
}

#[cfg(test)]
mod tests {
    use brc_contract::partition;

    use super::*;

    #[test]
    fn identities_are_those_of_systemd_repart() {
        // Checked against systemd-repart 252 with this seed.
        let seed = Seed::from_bytes(Guid::parse("0867da16-f251-457d-a9e8-c31f9a3c220b").unwrap().bytes());
        let root = partition::root(Architecture::X86_64);
        let esp = seed.partition(partition::ESP, 0);
        let verity = Guid::from_bytes(seed.verity_uuid());
        let salt: String = seed.verity_salt().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(seed.disk().to_string(), "b581fef7-24ed-4f31-990b-099ec86bba03");
        assert_eq!(esp.to_string(), "dac4058a-2fc0-4808-a7ef-b8b4501c00ce");
        assert_eq!(seed.partition(root, 0).to_string(), "57bd1ad1-c688-450a-ba37-d1792ec72fbb");
        assert_eq!(seed.partition(root, 1).to_string(), "b61515ed-6e9f-4302-973e-25303565d610");
        assert_eq!(file_system_uuid(esp).to_string(), "793a442b-a005-400e-84d8-ac9b5cb3f723");
        assert_eq!(fat_volume_id(esp), 0x793a442b);
        assert_eq!(verity.to_string(), "ad6a6264-8901-4e9e-a75a-7a1d7096ca95");
        assert_eq!(salt, "a3e752820ae94d3c8dd3840aa4c4baeab6d67d7109af7fab1c970ab40443d455");
    }

    #[test]
    fn each_variant_and_architecture_has_its_own_seed() {
        let seed = Seed::of("quickstart", Architecture::X86_64);
        assert_ne!(seed, Seed::of("quickstart", Architecture::Aarch64));
        assert_ne!(seed, Seed::of("quickstar", Architecture::X86_64));
        assert_eq!(seed, Seed::of("quickstart", Architecture::X86_64));
    }
}
