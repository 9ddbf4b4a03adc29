//! What is tried, as a story: each step is told, and must be so before the next.

use std::{net::TcpListener, path::Path, thread};

use serde_json::Value;

use super::bench::{Failed, Look};
use crate::{
    cli::{CliError, arguments::Breakage, context::now, verb::repo},
    inspect,
    publish::{Keys, Policy, Repository, Role, Signers, new_keys, serve},
};

/// Where a machine reaches the repository.
const REPOSITORY: &str = "http://10.0.2.100";
/// In this time a version must have been found healthy here: half a minute is what one takes that works.
const JUDGED_AFTER: &str = "100s";
/// How the image is told to use our repository, and to judge sooner.
const ROOT_CREDENTIAL: &str = "brc.update-root";
const JUDGE_CREDENTIAL: &str = "systemd.unit-dropin.brc-update-judge.timer~test";

/// What keeps an update from being written, for as long as it is there.
struct Trouble {
    begin: &'static str,
    said: &'static str,
    /// What the refusal has in it.
    told: &'static str,
    end: &'static str,
}

const FULL: Trouble = Trouble {
    begin: "dd if=/dev/zero of=/efi/filler bs=1M",
    said: "the ESP is full",
    told: "bytes",
    end: "rm /efi/filler",
};
/// It is mounted when it is looked at, so it is the unit that is told.
const READ_ONLY: Trouble = Trouble {
    begin: "mkdir -p /run/systemd/system/efi.mount.d && \
            printf '[Mount]\\nOptions=umask=0077,ro\\n' > /run/systemd/system/efi.mount.d/90-test.conf && \
            systemctl daemon-reload && systemctl stop efi.mount",
    said: "the ESP is read-only",
    told: "Read-only file system",
    end: "rm /run/systemd/system/efi.mount.d/90-test.conf; systemctl daemon-reload; systemctl stop efi.mount",
};

pub(super) fn said<'v>(status: &'v Value, at: &str) -> &'v str {
    status.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn is_good(status: &Value) -> bool {
    said(status, "/entry/state") == "good" && said(status, "/root/state") == "verified"
}

/// An image boots, and is found healthy.
pub fn boot(look: &Look<'_>) -> Result<(), Failed> {
    look.tell("the machine starts");
    let status = look.until("it was found healthy", is_good)?;
    look.tell(&format!("{} is healthy, its root verified", said(&status, "/version")));
    let (_, failed) = look.run(&["/usr/bin/systemctl", "list-units", "--failed", "--plain", "--no-legend"])?;
    must(failed.trim().is_empty(), || format!("units failed: {}", failed.trim()))?;
    let (code, cycles) =
        look.run(&["/usr/bin/journalctl", "-b", "--quiet", "--no-pager", "--grep", "ordering cycle"])?;
    must(code != 0 || cycles.trim().is_empty(), || format!("units wait in a circle: {}", cycles.trim()))?;
    look.tell("no unit failed, none waits in a circle");
    Ok(())
}

/// Has the machine take what is offered. What it does at each start, to mend what a cut update has left, comes first.
fn try_apply(look: &Look<'_>) -> Result<(u8, String), Failed> {
    loop {
        let (code, told) = look.run(&["/usr/bin/brc-update", "apply"])?;
        if !told.contains("another update is being written") {
            return Ok((code, told));
        }
        look.pause()?;
    }
}

pub(super) fn must(is_so: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if is_so { Ok(()) } else { Err(Failed::Not(message())) }
}

/// An update, in a repository of its own that a machine reaches.
pub struct Update {
    version: String,
    variant: String,
    port: u16,
    root: Vec<u8>,
    breakage: Option<Breakage>,
}

impl Update {
    /// Makes keys and a repository that offers `image`, and serves it until the program ends.
    ///
    /// # Errors
    /// An image that is none, a folder that takes nothing.
    pub fn new(folder: &Path, image: &Path, breakage: Option<Breakage>) -> Result<Self, CliError> {
        let machine = |error: std::io::Error| CliError::Machine(error.into());
        let found = inspect::parts(image).map_err(|error| CliError::Machine(error.into()))?;
        let parts = found.ok_or_else(|| CliError::Found(format!("`{}` has no parts of an update", image.display())))?;
        let (keys, repository) = (folder.join("keys"), folder.join("repository"));
        new_keys(&keys, &Role::ALL, None).map_err(|error| CliError::Machine(error.into()))?;
        let keys = Keys::read(&keys, &Role::ALL).map_err(|error| CliError::Machine(error.into()))?;
        let signers = Signers { keys: &keys, now: now(), may_wait: false };
        let mut made = Repository::init(&repository, &Policy::default(), &signers).map_err(repo::told)?;
        repo::add(&mut made, image, (Vec::new(), None), &signers)?;
        let root = std::fs::read(repository.join("metadata/1.root.json")).map_err(machine)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(machine)?;
        let port = listener.local_addr().map_err(machine)?.port();
        // It ends with us.
        thread::spawn(move || serve(&listener, &repository, &|_| ()));
        Ok(Update { version: parts.name.version, variant: parts.name.variant, port, root, breakage })
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The port of this host's loopback where the repository is.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the machine is handed over: whom it trusts, when it judges, and what breaks the new version and no other.
    pub fn credentials(&self) -> Vec<(String, Vec<u8>)> {
        let judge = format!("[Timer]\nOnBootSec=\nOnBootSec={JUDGED_AFTER}\n");
        let mut all =
            vec![(ROOT_CREDENTIAL.to_owned(), self.root.clone()), (JUDGE_CREDENTIAL.to_owned(), judge.into_bytes())];
        let does = match self.breakage {
            Some(Breakage::KernelPanic) => "echo c > /proc/sysrq-trigger",
            // What nobody restarts: a kernel that has stopped, and is told to stay so.
            Some(Breakage::Hang) => "{ echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger; }",
            Some(Breakage::UnitFailure) => "exit 1",
            Some(Breakage::HealthTimeout) => "sleep infinity",
            Some(Breakage::BlessedThenBroken) => "[ ! -e /var/lib/brc/broken-by-test ]",
            _ => return all,
        };
        let unit = format!(
            "[Unit]\nDescription=What breaks a version\nBefore=boot-complete.target\n[Service]\nType=oneshot\n\
             TimeoutStartSec=infinity\nExecStart=/usr/bin/bash -c '. /usr/lib/os-release; \
             [ \"$$IMAGE_VERSION\" != \"{}\" ] || {does}'\n",
            self.version
        );
        let wanted = "[Unit]\nRequires=brc-break.service\nAfter=brc-break.service\n";
        all.push(("systemd.extra-unit.brc-break.service".to_owned(), unit.into_bytes()));
        all.push(("systemd.unit-dropin.boot-complete.target~brc-break".to_owned(), wanted.as_bytes().to_vec()));
        all
    }

    /// The machine takes the update.
    pub fn taken(&self, look: &Look<'_>) -> Result<(), Failed> {
        let old = self.first_boot(look)?;
        self.apply(look)?;
        self.reboot(look)?;
        self.runs_healthy(look)?;
        self.is_same_machine(look, &old)
    }

    /// The machine takes the update, which is broken.
    pub fn broken(&self, look: &Look<'_>, breakage: Breakage) -> Result<(), Failed> {
        let old = self.first_boot(look)?;
        let before = said(&old, "/version").to_owned();
        match breakage {
            Breakage::EspFull => return self.refused(look, &before, &FULL),
            Breakage::EspReadOnly => return self.refused(look, &before, &READ_ONLY),
            Breakage::Clock { year } => return self.refused_for_time(look, year),
            _ => self.apply(look)?,
        }
        self.damage(look, breakage, &old)?;
        self.reboot(look)?;
        if breakage == Breakage::GptTorn {
            self.runs_healthy(look)?;
            let (_, told) = look.run(&["/usr/bin/brc-update", "mend"])?;
            must(told.trim().is_empty(), || format!("the partition table was not mended: {}", told.trim()))?;
            look.tell("the partition table is whole");
            return self.is_same_machine(look, &old);
        }
        if breakage == Breakage::BlessedThenBroken {
            self.runs_healthy(look)?;
            look.run(&["/usr/bin/touch", "/var/lib/brc/broken-by-test"])?;
            look.run(&["/usr/bin/sync"])?;
            look.tell(&format!("broken: {} fails from its next start on", self.version));
            self.reboot(look)?;
        }
        let gave_up = |status: &Value| {
            said(status, "/version") == before
                && is_good(status)
                && said(status, "/last_failure").starts_with(&format!("{}:", self.version))
        };
        let status = look.until(&format!("{before} was back"), gave_up)?;
        look.tell(&format!("{before} is back by itself; {}", said(&status, "/last_failure")));
        let (code, told) = try_apply(look)?;
        must(code == 1 && told.contains("was started here and given up"), || format!("it was taken again: {told}"))?;
        look.tell(&format!("{} is not taken again", self.version));
        self.is_same_machine(look, &old)
    }

    pub(super) fn first_boot(&self, look: &Look<'_>) -> Result<Value, Failed> {
        look.tell("the machine starts");
        let status = look.until("the old version was found healthy", is_good)?;
        look.tell(&format!("{} is healthy", said(&status, "/version")));
        let metadata = format!("updates.metadata-base-url={REPOSITORY}/metadata");
        let targets = format!("updates.targets-base-url={REPOSITORY}/targets");
        let (code, told) = look.run(&["/usr/bin/brc-agent", "settings", "set", &metadata, &targets])?;
        must(code == 0, || format!("the machine takes no settings: {}", told.trim()))?;
        Ok(status)
    }

    fn apply(&self, look: &Look<'_>) -> Result<(), Failed> {
        let (code, told) = try_apply(look)?;
        let is_written = code == 0 && told.contains(&format!("{} is started by the next reboot", self.version));
        must(is_written, || format!("the update was not taken: {}", told.trim()))?;
        look.tell(&format!("{} is written and read back", self.version));
        Ok(())
    }

    fn reboot(&self, look: &Look<'_>) -> Result<(), Failed> {
        const BOOT_ID: [&str; 2] = ["/usr/bin/cat", "/proc/sys/kernel/random/boot_id"];
        look.tell("the machine reboots");
        let (_, before) = look.run(&BOOT_ID)?;
        look.let_go(&["/usr/bin/systemctl", "reboot"])?;
        // It goes on answering for a while.
        while look.run(&BOOT_ID)? == (0, before.clone()) {
            look.pause()?;
        }
        Ok(())
    }

    fn runs_healthy(&self, look: &Look<'_>) -> Result<(), Failed> {
        let is_new = |status: &Value| said(status, "/version") == self.version && is_good(status);
        look.until(&format!("{} was found healthy", self.version), is_new)?;
        look.tell(&format!("{} is healthy, its root verified", self.version));
        Ok(())
    }

    fn is_same_machine(&self, look: &Look<'_>, old: &Value) -> Result<(), Failed> {
        let now = look.until("it could be looked at", |_| true)?;
        for member in ["/machine_id", "/data/device"] {
            let (before, after) = (said(old, member), said(&now, member));
            must(before == after, || format!("`{member}` was `{before}` and is `{after}`"))?;
        }
        look.tell("it is the same machine: its identity and its data");
        Ok(())
    }

    fn refused(&self, look: &Look<'_>, before: &str, trouble: &Trouble) -> Result<(), Failed> {
        look.run(&["/usr/bin/bash", "-c", trouble.begin])?;
        look.tell(trouble.said);
        let (code, told) = try_apply(look)?;
        must(code == 1 && told.contains(trouble.told), || format!("it was not refused: {}", told.trim()))?;
        look.tell(&format!("refused: {}", told.trim()));
        look.run(&["/usr/bin/bash", "-c", trouble.end])?;
        self.reboot(look)?;
        let is_old = |status: &Value| said(status, "/version") == before && is_good(status);
        look.until(&format!("{before} was up again"), is_old)?;
        look.tell(&format!("{before} runs as before"));
        self.apply(look)
    }

    /// The clock goes wrong, and right again.
    fn refused_for_time(&self, look: &Look<'_>, year: u16) -> Result<(), Failed> {
        let (_, now) = look.run(&["/usr/bin/date", "--utc", "+%s"])?;
        look.run(&["/usr/bin/systemctl", "stop", "systemd-timesyncd.service"])?;
        let set = |time: &str| look.run(&["/usr/bin/date", "--utc", "--set", time]);
        set(&format!("{year}-06-01 12:00:00"))?;
        look.tell(&format!("the clock says {year}"));
        let (code, told) = try_apply(look)?;
        must(code != 0, || format!("it was taken at a wrong time: {}", told.trim()))?;
        look.tell(&format!("refused: {}", told.trim()));
        set(&format!("@{}", now.trim()))?;
        look.tell("the clock is right again");
        self.apply(look)?;
        self.reboot(look)?;
        self.runs_healthy(look)
    }

    fn damage(&self, look: &Look<'_>, breakage: Breakage, old: &Value) -> Result<(), Failed> {
        // The ESP is the first partition of the system's disk; data may lie on another one.
        let (code, told) = look.run(&["/usr/bin/readlink", "--canonicalize", "/dev/brc/esp"])?;
        let stem = told.trim().trim_end_matches('1');
        must(code == 0 && stem.starts_with("/dev/"), || format!("no ESP is told: {}", told.trim()))?;
        let disk = stem.strip_suffix('p').filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit())).unwrap_or(stem);
        let does = match breakage {
            Breakage::RootCorrupt => {
                let root = if said(old, "/slot") == "A" { 5 } else { 3 };
                format!("dd if=/dev/urandom of={stem}{root} bs=1M count=40 conv=fsync")
            }
            Breakage::EspTruncated => {
                format!("truncate -s 1M /efi/EFI/Linux/{}_{}+3-0.efi; sync", self.variant, self.version)
            }
            Breakage::GptTorn => format!("dd if=/dev/zero of={disk} bs=512 seek=1 count=1 conv=notrunc,fsync"),
            // The version breaks by itself.
            Breakage::KernelPanic
            | Breakage::Hang
            | Breakage::UnitFailure
            | Breakage::HealthTimeout
            | Breakage::BlessedThenBroken
            | Breakage::EspFull
            | Breakage::EspReadOnly
            | Breakage::Clock { .. }
            | Breakage::PowerCut { .. } => return Ok(()),
        };
        let (code, told) = look.run(&["/usr/bin/bash", "-c", &does])?;
        must(code == 0, || format!("nothing was broken: {}", told.trim()))?;
        look.tell(&format!("broken: {does}"));
        Ok(())
    }
}
