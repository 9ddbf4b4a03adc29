//! The two slots of a disk and what is in them, as its partition table and its boot entries say.

use std::{error::Error, fmt};

use crate::{BootEntry, EntryName, ImageName, boot_order, gpt, partition};

/// The ending of a kernel image that is still being written: the loader looks at `.efi` alone.
pub(crate) const STAGED: &str = ".part";

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlotName {
    /// The slot that a new disk holds its image in.
    A,
    /// The other one.
    B,
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The label of its partitions; without one they do not agree.
    pub label: Option<String>,
    /// The root hash that its partitions' identities speak of, whether or not an image is there.
    pub root_hash: [u8; 32],
    /// How many sectors its hash and its root partition have.
    pub sectors: [u64; 2],
    /// The files on the ESP that start it, that which counts first. Power that goes at a wrong moment may leave two.
    pub entries: Vec<EntryName>,
}

/// Both slots of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    variant: String,
    slots: [Slot; 2],
    running: SlotName,
    staged: Vec<String>,
}

/// A disk has no two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSlots {
    /// The partition that is missing.
    pub number: u32,
}

impl SlotName {
    /// The number of its hash partition in the table, from 1; the ESP is the first.
    pub const fn hash_number(self) -> u32 {
        2 * self.index() as u32 + 2
    }

    /// The number of its root partition in the table.
    pub const fn root_number(self) -> u32 {
        self.hash_number() + 1
    }

    /// The slot that consists of the hash and the root partition with these numbers.
    pub fn of_partitions(hash: u32, root: u32) -> Option<Self> {
        [SlotName::A, SlotName::B].into_iter().find(|slot| (slot.hash_number(), slot.root_number()) == (hash, root))
    }

    /// The name that people read.
    pub const fn name(self) -> &'static str {
        match self {
            SlotName::A => "A",
            SlotName::B => "B",
        }
    }

    /// The slot that is not this one.
    pub const fn other(self) -> Self {
        match self {
            SlotName::A => SlotName::B,
            SlotName::B => SlotName::A,
        }
    }

    const fn index(self) -> usize {
        match self {
            SlotName::A => 0,
            SlotName::B => 1,
        }
    }
}

impl Slots {
    /// Reads the slots of a disk whose ESP has files of these `names` in its folder of kernel images.
    ///
    /// # Errors
    /// When one of their partitions is not there.
    pub fn read<'n>(
        variant: &str,
        table: &gpt::Table,
        names: impl IntoIterator<Item = &'n str>,
        running: SlotName,
    ) -> Result<Self, NoSlots> {
        let (mut entries, mut staged) = (Vec::new(), Vec::new());
        for name in names {
            entries.extend(EntryName::parse(name).ok());
            let stem = name.strip_suffix(STAGED).and_then(ImageName::parse);
            staged.extend(stem.filter(|image| image.variant == variant).map(|_| name.to_owned()));
        }
        entries.sort_by(|a, b| boot_order(&candidate(variant, a), &candidate(variant, b)));
        let slot = |name: SlotName| -> Result<Slot, NoSlots> {
            let part = |number| table.partition(number).ok_or(NoSlots { number });
            let (hash, root) = (part(name.hash_number())?, part(name.root_number())?);
            let label = (hash.label == root.label).then(|| root.label.to_string());
            let is_of_it =
                |entry: &&EntryName| label.as_ref().is_some_and(|label| entry.stem.eq_ignore_ascii_case(label));
            Ok(Slot {
                root_hash: partition::root_hash_of(root.identity, hash.identity),
                sectors: [hash.sectors(), root.sectors()],
                entries: entries.iter().filter(is_of_it).cloned().collect(),
                label,
            })
        };
        let slots = [slot(SlotName::A)?, slot(SlotName::B)?];
        Ok(Slots { variant: variant.to_owned(), slots, running, staged })
    }

    /// The variant that the machine runs.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// What a slot holds.
    pub fn slot(&self, name: SlotName) -> &Slot {
        &self.slots[name.index()]
    }

    /// The slot that runs.
    pub fn running(&self) -> SlotName {
        self.running
    }

    /// The files of updates that were not ended.
    pub fn staged(&self) -> &[String] {
        &self.staged
    }
}

impl Slot {
    /// The image that it is said to hold.
    pub fn image(&self) -> Option<ImageName> {
        ImageName::parse(self.label.as_deref().filter(|label| *label != partition::EMPTY_LABEL)?)
    }

    /// The entry that starts it.
    pub fn entry(&self) -> Option<&EntryName> {
        self.entries.first()
    }
}

/// An entry as the loader sees it: the version is that of its name, which is the one in its `.osrel`.
fn candidate(variant: &str, name: &EntryName) -> BootEntry {
    let version = ImageName::parse(&name.stem).map_or_else(String::new, |image| image.version);
    BootEntry { name: name.clone(), sort_key: variant.to_owned(), version }
}

impl fmt::Display for NoSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the disk has no partition {}: expected the hash and root partitions of two slots as 2 to 5",
            self.number
        )
    }
}

impl Error for NoSlots {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_known_by_the_numbers_of_its_partitions() {
        for ((hash, root), slot) in [
            ((2, 3), Some(SlotName::A)),
            ((4, 5), Some(SlotName::B)),
            ((3, 2), None),
            ((2, 5), None),
            ((0, 1), None),
            ((6, 7), None),
            ((u32::MAX, u32::MAX), None),
        ] {
            assert_eq!(SlotName::of_partitions(hash, root), slot, "{hash} {root}");
        }
    }
}
