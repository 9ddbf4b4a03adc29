//! QEMU as a process in a sandbox, followed to its end.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use brc_contract::Architecture;

use super::{
    BootError, qemu,
    terminal::Stripper,
    watch::{Tail, Watch},
};
use crate::{
    content::{Digest, RelPath},
    sandbox::linux::{self, Bind, Network, Root, Spec, Status, Streams, Terminal, View, Waited},
    store::{Checkout, Store},
};

/// The user inside the sandbox; it has no rights but those of a file's owner.
const USER: u32 = 1000;
/// Bytes that are read of the serial line at once.
const PIECE_BYTES: usize = 16 << 10;
/// What QEMU says when the host's processor gave up; the machine then stands still for ever.
const STANDSTILL: &str = "KVM internal error";
/// What Linux says when a processor of the machine sleeps and its timer does not wake it (kernel/rcu/tree_stall.h): the
/// emulator lost it, and the machine stands still. Said once it may have been a host with no time to spare.
const LOST_TIMER: &str = "kthread timer wakeup didn't happen";
const LOST_TIMER_TIMES: usize = 2;

/// Boots images with the QEMU and firmware of a tool set.
#[derive(Debug, Clone)]
pub struct Machine {
    pub(super) store: Store,
    executable: PathBuf,
    pub(super) tools: Digest,
    pub(super) architecture: Architecture,
}

/// How a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It printed the text that was waited for, and was ended.
    Found,
    /// The time was up, and it was ended.
    TimedOut {
        /// The last lines that it printed.
        tail: Vec<String>,
    },
    /// It ended by itself: it was powered off, or reset where that ends it.
    Halted {
        /// The last lines that it printed.
        tail: Vec<String>,
    },
    /// The caller wanted no more, and it was ended.
    Cancelled,
}

/// A machine that is to run.
pub(super) struct Running<'a> {
    pub root: Root,
    pub command: Vec<String>,
    pub binds: Vec<Bind>,
    pub network: Network,
    pub until: Option<&'a str>,
    pub timeout: Option<Duration>,
}

/// What the serial line is looked through for.
struct Looking {
    /// The text that was asked for.
    wanted: Watch,
    /// That a timer was lost, and how often.
    lost_timer: Watch,
    lost_timers: usize,
}

impl Looking {
    fn new(until: Option<&str>) -> Self {
        Looking { wanted: Watch::new(until), lost_timer: Watch::new(Some(LOST_TIMER)), lost_timers: 0 }
    }

    fn stands_still(&self) -> bool {
        self.lost_timers >= LOST_TIMER_TIMES
    }

    /// Takes the next piece; whether there is nothing more to wait for.
    fn see(&mut self, piece: &[u8]) -> bool {
        if self.lost_timer.see(piece) {
            self.lost_timers += 1;
            self.lost_timer = Watch::new(Some(LOST_TIMER));
        }
        self.wanted.see(piece) || self.stands_still()
    }
}

impl Machine {
    /// Machines of the tool set that is the stored tree `tools`. `executable` calls [`linux::intercept`] first thing
    /// in its `main`; brc itself is `/proc/self/exe`. The machines are of `architecture`, whatever the host's is.
    pub fn new(store: Store, executable: PathBuf, tools: Digest, architecture: Architecture) -> Self {
        Self { store, executable, tools, architecture }
    }

    /// The tool set, laid out.
    pub(super) fn tools(&self) -> Result<Checkout, BootError> {
        let tools = self.store.checkout(&[(RelPath::ROOT, self.tools)])?;
        let model = qemu::model(self.architecture);
        for path in [model.program, model.firmware, model.variables] {
            if !tools.path().join(path).is_file() {
                return Err(BootError::NoTool { path, packages: model.packages });
            }
        }
        Ok(tools)
    }

    /// Runs QEMU and follows what it prints.
    pub(super) fn run(
        &self,
        running: Running<'_>,
        serial: &mut dyn Write,
        cancelled: &AtomicBool,
    ) -> Result<Ended, BootError> {
        let plumbing = |source: io::Error| BootError::Plumbing { source };
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| plumbing(error.into()));
        let ((printed, print), (complained, complain)) = (pipe()?, pipe()?);
        let nothing = File::open("/dev/null").map_err(plumbing)?;
        let streams = Streams { input: nothing.into(), output: print, errors: complain };
        let Running { root, command, binds, network, until, timeout } = running;
        let spec = spec(root, command, binds, network);
        let mut child = linux::spawn(&self.executable, &spec, streams).map_err(BootError::Sandbox)?;

        let mut looking = Looking::new(until);
        let stop = AtomicBool::new(false);
        let is_over = || stop.load(Ordering::Relaxed) || cancelled.load(Ordering::Relaxed);
        let (waited, complaints, followed) = thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                let waited = child.wait(timeout, &is_over);
                // With the sandbox its ends of the pipes are gone, so that both followers end.
                drop(child);
                waited
            });
            let complaining = scope.spawn(|| follow_complaints(complained, &stop));
            let followed = follow_serial(printed, &mut looking, serial, &stop);
            (waiting.join(), complaining.join(), followed)
        });
        let lost_thread = |_| BootError::Plumbing { source: io::Error::other("a thread panicked") };
        let (waited, complaints) = (waited.map_err(lost_thread)?, complaints.map_err(lost_thread)?);
        if looking.wanted.is_found() {
            return Ok(Ended::Found);
        }
        followed?;
        if looking.stands_still() {
            return Err(BootError::LostTimer);
        }
        let watch = looking.wanted;
        if complaints.is_standstill {
            return Err(BootError::Standstill { complaints: complaints.lines });
        }
        match waited.map_err(BootError::Sandbox)? {
            Waited::TimedOut => Ok(Ended::TimedOut { tail: watch.into_tail() }),
            Waited::Stopped => Ok(Ended::Cancelled),
            Waited::Ended(linux::Ended { status: Status::Exited(0), .. }) => {
                Ok(Ended::Halted { tail: watch.into_tail() })
            }
            Waited::Ended(ended) => Err(BootError::Ended { status: ended.status, complaints: complaints.lines }),
        }
    }
}

/// What a machine's sandbox is to the kernel.
fn spec(root: Root, command: Vec<String>, binds: Vec<Bind>, network: Network) -> Spec {
    let environment = [("PATH", "/usr/bin"), ("TMPDIR", "/tmp"), ("LC_ALL", "C")];
    Spec {
        root,
        empty: Vec::new(),
        binds,
        network,
        uid: USER,
        view: View::Host,
        command,
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        directory: String::new(),
        terminal: Terminal::None,
    }
}

/// What QEMU itself had to say.
struct Complaints {
    lines: Vec<String>,
    is_standstill: bool,
}

/// Takes in what QEMU says until it ends; stops it when it stands still.
fn follow_complaints(pipe: OwnedFd, stop: &AtomicBool) -> Complaints {
    let mut pipe = File::from(pipe);
    let mut tail = Tail::default();
    let mut standstill = Watch::new(Some(STANDSTILL));
    let mut buffer = [0; 1024];
    // A pipe that cannot be read any more has told all that it will.
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        let piece = buffer.get(..length).unwrap_or_default();
        tail.see(piece);
        if standstill.see(piece) {
            stop.store(true, Ordering::Relaxed);
        }
    }
    Complaints { lines: tail.into_lines(), is_standstill: standstill.is_found() }
}

/// Passes on what the serial line prints until it ends; says stop when the wanted text has come.
fn follow_serial(
    pipe: OwnedFd,
    looking: &mut Looking,
    serial: &mut dyn Write,
    stop: &AtomicBool,
) -> Result<(), BootError> {
    let mut pipe = File::from(pipe);
    let mut stripper = Stripper::default();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut result = Ok(());
    loop {
        let length = match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                result = Err(BootError::Plumbing { source });
                stop.store(true, Ordering::Relaxed);
                break;
            }
        };
        let text = stripper.strip(buffer.get(..length).unwrap_or_default());
        if result.is_ok()
            && let Err(source) = serial.write_all(&text).and_then(|()| serial.flush())
        {
            result = Err(BootError::Output { source });
        }
        if looking.see(&text) || result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_says_twice_that_a_timer_was_lost_stands_still() {
        let said = b"rcu: rcu_preempt kthread timer wakeup didn't happen for 5246 jiffies!\n";
        let mut looking = Looking::new(Some("wanted"));
        assert!(!looking.see(said) && !looking.stands_still());
        let (first, second) = said.split_at(40);
        assert!(!looking.see(first) && looking.see(second) && looking.stands_still());
        assert!(!looking.wanted.is_found());
    }
}
