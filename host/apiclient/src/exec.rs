//! A program in a container of the host, by the frames that `brc exec` speaks too.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use brc_contract::door::{Command, Decoder, Frame, MAX_PIECE, Message, VERSION, Window};

/// The one session of the connection.
const SESSION: u32 = 1;

/// Where frames go, from both threads.
#[derive(Clone)]
struct Outbox(Arc<Mutex<UnixStream>>);

impl Outbox {
    fn say(&self, session: u32, message: Message) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&Frame { session, message }.encode())
    }
}

/// Runs a program, with this process' own standard input and outputs; its exit code.
///
/// # Errors
/// A connection that breaks off, or a machine that refuses.
pub fn run(mut stream: UnixStream, words: Vec<String>) -> io::Result<u8> {
    let outbox = Outbox(Arc::new(Mutex::new(stream.try_clone()?)));
    let window = Arc::new(Window::default());
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; 32 << 10]);
    let mut start = Some(Message::Start(Command { words, has_input: true, ..Command::default() }));
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for frame in decoder.feed(&buffer[..length]).into_iter().flatten() {
            let cost = u32::try_from(frame.message.cost()).unwrap_or(u32::MAX);
            match frame.message {
                Message::Hello { version: VERSION, nonce } => {
                    outbox.say(0, Message::Hello { version: VERSION, nonce })?;
                    if let Some(start) = start.take() {
                        outbox.say(SESSION, start)?;
                        let (outbox, window) = (outbox.clone(), window.clone());
                        thread::spawn(move || feed(&outbox, &window));
                    }
                }
                Message::Hello { version, .. } => {
                    let why = format!("the machine speaks version {version} and this program {VERSION}");
                    return Err(io::Error::other(why));
                }
                Message::Output(bytes) => {
                    io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush())?;
                    outbox.say(SESSION, Message::Taken { cost })?;
                }
                Message::Errors(bytes) => {
                    io::stderr().write_all(&bytes)?;
                    outbox.say(SESSION, Message::Taken { cost })?;
                }
                Message::Taken { cost } => window.give(cost),
                Message::Ended(end) => return Ok(end.code()),
                Message::Refused { message } => return Err(io::Error::other(message)),
                _ => {}
            }
        }
    }
}

/// Hands standard input on to its end. When the other end is gone, whoever reads there says so.
fn feed(outbox: &Outbox, window: &Window) {
    let mut piece = vec![0; MAX_PIECE];
    loop {
        let message = match io::stdin().read(&mut piece) {
            Ok(0) | Err(_) => Message::InputEnd,
            Ok(length) => Message::Input(piece[..length].to_vec()),
        };
        let is_last = message == Message::InputEnd;
        if !window.spend(message.cost()) || outbox.say(SESSION, message).is_err() || is_last {
            return;
        }
    }
}
