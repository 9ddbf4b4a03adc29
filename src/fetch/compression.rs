//! Decompression of untrusted streams, within limits of memory and of what comes out.

use std::{
    io::{self, BufRead, Read},
    sync::atomic::{AtomicBool, Ordering},
};

use super::archive::{Limits, UnpackError};

/// The most memory that one stream may make a decoder take: `xz -9` needs 65 MiB, `zstd --ultra -22` 128 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 256 << 20;
/// The base-2 logarithm of the largest zstd window, 128 MiB.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// xz.
    Xz,
    /// zstd (RFC 8878).
    Zstd,
}

impl Compression {
    /// The compression that the end of a file name states; `None` for one that is not read.
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        match suffix {
            "" => Some(Compression::Plain),
            ".gz" => Some(Compression::Gzip),
            ".xz" => Some(Compression::Xz),
            ".zst" => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The compression that the first bytes of a file show.
    pub fn of_magic(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            _ => Compression::Plain,
        }
    }

    /// Decompresses `reader`; several streams after each other count as one.
    pub fn decoder<'a>(self, reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::Plain => Box::new(reader),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Compression::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        })
    }
}

/// A reader that ends with an error once too much came out of it, or when the fetch is to stop.
pub(super) struct Bounded<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    limit: u64,
    cancelled: &'a AtomicBool,
}

impl<'a> Bounded<'a> {
    /// Lets `limits.total_bytes` through.
    pub fn new(inner: Box<dyn Read + 'a>, limits: &Limits, cancelled: &'a AtomicBool) -> Self {
        Bounded { inner, left: limits.total_bytes, limit: limits.total_bytes, cancelled }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other(UnpackError::Cancelled));
        }
        let size = self.inner.read(into)?;
        match self.left.checked_sub(size as u64) {
            Some(left) => self.left = left,
            None => {
                let what = "bytes when decompressed";
                return Err(io::Error::other(UnpackError::Limit { what, limit: self.limit }));
            }
        }
        Ok(size)
    }
}
