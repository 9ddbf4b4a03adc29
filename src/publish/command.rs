//! A key that a program holds: it is handed what is to be signed, and hands back the signature.
//!
//! The bytes to sign come on its standard input, which ends after them; it writes the bytes of the signature, and
//! nothing else, to standard output, and ends with exit code 0. It has the folder of its description as its working
//! directory, and brc's environment: what it asks a person it asks at the terminal (`/dev/tty`).

use std::{
    io::{self, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// No signature has more bytes than this.
const MAX_SIGNATURE_BYTES: usize = 1024;
/// So many of the last bytes that it says are told when it fails.
const MAX_SAID_BYTES: usize = 2 << 10;

/// A program that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningCommand {
    /// The program, and what it is called with. With a slash it is below `folder`, else it is looked for.
    pub words: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// How long it may take.
    pub limit: Duration,
}

/// What comes out of a pipe, until its other end is closed.
struct Stream {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl SigningCommand {
    /// Has the program sign a message; whether it has, the caller verifies.
    ///
    /// # Errors
    /// A program that does not start, fails, writes too much or does not end.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CommandError> {
        let shown = || self.words.join(" ");
        let (program, arguments) = self.words.split_first().ok_or(CommandError::Empty)?;
        #[expect(clippy::disallowed_methods, reason = "the user says that this program holds the key")]
        let mut child = Command::new(program)
            .args(arguments)
            // Linux looks for a program with a slash from here on, too.
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| CommandError::Start { command: shown(), source })?;
        let answer = self.answer(&mut child, message);
        if answer.is_err() {
            // It has ended already, or must: what it says from now on nobody hears.
            child.kill().unwrap_or_default();
        }
        let status = child.wait().map_err(|source| CommandError::Lost { command: shown(), source })?;
        let (signature, said) = answer?;
        if status.success() {
            return Ok(signature);
        }
        Err(CommandError::Failed { command: shown(), status, said: last_lines(&said) })
    }

    /// What it wrote and what it said, once it has ended.
    fn answer(&self, child: &mut Child, message: &[u8]) -> Result<(Vec<u8>, Vec<u8>), CommandError> {
        let lost = |source: io::Error| CommandError::Lost { command: self.words.join(" "), source };
        if let Some(mut input) = child.stdin.take() {
            let message = message.to_vec();
            // A program that does not read all of it cannot have signed it, which is found.
            thread::spawn(move || input.write_all(&message));
        }
        let mut signature = Stream { pipe: child.stdout.take().map(OwnedFd::from), bytes: Vec::new() };
        let mut said = Stream { pipe: child.stderr.take().map(OwnedFd::from), bytes: Vec::new() };
        let mut running = Some(pidfd_open(Pid::from_child(child), PidfdFlags::empty()).map_err(|e| lost(e.into()))?);
        #[expect(clippy::disallowed_methods, reason = "a program that hangs is ended when its time is up")]
        let started = Instant::now();
        // What it leaves running behind it may keep its standard error for ever.
        while running.is_some() || signature.pipe.is_some() {
            let left = self.limit.saturating_sub(started.elapsed());
            let ready = wait_for(&[&running, &signature.pipe, &said.pipe], left).map_err(lost)?;
            if !ready.contains(&true) {
                return Err(CommandError::TimedOut { command: self.words.join(" "), seconds: self.limit.as_secs() });
            }
            if ready[0] {
                running = None;
            }
            if ready[1] {
                signature.read().map_err(lost)?;
            }
            if ready[2] {
                said.read().map_err(lost)?;
                let surplus = said.bytes.len().saturating_sub(MAX_SAID_BYTES);
                said.bytes.drain(..surplus);
            }
            if signature.bytes.len() > MAX_SIGNATURE_BYTES {
                return Err(CommandError::TooMuch { command: self.words.join(" ") });
            }
        }
        while wait_for(&[&said.pipe], Duration::ZERO).map_err(lost)?[0] {
            said.read().map_err(lost)?;
        }
        Ok((signature.bytes, said.bytes))
    }
}

impl Stream {
    /// Takes what is there.
    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let mut piece = [0; 4096];
        let size = rustix::io::read(pipe, &mut piece)?;
        self.bytes.extend_from_slice(&piece[..size]);
        if size == 0 {
            self.pipe = None;
        }
        Ok(())
    }
}

/// Which of these have something to tell, in so much time at the most; all false when its time is up.
fn wait_for(those: &[&Option<OwnedFd>], limit: Duration) -> io::Result<Vec<bool>> {
    let mut open: Vec<PollFd<'_>> = those
        .iter()
        .filter_map(|fd| fd.as_ref())
        .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
        .collect();
    if open.is_empty() {
        return Ok(vec![false; those.len()]);
    }
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    loop {
        match poll(&mut open, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => {}
            found => break found.map(drop)?,
        }
    }
    let mut ready = open.iter().map(|fd| !fd.revents().is_empty());
    Ok(those.iter().map(|fd| fd.is_some() && ready.next().unwrap_or(false)).collect())
}

/// The end of what it said, on one line.
fn last_lines(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.split_at(lines.len().saturating_sub(3)).1 {
        [] => "it said nothing".to_owned(),
        last => format!("it said: {}", last.join(" / ")),
    }
}

/// A program has not signed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is none.
    #[error("the command is empty: expected a program and its arguments")]
    Empty,
    /// It does not start.
    #[error(
        "`{command}` cannot be started: expected a program that is in PATH, or a path from the folder of its description"
    )]
    Start { command: String, source: io::Error },
    /// Nothing is known of it any more.
    #[error("`{command}` was started, and what becomes of it cannot be seen")]
    Lost { command: String, source: io::Error },
    /// It failed.
    #[error(
        "`{command}` ended with {status} in place of a signature; {said}; run it by hand with any file as its input"
    )]
    Failed { command: String, status: ExitStatus, said: String },
    /// It wrote too much.
    #[error(
        "`{command}` wrote more than {MAX_SIGNATURE_BYTES} bytes: expected the bytes of one signature, and whatever else it says on standard error"
    )]
    TooMuch { command: String },
    /// It does not end.
    #[error("`{command}` was ended, because it gave no signature in {seconds} s; its description may say `seconds`")]
    TimedOut { command: String, seconds: u64 },
}
