//! The manifest of an image: `manifest.json`, version 2.
//!
//! Everything that is in the root, who brought it, and the hash that stands for it all. The order of fields, of
//! components (by name) and of files (by path) is fixed, so that equal images have equal manifests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::content::{Digest, Entry, Metadata, RelPath, Sha256, Tree};

/// The version of the format that is written; others are not read.
pub const MANIFEST_VERSION: u32 = 2;
/// What the name of its file ends in, after that of the image.
pub const MANIFEST_ENDING: &str = "manifest.json";
/// What the name of the disk for data ends in that comes with an image.
pub const DATA_DISK_ENDING: &str = "data.raw";
/// A longer manifest is not read.
const MAX_BYTES: usize = 256 << 20;

/// What an image is and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub manifest_version: u32,
    /// The variant's name.
    pub image: String,
    /// The image's version.
    pub version: String,
    /// The architecture: `x86_64`, `aarch64`.
    pub architecture: String,
    /// The root image.
    pub root: ManifestRoot,
    /// The ESP as it is published; a host that runs writes to its own.
    pub esp: ManifestPart,
    /// What it is made of, sorted by name.
    pub components: Vec<ManifestComponent>,
    /// Everything in the root, sorted by path; the root folder first.
    pub files: Vec<ManifestFile>,
}

/// The root image and what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestRoot {
    /// The dm-verity root hash, 64 hexadecimal digits.
    pub root_hash: String,
    /// The number of data blocks of 4096 bytes.
    pub data_blocks: u64,
    /// The size of the root image in bytes.
    pub size: u64,
    /// The SHA-256 of the root image.
    pub sha256: String,
    /// The sum of all file sizes in bytes, before compression.
    pub file_bytes: u64,
}

/// A part of the disk that its bytes alone name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestPart {
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: String,
}

/// A part of an image as the inventory has it, and what of the root it owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestComponent {
    /// Its name.
    pub name: String,
    /// What it is to the image: `root`, `kernel`, `initramfs`, `boot-loader`.
    pub role: String,
    /// Its version.
    pub version: String,
    /// Its package URL (purl).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purl: String,
    /// The archive or recipe set that it was had from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub supplier: String,
    /// Its licence expression (SPDX), or `NOASSERTION`.
    pub license: String,
    /// What it was built from, where that is known: the package URL of a source package, or a download location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The SHA-256 of what it was made from, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether it was built from a developer's own folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub development: bool,
    /// The number of files and links that it owns.
    pub files: u64,
    /// The sum of the sizes of its files in bytes.
    pub bytes: u64,
}

/// A path in the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The path, from `/` on.
    pub path: String,
    /// The component that owns it; no one owns a folder that only holds what others own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub kind: ManifestKind,
    /// The mode in octal digits: `0644`, `4755`.
    pub mode: String,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// Extended attributes by full name, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ManifestKind {
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// The BLAKE3 of its bytes.
        blake3: String,
        /// The SHA-256 of its bytes.
        sha256: String,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: String,
    },
}

impl Manifest {
    /// The manifest as bytes: indented JSON with a final newline.
    ///
    /// # Errors
    /// Never for what [`Manifest::parse`] gives; serde's signature has one.
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|source| ManifestError::Json { source })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// What is longer than 256 MiB, no JSON of this shape, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            manifest_version: u32,
        }
        if bytes.len() > MAX_BYTES {
            return Err(ManifestError::TooLong { bytes: bytes.len() });
        }
        let json = |source| ManifestError::Json { source };
        let Head { manifest_version } = serde_json::from_slice(bytes).map_err(json)?;
        if manifest_version != MANIFEST_VERSION {
            return Err(ManifestError::Version { found: manifest_version });
        }
        serde_json::from_slice(bytes).map_err(json)
    }

    /// The root tree that the manifest describes.
    ///
    /// # Errors
    /// The first path, digest, mode or attribute that is not one, or a path that does not come after the one before.
    pub fn tree(&self) -> Result<Tree, ManifestError> {
        let mut tree = Tree::new();
        let mut last: Option<RelPath> = None;
        for file in &self.files {
            let wrong = |field| ManifestError::File { path: file.path.clone(), field };
            let path = RelPath::from_absolute(&file.path).map_err(|_| wrong("path"))?;
            if last.as_ref().is_some_and(|last| *last >= path) {
                return Err(wrong("path"));
            }
            last = Some(path.clone());
            let mode = u16::from_str_radix(&file.mode, 8).ok().filter(|mode| *mode <= 0o7777);
            let mode = mode.filter(|mode| file.mode == format!("{mode:04o}")).ok_or_else(|| wrong("mode"))?;
            let entry = match &file.kind {
                ManifestKind::Directory => Entry::Directory,
                ManifestKind::Symlink { target } => Entry::Symlink { target: target.clone() },
                ManifestKind::File { size, blake3, .. } => Entry::File {
                    blob: Digest::parse(blake3).map_err(|_| wrong("blake3"))?,
                    size: *size,
                    executable: mode & 0o111 != 0,
                },
            };
            let decoded = file.xattrs.iter().map(|(name, value)| Some((name.clone(), from_hex(value)?)));
            let xattrs = decoded.collect::<Option<_>>().ok_or_else(|| wrong("xattrs"))?;
            let metadata = Metadata { mode, uid: file.uid, gid: file.gid, xattrs };
            tree.insert_with(path, entry, metadata).map_err(|_| wrong("path"))?;
        }
        Ok(tree)
    }

    /// The SHA-256 of the ESP.
    ///
    /// # Errors
    /// When it is not 64 hexadecimal digits.
    pub fn esp_sha256(&self) -> Result<Sha256, ManifestError> {
        let wrong = |_| ManifestError::File { path: "/".to_owned(), field: "esp" };
        Sha256::parse(&self.esp.sha256).map_err(wrong)
    }

    /// The dm-verity root hash.
    ///
    /// # Errors
    /// When it is not 64 hexadecimal digits.
    pub fn root_hash(&self) -> Result<Sha256, ManifestError> {
        let wrong = |_| ManifestError::File { path: "/".to_owned(), field: "root_hash" };
        Sha256::parse(&self.root.root_hash).map_err(wrong)
    }
}

impl ManifestFile {
    /// What a manifest says of a path; `sha256` is that of a file's bytes.
    pub(super) fn of(
        path: &RelPath,
        entry: &Entry,
        metadata: Metadata,
        owner: Option<&String>,
        sha256: Option<Sha256>,
    ) -> Self {
        let kind = match entry {
            Entry::Directory => ManifestKind::Directory,
            Entry::Symlink { target } => ManifestKind::Symlink { target: target.clone() },
            Entry::File { blob, size, .. } => ManifestKind::File {
                size: *size,
                blake3: blob.to_string(),
                sha256: sha256.map(|sha256| sha256.to_string()).unwrap_or_default(),
            },
        };
        ManifestFile {
            path: path.to_string(),
            owner: owner.cloned(),
            kind,
            mode: format!("{:04o}", metadata.mode),
            uid: metadata.uid,
            gid: metadata.gid,
            xattrs: metadata.xattrs.into_iter().map(|(name, value)| (name, to_hex(&value))).collect(),
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// A manifest cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// No JSON, or of another shape.
    #[error("the manifest is not what brc writes")]
    Json { source: serde_json::Error },
    /// Longer than any that is written.
    #[error("the manifest has {bytes} bytes, expected at most 256 MiB")]
    TooLong { bytes: usize },
    /// A version that this brc does not know.
    #[error("the manifest has version {found}, expected 2: it belongs to another version of brc")]
    Version { found: u32 },
    /// A field that makes no sense.
    #[error("the manifest's `{field}` of `{path}` makes no sense")]
    File { path: String, field: &'static str },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let mut tree = Tree::new();
        let mut capable = Metadata::with_mode(0o4755);
        capable.gid = 5;
        capable.xattrs.insert("security.capability".into(), vec![1, 0, 0xff]);
        let ping = Entry::File { blob: Digest::of(b"ping"), size: 4, executable: true };
        tree.insert_with(RelPath::new("usr/bin/ping").unwrap(), ping, capable).unwrap();
        tree.insert(RelPath::new("bin").unwrap(), Entry::Symlink { target: "usr/bin".into() }).unwrap();
        let owner = "iputils".to_owned();
        let root = (&RelPath::ROOT, &Entry::Directory);
        let files = std::iter::once(root).chain(tree.entries()).map(|(path, entry)| {
            let owner = (*entry != Entry::Directory).then_some(&owner);
            let sha256 = matches!(entry, Entry::File { .. }).then(|| Sha256::of(b"ping"));
            ManifestFile::of(path, entry, tree.metadata(path).unwrap(), owner, sha256)
        });
        Manifest {
            manifest_version: MANIFEST_VERSION,
            image: "quickstart".into(),
            version: "0.1.0".into(),
            architecture: "x86_64".into(),
            root: ManifestRoot {
                root_hash: Sha256::of(b"root").to_string(),
                data_blocks: 2,
                size: 8192,
                sha256: Sha256::of(b"image").to_string(),
                file_bytes: 4,
            },
            esp: ManifestPart { size: 512, sha256: Sha256::of(b"esp").to_string() },
            components: vec![ManifestComponent {
                name: owner.clone(),
                role: "root".into(),
                version: "3:20240905-3".into(),
                purl: "pkg:deb/debian/iputils-ping@3:20240905-3?arch=amd64".into(),
                supplier: "debian".into(),
                source: Some("pkg:deb/debian/iputils@3:20240905-3?arch=source".into()),
                license: "NOASSERTION".into(),
                sha256: None,
                development: false,
                files: 2,
                bytes: 4,
            }],
            files: files.collect(),
        }
    }

    #[test]
    fn the_format_is_this_one() {
        insta::assert_snapshot!(String::from_utf8(manifest().encode().unwrap()).unwrap());
    }

    #[test]
    fn a_manifest_is_read_back_and_describes_the_tree() {
        let manifest = manifest();
        let read = Manifest::parse(&manifest.encode().unwrap()).unwrap();
        assert_eq!(read, manifest);
        let tree = read.tree().unwrap();
        let ping = RelPath::new("usr/bin/ping").unwrap();
        let metadata = tree.metadata(&ping).unwrap();
        assert_eq!((metadata.mode, metadata.gid), (0o4755, 5));
        assert_eq!(metadata.xattrs["security.capability"], [1, 0, 0xff]);
        assert_eq!(tree.len(), 4);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let text = String::from_utf8(manifest().encode().unwrap()).unwrap();
        for (from, to) in [("\"manifest_version\": 2", "\"manifest_version\": 1"), ("\"image\"", "\"picture\"")] {
            assert!(Manifest::parse(text.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        for (from, to) in [
            ("/usr/bin/ping", "/usr/../ping"),
            ("4755", "8"),
            ("4755", "14755"),
            ("4755", "+4755"),
            ("0100ff", "0100f"),
            ("/usr/bin/ping", "/bin/x"),
            // A folder twice, and a path before its folder.
            ("\"/usr/bin\"", "\"/usr\""),
            ("\"/bin\"", "\"/zzz\""),
        ] {
            assert!(text.contains(from), "{from}");
            let changed = Manifest::parse(text.replace(from, to).as_bytes()).unwrap();
            assert!(changed.tree().is_err(), "{to}");
        }
    }
}
