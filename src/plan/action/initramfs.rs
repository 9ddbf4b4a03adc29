//! What a finished kernel is started with.

use crate::{
    content::RelPath,
    plan::{
        FileOf,
        walk::{Kind, Walk, names},
    },
};

/// What a finished kernel is started with, until it has its root: a cpio archive. Output: `initramfs` (a file
/// `initramfs.cpio`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Initramfs<T> {
    /// The output `boot` of `PackagedKernel`.
    pub boot: T,
    /// The output `modules` of the same.
    pub modules: T,
    /// The first program: a static one.
    pub init: FileOf<T>,
    /// The modules that are loaded, in order.
    pub load: Vec<Named<String>>,
    /// Files below `usr/lib/firmware`.
    pub firmware: Vec<Named<RelPath>>,
    /// Modules that drive disks, of which the kernel must have one, built in or loaded: those of the platform.
    pub disks: Vec<String>,
}

/// Something that a recipe names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named<N> {
    /// What it names.
    pub name: N,
    /// Where: `FILE:LINE`, for error messages. Not part of the key.
    pub origin: String,
}

impl<T> Kind<T> for Initramfs<T> {
    type With<U> = Initramfs<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("initramfs", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Initramfs<U>, E> {
        Ok(Initramfs {
            boot: walk.tree("boot", &self.boot)?,
            modules: walk.tree("modules", &self.modules)?,
            init: walk.file("init", &self.init)?,
            load: walk.each(&self.load, |walk, module| {
                Ok(Named { name: walk.text("load", &module.name), origin: walk.label(&module.origin) })
            })?,
            firmware: walk.each(&self.firmware, |walk, file| {
                Ok(Named { name: walk.path("firmware", &file.name), origin: walk.label(&file.origin) })
            })?,
            disks: walk.texts("disk", &self.disks),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["initramfs"])
    }
}
