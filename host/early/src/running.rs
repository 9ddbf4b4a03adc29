//! The machine that runs: every system call of this program.

use std::{
    ffi::{CString, OsString},
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
    thread,
    time::{Duration, Instant},
};

use brc_contract::initramfs::{MAX_FIRMWARE_DEPTH, MAX_ORDER_BYTES};
use brc_linux::{
    FileError, Files,
    block_device::DeviceNumber,
    device_mapper::{self, DeviceMapperError, Question},
    mapped_target::{MappedTarget, targets},
};
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat, openat2, unlinkat},
    io::Errno,
    mount::{MountFlags, mount, mount_move},
    process::{chdir, chroot},
    system::finit_module,
};

use crate::machine::{KernelFileSystem, Machine, ModuleError, ROOT, StatusError};

/// The file systems that an initramfs can be (`f_type` of statfs(2)); nothing is deleted from any other.
const IN_MEMORY: [u32; 2] = [0x8584_58f6, 0x0102_1994];
/// The deepest folder of an initramfs: above that of firmware are two more.
const MAX_DEPTH: usize = MAX_FIRMWARE_DEPTH + 3;
/// The most block devices: a network of disks shows each of them on several ways.
const MAX_DEVICES: usize = 1 << 16;
/// The levels of the kernel's log: for who looks there, and for everybody who looks at the console.
const NOTE: u8 = 6;
const ALERT: u8 = 1;

/// The machine that this program runs on.
#[derive(Debug)]
pub struct Running {
    files: Files,
    start: Instant,
    /// The kernel's log, open from its first line on: `/dev` goes over to the root.
    log: Option<File>,
}

impl Running {
    /// The machine, from now on.
    #[expect(clippy::disallowed_methods, reason = "it waits with a limit")]
    pub fn starts() -> Self {
        Running { files: Files::below("/"), start: Instant::now(), log: None }
    }

    /// Writes a line into the kernel's log, which shows it on its consoles; the firmware may keep it with the panic.
    ///
    /// # Errors
    /// When there is no log, because there are no device nodes yet.
    pub fn alert(&mut self, line: &str) -> io::Result<()> {
        self.log(ALERT, line)
    }

    fn log(&mut self, level: u8, line: &str) -> io::Result<()> {
        // One write is one line of the log.
        self.open_log()?.write_all(format!("<{level}>brc-early: {line}\n").as_bytes())
    }

    fn open_log(&mut self) -> io::Result<&mut File> {
        let opened = match self.log.take() {
            Some(file) => file,
            None => File::options().write(true).open("/dev/kmsg")?,
        };
        Ok(self.log.insert(opened))
    }
}

impl Machine for Running {
    fn text(&mut self, path: &str) -> Result<String, FileError> {
        self.files.text(path, MAX_ORDER_BYTES)
    }

    fn names(&mut self, folder: &str) -> Result<Vec<String>, FileError> {
        self.files.names(folder, MAX_DEVICES)
    }

    fn bytes_at(&mut self, path: &str, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn elapsed(&mut self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "a disk says nothing when it appears but to who listens to all")]
    fn pause(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn note(&mut self, line: &str) {
        // Nothing hangs on it.
        let _ = self.log(NOTE, line);
    }

    fn mount(&mut self, file_system: KernelFileSystem) -> io::Result<()> {
        // As systemd mounts them when it finds them missing.
        let (flags, options) = match file_system {
            KernelFileSystem::Devices => (MountFlags::NOSUID | MountFlags::STRICTATIME, c"mode=0755"),
            KernelFileSystem::Processes | KernelFileSystem::System => {
                (MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, c"")
            }
        };
        fs::create_dir_all(file_system.folder())?;
        Ok(mount(file_system.name(), file_system.folder(), file_system.name(), flags, options)?)
    }

    fn load_module(&mut self, path: &str) -> Result<(), ModuleError> {
        let file = File::open(path).map_err(ModuleError::Open)?;
        finit_module(file, c"", 0).map_err(|error| match error {
            Errno::NODEV => ModuleError::NoDevice,
            error => ModuleError::Refused(error.into()),
        })
    }

    fn create_device(&mut self, name: &str) -> Result<DeviceNumber, DeviceMapperError> {
        device_mapper::create(name)
    }

    fn set_table(&mut self, device: DeviceNumber, target: &MappedTarget) -> Result<(), DeviceMapperError> {
        device_mapper::load(device, target)?;
        device_mapper::activate(device)
    }

    fn status(&mut self, device: DeviceNumber) -> Result<Vec<MappedTarget>, StatusError> {
        Ok(targets(&device_mapper::ask(device, Question::Status)?)?)
    }

    fn mount_root(&mut self, device: &str, file_system: &str, options: &str) -> io::Result<()> {
        fs::create_dir_all(ROOT)?;
        let options = CString::new(options)?;
        Ok(mount(device, ROOT, file_system, MountFlags::RDONLY, options.as_c_str())?)
    }

    fn find_program(&mut self, path: &str) -> io::Result<()> {
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(ROOT, folder, Mode::empty())?;
        let file = openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)?;
        let mode = fstat(file)?.st_mode;
        let is_program = FileType::from_raw_mode(mode).is_file() && mode & 0o111 != 0;
        is_program.then_some(()).ok_or_else(|| Errno::ACCESS.into())
    }

    fn hand_over(&mut self, file_system: KernelFileSystem) -> io::Result<()> {
        Ok(mount_move(file_system.folder(), format!("{ROOT}{}", file_system.folder()))?)
    }

    fn free_initramfs(&mut self) -> io::Result<()> {
        let root = folder(CWD, "/")?;
        if !IN_MEMORY.contains(&(fstatfs(&root)?.f_type as u32)) {
            return Err(Errno::PERM.into());
        }
        let device = fstat(&root)?.st_dev;
        Ok(delete_below(root, device, MAX_DEPTH)?)
    }

    fn enter_root(&mut self) -> io::Result<()> {
        chdir(ROOT)?;
        mount_move(".", "/")?;
        chroot(".")?;
        Ok(chdir("/")?)
    }

    #[expect(clippy::disallowed_methods, reason = "it becomes the program that it starts")]
    fn execute(&mut self, path: &str, arguments: &[OsString]) -> io::Error {
        Command::new(path).args(arguments).exec()
    }
}

fn folder(at: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Deletes what is in a folder and on `device`, and what becomes empty by it.
fn delete_below(from: OwnedFd, device: u64, depth: usize) -> Result<(), Errno> {
    let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    for entry in Dir::read_from(&from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match folder(from.as_fd(), name) {
            Ok(below) if fstat(&below)?.st_dev == device => {
                delete_below(below, device, depth)?;
                unlinkat(&from, name, AtFlags::REMOVEDIR)?;
            }
            // Another file system: the root.
            Ok(_) => {}
            Err(Errno::NOTDIR | Errno::LOOP) => unlinkat(&from, name, AtFlags::empty())?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
