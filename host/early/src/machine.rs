//! What is asked of the machine: the port between the steps of a boot and the system calls.

use core::time::Duration;
use std::{ffi::OsString, io};

use brc_linux::{
    FileError,
    block_device::DeviceNumber,
    device_mapper::DeviceMapperError,
    mapped_target::{AnswerError, MappedTarget},
};

/// Where the root is mounted before it becomes `/`.
pub const ROOT: &str = "/root";

/// A file system of the kernel's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelFileSystem {
    /// The device nodes.
    Devices,
    /// The processes, the command line.
    Processes,
    /// The devices as the kernel sees them.
    System,
}

impl KernelFileSystem {
    /// All, in the order in which they are mounted.
    pub const ALL: [Self; 3] = [KernelFileSystem::Devices, KernelFileSystem::Processes, KernelFileSystem::System];

    /// What the kernel calls it.
    pub const fn name(self) -> &'static str {
        match self {
            KernelFileSystem::Devices => "devtmpfs",
            KernelFileSystem::Processes => "proc",
            KernelFileSystem::System => "sysfs",
        }
    }

    /// The folder that it is mounted on.
    pub const fn folder(self) -> &'static str {
        match self {
            KernelFileSystem::Devices => "/dev",
            KernelFileSystem::Processes => "/proc",
            KernelFileSystem::System => "/sys",
        }
    }
}

/// The machine that boots.
pub trait Machine {
    /// The text of a file of the kernel's or of the initramfs.
    ///
    /// # Errors
    /// When it cannot be read, is too long or is not UTF-8.
    fn text(&mut self, path: &str) -> Result<String, FileError>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// When it cannot be read or has too many.
    fn names(&mut self, folder: &str) -> Result<Vec<String>, FileError>;

    /// `length` bytes of a device from byte `at` on.
    ///
    /// # Errors
    /// When they cannot be read, or the device ends before.
    fn bytes_at(&mut self, path: &str, at: u64, length: usize) -> io::Result<Vec<u8>>;

    /// The time since the start.
    fn elapsed(&mut self) -> Duration;

    /// Waits.
    fn pause(&mut self, time: Duration);

    /// Writes a line into the kernel's log, where it is seen only by who looks.
    fn note(&mut self, line: &str);

    /// Mounts a file system of the kernel's own on its folder, which is made.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn mount(&mut self, file_system: KernelFileSystem) -> io::Result<()>;

    /// Loads a module of the initramfs.
    ///
    /// # Errors
    /// When it is not there, or the kernel refuses it; one that is loaded already is refused too.
    fn load_module(&mut self, path: &str) -> Result<(), ModuleError>;

    /// [`brc_linux::device_mapper::create`].
    ///
    /// # Errors
    /// The same.
    fn create_device(&mut self, name: &str) -> Result<DeviceNumber, DeviceMapperError>;

    /// [`brc_linux::device_mapper::load`] and [`brc_linux::device_mapper::activate`].
    ///
    /// # Errors
    /// The same.
    fn set_table(&mut self, device: DeviceNumber, target: &MappedTarget) -> Result<(), DeviceMapperError>;

    /// How the targets of a device do.
    ///
    /// # Errors
    /// When device-mapper says nothing that is understood.
    fn status(&mut self, device: DeviceNumber) -> Result<Vec<MappedTarget>, StatusError>;

    /// Mounts the root's file system read-only on [`ROOT`], which is made.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn mount_root(&mut self, device: &str, file_system: &str, options: &str) -> io::Result<()>;

    /// Looks for a program in the root; links lead to where they will lead when [`ROOT`] is `/`.
    ///
    /// # Errors
    /// When it is not there, or is no file that may be executed.
    fn find_program(&mut self, path: &str) -> io::Result<()>;

    /// Moves a file system of the kernel's own into the root.
    ///
    /// # Errors
    /// When the root has no folder for it.
    fn hand_over(&mut self, file_system: KernelFileSystem) -> io::Result<()>;

    /// Deletes all files of the initramfs, which are memory, and no other.
    ///
    /// # Errors
    /// When `/` is no initramfs, or something cannot be deleted.
    fn free_initramfs(&mut self) -> io::Result<()>;

    /// Makes [`ROOT`] the `/` of this process, and of all that come after it.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn enter_root(&mut self) -> io::Result<()>;

    /// Executes a program in place of this one, with its path as the first argument, the environment and the consoles
    /// as they were given. Returns only when that fails.
    fn execute(&mut self, path: &str, arguments: &[OsString]) -> io::Error;
}

/// A module is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Its file cannot be opened.
    #[error("its file cannot be opened")]
    Open(#[source] io::Error),
    /// There is nothing here that it is for: no such device, processor or hypervisor.
    #[error("it finds nothing here that it is for")]
    NoDevice,
    /// The kernel does not take it.
    #[error("the kernel refuses it, and may have said why above")]
    Refused(#[source] io::Error),
}

/// How a device does is not known.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Device-mapper says nothing.
    #[error(transparent)]
    Ask(#[from] DeviceMapperError),
    /// It says nothing that is understood.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}
