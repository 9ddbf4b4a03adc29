//! The steps of a boot, in their order.

use std::{ffi::OsString, io};

use brc_contract::{
    command_line::VerityTable,
    initramfs::{MODULES, ModuleOrder, ModuleOrderError, ORDER},
};
use brc_linux::{FileError, block_device::DeviceNumber, device_mapper::DeviceMapperError, mapped_target::MappedTarget};

use crate::{
    command_line::{CommandLineError, FILE_SYSTEM, WantedRoot},
    machine::{KernelFileSystem, Machine, ModuleError, StatusError},
    partition::{self, PartitionError, Partitions},
};

/// Where the kernel shows its command line.
pub const COMMAND_LINE: &str = "/proc/cmdline";
/// The bytes that are read to know whether the root hash fits: the first block, where the file system says what it is.
const BLOCK: usize = 4096;
/// What the kernel may be told to do instead of letting a read of a damaged block fail.
const DRASTIC: [&str; 2] = ["restart_on_corruption", "panic_on_corruption"];

/// A boot that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: BootError,
    /// The kernel's command line, as far as it was read by then; later it may be where nobody reads it.
    pub command_line: String,
}

/// Boots into the root that the command line names; returns only when that fails. `arguments` are those for its init,
/// without the name of the program.
pub fn boot(machine: &mut impl Machine, arguments: &[OsString]) -> Failed {
    let mut command_line = String::new();
    let error = match enter(machine, &mut command_line) {
        Ok(init) => {
            let source = machine.execute(&init, arguments);
            BootError::Execute { init, source }
        }
        Err(error) => error,
    };
    Failed { error, command_line }
}

/// Everything up to the root's init, which is given.
fn enter(machine: &mut impl Machine, command_line: &mut String) -> Result<String, BootError> {
    for file_system in KernelFileSystem::ALL {
        machine.mount(file_system).map_err(|source| BootError::Mount { file_system, source })?;
    }
    *command_line = machine.text(COMMAND_LINE).map_err(BootError::File)?;
    let wanted = WantedRoot::of(command_line)?;
    let modules = load_modules(machine)?;
    let partitions = partition::wait(machine, &wanted)?;
    let device = map(machine, &wanted, &partitions)?;
    let mounted = machine.mount_root(&device, FILE_SYSTEM, &wanted.root_flags);
    mounted.map_err(|source| BootError::MountRoot { device, source })?;
    let init = wanted.init;
    machine.find_program(&init).map_err(|source| BootError::NoInit { init: init.clone(), source })?;
    let milliseconds = machine.elapsed().as_millis();
    machine.note(&format!(
        "{modules} modules, root on `{}`, verified by `{}`, after {milliseconds} ms",
        partitions.data.name, partitions.hash.name
    ));
    for file_system in KernelFileSystem::ALL {
        machine.hand_over(file_system).map_err(|source| BootError::HandOver { file_system, source })?;
    }
    machine.free_initramfs().map_err(|source| BootError::Free { source })?;
    machine.enter_root().map_err(|source| BootError::EnterRoot { source })?;
    Ok(init)
}

/// Loads the modules of the initramfs; how many there are.
fn load_modules(machine: &mut impl Machine) -> Result<usize, BootError> {
    let text = machine.text(ORDER).map_err(BootError::File)?;
    let order = ModuleOrder::parse(&text).map_err(|source| BootError::Order { source })?;
    for file in order.files() {
        match machine.load_module(&format!("{MODULES}/{file}")) {
            // Another one has asked for it.
            Err(ModuleError::Refused(error)) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // One image starts on many machines. What this one cannot do without is missed when it is looked for.
            Err(ModuleError::NoDevice) => machine.note(&format!("module `{file}` finds nothing here that it is for")),
            done => done.map_err(|source| BootError::Module { file: file.clone(), source })?,
        }
    }
    Ok(order.files().len())
}

/// Makes the verified device; where it is.
///
/// With `restart_on_corruption` the kernel would start the machine again at the first block that a wrong root hash
/// does not fit, over and over, and nothing would say why. So one block is read before that is in force.
fn map(machine: &mut impl Machine, wanted: &WantedRoot, partitions: &Partitions) -> Result<String, BootError> {
    let device = machine.create_device(&wanted.device.name)?;
    let path = format!("/dev/dm-{}", device.minor);
    if path != wanted.root {
        return Err(BootError::OtherRoot { wanted: wanted.root.clone(), made: path });
    }
    let table = VerityTable {
        data_device: partitions.data.number.to_string(),
        hash_device: partitions.hash.number.to_string(),
        ..wanted.device.table.clone()
    };
    let is_drastic = |option: &String| DRASTIC.contains(&option.as_str());
    let mut mild = table.clone();
    mild.options.retain(|option| !is_drastic(option));
    machine.set_table(device, &target(&mild))?;
    if let Err(source) = machine.bytes_at(&path, 0, BLOCK) {
        return Err(match is_corrupted(machine, device)? {
            true => BootError::RootHash { root_hash: table.root_hash, partitions: Box::new(partitions.clone()) },
            false => BootError::Read { path, source },
        });
    }
    if mild != table {
        machine.set_table(device, &target(&table))?;
    }
    Ok(path)
}

fn target(table: &VerityTable) -> MappedTarget {
    MappedTarget { start: 0, sectors: table.sectors, kind: "verity".to_owned(), parameters: table.parameters() }
}

/// Whether a block of a device was not what it must be.
fn is_corrupted(machine: &mut impl Machine, device: DeviceNumber) -> Result<bool, BootError> {
    let status = machine.status(device)?;
    Ok(status.iter().any(|target| target.parameters.starts_with('C')))
}

/// The root's init does not run.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file system of the kernel's own.
    #[error("`{}` cannot be mounted on `{}`", file_system.name(), file_system.folder())]
    Mount { file_system: KernelFileSystem, source: io::Error },
    /// A file of the kernel's, or of the initramfs.
    #[error(transparent)]
    File(FileError),
    /// What the kernel was started with.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// The list of modules.
    #[error("`{ORDER}` of the initramfs is not what brc writes")]
    Order { source: ModuleOrderError },
    /// One module.
    #[error("module `{file}`, which `{ORDER}` of the initramfs names, is not loaded")]
    Module { file: String, source: ModuleError },
    /// The disk.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The verified device is not made.
    #[error("the verified root cannot be set up")]
    DeviceMapper(#[from] DeviceMapperError),
    /// What it is like is not known.
    #[error("whether the root is damaged is not known")]
    Status(#[from] StatusError),
    /// Another device than the verified one is wanted.
    #[error("the kernel command line has `root={wanted}`: expected `{made}`, the only device that is verified")]
    OtherRoot { wanted: String, made: String },
    /// The root is not the one that the command line names.
    #[error(
        "the root on `{}` is not the one of the kernel command line: with the hash tree on `{}` its first block does \
         not come to the root hash `{root_hash}`; compose the image again, or write it to the disk again",
        partitions.data.name, partitions.hash.name
    )]
    RootHash { root_hash: String, partitions: Box<Partitions> },
    /// The disk gives no data.
    #[error("the first block of the root cannot be read from `{path}`")]
    Read { path: String, source: io::Error },
    /// The root's file system.
    #[error("the root on `{device}` cannot be mounted as `{FILE_SYSTEM}`")]
    MountRoot { device: String, source: io::Error },
    /// The root lacks what is to be executed.
    #[error("the root has no program `{init}` to go on with: look at `init=` of the kernel command line")]
    NoInit { init: String, source: io::Error },
    /// The root lacks a folder.
    #[error("`{}` cannot be moved into the root: it needs an empty folder `{}`", file_system.name(), file_system.folder())]
    HandOver { file_system: KernelFileSystem, source: io::Error },
    /// The memory of the initramfs.
    #[error("the files of the initramfs cannot be deleted")]
    Free { source: io::Error },
    /// The last step before the init.
    #[error("the root cannot take the place of the initramfs")]
    EnterRoot { source: io::Error },
    /// The init.
    #[error("`{init}` of the root cannot be executed; does it need an interpreter that the root lacks?")]
    Execute { init: String, source: io::Error },
}

#[cfg(test)]
#[path = "boot_tests.rs"]
mod tests;
