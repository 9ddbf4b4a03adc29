//! Requests to one place, repeated while it fails for passing reasons, until the file is whole.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use super::{
    Client, FetchError, Location, Mismatch, WantedFile, Watch,
    partial::Partial,
    transfer::{Caches, Head, Piece, TransferError, TransferOrder, begin},
};
use crate::plan::Progress;

/// How often the cancel flag is looked at while nothing comes.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// A file is tried at most this often, even if every try brings some of it.
const MAX_TRIES: u32 = 100;

/// Why one request ended early.
enum Stop {
    /// The place has something else.
    Mismatch(Mismatch),
    /// The request failed.
    Transfer(TransferError),
    /// The whole fetch ends.
    Fetch(Box<FetchError>),
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Self {
        Stop::Fetch(Box::new(error))
    }
}

impl Client {
    /// Brings what is missing of the file; says so when what comes cannot be it.
    pub(super) fn attempt(
        &self,
        place: &Location,
        wanted: &WantedFile,
        partial: &mut Partial,
        watch: &Watch<'_>,
    ) -> Result<Option<Mismatch>, FetchError> {
        let patience = &self.config.patience;
        let (mut tries, mut vain) = (0, 0);
        loop {
            let before = partial.size();
            let error = match self.request(place, wanted, partial, watch) {
                Ok(()) => return Ok(None),
                Err(Stop::Mismatch(mismatch)) => return Ok(Some(mismatch)),
                Err(Stop::Fetch(error)) => return Err(*error),
                Err(Stop::Transfer(error)) => error,
            };
            tries += 1;
            vain = if partial.size() > before { 0 } else { vain + 1 };
            if !error.is_passing() || vain > patience.retries || tries >= MAX_TRIES {
                let (name, place) = (wanted.name.clone(), place.clone());
                return Err(FetchError::Transfer { name, place, tries, source: error });
            }
            if matches!(error, TransferError::Range) {
                partial.start_again()?;
            }
            let pause = patience.pause.saturating_mul(1 << vain.min(8));
            watch.pause(error.wait().unwrap_or(pause.min(MAX_PAUSE)))?;
        }
    }

    fn request(
        &self,
        place: &Location,
        wanted: &WantedFile,
        partial: &mut Partial,
        watch: &Watch<'_>,
    ) -> Result<(), Stop> {
        watch.check()?;
        let expect = &wanted.expect;
        let is_whole = match (expect.size, expect.sha256) {
            (Some(size), _) if partial.size() < size => false,
            (_, Some(sha256)) => partial.size() > 0 && partial.sha256() == sha256,
            _ => false,
        };
        if is_whole {
            return Ok(());
        }
        // Without a digest nothing could tell that two parts do not belong together.
        if expect.sha256.is_none() || expect.size == Some(partial.size()) {
            partial.start_again()?;
        }
        let offset = partial.size();
        let validator = if offset > 0 { partial.validator(place) } else { None };
        let caches = if expect.sha256.is_some() { Caches::Answer } else { Caches::Ask };
        let pieces = begin(&self.web, TransferOrder { location: place.clone(), offset, validator, caches });
        let mut total = None;
        loop {
            match next(&pieces, watch)? {
                Piece::Head(head) => {
                    total = head.total;
                    begin_partial(&head, place, wanted, partial)?;
                }
                Piece::Bytes(bytes) => {
                    let size = partial.size() + bytes.len() as u64;
                    if size > expect.most() {
                        return Err(Stop::Mismatch(too_long(wanted, size)));
                    }
                    partial.append(&bytes)?;
                    (watch.progress)(Progress::Bytes { done: size, total: expect.size.or(total) });
                }
                Piece::End(Err(error)) => return Err(Stop::Transfer(error)),
                Piece::End(Ok(())) => {
                    return match expect.size.or(total) {
                        Some(expected) if partial.size() < expected => {
                            Err(Stop::Transfer(TransferError::Short { expected, found: partial.size() }))
                        }
                        _ => Ok(()),
                    };
                }
            }
        }
    }
}

/// Prepares the partial file for what is announced.
fn begin_partial(head: &Head, place: &Location, wanted: &WantedFile, partial: &mut Partial) -> Result<(), Stop> {
    if let Some(found) = head.total {
        match wanted.expect.size {
            Some(expected) if expected != found => {
                return Err(Stop::Mismatch(Mismatch::Size { expected, found }));
            }
            None if found > wanted.expect.limit => return Err(Stop::Mismatch(too_long(wanted, found))),
            _ => {}
        }
    }
    if head.offset != partial.size() {
        partial.start_again()?;
    }
    partial.note(place, head.validator.as_deref());
    Ok(())
}

fn too_long(wanted: &WantedFile, found: u64) -> Mismatch {
    match wanted.expect.size {
        Some(expected) => Mismatch::Size { expected, found },
        None => Mismatch::TooLong { limit: wanted.expect.limit },
    }
}

/// The next piece, or the end of patience of whoever watches.
fn next(pieces: &Receiver<Piece>, watch: &Watch<'_>) -> Result<Piece, FetchError> {
    loop {
        watch.check()?;
        match pieces.recv_timeout(HEARTBEAT) {
            Ok(piece) => return Ok(piece),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                // The thread died without its last word.
                let source = std::io::Error::other("the transfer's thread ended");
                return Ok(Piece::End(Err(TransferError::Read(source))));
            }
        }
    }
}
