//! The door over a pair of sockets, with real programs behind it.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use brc_contract::door::{Command, End, Entry, EntryKind, WINDOW};

use super::*;

/// The other end.
struct Host {
    port: UnixStream,
    decoder: Decoder,
    heard: std::collections::VecDeque<Frame>,
}

impl Host {
    fn new() -> Host {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (from, to) = (theirs.try_clone().unwrap(), theirs);
        thread::spawn(move || serve(from, to, 7));
        ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut host = Host { port: ours, decoder: Decoder::default(), heard: Default::default() };
        // The rest of what was said to the one before it.
        host.port.write_all(b"rest\0").unwrap();
        host.say(9, start(&["/bin/echo", "said to somebody else"]));
        let hello = host.hear();
        assert_eq!(hello, Frame { session: 0, message: Message::Hello { version: 1, nonce: 7 } });
        host.say(0, Message::Hello { version: 1, nonce: 8 });
        host.say(9, start(&["/bin/echo", "said to somebody else"]));
        host.say(0, hello.message);
        host
    }

    fn say(&mut self, session: u32, message: Message) {
        self.port.write_all(&Frame { session, message }.encode()).unwrap();
    }

    fn hear(&mut self) -> Frame {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.heard.pop_front() {
                return frame;
            }
            let length = self.port.read(&mut buffer).unwrap();
            assert!(length > 0, "the port was closed");
            self.heard.extend(self.decoder.feed(&buffer[..length]).into_iter().map(Result::unwrap));
        }
    }

    /// All that a session says: standard output, standard error, and its end.
    fn all(&mut self, session: u32) -> (Vec<u8>, Vec<u8>, Message) {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        loop {
            let frame = self.hear();
            // Of a session that ended before it had read all of its input it may come later.
            if matches!(frame.message, Message::Taken { .. }) {
                continue;
            }
            assert_eq!(frame.session, session, "{frame:?}");
            let cost = frame.message.cost() as u32;
            match frame.message {
                Message::Output(bytes) => output.extend(bytes),
                Message::Errors(bytes) => errors.extend(bytes),
                last => return (output, errors, last),
            }
            self.say(session, Message::Taken { cost });
        }
    }

    fn run(&mut self, words: &[&str]) -> (Vec<u8>, Vec<u8>, Message) {
        self.say(1, start(words));
        self.all(1)
    }
}

fn start(words: &[&str]) -> Message {
    Message::Start(Command { words: words.iter().map(|word| (*word).to_owned()).collect(), ..Command::default() })
}

fn with_input(words: &[&str]) -> Message {
    let Message::Start(command) = start(words) else { unreachable!() };
    Message::Start(Command { has_input: true, ..command })
}

fn ended(code: u8) -> Message {
    Message::Ended(End::Code(code))
}

#[test]
fn a_program_says_its_output_its_errors_and_how_it_ended() {
    let mut host = Host::new();
    for (script, output, errors, last) in [
        ("echo out; echo err >&2; exit 7", "out\n", "err\n", ended(7)),
        ("kill -TERM $$", "", "", Message::Ended(End::Signal(15))),
        ("cat; pwd; echo $PATH; [ -z \"$HOME$CARGO\" ]", "/\n/usr/bin:/usr/sbin\n", "", ended(0)),
    ] {
        let (said, wrong, how) = host.run(&["/bin/sh", "-c", script]);
        assert_eq!((&*said, &*wrong, how), (output.as_bytes(), errors.as_bytes(), last), "{script}");
    }
    let (_, wrong, how) = host.run(&["not-there", "x"]);
    assert_eq!((String::from_utf8(wrong).unwrap(), how), ("brc-agent: `not-there` is not there\n".into(), ended(127)));
    assert_eq!(host.run(&["/"]).2, ended(126));
    assert_eq!(host.run(&[]).2, ended(127));
    let command = Command {
        words: vec!["sh".into(), "-c".into(), "pwd; echo $A".into()],
        environment: vec![("A".into(), "b c".into())],
        directory: "/usr".into(),
        has_input: false,
    };
    host.say(2, Message::Start(Command { directory: "/none".into(), ..command.clone() }));
    assert_eq!(host.all(2).2, ended(126));
    host.say(2, Message::Start(command));
    assert_eq!(host.all(2).0, b"/usr\nb c\n");
}

#[test]
fn a_slow_reader_holds_up_a_large_output_and_nobody_else() {
    let mut host = Host::new();
    host.say(1, start(&["/bin/sh", "-c", "head -c 3000000 /dev/zero"]));
    let mut cost = 0;
    while cost < WINDOW - 20_000 {
        cost += host.hear().message.cost();
    }
    // Nothing is taken in: no more comes than the window allows, and another session goes its way meanwhile.
    host.say(2, start(&["/bin/echo", "quick"]));
    let mut heard = Vec::new();
    while heard.last() != Some(&(2, ended(0))) {
        let frame = host.hear();
        cost += if frame.session == 1 { frame.message.cost() } else { 0 };
        heard.extend((frame.session == 2).then_some((2, frame.message)));
    }
    assert_eq!(heard[0], (2, Message::Output(b"quick\n".to_vec())));
    assert!(cost <= WINDOW, "{cost}");
    host.say(1, Message::Taken { cost: cost as u32 });
    let (output, _, last) = host.all(1);
    assert!(output.len() < 3_000_000 && output.len() > 3_000_000 - WINDOW);
    assert_eq!(last, ended(0));
}

#[test]
fn input_is_passed_on_as_it_is_taken_and_more_than_the_window_is_refused() {
    let mut host = Host::new();
    host.say(1, with_input(&["/bin/cat"]));
    for letter in [b"a", b"b"] {
        host.say(1, Message::Input(letter.to_vec()));
        let heard = [host.hear().message, host.hear().message];
        assert!(heard.contains(&Message::Taken { cost: 65 }) && heard.contains(&Message::Output(letter.to_vec())));
    }
    host.say(1, Message::InputEnd);
    assert_eq!(host.all(1).2, ended(0));
    // A program that does not read its input ends as it does.
    host.say(2, with_input(&["/bin/true"]));
    host.say(2, Message::Input(vec![0; 10_000]));
    assert_eq!(host.all(2).2, ended(0));
    host.say(3, with_input(&["/bin/sleep", "1000"]));
    for _ in 0..40 {
        host.say(3, Message::Input(vec![0; 16 << 10]));
    }
    assert!(matches!(host.all(3).2, Message::Refused { .. }));
}

#[test]
fn who_goes_away_has_the_whole_process_group_killed() {
    let folder = tempfile::tempdir().unwrap();
    for is_cancelled in [true, false] {
        let mut host = Host::new();
        let file = folder.path().join(format!("pid-{is_cancelled}"));
        let script = format!("sleep 1000 & echo $! > {}; echo started; wait", file.display());
        host.say(1, start(&["/bin/sh", "-c", &script]));
        assert_eq!(host.hear().message, Message::Output(b"started\n".to_vec()));
        let pid: u32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        if is_cancelled {
            host.say(1, Message::Cancel)
        } else {
            host.port.shutdown(std::net::Shutdown::Both).unwrap()
        }
        // Gone, or waited for by nobody.
        let is_gone = || {
            let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            status.is_empty() || status.contains(") Z ")
        };
        let begun = Instant::now();
        while !is_gone() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it is still there");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn so_many_sessions_are_open_at_once_and_numbers_are_not_used_twice() {
    let mut host = Host::new();
    for session in 1..=MAX_SESSIONS as u32 {
        host.say(session, start(&["/bin/sleep", "1000"]));
    }
    host.say(100, start(&["/bin/true"]));
    assert!(matches!(host.all(100).2, Message::Refused { message } if message.starts_with("too many")));
    host.say(1, start(&["/bin/true"]));
    assert!(matches!(host.all(1).2, Message::Refused { message } if message.starts_with("two sessions")));
    // That one is gone, and its end may still come.
    host.say(100, start(&["/bin/true"]));
    while host.hear() != (Frame { session: 100, message: ended(0) }) {}
}

#[test]
fn files_are_put_and_got() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let size = content.len() as u64;
    let mut stream = Entry { kind: EntryKind::File, mode: 0o640, size, name: String::new() }.encode();
    stream.extend(&content);
    stream.extend(Entry::end().encode());
    let mut host = Host::new();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    host.say(1, Message::Put { path: text(folder.path()), name: "file".to_owned() });
    for piece in stream.chunks(16 << 10) {
        host.say(1, Message::Input(piece.to_vec()));
        assert!(matches!(host.hear().message, Message::Taken { .. }));
    }
    assert_eq!(host.all(1).2, ended(0));
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), content);
    host.say(2, Message::Get { path: text(&folder.path().join("file")) });
    let (got, _, last) = host.all(2);
    assert!(got == stream && last == ended(0));
    host.say(3, Message::Get { path: text(&folder.path().join("none")) });
    assert!(matches!(host.all(3).2, Message::Refused { message } if message.contains("none` cannot be read")));
    host.say(4, Message::Put { path: text(folder.path()), name: "cut".to_owned() });
    host.say(4, Message::InputEnd);
    assert!(matches!(host.all(4).2, Message::Refused { message } if message.contains("broken off")));
}
