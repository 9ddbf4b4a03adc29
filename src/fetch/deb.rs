//! Debian packages: two tar archives in an `ar` archive (deb(5)).

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::atomic::AtomicBool,
};

use super::{
    UnpackError,
    archive::{Ownership, Unpacker},
};
use crate::{
    content::{
        Compression, RelPath, Tree,
        ar::{ArError, MAX_CONTROL_BYTES, Member, read_magic, read_member, skip_padding},
        tar_reader::{Limits, ReadError},
    },
    store::Blobs,
};

/// Members before the package's data; dpkg writes three.
const MAX_MEMBERS: usize = 16;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// An unpacked package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deb {
    /// Its control files: `control`, `md5sums`, maintainer scripts.
    pub control: Tree,
    /// What it installs.
    pub data: Tree,
}

/// Unpacks a Debian package of format 2, its files going to `blobs`. Owners, modes and attributes are kept.
///
/// Members are `debian-binary`, `control.tar`, `data.tar` in this order, compressed with gz, xz, zst or not at
/// all; others are passed over where their name starts with `_`, as deb(5) demands.
///
/// # Errors
/// Whatever is not such a package, or beyond the limits; [`UnpackError::Cancelled`] soon after `cancelled` is set.
pub fn unpack_deb(
    reader: impl Read,
    blobs: &dyn Blobs,
    limits: &Limits,
    cancelled: &AtomicBool,
) -> Result<Deb, UnpackError> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    read_magic(&mut reader)?;
    let member = read_member(&mut reader)?.ok_or(ReadError::Truncated)?;
    check_version(&mut reader, &member)?;

    let control_limits = Limits { total_bytes: limits.total_bytes.min(MAX_CONTROL_BYTES), ..*limits };
    let unpacker = Unpacker { blobs, limits: &control_limits, ownership: Ownership::Kept, cancelled };
    let control = unpack_member(&mut reader, "control.tar", &unpacker)?;
    let has_control = RelPath::new("control").is_ok_and(|path| control.entry(&path).is_some());
    if !has_control {
        return Err(wrong_format("its control archive has no file `control`"));
    }
    let data = unpack_member(&mut reader, "data.tar", &Unpacker { limits, ..unpacker })?;
    Ok(Deb { control, data })
}

fn check_version(reader: &mut impl BufRead, member: &Member) -> Result<(), UnpackError> {
    let wrong = || wrong_format("it is not a Debian package of format 2");
    if member.name != "debian-binary" || !(4..=1024).contains(&member.size) {
        return Err(wrong());
    }
    let mut text = Vec::new();
    reader.take(member.size).read_to_end(&mut text).map_err(UnpackError::from_reader)?;
    skip_padding(reader, member)?;
    if text.starts_with(b"2.") && text.contains(&b'\n') { Ok(()) } else { Err(wrong()) }
}

/// Unpacks the next member that counts, which must be `name` with the suffix of a compression.
fn unpack_member(reader: &mut impl BufRead, name: &str, unpacker: &Unpacker<'_>) -> Result<Tree, UnpackError> {
    for _ in 0..MAX_MEMBERS {
        let missing = || wrong_format(format!("it has no `{name}`"));
        let member = read_member(reader)?.ok_or_else(missing)?;
        let mut body = reader.take(member.size);
        if member.name.starts_with('_') {
            finish(&mut body, &member)?;
            continue;
        }
        let suffix = member.name.strip_prefix(name).ok_or_else(|| {
            wrong_format(format!("it has `{}` where `{name}` is expected", member.name.escape_debug()))
        })?;
        let compression = Compression::of_suffix(suffix).ok_or_else(|| {
            let name = member.name.escape_debug();
            wrong_format(format!("it has `{name}`, a compression that is not read"))
        })?;
        let tree = unpacker.unpack(compression, &mut body)?;
        finish(&mut body, &member)?;
        return Ok(tree);
    }
    Err(ReadError::Limit { what: "members", limit: MAX_MEMBERS as u64 }.into())
}

fn wrong_format(reason: impl Into<String>) -> UnpackError {
    ReadError::Format(reason.into()).into()
}

/// Passes over what is left of a member, which must be there.
fn finish<R: BufRead>(body: &mut io::Take<&mut R>, member: &Member) -> Result<(), UnpackError> {
    io::copy(body, &mut io::sink()).map_err(UnpackError::from_reader)?;
    if body.limit() > 0 {
        return Err(ReadError::Truncated.into());
    }
    skip_padding(body.get_mut(), member)?;
    Ok(())
}

impl From<ArError> for UnpackError {
    fn from(error: ArError) -> Self {
        match error {
            ArError::Format(reason) => wrong_format(reason),
            ArError::Read(source) => UnpackError::from_reader(source),
        }
    }
}
