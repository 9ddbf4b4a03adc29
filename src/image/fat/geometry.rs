//! Where the parts of a FAT32 file system lie.

/// The size of a sector in bytes.
pub const SECTOR_BYTES: u64 = 512;
/// The fewest clusters of a FAT32 file system; with fewer, firmware reads it as FAT16.
pub const MIN_CLUSTERS: u64 = 65_525;
/// The largest cluster in sectors: 4096 bytes, above which EFI loaders gain nothing.
pub const MAX_CLUSTER_SECTORS: u64 = 8;

/// One sector.
pub type Sector = [u8; SECTOR_BYTES as usize];

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
    /// What a boot sector says; `None` when it is not that of a FAT32 file system as brc makes them, that is with
    /// clusters of at most 4096 bytes, [`MIN_CLUSTERS`] or more of them, and two tables with a number for each.
    pub fn parse(boot: &Sector) -> Option<Self> {
        let number =
            |at: usize, len: usize| boot[at..at + len].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let is_fat32 = boot[82..90] == *b"FAT32   " && boot[510..] == [0x55, 0xaa];
        // Nothing may stand where FAT16 has its numbers of sectors and of entries of the root folder.
        let is_ours = number(11, 2) == SECTOR_BYTES && number(16, 1) == 2 && number(17, 4) == 0 && number(22, 2) == 0;
        let (cluster_sectors, reserved) = (number(13, 1), number(14, 2));
        let (sectors, table) = (number(32, 4), number(36, 4));
        if !is_fat32 || !is_ours || !cluster_sectors.is_power_of_two() || cluster_sectors > MAX_CLUSTER_SECTORS {
            return None;
        }
        let clusters = sectors.checked_sub(reserved + 2 * table)? / cluster_sectors;
        let has_numbers = table * SECTOR_BYTES >= (clusters + 2) * 4;
        let geometry = Geometry { sectors, cluster_sectors, reserved, table, clusters };
        (clusters >= MIN_CLUSTERS && has_numbers).then_some(geometry)
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
        self.table_offset(2) + u64::from(cluster.saturating_sub(2)) * self.cluster_bytes()
    }

    /// The clusters that `bytes` bytes take.
    pub fn clusters_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster_bytes())
    }
}
