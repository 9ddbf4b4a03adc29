//! Performs `Action::Pack`.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use rayon::prelude::*;

use super::{
    manifest::{
        MANIFEST_VERSION, Manifest, ManifestComponent, ManifestError, ManifestFile, ManifestPart, ManifestRoot,
    },
    zstd::compress,
};
use crate::{
    content::{Digest, Entry, RelPath, Sha256, Tree},
    plan::{self, Failure, Fault, Outcome, Pack, PartRole, PartSource, Performer, Progress, Request, Zstd},
    store::{Store, StoreError},
};

/// Who owns the files that no layer of the root brought.
const FINISH: &str = "finish";

/// Performs `Action::Pack` with what is in a store.
#[derive(Debug, Clone)]
pub struct Packer {
    store: Store,
}

impl Packer {
    /// A packer that reads from and writes to `store`.
    pub fn new(store: Store) -> Self {
        Packer { store }
    }

    fn manifest(&self, wanted: &plan::Manifest<Digest>) -> Result<Digest, PackError> {
        let tree = self.store.tree(wanted.root)?;
        let mut owners = self.owners(wanted.owners)?;
        // What the finish steps added to what the layers brought.
        let files = tree.entries().filter(|(_, entry)| **entry != Entry::Directory);
        files.for_each(|(path, _)| {
            owners.entry(path.clone()).or_insert_with(|| FINISH.to_owned());
        });
        let root = (&RelPath::ROOT, &Entry::Directory);
        let paths: Vec<(&RelPath, &Entry)> = std::iter::once(root).chain(tree.entries()).collect();
        let files: Result<Vec<ManifestFile>, StoreError> = paths
            .into_par_iter()
            .map(|(path, entry)| {
                let sha256 = match entry {
                    Entry::File { blob, .. } => Some(self.store.sha256_of(*blob)?),
                    _ => None,
                };
                let metadata = tree.metadata(path).unwrap_or_else(|| entry.plain_metadata());
                Ok(ManifestFile::of(path, entry, metadata, owners.get(path), sha256))
            })
            .collect();
        let (image, size) = self.store.file_in(wanted.root_image.tree, &wanted.root_image.path)?;
        let (esp, esp_size) = self.store.file_in(wanted.esp.tree, &wanted.esp.path)?;
        let root_hash = self.text(wanted.verity, "root-hash")?;
        Sha256::parse(&root_hash).map_err(|_| PackError::Input { file: "root-hash" })?;
        let data_blocks = self.text(wanted.verity, "data-blocks")?;
        let manifest = Manifest {
            manifest_version: MANIFEST_VERSION,
            image: wanted.variant.clone(),
            version: wanted.version.clone(),
            architecture: wanted.architecture.name().to_owned(),
            root: ManifestRoot {
                root_hash,
                data_blocks: data_blocks.parse().map_err(|_| PackError::Input { file: "data-blocks" })?,
                size,
                sha256: self.store.sha256_of(image)?.to_string(),
                file_bytes: tree.file_bytes(),
            },
            esp: ManifestPart { size: esp_size, sha256: self.store.sha256_of(esp)?.to_string() },
            components: components(wanted, &tree, &owners),
            files: files?,
        };
        let bytes = manifest.encode()?;
        self.put_file("manifest.json", self.store.put(&bytes)?, bytes.len() as u64)
    }

    /// Who owns each path, as `Assemble::Root` listed it.
    fn owners(&self, tree: Digest) -> Result<BTreeMap<RelPath, String>, PackError> {
        let wrong = || PackError::Input { file: "owners" };
        let text = self.text(tree, "owners")?;
        text.lines()
            .map(|line| {
                let (owner, path) = line.split_once('\t').ok_or_else(wrong)?;
                Ok((RelPath::from_absolute(path).map_err(|_| wrong())?, owner.to_owned()))
            })
            .collect()
    }

    fn zstd(&self, wanted: &Zstd<Digest>, request: &Request<'_>) -> Result<Digest, PackError> {
        let name = &wanted.name;
        let (blob, size) = self.store.file_in(wanted.of.tree, &wanted.of.path)?;
        let folder = self.store.temporary()?;
        let path = folder.path().join("stream");
        let failed = |source| PackError::Io { name: name.clone(), source };
        let out = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        let done = AtomicU64::new(0);
        let tell = |bytes| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            (request.progress)(Progress::Bytes { done, total: Some(size) });
            !request.is_cancelled()
        };
        compress(&mut self.store.open_blob(blob)?, size, &out, &tell).map_err(failed)?;
        drop(out);
        let (blob, size) = self.store.put_file(&path)?;
        self.put_file(name, blob, size)
    }

    /// Stores a tree that holds one file.
    fn put_file(&self, name: &str, blob: Digest, size: u64) -> Result<Digest, PackError> {
        let wrong = || PackError::Name { name: name.to_owned() };
        let path = RelPath::new(name).map_err(|_| wrong())?;
        if path.is_root() || path.parent().is_some_and(|parent| !parent.is_root()) {
            return Err(wrong());
        }
        let mut tree = Tree::new();
        tree.insert(path, Entry::File { blob, size, executable: false }).map_err(|_| wrong())?;
        Ok(self.store.put_tree(&tree)?)
    }

    fn text(&self, tree: Digest, file: &'static str) -> Result<String, PackError> {
        let path = RelPath::new(file).map_err(|_| PackError::Input { file })?;
        let (blob, _) = self.store.file_in(tree, &path)?;
        String::from_utf8(self.store.read(blob)?).map_err(|_| PackError::Input { file })
    }
}

impl Performer<Pack<Digest>> for Packer {
    fn perform(&self, pack: &Pack<Digest>, request: &Request<'_>) -> Result<Outcome, Failure> {
        let (output, tree) = match pack {
            Pack::Manifest(wanted) => ("manifest", self.manifest(wanted)),
            Pack::Zstd(wanted) => ("artifact", self.zstd(wanted, request)),
        };
        let tree = tree.map_err(PackError::into_failure)?;
        Ok(Outcome::from([(output.to_owned(), tree)]))
    }
}

/// The components with what each owns. An owner that is not listed stands there by its name alone.
fn components(
    wanted: &plan::Manifest<Digest>,
    tree: &Tree,
    owners: &BTreeMap<RelPath, String>,
) -> Vec<ManifestComponent> {
    let named = |name: &str| ManifestComponent {
        name: name.to_owned(),
        role: PartRole::Root.name().to_owned(),
        version: String::new(),
        purl: String::new(),
        supplier: String::new(),
        license: "NOASSERTION".to_owned(),
        source: None,
        sha256: None,
        development: false,
        files: 0,
        bytes: 0,
    };
    let mut components: BTreeMap<&str, ManifestComponent> = BTreeMap::new();
    for part in &wanted.components {
        // Of one name in several roles, what is in the root comes first, and owns its files.
        let component = components.entry(&part.name).or_insert_with(|| ManifestComponent {
            role: part.role.name().to_owned(),
            version: part.version.clone(),
            purl: part.purl.clone(),
            supplier: part.supplier.clone(),
            license: part.license.clone(),
            source: part.source.clone(),
            sha256: part.sha256.map(|sha256| sha256.to_string()),
            ..named(&part.name)
        });
        component.development |= part.made_from == PartSource::Checkout;
    }
    for (path, owner) in owners {
        let component = components.entry(owner).or_insert_with(|| named(owner));
        match tree.entry(path) {
            Some(Entry::File { size, .. }) => {
                component.files += 1;
                component.bytes += size;
            }
            Some(Entry::Symlink { .. }) => component.files += 1,
            Some(Entry::Directory) | None => {}
        }
    }
    components.into_values().collect()
}

/// A file that leaves brc cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The store refused.
    #[error("the store cannot give or take a part of the artifact")]
    Store {
        #[from]
        source: StoreError,
    },
    /// The manifest cannot be written.
    #[error("the manifest cannot be written")]
    Manifest {
        #[from]
        source: ManifestError,
    },
    /// An input is not what the action that made it writes.
    #[error("input `{file}` is not what brc writes")]
    Input { file: &'static str },
    /// The artifact's name is not a file name.
    #[error("`{name}` is not a name for a file")]
    Name { name: String },
    /// A stream could not be written.
    #[error("`{name}` cannot be compressed")]
    Io { name: String, source: io::Error },
}

impl PackError {
    /// Who is to blame: the machine for a full disk, the store for a damaged input, the user who stopped it.
    fn into_failure(self) -> Failure {
        let fault = match &self {
            PackError::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted => Fault::Cancelled,
            PackError::Io { .. } => Fault::Machine,
            PackError::Store { source } => source.fault(),
            _ => Fault::Build,
        };
        Failure { fault, error: Box::new(self) }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::atomic::AtomicBool};

    use brc_contract::Architecture;

    use super::*;
    use crate::plan::FileOf;

    fn perform(packer: &Packer, pack: Pack<Digest>, cancelled: bool) -> Result<Outcome, Failure> {
        let request = Request {
            log: Path::new("unused"),
            cancelled: &AtomicBool::new(cancelled),
            job_server: None,
            progress: &|_| {},
        };
        packer.perform(&pack, &request)
    }

    fn put(store: &Store, files: &[(&str, &[u8])]) -> Digest {
        let mut tree = Tree::new();
        for (path, bytes) in files {
            let blob = store.put(bytes).unwrap();
            let entry = Entry::File { blob, size: bytes.len() as u64, executable: false };
            tree.insert(RelPath::new(path).unwrap(), entry).unwrap();
        }
        store.put_tree(&tree).unwrap()
    }

    #[test]
    fn a_manifest_lists_components_with_what_they_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let part = |name: &str| plan::Part {
            name: name.to_owned(),
            role: PartRole::Root,
            version: "1".to_owned(),
            purl: format!("pkg:generic/{name}@1"),
            supplier: "brc".to_owned(),
            license: "MIT".to_owned(),
            source: None,
            sha256: Some(Sha256::of(b"x")),
            made_from: PartSource::Locked,
        };
        let image = put(&store, &[("root.erofs", &[7; 4096])]);
        let root_hash = Sha256::of(b"root").to_string();
        let wanted = plan::Manifest {
            variant: "a".to_owned(),
            version: "1.0".to_owned(),
            architecture: Architecture::X86_64,
            components: vec![part("unused"), part("runc")],
            root: put(&store, &[("usr/bin/runc", b"program"), ("etc/x", b"x"), ("etc/made", b"made")]),
            owners: put(&store, &[("owners", b"brc\t/etc/x\nrunc\t/usr\nrunc\t/usr/bin/runc\n")]),
            root_image: FileOf { tree: image, path: RelPath::new("root.erofs").unwrap() },
            esp: FileOf { tree: image, path: RelPath::new("root.erofs").unwrap() },
            verity: put(&store, &[("root-hash", root_hash.as_bytes()), ("data-blocks", b"1")]),
        };
        let packer = Packer::new(store.clone());
        let outcome = perform(&packer, Pack::Manifest(wanted), false).unwrap();
        let name = RelPath::new("manifest.json").unwrap();
        let (blob, _) = store.file_in(outcome["manifest"], &name).unwrap();
        let manifest = Manifest::parse(&store.read(blob).unwrap()).unwrap();
        let of = |name: &str| manifest.components.iter().find(|component| component.name == name).unwrap();
        assert_eq!((of("runc").files, of("runc").bytes, of("runc").license.as_str()), (1, 7, "MIT"));
        assert_eq!((of("unused").files, of("brc").files, of("finish").bytes), (0, 1, 4));
        assert_eq!((of("runc").purl.as_str(), of("runc").role.as_str()), ("pkg:generic/runc@1", "root"));
        assert_eq!(manifest.root.data_blocks, 1);
        assert_eq!(manifest.files[0].path, "/");
        let runc = manifest.files.iter().find(|file| file.path == "/usr/bin/runc").unwrap();
        assert_eq!(runc.owner.as_deref(), Some("runc"));
    }

    #[test]
    fn a_disk_becomes_a_stream_under_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let disk = FileOf { tree: put(&store, &[("disk.raw", &[0; 65536])]), path: RelPath::new("disk.raw").unwrap() };
        let packer = Packer::new(store.clone());
        let pack = |name: &str| Pack::Zstd(Zstd { of: disk.clone(), name: name.to_owned() });
        let stream = perform(&packer, pack("a.raw.zst"), false).unwrap()["artifact"];
        let (blob, _) = store.file_in(stream, &RelPath::new("a.raw.zst").unwrap()).unwrap();
        assert_eq!(zstd::decode_all(&store.read(blob).unwrap()[..]).unwrap(), vec![0; 65536]);
        let stopped = perform(&packer, pack("a.raw.zst"), true).unwrap_err();
        assert_eq!(stopped.fault, Fault::Cancelled);
        assert_eq!(perform(&packer, pack("../a"), false).unwrap_err().fault, Fault::Build);
    }
}
