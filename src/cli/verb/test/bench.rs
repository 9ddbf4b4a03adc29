//! A machine that is looked into while it runs.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use brc_contract::door::{Command, Message};
use serde_json::Value;

use crate::{
    cli::{
        CliError,
        arguments::TestPlace,
        boot_order::data_disk,
        context::Context,
        json::Event,
        output::{print_event, status},
        verb::boot::machine_for,
    },
    store::WorkFolder,
    vm::{BootError, BootOrder, Disk, Machine, Reach, Tail, Visitor},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the door of a machine that restarts is waited for at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// The port at which a machine reaches what it is to reach.
const GUEST_PORT: u16 = 80;

/// A place for one test.
pub struct Bench<'c> {
    context: &'c Context,
    machine: Machine,
    image: PathBuf,
    folder: WorkFolder,
    machines: PathBuf,
    name: String,
    limit: Duration,
    has_watchdog: bool,
}

/// It did not go as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// Something is not so.
    Not(String),
    /// The caller wanted no more.
    Cancelled,
}

/// One who looks into the machine.
pub struct Look<'b> {
    bench: &'b Bench<'b>,
    has_ended: &'b AtomicBool,
    start: Instant,
}

impl<'c> Bench<'c> {
    /// A machine for `image`.
    ///
    /// # Errors
    /// No image, no QEMU for it, no place for its disk.
    pub fn new(context: &'c Context, image: &Path, place: &TestPlace) -> Result<Self, CliError> {
        let machine = machine_for(context, image, place.recipe.as_deref())?;
        let folder = context.store()?.temporary()?;
        let (machines, name) = (context.config.machines_path()?, format!("test-{}", process::id()));
        let limit = Duration::from_secs(place.timeout);
        let image = image.to_owned();
        Ok(Bench { context, machine, image, folder, machines, name, limit, has_watchdog: false })
    }

    /// The same with a watchdog, as servers have one.
    pub fn watched(self) -> Self {
        Bench { has_watchdog: true, ..self }
    }

    /// Where files of this test may lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Boots the machine, and has `story` look at it until that has ended. A failure comes with the machine's last lines.
    ///
    /// # Errors
    /// A machine that does not start.
    pub fn run(
        &self,
        port: Option<u16>,
        credentials: &[(String, Vec<u8>)],
        story: impl FnOnce(&Look<'_>) -> Result<(), Failed>,
    ) -> Result<Result<(), (Failed, Vec<String>)>, CliError> {
        let door = self.machines.join(&self.name);
        let order = BootOrder {
            disk: Disk::Kept(self.folder().join("disk.raw")),
            data_disk: data_disk(&self.image)?,
            door: Some(door.clone()),
            reaches: port.map(|host| Reach { host, guest: GUEST_PORT }).into_iter().collect(),
            credentials: credentials.iter().cloned().collect(),
            has_watchdog: self.has_watchdog,
            ..BootOrder::new(self.image.clone())
        };
        let (stop, has_ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let last = Mutex::new(Tail::default());
        let (told, booted) = thread::scope(|scope| {
            let booting = scope.spawn(|| {
                let ended = self.machine.boot(&order, &mut Kept(&last), &|_| (), &stop);
                has_ended.store(true, Ordering::Relaxed);
                ended
            });
            #[expect(clippy::disallowed_methods, reason = "a person is told how long each step took")]
            let told = story(&Look { bench: self, has_ended: &has_ended, start: Instant::now() });
            stop.store(true, Ordering::Relaxed);
            (told, booting.join())
        });
        // Empty by now; what cannot be removed is in nobody's way.
        let _ = fs::remove_dir(&door);
        let lost = |_| BootError::Plumbing { source: io::Error::other("a thread panicked") };
        booted.map_err(lost).and_then(|ended| ended).map_err(|error| CliError::Machine(error.into()))?;
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(told.map_err(|failed| (failed, last.into_lines())))
    }
}

impl Look<'_> {
    /// Says what happens.
    pub fn tell(&self, step: &str) {
        let seconds = self.start.elapsed().as_secs();
        if self.bench.context.is_json() {
            print_event(Event::TestStep { seconds, step: step.to_owned() });
        } else {
            status(&format!("{seconds:>5} s  {step}"));
        }
    }

    /// Runs a program in the machine; its exit code and what it printed. A machine that cannot be looked into is tried again.
    ///
    /// # Errors
    /// The time is over, the machine has ended, or the caller wants no more.
    pub fn run(&self, words: &[&str]) -> Result<(u8, String), Failed> {
        loop {
            if let Some(done) = self.try_run(words)? {
                return Ok(done);
            }
            self.pause()?;
        }
    }

    /// Runs a program and does not ask what became of it: it ends the machine.
    ///
    /// # Errors
    /// As [`Look::run`].
    pub fn let_go(&self, words: &[&str]) -> Result<(), Failed> {
        self.try_run(words).map(|_| ())
    }

    fn try_run(&self, words: &[&str]) -> Result<Option<(u8, String)>, Failed> {
        self.is_on()?;
        let Ok(visitor) = Visitor::enter(&self.bench.machines, &self.bench.name, PATIENCE) else { return Ok(None) };
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let command = Command { words, environment: Vec::new(), directory: String::new(), has_input: false };
        if visitor.ask(Message::Start(command)).is_err() {
            return Ok(None);
        }
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let goes_on = || self.is_on().is_ok();
        let Ok(end) = visitor.follow_while(&mut output, &mut errors, &goes_on) else { return Ok(None) };
        output.extend(errors);
        Ok(Some((end.code(), String::from_utf8_lossy(&output).into_owned())))
    }

    /// Looks at what the machine says of itself until it is so.
    ///
    /// # Errors
    /// The time is over, the machine has ended, or the caller wants no more.
    pub fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value, Failed> {
        loop {
            if let Some((_, text)) = self.try_run(&["/usr/bin/brc-agent", "status", "--json"])?
                && let Ok(said) = serde_json::from_str::<Value>(text.trim())
                && is_so(&said)
            {
                return Ok(said);
            }
            match self.pause() {
                Err(Failed::Not(why)) => return Err(Failed::Not(format!("{why} before {what}"))),
                other => other?,
            }
        }
    }

    /// Lets a second go by.
    ///
    /// # Errors
    /// As [`Look::run`].
    pub fn pause(&self) -> Result<(), Failed> {
        self.pause_for(PAUSE)
    }

    /// Lets some time go by.
    ///
    /// # Errors
    /// As [`Look::run`].
    #[expect(clippy::disallowed_methods, reason = "a machine says nothing when something has become so")]
    pub fn pause_for(&self, time: Duration) -> Result<(), Failed> {
        self.is_on()?;
        thread::sleep(time);
        Ok(())
    }

    fn is_on(&self) -> Result<(), Failed> {
        if self.bench.context.cancelled().load(Ordering::Relaxed) {
            return Err(Failed::Cancelled);
        }
        if self.has_ended.load(Ordering::Relaxed) {
            return Err(Failed::Not("the machine ended".to_owned()));
        }
        if self.start.elapsed() > self.bench.limit {
            return Err(Failed::Not(format!("{} s went by", self.bench.limit.as_secs())));
        }
        Ok(())
    }
}

/// Keeps the machine's last lines.
struct Kept<'l>(&'l Mutex<Tail>);

impl Write for Kept<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).see(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
