//! An EFI system partition.

use crate::{
    content::RelPath,
    plan::{
        FileOf,
        walk::{Kind, Walk, names},
    },
};

/// A FAT32 EFI system partition. Output: `esp` (a file `esp.img`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Esp<T> {
    /// The files, by path.
    pub files: Vec<BootFile<T>>,
    /// The size of the partition in bytes, which is the file's; `None` takes three times the files under
    /// `EFI/Linux`, the others, and a margin, so that an update always has room.
    pub size: Option<u64>,
    /// The FAT volume id.
    pub volume_id: u32,
    /// Seconds since 1970 that every file shows.
    pub epoch: u64,
}

/// A file on the ESP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BootFile<T> {
    /// Where it stands: `EFI/BOOT/BOOTX64.EFI`.
    pub to: RelPath,
    /// What it holds.
    pub from: FileOf<T>,
}

impl<T> BootFile<T> {
    pub(super) fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<BootFile<U>, E> {
        let to = walk.named_path("to", &self.to);
        let file = BootFile { to, from: walk.file("from", &self.from)? };
        walk.about_all();
        Ok(file)
    }
}

impl<T> Kind<T> for Esp<T> {
    type With<U> = Esp<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("esp", 2)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Esp<U>, E> {
        Ok(Esp {
            files: walk.each(&self.files, |walk, file| file.walk(walk))?,
            size: self.size.map(|size| walk.number("size", size)),
            volume_id: walk.number("volume id", self.volume_id),
            epoch: walk.number("epoch", self.epoch),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["esp"])
    }
}
