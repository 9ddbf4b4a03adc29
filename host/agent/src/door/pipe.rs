//! A session's bytes, on their way in and out.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc::SyncSender},
};

use brc_contract::door::{Frame, MAX_PIECE, Message, WINDOW, Window};

/// The way to the other end, for one session.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    pub frames: SyncSender<Frame>,
    pub session: u32,
}

impl Outbox {
    /// Says something. When the port is gone nobody hears it, and there is nobody to tell.
    pub fn say(&self, message: Message) {
        self.frames.send(Frame { session: self.session, message }).unwrap_or_default();
    }
}

/// What is said, piece by piece, as the window allows.
#[derive(Debug)]
pub(super) struct Output {
    pub outbox: Outbox,
    pub window: Arc<Window>,
    pub kind: fn(Vec<u8>) -> Message,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(MAX_PIECE)];
        let message = (self.kind)(piece.to_vec());
        if !self.window.spend(message.cost()) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.outbox.say(message);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What has come for a session and was not taken in.
#[derive(Debug, Default)]
pub(super) struct Input {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<Message>,
    cost: usize,
    is_whole: bool,
    is_closed: bool,
}

impl Input {
    fn locked(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a piece; not when more comes than the window allows.
    pub fn put(&self, piece: Message) -> bool {
        let mut waiting = self.locked();
        waiting.cost += piece.cost();
        if waiting.cost > WINDOW || waiting.is_whole {
            return false;
        }
        if !waiting.is_closed {
            waiting.pieces.push_back(piece);
        }
        self.changed.notify_all();
        true
    }

    /// No more comes.
    pub fn end(&self) {
        self.locked().is_whole = true;
        self.changed.notify_all();
    }

    /// Nobody wants any more of it.
    pub fn close(&self) {
        let mut waiting = self.locked();
        waiting.is_closed = true;
        waiting.pieces.clear();
        self.changed.notify_all();
    }

    /// The next piece; none at the end.
    fn next(&self) -> io::Result<Option<(Vec<u8>, usize)>> {
        let mut waiting = self.locked();
        loop {
            if waiting.is_closed {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if let Some(piece) = waiting.pieces.pop_front() {
                let cost = piece.cost();
                waiting.cost -= cost;
                let Message::Input(bytes) = piece else { continue };
                return Ok(Some((bytes, cost)));
            }
            if waiting.is_whole {
                return Ok(None);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads what has come, and says what it has taken.
#[derive(Debug)]
pub(super) struct Taking {
    pub input: Arc<Input>,
    pub outbox: Outbox,
    /// What is left of the current piece.
    piece: io::Cursor<Vec<u8>>,
}

impl Taking {
    /// What comes for this session.
    pub fn new(input: Arc<Input>, outbox: Outbox) -> Self {
        Taking { input, outbox, piece: io::Cursor::default() }
    }
}

impl Read for Taking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.piece.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let Some((piece, cost)) = self.input.next()? else { return Ok(0) };
            self.piece = io::Cursor::new(piece);
            self.outbox.say(Message::Taken { cost: u32::try_from(cost).unwrap_or(u32::MAX) });
        }
    }
}
