//! One budget of processors for everything that runs at once: a GNU make job server for each action.
//!
//! The FIFO (named pipe) style of GNU make 4.4, "Job Slots", 13.1: every byte in the pipe is the right to run one more
//! process. Each action holds one token while it runs, and a `make` or `ninja` inside it takes more from its pipe.
//!
//! Every action has a pipe of its own: through a shared one two builds could talk, and take each other's tokens or make
//! some up. Between the pipes tokens move as numbers that are kept here. What lies idle in the pipes is dealt out anew
//! again and again, so that every token is offered to everybody in turn; what an action took with it comes back when it
//! ends.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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

/// The tokens of one build, one for each processor that it may use.
pub struct JobServer {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// Tokens that no action has and that lie in no pipe.
    free: usize,
    /// The pipes of the actions that run, by number.
    pipes: BTreeMap<u64, Pipe>,
    /// The number of the next pipe.
    next: u64,
    /// How many actions wait for their first token.
    waiting: usize,
    /// Which pipe is dealt to first; another one each time.
    turn: usize,
}

struct Pipe {
    file: Arc<File>,
    /// Tokens that lie in it, or that programs took out of it.
    granted: usize,
}

/// The right to run one process, with a pipe for the rights to run more; given back when dropped.
pub struct Token<'a> {
    server: &'a JobServer,
    number: u64,
    path: PathBuf,
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
    /// A job server with `tokens` tokens, which makes its pipes in `folder`.
    pub fn new(folder: &Path, tokens: usize) -> Self {
        let state = State { free: tokens, pipes: BTreeMap::new(), next: 0, waiting: 0, turn: 0 };
        JobServer { folder: folder.to_owned(), state: Mutex::new(state) }
    }

    /// Waits for a token; `None` when `cancelled` is set meanwhile.
    ///
    /// # Errors
    /// A file system that has no named pipes, or no room; a pipe that cannot be read.
    pub fn take(&self, cancelled: &AtomicBool) -> Result<Option<Token<'_>>, JobServerError> {
        self.lock().waiting += 1;
        let taken = self.wait(cancelled);
        self.lock().waiting -= 1;
        let Some(number) = taken? else { return Ok(None) };
        self.balance()?;
        Ok(Some(Token { server: self, number, path: self.path(number) }))
    }

    /// Deals out anew what nobody uses. To be called often while actions run.
    ///
    /// # Errors
    /// A pipe that cannot be read.
    pub fn balance(&self) -> Result<(), JobServerError> {
        let mut state = self.lock();
        self.collect(&mut state)?;
        state.deal();
        Ok(())
    }

    /// Waits until there is a token for one more action, and makes that one's pipe; its number.
    fn wait(&self, cancelled: &AtomicBool) -> Result<Option<u64>, JobServerError> {
        while !cancelled.load(Ordering::Relaxed) {
            let mut state = self.lock();
            if state.free == 0 {
                self.collect(&mut state)?;
            }
            if state.free > 0 {
                let number = state.next;
                let file = Arc::new(self.make_pipe(number)?);
                state.next += 1;
                state.free -= 1;
                state.pipes.insert(number, Pipe { file, granted: 0 });
                return Ok(Some(number));
            }
            // What lies in a pipe that got no token is nobody's, and stays.
            let dealt = state.pipes.values().filter(|pipe| pipe.granted > 0);
            let pipes: Vec<Arc<File>> = dealt.map(|pipe| Arc::clone(&pipe.file)).collect();
            drop(state);
            let mut polls: Vec<PollFd<'_>> = pipes.iter().map(|file| PollFd::new(file, PollFlags::IN)).collect();
            let wait = Timespec { tv_sec: 0, tv_nsec: WAIT.as_nanos() as i64 };
            match poll(&mut polls, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    let source = error.into();
                    return Err(JobServerError { path: self.folder.clone(), verb: "waited for", source });
                }
            }
        }
        Ok(None)
    }

    /// Takes every token back that lies in a pipe. Bytes that programs made up stay: they count for nobody else.
    fn collect(&self, state: &mut State) -> Result<(), JobServerError> {
        for (number, pipe) in &mut state.pipes {
            let mut bytes = vec![0; pipe.granted];
            let found = match pipe.file.as_ref().read(&mut bytes) {
                Ok(count) => count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
                Err(source) => return Err(JobServerError { path: self.path(*number), verb: "read", source }),
            };
            pipe.granted -= found;
            state.free += found;
        }
        Ok(())
    }

    fn make_pipe(&self, number: u64) -> Result<File, JobServerError> {
        let path = self.path(number);
        let failed = |source: io::Error, verb| JobServerError { path: path.clone(), verb, source };
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(|e| failed(e.into(), "made"))?;
        // Opened for both, so that it neither blocks now nor ends when the last program closes it.
        let pipe = open(&path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        pipe.map(File::from).map_err(|e| failed(e.into(), "opened"))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("jobs-{number}"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts free tokens into the pipes, one after the other; none while an action waits to start.
    fn deal(&mut self) {
        if self.waiting > 0 || self.pipes.is_empty() {
            return;
        }
        self.turn = (self.turn + 1) % self.pipes.len();
        let numbers: Vec<u64> = self.pipes.keys().copied().collect();
        for number in numbers.into_iter().cycle().skip(self.turn).take(self.free) {
            let Some(pipe) = self.pipes.get_mut(&number) else { continue };
            // A pipe that a program inside has filled takes nothing; the token stays free.
            if pipe.file.as_ref().write(b"+").is_ok_and(|count| count == 1) {
                pipe.granted += 1;
                self.free -= 1;
            }
        }
    }
}

impl Token<'_> {
    /// The pipe of this action.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        let mut state = self.server.lock();
        // Whatever programs inside took or made up: the action had so many.
        let granted = state.pipes.remove(&self.number).map_or(0, |pipe| pipe.granted);
        state.free += 1 + granted;
        state.deal();
        drop(state);
        // Its folder goes with the build.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static GO: AtomicBool = AtomicBool::new(false);

    /// The pipe as a program inside opens it, and what it finds in it now.
    fn open_inside(token: &Token<'_>) -> File {
        let flags = OFlags::RDWR | OFlags::NONBLOCK;
        open(token.path(), flags, Mode::empty()).unwrap().into()
    }

    fn take_all(mut pipe: &File) -> Vec<u8> {
        let mut bytes = [0; 100];
        let count = pipe.read(&mut bytes).unwrap_or(0);
        bytes[..count].to_vec()
    }

    #[test]
    fn no_more_tokens_are_given_than_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 2);
        let first = server.take(&GO).unwrap().unwrap();
        let _second = server.take(&GO).unwrap().unwrap();
        let cancelled = AtomicBool::new(true);
        assert!(server.take(&cancelled).unwrap().is_none());
        drop(first);
        assert!(server.take(&GO).unwrap().is_some());
    }

    #[test]
    fn one_token_is_never_held_twice() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 1);
        let holders = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let _token = server.take(&GO).unwrap().unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        holders.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn what_one_action_writes_no_other_reads() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 6);
        let (evil, victim) = (server.take(&GO).unwrap().unwrap(), server.take(&GO).unwrap().unwrap());
        assert_ne!(evil.path(), victim.path());
        let (at_evil, at_victim) = (open_inside(&evil), open_inside(&victim));
        (&at_evil).write_all(b"a message, which counts as tokens too").unwrap();
        for _ in 0..10 {
            server.balance().unwrap();
        }
        let seen = take_all(&at_victim);
        assert!(seen.iter().all(|byte| *byte == b'+') && seen.len() <= 4, "{seen:?}");
        // Nor are there more tokens afterwards than before.
        drop((evil, victim));
        let alone = server.take(&GO).unwrap().unwrap();
        assert_eq!(take_all(&open_inside(&alone)), b"+++++");
    }

    #[test]
    fn a_pipe_that_is_filled_up_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 3);
        let (evil, other) = (server.take(&GO).unwrap().unwrap(), server.take(&GO).unwrap().unwrap());
        let mut inside = open_inside(&evil);
        while inside.write(&[b'x'; 4096]).is_ok() {}
        let offered = (0..4).any(|_| {
            server.balance().unwrap();
            !take_all(&open_inside(&other)).is_empty()
        });
        assert!(offered);
    }

    #[test]
    fn idle_tokens_go_to_whoever_takes_them() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 8);
        let (_idle, busy) = (server.take(&GO).unwrap().unwrap(), server.take(&GO).unwrap().unwrap());
        let pipe = open_inside(&busy);
        let mut taken = 0;
        for _ in 0..10 {
            taken += take_all(&pipe).len();
            server.balance().unwrap();
        }
        assert_eq!(taken, 6);
        // All are in use: a third action starts when one of them comes back, before the busy one takes it again.
        std::thread::scope(|scope| {
            let third = scope.spawn(|| server.take(&GO).unwrap().is_some());
            (&pipe).write_all(b"+").unwrap();
            assert!(third.join().unwrap());
        });
    }

    #[test]
    fn tokens_that_were_lost_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let server = JobServer::new(folder.path(), 4);
        for _ in 0..3 {
            let token = server.take(&GO).unwrap().unwrap();
            // A `make` inside takes all and is killed.
            assert_eq!(take_all(&open_inside(&token)).len(), 3);
        }
    }
}
