//! One budget of processors for everything that runs at once: a GNU make job server.
//!
//! The FIFO (named pipe) style of GNU make 4.4, "Job Slots", 13.1: every byte in the pipe is the right to run one more
//! process. Each action takes one byte before it starts; a `make` or `ninja` inside it takes more from the same pipe.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, FileType, Mode, OFlags, mknodat, open},
};

/// How often a waiting action looks whether the build was cancelled.
const WAIT: Duration = Duration::from_millis(100);

/// A pipe that holds one byte per free processor.
pub struct JobServer {
    path: PathBuf,
    pipe: File,
    tokens: usize,
    /// How many tokens actions hold now; what programs inside took is not counted here.
    held: Mutex<usize>,
}

/// The right to run one process; given back when dropped.
pub struct Token<'a> {
    server: &'a JobServer,
}

/// The job server cannot work.
#[derive(Debug, thiserror::Error)]
#[error("the job server `{path}` cannot be {verb}")]
pub struct JobServerError {
    path: PathBuf,
    verb: &'static str,
    source: io::Error,
}

impl JobServer {
    /// Makes the pipe `jobs` in `folder` with `tokens` tokens.
    ///
    /// # Errors
    /// A file system that has no named pipes, or no room.
    pub fn new(folder: &Path, tokens: usize) -> Result<Self, JobServerError> {
        let path = folder.join("jobs");
        let failed = |source: io::Error, verb| JobServerError { path: path.clone(), verb, source };
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(|e| failed(e.into(), "made"))?;
        // Opened for both, so that it neither blocks now nor ends when the last program closes it.
        let pipe = open(&path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| failed(e.into(), "opened"))?;
        let server = JobServer { path: path.clone(), pipe: pipe.into(), tokens, held: Mutex::new(0) };
        server.put(tokens).map_err(|e| failed(e, "filled"))?;
        Ok(server)
    }

    /// Where the pipe is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a token; `None` when `cancelled` is set meanwhile.
    ///
    /// # Errors
    /// A pipe that cannot be read.
    pub fn take(&self, cancelled: &AtomicBool) -> Result<Option<Token<'_>>, JobServerError> {
        let failed = |source: io::Error| JobServerError { path: self.path.clone(), verb: "read", source };
        while !cancelled.load(Ordering::Relaxed) {
            if self.try_take().map_err(failed)? {
                return Ok(Some(Token { server: self }));
            }
            let wait = Timespec { tv_sec: 0, tv_nsec: WAIT.as_nanos() as i64 };
            match poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(None)
    }

    /// Takes a token if there is one. What killed programs took with them is put back first, when nothing runs
    /// that could still hold it.
    fn try_take(&self) -> io::Result<bool> {
        // Held over the read, so that nobody refills between a token's leaving the pipe and its being counted.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == 0 {
            while self.read_one()? {}
            self.put(self.tokens)?;
        }
        let taken = self.read_one()?;
        *held += usize::from(taken);
        Ok(taken)
    }

    fn read_one(&self) -> io::Result<bool> {
        match (&self.pipe).read(&mut [0]) {
            Ok(count) => Ok(count == 1),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn put(&self, tokens: usize) -> io::Result<()> {
        (&self.pipe).write_all(&vec![b'+'; tokens])
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        let mut held = self.server.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held -= 1;
        // A pipe that holds fewer bytes than it was made with takes one more; there is nobody to tell if not.
        let _ = self.server.put(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_tokens_are_given_than_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 2).unwrap();
        let go = AtomicBool::new(false);
        let first = server.take(&go).unwrap().unwrap();
        let _second = server.take(&go).unwrap().unwrap();
        let cancelled = AtomicBool::new(true);
        assert!(server.take(&cancelled).unwrap().is_none());
        drop(first);
        assert!(server.take(&go).unwrap().is_some());
    }

    #[test]
    fn one_token_is_never_held_twice() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 1).unwrap();
        let (go, holders) = (AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let _token = server.take(&go).unwrap().unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        holders.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_token_that_was_lost_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 1).unwrap();
        let go = AtomicBool::new(false);
        // A `make` inside takes the only token and is killed.
        assert_eq!((&server.pipe).read(&mut [0]).unwrap(), 1);
        assert!(server.take(&go).unwrap().is_some());
    }
}
