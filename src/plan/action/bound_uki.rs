//! A unified kernel image that names its root.

use crate::plan::{
    FileOf,
    walk::{Kind, Walk, names},
};

/// A unified kernel image whose command line names the root that it verifies. Output: `uki` (a file `uki.efi`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BoundUki<T> {
    /// The output of `Uki`.
    pub uki: FileOf<T>,
    /// The output of `Verity` that fills its command line in.
    pub verity: T,
    /// The salt of that output.
    pub salt: [u8; 32],
}

impl<T> Kind<T> for BoundUki<T> {
    type With<U> = BoundUki<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("bound uki", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<BoundUki<U>, E> {
        Ok(BoundUki {
            uki: walk.file("uki", &self.uki)?,
            verity: walk.tree("verity", &self.verity)?,
            salt: walk.bytes("salt", &self.salt),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["uki"])
    }
}
