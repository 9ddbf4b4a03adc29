//! The door with all its ends: a machine that is played over the socket that QEMU connects to, and real visitors.

use std::{
    io::Read as _,
    sync::mpsc,
    time::{Duration, Instant},
};

use brc_contract::door::{Command, End, Message, VERSION, WINDOW};

use super::{
    super::visitor::{VisitError, Visitor},
    *,
};

/// A machine that is played.
struct Machine {
    port: UnixStream,
    decoder: Decoder,
    heard: std::collections::VecDeque<Frame>,
}

impl Machine {
    fn start(keeper: &Keeper) -> Machine {
        let folder = fs::File::open(keeper.path.parent().unwrap()).unwrap();
        let port = UnixStream::connect(format!("/proc/self/fd/{}/{PORT}", folder.as_raw_fd())).unwrap();
        port.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Machine { port, decoder: Decoder::default(), heard: Default::default() }
    }

    fn say(&mut self, session: u32, message: Message) {
        self.port.write_all(&Frame { session, message }.encode()).unwrap();
    }

    fn hear(&mut self) -> Frame {
        let mut buffer = [0; 4096];
        while self.heard.is_empty() {
            let length = self.port.read(&mut buffer).unwrap();
            assert!(length > 0, "the port was closed");
            self.heard.extend(self.decoder.feed(&buffer[..length]).into_iter().map(Result::unwrap));
        }
        self.heard.pop_front().unwrap()
    }

    fn open(&mut self, nonce: u64) {
        let hello = Message::Hello { version: VERSION, nonce };
        self.say(0, hello.clone());
        assert_eq!(self.hear().message, hello);
    }
}

fn with_machine<T>(work: impl FnOnce(&Path, Machine) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let (machines, workplace) = (folder.path().join("machines"), folder.path().join("x".repeat(120)));
    fs::create_dir(&workplace).unwrap();
    let keeper = Keeper::open(&machines.join("m"), &workplace).unwrap();
    keeper.while_open(|| work(&machines, Machine::start(&keeper)))
}

const PATIENCE: Duration = Duration::from_secs(20);

/// What one who looks in came to.
type Looked = Result<(End, Vec<u8>, Vec<u8>), VisitError>;

fn look(machines: &Path, input: Option<Vec<u8>>) -> mpsc::Receiver<Looked> {
    let (tell, told) = mpsc::channel();
    let machines = machines.to_owned();
    thread::spawn(move || {
        let visited = (|| {
            let visitor = Visitor::enter(&machines, "m", PATIENCE)?;
            let mut to = visitor.ask(Message::Start(Command { has_input: input.is_some(), ..Command::default() }))?;
            if let Some(input) = input {
                thread::spawn(move || to.write_all(&input).and_then(|()| to.end()));
            }
            let (mut output, mut errors) = (Vec::new(), Vec::new());
            let end = visitor.follow(&mut output, &mut errors)?;
            Ok((end, output, errors))
        })();
        tell.send(visited).unwrap();
    });
    told
}

#[test]
fn those_who_look_in_hear_their_own_session_alone_and_wait_for_the_door() {
    with_machine(|machines, mut machine| {
        let looks = [look(machines, None), look(machines, None)];
        thread::sleep(Duration::from_millis(100));
        machine.open(1);
        let sessions = [machine.hear().session, machine.hear().session];
        assert!(sessions[0] != sessions[1]);
        for (at, session) in sessions.into_iter().enumerate() {
            machine.say(session, Message::Output(vec![at as u8]));
            machine.say(session, Message::Errors(vec![at as u8 + 10]));
            machine.say(session, Message::Ended(End::Code(at as u8)));
            machine.say(session, Message::Output(b"late".to_vec()));
            machine.say(99, Message::Ended(End::Code(9)));
        }
        let mut told: Vec<_> = looks.iter().map(|told| told.recv().unwrap().unwrap()).collect();
        told.sort_by_key(|(_, output, _)| output.clone());
        let expected = |at: u8| (End::Code(at), vec![at], vec![at + 10]);
        assert_eq!(told, [expected(0), expected(1)]);
    });
}

#[test]
fn much_goes_both_ways_as_it_is_taken() {
    let much: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    with_machine(|machines, mut machine| {
        machine.open(1);
        let told = look(machines, Some(much.clone()));
        let (mut got, mut room, mut is_whole) = (Vec::<u8>::new(), WINDOW, false);
        let mut waiting = std::collections::VecDeque::new();
        while !is_whole || !waiting.is_empty() {
            let Frame { session, message } = machine.hear();
            let cost = message.cost();
            match message {
                Message::Input(bytes) => {
                    machine.say(session, Message::Taken { cost: cost as u32 });
                    got.extend(&bytes);
                    waiting.push_back(Message::Output(bytes));
                }
                Message::Taken { cost } => room += cost as usize,
                Message::InputEnd => is_whole = true,
                _ => {}
            }
            // It says back what it hears, as a machine does that keeps to its window.
            while waiting.front().is_some_and(|message| message.cost() <= room) {
                let message = waiting.pop_front().unwrap();
                room -= message.cost();
                machine.say(session, message);
            }
            if is_whole && waiting.is_empty() {
                machine.say(session, Message::Ended(End::Signal(9)));
            }
        }
        let (end, output, _) = told.recv().unwrap().unwrap();
        assert!(got == much && output == much && end.code() == 137 && room <= WINDOW);
    });
}

#[test]
fn who_goes_away_cancels_and_a_machine_that_starts_anew_or_ends_says_so() {
    let gone = with_machine(|machines, mut machine| {
        machine.open(1);
        let visitor = Visitor::enter(machines, "m", PATIENCE).unwrap();
        visitor.ask(Message::Get { path: "/a".to_owned() }).unwrap();
        let session = machine.hear().session;
        drop(visitor);
        assert_eq!(machine.hear(), Frame { session, message: Message::Cancel });
        for broken in [false, true] {
            let told = look(machines, None);
            assert!(matches!(machine.hear().message, Message::Start(_)));
            if broken {
                machine.port.write_all(b"nonsense\0").unwrap();
            } else {
                machine.open(2);
            }
            let refused = told.recv().unwrap().unwrap_err().to_string();
            assert!(refused.contains(if broken { "was reset" } else { "started anew" }), "{refused}");
            if broken {
                // It is told that nobody waits any more, or that is lost with it.
                machine.port.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
                while machine.port.read(&mut [0; 100]).is_ok_and(|length| length > 0) {}
                machine.port.set_read_timeout(Some(PATIENCE)).unwrap();
            }
        }
        let told = look(machines, None);
        assert!(matches!(machine.hear().message, Message::Start(_)));
        (told, machine)
    });
    assert!(gone.0.recv().unwrap().unwrap_err().to_string().contains("the machine has ended"));
}

#[test]
fn a_door_that_stays_closed_and_a_machine_that_does_not_run_are_said() {
    let folder = with_machine(|machines, _machine| {
        let started = Instant::now();
        let closed = Visitor::enter(machines, "m", Duration::from_millis(300)).unwrap_err();
        assert!(matches!(closed, VisitError::Closed { .. }) && started.elapsed() < Duration::from_secs(10));
        let other = Visitor::enter(machines, "../m", PATIENCE).unwrap_err();
        assert!(other.is_usage() && other.to_string().ends_with("expected one of `m`"), "{other}");
        machines.to_owned()
    });
    let none = Visitor::enter(&folder, "m", PATIENCE).unwrap_err();
    assert!(none.is_usage() && none.to_string().contains("brc boot IMAGE --name NAME"), "{none}");
}

#[test]
fn work_that_panics_closes_the_door() {
    let work = || with_machine(|_, _| panic!("as it must"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
}

#[test]
fn a_machine_that_says_nothing_any_more_is_left_by_whoever_has_had_enough_and_waited_for_by_others() {
    with_machine(|machines, mut machine| {
        machine.open(1);
        let visitor = Visitor::enter(machines, "m", PATIENCE).unwrap();
        visitor.ask(Message::Start(Command::default())).unwrap();
        let (start, mut output) = (Instant::now(), Vec::new());
        let left = visitor.follow_while(&mut output, &mut Vec::new(), &|| start.elapsed() < Duration::from_secs(1));
        assert!(matches!(left, Err(VisitError::Left)), "{left:?}");
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(1) && took < PATIENCE, "{took:?}");

        let told = look(machines, None);
        let session = loop {
            let frame = machine.hear();
            if matches!(frame.message, Message::Start(_)) && frame.session != 1 {
                break frame.session;
            }
        };
        // Longer than anybody listens at once.
        thread::sleep(Duration::from_secs(2));
        machine.say(session, Message::Output(b"late".to_vec()));
        machine.say(session, Message::Ended(End::Code(0)));
        let (_, output, _) = told.recv_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!(output, b"late");
    });
}
