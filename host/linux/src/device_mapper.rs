//! Asks the kernel what a mapped device is made of, and makes one.
//!
//! There is no other way: `/sys` has the name of a mapped device, not its table and not its state. The safe wrappers
//! of rustix end at ioctls that it knows itself, and linking libdevmapper would be a C library for four calls.
#![expect(unsafe_code, reason = "ioctls whose buffer only this file and the kernel know")]

use std::{fs::File, io};

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use crate::{
    block_device::DeviceNumber,
    mapped_target::{self, BUFFER, HEADER, MappedTarget, Request, RequestError},
};

/// Where device-mapper is asked.
const CONTROL: &str = "/dev/mapper/control";

/// The opcode of a command: `_IOWR(0xfd, NUMBER, struct dm_ioctl)`. Its argument begins with that struct; how long it
/// is altogether, the struct says.
const fn command(number: u8) -> Opcode {
    opcode::read_write::<[u8; HEADER]>(0xfd, number)
}
const DEVICE_CREATE: Opcode = command(3);
/// Also resumes, which takes the table that was loaded last into use.
const DEVICE_SUSPEND: Opcode = command(6);
const TABLE_LOAD: Opcode = command(9);
const TABLE_STATUS: Opcode = command(12);

/// `DM_READONLY_FLAG`: the device cannot be written.
const READ_ONLY: u32 = 1 << 0;
/// `DM_STATUS_TABLE_FLAG`: the table, not the status.
const TABLE: u32 = 1 << 4;
/// `DM_NOFLUSH_FLAG`: what is asked waits for no write.
const NO_FLUSH: u32 = 1 << 11;

/// What is asked of a mapped device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What it is made of.
    Table,
    /// How it does.
    Status,
}

/// The answer to `question`, to be read by [`crate::mapped_target::targets`].
///
/// # Errors
/// When device-mapper may not be asked (only root may), or knows no such device.
pub fn ask(device: DeviceNumber, question: Question) -> Result<Vec<u8>, DeviceMapperError> {
    let flags = NO_FLUSH | if question == Question::Table { TABLE } else { 0 };
    let request = Request { flags, device: Some(device), ..Request::default() };
    perform::<TABLE_STATUS>(&request, |source| DeviceMapperError::Refused { device, source }).map(Vec::from)
}

/// Makes a device without a table; the kernel gives it the first number that is free.
///
/// # Errors
/// When device-mapper may not be asked, when `name` is longer than 127 bytes, or when there is one of that name.
pub fn create(name: &str) -> Result<DeviceNumber, DeviceMapperError> {
    let request = Request { name, ..Request::default() };
    let answer =
        perform::<DEVICE_CREATE>(&request, |source| DeviceMapperError::Create { name: name.to_owned(), source })?;
    Ok(mapped_target::device(&answer))
}

/// Gives a device a table of one target, read-only; it is in use after [`activate`].
///
/// # Errors
/// When device-mapper may not be asked, or does not take the table; the kernel's log says why.
pub fn load(device: DeviceNumber, target: &MappedTarget) -> Result<(), DeviceMapperError> {
    let request = Request { flags: READ_ONLY, device: Some(device), target: Some(target), ..Request::default() };
    let refused = |source| DeviceMapperError::Load { device, parameters: target.parameters.clone(), source };
    perform::<TABLE_LOAD>(&request, refused).map(drop)
}

/// Takes the table that was loaded last into use.
///
/// # Errors
/// When device-mapper may not be asked, or the table cannot be used.
pub fn activate(device: DeviceNumber) -> Result<(), DeviceMapperError> {
    let request = Request { device: Some(device), ..Request::default() };
    perform::<DEVICE_SUSPEND>(&request, |source| DeviceMapperError::Activate { device, source }).map(drop)
}

fn perform<const COMMAND: Opcode>(
    request: &Request<'_>,
    refused: impl FnOnce(io::Error) -> DeviceMapperError,
) -> Result<[u8; BUFFER], DeviceMapperError> {
    let mut buffer = request.bytes()?;
    let control = File::options().read(true).write(true).open(CONTROL);
    let control = control.map_err(|source| DeviceMapperError::Open { source })?;
    // SAFETY: each opcode's argument is a buffer that begins with `struct dm_ioctl`; the kernel reads and writes only
    // as many bytes as `data_size` in it says (`ctl_ioctl` in drivers/md/dm-ioctl.c), which is the size of `buffer`.
    // Any bytes are a valid `[u8; BUFFER]`.
    let done = unsafe { ioctl(&control, Updater::<COMMAND, [u8; BUFFER]>::new(&mut buffer)) };
    done.map_err(|error| refused(error.into()))?;
    Ok(buffer)
}

/// Device-mapper does not answer.
#[derive(Debug, thiserror::Error)]
pub enum DeviceMapperError {
    /// It cannot be spoken to.
    #[error("`{CONTROL}` cannot be opened")]
    Open { source: io::Error },
    /// What is asked cannot be written as it takes it.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It does not know the device, or does not tell.
    #[error("device-mapper says nothing about device {device}")]
    Refused { device: DeviceNumber, source: io::Error },
    /// It makes no device.
    #[error("device-mapper does not make a device `{name}`")]
    Create { name: String, source: io::Error },
    /// It does not take a table.
    #[error("device-mapper does not take the table `{parameters}` for device {device}; its reason stands above")]
    Load { device: DeviceNumber, parameters: String, source: io::Error },
    /// It does not use a table.
    #[error("device-mapper does not take the table of device {device} into use")]
    Activate { device: DeviceNumber, source: io::Error },
}
