//! Decompression of untrusted streams, within limits of memory. How much comes out is for the reader to limit.

use std::io::{self, BufRead, Read};

/// The most memory that one stream may make a decoder take: `xz -9` needs 65 MiB, `zstd --ultra -22` 128 MiB.
const MAX_LZMA_MEMORY_BYTES: u64 = 256 << 20;
/// The base-2 logarithm of the largest zstd window, 128 MiB.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// xz.
    Xz,
    /// zstd (RFC 8878).
    Zstd,
    /// The format of `lzma`, which `xz` replaced.
    Lzma,
    /// bzip2.
    Bzip2,
    /// gzip (RFC 1952).
    Gzip,
    /// Not at all.
    Plain,
}

impl Compression {
    /// Every compression that is read, the one that makes the smallest files first.
    pub const ALL: [Compression; 6] = [
        Compression::Xz,
        Compression::Zstd,
        Compression::Lzma,
        Compression::Bzip2,
        Compression::Gzip,
        Compression::Plain,
    ];

    /// The end of the name of such a file: `.xz`; nothing of one that is not compressed.
    pub const fn suffix(self) -> &'static str {
        match self {
            Compression::Xz => ".xz",
            Compression::Zstd => ".zst",
            Compression::Lzma => ".lzma",
            Compression::Bzip2 => ".bz2",
            Compression::Gzip => ".gz",
            Compression::Plain => "",
        }
    }

    /// The compression that the end of a file name states; `None` for one that is not read.
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        Compression::ALL.into_iter().find(|compression| compression.suffix() == suffix)
    }

    /// The compression that the first bytes of a file show.
    pub fn of_magic(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => Compression::Bzip2,
            // It has no magic: properties that everybody uses, a window of whole 64 KiB, a size that is no more than
            // 2^56 or unknown.
            [0x5d, 0, 0, _, _, _, _, _, _, _, _, _, 0, ..]
            | [0x5d, 0, 0, _, _, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..] => Compression::Lzma,
            _ => Compression::Plain,
        }
    }

    /// Decompresses `reader`; several streams after each other count as one.
    ///
    /// # Errors
    /// A decoder that cannot be made.
    pub fn decoder<'a>(self, reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::Plain => Box::new(reader),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
            Compression::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(MAX_LZMA_MEMORY_BYTES, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
            }
            Compression::Lzma => {
                let stream = liblzma::stream::Stream::new_lzma_decoder(MAX_LZMA_MEMORY_BYTES)?;
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lzma(bytes: &[u8]) -> Vec<u8> {
        let options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
        let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_compression_is_known_by_its_first_bytes_and_read() {
        let text = "what it says\n".repeat(100);
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let xz = |bytes: &[u8]| {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        for compression in Compression::ALL {
            let packed = match compression {
                Compression::Xz => xz(text.as_bytes()),
                Compression::Zstd => zstd::encode_all(text.as_bytes(), 1).unwrap(),
                Compression::Lzma => lzma(text.as_bytes()),
                Compression::Bzip2 => bzip2(text.as_bytes()),
                Compression::Gzip => gzip(text.as_bytes()),
                Compression::Plain => text.clone().into_bytes(),
            };
            assert_eq!(Compression::of_magic(&packed), compression);
            assert_eq!(Compression::of_suffix(compression.suffix()), Some(compression));
            let mut read = String::new();
            compression.decoder(&packed[..]).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text, "{compression:?}");
            let cut = compression.decoder(&packed[..packed.len() / 2]).unwrap().read_to_string(&mut read);
            assert_eq!(cut.is_err(), compression != Compression::Plain, "{compression:?}");
        }
        for suffix in [".Z", ".lz", "xz", ".tar"] {
            assert_eq!(Compression::of_suffix(suffix), None, "{suffix}");
        }
    }
}
