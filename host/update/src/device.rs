//! The disk of the running machine.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::FileExt as _,
    path::PathBuf,
};

use brc_agent::disk::RootDisk;
use brc_contract::{
    gpt::{self, Copies},
    update::EspStep,
    well_known,
};
use rustix::fs::{Advice, IFlags};

use crate::apply::Target;

/// How much is written together.
const PIECE: usize = 1 << 20;
/// Where the loader's variables are, and their vendor (systemd, Boot Loader Interface).
const VARIABLES: &str = "/sys/firmware/efi/efivars";
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// What chooses an entry over the newest one.
const CHOICES: [&str; 3] = ["LoaderEntryDefault", "LoaderEntryOneShot", "LoaderEntryPreferred"];

/// The disk of the running machine, and the ESP that it was started from.
#[derive(Debug)]
pub struct Device {
    disk: RootDisk,
    file: File,
    folder: PathBuf,
}

impl Device {
    /// Opens the disk for reading and writing.
    ///
    /// # Errors
    /// When it may not be.
    pub fn open(disk: RootDisk) -> Result<Self, DeviceError> {
        let path = PathBuf::from("/dev").join(&disk.name);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(|source| DeviceError::Open { path, source })?;
        Ok(Device { disk, file, folder: PathBuf::from(well_known::ESP_MOUNT).join(well_known::UKI_FOLDER) })
    }

    /// Reads both copies of the partition table.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn copies(&self) -> Result<Copies, DeviceError> {
        let failed = |source| DeviceError::Read { path: PathBuf::from("/dev").join(&self.disk.name), source };
        Copies::read(self.disk.size, |sector, bytes| {
            let mut read = vec![0; bytes];
            self.file.read_exact_at(&mut read, self.offset(sector)).map(|()| read)
        })
        .map_err(failed)
    }

    /// The names in the folder of kernel images.
    ///
    /// # Errors
    /// When the ESP cannot be read.
    pub fn names(&self) -> Result<Vec<String>, DeviceError> {
        let failed = |source| DeviceError::Read { path: self.folder.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// The bytes that the ESP has room for.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn room(&self) -> Result<u64, DeviceError> {
        let found = rustix::fs::statvfs(&self.folder);
        let found = found.map_err(|error| DeviceError::Read { path: self.folder.clone(), source: error.into() })?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn offset(&self, sector: u64) -> u64 {
        sector.saturating_mul(self.disk.size.sector as u64)
    }

    fn partition(&self, number: u32) -> io::Result<PathBuf> {
        let name = self.disk.partitions.get(&number).ok_or(io::ErrorKind::NotFound)?;
        Ok(PathBuf::from("/dev").join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        let folder = File::open(&self.folder)?;
        folder.sync_all()?;
        // FAT keeps its tables in memory after the folder's own sync.
        Ok(rustix::fs::syncfs(&folder)?)
    }
}

impl Target for Device {
    fn table(&mut self, step: &gpt::Step) -> io::Result<()> {
        match step {
            gpt::Step::Write { sector, bytes } => self.file.write_all_at(bytes, self.offset(*sector)),
            gpt::Step::Flush => self.file.sync_all(),
        }
    }

    fn fill(&mut self, number: u32, content: &mut dyn Read) -> io::Result<()> {
        let mut out = OpenOptions::new().write(true).open(self.partition(number)?)?;
        let mut piece = vec![0; PIECE];
        loop {
            let mut size = 0;
            while size < PIECE {
                match content.read(&mut piece[size..])? {
                    0 => break,
                    read => size += read,
                }
            }
            out.write_all(&piece[..size])?;
            if size < PIECE {
                // Of the partition itself: the disk's flush comes after.
                return out.sync_all();
            }
        }
    }

    fn read_back(&mut self, number: u32) -> io::Result<Box<dyn Read>> {
        let file = File::open(self.partition(number)?)?;
        // Else it is memory that is looked at.
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        Ok(Box::new(io::BufReader::with_capacity(PIECE, file)))
    }

    fn esp(&mut self, step: &EspStep, content: &mut dyn Read) -> io::Result<()> {
        match step {
            EspStep::Remove(name) => match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
            EspStep::Stage(name) => {
                let mut out = File::create(self.folder.join(name))?;
                io::copy(content, &mut out)?;
                out.sync_all()
            }
            EspStep::Rename { from, to } => fs::rename(self.folder.join(from), self.folder.join(to)),
            EspStep::Sync => self.sync_folder(),
        }
    }

    fn forget_choice(&mut self) -> io::Result<()> {
        for name in CHOICES {
            let path = format!("{VARIABLES}/{name}-{VENDOR}");
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            // The kernel guards variables that it does not know from being removed by accident.
            let flags = rustix::fs::ioctl_getflags(&file)?;
            rustix::fs::ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?;
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The disk of the running machine does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It cannot be opened.
    #[error("`{}` cannot be opened for writing", path.display())]
    Open { path: PathBuf, source: io::Error },
    /// It cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
}
