//! Asks the kernel what a mapped device is made of: the one place with `unsafe`.
//!
//! There is no other way: `/sys` has the name of a mapped device, not its table and not its state. The safe wrappers
//! of rustix end at ioctls that it knows itself, and linking libdevmapper would be a C library for one call.
#![expect(unsafe_code, reason = "an ioctl whose buffer only this file and the kernel know")]

use std::{fs::File, io};

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use crate::{
    block_device::DeviceNumber,
    mapped_target::{FLAGS_AT, HEADER, SIZE_AT, START_AT},
};

/// Where device-mapper is asked.
const CONTROL: &str = "/dev/mapper/control";
/// `DM_TABLE_STATUS`: `_IOWR(0xfd, 12, struct dm_ioctl)`. Its argument begins with that struct; how long it is
/// altogether, the struct says.
const TABLE_STATUS: Opcode = opcode::read_write::<[u8; HEADER]>(0xfd, 12);
/// The size of question and answer in bytes. The table of a verity device has less than 600.
const BUFFER: usize = 16 << 10;
/// The version of the interface that is spoken: 4.0.0, the oldest that every kernel of today answers to.
const VERSION: u32 = 4;
/// Where the header has the number of the device.
const DEVICE_AT: usize = 40;
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
    let control = File::options().read(true).write(true).open(CONTROL);
    let control = control.map_err(|source| DeviceMapperError::Open { source })?;
    let mut buffer = [0; BUFFER];
    let flags = NO_FLUSH | if question == Question::Table { TABLE } else { 0 };
    for (at, number) in [(0, VERSION), (SIZE_AT, BUFFER as u32), (START_AT, HEADER as u32), (FLAGS_AT, flags)] {
        buffer[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    let number = rustix::fs::makedev(device.major, device.minor);
    buffer[DEVICE_AT..DEVICE_AT + 8].copy_from_slice(&number.to_le_bytes());
    // SAFETY: the opcode's argument is a buffer that begins with `struct dm_ioctl`; the kernel reads and writes only
    // as many bytes as `data_size` in it says (`ctl_ioctl` in drivers/md/dm-ioctl.c), which is the size of `buffer`.
    // Any bytes are a valid `[u8; BUFFER]`.
    let asked = unsafe { ioctl(&control, Updater::<TABLE_STATUS, [u8; BUFFER]>::new(&mut buffer)) };
    asked.map_err(|error| DeviceMapperError::Refused { device, source: error.into() })?;
    Ok(buffer.to_vec())
}

/// Device-mapper does not answer.
#[derive(Debug, thiserror::Error)]
pub enum DeviceMapperError {
    /// It cannot be spoken to.
    #[error("`{CONTROL}` cannot be opened")]
    Open { source: io::Error },
    /// It does not know the device, or does not tell.
    #[error("device-mapper says nothing about device {device}")]
    Refused { device: DeviceNumber, source: io::Error },
}
