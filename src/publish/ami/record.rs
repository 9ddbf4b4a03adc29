//! What snapshots hold, remembered on this machine: a file for each in a folder of the store.
//!
//! ```text
//! brc-snapshot 1                      the format
//! whole                               or `begun`, while blocks are sent
//! 12 5f70bf18a0…                      the number of a block and its SHA-256, one a line
//! ```
//!
//! While blocks are sent, each is added once AWS has it: a run that is cut off is gone on with, and a line that is not
//! whole counts for nothing. AWS gives no digests of the blocks of a snapshot, so without this file a parent is read
//! back block by block, and an upload that was begun elsewhere is sent again as a whole; both are right, and slower.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::blocks::Blocks;
use crate::content::Sha256;

const FIRST_LINE: &str = "brc-snapshot 1";
const WHOLE: &str = "whole";
const BEGUN: &str = "begun";
/// A longer file is none of ours: 2^19 blocks in 75 bytes each.
const MAX_BYTES: u64 = 64 << 20;

/// The records of snapshots.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

/// A snapshot that blocks are being sent to. No two processes send to the same one from a machine.
pub(super) struct Begun {
    file: Mutex<File>,
    path: PathBuf,
}

impl Records {
    /// The records in a folder, which is there.
    pub fn new(folder: PathBuf) -> Self {
        Records { folder }
    }

    fn path(&self, snapshot: &str) -> PathBuf {
        self.folder.join(snapshot)
    }

    /// What a whole snapshot holds; none where that is not known here.
    pub(super) fn whole(&self, snapshot: &str) -> Option<Blocks> {
        self.read(snapshot).filter(|(is_whole, _)| *is_whole).map(|(_, blocks)| blocks)
    }

    /// What was sent of a snapshot that is not whole, as far as that is known here.
    pub(super) fn begun(&self, snapshot: &str) -> Blocks {
        self.read(snapshot).filter(|(is_whole, _)| !is_whole).map(|(_, blocks)| blocks).unwrap_or_default()
    }

    fn read(&self, snapshot: &str) -> Option<(bool, Blocks)> {
        let mut text = String::new();
        // What cannot be read is not known.
        File::open(self.path(snapshot)).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        parse(&text)
    }

    /// Opens the record of a snapshot that blocks are sent to, with those that it has already.
    pub(super) fn begin(&self, snapshot: &str) -> Result<(Begun, Blocks), RecordError> {
        let path = self.path(snapshot);
        let failed = |source| RecordError::Write { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RecordError::Busy { snapshot: snapshot.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = String::new();
        let read = (&file).take(MAX_BYTES).read_to_string(&mut text).ok();
        let found = read.and_then(|_| parse(&text)).filter(|(is_whole, _)| !is_whole);
        let blocks = found.map(|(_, blocks)| blocks).unwrap_or_default();
        // Written anew: the last line may be half of one.
        file.set_len(0).map_err(failed)?;
        io::Seek::rewind(&mut file).map_err(failed)?;
        file.write_all(write(BEGUN, &blocks).as_bytes()).map_err(failed)?;
        Ok((Begun { file: Mutex::new(file), path }, blocks))
    }

    /// Remembers what a snapshot holds that is whole.
    pub(super) fn finish(&self, snapshot: &str, blocks: &Blocks) -> Result<(), RecordError> {
        let path = self.path(snapshot);
        let failed = |source| RecordError::Write { path: path.clone(), source };
        let mut new = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        new.write_all(write(WHOLE, blocks).as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(failed)?;
        new.persist(&path).map(drop).map_err(|error| failed(error.error))
    }

    /// Forgets a snapshot; best effort, since one that is gone is asked for by nobody.
    pub(super) fn forget(&self, snapshot: &str) {
        let _ = fs::remove_file(self.path(snapshot));
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Begun {
    /// Remembers that a block was sent.
    pub fn sent(&self, number: u32, sha256: Sha256) -> Result<(), RecordError> {
        let line = format!("{number} {sha256}\n");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).map_err(|source| RecordError::Write { path: self.path.clone(), source })
    }
}

fn write(state: &str, blocks: &Blocks) -> String {
    let mut text = format!("{FIRST_LINE}\n{state}\n");
    for (number, sha256) in blocks {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{number} {sha256}");
    }
    text
}

/// Whether the snapshot is whole, and its blocks; none for what is no record. A last line that is not whole is left out.
fn parse(text: &str) -> Option<(bool, Blocks)> {
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let is_whole = match (lines.next(), lines.next()) {
        (Some(FIRST_LINE), Some(WHOLE)) => true,
        (Some(FIRST_LINE), Some(BEGUN)) => false,
        _ => return None,
    };
    let block = |line: &str| {
        let (number, sha256) = line.split_once(' ')?;
        Some((number.parse().ok()?, Sha256::parse(sha256).ok()?))
    };
    Some((is_whole, lines.map(block).collect::<Option<_>>()?))
}

/// What a snapshot holds cannot be remembered.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Another process sends to the same snapshot.
    #[error("another process on this machine sends blocks to `{snapshot}`: wait until it is done")]
    Busy { snapshot: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_snapshot_holds_is_written_like_this_and_a_torn_line_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path().to_owned());
        let (begun, blocks) = records.begin("snap-1").unwrap();
        assert!(blocks.is_empty());
        begun.sent(12, Sha256::of(b"a")).unwrap();
        begun.sent(3, Sha256::of(b"b")).unwrap();
        assert!(matches!(records.begin("snap-1"), Err(RecordError::Busy { .. })));
        drop(begun);
        let path = folder.path().join("snap-1");
        let text = fs::read_to_string(&path).unwrap();
        let (a, b) = (Sha256::of(b"a"), Sha256::of(b"b"));
        assert_eq!(text, format!("brc-snapshot 1\nbegun\n12 {a}\n3 {b}\n"));
        for cut in 0..text.len() {
            let (_, blocks) = parse(&text[..cut]).unwrap_or_default();
            assert!(blocks.iter().all(|block| [(&12, &a), (&3, &b)].contains(&block)), "{cut}");
        }
        fs::write(&path, &text[..text.len() - 2]).unwrap();
        let (begun, blocks) = records.begin("snap-1").unwrap();
        assert_eq!(blocks, Blocks::from([(12, a)]));
        begun.sent(3, b).unwrap();
        drop(begun);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(records.whole("snap-1"), None, "it is not whole");

        records.finish("snap-1", &Blocks::from([(3, b), (12, a)])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("brc-snapshot 1\nwhole\n3 {b}\n12 {a}\n"));
        assert_eq!(records.whole("snap-1").unwrap().len(), 2);
        for other in ["brc-snapshot 2\nwhole\n", "brc-snapshot 1\nwhole\n3 x\n", ""] {
            fs::write(&path, other).unwrap();
            assert_eq!(records.whole("snap-1"), None, "{other}");
        }
        records.forget("snap-1");
        assert!(!path.exists());
    }
}
