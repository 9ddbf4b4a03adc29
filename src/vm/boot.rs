//! A machine from what was ordered to its end.

use std::{
    fs::File,
    io::{self, Write},
    net::SocketAddrV4,
    path::Path,
    sync::atomic::AtomicBool,
};

use super::{
    BootError, Ended, Machine,
    accelerator::kvm_bind,
    credential,
    disk::Own,
    door::Keeper,
    ec2, nocloud,
    notice::Tell,
    order::{BootOrder, Cloud, Metadata},
    process::Running,
    qemu::{self, Accelerator, Hardware},
    service::{Door, Service, while_open},
    subnet,
    workplace::Workplace,
};
use crate::sandbox::linux::{Access, Bind, Network};

impl Machine {
    /// Boots an image and follows it to its end. What its serial line prints goes to `serial`, line by line or in
    /// smaller pieces, without terminal sequences; what else is worth saying meanwhile goes to `tell`.
    ///
    /// The machine is ended like by a power cut; what a kept disk was told to flush by then is on the host's disk.
    ///
    /// # Errors
    /// See [`BootError`]; no process is left in any case.
    pub fn boot(
        &self,
        order: &BootOrder,
        serial: &mut dyn Write,
        tell: Tell<'_>,
        cancelled: &AtomicBool,
    ) -> Result<Ended, BootError> {
        let credentials = credential::strings(&order.handed_over())?;
        order.check()?;
        let services = self.services(order);
        let tools = self.tools()?;
        if !services.is_empty() && !tools.path().join(qemu::CONNECTOR).is_file() {
            return Err(BootError::NoTool { path: qemu::CONNECTOR, packages: "`netcat-openbsd`" });
        }
        let workplace = Workplace::new(&self.store).map_err(BootError::Workplace)?;
        let own = Own::prepare(order, workplace.path(), &tools.path().join(qemu::model(self.architecture).variables))?;
        let addresses: Vec<SocketAddrV4> = services.iter().map(|service| service.at).collect();
        let doors = open(services, &workplace)?;
        let keeper = order.door.as_ref().map(|folder| Keeper::open(folder, workplace.path())).transpose()?;
        let accelerator = self.accelerator(cancelled);
        let mut binds = binds(order, &own, &workplace, &credentials, &doors, accelerator)?;
        binds.extend(keeper.as_ref().map(door_bind));
        let is_instance = matches!(order.cloud, Some(Cloud::Ec2(_)));
        let tables = if is_instance { ec2::tables(self.architecture) } else { Vec::new() };
        let command = qemu::command(&Hardware {
            architecture: self.architecture,
            accelerator,
            memory_mib: order.memory_mib,
            disk: own.durability,
            has_data_disk: own.data.is_some(),
            disks: order.disks.len() + usize::from(matches!(order.cloud, Some(Cloud::NoCloud { .. }))),
            instance_disks: order.instance_disks.len(),
            has_watchdog: order.has_watchdog,
            credentials: credentials.len(),
            forwards: &order.forwards,
            services: &addresses,
            subnet: subnet(order),
            bus: if is_instance { qemu::Bus::Nvme } else { qemu::Bus::Virtio },
            uuid: if is_instance { ec2::UUID } else { qemu::UUID },
            tables: &tables,
            has_door: keeper.is_some(),
            restart: order.restart,
        });
        let running = Running {
            root: workplace.root(tools.path()),
            command,
            binds,
            network: if order.forwards.is_empty() { Network::None } else { Network::Host },
            until: order.until.as_deref(),
            timeout: order.timeout,
        };
        let run = || while_open(&doors, tell, || self.run(running, serial, cancelled));
        let ended = match &keeper {
            Some(keeper) => keeper.while_open(run),
            None => run(),
        };
        own.flush()?;
        if let Err(BootError::Standstill { .. }) = &ended {
            self.distrust_kvm();
        }
        ended
    }

    /// What answers the machine.
    fn services(&self, order: &BootOrder) -> Vec<Service> {
        let mut services: Vec<Service> =
            order.reaches.iter().map(|reach| Service::host(*reach, subnet(order))).collect();
        if let Some(Cloud::Ec2(metadata)) = &order.cloud {
            services.push(match metadata {
                Metadata::Own { user_data, fault } => {
                    let (architecture, user_data) = (self.architecture, user_data.clone());
                    let instance = ec2::Instance { architecture, user_data, fault: *fault };
                    Service::metadata(ec2::Server::new(instance))
                }
                Metadata::Port(port) => Service::metadata_of(*port),
            });
        }
        services
    }
}

/// The network of the machine.
fn subnet(order: &BootOrder) -> &'static subnet::Subnet {
    if matches!(order.cloud, Some(Cloud::Ec2(_))) { &ec2::SUBNET } else { &subnet::PRIVATE }
}

/// Opens the sockets at which the machine is answered.
fn open(services: Vec<Service>, workplace: &Workplace) -> Result<Vec<Door>, BootError> {
    let open = |(number, service): (usize, Service)| service.open(workplace.path(), &format!("service-{number}"));
    let doors = services.into_iter().enumerate().map(open).collect::<io::Result<_>>();
    doors.map_err(|source| BootError::Workplace(source.into()))
}

/// The socket that the machine's door is behind. A socket is connected to as a file is written.
fn door_bind(keeper: &Keeper) -> Bind {
    Bind { from: keeper.path.clone(), to: qemu::DOOR.to_owned(), access: Access::Read }
}

/// Everything of the host that a machine sees.
fn binds(
    order: &BootOrder,
    own: &Own,
    workplace: &Workplace,
    credentials: &[String],
    doors: &[Door],
    accelerator: Accelerator,
) -> Result<Vec<Bind>, BootError> {
    let bind = |from: &Path, to: &str, access| Bind { from: from.to_owned(), to: to.to_owned(), access };
    let mut binds =
        vec![bind(&own.disk, qemu::OWN_DISK, Access::Write), bind(&own.variables, qemu::OWN_VARIABLES, Access::Write)];
    binds.extend(own.data.as_ref().map(|data| bind(data, qemu::DATA_DISK, Access::Write)));
    for (number, path) in order.disks.iter().enumerate() {
        let refused = |source| BootError::Disk { path: path.clone(), source };
        // Opened here, so that the error names the file and not a place in the sandbox.
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(refused)?;
        if metadata.is_dir() {
            return Err(refused(io::ErrorKind::IsADirectory.into()));
        }
        binds.push(bind(path, &qemu::disk(number), Access::Read));
    }
    for (number, mebibytes) in order.instance_disks.iter().enumerate() {
        let path = workplace
            .make_disk(&format!("instance-disk-{number}"), u64::from(*mebibytes) << 20)
            .map_err(|source| BootError::Workplace(source.into()))?;
        binds.push(bind(&path, &qemu::instance_disk(number), Access::Write));
    }
    if let Some(Cloud::NoCloud { user_data }) = &order.cloud {
        let disk = nocloud::disk(workplace, user_data)?;
        binds.push(bind(&disk, &qemu::disk(order.disks.len()), Access::Read));
    }
    for (number, string) in credentials.iter().enumerate() {
        let path = workplace
            .write_secret(&format!("credential-{number}"), string.as_bytes())
            .map_err(|source| BootError::Workplace(source.into()))?;
        binds.push(bind(&path, &qemu::credential(number), Access::Read));
    }
    for (number, door) in doors.iter().enumerate() {
        binds.push(bind(&door.path, &qemu::service(number), Access::Read));
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
