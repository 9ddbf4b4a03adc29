//! Every command sees the same machine, user and time, wherever it runs.

use super::bench::{Bench, chain};

#[test]
fn the_user_is_the_one_that_the_run_names() {
    let bench = Bench::new();
    for uid in [0, 1000] {
        let mut run = bench.script("id -u; id -g; id -G; stat -c %u /bin/sh; touch mine; stat -c %u mine");
        run.uid = uid;
        let expected = format!("{uid}\n").repeat(5);
        assert_eq!(bench.prints_of(&run), expected);
    }
}

#[test]
fn giving_files_to_others_succeeds_and_is_told() {
    let bench = Bench::new();
    let text = bench.prints("touch a; chown 0:0 a; chown 5:7 a; chown -h 33 a; stat -c %u:%g a");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("0:0"));
    assert_eq!(lines.next(), Some("brc: 2 changes of owners, only pretended:"), "{text}");
    assert_eq!(lines.next(), Some("brc: a 5:7"), "{text}");
    assert_eq!(lines.next(), Some("brc: a 33:-1"), "{text}");
}

#[test]
fn folders_in_memory_have_sizes_that_are_not_the_hosts() {
    let text = Bench::new().prints("stat -f -c '%n %b %S' /tmp /run /dev/shm");
    assert_eq!(text, "/tmp 2097152 4096\n/run 16384 4096\n/dev/shm 262144 4096\n");
}

#[test]
fn as_root_modes_do_not_hinder() {
    let bench = Bench::new();
    assert_eq!(bench.prints("mkdir d; echo x > d/f; chmod 000 d d/f; cat d/f; echo y >> /bin/wc"), "x\n");
}

#[test]
fn the_environment_is_the_runs_and_fixed_defaults() {
    let bench = Bench::new();
    let mut run = bench.script("");
    run.command = vec!["/bin/env".into()];
    run.environment.insert("LANG".into(), "C.UTF-8".into());
    run.environment.insert("HOME".into(), "/build".into());
    let text = bench.prints_of(&run);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(lines, ["HOME=/build", "LANG=C.UTF-8", path, "SOURCE_DATE_EPOCH=315619200", "TERM=dumb", "TMPDIR=/tmp"]);
}

#[test]
fn the_machine_has_the_name_the_kernel_and_the_processors_that_were_said() {
    let bench = Bench::new();
    let mut run = bench.script(
        "hostname; uname -srm; nproc; grep -c ^processor /proc/cpuinfo; grep -c '^cpu[0-9]' /proc/stat; \
         cat /proc/sys/kernel/osrelease /proc/sys/kernel/domainname; umask; cat /proc/loadavg",
    );
    for processors in [1, 8, 130] {
        run.processors = processors;
        let text = bench.prints_of(&run);
        let expected = format!(
            "brc\nLinux 6.12.0 {}\n{processors}\n{processors}\n{processors}\n6.12.0\n(none)\n0022\n0.00 0.00 0.00 1/1 1\n",
            std::env::consts::ARCH
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn limits_are_not_the_hosts_and_a_build_is_killed_before_others_when_memory_runs_out() {
    let text = Bench::new().prints("cat /proc/self/limits /proc/self/oom_score_adj");
    let limits: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    for expected in [
        "Max open files 1024 16384 files",
        "Max stack size 8388608 67108864 bytes",
        "Max pending signals 4096 4096 signals",
        "Max msgqueue size 819200 819200 bytes",
        "500",
    ] {
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert!(limits.contains(&expected), "{expected:?} is not in: {text}");
    }
}

#[test]
fn addresses_are_the_same_in_every_run() {
    let bench = Bench::new();
    let mut run = bench.script("");
    run.command = vec!["/bin/cat".into(), "/proc/self/maps".into()];
    let addresses =
        |text: String| -> Vec<String> { text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect() };
    assert_eq!(addresses(bench.prints_of(&run)), addresses(bench.prints_of(&run)));
}

#[test]
fn the_job_server_of_make_is_there() {
    let bench = Bench::new();
    let fifo = bench.folder.path().join("jobs");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    let both = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
    rustix::io::write(&both, b"++").unwrap();
    let run =
        bench.script("echo $MAKEFLAGS; dd if=/run/brc/jobs bs=1 count=1 2> /dev/null; echo; printf - > /run/brc/jobs");
    bench.perform_with(&run, Some(&fifo)).unwrap_or_else(|failure| panic!("{}", chain(&failure)));
    let text = std::fs::read_to_string(bench.log()).unwrap();
    assert_eq!(text, "-j8 --jobserver-auth=fifo:/run/brc/jobs\n+\n");
    // One token was taken, another one given.
    let mut left = [0; 8];
    assert_eq!(rustix::io::read(&both, &mut left).unwrap(), 2);
    assert_eq!(&left[..2], b"+-");
}
