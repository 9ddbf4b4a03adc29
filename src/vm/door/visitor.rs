//! One who looks into a machine that runs.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use brc_contract::door::{Decoder, End, Frame, MAX_PIECE, Message, Window};

use super::place::{connect, is_machine_name, running};

/// Bytes that are read at once.
const READ: usize = 32 << 10;
/// How long a machine may say nothing before whoever looks is asked whether they still do.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// A look into a machine: one thing is asked for, and followed to its end.
#[derive(Debug)]
pub struct Visitor {
    stream: UnixStream,
    out: Arc<Out>,
    decoder: Decoder,
    heard: VecDeque<Message>,
}

/// What is said, and as much as may be.
#[derive(Debug)]
struct Out {
    stream: Mutex<UnixStream>,
    window: Window,
}

impl Out {
    fn say(&self, message: Message) -> io::Result<()> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&Frame { session: 0, message }.encode())
    }
}

/// What is said to whatever was started.
#[derive(Debug)]
pub struct Input(Arc<Out>);

impl Input {
    /// Says that this was all.
    ///
    /// # Errors
    /// It is over already.
    pub fn end(self) -> io::Result<()> {
        self.0.say(Message::InputEnd)
    }
}

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..bytes.len().min(MAX_PIECE)).unwrap_or_default();
        let message = Message::Input(piece.to_vec());
        if !self.0.window.spend(message.cost()) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0.say(message).map(|()| piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Visitor {
    /// Goes to the machine called `name`, of those whose folders are below `machines`, and waits so long for its door to be
    /// opened.
    ///
    /// # Errors
    /// No such machine runs, or its door stays closed.
    pub fn enter(machines: &Path, name: &str, patience: Duration) -> Result<Self, VisitError> {
        let found = if is_machine_name(name) { connect(&machines.join(name)) } else { Ok(None) };
        let connected = found.map_err(|source| VisitError::Unreachable { name: name.to_owned(), source })?;
        let Some(stream) = connected else {
            return Err(VisitError::NotRunning { name: name.to_owned(), running: running(machines) });
        };
        let mut visitor = Self::at(stream).map_err(VisitError::Broken)?;
        visitor.stream.set_read_timeout(Some(patience)).map_err(VisitError::Broken)?;
        match visitor.hear() {
            Ok(Some(Message::Hello { .. })) => {}
            Ok(Some(Message::Refused { message })) => return Err(VisitError::Refused { message }),
            Ok(_) => return Err(VisitError::Gone),
            Err(error) if is_silence(&error) => {
                return Err(VisitError::Closed { name: name.to_owned(), seconds: patience.as_secs() });
            }
            Err(error) => return Err(VisitError::Broken(error)),
        }
        Ok(visitor)
    }

    fn at(stream: UnixStream) -> io::Result<Self> {
        let out = Out { stream: Mutex::new(stream.try_clone()?), window: Window::default() };
        Ok(Self { stream, out: Arc::new(out), decoder: Decoder::default(), heard: VecDeque::new() })
    }

    /// Asks for something: [`Message::Start`], [`Message::Get`] or [`Message::Put`]; where to say what it is to be told.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn ask(&self, message: Message) -> Result<Input, VisitError> {
        self.out.say(message).map_err(VisitError::Broken)?;
        Ok(Input(self.out.clone()))
    }

    /// Follows what was asked for to its end, and passes on what it says.
    ///
    /// # Errors
    /// The machine refused or has ended, or what it says cannot be passed on.
    pub fn follow(self, output: &mut dyn Write, errors: &mut dyn Write) -> Result<End, VisitError> {
        self.follow_while(output, errors, &|| true)
    }

    /// The same for as long as `goes_on`: a machine that stopped says nothing, not even that.
    ///
    /// # Errors
    /// As [`Visitor::follow`], and [`VisitError::Left`].
    pub fn follow_while(
        mut self,
        output: &mut dyn Write,
        errors: &mut dyn Write,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<End, VisitError> {
        self.stream.set_read_timeout(Some(HEARTBEAT)).map_err(VisitError::Broken)?;
        loop {
            let message = match self.hear() {
                Err(error) if is_silence(&error) && goes_on() => continue,
                Err(error) if is_silence(&error) => return Err(VisitError::Left),
                heard => heard.map_err(VisitError::Broken)?.ok_or(VisitError::Gone)?,
            };
            let cost = u32::try_from(message.cost()).unwrap_or(u32::MAX);
            match message {
                Message::Output(bytes) => pass_on(output, &bytes)?,
                Message::Errors(bytes) => pass_on(errors, &bytes)?,
                Message::Taken { cost } => self.out.window.give(cost),
                Message::Ended(end) => return Ok(end),
                Message::Refused { message } => return Err(VisitError::Refused { message }),
                // The machine was started anew before anything was asked for.
                _ => {}
            }
            if cost > 0 {
                // What has ended meanwhile tells so next.
                self.out.say(Message::Taken { cost }).unwrap_or_default();
            }
        }
    }

    /// The next message; none when the other end is closed.
    fn hear(&mut self) -> io::Result<Option<Message>> {
        let mut buffer = vec![0; READ];
        loop {
            if let Some(message) = self.heard.pop_front() {
                return Ok(Some(message));
            }
            let length = match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            };
            for frame in self.decoder.feed(buffer.get(..length).unwrap_or_default()) {
                self.heard.push_back(frame.map_err(io::Error::other)?.message);
            }
        }
    }
}

/// Who is gone says nothing more, and what runs for them is ended.
impl Drop for Visitor {
    fn drop(&mut self) {
        self.out.window.close();
        // What is closed already need not be.
        self.stream.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

/// Whether nothing was said for as long as one listened.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn pass_on(to: &mut dyn Write, bytes: &[u8]) -> Result<(), VisitError> {
    to.write_all(bytes).and_then(|()| to.flush()).map_err(VisitError::Output)
}

/// Nobody could look in, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// There is no such machine now.
    #[error(
        "no machine called `{name}` runs: {}",
        if running.is_empty() {
            "start one with `brc boot IMAGE --name NAME`".to_owned()
        } else {
            format!("expected one of `{}`", running.join("`, `"))
        }
    )]
    NotRunning { name: String, running: Vec<String> },
    /// Its socket is there, and does not connect.
    #[error("the machine `{name}` cannot be reached")]
    Unreachable { name: String, source: io::Error },
    /// It has not opened its door.
    #[error(
        "the machine `{name}` has not opened its door within {seconds} seconds: it is still starting (`--wait` waits \
         longer), its image has no component `door`, or it is sealed and takes no credentials"
    )]
    Closed { name: String, seconds: u64 },
    /// It does not do what was asked for.
    #[error("{message}")]
    Refused { message: String },
    /// It has ended, or whoever runs it has.
    #[error("the machine has ended")]
    Gone,
    /// Whoever looked has had enough.
    #[error("nobody waits for it any more")]
    Left,
    /// The connection does not work.
    #[error("the machine cannot be talked to")]
    Broken(#[source] io::Error),
    /// What it says cannot be passed on.
    #[error("what the machine says cannot be written")]
    Output(#[source] io::Error),
}

impl VisitError {
    /// Whether another command line mends it.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotRunning { .. })
    }
}
