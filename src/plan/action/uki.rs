//! A unified kernel image, not bound to a root yet.

use brc_contract::Architecture;

use crate::plan::{
    FileOf,
    walk::{Kind, Walk, names},
};

/// A unified kernel image that is not bound to a root yet. Output: `uki` (a file `uki.efi`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uki<T> {
    /// The EFI stub.
    pub stub: FileOf<T>,
    /// The kernel.
    pub kernel: FileOf<T>,
    /// The text of `.osrel`.
    pub os_release: String,
    /// The kernel's release, one line, for `.uname`.
    pub release: FileOf<T>,
    /// What a finished kernel is started with.
    pub initramfs: Option<FileOf<T>>,
    /// The command line; for `{root-partition}`, `{hash-partition}`, `{sectors}`, `{blocks}`, `{root-hash}` and
    /// `{salt}` see `BoundUki`.
    pub command_line: String,
    /// The machine it is for.
    pub architecture: Architecture,
}

impl<T> Kind<T> for Uki<T> {
    type With<U> = Uki<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("uki", 2)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Uki<U>, E> {
        Ok(Uki {
            stub: walk.file("stub", &self.stub)?,
            kernel: walk.file("kernel", &self.kernel)?,
            os_release: walk.text("os-release", &self.os_release),
            release: walk.file("release", &self.release)?,
            initramfs: self.initramfs.as_ref().map(|file| walk.file("initramfs", file)).transpose()?,
            command_line: walk.text("command line", &self.command_line),
            architecture: walk.architecture(self.architecture),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["uki"])
    }
}
