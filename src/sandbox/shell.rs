//! A person in a sandbox: a shell where a command failed, or where it would run.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    pty::OpenptFlags,
    termios::{OptionalActions, Termios},
};

use super::{
    RunError, inputs,
    linux::{self, Status, Streams, Terminal, Waited},
    perform::{Sandbox, spec},
    scratch::{Layering, Scratch},
};
use crate::{content::Digest, plan::Run};

/// How often the size of the terminal is passed on, in nanoseconds.
const GLANCE_NANOSECONDS: i64 = 100_000_000;
/// What is passed on at once, in bytes.
const PIECE_BYTES: usize = 4096;
/// What a terminal sends at its end of input (Ctrl-D).
const END_OF_INPUT: &[u8] = &[4];

/// The terminal that a person sits at.
#[derive(Debug, Clone, Copy)]
pub struct Console<'a> {
    /// What is typed.
    pub input: BorrowedFd<'a>,
    /// What is shown.
    pub output: BorrowedFd<'a>,
    /// The terminal's kind: the value of `TERM`.
    pub kind: &'a str,
}

impl Sandbox {
    /// Opens a shell in the sandbox of `run` and waits until it ends; its status.
    ///
    /// With the folder of a failed run ([`Sandbox::kept`]) it is that very sandbox, with every file as the command
    /// left it, and what is changed stays there. Without one it is as the command would find it, and what is changed
    /// is gone afterwards. The variable `BRC_COMMAND` holds the command, quoted for `eval`.
    ///
    /// # Errors
    /// As for performing the run; and when there is no shell among the inputs.
    pub fn shell(&self, run: &Run<Digest>, kept: Option<&Path>, console: Console<'_>) -> Result<Status, RunError> {
        inputs::check(run)?;
        let checkout = inputs::lay_out(self.store(), run)?;
        let scratch = match kept {
            Some(kept) => Scratch::kept(kept),
            None => Scratch::new(self.store(), run, checkout.path(), Layering::Overlay)?,
        };
        let mut spec = spec(run, scratch.root(checkout.path()), None, self.access());
        let shell = ["bash", "sh"].iter().map(|name| format!("bin/{name}"));
        let shell = shell.into_iter().find(|shell| checkout.path().join(shell).exists()).ok_or(RunError::NoShell)?;
        // Commands from a file or a pipe are no typing: they end where it ends.
        let is_typed = rustix::termios::isatty(console.input);
        spec.command = vec![format!("/{shell}")];
        spec.command.extend(is_typed.then(|| "-i".to_owned()));
        if kept.is_some() {
            // What the command left there is what the person came for.
            spec.empty.clear();
        }
        spec.terminal = if is_typed { Terminal::Controlling } else { Terminal::None };
        spec.environment.insert("TERM".to_owned(), console.kind.to_owned());
        spec.environment.insert("BRC_COMMAND".to_owned(), quoted(&run.command));

        let failed = |source: rustix::io::Errno| RunError::Plumbing { source: source.into() };
        let (ours, theirs) = pseudo_terminal().map_err(failed)?;
        let copy = || theirs.try_clone().map_err(|source| RunError::Plumbing { source });
        let given = || console.input.try_clone_to_owned().map_err(|source| RunError::Plumbing { source });
        let input = if is_typed { copy()? } else { given()? };
        let streams = Streams { input, output: copy()?, errors: copy()? };
        // Keys go through as they are; so does what is printed when nobody types.
        let _raw = Raw::new(if is_typed { console.input } else { ours.as_fd() });
        let mut child = linux::spawn(self.executable(), &spec, streams)?;
        drop(theirs);
        let has_ended = AtomicBool::new(false);
        let waited = thread::scope(|scope| {
            let pump = scope.spawn(|| pump(console, is_typed, ours.as_fd(), &has_ended));
            let waited = child.wait(None, &|| false);
            has_ended.store(true, Ordering::Relaxed);
            drop(pump.join());
            waited
        });
        match waited? {
            Waited::Ended(ended) => Ok(ended.status),
            Waited::TimedOut | Waited::Stopped => Err(RunError::Cancelled),
        }
    }
}

/// Both ends of a new terminal, ours first.
fn pseudo_terminal() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
    Ok((ours, theirs))
}

/// Carries what is typed one way and what is shown the other, until the shell has ended and all is shown.
fn pump(console: Console<'_>, mut is_typing: bool, terminal: BorrowedFd<'_>, has_ended: &AtomicBool) -> io::Result<()> {
    let glance = Timespec { tv_sec: 0, tv_nsec: GLANCE_NANOSECONDS };
    let mut buffer = [0; PIECE_BYTES];
    loop {
        if let Ok(size) = rustix::termios::tcgetwinsize(console.output) {
            rustix::termios::tcsetwinsize(terminal, size).unwrap_or_default();
        }
        let mut polls =
            [PollFd::from_borrowed_fd(terminal, PollFlags::IN), PollFd::from_borrowed_fd(console.input, PollFlags::IN)];
        // A pipe whose writer is gone would wake this up for ever.
        let watched = if is_typing { &mut polls[..] } else { &mut polls[..1] };
        match rustix::event::poll(watched, Some(&glance)) {
            Ok(0) if has_ended.load(Ordering::Relaxed) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [shown, typed] = polls.map(|poll| !poll.revents().is_empty());
        if shown {
            match rustix::io::read(terminal, &mut buffer) {
                // The last program has closed it.
                Ok(0) | Err(rustix::io::Errno::IO) => return Ok(()),
                Ok(length) => write_all(console.output, buffer.get(..length).unwrap_or_default())?,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if typed && is_typing {
            let length = rustix::io::read(console.input, &mut buffer)?;
            is_typing = length > 0;
            write_all(terminal, if is_typing { buffer.get(..length).unwrap_or_default() } else { END_OF_INPUT })?;
        }
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let length = rustix::io::write(to, bytes)?;
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// A terminal that passes on every key as it is, until this is dropped. What is no terminal stays as it is.
struct Raw<'a> {
    terminal: BorrowedFd<'a>,
    before: Option<Termios>,
}

impl<'a> Raw<'a> {
    fn new(terminal: BorrowedFd<'a>) -> Self {
        let before = rustix::termios::tcgetattr(terminal).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            rustix::termios::tcsetattr(terminal, OptionalActions::Now, &raw).unwrap_or_default();
        }
        Self { terminal, before }
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            rustix::termios::tcsetattr(self.terminal, OptionalActions::Now, before).unwrap_or_default();
        }
    }
}

/// A command as a shell reads it.
fn quoted(command: &[String]) -> String {
    let plain =
        |word: &str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./=:+,@%".contains(&c));
    let word = |word: &String| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_for_a_shell() {
        let command = ["/bin/sh", "-c", "echo 'a  b' $X", ""].map(str::to_owned);
        assert_eq!(quoted(&command), r"/bin/sh -c 'echo '\''a  b'\'' $X' ''");
    }
}
