//! The virtual machine as QEMU's command line says it.
//!
//! Every path in it is a fixed one inside the sandbox, so no text of a user is ever read by QEMU's option parser
//! but numbers and addresses.

use std::net::SocketAddrV4;

use brc_contract::{Architecture, door};

use super::{forward::Forward, order::Restart, subnet::Subnet};

/// How a machine's processors are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    /// By the host's processor.
    Kvm,
    /// By translating instructions.
    Tcg,
}

/// What of a tool set makes a machine of one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model {
    /// QEMU.
    pub program: &'static str,
    /// The firmware's code.
    pub firmware: &'static str,
    /// The firmware's variables as it is delivered.
    pub variables: &'static str,
    /// The packages that bring them, for a message.
    pub packages: &'static str,
    /// The kind of machine.
    machine: &'static [&'static str],
    /// The processor that is emulated.
    processor: &'static str,
}

/// The machine of an architecture.
pub(super) const fn model(architecture: Architecture) -> Model {
    match architecture {
        Architecture::X86_64 => Model {
            program: "usr/bin/qemu-system-x86_64",
            firmware: "usr/share/OVMF/OVMF_CODE_4M.fd",
            variables: "usr/share/OVMF/OVMF_VARS_4M.fd",
            packages: "`qemu-system-x86` and `ovmf`",
            // Otherwise it asks for a ROM that only a BIOS needs.
            machine: &["-machine", "q35", "-global", "apic-common.vapic=off"],
            processor: "max",
        },
        Architecture::Aarch64 => Model {
            program: "usr/bin/qemu-system-aarch64",
            firmware: "usr/share/AAVMF/AAVMF_CODE.no-secboot.fd",
            variables: "usr/share/AAVMF/AAVMF_VARS.fd",
            packages: "`qemu-system-arm` and `qemu-efi-aarch64`",
            machine: &["-machine", "virt"],
            // Emulating the pointer authentication of newer ones costs more than all else.
            processor: "cortex-a72",
        },
    }
}

/// The machine's disk, inside the sandbox.
pub(super) const OWN_DISK: &str = "machine/disk";
/// The disk of its data, inside the sandbox.
pub(super) const DATA_DISK: &str = "machine/data-disk";
/// The variables of its firmware.
pub(super) const OWN_VARIABLES: &str = "machine/variables";

/// The machine's identity, from which systemd makes the machine-id (`systemd.machine_id=firmware`). The same for
/// every machine: a kept one must know itself again wherever its disk lies.
pub(super) const UUID: &str = "3b8f8425-20e0-4f3b-907f-1a25a76f98e8";
/// The machine's processors.
const PROCESSORS: u32 = 2;

/// A machine.
#[derive(Debug)]
pub(super) struct Hardware<'a> {
    /// Its architecture.
    pub architecture: Architecture,
    /// How its processors are made.
    pub accelerator: Accelerator,
    /// Its memory in MiB.
    pub memory_mib: u32,
    /// Its own disk.
    pub disk: Durability,
    /// Whether its data lies on a second one.
    pub has_data_disk: bool,
    /// What they are to the machine.
    pub bus: Bus,
    /// The number of further disks.
    pub disks: usize,
    /// So many disks of an instance.
    pub instance_disks: usize,
    /// The number of credentials.
    pub credentials: usize,
    /// Ports that lead to it.
    pub forwards: &'a [Forward],
    /// Where it finds what answers it.
    pub services: &'a [SocketAddrV4],
    /// Its network, if anything leads to it or answers it.
    pub subnet: &'static Subnet,
    /// Its identity.
    pub uuid: &'static str,
    /// What else the firmware's tables say of it: constants alone.
    pub tables: &'a [String],
    /// Whether it has a door.
    pub has_door: bool,
    /// Whether it has a watchdog.
    pub has_watchdog: bool,
    /// What happens when it resets itself.
    pub restart: Restart,
}

/// What a machine's own disk is to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bus {
    /// A disk of QEMU's own kind.
    Virtio,
    /// An NVMe device, as EC2 has it.
    Nvme,
}

/// What becomes of a machine's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// There is none.
    NoDisk,
    /// It is thrown away: nothing need reach the host's disk.
    Transient,
    /// It is used again: what the machine flushes is flushed.
    Durable,
}

/// Where the further disk with this number is, inside the sandbox.
pub(super) fn disk(number: usize) -> String {
    format!("machine/disk-{number}")
}

/// Where the disk of an instance with this number is, inside the sandbox.
pub(super) fn instance_disk(number: usize) -> String {
    format!("machine/instance-disk-{number}")
}

/// Where the credential with this number is, inside the sandbox.
pub(super) fn credential(number: usize) -> String {
    format!("machine/credential-{number}")
}

/// Where the socket of the service with this number is, inside the sandbox.
pub(super) fn service(number: usize) -> String {
    format!("machine/service-{number}")
}

/// Where the socket is that stands before the machine's door, inside the sandbox.
pub(super) const DOOR: &str = "machine/door";

/// Joins a connection of the machine's to the socket of what answers it. `-N`: the end of what one says is told to the
/// other.
pub(super) const CONNECTOR: &str = "usr/bin/nc.openbsd";

/// What leads to a machine and what answers it: nothing else of the network is there (`restrict`).
fn network(hardware: &Hardware<'_>) -> Option<[String; 2]> {
    if hardware.forwards.is_empty() && hardware.services.is_empty() {
        return None;
    }
    let forward = |forward: &Forward| format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest);
    let forwards: String = hardware.forwards.iter().map(forward).collect();
    let answer = |(number, at): (usize, &SocketAddrV4)| {
        format!(",guestfwd=tcp:{at}-cmd:/{CONNECTOR} -N -U /{}", service(number))
    };
    let services: String = hardware.services.iter().enumerate().map(answer).collect();
    let Subnet { options, mac, .. } = hardware.subnet;
    Some([
        format!("user,id=net,restrict=on{options}{forwards}{services}"),
        format!("virtio-net-pci,netdev=net,mac={mac},romfile="),
    ])
}

/// The program and its arguments.
pub(super) fn command(hardware: &Hardware<'_>) -> Vec<String> {
    let model = model(hardware.architecture);
    let (accelerator, processor) = match hardware.accelerator {
        Accelerator::Kvm => ("kvm", "host"),
        Accelerator::Tcg => ("tcg,thread=multi", model.processor),
    };
    let (memory, processors) = (hardware.memory_mib.to_string(), PROCESSORS.to_string());
    let firmware = format!("if=pflash,unit=0,format=raw,readonly=on,file=/{}", model.firmware);
    let variables = format!("if=pflash,unit=1,format=raw,file=/{OWN_VARIABLES}");
    let mut words: Vec<String> = vec![format!("/{}", model.program)];
    let mut say = |option: &[&str]| words.extend(option.iter().map(|word| (*word).to_owned()));
    say(&["-nodefaults", "-no-user-config", "-display", "none"]);
    say(model.machine);
    say(&["-accel", accelerator, "-cpu", processor, "-smp", &processors, "-m", &memory, "-uuid", hardware.uuid]);
    say(&["-drive", &firmware, "-drive", &variables]);
    if hardware.restart == Restart::End {
        say(&["-no-reboot"]);
    }
    let cache = if hardware.disk == Durability::Durable { "writeback" } else { "unsafe" };
    if hardware.disk != Durability::NoDisk {
        say(&["-drive", &format!("if=none,id=own,format=raw,discard=unmap,cache={cache},file=/{OWN_DISK}")]);
        say(match hardware.bus {
            Bus::Virtio => &["-device", "virtio-blk-pci,drive=own,bootindex=0"],
            Bus::Nvme => &["-device", "nvme,drive=own,serial=vol00000000000000001,bootindex=0"],
        });
    }
    if hardware.has_data_disk {
        say(&["-drive", &format!("if=none,id=data,format=raw,discard=unmap,cache={cache},file=/{DATA_DISK}")]);
        say(match hardware.bus {
            Bus::Virtio => &["-device", "virtio-blk-pci,drive=data"],
            Bus::Nvme => &["-device", "nvme,drive=data,serial=vol00000000000000002"],
        });
    }
    for number in 0..hardware.disks {
        let file = disk(number);
        say(&["-drive", &format!("if=none,id=disk{number},format=raw,readonly=on,file=/{file}")]);
        say(&["-device", &format!("virtio-blk-pci,drive=disk{number}")]);
    }
    for number in 0..hardware.instance_disks {
        let (file, id) = (instance_disk(number), format!("instance{number}"));
        say(&["-drive", &format!("if=none,id={id},format=raw,discard=unmap,cache=unsafe,file=/{file}")]);
        say(&["-device", &format!("nvme,drive={id},serial=AWS{number:017}")]);
    }
    if let Some([network, device]) = network(hardware) {
        say(&["-netdev", &network, "-device", &device]);
    }
    for table in hardware.tables {
        say(&["-smbios", table]);
    }
    for number in 0..hardware.credentials {
        // By file: a command line can be read by everybody on the host.
        say(&["-smbios", &format!("type=11,path=/{}", credential(number))]);
    }
    if hardware.has_door {
        say(&["-chardev", &format!("socket,id=door,path=/{DOOR}"), "-device", "virtio-serial-pci"]);
        say(&["-device", &format!("virtserialport,chardev=door,name={}", door::NAME)]);
    }
    if hardware.has_watchdog {
        say(&["-device", "i6300esb", "-action", "watchdog=reset"]);
    }
    say(&["-device", "virtio-rng-pci", "-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial"]);
    words
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ec2, subnet::PRIVATE},
        *,
    };

    const SMALLEST: Hardware<'static> = Hardware {
        architecture: Architecture::X86_64,
        accelerator: Accelerator::Tcg,
        memory_mib: 2048,
        disk: Durability::Transient,
        has_data_disk: false,
        bus: Bus::Virtio,
        disks: 0,
        instance_disks: 0,
        has_watchdog: false,
        credentials: 0,
        forwards: &[],
        services: &[],
        subnet: &PRIVATE,
        uuid: UUID,
        tables: &[],
        has_door: false,
        restart: Restart::Follow,
    };

    #[test]
    fn the_smallest_machine_is_emulated_and_has_no_network() {
        let expected = "/usr/bin/qemu-system-x86_64 -nodefaults -no-user-config -display none -machine q35 \
            -global apic-common.vapic=off -accel tcg,thread=multi -cpu max -smp 2 -m 2048 \
            -uuid 3b8f8425-20e0-4f3b-907f-1a25a76f98e8 \
            -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
            -drive if=pflash,unit=1,format=raw,file=/machine/variables \
            -drive if=none,id=own,format=raw,discard=unmap,cache=unsafe,file=/machine/disk \
            -device virtio-blk-pci,drive=own,bootindex=0 \
            -device virtio-rng-pci -chardev stdio,id=serial,signal=off -serial chardev:serial";
        assert_eq!(command(&SMALLEST).join(" "), expected);
    }

    #[test]
    fn a_machine_of_the_other_architecture_has_its_own_firmware() {
        let command = command(&Hardware { architecture: Architecture::Aarch64, ..SMALLEST }).join(" ");
        assert!(command.starts_with("/usr/bin/qemu-system-aarch64 -nodefaults"), "{command}");
        assert!(command.contains("-machine virt -accel tcg,thread=multi -cpu cortex-a72 "), "{command}");
        assert!(command.contains("file=/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd "), "{command}");
    }

    #[test]
    fn every_part_of_an_order_is_in_the_machine() {
        let forwards = [Forward { host: 8080, guest: 80 }, Forward { host: 2222, guest: 22 }];
        let command = command(&Hardware {
            architecture: Architecture::X86_64,
            accelerator: Accelerator::Kvm,
            memory_mib: 512,
            disk: Durability::Durable,
            bus: Bus::Nvme,
            disks: 2,
            instance_disks: 1,
            has_watchdog: true,
            credentials: 2,
            has_door: true,
            forwards: &forwards,
            restart: Restart::End,
            ..SMALLEST
        })
        .join(" ");
        for part in [
            "-accel kvm -cpu host -smp 2 -m 512",
            "-no-reboot",
            "cache=writeback,file=/machine/disk -device nvme,drive=own,serial=vol00000000000000001,bootindex=0 ",
            "id=disk0,format=raw,readonly=on,file=/machine/disk-0 -device virtio-blk-pci,drive=disk0 ",
            "id=disk1,format=raw,readonly=on,file=/machine/disk-1 -device virtio-blk-pci,drive=disk1 ",
            "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:2222-:22 \
             -device virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile= ",
            "id=instance0,format=raw,discard=unmap,cache=unsafe,file=/machine/instance-disk-0 \
             -device nvme,drive=instance0,serial=AWS00000000000000000 ",
            "-chardev socket,id=door,path=/machine/door -device virtio-serial-pci \
             -device virtserialport,chardev=door,name=brc.door ",
            "-device i6300esb -action watchdog=reset ",
            "-smbios type=11,path=/machine/credential-0 -smbios type=11,path=/machine/credential-1 ",
        ] {
            assert!(command.contains(part), "{part}: {command}");
        }
    }

    #[test]
    fn what_answers_a_machine_is_behind_sockets_that_its_sandbox_shows() {
        let services = ["10.0.2.100:80", "10.0.2.100:65535"].map(|at| at.parse().unwrap());
        let command = command(&Hardware { services: &services, ..SMALLEST });
        let at = command.iter().position(|word| word == "-netdev").unwrap();
        let expected = "user,id=net,restrict=on\
            ,guestfwd=tcp:10.0.2.100:80-cmd:/usr/bin/nc.openbsd -N -U /machine/service-0\
            ,guestfwd=tcp:10.0.2.100:65535-cmd:/usr/bin/nc.openbsd -N -U /machine/service-1";
        assert_eq!(command[at + 1], expected);
        assert_eq!(command[at + 3], "virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile=");
    }

    #[test]
    fn an_instance_has_the_network_and_the_tables_of_its_cloud() {
        let tables = ec2::tables(Architecture::X86_64);
        let command = command(&Hardware {
            services: &[ec2::SERVICE],
            subnet: &ec2::SUBNET,
            uuid: ec2::UUID,
            tables: &tables,
            ..SMALLEST
        });
        let network = "user,id=net,restrict=on,net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,\
            dhcpstart=169.254.0.15,guestfwd=tcp:169.254.169.254:80-cmd:/usr/bin/nc.openbsd -N -U /machine/service-0";
        assert!(command.iter().any(|word| word == network), "{command:?}");
        let said = command.join(" ");
        for part in [
            "-uuid ec2b8f84-25e0-4f3b-907f-1a25a76f98e8 ",
            "-smbios type=1,manufacturer=Amazon EC2,product=m7i.large,serial=ec2b8f84-25e0-4f3b-907f-1a25a76f98e8 ",
            "-smbios type=2,manufacturer=Amazon EC2,asset=i-0b8f842520e04f3b9 ",
            "mac=0e:1a:25:a7:6f:98,",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(command.iter().filter(|word| *word == "-smbios").count(), 4);
    }
}
