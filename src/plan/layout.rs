//! Where partitions lie on a disk: arithmetic only.

use super::Slot;

/// Partitions start at multiples of this many bytes.
pub const ALIGNMENT: u64 = 1 << 20;
/// The size of a sector in bytes; every GPT of ours has these.
pub const SECTOR: u64 = 512;
/// The size of a dm-verity block and of an EROFS block in bytes.
pub const BLOCK: u64 = 4096;
/// The backup table at the end of a disk: 32 sectors of entries and one header.
const BACKUP: u64 = 33 * SECTOR;
/// Digests in one block of a hash tree: SHA-256, 32 bytes each.
const DIGESTS_PER_BLOCK: u64 = BLOCK / 32;
/// The largest disk that is laid out.
const MAX_DISK: u64 = 1 << 50;

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The EFI system partition.
    Esp,
    /// The hash tree of the slot with this index.
    Verity(usize),
    /// The root of the slot with this index.
    Root(usize),
}

/// A partition and where it lies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// What it is for.
    pub role: Role,
    /// Where it starts; a multiple of [`ALIGNMENT`].
    pub offset: u64,
    /// Its size; a multiple of [`BLOCK`].
    pub size: u64,
}

/// A disk with its partitions in the order of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The partitions: ESP, then hash tree and root of each slot.
    pub partitions: Vec<Placed>,
    /// The size of the smallest disk that holds them, in bytes.
    pub disk_size: u64,
}

/// Partitions cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A size is zero or no multiple of 4096.
    #[error("the {partition} cannot have {size} bytes: expected a multiple of 4096, and some")]
    Size { partition: &'static str, size: u64 },
    /// More than 2^50 bytes in all.
    #[error("the partitions need more than 2^50 bytes: choose smaller slots")]
    TooLarge,
}

/// Lays out an ESP and slots one behind the other, each aligned.
///
/// # Errors
/// When a size is no multiple of 4096 or the sum is beyond 2^50 bytes.
pub fn lay_out(esp_size: u64, slots: &[Slot]) -> Result<Layout, LayoutError> {
    let mut wanted = vec![(Role::Esp, "ESP", esp_size)];
    for (index, slot) in slots.iter().enumerate() {
        wanted.push((Role::Verity(index), "hash partition", slot.verity_size));
        wanted.push((Role::Root(index), "root partition", slot.root_size));
    }
    let mut partitions = Vec::with_capacity(wanted.len());
    // The first megabyte holds the protective MBR and the primary table.
    let mut next = ALIGNMENT;
    for (role, partition, size) in wanted {
        if size == 0 || !size.is_multiple_of(BLOCK) {
            return Err(LayoutError::Size { partition, size });
        }
        partitions.push(Placed { role, offset: next, size });
        next = next.checked_add(size).filter(|end| *end <= MAX_DISK).ok_or(LayoutError::TooLarge)?;
        next = next.next_multiple_of(ALIGNMENT);
    }
    Ok(Layout { partitions, disk_size: (next + BACKUP).next_multiple_of(ALIGNMENT) })
}

/// The size in bytes of the dm-verity hash file for `data_size` bytes: superblock and every level.
///
/// A single block of data has no level: its digest is the root hash, as `veritysetup` has it.
pub fn hash_file_size(data_size: u64) -> u64 {
    let mut blocks = data_size.div_ceil(BLOCK);
    let mut total = 1;
    while blocks > 1 {
        blocks = blocks.div_ceil(DIGESTS_PER_BLOCK);
        total += blocks;
    }
    total * BLOCK
}

/// The size in bytes of the hash partition for a root partition of `root_size` bytes.
pub fn hash_partition_size(root_size: u64) -> u64 {
    hash_file_size(root_size).next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use brc_contract::SlotName;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hash_files_have_the_size_that_veritysetup_makes() {
        for (blocks, expected) in
            [(1, 1), (2, 2), (128, 2), (129, 4), (1025, 11), (128 * 128, 130), (128 * 128 + 1, 133)]
        {
            assert_eq!(hash_file_size(blocks * BLOCK), expected * BLOCK, "{blocks} blocks");
        }
    }

    #[test]
    fn the_host_finds_a_slot_by_the_numbers_that_partitions_get() {
        let slot = Slot { verity_size: BLOCK, root_size: BLOCK, empty_guids: [[0; 16]; 2] };
        let layout = lay_out(BLOCK, &[slot.clone(), slot]).unwrap();
        let roles: Vec<Role> = layout.partitions.iter().map(|placed| placed.role).collect();
        let number = |role| 1 + roles.iter().position(|found| *found == role).unwrap() as u32;
        for (index, name) in [SlotName::A, SlotName::B].into_iter().enumerate() {
            let found = SlotName::of_partitions(number(Role::Verity(index)), number(Role::Root(index)));
            assert_eq!(found, Some(name));
        }
    }

    #[test]
    fn sizes_that_no_partition_can_have_are_refused() {
        assert!(matches!(lay_out(0, &[]), Err(LayoutError::Size { .. })));
        assert!(matches!(lay_out(4097, &[]), Err(LayoutError::Size { .. })));
        assert_eq!(lay_out(u64::MAX - 4095, &[]), Err(LayoutError::TooLarge));
    }

    proptest! {
        #[test]
        fn partitions_are_aligned_inside_the_disk_and_never_overlap(
            esp in 1_u64..100_000,
            slots in proptest::collection::vec((1_u64..10_000, 1_u64..1_000_000), 0..4),
        ) {
            let slots: Vec<Slot> = slots
                .into_iter()
                .map(|(verity, root)| Slot {
                    verity_size: verity * BLOCK,
                    root_size: root * BLOCK,
                    empty_guids: [[0; 16]; 2],
                })
                .collect();
            let layout = lay_out(esp * BLOCK, &slots).unwrap();
            let mut end = 34 * SECTOR;
            for placed in &layout.partitions {
                prop_assert!(placed.offset.is_multiple_of(ALIGNMENT));
                prop_assert!(placed.offset >= end);
                end = placed.offset + placed.size;
            }
            prop_assert!(end + BACKUP <= layout.disk_size);
            prop_assert!(layout.disk_size.is_multiple_of(ALIGNMENT));
            prop_assert_eq!(layout.partitions.len(), 1 + 2 * slots.len());
        }
    }
}
