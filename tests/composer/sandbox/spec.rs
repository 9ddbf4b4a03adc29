//! Sandboxes that are no run: other folders and devices bound in, the host's network, streams of the caller.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use brc::sandbox::{
    self,
    linux::{Access, Bind, Child, Ended, Network, Root, Spec, Status, Streams, Terminal, View, Waited, spawn},
};

use super::bench::{Bench, EXECUTABLE, path};

/// A sandbox with the bench's root and a shell script; what it reads and prints.
fn start(bench: &Bench, script: &str, change: impl FnOnce(&mut Spec)) -> (Child, File, File) {
    let scratch = bench.folder.path().join("scratch");
    for name in ["upper", "work", "root", "base/proc", "base/dev", "base/tmp", "base/run"] {
        fs::create_dir_all(scratch.join(name)).unwrap();
    }
    let checkout = bench.store.checkout(&[(path(""), bench.root)]).unwrap();
    let mut spec = Spec {
        root: Root::Overlay { lower: vec![checkout.path().into(), scratch.join("base")], scratch },
        empty: Vec::new(),
        binds: Vec::new(),
        network: Network::None,
        uid: 0,
        view: View::Host,
        command: vec!["/bin/sh".into(), "-euc".into(), script.into()],
        environment: BTreeMap::from([("PATH".into(), "/bin".into())]),
        directory: "tmp".into(),
        terminal: Terminal::None,
    };
    change(&mut spec);
    let (input, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (read, output) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let errors = output.try_clone().unwrap();
    let child = spawn(Path::new(EXECUTABLE), &spec, Streams { input, output, errors }).unwrap();
    (child, File::from(write), File::from(read))
}

fn end(child: &mut Child) -> Ended {
    match child.wait(Some(Duration::from_secs(60)), &|| false).unwrap() {
        Waited::Ended(ended) => ended,
        other => panic!("{other:?}"),
    }
}

#[test]
fn this_machine_can_make_sandboxes() {
    let bench = Bench::new();
    sandbox::probe(&bench.store, Path::new(EXECUTABLE)).unwrap();
}

#[test]
fn files_and_devices_of_the_host_are_shown_where_asked_to() {
    let bench = Bench::new();
    let shared = bench.folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("read"), "r").unwrap();
    fs::write(bench.folder.path().join("disk"), "d").unwrap();
    let binds = vec![
        Bind { from: shared.clone(), to: "shared".into(), access: Access::Read },
        Bind { from: bench.folder.path().join("disk"), to: "run/disk".into(), access: Access::Write },
        Bind { from: "/dev/zero".into(), to: "dev/kvm".into(), access: Access::Write },
    ];
    let script = "cat /shared/read; (echo x > /shared/new) 2> /dev/null || echo refused; echo more >> /run/disk; \
                  dd if=/dev/kvm count=1 2> /dev/null | wc -c";
    let (mut child, input, mut output) = start(&bench, script, |spec| spec.binds = binds);
    drop(input);
    assert_eq!(end(&mut child).status, Status::Exited(0));
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "rrefused\n512\n");
    assert_eq!(fs::read_to_string(bench.folder.path().join("disk")).unwrap(), "dmore\n");
    assert!(!shared.join("new").exists());
}

#[test]
fn the_hosts_network_is_there_only_when_asked_for() {
    let bench = Bench::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!(":{:04X} ", listener.local_addr().unwrap().port());
    let expected = [(Network::None, false), (Network::Host, true)];
    for (network, is_seen) in expected {
        let (mut child, _input, mut output) = start(&bench, "cat /proc/net/tcp", |spec| spec.network = network);
        end(&mut child);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text.contains(&port), is_seen, "{network:?}: {text}");
    }
}

#[test]
fn a_caller_talks_to_the_command_and_ends_it() {
    let bench = Bench::new();
    let (mut child, mut input, mut output) = start(&bench, "read line; echo got $line; sleep 7777", |_| {});
    input.write_all(b"hello\n").unwrap();
    let mut text = [0; 10];
    output.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"got hello\n");
    child.kill();
    // Every process that could still write is gone.
    let mut rest = Vec::new();
    assert_eq!(output.read_to_end(&mut rest).unwrap(), 0);
}

#[test]
fn a_sandbox_that_nobody_waits_for_ends() {
    let bench = Bench::new();
    let (child, _input, output) = start(&bench, "sleep 8888", |_| {});
    drop(child);
    let mut rest = Vec::new();
    assert_eq!(File::from(OwnedFd::from(output)).read_to_end(&mut rest).unwrap(), 0);
}

#[test]
fn a_root_that_is_no_folder_is_told() {
    let bench = Bench::new();
    let missing = bench.folder.path().join("missing");
    let (mut child, _input, _output) = start(&bench, "true", |spec| spec.root = Root::Folder(missing.clone()));
    let error = child.wait(None, &|| false).unwrap_err();
    assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
}
