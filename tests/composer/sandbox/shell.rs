//! A person in a sandbox.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    thread,
};

use brc::sandbox::{Console, linux::Status};
use rustix::pty::OpenptFlags;

use super::bench::Bench;

/// Where a shell's commands come from.
#[derive(PartialEq)]
enum Source {
    Pipe,
    Terminal,
}

/// What a shell says to these lines, and how it ends.
fn told(bench: &Bench, script: &str, is_failed: bool, from: Source, lines: &str) -> (String, Status) {
    let run = bench.script(script);
    let kept = is_failed.then(|| {
        bench.perform(&run).unwrap_err();
        bench.sandbox().kept(&bench.log())
    });
    let (input, type_in) = match from {
        Source::Pipe => rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap(),
        Source::Terminal => terminal(),
    };
    let (shown, output) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    rustix::io::write(&type_in, lines.as_bytes()).unwrap();
    // A pipe ends with its last writer; who sits at a terminal stays.
    let _stays = (from == Source::Terminal).then_some(type_in);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut text = String::new();
            File::from(shown).read_to_string(&mut text).unwrap();
            text
        });
        let console = Console { input: input.as_fd(), output: output.as_fd(), kind: "vt100" };
        let status = bench.sandbox().shell(&run, kept.as_deref(), console).unwrap();
        drop(output);
        (reader.join().unwrap(), status)
    })
}

/// Both ends of a new terminal, that of the program first.
fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let person = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&person).unwrap();
    rustix::pty::unlockpt(&person).unwrap();
    (rustix::pty::ioctl_tiocgptpeer(&person, flags).unwrap(), person)
}

#[test]
fn a_shell_opens_the_very_sandbox_that_failed() {
    let bench = Bench::new();
    let script = "echo left > /build/left; mkdir new; rm /bin/wc; exit 3";
    let lines = "cat /build/left; ls -d new; ls /bin/wc; echo \"command: $BRC_COMMAND\"; echo $TERM; pwd; exit 5\n";
    let (text, status) = told(&bench, script, true, Source::Pipe, lines);
    assert!(text.contains("left\n") && text.contains("new\n"), "{text}");
    assert!(text.contains("cannot access '/bin/wc'"), "{text}");
    assert!(text.contains("command: /bin/sh -euc 'echo left"), "{text}");
    assert!(text.contains("vt100\n/build\n"), "{text}");
    assert_eq!(status, Status::Exited(5));
}

#[test]
fn a_shell_has_a_terminal_of_its_own_for_a_person_and_none_for_a_pipe() {
    let bench = Bench::new();
    let lines = "test -t 0 && echo terminal; : < /dev/tty && echo controlled; exit 6\n";
    let (text, status) = told(&bench, "true", false, Source::Terminal, lines);
    assert!(text.contains("terminal\r\n") && text.contains("controlled\r\n"), "{text}");
    assert_eq!(status, Status::Exited(6));
    let (text, status) = told(&bench, "true", false, Source::Pipe, "test -t 0 || echo none\n");
    assert_eq!((text.as_str(), status), ("none\n", Status::Exited(0)));
}
