//! What the filter of system calls does, tried by a program that calls the kernel directly.

use std::{collections::BTreeMap, fs, process::Command};

use brc::{
    content::{RelPath, Tree},
    plan::{Input, Network},
    sandbox::NetworkAccess,
};

use super::bench::{Bench, add, chain};

const PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#define TRY(name, call) do { errno = 0; long r = (call); printf("%s %d %d\n", name, r < 0 ? -1 : 0, r < 0 ? errno : 0); } while (0)
int main(int argc, char **argv) {
#ifdef __x86_64__
  if (argc > 1 && !strcmp(argv[1], "compat")) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20)); return 0; }
#endif
  char buffer[256];
  TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
  TRY("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -3));
  TRY("bpf", syscall(SYS_bpf, 0, buffer, 0));
  TRY("perf_event_open", syscall(SYS_perf_event_open, buffer, 0, -1, -1, 0));
  TRY("io_uring_setup", syscall(SYS_io_uring_setup, 1, buffer));
  TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
  TRY("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
  TRY("process_vm_readv", syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0));
  TRY("unshare", unshare(CLONE_NEWUSER));
  TRY("clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  TRY("clone3", syscall(SYS_clone3, buffer, 0));
  TRY("setns", syscall(SYS_setns, 0, 0));
  TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, buffer, 0));
  TRY("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", buffer, buffer, 0));
  TRY("personality", personality(0x0008));
  TRY("vsock", socket(40, SOCK_STREAM, 0));
  TRY("packet", socket(17, SOCK_RAW, 0));
  TRY("alg", socket(38, SOCK_SEQPACKET, 0));
  TRY("tiocsti", ioctl(0, 0x5412, buffer));
  TRY("settimeofday", syscall(SYS_settimeofday, 0, 0));
  TRY("sethostname", sethostname("x", 1));
  TRY("inet", socket(AF_INET, SOCK_STREAM, 0));
  int pair[2];
  TRY("unix", socket(AF_UNIX, SOCK_STREAM, 0));
  TRY("stream_pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  TRY("datagram_pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  TRY("datagram_pair_flags", socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
  TRY("raw_pair", socketpair(AF_UNIX, SOCK_RAW | SOCK_CLOEXEC, 0, pair));
  TRY("setgroups", syscall(SYS_setgroups, 1, buffer));
  TRY("getgroups", syscall(SYS_getgroups, 0, 0));
  TRY("kill_init", kill(1, SIGKILL));
  struct sysinfo info; sysinfo(&info);
  printf("memory %lu\n", info.totalram);
  cpu_set_t set; sched_getaffinity(0, sizeof set, &set);
  printf("processors %d\n", CPU_COUNT(&set));
  return 0;
}
"#;

fn with_program(bench: &Bench) -> brc::plan::Run<brc::content::Digest> {
    let source = bench.folder.path().join("program.c");
    let program = bench.folder.path().join("program");
    fs::write(&source, PROGRAM).unwrap();
    let status = Command::new("cc").arg("-O").arg("-o").arg(&program).arg(&source).status();
    assert!(status.expect("this test needs the C compiler `cc`").success());
    let mut tree = Tree::new();
    add(&bench.store, &mut tree, program.to_str().unwrap(), "bin/program");
    let mut run = bench.script("/bin/program < /dev/null");
    let tree = bench.store.put_tree(&tree).unwrap();
    run.inputs.push(Input { owner: "program".into(), tree, at: RelPath::ROOT });
    run
}

#[test]
fn dangerous_calls_are_refused() {
    let bench = Bench::new();
    let run = with_program(&bench);
    let text = bench.prints_of(&run);
    let errors: BTreeMap<&str, &str> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let error = |number: i32| format!("-1 {number}");
    for name in [
        "keyctl",
        "add_key",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "ptrace",
        "process_vm_readv",
        "unshare",
        "clone",
        "setns",
        "open_by_handle_at",
        "personality",
        "tiocsti",
        "settimeofday",
        "sethostname",
    ] {
        assert_eq!(errors[name], error(libc::EPERM), "{name}");
    }
    for name in ["io_uring_setup", "clone3"] {
        assert_eq!(errors[name], error(libc::ENOSYS), "{name}");
    }
    for name in ["vsock", "packet", "alg"] {
        assert_eq!(errors[name], error(libc::EAFNOSUPPORT), "{name}");
    }
    assert_eq!(errors["name_to_handle_at"], error(libc::EOPNOTSUPP));
    for name in
        ["inet", "setgroups", "getgroups", "unix", "stream_pair", "datagram_pair", "datagram_pair_flags", "raw_pair"]
    {
        assert_eq!(errors[name], "0 0", "{name}");
    }
    assert_eq!((errors["memory"], errors["processors"]), ("8589934592", "8"));
}

#[test]
fn a_run_that_fetches_has_no_socket_that_reaches_the_hosts_abstract_ones() {
    let bench = Bench::new();
    let mut run = with_program(&bench);
    run.network = Network::Fetching { expected: None };
    let sandbox = bench.sandbox().with_network(NetworkAccess::new(BTreeMap::new(), None));
    bench.perform_by(&sandbox, &run, None).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
    let text = fs::read_to_string(bench.log()).unwrap();
    let errors: BTreeMap<&str, &str> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    for name in ["unix", "datagram_pair", "datagram_pair_flags", "raw_pair"] {
        assert_eq!(errors[name], format!("-1 {}", libc::EAFNOSUPPORT), "{name}");
    }
    for name in ["inet", "stream_pair"] {
        assert_eq!(errors[name], "0 0", "{name}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_the_32_bit_interface_kill() {
    let bench = Bench::new();
    let mut run = with_program(&bench);
    run.command = vec!["/bin/program".into(), "compat".into()];
    let failure = bench.perform(&run).unwrap_err();
    assert!(failure.error.to_string().contains("was ended by signal 31"), "{}", chain(&failure));
}
