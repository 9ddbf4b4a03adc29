//! The dm-verity hash tree of a file.

use crate::plan::{
    FileOf,
    walk::{Kind, Walk, names},
};

/// The dm-verity hash tree of a file. Output: `verity` (files `hash`, `root-hash`, `data-blocks`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verity<T> {
    /// The data; a multiple of 4096 bytes.
    pub data: FileOf<T>,
    /// The salt, 32 bytes.
    pub salt: [u8; 32],
    /// The UUID of the superblock.
    pub uuid: [u8; 16],
}

impl<T> Kind<T> for Verity<T> {
    type With<U> = Verity<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("verity", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Verity<U>, E> {
        Ok(Verity {
            data: walk.file("data", &self.data)?,
            salt: walk.bytes("salt", &self.salt),
            uuid: walk.bytes("uuid", &self.uuid),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["verity"])
    }
}
