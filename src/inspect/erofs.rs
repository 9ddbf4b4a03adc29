//! An EROFS image as a part of a file, read piece by piece: what it says of itself never decides how much memory is
//! used.

use std::{
    fs::File,
    future::{Future, ready},
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use erofs_rs::{
    Error,
    r#async::{EroFS, WalkDirEntry},
    backend::AsyncImage,
    types::{Inode, Layout},
};

use crate::{content::RelPath, image::extent, plan::layout::BLOCK};

/// More files than brc writes into a root are not read.
const MAX_PATHS: usize = 500_000;
/// All paths together have no more bytes than this.
const MAX_PATH_BYTES: usize = 256 << 20;
/// All extended attributes and links together have no more bytes than this; inodes may share what they have.
const MAX_TEXT_BYTES: usize = 128 << 20;
/// The number of an inode counts slots of so many bytes.
const INODE_SLOT: u64 = 32;
/// Where the number of compressed blocks stands in an inode of either kind.
const COMPRESSED_BLOCKS: u64 = 16;
/// A longer link is not read (`PATH_MAX` of Linux).
const MAX_LINK_BYTES: u64 = 4096;

/// The part of a file that holds the file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub file: &'a File,
    pub start: u64,
    pub size: u64,
}

impl AsyncImage for Stretch<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> impl Future<Output = Result<(), Error>> + Send {
        let end = offset.checked_add(buffer.len() as u64);
        ready(match end.filter(|end| *end <= self.size) {
            Some(_) => extent::read(self.file, buffer, self.start + offset).map_err(Error::from),
            None => Err(Error::OutOfBounds(format!("byte {offset} is behind the end"))),
        })
    }
}

/// A file system and everything that has a path in it.
pub(super) struct FileSystem<'a> {
    image: Stretch<'a>,
    erofs: EroFS<Stretch<'a>>,
    /// The inodes, the root folder first.
    pub inodes: Vec<(RelPath, Inode)>,
    /// The bytes of attributes and links that were read.
    text_bytes: AtomicUsize,
}

impl<'a> FileSystem<'a> {
    /// Reads every folder.
    ///
    /// # Errors
    /// Whatever is no EROFS, or larger than what brc writes.
    pub(super) fn open(image: Stretch<'a>) -> Result<Self, String> {
        let erofs = now(EroFS::new(image)).map_err(told)?;
        let root = now(erofs.get_inode(erofs.super_block().root_inode_id())).map_err(told)?;
        let mut inodes = vec![(RelPath::ROOT, root)];
        let mut walk = now(erofs.walk_dir("/")).map_err(told)?;
        let mut path_bytes = 0;
        while let Some(entry) = now(walk.next_entry()) {
            let WalkDirEntry { dir_entry, inode, .. } = entry.map_err(told)?;
            let path = RelPath::from_archive(&dir_entry.path().to_string_lossy()).map_err(|error| error.to_string())?;
            path_bytes += path.as_str().len();
            if inodes.len() >= MAX_PATHS || path_bytes > MAX_PATH_BYTES {
                return Err(format!("it has more than {MAX_PATHS} paths, or more than 256 MiB of them"));
            }
            inodes.push((path, inode));
        }
        drop(walk);
        Ok(FileSystem { image, erofs, inodes, text_bytes: AtomicUsize::new(0) })
    }

    /// How many bytes of the image hold the content of a file: whole blocks, as it is compressed. What is so small that it
    /// stands in the inode itself counts with its own size.
    pub(super) fn stored_bytes(&self, inode: Inode) -> Result<u64, String> {
        let size = inode.data_size();
        match inode.layout() {
            Some(Layout::CompressedFull | Layout::CompressedCompact) => {
                let blocks = self.compressed_blocks(inode)?;
                Ok(u64::from(blocks).saturating_mul(BLOCK).min(self.image.size))
            }
            Some(Layout::FlatInline) => Ok(size),
            _ => Ok(size.checked_next_multiple_of(BLOCK).unwrap_or(size)),
        }
    }

    /// Of a compressed file the inode says how many blocks it has (erofs_fs.h, `i_u.compressed_blocks`).
    fn compressed_blocks(&self, inode: Inode) -> Result<u32, String> {
        let metadata = u64::from(self.erofs.super_block().meta_blk_addr) * BLOCK;
        let at = inode.id().checked_mul(INODE_SLOT).and_then(|at| at.checked_add(metadata + COMPRESSED_BLOCKS));
        let mut count = [0; 4];
        let at = at.ok_or_else(|| "an inode stands nowhere".to_owned())?;
        now(self.image.read_exact_at(&mut count, at)).map_err(told)?;
        Ok(u32::from_le_bytes(count))
    }

    /// The extended attributes of an inode.
    pub(super) fn attributes(&self, inode: Inode) -> Result<Vec<(Vec<u8>, Vec<u8>)>, String> {
        let found: Vec<(Vec<u8>, Vec<u8>)> = now(self.erofs.xattrs_inode(inode)).map_err(told)?.into_iter().collect();
        self.count(found.iter().map(|(name, value)| name.len() + value.len()).sum())?;
        Ok(found)
    }

    /// The text of a link.
    pub(super) fn link(&self, inode: Inode) -> Result<String, String> {
        if inode.data_size() > MAX_LINK_BYTES {
            return Err(format!("a link of {} bytes", inode.data_size()));
        }
        let target = now(self.erofs.read_link_inode(inode)).map_err(told)?.to_string_lossy().into_owned();
        self.count(target.len())?;
        Ok(target)
    }

    fn count(&self, bytes: usize) -> Result<(), String> {
        match self.text_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) {
            0..=MAX_TEXT_BYTES => Ok(()),
            _ => Err("its extended attributes and links have more than 128 MiB".to_owned()),
        }
    }

    /// Gives the bytes of a file to `take`, piece by piece.
    pub(super) fn read(&self, inode: Inode, mut take: impl FnMut(&[u8])) -> Result<(), String> {
        let mut file = self.erofs.open_inode_file(inode).map_err(told)?;
        let mut piece = vec![0; 1 << 16];
        loop {
            match now(file.read(&mut piece)).map_err(told)? {
                0 => return Ok(()),
                count => take(&piece[..count]),
            }
        }
    }
}

fn told(error: Error) -> String {
    error.to_string()
}

/// What a future gives that waits for nothing: every read here is done when it is asked for.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}
