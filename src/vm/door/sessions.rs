//! The sessions of all who look in, between them and the machine.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use brc_contract::door::{Frame, MAX_SESSIONS, Message, VERSION, WINDOW};

/// So many frames wait for the machine; who has more to say waits too.
const OUTGOING: usize = 32;
/// So many frames without bytes wait for one who looks in. The machine acknowledges at most every frame of a window.
const UNCOUNTED: usize = WINDOW / 64 + 16;

/// The sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the machine is gone.
    is_over: bool,
    /// What the machine has said it speaks, once it is there.
    version: Option<u32>,
    last: u32,
    sessions: BTreeMap<u32, Session>,
    outgoing: VecDeque<Frame>,
}

/// What waits for one who looks in.
#[derive(Debug, Default)]
struct Session {
    waiting: VecDeque<Message>,
    cost: usize,
    uncounted: usize,
    /// Whether the machine was asked for something.
    is_begun: bool,
    /// Whether the last word is among what waits.
    is_last: bool,
}

impl Session {
    fn put(&mut self, message: Message) {
        if !self.is_last {
            self.is_last = message.is_last();
            self.waiting.push_back(message);
        }
    }

    fn refuse(&mut self, why: &str) {
        self.put(Message::Refused { message: why.to_owned() });
    }

    /// Says whether there is a door, once that is known.
    fn greet(&mut self, version: Option<u32>) {
        match version {
            None => {}
            Some(VERSION) => self.put(Message::Hello { version: VERSION, nonce: 0 }),
            Some(other) => self.refuse(&format!(
                "the machine's door is of version {other} and this brc speaks {VERSION}: boot it by a brc of its release"
            )),
        }
    }
}

impl Sessions {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody looks in; the number of their session. None when too many do.
    pub fn enter(&self) -> Option<u32> {
        let mut state = self.locked();
        if state.sessions.len() >= MAX_SESSIONS || state.is_over {
            return None;
        }
        state.last = state.last.checked_add(1)?;
        let (number, version) = (state.last, state.version);
        let mut session = Session::default();
        session.greet(version);
        state.sessions.insert(number, session);
        Some(number)
    }

    /// They go away: what runs for them is ended.
    pub fn leave(&self, number: u32) {
        let mut state = self.locked();
        if let Some(session) = state.sessions.remove(&number)
            && session.is_begun
            && !session.is_last
        {
            // At once, however much waits: whoever goes away does so once.
            state.outgoing.push_back(Frame { session: number, message: Message::Cancel });
        }
        self.changed.notify_all();
    }

    /// They say something; whether more may follow.
    pub fn say(&self, number: u32, message: Message) -> bool {
        let mut state = self.locked();
        let begins = matches!(message, Message::Start(_) | Message::Get { .. } | Message::Put { .. });
        let goes_on = matches!(message, Message::Input(_) | Message::InputEnd | Message::Taken { .. });
        while state.outgoing.len() >= OUTGOING && !state.is_over {
            state = self.wait(state);
        }
        let is_there = state.version == Some(VERSION);
        let Some(session) = state.sessions.get_mut(&number).filter(|session| !session.is_last) else { return false };
        if !(is_there && begins && !session.is_begun || goes_on && session.is_begun) {
            session.refuse("that cannot be said now");
            self.changed.notify_all();
            return false;
        }
        session.is_begun = true;
        state.outgoing.push_back(Frame { session: number, message });
        self.changed.notify_all();
        true
    }

    /// What is to be said to one who looks in: waits for it. Nothing when they have gone.
    pub fn next_for(&self, number: u32) -> Option<Message> {
        let mut state = self.locked();
        loop {
            let session = state.sessions.get_mut(&number)?;
            if let Some(message) = session.waiting.pop_front() {
                match message.cost() {
                    0 => session.uncounted = session.uncounted.saturating_sub(1),
                    cost => session.cost = session.cost.saturating_sub(cost),
                }
                return Some(message);
            }
            if session.is_last {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// What is to be said to the machine: waits for it. Nothing when the machine is gone.
    pub fn next_for_machine(&self) -> Option<Frame> {
        let mut state = self.locked();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(frame) = state.outgoing.pop_front() {
                self.changed.notify_all();
                return Some(frame);
            }
            state = self.wait(state);
        }
    }

    /// The machine says something. It is trusted with nothing: what is too much ends the session.
    pub fn hear(&self, frame: Frame) {
        let mut state = self.locked();
        match frame.message {
            Message::Hello { version, .. } => {
                state.version = Some(version);
                state.outgoing.clear();
                // It is not waited for, so that whoever hears the machine always goes on to hear it.
                state.outgoing.push_back(Frame { session: 0, message: frame.message });
                for session in state.sessions.values_mut() {
                    if session.is_begun {
                        session.refuse("the machine was started anew, or its agent was");
                    } else {
                        session.greet(Some(version));
                    }
                }
            }
            message @ (Message::Output(_) | Message::Errors(_) | Message::Taken { .. }) => {
                let Some(session) = state.sessions.get_mut(&frame.session) else { return };
                session.cost += message.cost();
                session.uncounted += usize::from(message.cost() == 0);
                if session.cost <= WINDOW && session.uncounted <= UNCOUNTED {
                    session.put(message);
                } else if !session.is_last {
                    session.refuse("the machine says more than it may");
                    state.outgoing.push_back(Frame { session: frame.session, message: Message::Cancel });
                }
            }
            message if message.is_last() => {
                if let Some(session) = state.sessions.get_mut(&frame.session) {
                    session.put(message);
                }
            }
            // Nothing else is said by machines.
            _ => {}
        }
        self.changed.notify_all();
    }

    /// The machine speaks what nobody understands: what was under way is over.
    pub fn lose(&self) {
        let mut state = self.locked();
        if state.version.is_some() {
            state.sessions.values_mut().filter(|session| session.is_begun).for_each(|session| {
                session.refuse("the machine was reset, or its agent speaks no language of the door");
            });
        }
        self.changed.notify_all();
    }

    /// The machine is gone.
    pub fn end(&self) {
        let mut state = self.locked();
        state.is_over = true;
        state.sessions.values_mut().for_each(|session| session.refuse("the machine has ended"));
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use brc_contract::door::{Command, End};

    use super::*;

    fn hello(nonce: u64) -> Frame {
        Frame { session: 0, message: Message::Hello { version: VERSION, nonce } }
    }

    fn start() -> Message {
        Message::Start(Command::default())
    }

    fn is_refused(message: Option<Message>, word: &str) -> bool {
        matches!(message, Some(Message::Refused { message }) if message.contains(word))
    }

    #[test]
    fn a_machine_that_starts_anew_ends_what_was_begun_and_greets_who_waits() {
        let sessions = Sessions::default();
        let (begun, waits) = (sessions.enter().unwrap(), sessions.enter().unwrap());
        sessions.hear(hello(1));
        assert!(matches!(sessions.next_for(begun), Some(Message::Hello { .. })));
        assert!(sessions.say(begun, start()));
        assert_eq!(sessions.next_for_machine(), Some(hello(1)));
        sessions.hear(hello(2));
        assert!(is_refused(sessions.next_for(begun), "anew") && sessions.next_for(begun).is_none());
        assert!(!sessions.say(begun, Message::InputEnd));
        // What was said to the machine before it started anew is not said to it now.
        assert_eq!(sessions.next_for_machine(), Some(hello(2)));
        assert!(matches!(sessions.next_for(waits), Some(Message::Hello { .. })));
        assert!(sessions.say(waits, start()));
        assert!(matches!(sessions.next_for_machine(), Some(Frame { session: 2, message: Message::Start(_) })));
        sessions.leave(waits);
        assert_eq!(sessions.next_for_machine(), Some(Frame { session: 2, message: Message::Cancel }));
        sessions.end();
        assert!(sessions.next_for_machine().is_none() && sessions.enter().is_none());
    }

    #[test]
    fn what_may_not_be_said_is_refused() {
        let sessions = Sessions::default();
        let early = sessions.enter().unwrap();
        assert!(!sessions.say(early, start()) && is_refused(sessions.next_for(early), "cannot"));
        sessions.hear(hello(1));
        for said in [Message::InputEnd, Message::Cancel, Message::Output(Vec::new()), hello(1).message] {
            let number = sessions.enter().unwrap();
            assert!(!sessions.say(number, said));
            assert!(matches!(sessions.next_for(number), Some(Message::Hello { .. })));
            assert!(is_refused(sessions.next_for(number), "cannot"));
            sessions.leave(number);
        }
        sessions.hear(Frame { session: 0, message: Message::Hello { version: 9, nonce: 1 } });
        let other = sessions.enter().unwrap();
        assert!(is_refused(sessions.next_for(other), "version 9"));
        while sessions.enter().is_some() {}
        assert_eq!(sessions.locked().sessions.len(), MAX_SESSIONS);
    }

    #[test]
    fn a_machine_that_says_too_much_is_not_kept() {
        for message in [Message::Output(vec![0; 1000]), Message::Errors(Vec::new()), Message::Taken { cost: 0 }] {
            let sessions = Sessions::default();
            let number = sessions.enter().unwrap();
            sessions.hear(hello(1));
            assert!(sessions.say(number, start()));
            for _ in 0..100_000 {
                sessions.hear(Frame { session: number, message: message.clone() });
                sessions.hear(Frame { session: 77, message: message.clone() });
            }
            let mut heard = Vec::new();
            while let Some(message) = sessions.next_for(number) {
                heard.push(message);
            }
            assert!(is_refused(heard.pop(), "more than it may") && heard.len() < 5000, "{}", heard.len());
            assert!(heard.iter().map(Message::cost).sum::<usize>() <= WINDOW);
            assert!(sessions.locked().outgoing.len() <= 3);
        }
    }

    #[test]
    fn an_end_is_the_last_word() {
        let sessions = Sessions::default();
        let number = sessions.enter().unwrap();
        sessions.hear(hello(1));
        assert!(sessions.say(number, start()));
        sessions.hear(Frame { session: number, message: Message::Ended(End::Code(3)) });
        sessions.hear(Frame { session: number, message: Message::Output(b"late".to_vec()) });
        sessions.lose();
        assert!(matches!(sessions.next_for(number), Some(Message::Hello { .. })));
        assert_eq!(sessions.next_for(number), Some(Message::Ended(End::Code(3))));
        assert_eq!(sessions.next_for(number), None);
    }
}
