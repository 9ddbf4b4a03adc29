//! Where the parts of a FAT32 file system lie.

/// The size of a sector in bytes.
pub const SECTOR_BYTES: u64 = 512;
/// The fewest clusters of a FAT32 file system; with fewer, firmware reads it as FAT16.
pub const MIN_CLUSTERS: u64 = 65_525;
/// The most clusters: numbers from 0x0ffffff7 on have a meaning, and the first two are not clusters.
const MAX_CLUSTERS: u64 = 0x0fff_fff5;
/// Sectors before the first table: boot sector, FSInfo and their backups.
const RESERVED_SECTORS: u64 = 32;
/// The largest cluster in sectors: 4096 bytes, above which EFI loaders gain nothing.
const MAX_CLUSTER_SECTORS: u64 = 8;
/// Sectors of a table are a multiple of this, so that clusters start at multiples of 4096 bytes.
const TABLE_GRAIN: u64 = 8;

/// Sizes of a FAT32 file system with two tables, in sectors of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// All sectors.
    pub sectors: u64,
    /// Sectors of one cluster.
    pub cluster_sectors: u64,
    /// Sectors before the first table.
    pub reserved: u64,
    /// Sectors of one table.
    pub table: u64,
    /// Clusters; the first has number 2.
    pub clusters: u64,
}

impl Geometry {
    /// The geometry of a file system of `size` bytes, with the largest cluster up to 4096 bytes that leaves
    /// [`MIN_CLUSTERS`]; `None` when even the smallest does not, or there are more than FAT32 has numbers for.
    pub fn of(size: u64) -> Option<Self> {
        let sectors = size / SECTOR_BYTES;
        u32::try_from(sectors).ok()?;
        let mut cluster_sectors = MAX_CLUSTER_SECTORS;
        while cluster_sectors > 0 {
            let geometry = Self::with_cluster(sectors, cluster_sectors);
            if geometry.clusters > MAX_CLUSTERS {
                return None;
            }
            if geometry.clusters >= MIN_CLUSTERS {
                return Some(geometry);
            }
            cluster_sectors /= 2;
        }
        None
    }

    fn with_cluster(sectors: u64, cluster_sectors: u64) -> Self {
        // The table for as many clusters as there would be without tables is large enough, and little too large.
        let most = sectors.saturating_sub(RESERVED_SECTORS) / cluster_sectors;
        let table = ((most + 2) * 4).div_ceil(SECTOR_BYTES).next_multiple_of(TABLE_GRAIN);
        let clusters = sectors.saturating_sub(RESERVED_SECTORS + 2 * table) / cluster_sectors;
        Geometry { sectors, cluster_sectors, reserved: RESERVED_SECTORS, table, clusters }
    }

    /// The size of a cluster in bytes.
    pub fn cluster_bytes(&self) -> u64 {
        self.cluster_sectors * SECTOR_BYTES
    }

    /// Where the table with this index (0 or 1) starts, in bytes.
    pub fn table_offset(&self, index: u64) -> u64 {
        (self.reserved + index * self.table) * SECTOR_BYTES
    }

    /// Where a cluster starts, in bytes; its number is at least 2.
    pub fn cluster_offset(&self, cluster: u32) -> u64 {
        let data = (self.reserved + 2 * self.table) * SECTOR_BYTES;
        data + u64::from(cluster.saturating_sub(2)) * self.cluster_bytes()
    }

    /// The clusters that `bytes` bytes take.
    pub fn clusters_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_file_system_has_just_enough_clusters() {
        let smallest = (1..100_000).find(|sectors| Geometry::of(sectors * SECTOR_BYTES).is_some()).unwrap();
        assert_eq!(Geometry::of(smallest * SECTOR_BYTES).unwrap().clusters, MIN_CLUSTERS);
        assert_eq!(Geometry::of(u64::from(u32::MAX) * 1024), None);
        assert_eq!(Geometry::of(512 << 20).unwrap().cluster_bytes(), 4096);
    }

    proptest! {
        #[test]
        fn tables_have_a_number_for_every_cluster_and_clusters_lie_inside(size in 0_u64..(64 << 30)) {
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
