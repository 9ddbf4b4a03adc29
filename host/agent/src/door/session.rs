//! One session: a program, or a copy.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use brc_contract::{
    door::{End, Message, Window},
    error_chain,
};
use brc_linux::copied::{self, CopyError};

use super::{
    pipe::{Input, Outbox, Output, Taking},
    program::{self, Group},
};

/// What runs, and how it is reached.
#[derive(Debug)]
pub(super) struct Session {
    window: Arc<Window>,
    input: Arc<Input>,
    group: Option<Group>,
    is_over: Arc<AtomicBool>,
}

impl Session {
    /// Begins what `asked` asks for; nothing when that begins no session.
    pub fn begin(asked: Message, outbox: &Outbox) -> Option<Session> {
        let mut session =
            Session { window: Arc::default(), input: Arc::default(), group: None, is_over: Arc::default() };
        let (is_over, last) = (session.is_over.clone(), outbox.clone());
        let finish = move |message| {
            // Who hears that it is over may begin another one.
            is_over.store(true, Ordering::Release);
            last.say(message);
        };
        match asked {
            Message::Start(command) => {
                session.group = program::start(&command, outbox, &session.window, &session.input, finish);
            }
            Message::Get { path } => {
                let mut to = Output { outbox: outbox.clone(), window: session.window.clone(), kind: Message::Output };
                thread::spawn(move || finish(copied(copied::send(Path::new(&path), &mut to))));
            }
            Message::Put { path, name } => {
                let mut from = Taking::new(session.input.clone(), outbox.clone());
                thread::spawn(move || finish(copied(copied::receive(Path::new(&path), &name, &mut from))));
            }
            _ => return None,
        }
        Some(session)
    }

    /// Takes what is said in it; whether that can go on.
    pub fn hear(&self, message: Message) -> bool {
        match message {
            Message::Input(_) => return self.input.put(message),
            Message::InputEnd => self.input.end(),
            Message::Taken { cost } => self.window.give(cost),
            _ => return false,
        }
        true
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// Who goes away has nothing left behind.
impl Drop for Session {
    fn drop(&mut self) {
        if self.is_over() {
            return;
        }
        self.window.close();
        self.input.close();
        if let Some(group) = &self.group {
            group.kill();
        }
    }
}

fn copied(done: Result<(), CopyError>) -> Message {
    match done {
        Ok(()) => Message::Ended(End::Code(0)),
        Err(error) => Message::Refused { message: error_chain(&error) },
    }
}
