//! What device-mapper is asked, and what it answers to `DM_TABLE_STATUS`: the targets of a device (Linux,
//! `uapi/linux/dm-ioctl.h`).
//!
//! Numbers are little-endian, as on every architecture that images are made for.

use crate::block_device::DeviceNumber;

/// The size of `struct dm_ioctl`, with which a request and its answer begin.
pub const HEADER: usize = 312;
/// The size of request and answer in bytes. The table of a verity device has less than 600.
pub(crate) const BUFFER: usize = 16 << 10;
/// The version of the interface that is spoken: 4.0.0, the oldest that every kernel of today answers to.
const VERSION: u32 = 4;
/// Where the header says how many bytes the answer has.
const SIZE_AT: usize = 12;
/// Where the header says at which byte the targets begin.
const START_AT: usize = 16;
const COUNT_AT: usize = 20;
const FLAGS_AT: usize = 28;
/// Where the header has the number of the device; there is room for 64 bits, the upper half is zero.
const DEVICE_AT: usize = 40;
/// Where the header has the name of the device, with a NUL behind it.
const NAME_AT: usize = 48;
const NAME_BYTES: usize = 128;
/// `DM_BUFFER_FULL_FLAG`: the answer did not fit.
const BUFFER_FULL: u32 = 1 << 8;
/// The size of `struct dm_target_spec`: start, length, status, next, and the kind in 16 bytes.
const TARGET: usize = 40;
const KIND_AT: usize = 24;

/// One target of a mapped device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedTarget {
    /// The first sector that it maps.
    pub start: u64,
    /// The number of sectors that it maps.
    pub sectors: u64,
    /// Its kind: `verity`.
    pub kind: String,
    /// Its table or its status, as was asked.
    pub parameters: String,
}

/// What device-mapper is asked to do.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    /// How.
    pub flags: u32,
    /// With which device; none where it is named.
    pub device: Option<DeviceNumber>,
    /// With the device of which name; empty where it is numbered.
    pub name: &'a str,
    /// The target of its table.
    pub target: Option<&'a MappedTarget>,
}

impl Request<'_> {
    /// The bytes that the kernel reads.
    pub(crate) fn bytes(&self) -> Result<[u8; BUFFER], RequestError> {
        let mut buffer = [0; BUFFER];
        let count = u32::from(self.target.is_some());
        let numbers = [VERSION, 0, 0, BUFFER as u32, HEADER as u32, count, 0, self.flags];
        for (number, to) in numbers.into_iter().zip(buffer.chunks_exact_mut(4)) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        if let Some(device) = self.device {
            buffer[DEVICE_AT..DEVICE_AT + 4].copy_from_slice(&device.encoded().to_le_bytes());
        }
        put_text(&mut buffer[NAME_AT..NAME_AT + NAME_BYTES], self.name)?;
        if let Some(MappedTarget { start, sectors, kind, parameters }) = self.target {
            let (fixed, rest) = buffer[HEADER..].split_at_mut(TARGET);
            fixed[..8].copy_from_slice(&start.to_le_bytes());
            fixed[8..16].copy_from_slice(&sectors.to_le_bytes());
            put_text(&mut fixed[KIND_AT..], kind)?;
            put_text(rest, parameters)?;
        }
        Ok(buffer)
    }
}

/// Writes a text that ends with a NUL into a field.
fn put_text(field: &mut [u8], text: &str) -> Result<(), RequestError> {
    if text.len() >= field.len() || text.contains('\0') {
        return Err(RequestError);
    }
    field[..text.len()].copy_from_slice(text.as_bytes());
    Ok(())
}

/// The number of the device in an answer.
pub(crate) fn device(answer: &[u8; BUFFER]) -> DeviceNumber {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&answer[DEVICE_AT..DEVICE_AT + 4]);
    DeviceNumber::decoded(u32::from_le_bytes(bytes))
}

/// Reads the targets in an answer.
///
/// # Errors
/// When the answer is not whole, or not made as the kernel makes it.
pub fn targets(answer: &[u8]) -> Result<Vec<MappedTarget>, AnswerError> {
    let header = |at| number(answer, at).ok_or(AnswerError::Truncated);
    let (size, start) = (header(SIZE_AT)? as usize, header(START_AT)? as usize);
    let (count, flags) = (header(COUNT_AT)?, header(FLAGS_AT)?);
    if flags & BUFFER_FULL != 0 {
        return Err(AnswerError::Full);
    }
    // What lies behind the answer in its buffer is none of it.
    let data = answer.get(start..size).filter(|_| start >= HEADER).ok_or(AnswerError::Truncated)?;
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let target = data.get(at..).filter(|rest| rest.len() >= TARGET).ok_or(AnswerError::Truncated)?;
        let (fixed, rest) = target.split_at(TARGET);
        let (kind, parameters) = (until_nul(&fixed[KIND_AT..])?, until_nul(rest)?);
        let long =
            |at| -> Option<u64> { Some(u64::from(number(fixed, at)?) | u64::from(number(fixed, at + 4)?) << 32) };
        found.push(MappedTarget {
            start: long(0).ok_or(AnswerError::Truncated)?,
            sectors: long(8).ok_or(AnswerError::Truncated)?,
            kind: kind.to_owned(),
            parameters: parameters.to_owned(),
        });
        // Counted from the first target; it only ever goes forward, so a circle cannot be made.
        let next = number(fixed, 20).ok_or(AnswerError::Truncated)? as usize;
        if found.len() < count as usize && next < at + TARGET {
            return Err(AnswerError::Backwards);
        }
        at = next;
    }
    Ok(found)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn until_nul(bytes: &[u8]) -> Result<&str, AnswerError> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(AnswerError::Truncated)?;
    std::str::from_utf8(&bytes[..end]).map_err(|_| AnswerError::NotText)
}

/// What is asked of device-mapper has a name or a table that it cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device has a name or a table that is too long for device-mapper, or holds a NUL")]
pub struct RequestError;

/// An answer of device-mapper cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It ends before what it announces.
    #[error("device-mapper's answer ends too early")]
    Truncated,
    /// It did not fit into the buffer.
    #[error("device-mapper's answer is longer than its buffer")]
    Full,
    /// A target begins before the one that it follows ends.
    #[error("the targets in device-mapper's answer overlap")]
    Backwards,
    /// A kind or parameters that are not UTF-8.
    #[error("device-mapper's answer is not UTF-8")]
    NotText,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with these targets, made as the kernel makes it.
    fn answer(targets: &[(u64, u64, &str, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for (start, sectors, kind, parameters) in targets {
            let mut target = Vec::new();
            target.extend(start.to_le_bytes());
            target.extend(sectors.to_le_bytes());
            target.extend([0; 4]);
            let size = (TARGET + parameters.len() + 1).next_multiple_of(8);
            target.extend(((bytes.len() - HEADER + size) as u32).to_le_bytes());
            target.extend(kind.bytes().chain([0; 16]).take(16));
            target.extend(*parameters);
            target.resize(size, 0);
            bytes.extend(target);
        }
        let (size, count) = (bytes.len() as u32, targets.len() as u32);
        set(&mut bytes, SIZE_AT, size);
        set(&mut bytes, START_AT, HEADER as u32);
        set(&mut bytes, COUNT_AT, count);
        bytes
    }

    fn set(bytes: &mut [u8], at: usize, number: u32) {
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }

    #[test]
    fn a_request_is_read_back_as_the_kernel_reads_it() {
        let target =
            MappedTarget { start: 0, sectors: 80, kind: "verity".to_owned(), parameters: "1 254:3 254:2".to_owned() };
        let device = DeviceNumber { major: 253, minor: 300 };
        let bytes = Request { flags: 1, device: Some(device), name: "", target: Some(&target) }.bytes().unwrap();
        assert_eq!((number(&bytes, 0), number(&bytes, 4), number(&bytes, FLAGS_AT)), (Some(4), Some(0), Some(1)));
        assert_eq!(number(&bytes, SIZE_AT), Some(BUFFER as u32));
        assert_eq!(super::device(&bytes), device);
        assert_eq!(targets(&bytes), Ok(vec![target]));
        let bytes = Request { name: "root", ..Request::default() }.bytes().unwrap();
        assert_eq!((&bytes[48..53], number(&bytes, COUNT_AT)), (&b"root\0"[..], Some(0)));
    }

    #[test]
    fn what_device_mapper_cannot_be_given_is_refused() {
        let long = "a".repeat(BUFFER - HEADER - TARGET);
        let refused = |name: &str, kind: &str, parameters: &str| {
            let target =
                MappedTarget { kind: kind.to_owned(), parameters: parameters.to_owned(), start: 0, sectors: 8 };
            Request { name, target: Some(&target), ..Request::default() }.bytes().is_err()
        };
        for (name, kind, parameters, expected) in [
            (&long[..127], &long[..15], &long[1..], false),
            (&long[..128], "verity", "1", true),
            ("root", &long[..16], "1", true),
            ("root", "verity", &long, true),
            ("ro\0t", "verity", "1", true),
            ("root", "ver\0ty", "1", true),
            ("root", "verity", "1\0", true),
        ] {
            assert_eq!(refused(name, kind, parameters), expected, "{} {} {}", name.len(), kind, parameters.len());
        }
    }

    #[test]
    fn targets_are_read_in_their_order() {
        let found = targets(&answer(&[(0, 8, "linear", b"254:3 0"), (8, 1 << 40, "verity", b"V")])).unwrap();
        let target = |start, sectors, kind: &str, parameters: &str| MappedTarget {
            start,
            sectors,
            kind: kind.to_owned(),
            parameters: parameters.to_owned(),
        };
        assert_eq!(found, [target(0, 8, "linear", "254:3 0"), target(8, 1 << 40, "verity", "V")]);
        assert_eq!(targets(&answer(&[])), Ok(Vec::new()));
    }

    #[test]
    fn an_answer_that_is_cut_off_anywhere_is_refused() {
        let whole = answer(&[(0, 8, "linear", b"254:3 0"), (8, 8, "verity", b"V")]);
        for length in 0..whole.len() {
            assert_eq!(targets(&whole[..length]), Err(AnswerError::Truncated), "{length} bytes");
        }
    }

    #[test]
    fn an_answer_that_lies_is_refused() {
        let whole = answer(&[(0, 8, "linear", b"254:3 0"), (8, 8, "verity", b"V")]);
        let no_text = answer(&[(0, 8, "verity", b"\xff")]);
        let cases = [
            ("more targets than there are", COUNT_AT, 3, AnswerError::Truncated),
            ("more targets than there can be", COUNT_AT, u32::MAX, AnswerError::Truncated),
            ("a size behind the buffer", SIZE_AT, u32::MAX, AnswerError::Truncated),
            ("a size in the header", SIZE_AT, 8, AnswerError::Truncated),
            ("targets in the header", START_AT, 0, AnswerError::Truncated),
            ("targets behind the buffer", START_AT, u32::MAX, AnswerError::Truncated),
            ("a full buffer", FLAGS_AT, BUFFER_FULL, AnswerError::Full),
            ("a target that follows itself", HEADER + 20, 0, AnswerError::Backwards),
            ("a target behind the buffer", HEADER + 20, u32::MAX, AnswerError::Truncated),
        ];
        for (lie, at, number, expected) in cases {
            let mut bytes = whole.clone();
            set(&mut bytes, at, number);
            assert_eq!(targets(&bytes), Err(expected), "{lie}");
        }
        assert_eq!(targets(&no_text), Err(AnswerError::NotText));
    }
}
