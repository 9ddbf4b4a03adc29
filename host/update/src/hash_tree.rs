//! A root and its hash tree, held against the root hash.
//!
//! Format: dm-verity, hash type 1, SHA-256, blocks of 4096 bytes (Linux, `Documentation/admin-guide/device-mapper/
//! verity.rst`; the superblock as in cryptsetup, `lib/verity/verity.c`). Levels stand top first.

use std::io::{self, Read};

use aws_lc_rs::digest::{Context, SHA256};

/// The bytes of a block, and of the superblock with what fills it up.
const BLOCK: usize = 4096;
/// The digests in a block.
const PER_BLOCK: u64 = (BLOCK / 32) as u64;
/// More levels than the largest root has.
const MAX_LEVELS: usize = 8;

/// A root and its hash tree do not belong together.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// One of them cannot be read.
    #[error("the {what} cannot be read back")]
    Read { what: &'static str, source: io::Error },
    /// The superblock is not the one of such a tree.
    #[error("the hash tree has no superblock of hash type 1 with SHA-256 and blocks of 4096 bytes")]
    Superblock,
    /// A block has another digest than the tree says.
    #[error("block {block} of level {level} (level 0 is the root's data) is not what the root hash stands for")]
    Block { level: usize, block: u64 },
}

/// Checks every block of a root by its tree, and the tree by the root hash; `root` and `tree` are read once, in order.
///
/// # Errors
/// What cannot be read, or the first block that is wrong.
pub fn check(root: &mut dyn Read, tree: &mut dyn Read, root_hash: &[u8; 32]) -> Result<(), TreeError> {
    let mut block = [0; BLOCK];
    let read_tree = |tree: &mut dyn Read, block: &mut [u8; BLOCK]| {
        tree.read_exact(block).map_err(|source| TreeError::Read { what: "hash tree", source })
    };
    read_tree(tree, &mut block)?;
    let Superblock { data_blocks, salt } = Superblock::parse(&block).ok_or(TreeError::Superblock)?;
    // From the top: the digests of a level's blocks are those that the level above holds.
    let mut above = vec![*root_hash];
    for (level, blocks) in levels(data_blocks).into_iter().enumerate().rev() {
        let mut digests = Vec::with_capacity((blocks * PER_BLOCK) as usize);
        for at in 0..blocks {
            read_tree(tree, &mut block)?;
            if above.get(at as usize) != Some(&digest(&salt, &block)) {
                return Err(TreeError::Block { level: level + 1, block: at });
            }
            digests.extend(block.chunks_exact(32).map(|digest| <[u8; 32]>::try_from(digest).unwrap_or_default()));
        }
        above = digests;
    }
    for at in 0..data_blocks {
        root.read_exact(&mut block).map_err(|source| TreeError::Read { what: "root", source })?;
        if above.get(at as usize) != Some(&digest(&salt, &block)) {
            return Err(TreeError::Block { level: 0, block: at });
        }
    }
    Ok(())
}

struct Superblock {
    data_blocks: u64,
    salt: Vec<u8>,
}

impl Superblock {
    fn parse(block: &[u8; BLOCK]) -> Option<Self> {
        let short = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        let salt = usize::from(u16::from_le_bytes([block[80], block[81]]));
        let fits = block.starts_with(b"verity\0\0")
            && (short(8), short(12), short(64), short(68)) == (1, 1, BLOCK as u32, BLOCK as u32)
            && block[32..64].starts_with(b"sha256\0")
            && salt <= 256;
        let data_blocks = u64::from(short(72)) | u64::from(short(76)) << 32;
        let fits = fits && data_blocks > 0 && data_blocks < 1 << 40 && levels(data_blocks).len() <= MAX_LEVELS;
        fits.then(|| Superblock { data_blocks, salt: block[88..88 + salt].to_vec() })
    }
}

/// How many blocks each level of a tree has, the lowest first.
fn levels(data_blocks: u64) -> Vec<u64> {
    let mut levels = vec![data_blocks.div_ceil(PER_BLOCK)];
    while let Some(last) = levels.last().copied().filter(|last| *last > 1) {
        levels.push(last.div_ceil(PER_BLOCK));
    }
    levels
}

fn digest(salt: &[u8], block: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(salt);
    context.update(block);
    context.finish().as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answer: 1025 blocks, block i filled with its number; made by veritysetup 2.6.1 with the salt 00 to 1f.
    const ROOT_HASH: &str = "7ee6e20d2ec84b9d31d5065067146088f4358962f13f08256f8d7e5e56a2746b";

    fn root() -> Vec<u8> {
        (0..1025_u32).flat_map(|block| vec![block as u8; BLOCK]).collect()
    }

    fn root_hash() -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&ROOT_HASH[2 * at..2 * at + 2], 16).unwrap())
    }

    fn tree(root: &[u8]) -> Vec<u8> {
        let salt: Vec<u8> = (0..32).collect();
        let mut superblock = [0; BLOCK];
        superblock[..8].copy_from_slice(b"verity\0\0");
        for (at, number) in [(8, 1_u32), (12, 1), (64, 4096), (68, 4096), (72, (root.len() / BLOCK) as u32)] {
            superblock[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        superblock[32..38].copy_from_slice(b"sha256");
        superblock[80] = 32;
        superblock[88..120].copy_from_slice(&salt);
        let mut levels: Vec<Vec<u8>> = Vec::new();
        let mut below = root.to_vec();
        loop {
            let mut level: Vec<u8> = below.chunks(BLOCK).flat_map(|block| digest(&salt, block)).collect();
            level.resize(level.len().div_ceil(BLOCK) * BLOCK, 0);
            let is_top = level.len() == BLOCK;
            levels.push(level.clone());
            if is_top {
                break;
            }
            below = level;
        }
        [superblock.to_vec(), levels.into_iter().rev().flatten().collect()].concat()
    }

    #[test]
    fn the_tree_that_veritysetup_makes_is_right_and_every_flip_in_it_or_the_root_is_found() {
        let (root, tree) = (root(), tree(&root()));
        assert_eq!(tree.len(), 45056);
        check(&mut root.as_slice(), &mut tree.as_slice(), &root_hash()).unwrap();
        for at in (0..root.len()).step_by(99_991) {
            let mut root = root.clone();
            root[at] ^= 1;
            let found = check(&mut root.as_slice(), &mut tree.as_slice(), &root_hash());
            assert!(matches!(found, Err(TreeError::Block { level: 0, block }) if block == (at / BLOCK) as u64), "{at}");
        }
        for at in (BLOCK..tree.len()).step_by(997) {
            let mut tree = tree.clone();
            tree[at] ^= 1;
            assert!(check(&mut root.as_slice(), &mut tree.as_slice(), &root_hash()).is_err(), "{at}");
        }
        let mut other = root_hash();
        other[31] ^= 1;
        let found = check(&mut root.as_slice(), &mut tree.as_slice(), &other);
        assert!(matches!(found, Err(TreeError::Block { level: 2, block: 0 })), "{found:?}");
    }

    #[test]
    fn what_is_cut_off_or_lies_in_its_superblock_is_refused() {
        let (root, good) = (root(), tree(&root()));
        for length in [0, 4095, 4096, 8192, 45055] {
            let found = check(&mut root.as_slice(), &mut &good[..length], &root_hash());
            assert!(matches!(found, Err(TreeError::Read { what: "hash tree", .. })), "{length}");
        }
        assert!(matches!(
            check(&mut &root[..4096], &mut good.as_slice(), &root_hash()),
            Err(TreeError::Read { what: "root", .. })
        ));
        for (at, byte) in [(0, 0), (8, 2), (12, 0), (65, 0), (72, 0), (76, 0xff), (79, 0xff), (32, b'x'), (81, 2)] {
            let mut bad = good.clone();
            bad[at] = byte;
            if at == 72 {
                bad[73] = 0;
            }
            let found = check(&mut root.as_slice(), &mut bad.as_slice(), &root_hash());
            assert!(found.is_err(), "byte {at}");
        }
    }
}
