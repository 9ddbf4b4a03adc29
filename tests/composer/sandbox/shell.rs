//! A person in a sandbox.

use std::{fs::File, io::Read, os::fd::AsFd, thread};

use brc::sandbox::{Console, linux::Status};

use super::bench::Bench;

/// What a shell says to typed lines, and how it ends.
fn typed(bench: &Bench, script: &str, is_failed: bool, lines: &str) -> (String, Status) {
    let run = bench.script(script);
    let kept = is_failed.then(|| {
        bench.perform(&run).unwrap_err();
        bench.sandbox().kept(&bench.log())
    });
    let (input, type_in) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (shown, output) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    rustix::io::write(&type_in, lines.as_bytes()).unwrap();
    drop(type_in);
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

#[test]
fn a_shell_opens_the_very_sandbox_that_failed() {
    let bench = Bench::new();
    let script = "echo left > /build/left; mkdir new; rm /bin/wc; exit 3";
    let lines = "cat /build/left; ls -d new; ls /bin/wc; echo \"command: $BRC_COMMAND\"; echo $TERM; pwd; exit 5\n";
    let (text, status) = typed(&bench, script, true, lines);
    assert!(text.contains("left\r\n") && text.contains("new\r\n"), "{text}");
    assert!(text.contains("cannot access '/bin/wc'"), "{text}");
    assert!(text.contains("command: /bin/sh -euc 'echo left"), "{text}");
    assert!(text.contains("vt100\r\n/build\r\n"), "{text}");
    assert_eq!(status, Status::Exited(5));
}

#[test]
fn a_shell_has_a_terminal_of_its_own_and_ends_with_its_input() {
    let bench = Bench::new();
    let (text, status) = typed(&bench, "true", false, "test -t 0 && echo terminal; : < /dev/tty && echo controlled\n");
    assert!(text.contains("terminal\r\n") && text.contains("controlled\r\n"), "{text}");
    assert_eq!(status, Status::Exited(0));
}
