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

    /// Says that so much was taken in. Whether anybody hears it shows when the next frame is read.
    fn taken(&self, cost: u32) {
        self.say(SESSION, Message::Taken { cost }).unwrap_or_default();
    }
}

/// Where what a program says goes.
pub struct Outputs<'a> {
    /// Standard output.
    pub output: &'a mut dyn io::Write,
    /// Standard error.
    pub errors: &'a mut dyn io::Write,
}

/// Runs a program, with what comes in at `input`; its exit code.
///
/// # Errors
/// A connection that breaks off, or a machine that refuses.
pub fn run(
    mut stream: UnixStream,
    words: Vec<String>,
    input: impl io::Read + Send + 'static,
    to: Outputs<'_>,
) -> io::Result<u8> {
    let mut input = Some(input);
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
                    if let Some((start, input)) = start.take().zip(input.take()) {
                        outbox.say(SESSION, start)?;
                        let (outbox, window) = (outbox.clone(), window.clone());
                        thread::spawn(move || feed(input, &outbox, &window));
                    }
                }
                Message::Hello { version, .. } => {
                    let why = format!("the machine speaks version {version} and this program {VERSION}");
                    return Err(io::Error::other(why));
                }
                Message::Output(bytes) => {
                    to.output.write_all(&bytes).and_then(|()| to.output.flush())?;
                    outbox.taken(cost);
                }
                Message::Errors(bytes) => {
                    to.errors.write_all(&bytes)?;
                    outbox.taken(cost);
                }
                Message::Taken { cost } => window.give(cost),
                Message::Ended(end) => return Ok(end.code()),
                Message::Refused { message } => return Err(io::Error::other(message)),
                _ => {}
            }
        }
    }
}

/// Hands what comes in on to its end. When the other end is gone, whoever reads there says so.
fn feed(mut input: impl io::Read, outbox: &Outbox, window: &Window) {
    let mut piece = vec![0; MAX_PIECE];
    loop {
        let message = match input.read(&mut piece) {
            Ok(0) | Err(_) => Message::InputEnd,
            Ok(length) => Message::Input(piece[..length].to_vec()),
        };
        let is_last = message == Message::InputEnd;
        if !window.spend(message.cost()) || outbox.say(SESSION, message).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use brc_contract::door::End;

    use super::*;

    /// A machine that runs `cat`, in a manner of speaking, and ends with a code.
    fn machine(mut stream: UnixStream) -> io::Result<()> {
        let mut to = stream.try_clone()?;
        let mut say = |session, message| to.write_all(&Frame { session, message }.encode());
        say(0, Message::Hello { version: VERSION, nonce: 7 })?;
        let (mut decoder, mut buffer) = (Decoder::default(), vec![0; 4096]);
        loop {
            let length = stream.read(&mut buffer)?;
            for frame in decoder.feed(&buffer[..length]).into_iter().flatten() {
                match frame.message {
                    Message::Input(bytes) => {
                        let cost = u32::try_from(Message::Input(bytes.clone()).cost()).unwrap();
                        say(frame.session, Message::Taken { cost })?;
                        say(frame.session, Message::Output(bytes))?;
                    }
                    Message::InputEnd => {
                        say(frame.session, Message::Errors(b"over".to_vec()))?;
                        return say(frame.session, Message::Ended(End::Code(7)));
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn what_goes_in_comes_out_with_the_exit_code_however_long_it_is() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let machine = thread::spawn(move || machine(theirs));
        let long: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let to = Outputs { output: &mut output, errors: &mut errors };
        let code = run(ours, vec!["cat".to_owned()], io::Cursor::new(long.clone()), to).unwrap();
        machine.join().unwrap().unwrap();
        assert!(code == 7 && output == long && errors == b"over");
    }

    #[test]
    fn a_machine_that_goes_away_is_told() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let to = Outputs { output: &mut output, errors: &mut errors };
        assert!(run(ours, vec!["a".to_owned()], io::empty(), to).is_err());
    }
}
