//! The re-executed child: three processes, from the outside in.
//!
//! 1. The *supervisor* makes the name spaces, answers system calls that the filter hands to it, and ends
//!    everything when the program that started it goes away.
//! 2. The *init* is process 1 inside. It lays the file systems, starts the command and reaps what is left over.
//!    When it ends, the kernel kills every process inside.
//! 3. The *command*, which gives up its rights just before it is executed.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use rustix::{
    fs::Mode,
    process::{DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions},
    thread::UnshareFlags,
};

use super::{
    filter, machine, mount,
    network::Counters,
    rights,
    spec::{Network, Spec, Terminal, View},
    supervisor::Supervisor,
    syscall,
    wire::{self, Frame, Stage, Trouble},
};

/// The status of a helper process that could not do its work; what happened is told in a frame.
const FAILED: i32 = 125;

/// What a process of the sandbox talks to.
struct Ends {
    /// The socket to the program that started the sandbox.
    control: UnixStream,
    /// Where the command sends the listener of its filter.
    handover: UnixStream,
    /// The command's standard input, output and error.
    stdio: [OwnedFd; 3],
}

/// Reads a spec from standard input, which is a socket, and is that sandbox. Never comes back.
pub(super) fn main() -> ! {
    let code = match start() {
        Ok(()) => 0,
        Err(trouble) => {
            Frame::Trouble(trouble).send(rustix::stdio::stdin());
            FAILED
        }
    };
    syscall::exit(code)
}

fn start() -> Result<(), Trouble> {
    let begin = |error: io::Error| Trouble::new(Stage::Namespaces, "read what the sandbox is to be", error);
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(|error| begin(error.into()))?;
    let control = UnixStream::from(control);
    let (bytes, fds) = wire::receive_with(&control).map_err(begin)?;
    let spec = Spec::decode(&bytes).map_err(|error| begin(io::Error::other(error)))?;
    let stdio = <[OwnedFd; 3]>::try_from(fds).map_err(|_| begin(io::ErrorKind::InvalidData.into()))?;
    // Links to open files of other processes are read through this, when the root has changed.
    let processes = rustix::fs::open("/proc", rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| begin(error.into()))?;
    make_namespaces(&spec)?;

    let (handover, listener) = UnixStream::pair().map_err(begin)?;
    let forked = |error| Trouble::new(Stage::Namespaces, "start process 1 of the sandbox", error);
    let supervisor_alive = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| forked(e.into()))?;
    match syscall::fork().map_err(forked)? {
        None => {
            let (reader, writer) = supervisor_alive;
            drop((writer, listener, processes));
            be_init(&spec, Ends { control, handover, stdio }, &reader)
        }
        Some(init) => {
            drop((stdio, handover));
            let pidfd = rustix::process::pidfd_open(init, PidfdFlags::empty()).map_err(|error| forked(error.into()))?;
            // Init waits for this until it is sure to die with us.
            rustix::io::write(&supervisor_alive.1, b"!").map_err(|error| forked(error.into()))?;
            Supervisor::new(control, listener, processes, spec.view).watch(init, &pidfd);
            Ok(())
        }
    }
}

fn make_namespaces(spec: &Spec) -> Result<(), Trouble> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let failed = |error: io::Error| Trouble::new(Stage::Namespaces, "make a user name space", error);
    syscall::unshare(UnshareFlags::NEWUSER).map_err(failed)?;
    let map = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text)
            .map_err(|error| Trouble::new(Stage::Namespaces, format!("write `{file}` of a user name space"), error))
    };
    map("setgroups", "deny".to_owned())?;
    map("uid_map", format!("{} {} 1\n", spec.uid, uid.as_raw()))?;
    map("gid_map", format!("{} {} 1\n", spec.uid, gid.as_raw()))?;

    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if spec.network == Network::None {
        flags |= UnshareFlags::NEWNET;
    }
    let failed = |error: io::Error| Trouble::new(Stage::Namespaces, "make name spaces", error);
    syscall::unshare(flags).map_err(failed)?;
    // A kernel without control groups has none to hide.
    syscall::unshare(UnshareFlags::NEWCGROUP).unwrap_or_default();
    Ok(())
}

fn be_init(spec: &Spec, ends: Ends, supervisor_alive: &OwnedFd) -> ! {
    let code = match init(spec, &ends, supervisor_alive) {
        Ok(()) => 0,
        Err(trouble) => {
            Frame::Trouble(trouble).send(ends.control.as_fd());
            FAILED
        }
    };
    syscall::exit(code)
}

fn init(spec: &Spec, ends: &Ends, supervisor_alive: &OwnedFd) -> Result<(), Trouble> {
    let failed = |error: rustix::io::Errno| Trouble::new(Stage::Namespaces, "tie process 1 to its supervisor", error);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    let mut byte = [0];
    if rustix::io::read(supervisor_alive, &mut byte).map_err(failed)? == 0 {
        return Err(failed(rustix::io::Errno::SRCH));
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rights::be_killed_sooner();
    mount::lay(spec)?;
    name_the_machine(spec)?;
    for folder in &spec.empty {
        mount::empty_folder(folder)?;
    }
    let directory = Path::new("/").join(&spec.directory);
    let failed = |error| Trouble::new(Stage::Folder, format!("enter `{}`", directory.display()), error);
    mount::make_folder(&directory).map_err(failed)?;
    rustix::process::chdir(&directory).map_err(|error| failed(error.into()))?;
    rights::limit();
    // From here on nobody inside can look into this process.
    let failed = |error: io::Error| Trouble::new(Stage::Command, "start the command's process", error);
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| failed(error.into()))?;
    let counters = (spec.network == Network::None).then(Counters::open);
    if spec.command.is_empty() {
        Frame::Ended { status: 0, network_tries: 0 }.send(ends.control.as_fd());
        return Ok(());
    }
    match syscall::fork().map_err(failed)? {
        None => {
            let trouble = become_command(spec, ends);
            Frame::Trouble(trouble).send(ends.control.as_fd());
            syscall::exit(FAILED)
        }
        Some(command) => {
            rights::drop_all()
                .map_err(|error| Trouble::new(Stage::Rights, "give up the rights of process 1", error))?;
            let status = reap_until(command).map_err(failed)?;
            let network_tries = counters.map_or(0, |counters| counters.tries());
            Frame::Ended { status, network_tries }.send(ends.control.as_fd());
            Ok(())
        }
    }
}

fn name_the_machine(spec: &Spec) -> Result<(), Trouble> {
    let failed = |error: io::Error| Trouble::new(Stage::Namespaces, "name the machine", error);
    rustix::system::sethostname(machine::HOST_NAME.as_bytes()).map_err(|error| failed(error.into()))?;
    rustix::system::setdomainname(machine::DOMAIN_NAME.as_bytes()).map_err(|error| failed(error.into()))?;
    if spec.network == Network::None {
        let failed = |error: io::Error| Trouble::new(Stage::Namespaces, "bring the loopback interface up", error);
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
            .map_err(|error| failed(error.into()))?;
        syscall::loopback_up(socket.as_fd()).map_err(failed)?;
    }
    Ok(())
}

/// Waits for every process that ends until it is the command; its status.
fn reap_until(command: Pid) -> io::Result<u32> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => return Ok(status.as_raw() as u32),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Executes the command; comes back only with what went wrong.
fn become_command(spec: &Spec, ends: &Ends) -> Trouble {
    match try_become_command(spec, ends) {
        Ok(error) => {
            let program = spec.command.first().map(String::as_str).unwrap_or_default();
            Trouble::new(Stage::Command, format!("execute `{program}`"), error)
        }
        Err(trouble) => trouble,
    }
}

fn try_become_command(spec: &Spec, ends: &Ends) -> Result<io::Error, Trouble> {
    let text = |text: String| {
        CString::new(text).map_err(|error| Trouble::new(Stage::Command, "pass a text with a NUL byte", error))
    };
    let arguments = spec.command.iter().cloned().map(text).collect::<Result<Vec<_>, _>>()?;
    let environment =
        spec.environment.iter().map(|(name, value)| text(format!("{name}={value}"))).collect::<Result<Vec<_>, _>>()?;

    let failed = |error: io::Error| Trouble::new(Stage::Command, "connect the command's input and output", error);
    let [input, output, errors] = ends.stdio.each_ref().map(AsFd::as_fd);
    connect(input, output, errors).map_err(failed)?;
    rustix::process::setsid().map_err(|error| failed(error.into()))?;
    if spec.terminal == Terminal::Controlling {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()).map_err(|error| failed(error.into()))?;
    }
    syscall::close_on_execute(3).map_err(failed)?;
    syscall::reset_signals();

    let failed = |attempt: &'static str| move |error: io::Error| Trouble::new(Stage::Rights, attempt, error);
    if let View::Fixed { .. } = spec.view {
        syscall::fix_addresses().map_err(failed("fix where programs are loaded"))?;
    }
    rights::give_up(spec.uid).map_err(failed("give up rights"))?;
    let listener = syscall::install_filter(&mut filter::program(spec.uid, spec.view, spec.network))
        .map_err(failed("install the filter of system calls"))?;
    wire::send_with(ends.handover.as_fd(), b"", &[listener.as_fd()]).map_err(failed("hand over the filter"))?;
    Ok(syscall::execute(&arguments, &environment))
}

fn connect(input: BorrowedFd<'_>, output: BorrowedFd<'_>, errors: BorrowedFd<'_>) -> io::Result<()> {
    rustix::stdio::dup2_stdin(input)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(errors)?;
    Ok(())
}
