//! A fresh FAT32 file system, as `fatfs` makes it.

use fatfs::FormatVolumeOptions;

use super::{
    geometry::{Geometry, MAX_CLUSTER_SECTORS, SECTOR_BYTES},
    sectors::Sectors,
};

/// Clusters start at multiples of this many sectors from the start of the file system: 4096 bytes.
const GRAIN: u64 = 8;
/// Sectors that are left for that; the tables are an even number of them.
const SPARE: u64 = GRAIN - 2;
/// Sectors before the first table that `fatfs` leaves.
const RESERVED: u64 = 8;
/// Where the copies of the boot sector and of FSInfo stand, which are the first two sectors.
const COPIES: u64 = 6;

/// A file system without files of `size` bytes, with the largest clusters up to 4096 bytes of which there are enough;
/// `None` when even the smallest are too few, or there are more than FAT32 has numbers for.
pub fn format(size: u64, id: u32, label: Option<[u8; 11]>) -> Option<(Sectors, Geometry)> {
    let sectors = (size / SECTOR_BYTES).checked_sub(SPARE)?;
    let mut cluster_sectors = MAX_CLUSTER_SECTORS;
    while cluster_sectors > 0 {
        if let Some((mut disk, geometry)) = with_clusters(size, sectors, cluster_sectors, id, label) {
            return align(&mut disk, &geometry).map(|geometry| (disk, geometry));
        }
        cluster_sectors /= 2;
    }
    None
}

/// A file system with clusters of this size, if FAT32 can have them: with too few of them `fatfs` makes FAT16 or FAT12.
fn with_clusters(
    size: u64,
    sectors: u64,
    cluster_sectors: u64,
    id: u32,
    label: Option<[u8; 11]>,
) -> Option<(Sectors, Geometry)> {
    let mut disk = Sectors::new(size);
    let options = FormatVolumeOptions::new()
        .total_sectors(u32::try_from(sectors).ok()?)
        .bytes_per_cluster((cluster_sectors * SECTOR_BYTES) as u32)
        .sectors_per_track(63)
        .heads(255)
        .volume_id(id);
    let options = if let Some(label) = label { options.volume_label(label) } else { options };
    fatfs::format_volume(&mut disk, options).ok()?;
    let geometry = Geometry::parse(disk.sector(0))?;
    Some((disk, geometry))
}

/// Moves tables and clusters up to [`SPARE`] sectors on, so that clusters start at multiples of [`GRAIN`].
///
/// `fatfs` has no option for it. Pages of memory and blocks of a disk have that size; a kernel image that is written over
/// another then touches no block by half.
fn align(disk: &mut Sectors, geometry: &Geometry) -> Option<Geometry> {
    let first = geometry.table_offset(2) / SECTOR_BYTES;
    let by = first.next_multiple_of(GRAIN) - first;
    disk.shift(RESERVED, by);
    let mut boot = *disk.sector(0);
    // There are fewer than 16 reserved sectors, and no more in all than the file system's size.
    boot[14..16].copy_from_slice(&((geometry.reserved + by) as u16).to_le_bytes());
    boot[32..36].copy_from_slice(&((geometry.sectors + by) as u32).to_le_bytes());
    disk.put(0, boot);
    Geometry::parse(&boot)
}

/// Copies the boot sector and FSInfo to where they are looked for when the first are damaged; `fatfs` copies the boot
/// sector alone.
pub fn copy_heads(disk: &mut Sectors) {
    for number in 0..2 {
        let sector = *disk.sector(number);
        disk.put(COPIES + number, sector);
    }
}

impl Geometry {
    /// The geometry of a file system of `size` bytes as it is written here; `None` as for [`format`].
    pub fn of(size: u64) -> Option<Self> {
        format(size, 0, None).map(|(_, geometry)| geometry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::geometry::MIN_CLUSTERS, *};

    #[test]
    fn the_smallest_file_system_has_just_enough_clusters() {
        let smallest = (66_000..68_000).find(|sectors| Geometry::of(sectors * SECTOR_BYTES).is_some()).unwrap();
        assert_eq!(Geometry::of(smallest * SECTOR_BYTES).unwrap().clusters, MIN_CLUSTERS);
        assert_eq!(Geometry::of(0), None);
        assert_eq!(Geometry::of(4 << 20), None);
        assert_eq!(Geometry::of(u64::from(u32::MAX) * 1024), None);
        assert_eq!(Geometry::of(512 << 20).unwrap().cluster_bytes(), 4096);
    }

    #[test]
    fn a_boot_sector_stands_twice_and_says_what_firmware_looks_for() {
        let (mut disk, _) = format(64 << 20, 0x1234_5678, None).unwrap();
        copy_heads(&mut disk);
        assert_eq!(disk.sector(0), disk.sector(6));
        assert_eq!(disk.sector(1), disk.sector(7));
        let boot = disk.sector(0);
        assert_eq!(boot[21], 0xf8, "a fixed disk");
        assert_eq!(boot[28..32], [0; 4], "hidden sectors");
        assert_eq!(boot[40..44], [0; 4], "both tables are kept, version 0");
        assert_eq!(boot[48..52], [1, 0, 6, 0], "FSInfo and the copy");
        assert_eq!(boot[67..82], *b"\x78\x56\x34\x12NO NAME    ");
    }

    proptest! {
        #[test]
        fn tables_have_a_number_for_every_cluster_and_clusters_lie_inside(size in 0_u64..(4 << 30)) {
            if let Some(geometry) = Geometry::of(size) {
                prop_assert!(geometry.table * SECTOR_BYTES >= (geometry.clusters + 2) * 4);
                prop_assert!(geometry.clusters >= MIN_CLUSTERS);
                let last = geometry.cluster_offset(geometry.clusters as u32 + 1) + geometry.cluster_bytes();
                prop_assert!(last <= size);
                prop_assert!(geometry.cluster_offset(2).is_multiple_of(4096));
            }
        }
    }
}
