//! One request: bytes from a server or a file, brought by a thread of its own.
//!
//! The thread is what lets a caller give up at once: name resolution, connecting and reading all block. It ends
//! at the latest when the connection stalls, and holds nothing but its socket.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use ureq::{Agent, Body, http::Response};

use super::{Location, LocationError};
use crate::content::Url;

/// The bytes of one piece; as much as ureq reads at once.
const PIECE_BYTES: usize = 128 * 1024;
/// The pieces that may wait for whoever takes them.
const PIECES_WAITING: usize = 8;
/// Redirects are followed at most this often.
pub(super) const MAX_REDIRECTS: usize = 10;
/// A server may ask us to wait at most this long before the next try.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The connections to servers, by scheme, since each may have another proxy.
#[derive(Clone, Debug)]
pub(super) struct Web {
    /// For `http:`.
    pub http: Agent,
    /// For `https:`.
    pub https: Agent,
}

/// What is wanted of a file.
#[derive(Debug, Clone)]
pub(super) struct TransferOrder {
    /// Where it is.
    pub location: Location,
    /// How many bytes of it are there already.
    pub offset: u64,
    /// What the server called the version of those bytes: an entity tag or a date.
    pub validator: Option<String>,
    /// What a cache on the way may answer.
    pub caches: Caches,
}

/// What caches on the way may answer (RFC 9111, section 5.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caches {
    /// What they have: a digest says whether it is the right thing.
    Answer,
    /// Only what the server says is its newest. Two caches that are not of one age would let a list go back.
    Ask,
}

/// What a transfer brings, in this order: one `Head`, many `Bytes`, one `End`.
#[derive(Debug)]
pub(super) enum Piece {
    /// What comes.
    Head(Head),
    /// The next bytes.
    Bytes(Vec<u8>),
    /// Nothing more comes.
    End(Result<(), TransferError>),
}

/// What a server says before the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Where in the file the bytes start.
    pub offset: u64,
    /// The size of the whole file, where it is known.
    pub total: Option<u64>,
    /// What the server calls this version.
    pub validator: Option<String>,
}

/// Starts a transfer; dropping the receiver ends it.
pub(super) fn begin(web: &Web, order: TransferOrder) -> Receiver<Piece> {
    let (sender, receiver) = sync_channel(PIECES_WAITING);
    let (web, failed) = (web.clone(), sender.clone());
    let run = move || {
        let outcome = match &order.location {
            Location::Local(path) => bring_file(path, order.offset, &sender),
            Location::Server(url) => bring_url(&web, url, &order, &sender),
        };
        // Whoever no longer listens needs no answer.
        let _ = sender.send(Piece::End(outcome));
    };
    if let Err(source) = thread::Builder::new().name("fetch".to_owned()).spawn(run) {
        let _ = failed.send(Piece::End(Err(TransferError::Read(source))));
    }
    receiver
}

fn bring_file(path: &Path, offset: u64, sender: &SyncSender<Piece>) -> Result<(), TransferError> {
    let mut file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => TransferError::Gone,
        _ => TransferError::File(source),
    })?;
    let metadata = file.metadata().map_err(TransferError::File)?;
    if !metadata.is_file() {
        return Err(TransferError::NoFile);
    }
    let offset = if offset <= metadata.len() { offset } else { 0 };
    file.seek(SeekFrom::Start(offset)).map_err(TransferError::File)?;
    let head = Head { offset, total: Some(metadata.len()), validator: None };
    bring(head, &mut file, sender).map_err(TransferError::File)
}

fn bring_url(web: &Web, url: &Url, order: &TransferOrder, sender: &SyncSender<Piece>) -> Result<(), TransferError> {
    let response = ask(web, url, order)?;
    let head = read_head(&response, order.offset)?;
    // ureq's own limit is for bodies that are held in memory; the taker of the pieces has one of its own.
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    bring(head, &mut body, sender).map_err(TransferError::Read)
}

/// Follows redirects to an answer that brings bytes.
fn ask(web: &Web, url: &Url, order: &TransferOrder) -> Result<Response<Body>, TransferError> {
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let agent = if url.as_str().starts_with("https:") { &web.https } else { &web.http };
        let mut request = agent.get(url.as_str());
        if order.caches == Caches::Ask {
            request = request.header("Cache-Control", "max-age=0");
        }
        if order.offset > 0 {
            request = request.header("Range", format!("bytes={}-", order.offset));
            if let Some(validator) = &order.validator {
                request = request.header("If-Range", validator);
            }
        }
        let response = request.call().map_err(TransferError::Request)?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        match response.status().as_u16() {
            200 | 206 => return Ok(response),
            301 | 302 | 303 | 307 | 308 => {
                let target = text("location").ok_or(TransferError::Answer("a redirect without a target"))?;
                url = Location::redirect(&url, target).map_err(TransferError::Redirect)?;
            }
            404 | 410 => return Err(TransferError::Gone),
            416 => return Err(TransferError::Range),
            status => {
                let seconds = text("retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
                return Err(TransferError::Status { status, wait: seconds.map(|wait| wait.min(MAX_RETRY_AFTER)) });
            }
        }
    }
    Err(TransferError::Redirects)
}

fn read_head(response: &Response<Body>, asked: u64) -> Result<Head, TransferError> {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if text("content-encoding").is_some_and(|coding| !["identity", "x-gzip", "gzip"].contains(&coding.trim())) {
        return Err(TransferError::Answer("an encoding that was not asked for"));
    }
    // Only a strong entity tag says that two parts belong to the same bytes (RFC 9110, section 13.1.5).
    let validator = text("etag").filter(|tag| tag.starts_with('"')).or_else(|| text("last-modified"));
    let validator = validator.map(str::to_owned);
    if response.status().as_u16() == 200 {
        return Ok(Head { offset: 0, total: response.body().content_length(), validator });
    }
    let range = text("content-range").and_then(|range| range.trim().strip_prefix("bytes ")?.split_once('/'));
    let (range, total) = range.ok_or(TransferError::Answer("a part without its range"))?;
    let start = range.split_once('-').and_then(|(start, _)| start.trim().parse::<u64>().ok());
    if start != Some(asked) {
        return Err(TransferError::Range);
    }
    Ok(Head { offset: asked, total: total.trim().parse().ok(), validator })
}

fn bring(head: Head, from: &mut dyn Read, sender: &SyncSender<Piece>) -> io::Result<()> {
    if sender.send(Piece::Head(head)).is_err() {
        return Ok(());
    }
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(size) => {
                piece.truncate(size);
                if sender.send(Piece::Bytes(piece)).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A request brought nothing, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file is not there (404, 410, no such file).
    #[error("it is not there")]
    Gone,
    /// The server answered with another status.
    #[error("the server answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
    /// The rest of the file was asked for and something else was offered.
    #[error("the server does not have the rest of what was begun")]
    Range,
    /// Redirects did not end.
    #[error("the server redirected more than {MAX_REDIRECTS} times")]
    Redirects,
    /// A redirect leads where it may not.
    #[error("the server redirected to a place that is not followed")]
    Redirect(#[source] LocationError),
    /// The answer makes no sense.
    #[error("the server answered with {0}")]
    Answer(&'static str),
    /// There was no answer.
    #[error("the server did not answer")]
    Request(#[source] ureq::Error),
    /// The connection broke off.
    #[error("the connection broke off")]
    Read(#[source] io::Error),
    /// The file ended before its size.
    #[error("it ended after {found} of {expected} bytes")]
    Short {
        /// The size that was announced.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// More came than is taken of an answer.
    #[error("the server answered with more than {limit} bytes")]
    TooLong {
        /// The most that is taken.
        limit: u64,
    },
    /// A file of this machine cannot be read.
    #[error("it cannot be read")]
    File(#[source] io::Error),
    /// A folder or device stands where a file should.
    #[error("it is not a regular file")]
    NoFile,
}

impl TransferError {
    /// Whether the same request may work in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            TransferError::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            TransferError::Range | TransferError::Short { .. } => true,
            // A certificate that is not accepted comes as `InvalidData`.
            TransferError::Read(error) => error.kind() != io::ErrorKind::InvalidData,
            TransferError::Request(error) => match error {
                ureq::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
                ureq::Error::Timeout(_)
                | ureq::Error::HostNotFound
                | ureq::Error::ConnectionFailed
                | ureq::Error::Protocol(_) => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// How long the server asks to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        if let TransferError::Status { wait, .. } = self { *wait } else { None }
    }

    /// Whether this machine's disk failed rather than the outside.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, TransferError::File(_))
    }
}
