//! Running a machine from power-on to its end.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use brc_contract::Architecture;

use super::{
    accelerator::{Accelerator, kvm_bind},
    credential,
    disk::Own,
    order::Order,
    qemu::{self, Hardware},
    terminal::Stripper,
    watch::{Tail, Watch},
    workplace::{Workplace, WorkplaceError},
};
use crate::{
    content::{Digest, RelPath},
    sandbox::linux::{self, Access, Bind, Network, Root, SpawnError, Spec, Status, Streams, Terminal, View, Waited},
    store::{Checkout, Store, StoreError},
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

    /// Boots an image and follows it to its end. What its serial line prints goes to `serial`, line by line or in
    /// smaller pieces, without terminal sequences.
    ///
    /// The machine is ended like by a power cut; what a kept disk was told to flush by then is on the host's disk.
    ///
    /// # Errors
    /// See [`BootError`]; no process is left in any case.
    pub fn boot(&self, order: &Order, serial: &mut dyn Write, cancelled: &AtomicBool) -> Result<Ended, BootError> {
        let credentials = credential::strings(&order.credentials)?;
        let tools = self.tools()?;
        let workplace = Workplace::new(&self.store).map_err(BootError::Workplace)?;
        let own = Own::prepare(order, workplace.path(), &tools.path().join(qemu::model(self.architecture).variables))?;
        let accelerator = self.accelerator(cancelled);
        let command = qemu::command(&Hardware {
            architecture: self.architecture,
            accelerator,
            memory_mib: order.memory_mib,
            disk: own.durability,
            disks: order.disks.len(),
            credentials: credentials.len(),
            forwards: &order.forwards,
            restart: order.restart,
        });
        let running = Running {
            root: workplace.root(tools.path()),
            command,
            binds: binds(order, &own, &workplace, &credentials, accelerator)?,
            network: if order.forwards.is_empty() { Network::None } else { Network::Host },
            until: order.until.as_deref(),
            timeout: order.timeout,
        };
        let ended = self.run(running, serial, cancelled);
        own.flush()?;
        if let Err(BootError::Standstill { .. }) = &ended {
            self.distrust_kvm();
        }
        ended
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

/// Everything of the host that a machine sees.
fn binds(
    order: &Order,
    own: &Own,
    workplace: &Workplace,
    credentials: &[String],
    accelerator: Accelerator,
) -> Result<Vec<Bind>, BootError> {
    let bind = |from: &Path, to: &str, access| Bind { from: from.to_owned(), to: to.to_owned(), access };
    let mut binds =
        vec![bind(&own.disk, qemu::OWN_DISK, Access::Write), bind(&own.variables, qemu::OWN_VARIABLES, Access::Write)];
    for (number, path) in order.disks.iter().enumerate() {
        let refused = |source| BootError::Disk { path: path.clone(), source };
        // Opened here, so that the error names the file and not a place in the sandbox.
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(refused)?;
        if metadata.is_dir() {
            return Err(refused(io::ErrorKind::IsADirectory.into()));
        }
        binds.push(bind(path, &qemu::disk(number), Access::Read));
    }
    for (number, string) in credentials.iter().enumerate() {
        let path = workplace
            .write_secret(&format!("credential-{number}"), string)
            .map_err(|source| BootError::Workplace(source.into()))?;
        binds.push(bind(&path, &qemu::credential(number), Access::Read));
    }
    if accelerator == Accelerator::Kvm {
        binds.push(kvm_bind());
    }
    // The sandbox does not know our working directory.
    for bind in &mut binds {
        bind.from = bind.from.canonicalize().map_err(|source| BootError::Disk { path: bind.from.clone(), source })?;
    }
    Ok(binds)
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

/// Lines of QEMU, each indented on its own line.
struct Lines<'a>(&'a [String]);

impl std::fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str(" (it said nothing)");
        }
        self.0.iter().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// An image could not be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// There is no such image.
    #[error("the image `{}` cannot be read", path.display())]
    Image { path: PathBuf, source: io::Error },
    /// The machine would write to the image.
    #[error("`{}` is the image itself: name another file to keep the machine's disk in", path.display())]
    ImageItself { path: PathBuf },
    /// A machine with this disk is running.
    #[error("another machine is using the disk `{}`: end it, or keep this one elsewhere", path.display())]
    Busy { path: PathBuf },
    /// A disk cannot be made or kept.
    #[error("the machine's disk `{}` cannot be made or written", path.display())]
    Copy { path: PathBuf, source: io::Error },
    /// A further disk is not there.
    #[error("the disk `{}` cannot be shown to the machine", path.display())]
    Disk { path: PathBuf, source: io::Error },
    /// A credential has a name that systemd does not take.
    #[error(
        "`{name}` names no credential: expected 1 to 255 printable characters, none of them a space, `/`, `:` or `=`"
    )]
    CredentialName { name: String },
    /// A credential does not fit into the firmware's tables.
    #[error("the credential `{name}` has {bytes} bytes: expected at most 32768; pass it on a disk instead")]
    CredentialSize { name: String, bytes: usize },
    /// The firmware's tables have no room for so many credentials.
    #[error("{count} credentials: expected at most 255")]
    Credentials { count: usize },
    /// The tool set cannot boot anything.
    #[error("the tool set of role `machine` has no `/{path}`: expected the packages {packages} in it")]
    NoTool { path: &'static str, packages: &'static str },
    /// QEMU refused.
    #[error("QEMU {}; it said:{}", match status {
        Status::Exited(code) => format!("ended with status {code}"),
        Status::Signalled(signal) => format!("was ended by signal {signal}"),
    }, Lines(complaints))]
    Ended { status: Status, complaints: Vec<String> },
    /// The host's processor gave up.
    #[error(
        "the host's processor (KVM) gave up, and the machine stood still; boot again: it will be emulated. QEMU said:{}",
        Lines(complaints)
    )]
    Standstill { complaints: Vec<String> },
    /// The emulator lost a timer.
    #[error("a timer of the machine was lost, and it stands still: emulators do that rarely; boot again")]
    LostTimer,
    /// What is printed cannot be passed on.
    #[error("what the machine prints cannot be written")]
    Output { source: io::Error },
    /// The sandbox cannot be made, or was killed.
    #[error("there is no sandbox for the machine; `brc doctor` says what this host lacks")]
    Sandbox(#[source] SpawnError),
    /// There is no place to run from.
    #[error("there is no folder to run a machine from")]
    Workplace(#[source] WorkplaceError),
    /// The tool set cannot be had.
    #[error("the tool set of the machine cannot be had")]
    Store {
        #[from]
        source: StoreError,
    },
    /// A pipe or thread of ours failed.
    #[error("the machine's input and output cannot be connected")]
    Plumbing { source: io::Error },
}

impl BootError {
    /// Whether what was asked for makes no sense, so that another command line mends it.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Image { .. }
                | Self::ImageItself { .. }
                | Self::Disk { .. }
                | Self::CredentialName { .. }
                | Self::CredentialSize { .. }
                | Self::Credentials { .. }
        )
    }
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
