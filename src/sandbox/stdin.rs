//! What a command reads on standard input.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
};

use crate::{
    content::{ArchiveError, Digest, RelPath, Tree, write_archive},
    store::Store,
};

/// What is written to the pipe at once, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// Streams the canonical archive of a tree, whose files show `time`, into a pipe. The store checks every blob as it opens it.
///
/// A command that ends without reading everything is no failure: the end of an archive is padding.
pub(super) fn stream(store: &Store, tree: &Tree, time: u64, pipe: OwnedFd) -> Result<(), ArchiveError> {
    let mut pipe = io::BufWriter::with_capacity(PIECE_BYTES, File::from(pipe));
    let open = |blob: Digest| store.open_blob(blob).map_err(io::Error::other);
    let written = write_archive(tree, time, open, &mut pipe)
        .and_then(|()| pipe.flush().map_err(|source| ArchiveError::Write { path: RelPath::ROOT, source }));
    // What is left in the buffer has nobody to read it.
    drop(pipe.into_parts());
    match written {
        Err(ArchiveError::Write { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
