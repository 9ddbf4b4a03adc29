//! The hash tree: every block of data and of the tree is hashed again.

use std::io;

use rayon::prelude::*;

use super::{
    Inspection,
    report::{Finding, Part},
    table::Partition,
};
use crate::{
    image::{
        extent,
        verity::{self, BLOCK_BYTES, BLOCKS_PER_PIECE, BlockHasher, DIGESTS_PER_BLOCK, RootHash, Superblock},
    },
    plan::layout::BLOCK,
};

/// A run of blocks in the image and where the digests of them are.
struct Row {
    part: Part,
    /// The byte of the image at which the row starts.
    start: u64,
    blocks: u64,
    /// The block of its partition at which the row starts.
    first: u64,
    /// The byte of the image at which the digests start.
    digests: u64,
}

impl Inspection<'_> {
    /// Hashes everything from the root hash down. Only blocks whose digests are whole are judged: of what stands
    /// below a damaged block of the tree nothing can be said.
    pub(super) fn hashes(
        &mut self,
        hash: &Partition,
        root: &Partition,
        superblock: &Superblock,
        root_hash: &RootHash,
    ) -> io::Result<()> {
        let data_blocks = superblock.data_blocks;
        let fits = |blocks: u64, partition: &Partition| blocks <= partition.size() / BLOCK;
        if data_blocks == 0 || !fits(data_blocks, root) || !fits(verity::hash_blocks(data_blocks), hash) {
            let problem = format!("the superblock says {data_blocks} data blocks, which do not fit the partitions");
            self.findings.add_at(Part::HashTree, hash.start, 0, problem);
            return Ok(());
        }
        self.figures.data_blocks = data_blocks;
        self.figures.hash_blocks = verity::hash_blocks(data_blocks) - 1;
        self.figures.root_partition_bytes = root.size();
        let hasher = BlockHasher::new(&superblock.salt);
        let mut levels = verity::levels(data_blocks);
        levels.reverse();
        self.top(&hasher, levels.first().map_or(root.start, |top| hash.start + top.start * BLOCK), root_hash, hash)?;
        for (index, level) in levels.iter().enumerate() {
            let digests = hash.start + level.start * BLOCK;
            let row = match levels.get(index + 1) {
                Some(below) => {
                    let (start, blocks) = (hash.start + below.start * BLOCK, below.blocks);
                    Row { part: Part::HashTree, start, blocks, first: below.start, digests }
                }
                None => Row { part: Part::Root, start: root.start, blocks: data_blocks, first: 0, digests },
            };
            let damaged = self.row(&hasher, &row)?;
            self.findings.extend(damaged);
        }
        self.zeros(Part::HashTree, hash.start + verity::hash_blocks(data_blocks) * BLOCK, hash.end())?;
        self.slack(root, data_blocks)
    }

    /// The single block at the top: its digest is the root hash.
    fn top(&mut self, hasher: &BlockHasher, offset: u64, root_hash: &RootHash, hash: &Partition) -> io::Result<()> {
        let mut block = [0; BLOCK_BYTES];
        extent::read(self.image, &mut block, offset)?;
        if hasher.digest(&block) != *root_hash {
            let problem = "the top block does not hash to the root hash that the partitions' identities say".to_owned();
            // A tree without levels has its only block in the root partition.
            let in_tree = offset >= hash.start && offset < hash.end();
            let (part, block) = if in_tree { (Part::HashTree, (offset - hash.start) / BLOCK) } else { (Part::Root, 0) };
            self.findings.add_at(part, offset, block, problem);
        }
        Ok(())
    }

    /// Bytes of the root partition behind the data must be zero.
    fn slack(&mut self, root: &Partition, data_blocks: u64) -> io::Result<()> {
        let from = root.start + data_blocks * BLOCK;
        if let Some(offset) = extent::first_nonzero(self.image, from, root.end())? {
            let problem = "a byte behind the data is not zero".to_owned();
            self.findings.add_at(Part::Root, offset, (offset - root.start) / BLOCK, problem);
        }
        Ok(())
    }

    /// Every block of the row that does not hash to its digest.
    fn row(&self, hasher: &BlockHasher, row: &Row) -> io::Result<Vec<Finding>> {
        let pieces = (0..row.blocks.div_ceil(BLOCKS_PER_PIECE)).into_par_iter();
        let found = pieces.map(|number| {
            let from = number * BLOCKS_PER_PIECE;
            let count = BLOCKS_PER_PIECE.min(row.blocks - from);
            let mut blocks = vec![0; (count * BLOCK) as usize];
            let mut digests = vec![0; (count.next_multiple_of(DIGESTS_PER_BLOCK) * 32) as usize];
            extent::read(self.image, &mut blocks, row.start + from * BLOCK)?;
            extent::read(self.image, &mut digests, row.digests + from * 32)?;
            let pairs = (from..).zip(blocks.chunks(BLOCK_BYTES).zip(digests.chunks(32)));
            let damaged = pairs.filter(|(_, (block, digest))| hasher.digest(block) != **digest);
            Ok(damaged.map(|(index, _)| finding(row, index)).collect::<Vec<Finding>>())
        });
        let found: io::Result<Vec<Vec<Finding>>> = found.collect();
        Ok(found?.concat())
    }
}

fn finding(row: &Row, index: u64) -> Finding {
    Finding {
        part: row.part,
        offset: Some(row.start + index * BLOCK),
        block: Some(row.first + index),
        problem: "the block does not hash to the digest that the tree has for it".to_owned(),
    }
}
