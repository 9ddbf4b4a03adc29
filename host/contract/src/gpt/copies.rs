//! The two copies of a disk's table, what is done when one is bad, and how both are changed.

use std::{error::Error, fmt};

use super::{
    header::{DiskSize, Header},
    table::{Partition, Table, TableError},
};
use crate::Guid;

/// Where the primary copy stands: its header, and its entries when nobody says otherwise.
const PRIMARY: u64 = 1;
const PRIMARY_ENTRIES: u64 = 2;
/// Of a new table, as UEFI has it at the least.
const ENTRIES: usize = 128;
const ENTRY_SIZE: usize = 128;

/// One of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That in front of the partitions.
    Primary,
    /// That behind them.
    Backup,
}

/// One thing that is done to the disk so that its table changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A sector is written.
    Write {
        /// Its number.
        sector: u64,
        /// Its content, as long as a sector.
        bytes: Vec<u8>,
    },
    /// All that was written so far reaches the disk.
    Flush,
}

/// Both copies of a disk's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    size: DiskSize,
    /// Where the entries of the primary and the backup begin, and where the header of the backup stands.
    entries_at: [u64; 2],
    backup_at: u64,
    copies: [Result<Table, TableError>; 2],
}

/// Neither copy can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with the primary copy.
    pub primary: TableError,
    /// What is wrong with the backup.
    pub backup: TableError,
}

impl Copies {
    /// Reads both copies. `read` gives so many bytes from a sector on.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<E>(size: DiskSize, mut read: impl FnMut(u64, usize) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let end = size.sectors.saturating_sub(1);
        let primary = copy(size, PRIMARY, &mut read)?;
        // A disk that has grown has its backup where the primary says; without one, the kernel looks at the end.
        let backup_at = primary
            .as_ref()
            .map_or(end, |(header, _)| header.other.clamp(header.usable[1].saturating_add(1).min(end), end));
        let backup = copy(size, backup_at, &mut read)?;
        let entry_sectors = [&primary, &backup].into_iter().find_map(|copy| copy.as_ref().ok());
        let entry_sectors = entry_sectors.map_or(0, |(header, _)| sectors(size, header.entry_bytes));
        let entries_at = [
            primary.as_ref().map_or(PRIMARY_ENTRIES, |(header, _)| header.entries_at),
            backup.as_ref().map_or(backup_at.saturating_sub(entry_sectors), |(header, _)| header.entries_at),
        ];
        Ok(Copies { size, entries_at, backup_at, copies: [primary, backup].map(|copy| copy.map(|(_, table)| table)) })
    }

    /// The table that counts: the primary copy, or the backup when that is bad, as firmware and kernel have it.
    ///
    /// # Errors
    /// When both are bad.
    pub fn table(&self) -> Result<&Table, Unreadable> {
        let [primary, backup] = &self.copies;
        primary
            .as_ref()
            .or_else(|first| backup.as_ref().map_err(|second| (first, second)))
            .map_err(|(primary, backup)| Unreadable { primary: *primary, backup: *backup })
    }

    /// A copy on its own.
    pub fn copy(&self, which: Which) -> &Result<Table, TableError> {
        &self.copies[which as usize]
    }

    /// The copy that is bad or differs from the table that counts; `None` when both say the same.
    pub fn bad(&self) -> Option<Which> {
        let table = self.table().ok()?;
        [Which::Primary, Which::Backup].into_iter().find(|which| self.copy(*which).as_ref() != Ok(table))
    }

    /// What makes both copies say what the table that counts says; nothing when they do.
    ///
    /// # Errors
    /// When both are bad.
    pub fn mend(&self) -> Result<Vec<Step>, Unreadable> {
        let table = self.table()?;
        Ok(self.bad().map(|which| self.write(which, self.copy(which).as_ref().ok(), table)).unwrap_or_default())
    }

    /// What makes both copies say what `table` says, which was made from [`Copies::table`]: first the backup, then the
    /// primary, each whole before the other is begun. A bad copy is mended before.
    ///
    /// # Errors
    /// When both are bad.
    pub fn change(&self, table: &Table) -> Result<Vec<Step>, Unreadable> {
        let mut steps = self.mend()?;
        let old = self.table()?;
        if table != old {
            steps.extend(self.write(Which::Backup, Some(old), table));
            steps.extend(self.write(Which::Primary, Some(old), table));
        }
        Ok(steps)
    }

    /// These copies once both say what `table` says.
    pub fn with(&self, table: &Table) -> Self {
        Copies { copies: [Ok(table.clone()), Ok(table.clone())], ..self.clone() }
    }

    /// Entries, then the header, then a flush; `old` is what the copy says before that.
    fn write(&self, which: Which, old: Option<&Table>, table: &Table) -> Vec<Step> {
        let (at, other) = match which {
            Which::Primary => (PRIMARY, self.backup_at),
            Which::Backup => (self.backup_at, PRIMARY),
        };
        let entries_at = self.entries_at[which as usize];
        let header = Header {
            at,
            other,
            usable: table.usable,
            disk: table.disk,
            entries_at,
            entry_size: table.entry_size,
            entry_bytes: table.entries.len(),
            entries_checksum: table.checksum(),
        };
        // What is on the disk already is not written again: fewer sectors, fewer moments at which power can go.
        let old = old.map(|old| old.entries.as_slice());
        let mut steps = Vec::new();
        for (sector, bytes) in (entries_at..).zip(table.entries.chunks(self.size.sector)) {
            let start = (sector - entries_at) as usize * self.size.sector;
            if old.and_then(|old| old.get(start..start + bytes.len())) != Some(bytes) {
                let mut bytes = bytes.to_vec();
                bytes.resize(self.size.sector, 0);
                steps.push(Step::Write { sector, bytes });
            }
        }
        steps.push(Step::Write { sector: at, bytes: header.encode(self.size.sector) });
        steps.push(Step::Flush);
        steps
    }
}

impl Table {
    /// Reads the table that counts, as [`Copies::table`]; the backup only when the primary is bad.
    ///
    /// # Errors
    /// Those of `read`, and what is wrong with the primary copy when both are bad.
    pub fn read<E: From<TableError>>(
        size: DiskSize,
        mut read: impl FnMut(u64, usize) -> Result<Vec<u8>, E>,
    ) -> Result<Table, E> {
        let mut at = |sector| -> Result<Table, E> { Ok(copy(size, sector, &mut read)??.1) };
        at(PRIMARY).or_else(|first| at(size.sectors.saturating_sub(1)).map_err(|_| first))
    }

    /// What writes both copies of a table to a disk that has none. Its entries are 128 of 128 bytes.
    pub fn create(size: DiskSize, disk: Guid, partitions: &[Partition]) -> Vec<Step> {
        let entry_sectors = sectors(size, ENTRIES * ENTRY_SIZE);
        let end = size.sectors.saturating_sub(1);
        let (first, last) = (PRIMARY_ENTRIES + entry_sectors, end.saturating_sub(entry_sectors + 1));
        let table = Table::new(disk, [first, last], ENTRIES, partitions);
        let copies = Copies {
            size,
            entries_at: [PRIMARY_ENTRIES, last + 1],
            backup_at: end,
            copies: [Err(TableError::None), Err(TableError::None)],
        };
        let mut steps = copies.write(Which::Backup, None, &table);
        steps.extend(copies.write(Which::Primary, None, &table));
        steps
    }
}

/// Reads the copy whose header is in a sector.
fn copy<E>(
    size: DiskSize,
    at: u64,
    read: &mut impl FnMut(u64, usize) -> Result<Vec<u8>, E>,
) -> Result<Result<(Header, Table), TableError>, E> {
    let header = match Header::parse(&read(at, size.sector)?, at) {
        Ok(header) if fits(size, &header) => header,
        Ok(_) => return Ok(Err(TableError::Damaged)),
        Err(error) => return Ok(Err(error)),
    };
    let entries = read(header.entries_at, header.entry_bytes)?;
    Ok(Table::parse(&header, entries).map(|table| (header, table)))
}

fn sectors(size: DiskSize, bytes: usize) -> u64 {
    bytes.div_ceil(size.sector) as u64
}

/// Whether a header and its entries lie on the disk, and where no partition can be: they are written again.
fn fits(size: DiskSize, header: &Header) -> bool {
    let [first, last] = header.usable;
    let is_apart = |at: u64, end: u64| first <= last && (end <= first || at > last);
    let Some(end) = header.entries_at.checked_add(sectors(size, header.entry_bytes)) else { return false };
    header.entries_at >= PRIMARY_ENTRIES
        && end <= size.sectors
        && is_apart(header.entries_at, end)
        && is_apart(header.at, header.at + 1)
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "neither copy of the partition table can be read: of the primary, {}; of the backup, {}",
            self.primary, self.backup
        )
    }
}

impl Error for Unreadable {}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        Guid,
        gpt::{Label, Partition},
    };

    pub(crate) const SIZE: DiskSize = DiskSize { sector: 512, sectors: 4096 };
    /// Few entries, so that every part of what is written can be tried.
    const FEW: usize = 8;

    /// A disk, sector by sector; what was never written is zero.
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
    pub(crate) struct Disk(pub BTreeMap<u64, Vec<u8>>);

    impl Disk {
        /// A disk with these partitions, in a table of few entries.
        pub(crate) fn with(partitions: &[Partition]) -> Disk {
            let table = Table::new(Guid::from_number(9), [34, SIZE.sectors - 34], FEW, partitions);
            let copies = Copies {
                size: SIZE,
                entries_at: [2, SIZE.sectors - 1 - FEW as u64 / 4],
                backup_at: SIZE.sectors - 1,
                copies: [Err(TableError::None), Err(TableError::None)],
            };
            let mut disk = Disk::default();
            for which in [Which::Backup, Which::Primary] {
                copies.write(which, None, &table).iter().for_each(|step| disk.perform(step));
            }
            disk
        }

        pub(crate) fn perform(&mut self, step: &Step) {
            if let Step::Write { sector, bytes } = step {
                assert_eq!(bytes.len(), SIZE.sector);
                self.0.insert(*sector, bytes.clone());
            }
        }

        pub(crate) fn copies(&self) -> Copies {
            let read = |sector: u64, bytes: usize| -> Result<Vec<u8>, ()> {
                let all = (sector..).take(bytes.div_ceil(SIZE.sector));
                let all = all.flat_map(|at| self.0.get(&at).cloned().unwrap_or_else(|| vec![0; SIZE.sector]));
                Ok(all.take(bytes).collect())
            };
            Copies::read(SIZE, read).unwrap()
        }
    }

    fn guid(number: u128) -> Guid {
        Guid::from_number(number)
    }

    fn partitions() -> [Partition; 2] {
        [(1, [40, 99], "esp"), (2, [100, 199], "grün")].map(|(number, [first, last], label)| Partition {
            number,
            kind: guid(1),
            identity: guid(u128::from(number) + 2),
            first,
            last,
            attributes: 1 << 60,
            label: Label::new(label).unwrap(),
        })
    }

    fn disk() -> Disk {
        Disk::with(&partitions())
    }

    #[test]
    fn a_new_table_has_the_partitions_that_were_given_in_both_copies() {
        let mut disk = Disk::default();
        Table::create(SIZE, guid(9), &partitions()).iter().for_each(|step| disk.perform(step));
        let copies = disk.copies();
        assert_eq!(copies.table().unwrap().partitions().collect::<Vec<_>>(), partitions());
        assert_eq!((copies.bad(), disk.0.len()), (None, 66));
    }

    #[test]
    fn partitions_are_numbered_by_their_place() {
        let copies = disk().copies();
        let found: Vec<Partition> = copies.table().unwrap().partitions().collect();
        let labels: Vec<String> = found.iter().map(|partition| partition.label.to_string()).collect();
        assert_eq!(labels, ["esp", "grün"]);
        assert_eq!((found[1].number, found[1].sectors(), found[1].identity), (2, 100, guid(4)));
        assert_eq!(copies.bad(), None);
        assert_eq!(copies.mend(), Ok(Vec::new()));
    }

    #[test]
    fn either_copy_is_mended_from_the_other_byte_for_byte() {
        let good = disk();
        for sector in [1, 2, SIZE.sectors - 3, SIZE.sectors - 1] {
            let mut bad = good.clone();
            bad.0.get_mut(&sector).unwrap()[20] ^= 1;
            let copies = bad.copies();
            assert_eq!(copies.table(), good.copies().table(), "sector {sector}");
            let which = if sector < 100 { Which::Primary } else { Which::Backup };
            assert_eq!(copies.bad(), Some(which));
            copies.mend().unwrap().iter().for_each(|step| bad.perform(step));
            assert_eq!(bad, good, "sector {sector}");
        }
        let mut none = good.clone();
        none.0.insert(1, vec![0; 512]);
        none.0.get_mut(&(SIZE.sectors - 1)).unwrap()[0] ^= 1;
        assert_eq!(none.copies().mend(), Err(Unreadable { primary: TableError::None, backup: TableError::None }));
    }

    /// Whatever of the writes between two flushes has reached the disk when power goes, the table is the old one or the
    /// new one, and mending brings both copies to it.
    #[test]
    fn a_change_that_is_cut_anywhere_leaves_the_old_table_or_the_new_one() {
        let old = disk();
        let mut table = old.copies().table().unwrap().clone();
        assert!(table.name(2, guid(7), &Label::new("new").unwrap()));
        assert!(!table.name(3, guid(7), &Label::new("none").unwrap()));
        // Also from a disk whose primary or backup was bad before.
        for broken in [None, Some(1), Some(SIZE.sectors - 1)] {
            let mut start = old.clone();
            if let Some(sector) = broken {
                start.0.insert(sector, vec![0xff; 512]);
            }
            let before = start.copies();
            let steps = before.change(&table).unwrap();
            let mut cuts = 0;
            for cut in every_cut(&start, &steps) {
                let copies = cut.copies();
                let found = copies.table().unwrap();
                assert!(found == &table || Ok(found) == before.table(), "{broken:?}");
                let mut mended = cut.clone();
                copies.mend().unwrap().iter().for_each(|step| mended.perform(step));
                assert_eq!(mended.copies().bad(), None);
                assert_eq!(mended.copies().table().unwrap(), found);
                cuts += 1;
            }
            assert!(cuts > steps.len(), "{cuts}");
            let mut end = start.clone();
            steps.iter().for_each(|step| end.perform(step));
            assert_eq!(end.copies().table(), Ok(&table));
            assert_eq!(end.copies().bad(), None);
        }
    }

    /// Every disk that a cut may leave: of what was written since the last flush any part may be there.
    fn every_cut(start: &Disk, steps: &[Step]) -> Vec<Disk> {
        let (mut disks, mut durable) = (Vec::new(), start.clone());
        for group in steps.split_inclusive(|step| *step == Step::Flush) {
            for part in 0..1_u32 << (group.len() - 1) {
                let mut disk = durable.clone();
                let kept = group.iter().enumerate().filter(|(at, _)| part >> at & 1 == 1);
                kept.for_each(|(_, step)| disk.perform(step));
                disks.push(disk);
            }
            group.iter().for_each(|step| durable.perform(step));
        }
        disks
    }

    #[test]
    fn a_copy_that_says_something_else_is_brought_to_what_counts_before_it_is_changed() {
        let mut disk = disk();
        let mut table = disk.copies().table().unwrap().clone();
        assert!(table.name(1, guid(7), &Label::new("x").unwrap()));
        // Power went when the backup was written and the primary was not; then the same is wanted again.
        let steps = disk.copies().change(&table).unwrap();
        let first = steps.iter().position(|step| *step == Step::Flush).unwrap();
        steps[..first].iter().for_each(|step| disk.perform(step));
        assert_eq!(disk.copies().bad(), Some(Which::Backup));
        disk.copies().change(&table).unwrap().iter().for_each(|step| disk.perform(step));
        assert_eq!((disk.copies().table(), disk.copies().bad()), (Ok(&table), None));
    }

    #[test]
    fn entries_that_lie_outside_the_disk_or_among_partitions_are_not_read() {
        let mut disk = disk();
        let mut header = Header::parse(&disk.0[&1], 1).unwrap();
        for at in [0, 1, 33, 100, SIZE.sectors - 1, u64::MAX] {
            header.entries_at = at;
            disk.0.insert(1, header.encode(512));
            assert_eq!(disk.copies().copy(Which::Primary), &Err(TableError::Damaged), "{at}");
        }
    }
}
