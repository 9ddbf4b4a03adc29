//! The port: what comes in is handed to its session, and what goes out is written one frame after the other.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use brc_contract::door::{Command, Decoder, Frame, MAX_SESSIONS, Message, VERSION};

use super::{pipe::Outbox, session::Session};

/// So many frames wait to be written.
const WAITING: usize = 16;
/// Bytes that are read at once.
const READ: usize = 32 << 10;

/// Serves the other end until it is gone. `nonce` is another one at each start.
///
/// # Errors
/// A port that cannot be read, or a thread that cannot be had.
pub fn serve(from: impl Read, to: impl Write + Send + 'static, nonce: u64) -> io::Result<()> {
    serve_all(from, to, nonce, None)
}

/// The same for who may do one thing alone: what they start are the words of this program, with its own environment, and
/// nothing is copied.
///
/// # Errors
/// As [`serve`].
pub fn serve_program(from: impl Read, to: impl Write + Send + 'static, program: &[String]) -> io::Result<()> {
    serve_all(from, to, 0, Some(program.to_vec()))
}

fn serve_all(
    mut from: impl Read,
    to: impl Write + Send + 'static,
    nonce: u64,
    program: Option<Vec<String>>,
) -> io::Result<()> {
    let (frames, waiting) = sync_channel(WAITING);
    thread::Builder::new().spawn(move || write_all(to, &waiting))?;
    let hello = Message::Hello { version: VERSION, nonce };
    Outbox { frames: frames.clone(), session: 0 }.say(hello.clone());
    let mut serving = Serving { frames, sessions: BTreeMap::new(), program };
    let (mut decoder, mut is_greeted) = (Decoder::default(), false);
    let mut buffer = vec![0; READ];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // What is no frame, or comes before the answer, was said to somebody before us.
        for frame in decoder.feed(&buffer[..length]).into_iter().flatten() {
            if frame.message == hello {
                is_greeted = true;
            } else if is_greeted {
                serving.take(frame);
            }
        }
    }
}

fn write_all(mut to: impl Write, waiting: &Receiver<Frame>) {
    for frame in waiting {
        // When nobody can be told any more the reader finds that too.
        if to.write_all(&frame.encode()).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

/// The sessions.
struct Serving {
    frames: SyncSender<Frame>,
    sessions: BTreeMap<u32, Session>,
    /// The one program that may be started, when there is one.
    program: Option<Vec<String>>,
}

impl Serving {
    fn take(&mut self, Frame { session, message }: Frame) {
        let outbox = Outbox { frames: self.frames.clone(), session };
        let refuse = |why: &str| outbox.say(Message::Refused { message: why.to_owned() });
        self.sessions.retain(|_, session| !session.is_over());
        match message {
            Message::Cancel => drop(self.sessions.remove(&session)),
            Message::Get { .. } | Message::Put { .. } if self.program.is_some() => refuse("nothing is copied here"),
            Message::Start(_) | Message::Get { .. } | Message::Put { .. } => {
                let message = match (message, &self.program) {
                    (Message::Start(Command { words, has_input, .. }), Some(program)) => {
                        let words = program.iter().cloned().chain(words).collect();
                        Message::Start(Command { words, has_input, ..Command::default() })
                    }
                    (message, _) => message,
                };
                if self.sessions.contains_key(&session) {
                    refuse("two sessions have one number");
                    self.sessions.remove(&session);
                } else if self.sessions.len() == MAX_SESSIONS {
                    refuse("too many sessions are open at once");
                } else {
                    self.sessions.extend(Session::begin(message, &outbox).map(|begun| (session, begun)));
                }
            }
            // What comes for a session that is over crossed with its end.
            message => {
                if self.sessions.get(&session).is_some_and(|session| !session.hear(message)) {
                    // Before what was started is killed, which says its own end.
                    refuse("more came than was asked for");
                    self.sessions.remove(&session);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
#[expect(clippy::disallowed_methods, reason = "a test waits for what it waits for")]
mod tests;
