//! The size of an ESP: there must always be room for an update.

use brc_contract::{partition::MAX_ESP_BYTES, well_known::UKI_FOLDER};

use super::fat::{Geometry, MIN_CLUSTERS, SECTOR_BYTES};
use crate::{
    content::{RelPath, rel_path},
    plan::layout::ALIGNMENT,
};

/// Unified kernel images that an ESP must hold at once: both slots', and one that is being written.
const KERNELS: u64 = 3;
/// Bytes that are left for what hosts write: loader settings, keys, a random seed.
const MARGIN: u64 = 4 << 20;

/// The smallest ESP in bytes, a multiple of a megabyte, that holds `files` (paths and sizes) with room for updates.
pub fn needed_size(files: &[(RelPath, u64)]) -> u64 {
    let kernels = rel_path!(UKI_FOLDER);
    let in_all: u64 = files
        .iter()
        .map(|(path, size)| if path.below(&kernels).is_some() { size.saturating_mul(KERNELS) } else { *size })
        .fold(MARGIN, u64::saturating_add);
    let smallest = (MIN_CLUSTERS * SECTOR_BYTES).max(in_all);
    // Tables take 8 bytes a cluster, at most a sixty-fourth of the space; a few rounds settle it.
    let mut size = smallest.next_multiple_of(ALIGNMENT);
    while size < MAX_ESP_BYTES && !holds(size, in_all) {
        size += ALIGNMENT;
    }
    size
}

fn holds(size: u64, bytes: u64) -> bool {
    Geometry::of(size).is_some_and(|geometry| geometry.clusters * geometry.cluster_bytes() >= bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_esp_has_room_for_three_kernels() {
        let file = |path: &str, size: u64| (RelPath::new(path).unwrap(), size);
        assert_eq!(needed_size(&[]), 33 << 20);
        let files = [file("EFI/Linux/a.efi", 50 << 20), file("EFI/BOOT/BOOTX64.EFI", 1 << 20)];
        let size = needed_size(&files);
        assert!((155 << 20..160 << 20).contains(&size), "{size}");
        assert!(holds(size, 155 << 20));
    }
}
