//! A machine from what was ordered to its end.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::atomic::AtomicBool,
};

use super::{
    BootError, Ended, Machine,
    accelerator::kvm_bind,
    credential,
    disk::Own,
    order::BootOrder,
    process::Running,
    qemu::{self, Accelerator, Hardware},
    workplace::Workplace,
};
use crate::sandbox::linux::{Access, Bind, Network};

impl Machine {
    /// Boots an image and follows it to its end. What its serial line prints goes to `serial`, line by line or in
    /// smaller pieces, without terminal sequences.
    ///
    /// The machine is ended like by a power cut; what a kept disk was told to flush by then is on the host's disk.
    ///
    /// # Errors
    /// See [`BootError`]; no process is left in any case.
    pub fn boot(&self, order: &BootOrder, serial: &mut dyn Write, cancelled: &AtomicBool) -> Result<Ended, BootError> {
        let credentials = credential::strings(&order.credentials)?;
        let tools = self.tools()?;
        let workplace = Workplace::new(&self.store).map_err(BootError::Workplace)?;
        let own = Own::prepare(order, workplace.path(), &tools.path().join(qemu::model(self.architecture).variables))?;
        let accelerator = self.accelerator(cancelled);
        let command = qemu::command(&Hardware {
            architecture: self.architecture,
            accelerator,
            memory_mib: order.memory_mib,
            disk: own.durability,
            disks: order.disks.len(),
            credentials: credentials.len(),
            forwards: &order.forwards,
            restart: order.restart,
        });
        let running = Running {
            root: workplace.root(tools.path()),
            command,
            binds: binds(order, &own, &workplace, &credentials, accelerator)?,
            network: if order.forwards.is_empty() { Network::None } else { Network::Host },
            until: order.until.as_deref(),
            timeout: order.timeout,
        };
        let ended = self.run(running, serial, cancelled);
        own.flush()?;
        if let Err(BootError::Standstill { .. }) = &ended {
            self.distrust_kvm();
        }
        ended
    }
}

/// Everything of the host that a machine sees.
fn binds(
    order: &BootOrder,
    own: &Own,
    workplace: &Workplace,
    credentials: &[String],
    accelerator: Accelerator,
) -> Result<Vec<Bind>, BootError> {
    let bind = |from: &Path, to: &str, access| Bind { from: from.to_owned(), to: to.to_owned(), access };
    let mut binds =
        vec![bind(&own.disk, qemu::OWN_DISK, Access::Write), bind(&own.variables, qemu::OWN_VARIABLES, Access::Write)];
    for (number, path) in order.disks.iter().enumerate() {
        let refused = |source| BootError::Disk { path: path.clone(), source };
        // Opened here, so that the error names the file and not a place in the sandbox.
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(refused)?;
        if metadata.is_dir() {
            return Err(refused(io::ErrorKind::IsADirectory.into()));
        }
        binds.push(bind(path, &qemu::disk(number), Access::Read));
    }
    for (number, string) in credentials.iter().enumerate() {
        let path = workplace
            .write_secret(&format!("credential-{number}"), string)
            .map_err(|source| BootError::Workplace(source.into()))?;
        binds.push(bind(&path, &qemu::credential(number), Access::Read));
    }
    if accelerator == Accelerator::Kvm {
        binds.push(kvm_bind());
    }
    // The sandbox does not know our working directory.
    for bind in &mut binds {
        bind.from = bind.from.canonicalize().map_err(|source| BootError::Disk { path: bind.from.clone(), source })?;
    }
    Ok(binds)
}
