//! A zip archive from a stranger becomes a tree (PKWARE's APPNOTE.TXT); what is held of tar is held of it.

use std::{
    fs::File,
    io::{self, Read},
};

use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipFileHeaderRecord};

use super::{UnpackError, archive::Unpacker, bounded::Bounded};
use crate::content::{
    Metadata, RelPath, Tree,
    tar_reader::{Kind, Limits, Member, ReadError, read_path, text},
};

/// The longest target of a link, in bytes.
const MAX_TARGET_BYTES: u64 = 4095;

/// Whether a file that begins so is a zip archive, perhaps an empty one.
pub(super) fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

impl Unpacker<'_> {
    /// Unpacks a zip archive, whose list of entries stands at its end.
    pub fn unpack_zip(&self, file: &File) -> Result<Tree, UnpackError> {
        let file = file.try_clone().map_err(ReadError::Read)?;
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(file, &mut buffer).map_err(broken)?;
        let stated = archive.entries_hint();
        self.limits.check_entries(stated)?;
        let mut tree = Tree::new();
        let (mut count, mut left, mut kept) = (0, self.limits.total_bytes, 0);
        let mut entries = archive.entries(&mut buffer);
        while let Some(record) = entries.next_entry().map_err(broken)? {
            count += 1;
            if count > stated {
                return Err(ReadError::Format("it has more entries than it says".to_owned()).into());
            }
            let Some(rest) = left.checked_sub(record.uncompressed_size_hint()) else {
                let limit = self.limits.total_bytes;
                return Err(ReadError::Limit { what: "bytes when decompressed", limit }.into());
            };
            let entry = archive.get_entry(record.wayfinder()).map_err(broken)?;
            let name = text(record.file_path().as_bytes())?;
            let path = read_path(&name)?;
            let packed = io::BufReader::new(entry.reader());
            let content: Box<dyn Read + '_> = match record.compression_method() {
                _ if record.flags().is_encrypted() => return Err(refused(&path, "it is encrypted")),
                CompressionMethod::STORE => Box::new(packed),
                CompressionMethod::DEFLATE => Box::new(flate2::bufread::DeflateDecoder::new(packed)),
                _ => return Err(refused(&path, "it is compressed otherwise than by deflate")),
            };
            let limits = Limits { total_bytes: left, ..*self.limits };
            let mut content = entry.verifying_reader(Bounded::new(content, &limits, self.cancelled));
            let member = member(&record, path, &mut content)?;
            kept += member.kept_bytes();
            self.limits.check_kept(kept)?;
            self.add(&mut tree, member, &mut content)?;
            // The end is where size and checksum are compared.
            io::copy(&mut content, &mut io::sink()).map_err(UnpackError::from_reader)?;
            left = rest;
        }
        if count < stated { Err(ReadError::Truncated.into()) } else { Ok(tree) }
    }
}

/// What the list says of an entry; of a link its content is the target.
fn member(record: &ZipFileHeaderRecord<'_>, path: RelPath, content: &mut dyn Read) -> Result<Member, UnpackError> {
    let mode = record.mode();
    let mut size = record.uncompressed_size_hint();
    let kind = if mode.is_symlink() {
        let mut target = Vec::new();
        content.take(MAX_TARGET_BYTES + 1).read_to_end(&mut target).map_err(UnpackError::from_reader)?;
        if target.is_empty() || target.len() as u64 > MAX_TARGET_BYTES {
            return Err(refused(&path, "it is a link to nothing"));
        }
        size = 0;
        Kind::Symlink { target: text(&target)? }
    } else if record.is_dir() {
        Kind::Directory
    } else {
        Kind::File
    };
    // Programs that know no modes leave them out.
    let mode = match (mode.permissions(), &kind) {
        (0, Kind::File) => 0o644,
        (0, _) => 0o755,
        (mode, _) => mode,
    };
    Ok(Member { path, kind, size, metadata: Metadata::with_mode(mode as u16) })
}

fn refused(path: &RelPath, reason: &str) -> UnpackError {
    ReadError::Entry { path: path.clone(), reason: reason.to_owned() }.into()
}

fn broken(error: rawzip::Error) -> UnpackError {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) => UnpackError::from_reader(error),
        rawzip::ErrorKind::Eof => ReadError::Truncated.into(),
        kind => ReadError::Format(format!("its list of entries cannot be read ({})", rawzip::Error::from(kind))).into(),
    }
}
