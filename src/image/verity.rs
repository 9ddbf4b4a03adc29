//! dm-verity: the superblock and the hash tree of a file.
//!
//! Format: cryptsetup's `lib/verity/verity.c`, hash type 1; Linux, `device-mapper/verity.rst`. SHA-256, blocks of
//! 4096 bytes, salt before the block, levels top first behind a superblock that fills one block.

use std::{fs::File, io, os::unix::fs::FileExt};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::plan::layout::BLOCK;

/// The size of a block in memory.
pub const BLOCK_BYTES: usize = BLOCK as usize;
/// Digests in one block of the tree.
pub const DIGESTS_PER_BLOCK: u64 = BLOCK / 32;
/// The size of a digest in bytes.
const DIGEST_BYTES: usize = 32;
/// Blocks that one thread hashes at a time: 1 MiB, whose digests fill two blocks exactly.
pub const BLOCKS_PER_PIECE: u64 = 2 * DIGESTS_PER_BLOCK;
/// Blocks of one read: 128 KiB stay in a core's cache until they are hashed.
const BLOCKS_PER_READ: u64 = 32;
/// The bytes of the superblock that have a meaning; the rest of its block is zero.
const SUPERBLOCK_BYTES: usize = 512;

/// The digest that stands for a whole file, 32 bytes.
pub type RootHash = [u8; 32];

/// The head of a hash file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Names the file system of hashes.
    pub uuid: [u8; 16],
    /// The number of blocks that are hashed.
    pub data_blocks: u64,
    /// What is hashed before each block.
    pub salt: [u8; 32],
}

impl Superblock {
    /// The superblock as the block that starts a hash file.
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            block[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(b"verity\0\0");
        put(&1_u32.to_le_bytes()); // version
        put(&1_u32.to_le_bytes()); // hash type: salt before the block
        put(&self.uuid);
        put(b"sha256");
        put(&[0; 26]);
        put(&(BLOCK as u32).to_le_bytes()); // data block
        put(&(BLOCK as u32).to_le_bytes()); // hash block
        put(&self.data_blocks.to_le_bytes());
        put(&(self.salt.len() as u16).to_le_bytes());
        put(&[0; 6]);
        put(&self.salt);
        block
    }

    /// Reads the block that starts a hash file; every byte of it must be as [`Superblock::encode`] writes it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn decode(block: &[u8]) -> Result<Self, &'static str> {
        let field = |from: usize, len: usize| block.get(from..from + len).ok_or("it is shorter than 4096 bytes");
        if block.len() != BLOCK_BYTES {
            return Err("it is not 4096 bytes long");
        }
        if field(0, 8)? != b"verity\0\0" {
            return Err("it does not start with `verity`");
        }
        let mut superblock = Superblock { uuid: [0; 16], data_blocks: 0, salt: [0; 32] };
        superblock.uuid.copy_from_slice(field(16, 16)?);
        let mut number = [0; 8];
        number.copy_from_slice(field(72, 8)?);
        superblock.data_blocks = u64::from_le_bytes(number);
        superblock.salt.copy_from_slice(field(88, 32)?);
        let expected = superblock.encode();
        if block[..SUPERBLOCK_BYTES] != expected[..SUPERBLOCK_BYTES] {
            return Err(
                "a field is not what brc writes: version 1, type 1, sha256, 4096-byte blocks, 32 bytes of salt",
            );
        }
        if block != expected {
            return Err("the bytes behind it, up to 4096, are not zero");
        }
        Ok(superblock)
    }
}

/// One level of a tree: the digests of the blocks of the level below it (or of the data).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The block of the hash file at which the level starts.
    pub start: u64,
    /// Its blocks.
    pub blocks: u64,
}

/// The levels of the tree over `data_blocks` blocks, lowest first; none for a single block.
///
/// The top level, a single block, lies right behind the superblock, the lowest level last.
pub fn levels(data_blocks: u64) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut below = data_blocks;
    while below > 1 {
        below = below.div_ceil(DIGESTS_PER_BLOCK);
        levels.push(Level { start: 0, blocks: below });
    }
    let mut start = 1;
    for level in levels.iter_mut().rev() {
        level.start = start;
        start += level.blocks;
    }
    levels
}

/// The number of blocks of the hash file over `data_blocks` blocks, superblock included.
pub fn hash_blocks(data_blocks: u64) -> u64 {
    levels(data_blocks).iter().map(|level| level.blocks).sum::<u64>() + 1
}

/// Hashes blocks with one salt.
#[derive(Clone)]
pub struct BlockHasher(Sha256);

impl BlockHasher {
    /// A hasher of blocks behind `salt`.
    pub fn new(salt: &[u8; 32]) -> Self {
        BlockHasher(Sha256::new_with_prefix(salt))
    }

    /// The digest of a block.
    pub fn digest(&self, block: &[u8]) -> [u8; DIGEST_BYTES] {
        self.0.clone().chain_update(block).finalize().into()
    }
}

/// Writes the hash file of the first `superblock.data_blocks` blocks of `data` to `hash` and gives the root hash.
///
/// Memory is bounded by a megabyte for each thread: lower levels are read back from `hash`. `tell` gets the number
/// of bytes of data that are newly hashed and says whether to go on.
///
/// # Errors
/// `data` has no block at all, is shorter than said, cannot be read, or `hash` cannot be written; `Interrupted` when
/// `tell` said to stop.
pub fn write_hash_file(
    data: &File,
    superblock: &Superblock,
    hash: &File,
    tell: &(dyn Fn(u64) -> bool + Sync),
) -> io::Result<RootHash> {
    if superblock.data_blocks == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no block to hash"));
    }
    let hasher = BlockHasher::new(&superblock.salt);
    hash.write_all_at(&superblock.encode(), 0)?;
    let (mut input, mut start, mut blocks) = (data, 0, superblock.data_blocks);
    for (index, level) in levels(superblock.data_blocks).into_iter().enumerate() {
        let tell_level = |bytes| if index == 0 { tell(bytes) } else { tell(0) };
        hash_level(&hasher, input, (start, blocks), hash, level, &tell_level)?;
        (input, start, blocks) = (hash, level.start, level.blocks);
    }
    let mut top = [0; BLOCK_BYTES];
    input.read_exact_at(&mut top, start * BLOCK)?;
    Ok(hasher.digest(&top))
}

/// Hashes `blocks` blocks of `input` from block `start` on into `level`.
fn hash_level(
    hasher: &BlockHasher,
    input: &File,
    (start, blocks): (u64, u64),
    hash: &File,
    level: Level,
    tell: &(dyn Fn(u64) -> bool + Sync),
) -> io::Result<()> {
    let pieces = blocks.div_ceil(BLOCKS_PER_PIECE);
    (0..pieces).into_par_iter().try_for_each_init(Piece::default, |piece, number| {
        let first = number * BLOCKS_PER_PIECE;
        let count = BLOCKS_PER_PIECE.min(blocks - first);
        let digests = piece.digests(hasher, input, start + first, count)?;
        hash.write_all_at(digests, (level.start + first / DIGESTS_PER_BLOCK) * BLOCK)?;
        if tell(count * BLOCK) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    })
}

/// The buffers of one thread.
#[derive(Default)]
pub struct Piece {
    blocks: Vec<u8>,
    digests: Vec<u8>,
}

impl Piece {
    /// The digests of `count` blocks of `input` from block `first` on, padded with zeros to whole blocks.
    ///
    /// # Errors
    /// `input` cannot be read so far.
    pub fn digests(&mut self, hasher: &BlockHasher, input: &File, first: u64, count: u64) -> io::Result<&[u8]> {
        self.digests.clear();
        for from in (0..count).step_by(BLOCKS_PER_READ as usize) {
            self.blocks.resize((BLOCKS_PER_READ.min(count - from) * BLOCK) as usize, 0);
            input.read_exact_at(&mut self.blocks, (first + from) * BLOCK)?;
            for block in self.blocks.chunks(BLOCK_BYTES) {
                self.digests.extend(hasher.digest(block));
            }
        }
        self.digests.resize(self.digests.len().next_multiple_of(BLOCK_BYTES), 0);
        Ok(&self.digests)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;
    use crate::{content, plan::layout::hash_file_size};

    const UUID: [u8; 16] = *b"\x11\x11\x11\x11\x22\x22\x43\x33\x84\x44\x55\x55\x55\x55\x55\x55";

    fn hash_file(data_blocks: u64) -> (RootHash, Vec<u8>) {
        let mut data = tempfile::tempfile().unwrap();
        for block in 0..data_blocks {
            data.write_all(&[block as u8; BLOCK_BYTES]).unwrap();
        }
        let mut hash = tempfile::tempfile().unwrap();
        let superblock = Superblock { uuid: UUID, data_blocks, salt: std::array::from_fn(|at| at as u8) };
        let root = write_hash_file(&data, &superblock, &hash, &|_| true).unwrap();
        let mut bytes = Vec::new();
        hash.rewind().unwrap();
        hash.read_to_end(&mut bytes).unwrap();
        assert_eq!(Superblock::decode(&bytes[..BLOCK_BYTES]), Ok(superblock));
        assert_eq!(bytes.len() as u64, hash_blocks(data_blocks) * BLOCK);
        assert_eq!(bytes.len() as u64, hash_file_size(data_blocks * BLOCK));
        (root, bytes)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_hash_file_is_the_one_that_veritysetup_makes() {
        // veritysetup 2.6.1 and 2.7.5 made these: (blocks, root hash, SHA-256 of the hash file).
        for (blocks, root, file) in KNOWN {
            let (root_hash, bytes) = hash_file(blocks);
            assert_eq!(hex(&root_hash), root, "{blocks} blocks");
            assert_eq!(content::Sha256::of(&bytes).to_string(), file, "{blocks} blocks");
        }
    }

    const KNOWN: [(u64, &str, &str); 6] = [
        (
            1,
            "4ce3ecf32c133bf6321901b6092219474b6ac91a19d0304621d629e6bb9987dc",
            "643ebfd7e434c656e232d08859d2f5bdc84022dd72a3246c5ddcda59f65ec070",
        ),
        (
            2,
            "bd780675f50010ed023fd1f07e98f029a6aaf25a8f6ee33ec94b4b4e847e4b2e",
            "8ffd0e2f33d650dc59c907dad5706d83b15f763171341fb7b520d2cb9b251c7e",
        ),
        (
            128,
            "acb37719c99f3ac554ecbbccb8910616915a08e5a67bd3b9778694c60e673da4",
            "e92321db28b3e6c0d1893f09019872b1ca6aecf419743a809c5f012321e11f5c",
        ),
        (
            129,
            "6093a2333523050b628581510028976d3d3e9c62458642a83727e6df641397a4",
            "a8de47f03cf2490c8599c42f7533cf402a4aad2c5828b1b3c197efcecc0a1995",
        ),
        (
            1025,
            "7ee6e20d2ec84b9d31d5065067146088f4358962f13f08256f8d7e5e56a2746b",
            "3212818326405b20ec2359247ffc6d0bb7561273109abf5336a669b6517b9717",
        ),
        (
            16385,
            "79f007412b2fbb5ca8f1844db312806a82ba8fd15a05cf5eb2c7e8cbb4b427e1",
            "a0c441312bb83769bb3876c0c313967805ed409c6221cac1bf319ebe489fea13",
        ),
    ];

    #[test]
    fn a_changed_byte_of_a_superblock_is_refused_or_another_value() {
        let superblock = Superblock { uuid: UUID, data_blocks: 7, salt: [9; 32] };
        let block = superblock.encode();
        for at in 0..BLOCK_BYTES {
            let mut changed = block;
            changed[at] ^= 0x10;
            assert_ne!(Superblock::decode(&changed), Ok(superblock.clone()), "byte {at}");
        }
    }

    #[test]
    fn nothing_is_hashed_of_an_empty_file_and_hashing_stops_when_told() {
        let file = tempfile::tempfile().unwrap();
        let mut superblock = Superblock { uuid: UUID, data_blocks: 0, salt: [0; 32] };
        assert!(write_hash_file(&file, &superblock, &file, &|_| true).is_err());
        file.set_len(3 * BLOCK).unwrap();
        superblock.data_blocks = 3;
        let hash = tempfile::tempfile().unwrap();
        let stopped = write_hash_file(&file, &superblock, &hash, &|_| false).unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
    }
}
