//! Starting a sandbox and waiting for it, from the outside.

use std::{
    io::{self, Read},
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    child,
    spec::Spec,
    wire::{self, Frame, Stage},
};

/// The first argument that makes the program be a sandbox.
const ARGUMENT: &str = "__sandbox";
/// How often it is looked whether a run is to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);
/// How long a supervisor may take to end what it supervises; the kernel needs milliseconds.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// So many changes of owners are kept for the log.
const MAX_OWNERS: usize = 200;

/// Becomes a sandbox and never comes back when this process was started as one; the first thing that `main` does.
pub fn intercept() {
    #[expect(clippy::disallowed_methods, reason = "the program executes itself again and must recognize that")]
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|argument| argument == ARGUMENT) {
        child::main();
    }
}

/// What the command's standard input, output and error are.
#[derive(Debug)]
pub struct Streams {
    /// Standard input.
    pub input: OwnedFd,
    /// Standard output.
    pub output: OwnedFd,
    /// Standard error.
    pub errors: OwnedFd,
}

/// A running sandbox. Dropping it ends everything in it.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    control: UnixStream,
    received: Vec<u8>,
    news: News,
    /// Whether nothing came the last time that it was listened to.
    is_silent: bool,
}

/// What was heard from a sandbox so far.
#[derive(Debug, Default)]
struct News {
    trouble: Option<wire::Trouble>,
    /// As `wait` gives it, and how often a network was tried that is not there.
    ended: Option<(u32, u64)>,
    owners: Vec<String>,
    owner_count: u64,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its status.
    pub status: Status,
    /// The first 200 paths that programs gave to other users, each as `PATH UID:GID`; that was only pretended.
    pub owners: Vec<String>,
    /// How often that happened in all.
    pub owner_count: u64,
    /// How often programs tried to reach a network where there is none.
    pub network_tries: u64,
}

/// The status of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It ended by itself with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

/// Why waiting is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// The command ended.
    Ended(Ended),
    /// The time is up; everything in the sandbox was killed.
    TimedOut,
    /// It was told to stop; everything in the sandbox was killed.
    Stopped,
}

/// Starts a sandbox.
///
/// `executable` is a program that calls [`intercept`] first thing: `/proc/self/exe` for brc itself.
///
/// # Errors
/// The program cannot be started. What goes wrong later, [`Child::wait`] tells.
pub fn spawn(executable: &Path, spec: &Spec, streams: Streams) -> Result<Child, SpawnError> {
    let failed = |source| SpawnError::Start { executable: executable.display().to_string(), source };
    let (control, theirs) = UnixStream::pair().map_err(failed)?;
    #[expect(clippy::disallowed_methods, reason = "this is the door: the sandbox's own process")]
    let process = Command::new(executable)
        // Both can be read inside, in /proc/1: nothing of the host is in them.
        .arg0("brc")
        .arg(ARGUMENT)
        .env_clear()
        .current_dir("/")
        // Ctrl-C is for the program that started it, which then ends the sandbox.
        .process_group(0)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let child = Child { process, control, received: Vec::new(), news: News::default(), is_silent: false };
    let fds = [streams.input.as_fd(), streams.output.as_fd(), streams.errors.as_fd()];
    wire::send_with(child.control.as_fd(), &spec.encode(), &fds).map_err(failed)?;
    Ok(child)
}

impl Child {
    /// Waits for the command to end, at most for `limit`, and as long as `is_stopped` says no.
    ///
    /// When it returns no process of the sandbox is left, whatever the result.
    ///
    /// # Errors
    /// The sandbox could not be made, or was killed from outside.
    pub fn wait(&mut self, limit: Option<Duration>, is_stopped: &dyn Fn() -> bool) -> Result<Waited, SpawnError> {
        #[expect(clippy::disallowed_methods, reason = "a sandbox is killed when its time is up")]
        let started = Instant::now();
        loop {
            if is_stopped() {
                self.kill();
                return Ok(Waited::Stopped);
            }
            if limit.is_some_and(|limit| started.elapsed() >= limit) {
                self.kill();
                return Ok(Waited::TimedOut);
            }
            if self.listen(STOP_INTERVAL)? == Line::Closed {
                self.process.wait().map_err(|source| SpawnError::Lost { source: Some(source) })?;
                return self.take_result().map(Waited::Ended);
            }
        }
    }

    /// Kills everything in the sandbox and waits until it is gone.
    pub fn kill(&mut self) {
        // The supervisor takes this as the order to end everything, and ends itself only after that.
        self.control.shutdown(Shutdown::Write).unwrap_or_default();
        while let Ok(Line::Open) = self.listen(KILL_PATIENCE) {
            if self.is_silent {
                // It was stopped by somebody. Process 1 inside dies with it, and everything with process 1.
                self.process.kill().unwrap_or_default();
                break;
            }
        }
        self.process.wait().map(drop).unwrap_or_default();
    }

    /// Takes in what the sandbox has to tell, waiting for it at most `limit`.
    fn listen(&mut self, limit: Duration) -> Result<Line, SpawnError> {
        let lost = |source| SpawnError::Lost { source: Some(source) };
        self.control.set_read_timeout(Some(limit)).map_err(lost)?;
        let mut buffer = [0; 4096];
        let length = match self.control.read(&mut buffer) {
            Ok(0) => return Ok(Line::Closed),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Line::Closed),
            Err(error) => return Err(lost(error)),
        };
        self.is_silent = length == 0;
        self.received.extend(buffer.iter().take(length));
        while let Some(frame) = Frame::take(&mut self.received).map_err(|error| lost(io::Error::other(error)))? {
            match frame {
                Frame::Trouble(trouble) => self.news.trouble = Some(trouble),
                Frame::Ended { status, network_tries } => self.news.ended = Some((status, network_tries)),
                Frame::Owner { text } if self.news.owners.len() < MAX_OWNERS => self.news.owners.push(text),
                Frame::Owner { .. } => {}
                Frame::OwnerCount { count } => self.news.owner_count = count,
            }
        }
        Ok(Line::Open)
    }

    fn take_result(&mut self) -> Result<Ended, SpawnError> {
        let news = std::mem::take(&mut self.news);
        if let Some(trouble) = news.trouble {
            let source = io::Error::from_raw_os_error(trouble.errno);
            return Err(SpawnError::Make { stage: trouble.stage, attempt: trouble.attempt, source });
        }
        let Some((status, network_tries)) = news.ended else { return Err(SpawnError::Lost { source: None }) };
        let status = if libc::WIFSIGNALED(status as i32) {
            Status::Signalled(libc::WTERMSIG(status as i32))
        } else {
            Status::Exited(libc::WEXITSTATUS(status as i32))
        };
        Ok(Ended { status, owners: news.owners, owner_count: news.owner_count, network_tries })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a sandbox can still tell something.
#[derive(PartialEq, Eq)]
enum Line {
    Open,
    Closed,
}

/// A sandbox could not be started, or not be followed to its end.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program could not be started.
    #[error("could not start `{executable}` as a sandbox")]
    Start { executable: String, source: io::Error },
    /// A step of making the sandbox failed; nothing ran in it.
    #[error("could not {attempt}")]
    Make { stage: Stage, attempt: String, source: io::Error },
    /// The sandbox ended without telling how.
    #[error("the sandbox was killed from outside, perhaps for want of memory")]
    Lost { source: Option<io::Error> },
}
