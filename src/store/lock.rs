//! The lock that keeps garbage collection away from running builds.
//!
//! `flock(2)` on the file `lock`: the kernel lets go of it when a process ends, however it ends.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::{StoreError, remove::clear};

/// What to do while other processes use the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBusy {
    /// Wait until none does.
    Wait,
    /// Give up with [`StoreError::Busy`].
    Refuse,
}

/// Takes the store's lock shared; when no other process has it, what they left in `temporary` is removed first.
pub(super) fn take(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let failed = |source| StoreError::io("lock", &path, source);
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    if file.try_lock().is_ok() {
        clear(&dir.join("temporary"));
        file.unlock().map_err(failed)?;
    }
    file.lock_shared().map_err(failed)?;
    Ok(file)
}

/// Makes a shared lock exclusive. After an error it is shared again.
pub(super) fn upgrade(lock: &File, dir: &Path, when_busy: WhenBusy) -> Result<(), StoreError> {
    let path = dir.join("lock");
    let failed = |source| StoreError::io("lock", &path, source);
    match (lock.try_lock(), when_busy) {
        (Ok(()), _) => Ok(()),
        (Err(TryLockError::WouldBlock), WhenBusy::Wait) => lock.lock().map_err(failed),
        (Err(TryLockError::WouldBlock), WhenBusy::Refuse) => {
            // A lock that cannot be made exclusive is lost, says flock(2).
            lock.lock_shared().map_err(failed)?;
            Err(StoreError::Busy { processes: holders(lock) })
        }
        (Err(TryLockError::Error(source)), _) => Err(failed(source)),
    }
}

/// Makes an exclusive lock shared.
pub(super) fn downgrade(lock: &File, dir: &Path) -> Result<(), StoreError> {
    lock.lock_shared().map_err(|source| StoreError::io("lock", &dir.join("lock"), source))
}

/// The other processes that hold the lock, as far as the kernel tells (`/proc/locks`, proc(5)).
fn holders(lock: &File) -> Vec<u32> {
    let (Ok(found), Ok(table)) = (lock.metadata(), fs::read_to_string("/proc/locks")) else { return Vec::new() };
    holders_in(&table, found.ino(), std::process::id())
}

/// Reads lines such as `1: FLOCK  ADVISORY  READ  4321 fe:00:262146 0 EOF`. Process 0 is one in another namespace.
fn holders_in(table: &str, inode: u64, myself: u32) -> Vec<u32> {
    let mut processes: Vec<u32> = table
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, "FLOCK", _, _, process, file, ..] = words.as_slice() else { return None };
            let of_this_file = file.rsplit(':').next()?.parse() == Ok(inode);
            process.parse().ok().filter(|process| of_this_file && *process != myself && *process != 0)
        })
        .collect();
    processes.sort_unstable();
    processes.dedup();
    processes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holders_of_a_lock_are_found_in_the_kernels_table() {
        let table = "1: FLOCK  ADVISORY  READ 4321 fe:00:77 0 EOF\n\
            2: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 12 fe:00:77 0 EOF\n\
            3: FLOCK  ADVISORY  READ 99 fe:00:77 0 EOF\n\
            4: FLOCK  ADVISORY  READ 5 fe:00:177 0 EOF\n\
            5: FLOCK  ADVISORY  READ 0 fe:00:77 0 EOF\n\
            6: FLOCK  ADVISORY  READ 4321 fe:00:77 0 EOF\n";
        assert_eq!(holders_in(table, 77, 99), [4321]);
    }
}
