//! The kernel calls that no safe crate has, each behind a safe function. Every `unsafe` of brc is in this file, and one in `stream.rs`.
//!
//! All of it runs in the re-executed child, which has one thread.

use std::{
    ffi::{CString, c_char, c_int, c_long, c_ulong, c_void},
    io,
    mem::{size_of, size_of_val, zeroed},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use rustix::{mount::MountAttrFlags, process::Pid, thread::UnshareFlags};

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A system call that waits for an answer.
pub(super) type Notification = libc::seccomp_notif;

/// How a system call is answered.
pub(super) enum Answer {
    /// It returns this number.
    Value(i64),
    /// It fails with this error number.
    Error(i32),
}

fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Makes new name spaces for this process (process ids: for its children).
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the file descriptor table, the only thing that matters to Rust here, is not unshared by our callers,
    // and there is no other thread that could see it.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// Splits the process in two; `None` in the new one.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread, so no lock can be held by a thread that the copy lacks.
    let pid = checked(c_long::from(unsafe { libc::fork() }))?;
    Ok(Pid::from_raw(pid as i32))
}

/// Ends the process without running anything else of it.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Becomes another program; returns only when that fails.
pub(super) fn execute(arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let Some(program) = arguments.first().filter(|program| !program.is_null()) else {
        return io::ErrorKind::InvalidInput.into();
    };
    // SAFETY: both lists end in a null pointer and point to texts that live until the call is over.
    unsafe { libc::execve(*program, arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Gives every signal its default action and lets all of them through: Rust's start ignores SIGPIPE.
pub(super) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is a valid action for every signal; those that cannot be set fail harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero set is what `sigemptyset` makes; both pointers are valid.
    unsafe {
        let none: libc::sigset_t = zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}

/// Marks every file descriptor from `first` on to be closed when a program is executed.
pub(super) fn close_on_execute(first: u32) -> io::Result<()> {
    // SAFETY: only a flag of descriptors changes; none is closed while somebody owns it.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    checked(result).map(drop)
}

/// Which mounts are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The one.
    One,
    /// It and those below it.
    All,
}

/// Sets attributes of mounts.
pub(super) fn set_mount(mount: BorrowedFd<'_>, set: MountAttrFlags, reach: Reach) -> io::Result<()> {
    let attributes = MountAttributes { set: u64::from(set.bits()), clear: 0, propagation: 0, user_namespace: 0 };
    let below = if reach == Reach::All { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a valid empty text, and the structure has the size that is stated.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | below,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    checked(result).map(drop)
}

/// Brings the loopback interface of this network name space up.
pub(super) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data, for which all zeros is valid.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request is the structure that this ioctl reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    checked(c_long::from(result)).map(drop)
}

/// Makes the addresses of programs the same in every run.
pub(super) fn fix_addresses() -> io::Result<()> {
    // SAFETY: `personality` changes a flag of this process only.
    let result = unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as c_ulong) };
    checked(c_long::from(result)).map(drop)
}

/// Installs a seccomp program for this process and all that come from it; gives the descriptor on which the
/// calls that it wants to have answered arrive.
pub(super) fn install_filter(program: &mut [libc::sock_filter]) -> io::Result<OwnedFd> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the program points to `len` instructions, which the kernel copies and checks.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let listener = checked(result)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(listener as c_int) })
}

/// Takes the next call that waits for an answer.
pub(super) fn receive_notification(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: the kernel wants zeros here; the structure is plain data.
    let mut notification: Notification = unsafe { zeroed() };
    // SAFETY: the structure is the one that this ioctl writes.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut notification) };
    checked(c_long::from(result))?;
    Ok(notification)
}

/// Answers a call. A caller that is gone meanwhile is no error.
pub(super) fn answer(listener: BorrowedFd<'_>, id: u64, answer: &Answer) {
    let (val, error) = match answer {
        Answer::Value(value) => (*value, 0),
        Answer::Error(errno) => (0, -errno),
    };
    let mut response = libc::seccomp_notif_resp { id, val, error, flags: 0 };
    // SAFETY: the structure is the one that this ioctl reads.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut response) };
}

/// Whether the caller of a notification still waits, so that its process id still means it.
pub(super) fn still_waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    let mut id = id;
    // SAFETY: the ioctl reads one 64-bit number.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &raw mut id) == 0 }
}

/// Writes into the memory of another process; true when all of it was written.
pub(super) fn write_memory(pid: u32, address: u64, bytes: &[u8]) -> bool {
    let local = libc::iovec { iov_base: bytes.as_ptr() as *mut c_void, iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: the local range is read only; the remote one is checked by the kernel in the other process.
    let result = unsafe { libc::process_vm_writev(pid as i32, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(result).is_ok_and(|count| count == size_of_val(bytes))
}

/// Reads a text that ends in NUL from the memory of another process, up to `limit` bytes.
pub(super) fn read_text(pid: u32, address: u64, limit: usize) -> Vec<u8> {
    const PAGE: u64 = 4096;
    let mut text = Vec::new();
    let mut at = address;
    while text.len() < limit {
        // Up to the end of the page: what lies behind it may not be there.
        let mut piece = vec![0_u8; (PAGE - at % PAGE) as usize];
        let local = libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: piece.len() };
        let remote = libc::iovec { iov_base: at as *mut c_void, iov_len: piece.len() };
        // SAFETY: the local range is ours and as long as stated; the kernel checks the remote one.
        let result = unsafe { libc::process_vm_readv(pid as i32, &raw const local, 1, &raw const remote, 1, 0) };
        let Some(piece) = usize::try_from(result).ok().and_then(|count| piece.get(..count)) else { break };
        match piece.iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.extend(piece.iter().take(end));
                break;
            }
            None if piece.is_empty() => break,
            None => text.extend(piece),
        }
        at += piece.len() as u64;
    }
    text.truncate(limit);
    text
}
