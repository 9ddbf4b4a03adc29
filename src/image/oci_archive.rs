//! An image of containers in one file: an OCI image layout in a tar (OCI Image Format Specification 1.1, "Image Layout").
//!
//! It is checked before it becomes part of a root: what names a blob is the blob's digest, everything that is named is
//! there, and there is an image for the architecture.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use brc_contract::Architecture;
use serde_json::Value;

use crate::content::{
    Sha256, Sha256Hasher,
    tar_reader::{Kind, Limits, ReadError, read_tar},
};

/// The most bytes of a blob that is JSON: a manifest, an index, a configuration.
const MAX_JSON: u64 = 4 << 20;
/// The most of such blobs that are kept while an archive is read.
const MAX_KEPT: u64 = 64 << 20;
/// How much is hashed at once.
const PIECE: usize = 1 << 16;
/// The deepest index of indices.
const MAX_DEPTH: usize = 3;
/// What a file begins with that gzip has packed (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Where an archive says what it holds.
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256/";
/// What names an image: containerd's own annotation, and that of the specification.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// What is known of an archive once it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciArchive {
    /// The names of its images for the architecture, sorted.
    pub names: Vec<String>,
}

/// Reads as many bytes as there are and fit.
fn read_up_to(reader: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < into.len() {
        match reader.read(&mut into[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

/// The blobs of an archive.
struct Blobs {
    sizes: BTreeMap<String, u64>,
    json: BTreeMap<String, Vec<u8>>,
    index: Option<Vec<u8>>,
}

impl OciArchive {
    /// Reads an archive, and holds everything in it against its digest.
    ///
    /// # Errors
    /// What is no such archive, lacks something that it names, has nothing for the architecture or no name for it.
    pub fn check(reader: &mut dyn Read, architecture: Architecture) -> Result<Self, OciError> {
        let mut head = [0; 2];
        let length = read_up_to(reader, &mut head)?;
        if head == GZIP {
            return Err(OciError::Packed);
        }
        let blobs = Blobs::read(&mut head[..length].chain(reader))?;
        let index = json("index.json", blobs.index.as_deref().ok_or(OciError::NoIndex)?)?;
        let mut names = Vec::new();
        for listed in list(&index, "manifests") {
            let mut found = false;
            blobs.walk(listed, architecture, MAX_DEPTH, &mut found)?;
            if found {
                let name = NAMES.iter().find_map(|key| listed["annotations"][key].as_str());
                names.push(name.ok_or(OciError::NoName)?.to_owned());
            }
        }
        if names.is_empty() {
            return Err(OciError::OtherArchitecture { wanted: architecture.debian() });
        }
        names.sort();
        names.dedup();
        Ok(OciArchive { names })
    }
}

impl Blobs {
    fn read(reader: &mut dyn Read) -> Result<Blobs, OciError> {
        let mut blobs = Blobs { sizes: BTreeMap::new(), json: BTreeMap::new(), index: None };
        let mut kept = 0;
        read_tar::<OciError>(reader, &Limits::default(), &mut |member, content| {
            let path = member.path.as_str();
            if member.kind != Kind::File {
                return Ok(());
            }
            if path == INDEX {
                blobs.index = Some(small(path, content)?);
            }
            let Some(digest) = path.strip_prefix(BLOBS) else { return Ok(()) };
            let mut hasher = Sha256Hasher::default();
            let mut bytes = Vec::new();
            let mut head = content.take(MAX_JSON + 1);
            head.read_to_end(&mut bytes)?;
            hasher.update(&bytes);
            let mut size = bytes.len() as u64;
            let mut piece = vec![0; PIECE];
            loop {
                let length = content.read(&mut piece)?;
                if length == 0 {
                    break;
                }
                hasher.update(&piece[..length]);
                size += length as u64;
            }
            let found = hasher.finish();
            if found.to_string() != digest {
                return Err(OciError::Blob { path: path.to_owned(), found });
            }
            blobs.sizes.insert(digest.to_owned(), size);
            if bytes.first() == Some(&b'{') && size <= MAX_JSON {
                kept += size;
                if kept > MAX_KEPT {
                    return Err(OciError::TooMuch);
                }
                blobs.json.insert(digest.to_owned(), bytes);
            }
            Ok(())
        })?;
        Ok(blobs)
    }

    /// Goes through what a descriptor names, down to the layers; `found` when an image for the architecture is among it.
    fn walk(
        &self,
        descriptor: &Value,
        architecture: Architecture,
        depth: usize,
        found: &mut bool,
    ) -> Result<(), OciError> {
        let depth = depth.checked_sub(1).ok_or(OciError::TooMuch)?;
        let document = self.document(descriptor)?;
        for inner in list(&document, "manifests") {
            let stated = inner["platform"]["architecture"].as_str();
            // What is for another architecture need not be there: archives for one leave the others out.
            if stated.is_none_or(|stated| stated == architecture.debian()) {
                self.walk(inner, architecture, depth, found)?;
            }
        }
        if document["config"].is_object() {
            for layer in list(&document, "layers") {
                self.size(layer)?;
            }
            let configuration = self.document(&document["config"])?;
            *found |= configuration["architecture"].as_str() == Some(architecture.debian());
        }
        Ok(())
    }

    /// The JSON that a descriptor names.
    fn document(&self, descriptor: &Value) -> Result<Value, OciError> {
        let digest = self.size(descriptor)?;
        let bytes = self.json.get(digest).ok_or_else(|| OciError::NoJson { digest: digest.to_owned() })?;
        json(digest, bytes)
    }

    /// The digest of a blob that is there, in the size that its descriptor says.
    fn size<'d>(&self, descriptor: &'d Value) -> Result<&'d str, OciError> {
        let stated = descriptor["digest"].as_str().unwrap_or_default();
        let digest = stated.strip_prefix("sha256:").ok_or_else(|| OciError::Digest { found: stated.to_owned() })?;
        let size = self.sizes.get(digest).ok_or_else(|| OciError::Missing { digest: digest.to_owned() })?;
        if descriptor["size"].as_u64() != Some(*size) {
            return Err(OciError::Size { digest: digest.to_owned(), found: *size });
        }
        Ok(digest)
    }
}

fn list<'v>(document: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    document[key].as_array().into_iter().flatten()
}

fn json(name: &str, bytes: &[u8]) -> Result<Value, OciError> {
    serde_json::from_slice(bytes).map_err(|source| OciError::Json { name: name.to_owned(), source })
}

fn small(path: &str, content: &mut dyn Read) -> Result<Vec<u8>, OciError> {
    let mut bytes = Vec::new();
    content.take(MAX_JSON + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_JSON { Err(OciError::NoJson { digest: path.to_owned() }) } else { Ok(bytes) }
}

/// A file is no image of containers for an architecture.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// It is no tar archive, or not within what is accepted.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is packed.
    #[error("it is packed by gzip: expected the tar itself, as `gunzip` gives it")]
    Packed,
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It does not say what it holds.
    #[error("it has no `{INDEX}`: expected an OCI image layout in a tar, as `skopeo copy … oci-archive:FILE` makes it")]
    NoIndex,
    /// A blob is not what its name says.
    #[error("`{path}` has SHA-256 {found}")]
    Blob { path: String, found: Sha256 },
    /// A document is no JSON.
    #[error("`{name}` is no JSON")]
    Json { name: String, source: serde_json::Error },
    /// A document is no small JSON object.
    #[error("`{digest}` is no JSON object of at most {MAX_JSON} bytes")]
    NoJson { digest: String },
    /// A digest is of another kind.
    #[error("`{found}` is no digest: expected `sha256:` and 64 digits")]
    Digest { found: String },
    /// A blob that is named is not there.
    #[error("it names blob `sha256:{digest}` and does not have it")]
    Missing { digest: String },
    /// A blob has another size than it is said to have.
    #[error("blob `sha256:{digest}` has {found} bytes, and is said to have others")]
    Size { digest: String, found: u64 },
    /// An image has no name.
    #[error("its image has no name: expected the annotation `{}` or `{}` in `{INDEX}`", NAMES[0], NAMES[1])]
    NoName,
    /// There is nothing for the architecture.
    #[error("it has no image for `{wanted}`")]
    OtherArchitecture { wanted: &'static str },
    /// It is deeper or larger than any image.
    #[error("it is nested too deep, or has too much JSON")]
    TooMuch,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sha256(bytes: &[u8]) -> String {
        Sha256::of(bytes).to_string()
    }

    fn part(bytes: &[u8]) -> Value {
        json!({"digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
    }

    fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            builder.append_data(&mut header, path, &bytes[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// An archive of one image for `amd64`; `change` does something to its files.
    fn archive(change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Result<OciArchive, OciError> {
        let layer = b"layer".to_vec();
        let config = json!({"architecture": "amd64", "os": "linux"}).to_string().into_bytes();
        let manifest = json!({"config": part(&config), "layers": [part(&layer)]}).to_string().into_bytes();
        let mut listed = part(&manifest);
        listed["annotations"] = json!({"io.containerd.image.name": "localhost/a:1"});
        let index = json!({"manifests": [listed]}).to_string().into_bytes();
        let blob = |bytes: Vec<u8>| (format!("{BLOBS}{}", sha256(&bytes)), bytes);
        let mut files = vec![(INDEX.to_owned(), index), blob(layer), blob(config), blob(manifest)];
        change(&mut files);
        OciArchive::check(&mut &tar(&files)[..], Architecture::X86_64)
    }

    #[test]
    fn an_image_for_the_architecture_is_found_by_its_name() {
        assert_eq!(archive(|_| ()).unwrap().names, ["localhost/a:1"]);
    }

    type Change = fn(&mut Vec<(String, Vec<u8>)>);

    #[test]
    fn what_is_no_whole_image_for_the_architecture_is_told() {
        let replaced = |files: &mut Vec<(String, Vec<u8>)>, from: &str, to: &str| {
            let text = String::from_utf8(files[0].1.clone()).unwrap();
            files[0].1 = text.replace(from, to).into_bytes();
        };
        let cases: [(Change, &str); 7] = [
            (|files| drop(files.remove(0)), "it has no `index.json`"),
            (|files| files[0].1 = b"[".to_vec(), "`index.json` is no JSON"),
            (|files| files[0].1 = b"{}".to_vec(), "it has no image for `amd64`"),
            (|files| files[1].1[0] ^= 1, "`blobs/sha256/"),
            (|files| drop(files.remove(1)), "it names blob `sha256:"),
            (|files| drop(files.remove(3)), "it names blob `sha256:"),
            (|files| files[0].1 = b"{\"manifests\": [{\"digest\": \"md5:00\"}]}".to_vec(), "`md5:00` is no digest"),
        ];
        for (change, expected) in cases {
            let told = archive(change).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{expected}: {told}");
        }
        let told = archive(|files| replaced(files, "io.containerd.image.name", "x")).unwrap_err().to_string();
        assert!(told.starts_with("its image has no name"), "{told}");
        let packed = OciArchive::check(&mut &b"\x1f\x8b\x08nothing"[..], Architecture::X86_64);
        assert!(matches!(packed, Err(OciError::Packed)));
        let told = OciArchive::check(&mut &b"nothing"[..], Architecture::X86_64).unwrap_err();
        assert!(matches!(told, OciError::NoIndex | OciError::Read(_)), "{told}");
    }
}
