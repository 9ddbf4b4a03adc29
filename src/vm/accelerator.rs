//! Whether the host's processor can be used, which only trying tells.
//!
//! `/dev/kvm` says little: in nested machines and containers it often opens and then fails at the first
//! instruction that matters. So the firmware is booted with it once, and the answer remembered until the host boots
//! again. The remembered line is `HOST-BOOT TOOL-SET yes|no`.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    sync::atomic::AtomicBool,
    time::Duration,
};

use brc_contract::Architecture;

use super::{
    BootError, Ended, Machine,
    order::Restart,
    process::Running,
    qemu::{self, Accelerator, Bus, Durability, Hardware},
    subnet::PRIVATE,
    workplace::Workplace,
};
use crate::sandbox::linux::{Access, Bind, Network};

/// The node that gives access to the host's processor.
pub(super) const DEVICE: &str = "/dev/kvm";
/// What the firmware says when it looks for something to boot.
const FIRMWARE_IS_UP: &str = "BdsDxe:";
/// A firmware that is not emulated is up in less than two seconds; one that takes longer is no gain.
const PATIENCE: Duration = Duration::from_secs(10);
/// The memory of the machine that only tries.
const MEMORY_MIB: u32 = 256;

impl Machine {
    /// The better accelerator that works here.
    pub(super) fn accelerator(&self, cancelled: &AtomicBool) -> Accelerator {
        let is_own = self.architecture == Architecture::of_this_program();
        if !is_own || File::options().read(true).write(true).open(DEVICE).is_err() {
            return Accelerator::Tcg;
        }
        let known = fs::read_to_string(self.answer_path()).ok();
        let answer = known.as_deref().and_then(|line| line.trim().strip_prefix(&self.answer_name()));
        let works = match answer {
            Some(" yes") => true,
            Some(" no") => false,
            _ => {
                let works = self.try_kvm(cancelled).is_ok_and(|ended| matches!(ended, Ended::Found));
                self.remember_kvm(if works { "yes" } else { "no" });
                works
            }
        };
        if works { Accelerator::Kvm } else { Accelerator::Tcg }
    }

    /// Remembers that the host's processor failed after all.
    pub(super) fn distrust_kvm(&self) {
        self.remember_kvm("no");
    }

    fn remember_kvm(&self, answer: &str) {
        // Where it cannot be remembered it is tried again.
        fs::write(self.answer_path(), format!("{} {answer}\n", self.answer_name())).unwrap_or_default();
    }

    fn answer_path(&self) -> PathBuf {
        self.store.dir().join("temporary").join("kvm-works")
    }

    fn answer_name(&self) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        format!("{} {}", boot.trim(), self.tools)
    }

    /// Boots the firmware, without a disk, on the host's processor.
    fn try_kvm(&self, cancelled: &AtomicBool) -> Result<Ended, BootError> {
        let tools = self.tools()?;
        let workplace = Workplace::new(&self.store).map_err(BootError::Workplace)?;
        let variables = workplace.path().join("variables");
        fs::copy(tools.path().join(qemu::model(self.architecture).variables), &variables)
            .and_then(|_| make_writable(&variables))
            .map_err(|source| BootError::Copy { path: variables.clone(), source })?;
        let command = qemu::command(&Hardware {
            architecture: self.architecture,
            accelerator: Accelerator::Kvm,
            memory_mib: MEMORY_MIB,
            disk: Durability::NoDisk,
            has_data_disk: false,
            bus: Bus::Virtio,
            disks: 0,
            instance_disks: 0,
            has_watchdog: false,
            credentials: 0,
            forwards: &[],
            services: &[],
            subnet: &PRIVATE,
            uuid: qemu::UUID,
            tables: &[],
            has_door: false,
            restart: Restart::End,
        });
        let bind = |from: PathBuf, to: &str| Bind { from, to: to.to_owned(), access: Access::Write };
        let binds = vec![bind(variables, qemu::OWN_VARIABLES), kvm_bind()];
        let running = Running {
            root: workplace.root(tools.path()),
            command,
            binds,
            network: Network::None,
            until: Some(FIRMWARE_IS_UP),
            timeout: Some(PATIENCE),
        };
        self.run(running, &mut io::sink(), cancelled)
    }
}

/// Shows the host's processor to a machine.
pub(super) fn kvm_bind() -> Bind {
    Bind { from: PathBuf::from(DEVICE), to: DEVICE.trim_start_matches('/').to_owned(), access: Access::Write }
}

fn make_writable(path: &std::path::Path) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}
