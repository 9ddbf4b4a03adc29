//! A whole disk.

use brc_contract::Architecture;

use crate::plan::{
    FileOf,
    walk::{Kind, Walk, names},
};

/// A whole disk: GPT, ESP, slots. Output: `disk` (a file `disk.raw`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Disk<T> {
    /// The GPT's disk GUID, in text order.
    pub guid: [u8; 16],
    /// The ESP.
    pub esp: FileOf<T>,
    /// The ESP's partition GUID, in text order.
    pub esp_guid: [u8; 16],
    /// Slot A's root image.
    pub root: FileOf<T>,
    /// The output of `Verity` for it.
    pub verity: T,
    /// The slots, A first; the first is filled, others stay empty.
    pub slots: Vec<Slot>,
    /// The label of the filled slot's partitions, at most 36 UTF-16 units.
    pub label: String,
    /// The architecture, for the partitions' types.
    pub architecture: Architecture,
}

/// The sizes and identities of one slot's two partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The size of the hash partition in bytes.
    pub verity_size: u64,
    /// The size of the root partition in bytes.
    pub root_size: u64,
    /// What the partitions are called while the slot is empty: hash, then root, in text order.
    pub empty_guids: [[u8; 16]; 2],
}

impl Slot {
    fn walk<T, U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Slot {
        Slot {
            verity_size: walk.number("verity size", self.verity_size),
            root_size: walk.number("root size", self.root_size),
            empty_guids: self.empty_guids.map(|guid| walk.bytes("empty guid", &guid)),
        }
    }
}

impl<T> Kind<T> for Disk<T> {
    type With<U> = Disk<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("disk", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Disk<U>, E> {
        Ok(Disk {
            guid: walk.bytes("guid", &self.guid),
            esp: walk.file("esp", &self.esp)?,
            esp_guid: walk.bytes("esp guid", &self.esp_guid),
            root: walk.file("root", &self.root)?,
            verity: walk.tree("verity", &self.verity)?,
            slots: self.slots.iter().map(|slot| slot.walk(walk)).collect(),
            label: walk.text("label", &self.label),
            architecture: walk.architecture(self.architecture),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["disk"])
    }
}
