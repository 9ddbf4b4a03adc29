//! Nothing of the host reaches a command, and nothing of a command reaches the host.

use std::{fs, os::unix::fs::PermissionsExt};

use super::bench::Bench;

#[test]
fn the_only_network_is_a_loopback_that_is_up() {
    let bench = Bench::new();
    let text = bench.prints("tail -n +3 /proc/net/dev; cat /proc/net/fib_trie | grep -c 127.0.0.1");
    let interfaces: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    assert_eq!(interfaces, ["lo"]);
    let addresses: u32 = text.lines().last().unwrap().parse().unwrap();
    assert!(addresses > 0, "loopback has its address: {text}");
}

#[test]
fn no_path_of_the_host_is_there() {
    let bench = Bench::new();
    let text = bench.prints(
        "ls -a /; cat /proc/*/mountinfo /proc/*/mounts; cat /proc/1/cmdline; cat /proc/1/environ 2> /dev/null || echo",
    );
    let store = bench.folder.path().display().to_string();
    assert!(!text.contains(&store), "{text}");
    assert!(!text.contains("target/debug"), "{text}");
    let names: Vec<&str> = text.lines().take_while(|line| !line.contains(' ')).collect();
    for name in names {
        assert!(
            [".", "..", "bin", "build", "dev", "etc", "lib", "lib64", "proc", "root", "run", "tmp", "usr"]
                .contains(&name),
            "/{name}"
        );
    }
}

#[test]
fn dev_is_private_and_its_nodes_cannot_be_changed() {
    let bench = Bench::new();
    let before = fs::metadata("/dev/null").unwrap().permissions().mode();
    let text = bench.prints(
        "ls /dev /dev/pts /dev/shm; echo x > /dev/null; echo y > /dev/shm/y; cat /dev/shm/y; \
         dd if=/dev/zero of=/dev/null count=1 2> /dev/null; chmod 0600 /dev/null || echo refused; \
         touch /dev/new || echo refused; test ! -e /dev/kvm; sh -c ': < /dev/tty' || echo no terminal",
    );
    for name in
        ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    {
        assert!(text.lines().any(|line| line == name), "{name} in {text}");
    }
    assert_eq!(text.matches("refused").count(), 2, "{text}");
    assert!(text.contains("no terminal"), "{text}");
    assert_eq!(fs::metadata("/dev/null").unwrap().permissions().mode(), before);
}

#[test]
fn proc_shows_only_the_sandbox() {
    let bench = Bench::new();
    let text = bench.prints(
        "for at in /proc/[0-9]*; do echo process ${at#/proc/}; done; cat /proc/cmdline /proc/kallsyms /proc/interrupts; \
         ls /proc/bus /proc/fs /proc/sys; cat /proc/1/maps || echo hidden; readlink /proc/1/exe || echo hidden; \
         test ! -e /sys/kernel; (echo h > /proc/sysrq-trigger) || echo refused; \
         (echo x > /proc/sys/kernel/hostname) || echo refused",
    );
    let processes = text.lines().filter(|line| line.starts_with("process")).count();
    assert!((2..=3).contains(&processes), "{text}");
    assert_eq!(text.matches("hidden").count(), 2, "{text}");
    assert_eq!(text.matches("refused").count(), 2, "{text}");
    assert!(text.contains("\nfs\nkernel\nvm\n"), "{text}");
    assert!(!text.contains("BOOT_IMAGE") && !text.contains("root="), "{text}");
}

#[test]
fn rights_are_given_up() {
    let bench = Bench::new();
    let text = bench.prints("cat /proc/self/status");
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    // CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SYS_CHROOT.
    for name in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(field(name), "000000000004001a", "{name}");
    }
    assert_eq!((field("CapAmb:"), field("CapInh:")), ("0".repeat(16), "0".repeat(16)));
    assert_eq!((field("NoNewPrivs"), field("Seccomp:")), ("1".into(), "2".into()));

    let mut run = bench.script("cat /proc/self/status");
    run.uid = 1000;
    let text = bench.prints_of(&run);
    assert!(text.contains("CapBnd:\t0000000000000000"), "{text}");
}

#[test]
fn name_spaces_and_mounts_cannot_be_made() {
    let bench = Bench::new();
    let text = bench.prints(
        "unshare -U true 2>&1 || echo refused; unshare -n true 2>&1 || echo refused; \
         mount -t tmpfs none /tmp 2>&1 || echo refused",
    );
    assert_eq!(text.matches("refused").count(), 3, "{text}");
}

#[test]
fn no_descriptor_is_inherited() {
    let bench = Bench::new();
    let held = fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::empty()).unwrap();
    let text = bench.prints("for fd in /proc/self/fd/*; do echo ${fd##*/}; done");
    // The shell reads its own folder through one descriptor of its own.
    let numbers: Vec<&str> = text.lines().collect();
    assert!(numbers.starts_with(&["0", "1", "2"]) && numbers.len() <= 4, "{text}");
}

#[test]
fn standard_input_is_empty() {
    assert_eq!(Bench::new().prints("cat; echo end"), "end\n");
}
