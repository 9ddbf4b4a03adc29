//! The supervisor: stands outside the sandbox's process tree, answers its questions, and ends it.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
};

use rustix::{
    event::PollFlags,
    process::{Pid, Signal, WaitOptions},
};

use super::{
    machine,
    spec::View,
    syscall::{self, Answer, Notification},
    wait::wait_for,
    wire::{self, Frame},
};

/// So many changes of owners are told one by one; after that they are only counted.
const MAX_OWNERS: u64 = 200;
/// The longest path that is told, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// What the supervisor holds.
pub(super) struct Supervisor {
    control: UnixStream,
    /// Brings the listener, once.
    handover: Option<UnixStream>,
    /// System calls that wait for an answer.
    listener: Option<OwnedFd>,
    /// The host's `/proc`.
    processes: OwnedFd,
    view: View,
    owners: u64,
}

impl Supervisor {
    pub(super) fn new(control: UnixStream, handover: UnixStream, processes: OwnedFd, view: View) -> Self {
        Self { control, handover: Some(handover), listener: None, processes, view, owners: 0 }
    }

    /// Serves the sandbox until its process 1 is gone, which it is when this returns. The program that started
    /// the sandbox ends it by closing its side of the control socket, be it by dying.
    pub(super) fn watch(mut self, init: Pid, pidfd: &OwnedFd) {
        loop {
            let third = match (&self.listener, &self.handover) {
                (Some(listener), _) => listener.as_fd(),
                (None, Some(handover)) => handover.as_fd(),
                (None, None) => pidfd.as_fd(),
            };
            let [ended, stopped, asked] = wait_for([pidfd.as_fd(), self.control.as_fd(), third]);
            if !ended.is_empty() {
                break;
            }
            if !stopped.is_empty() && !matches!(self.control.read(&mut [0; 16]), Ok(1..)) {
                rustix::process::kill_process(init, Signal::KILL).unwrap_or_default();
                break;
            }
            if asked.contains(PollFlags::IN) {
                self.serve();
            } else if !asked.is_empty() {
                // Nobody is left who could ask; a closed descriptor would wake us without end.
                self.listener = None;
                self.handover = None;
            }
        }
        while let Err(rustix::io::Errno::INTR) = rustix::process::waitpid(Some(init), WaitOptions::empty()) {}
        Frame::OwnerCount { count: self.owners }.send(self.control.as_fd());
    }

    /// Takes the listener, or answers one call.
    fn serve(&mut self) {
        if let Some(listener) = self.listener.take() {
            match syscall::receive_notification(listener.as_fd()) {
                Ok(call) => {
                    let answer = self.answer(&listener, &call);
                    syscall::answer(listener.as_fd(), call.id, &answer);
                    self.listener = Some(listener);
                }
                // The caller was killed before its question was read.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.listener = Some(listener),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.listener = Some(listener),
                // Nobody is left who could ask.
                Err(_) => {}
            }
        } else if let Some(handover) = self.handover.take() {
            self.listener = wire::receive_with(&handover).ok().and_then(|(_, fds)| fds.into_iter().next());
        }
    }

    fn answer(&mut self, listener: &OwnedFd, call: &Notification) -> Answer {
        let number = i64::from(call.data.nr);
        let [first, second, third, ..] = call.data.args;
        let give = |address: u64, bytes: &[u8], value: i64| {
            // The process id may mean another process when the caller is gone.
            if !syscall::still_waits(listener.as_fd(), call.id) || !syscall::write_memory(call.pid, address, bytes) {
                return Answer::Error(libc::EFAULT);
            }
            Answer::Value(value)
        };
        match number {
            libc::SYS_sched_getaffinity => {
                let View::Fixed { processors } = self.view else { return Answer::Error(libc::ENOSYS) };
                match machine::affinity(processors, second) {
                    Some(mask) => give(third, &mask, mask.len() as i64),
                    None => Answer::Error(libc::EINVAL),
                }
            }
            libc::SYS_uname => give(first, &machine::utsname(), 0),
            libc::SYS_sysinfo => give(first, &machine::sysinfo(), 0),
            _ => {
                self.owners += 1;
                if self.owners <= MAX_OWNERS {
                    let text = self.describe_owner(listener, call);
                    Frame::Owner { text }.send(self.control.as_fd());
                }
                Answer::Value(0)
            }
        }
    }

    /// `PATH UID:GID`, with the path as the program gave it.
    fn describe_owner(&self, listener: &OwnedFd, call: &Notification) -> String {
        let [first, second, third, fourth, ..] = call.data.args;
        let path_at = |address| syscall::read_text(call.pid, address, MAX_PATH_BYTES);
        let open_file = |fd: u64| {
            let link = format!("{}/fd/{}", call.pid, fd as i32);
            rustix::fs::readlinkat(&self.processes, link, Vec::new()).map(|path| path.into_bytes()).unwrap_or_default()
        };
        let (path, owner, group) = match i64::from(call.data.nr) {
            libc::SYS_fchown => (open_file(first), second, third),
            libc::SYS_fchownat => {
                let path = path_at(second);
                (if path.is_empty() { open_file(first) } else { path }, third, fourth)
            }
            _ => (path_at(first), second, third),
        };
        let path = if syscall::still_waits(listener.as_fd(), call.id) { path } else { Vec::new() };
        let path = std::ffi::OsStr::from_bytes(&path).display().to_string();
        format!("{} {}:{}", path.escape_debug(), owner as i32, group as i32)
    }
}
