//! Blocks sent, several at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    blocks::{BLOCK_BYTES, Blocks, Disk},
    failure::AmiError,
    record::Begun,
    snapshot::{get, list, put},
    step::Step,
};
use crate::{content::Sha256, publish::aws::Aws};

/// What is sent where.
pub(super) struct Upload<'a> {
    pub aws: &'a Aws<'a>,
    pub disk: &'a Disk,
    pub snapshot: &'a str,
    /// All that has to be sent.
    pub changes: &'a Blocks,
    /// What was sent already.
    pub sent: &'a Blocks,
    pub begun: &'a Begun,
    /// How many at once.
    pub connections: usize,
    pub tell: &'a (dyn Fn(Step) + Sync),
}

impl Upload<'_> {
    /// What is not sent yet.
    pub fn missing(&self) -> Vec<(u32, Sha256)> {
        let is_missing = |(number, sha256): &(&u32, &Sha256)| self.sent.get(number) != Some(*sha256);
        self.changes.iter().filter(is_missing).map(|(number, sha256)| (*number, *sha256)).collect()
    }

    /// Sends what is missing. The first failure ends it; whatever was sent until then is remembered.
    pub fn run(&self) -> Result<(), AmiError> {
        let missing = self.missing();
        let done = AtomicUsize::new(self.changes.len() - missing.len());
        in_parallel(&missing, self.connections, |(number, sha256)| {
            self.aws.check()?;
            let mut bytes = vec![0; BLOCK_BYTES];
            if self.disk.holds(*number) {
                self.disk.block(*number, *sha256, &mut bytes)?;
            }
            put(self.aws, self.snapshot, *number, bytes, *sha256)?;
            self.begun.sent(*number, *sha256)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            (self.tell)(Step::Sent { done, of: self.changes.len() });
            Ok(())
        })
    }
}

/// Reads back what a snapshot holds whose blocks are not known here.
pub(super) fn read_back(aws: &Aws<'_>, snapshot: &str, connections: usize) -> Result<Blocks, AmiError> {
    let listed = list(aws, snapshot)?;
    let zeros = Sha256::of(&vec![0; BLOCK_BYTES]);
    let found = Mutex::new(Blocks::new());
    in_parallel(&listed, connections, |(number, token)| {
        aws.check()?;
        let sha256 = Sha256::of(&get(aws, snapshot, *number, token)?);
        if sha256 != zeros {
            found.lock().unwrap_or_else(PoisonError::into_inner).insert(*number, sha256);
        }
        Ok(())
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Does `work` for every item on so many threads; the first failure ends it.
fn in_parallel<T: Sync>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<(), AmiError> + Sync,
) -> Result<(), AmiError> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let first: Mutex<Option<AmiError>> = Mutex::new(None);
    let run = || {
        while !failed.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            if let Err(error) = work(item) {
                failed.store(true, Ordering::Relaxed);
                first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
