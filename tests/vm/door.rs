//! A machine that runs is looked into: by its name, and only when it has one.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Instant,
};

use super::{
    bench::{BENCH, folder},
    project,
    quickstart::{answers, probe},
};

/// What a test needs of one machine that runs.
struct Running {
    boot: Child,
    state: PathBuf,
}

impl Running {
    /// Boots the quickstart under the name `look` until its last target is reached.
    fn start(folder: &Path) -> Running {
        let state = folder.join("state");
        let mut command = brc(&state, &["boot", BENCH.image.to_str().unwrap(), "--name", "look", "--timeout", "900"]);
        let boot = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut running = Running { boot, state };
        let started = Instant::now();
        let mut lines = BufReader::new(running.boot.stdout.take().unwrap()).split(b'\n').map(Result::unwrap);
        lines
            .find(|line| String::from_utf8_lossy(line).contains("Reached target multi-user"))
            .expect("the last target was not reached");
        println!("the last target after {:.1} s", started.elapsed().as_secs_f64());
        // What is printed later must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        running
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let started = Instant::now();
        let output = brc(&self.state, arguments).output().unwrap();
        println!("brc {}: {:.1} s", arguments.join(" "), started.elapsed().as_secs_f64());
        output
    }

    /// What a command says that must succeed.
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "brc {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// No machine is left behind.
impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = Command::new("/bin/kill").arg(self.boot.id().to_string()).status();
        let _ = self.boot.wait();
    }
}

fn brc(state: &Path, arguments: &[&str]) -> Command {
    let mut command = project::brc();
    command.args(arguments).env("XDG_STATE_HOME", state);
    command
}

#[test]
fn a_machine_with_a_name_runs_programs_tells_its_log_and_takes_and_gives_files() {
    let folder = folder("door");
    let running = Running::start(&folder);
    let release = running.must(&["exec", "look", "--", "/usr/bin/cat", "/etc/os-release"]);
    assert!(release.contains("IMAGE_ID=\"quickstart\""), "{release}");
    for (script, code) in [("exit 7", 7), ("kill -KILL $$", 137)] {
        let output = running.run(&["exec", "look", "--", "/usr/bin/sh", "-c", script]);
        assert_eq!(output.status.code(), Some(code), "{script}");
    }
    let missing = running.run(&["exec", "look", "not-there"]);
    assert_eq!(missing.status.code(), Some(127), "{}", String::from_utf8_lossy(&missing.stderr));
    assert_eq!(
        running.must(&["exec", "look", "--env", "A=b c", "--", "sh", "-c", "echo $A $PATH"]),
        "b c /usr/bin:/usr/sbin\n"
    );

    let mut echo = brc(&running.state, &["exec", "--input", "look", "cat"]);
    let mut echo = echo.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    echo.stdin.take().unwrap().write_all(b"said\0back").unwrap();
    assert_eq!(echo.wait_with_output().unwrap().stdout, b"said\0back");

    copies_go_both_ways(&folder, &running);
    let log = running.must(&["logs", "look", "--unit", "brc-door"]);
    assert!(log.contains("Started brc-door.service"), "{log}");

    // Who goes away has what was started for them ended.
    let script = "echo $$ > /run/long; exec sleep 12345";
    let mut long = brc(&running.state, &["exec", "look", "sh", "-c", script]).spawn().unwrap();
    let script = "[ -s /run/long ] && [ -d /proc/$(cat /run/long) ]";
    let is_there = || running.run(&["exec", "look", "sh", "-c", script]).status.success();
    assert!((0..200).any(|_| is_there()), "it was not started");
    long.kill().unwrap();
    long.wait().unwrap();
    assert!((0..200).any(|_| !is_there()), "it was not ended");

    let other = running.run(&["exec", "other", "true"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("expected one of `look`"));
    drop(running);
    let gone = brc(&folder.join("state"), &["exec", "look", "true"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(2), "{}", String::from_utf8_lossy(&gone.stderr));
}

fn copies_go_both_ways(folder: &Path, running: &Running) {
    let (file, back) = (folder.join("file"), folder.join("back"));
    let large: Vec<u8> =
        (0..5 << 18_u32).flat_map(|number: u32| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(&file, &large).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o750)).unwrap();
    running.must(&["cp", file.to_str().unwrap(), "look:/run/copied"]);
    assert_eq!(running.must(&["exec", "look", "stat", "-c", "%s %a", "/run/copied"]), "5242880 750\n");
    running.must(&["cp", "look:/run/copied", back.to_str().unwrap()]);
    assert!(fs::read(&back).unwrap() == large);
    assert_eq!(fs::metadata(&back).unwrap().permissions().mode() & 0o777, 0o750);
    running.must(&["cp", "look:/usr/lib/tmpfiles.d", folder.to_str().unwrap()]);
    assert!(folder.join("tmpfiles.d/brc.conf").is_file());
    let refused = running.run(&["cp", "look:/dev", folder.join("dev").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    let refused = running.run(&["cp", file.to_str().unwrap(), "look:/usr/bin/cat"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("/usr/bin/cat"), "the root was written");
}

#[test]
fn a_machine_without_a_name_has_no_door() {
    let folder = folder("no-door");
    let script = "echo \"CHECK door: $(systemctl is-active brc-door)\"\n\
        echo \"CHECK ports: $(ls /dev/virtio-ports 2>&1)\"\n\
        echo \"CHECK agent: $(brc-agent exec-door 2>&1)\"\necho CHECK-END\n";
    let serial = BENCH.boot(&BENCH.image, "CHECK-END", &probe(&folder, script));
    assert_eq!(answers(&serial, "door"), ["inactive"]);
    assert!(answers(&serial, "ports")[0].contains("No such file"), "{serial}");
    let said = answers(&serial, "agent");
    assert!(
        said[0].starts_with("error: the door stays closed: nobody handed the credential `brc.door` over"),
        "{said:?}"
    );
}
