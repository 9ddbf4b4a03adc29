//! Debian packages and tar archives made byte by byte, also such that no tool would make.

use std::io::Write;

/// One entry of a tar archive, before it is bytes.
#[derive(Debug, Clone)]
pub struct TarEntry {
    pub name: String,
    pub kind: u8,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub link: String,
    pub data: Vec<u8>,
    /// The size that the header states, if not that of the data.
    pub stated_size: Option<u64>,
}

impl TarEntry {
    pub fn file(name: &str, data: &[u8]) -> Self {
        TarEntry {
            name: name.to_owned(),
            kind: b'0',
            mode: 0o644,
            uid: 0,
            gid: 0,
            link: String::new(),
            data: data.to_vec(),
            stated_size: None,
        }
    }

    pub fn directory(name: &str) -> Self {
        TarEntry { kind: b'5', mode: 0o755, ..TarEntry::file(name, b"") }
    }

    pub fn link(name: &str, kind: u8, target: &str) -> Self {
        TarEntry { kind, mode: 0o777, link: target.to_owned(), ..TarEntry::file(name, b"") }
    }

    pub fn of_kind(name: &str, kind: u8) -> Self {
        TarEntry { kind, ..TarEntry::file(name, b"") }
    }

    /// A pax header for the next entry.
    pub fn pax(records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..).find(|length: &usize| rest + length.to_string().len() == *length).unwrap_or(rest);
            data.extend(format!("{length} {key}=").bytes());
            data.extend(*value);
            data.push(b'\n');
        }
        TarEntry { kind: b'x', ..TarEntry::file("PaxHeaders/next", &data) }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut header = [0_u8; 512];
        header[..self.name.len()].copy_from_slice(self.name.as_bytes());
        let mut field = |at: usize, text: String| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        field(100, format!("{:07o}", self.mode));
        field(108, format!("{:07o}", self.uid));
        field(116, format!("{:07o}", self.gid));
        field(124, format!("{:011o}", self.stated_size.unwrap_or(self.data.len() as u64)));
        field(136, format!("{:011o}", 0));
        field(148, " ".repeat(8));
        field(157, self.link.clone());
        field(257, "ustar\x0000".to_owned());
        header[156] = self.kind;
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut bytes = header.to_vec();
        bytes.extend(&self.data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// A tar archive of these entries.
pub fn tar(entries: &[TarEntry]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(TarEntry::bytes).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// The control archive of a package.
pub fn control() -> Vec<u8> {
    tar(&[TarEntry::directory("./"), TarEntry::file("./control", b"Package: x\nVersion: 1\nArchitecture: all\n")])
}

/// One member of an `ar` archive; `size` is what its header states.
pub fn member(name: &str, size: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).into_bytes();
    bytes.extend(data);
    if data.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

/// An `ar` archive of these members.
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, data) in members {
        bytes.extend(member(name, &data.len().to_string(), data));
    }
    bytes
}

/// A Debian package that installs these entries; both archives are compressed with zstd.
pub fn deb(entries: &[TarEntry]) -> Vec<u8> {
    deb_of(&zstd(&tar(entries)), "data.tar.zst")
}

/// A Debian package with this data member.
pub fn deb_of(data: &[u8], name: &str) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &zstd(&control())), (name, data)])
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("zstd takes any bytes")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes any bytes");
    encoder.finish().expect("a vector takes any bytes")
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("a vector takes any bytes");
    encoder.finish().expect("a vector takes any bytes")
}

pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes any bytes");
    encoder.finish().expect("a vector takes any bytes")
}

/// The format that came before xz.
pub fn lzma(bytes: &[u8]) -> Vec<u8> {
    let options = liblzma::stream::LzmaOptions::new_preset(1).expect("there is such a preset");
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).expect("there is memory");
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).expect("a vector takes any bytes");
    encoder.finish().expect("a vector takes any bytes")
}

/// These bytes as a file whose name ends so has them.
pub fn packed(bytes: &[u8], suffix: &str) -> Vec<u8> {
    match suffix {
        "" => bytes.to_vec(),
        ".bz2" => bzip2(bytes),
        ".gz" => gzip(bytes),
        ".lzma" => lzma(bytes),
        ".xz" => xz(bytes),
        ".zst" => zstd(bytes),
        _ => panic!("{suffix}"),
    }
}

/// A zip archive of these files, uncompressed.
pub fn zip(entries: &[TarEntry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let mut sum = flate2::Crc::new();
        sum.update(&entry.data);
        let (size, name) = (u32::try_from(entry.data.len()).unwrap(), entry.name.as_bytes());
        // Version 2.0, no flags, stored, midnight of the first day that there is.
        let mut header: Vec<u8> = [20_u16, 0, 0, 0, 0x21].iter().flat_map(|number| number.to_le_bytes()).collect();
        header.extend([sum.sum(), size, size].iter().flat_map(|number| number.to_le_bytes()));
        header.extend([u16::try_from(name.len()).unwrap(), 0].iter().flat_map(|number| number.to_le_bytes()));
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        directory.extend(name);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(header);
        bytes.extend(name);
        bytes.extend(&entry.data);
    }
    let (count, at) = (u16::try_from(entries.len()).unwrap(), u32::try_from(bytes.len()).unwrap());
    let size = u32::try_from(directory.len()).unwrap();
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend([size, at].iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend([0; 2]);
    bytes
}
