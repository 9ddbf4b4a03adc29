//! A program that runs for a session.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use brc_contract::door::{self, End, Message, Window};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::pipe::{Input, Outbox, Output, Taking};

/// Where programs are looked for.
const PATH: &str = "/usr/bin:/usr/sbin";
/// The codes of shells for a program that is not there, and for one that cannot be started.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// The process group of a program.
#[derive(Debug, Clone)]
pub(super) struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    /// Kills all of it, unless the program has ended.
    pub fn kill(&self) {
        let group = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = *group {
            // Whoever has ended by now need not be killed.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
    }

    /// Waits for the program. While its number is ours nobody else has it, so it is forgotten first.
    fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        waitid(WaitId::Pid(Pid::from_child(child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        child.wait()
    }
}

/// Starts a program, and follows it to its end, which it gives to `finish`. What cannot be started is said on standard
/// error, as a shell does.
pub(super) fn start(
    command: &door::Command,
    outbox: &Outbox,
    window: &Arc<Window>,
    input: &Arc<Input>,
    finish: impl FnOnce(Message) + Send + 'static,
) -> Option<Group> {
    let output = |kind| Output { outbox: outbox.clone(), window: window.clone(), kind };
    let mut child = match spawn(command) {
        Ok(child) => child,
        Err((message, code)) => {
            outbox.say(Message::Errors(format!("brc-agent: {message}\n").into_bytes()));
            finish(Message::Ended(End::Code(code)));
            return None;
        }
    };
    let group = Group(Arc::new(Mutex::new(Some(Pid::from_child(&child)))));
    if let Some(mut stdin) = child.stdin.take() {
        let (mut taking, input) = (Taking::new(input.clone(), outbox.clone()), input.clone());
        thread::spawn(move || {
            // A program that does not read on is no error: what it has read is its own matter.
            io::copy(&mut taking, &mut stdin).unwrap_or_default();
            input.close();
        });
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let followers = [
        stdout.map(|stdout| follow(stdout, output(Message::Output))),
        stderr.map(|stderr| follow(stderr, output(Message::Errors))),
    ];
    let waited = group.clone();
    thread::spawn(move || {
        for follower in followers.into_iter().flatten() {
            // One that panicked has said all that it will.
            follower.join().unwrap_or_default();
        }
        finish(match waited.wait(&mut child) {
            Ok(status) => Message::Ended(end(status)),
            Err(error) => Message::Refused { message: format!("how the program ended cannot be told: {error}") },
        });
    });
    Some(group)
}

fn follow(mut from: impl io::Read + Send + 'static, mut to: Output) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        // When nobody wants more of it, the program is told by its closed pipe.
        io::copy(&mut from, &mut to).unwrap_or_default();
    })
}

#[expect(clippy::disallowed_methods, reason = "the door is there to start programs")]
fn spawn(command: &door::Command) -> Result<Child, (String, u8)> {
    let Some((program, words)) = command.words.split_first() else {
        return Err(("expected a program".to_owned(), NOT_FOUND));
    };
    let directory = if command.directory.is_empty() { "/" } else { &command.directory };
    if !Path::new(directory).is_dir() {
        return Err((format!("`{directory}` is no folder"), NOT_STARTED));
    }
    let streams = if command.has_input { Stdio::piped() } else { Stdio::null() };
    let spawned = Command::new(program)
        .args(words)
        .env_clear()
        .env("PATH", PATH)
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(directory)
        .process_group(0)
        .stdin(streams)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => (format!("`{program}` is not there"), NOT_FOUND),
        _ => (format!("`{program}` cannot be started: {error}"), NOT_STARTED),
    })
}

fn end(status: ExitStatus) -> End {
    let small = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match status.signal() {
        Some(signal) => End::Signal(small(signal)),
        None => End::Code(small(status.code().unwrap_or(255))),
    }
}
