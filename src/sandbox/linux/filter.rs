//! The seccomp program: which system calls are refused, pretended or answered by the supervisor.
//!
//! Every other call up to [`NEWEST`] is allowed: the list names what reaches the kernel's rarely used parts, changes the sandbox
//! itself, or would leak the host. What is newer nobody here has judged, and older kernels do not have it: it is
//! unknown on every kernel, so that programs take their other way. The kernel keeps a bitmap of the calls that are allowed whatever their
//! arguments, so the program costs the common ones nothing.

use std::ffi::c_long;

use super::spec::{Network, View};

/// Refused with EPERM.
const REFUSED: &[c_long] = &[
    // Name spaces and mounts: the sandbox is as it was made.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Keys, which are shared with every process of the same user.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Large attack surface that no build needs.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_memfd_secret,
    // The host's files by handle, around every folder's mode.
    libc::SYS_open_by_handle_at,
    // The machine itself.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// The newest call that was looked at when these lists were written, `mseal` of Linux 6.10; the numbers from 424 on
/// are the same for all architectures.
const NEWEST: u32 = 462;

/// Refused with ENOSYS, so that programs take their other way: `clone3` cannot be filtered by its flags, which
/// lie in memory.
const UNKNOWN: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Refused as if no file system could do it, so that programs take their other way.
const UNSUPPORTED: &[c_long] = &[libc::SYS_name_to_handle_at];

/// Said to have succeeded. There is one user inside, so a list of groups has no meaning, and processors are a
/// fiction.
const PRETENDED: &[c_long] = &[libc::SYS_setgroups, libc::SYS_getgroups];

/// Calls that give a path to somebody, and which argument is the user (the next one is the group).
const OWNER_CALLS: &[(c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chown, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lchown, 1),
    (libc::SYS_fchown, 1),
    (libc::SYS_fchownat, 2),
];

/// Calls that the supervisor answers when programs are told of a fixed machine.
const ANSWERED: &[c_long] = &[libc::SYS_sched_getaffinity, libc::SYS_uname, libc::SYS_sysinfo];

/// The flags of `clone` that make name spaces.
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Terminal requests that put characters into another's input (`TIOCSTI`, and `TIOCLINUX`, whose paste does).
const TERMINAL_REQUESTS: [u32; 2] = [libc::TIOCSTI as u32, 0x541c];

/// The socket families that are there. The others are attack surface or, as vsock, not bound to the network
/// name space.
const SOCKET_FAMILIES: [u32; 4] =
    [libc::AF_UNIX as u32, libc::AF_INET as u32, libc::AF_INET6 as u32, libc::AF_NETLINK as u32];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Calls with this bit are of the x32 interface, which has numbers of its own.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE_FIELD: u32 = 4;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
const SUCCEED: u32 = libc::SECCOMP_RET_ERRNO;

const fn fail(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// The seccomp program for a sandbox with this user, this view and this network.
pub(super) fn program(uid: u32, view: View, network: Network) -> Vec<libc::sock_filter> {
    let mut program = Program(Vec::with_capacity(256));
    program.load(ARCHITECTURE_FIELD);
    program.unless_equal(ARCHITECTURE, libc::SECCOMP_RET_KILL_PROCESS);
    program.load(NUMBER);
    #[cfg(target_arch = "x86_64")]
    program.when_any_bit(X32_BIT, fail(libc::ENOSYS));
    program.when_above(NEWEST, fail(libc::ENOSYS));
    let lists = [
        (REFUSED, fail(libc::EPERM)),
        (UNKNOWN, fail(libc::ENOSYS)),
        (UNSUPPORTED, fail(libc::EOPNOTSUPP)),
        (PRETENDED, SUCCEED),
    ];
    for (calls, action) in lists {
        calls.iter().for_each(|call| program.when_equal(*call as u32, action));
    }
    if let View::Fixed { .. } = view {
        ANSWERED.iter().for_each(|call| program.when_equal(*call as u32, NOTIFY));
        program.when_equal(libc::SYS_sched_setaffinity as u32, SUCCEED);
    }
    for (call, user) in OWNER_CALLS {
        // Giving something to the one user that there is needs no report.
        let mut body = Program::default();
        for argument in [*user, user + 1] {
            body.load(argument_field(argument));
            body.when_none_of(&[uid, u32::MAX], NOTIFY);
        }
        body.give(SUCCEED);
        program.on(*call, body);
    }
    program.on(libc::SYS_clone, Program::on_argument(0, |body| body.when_any_bit(NAMESPACE_FLAGS, fail(libc::EPERM))));
    program.on(
        libc::SYS_ioctl,
        Program::on_argument(1, |body| {
            TERMINAL_REQUESTS.iter().for_each(|request| body.when_equal(*request, fail(libc::EPERM)));
        }),
    );
    program.on(
        libc::SYS_personality,
        Program::on_argument(0, |body| {
            // 0xffffffff asks, 0 is what every program is.
            body.when_none_of(&[0, libc::ADDR_NO_RANDOMIZE as u32, u32::MAX], fail(libc::EPERM));
        }),
    );
    program.on(
        libc::SYS_socket,
        Program::on_argument(0, |body| {
            // With the host's network come the host's abstract sockets.
            if let (View::Fixed { .. }, Network::Host) = (view, network) {
                body.when_equal(libc::AF_UNIX as u32, fail(libc::EAFNOSUPPORT));
            }
            body.when_none_of(&SOCKET_FAMILIES, fail(libc::EAFNOSUPPORT));
        }),
    );
    if let (View::Fixed { .. }, Network::Host) = (view, network) {
        // One of a pair of stream sockets reaches nobody but the other. One of a pair of datagram sockets can send to
        // any abstract socket, which only newer kernels hinder (Landlock of Linux 6.12).
        let flags = [0, libc::SOCK_CLOEXEC, libc::SOCK_NONBLOCK, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK];
        program.on(
            libc::SYS_socketpair,
            Program::on_argument(1, |body| {
                // Linux makes a datagram socket of a raw one of this family.
                for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
                    for flags in flags {
                        body.when_equal((kind | flags) as u32, fail(libc::EAFNOSUPPORT));
                    }
                }
            }),
        );
    }
    program.give(ALLOW);
    program.0
}

/// Where the low 32 bits of an argument lie; both machines are little-endian.
const fn argument_field(argument: u32) -> u32 {
    16 + 8 * argument
}

/// Classic BPF, written front to back.
#[derive(Default)]
struct Program(Vec<libc::sock_filter>);

impl Program {
    fn push(&mut self, code: u32, when: u8, otherwise: u8, k: u32) {
        self.0.push(libc::sock_filter { code: code as u16, jt: when, jf: otherwise, k });
    }

    fn load(&mut self, field: u32) {
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, field);
    }

    fn give(&mut self, action: u32) {
        self.push(libc::BPF_RET | libc::BPF_K, 0, 0, action);
    }

    fn when_equal(&mut self, value: u32, action: u32) {
        self.push(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, value);
        self.give(action);
    }

    fn when_above(&mut self, value: u32, action: u32) {
        self.push(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, 1, value);
        self.give(action);
    }

    fn unless_equal(&mut self, value: u32, action: u32) {
        self.push(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, value);
        self.give(action);
    }

    fn when_any_bit(&mut self, bits: u32, action: u32) {
        self.push(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, bits);
        self.give(action);
    }

    fn when_none_of(&mut self, values: &[u32], action: u32) {
        for (at, value) in values.iter().enumerate() {
            // Past the values that are left, and past the action.
            self.push(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, (values.len() - at) as u8, 0, *value);
        }
        self.give(action);
    }

    /// What is done with one argument; allowed when `body` gives nothing.
    fn on_argument(argument: u32, write: impl FnOnce(&mut Program)) -> Program {
        let mut body = Program::default();
        body.load(argument_field(argument));
        write(&mut body);
        body.give(ALLOW);
        body
    }

    /// Runs `body`, which always gives something, when the call is this one.
    fn on(&mut self, call: c_long, body: Program) {
        self.push(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, body.0.len() as u8, call as u32);
        self.0.extend(body.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would.
    fn run(program: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u32; 3]) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = &program[at];
            let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
            at += 1;
            match u32::from(step.code) & 0x07 {
                libc::BPF_LD => {
                    accumulator = match step.k {
                        NUMBER => number,
                        ARCHITECTURE_FIELD => architecture,
                        field => arguments[(field as usize - 16) / 8],
                    };
                }
                libc::BPF_JMP if u32::from(step.code) & 0xf0 == libc::BPF_JEQ => at += jump(accumulator == step.k),
                libc::BPF_JMP if u32::from(step.code) & 0xf0 == libc::BPF_JGT => at += jump(accumulator > step.k),
                libc::BPF_JMP => at += jump(accumulator & step.k != 0),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn calls_are_sorted_as_the_lists_say() {
        let fixed = program(1000, View::Fixed { processors: 8 }, Network::None);
        let fetching = program(1000, View::Fixed { processors: 8 }, Network::Host);
        let host = program(0, View::Host, Network::Host);
        let is = |program: &[_], call: c_long, arguments, action| {
            assert_eq!(run(program, ARCHITECTURE, call as u32, arguments), action, "call {call} {arguments:?}");
        };
        is(&fixed, libc::SYS_read, [0; 3], ALLOW);
        is(&fixed, libc::SYS_mount, [0; 3], fail(libc::EPERM));
        is(&fixed, libc::SYS_clone3, [0; 3], fail(libc::ENOSYS));
        is(&fixed, libc::SYS_setgroups, [0; 3], SUCCEED);
        is(&fixed, libc::SYS_uname, [0; 3], NOTIFY);
        is(&host, libc::SYS_uname, [0; 3], ALLOW);
        is(&fixed, libc::SYS_clone, [libc::SIGCHLD as u32, 0, 0], ALLOW);
        is(&fixed, libc::SYS_clone, [(libc::CLONE_NEWUSER | libc::SIGCHLD) as u32, 0, 0], fail(libc::EPERM));
        is(&fixed, libc::SYS_fchown, [3, 1000, u32::MAX], SUCCEED);
        is(&fixed, libc::SYS_fchown, [3, 1000, 0], NOTIFY);
        is(&fixed, libc::SYS_fchown, [3, 0, 1000], NOTIFY);
        is(&fixed, libc::SYS_ioctl, [0, 0x5401, 0], ALLOW);
        is(&fixed, libc::SYS_ioctl, [0, libc::TIOCSTI as u32, 0], fail(libc::EPERM));
        is(&fixed, libc::SYS_socket, [libc::AF_INET6 as u32, 0, 0], ALLOW);
        is(&fixed, libc::SYS_socket, [libc::AF_UNIX as u32, 0, 0], ALLOW);
        is(&host, libc::SYS_socket, [libc::AF_UNIX as u32, 0, 0], ALLOW);
        is(&fetching, libc::SYS_socket, [libc::AF_UNIX as u32, 0, 0], fail(libc::EAFNOSUPPORT));
        is(&fetching, libc::SYS_socket, [libc::AF_INET as u32, 0, 0], ALLOW);
        is(&fetching, libc::SYS_socket, [libc::AF_VSOCK as u32, 0, 0], fail(libc::EAFNOSUPPORT));
        is(&fixed, libc::SYS_socket, [libc::AF_VSOCK as u32, 0, 0], fail(libc::EAFNOSUPPORT));
        is(&fixed, libc::SYS_socket, [libc::AF_ALG as u32, 0, 0], fail(libc::EAFNOSUPPORT));
        is(&fixed, libc::SYS_personality, [u32::MAX, 0, 0], ALLOW);
        is(&fixed, libc::SYS_personality, [8, 0, 0], fail(libc::EPERM));
        is(&fixed, NEWEST.into(), [0; 3], ALLOW);
        for newer in [NEWEST + 1, 100_000] {
            is(&fixed, newer.into(), [0; 3], fail(libc::ENOSYS));
        }
    }

    #[test]
    fn another_architecture_is_killed() {
        let program = program(0, View::Host, Network::None);
        // AUDIT_ARCH_I386, AUDIT_ARCH_ARM.
        for architecture in [0x4000_0003, 0x4000_0028] {
            assert_eq!(run(&program, architecture, 1, [0; 3]), libc::SECCOMP_RET_KILL_PROCESS);
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(run(&program, ARCHITECTURE, X32_BIT | 1, [0; 3]), fail(libc::ENOSYS));
    }
}
