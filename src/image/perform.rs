//! Performs `Action::Assemble`: reads inputs from the store, lets the rooms' parts work, puts outputs back.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use brc_contract::{Guid, partition::MAX_ESP_BYTES, well_known};

use super::{
    boot_record::{BootRecord, BootRecordError},
    disk::{self, DiskError},
    esp,
    factory::{self, FactoryError},
    fat::{self, FatError, FatFile},
    initramfs::InitramfsError,
    kernel_drop::KernelDropError,
    module::{self, ModuleError},
    packaged_kernel::PackagedKernelError,
    root::{self, RootError},
    signature::{Certificate, CertificateError, SignError, SigningKey},
    uki::{self, UkiError, VerifiedRoot},
    verity::{self, RootHash, Superblock},
};
use crate::{
    content::{Digest, Entry, RelPath, Sha256, Tree},
    plan::{
        Action, Assemble, BootFile, Failure, Fault, FileOf, Outcome, Performer, Progress, Request, RootLayer,
        layout::BLOCK,
    },
    store::{Store, StoreError, WorkFolder},
};

/// The output that says who owns each path of a root, and its file.
const OWNERS: &str = "owners";
/// The file of a unified kernel image.
const UKI: &str = "uki.efi";

/// Performs `Action::Assemble` with what is in a store.
#[derive(Debug, Clone)]
pub struct Assembler {
    store: Store,
    keys: Vec<SigningKey>,
}

impl Assembler {
    /// An assembler that reads from and writes to `store`.
    pub fn new(store: Store) -> Self {
        Assembler { store, keys: Vec::new() }
    }

    /// The same, which can sign with `keys`.
    #[must_use]
    pub fn with_keys(self, keys: Vec<SigningKey>) -> Self {
        Assembler { keys, ..self }
    }

    /// Reads the certificate that something is to be signed for and finds its key.
    ///
    /// # Errors
    /// A file that is not there or no certificate; a certificate whose key was not given.
    pub fn signer(&self, certificate: &FileOf<Digest>) -> Result<(Certificate, &SigningKey), AssembleError> {
        let (blob, _) = self.store.file_in(certificate.tree, &certificate.path)?;
        let certificate = Certificate::from_pem(&self.store.read(blob)?)?;
        match self.keys.iter().find(|key| key.is_of(&certificate)) {
            Some(key) => Ok((certificate, key)),
            None => Err(AssembleError::NoSigningKey { subject: certificate.subject, given: self.keys.len() }),
        }
    }
}

impl Performer for Assembler {
    fn identity(&self) -> &'static str {
        "image 3"
    }

    fn perform(&self, request: &Request<'_>) -> Result<Outcome, Failure> {
        let Action::Assemble(assemble) = request.action else {
            return Err(Failure::build(AssembleError::Foreign));
        };
        let work = Work { assembler: self, store: &self.store, request, done: AtomicU64::new(0) };
        let (output, tree) = match assemble {
            Assemble::Root { layers } => return work.root(layers).map_err(AssembleError::into_failure),
            Assemble::Visible { tree, owners, stated } => {
                return work.visible(*tree, *owners, stated).map_err(AssembleError::into_failure);
            }
            Assemble::Modules { tree } => ("modules", work.modules(*tree)),
            Assemble::SignedModules { modules, certificate } => ("modules", work.signed_modules(*modules, certificate)),
            Assemble::Replaced { tree, with } => ("root", work.replaced(*tree, *with)),
            Assemble::PackagedKernel { packages, drop } => {
                return work.packaged_kernel(packages, drop).map_err(AssembleError::into_failure);
            }
            Assemble::Initramfs(initramfs) => ("initramfs", work.initramfs(initramfs)),
            Assemble::Verity { data, salt, uuid } => ("verity", work.verity(data, salt, uuid)),
            Assemble::Uki { .. } => ("uki", work.uki(assemble)),
            Assemble::BootRecord { uki, files } => ("record", work.boot_record(uki, files)),
            Assemble::BoundUki { uki, verity, salt } => ("uki", work.bound_uki(uki, *verity, salt)),
            Assemble::Esp { files, size, volume_id, epoch } => ("esp", work.esp(files, *size, *volume_id, *epoch)),
            Assemble::Disk { .. } => ("disk", work.disk(assemble)),
        };
        let tree = tree.map_err(AssembleError::into_failure)?;
        Ok(Outcome::from([(output.to_owned(), tree)]))
    }
}

/// One action that is being performed.
pub(super) struct Work<'a> {
    assembler: &'a Assembler,
    pub(super) store: &'a Store,
    request: &'a Request<'a>,
    done: AtomicU64,
}

/// What the output of `Assemble::Verity` says.
struct HashTree {
    root_hash: RootHash,
    data_blocks: u64,
    file: File,
    size: u64,
}

impl Work<'_> {
    fn root(&self, layers: &[RootLayer<Digest>]) -> Result<Outcome, AssembleError> {
        let trees: Result<Vec<Tree>, StoreError> =
            layers.iter().map(|layer| self.store.tree(layer.tree).map(Arc::unwrap_or_clone)).collect();
        let root = root::build(layers, trees?)?;
        self.owned(&root.tree, &root.owners)
    }

    fn visible(&self, tree: Digest, owners: Digest, stated: &[RelPath]) -> Result<Outcome, AssembleError> {
        let owners = self.text(&FileOf { tree: owners, path: RelPath::new(OWNERS).unwrap_or_default() })?;
        let mut visible = factory::visible(self.store.tree(tree).map(Arc::unwrap_or_clone)?, &owners, stated)?;
        for (path, text) in visible.lists {
            let blob = self.store.put(text.as_bytes())?;
            let entry = Entry::File { blob, size: text.len() as u64, executable: false };
            visible.tree.insert(path, entry).map_err(FactoryError::from)?;
        }
        self.owned(&visible.tree, &visible.owners)
    }

    /// A root and the list of who owns its paths.
    fn owned(&self, tree: &Tree, owners: &str) -> Result<Outcome, AssembleError> {
        let list = file_tree([(OWNERS, self.store.put(owners.as_bytes())?, owners.len() as u64)]);
        Ok(Outcome::from([
            ("root".to_owned(), self.store.put_tree(tree)?),
            (OWNERS.to_owned(), self.store.put_tree(&list)?),
        ]))
    }

    fn modules(&self, tree: Digest) -> Result<Digest, AssembleError> {
        let modules = module::modules(&*self.store.tree(tree)?, |blob| {
            let mut begins = Vec::new();
            let read = self.store.open_blob(blob)?.take(4).read_to_end(&mut begins);
            read.map_err(|source| AssembleError::Io { what: "module", source })?;
            Ok::<_, AssembleError>(begins.try_into().unwrap_or_default())
        })?;
        Ok(self.store.put_tree(&modules)?)
    }

    /// Without modules nothing is signed, and no key is asked for.
    fn signed_modules(&self, modules: Digest, certificate: &FileOf<Digest>) -> Result<Digest, AssembleError> {
        let modules = self.store.tree(modules)?;
        let (mut signed, mut signer) = (Tree::new(), None);
        for (path, entry) in modules.entries() {
            let Entry::File { blob, executable, .. } = *entry else { continue };
            let (certificate, key) = match &mut signer {
                Some(signer) => signer,
                none => none.insert(self.assembler.signer(certificate)?),
            };
            let bytes = module::signed(self.store.read(blob)?, certificate, key)?;
            let size = bytes.len() as u64;
            let entry = Entry::File { blob: self.store.put(&bytes)?, size, executable };
            // Nothing stands in its way where nothing stood in the way of the module.
            signed.insert(path.clone(), entry).unwrap_or_default();
            if !self.tell(size, modules.file_bytes()) {
                return Err(AssembleError::Io { what: "module", source: io::ErrorKind::Interrupted.into() });
            }
        }
        Ok(self.store.put_tree(&signed)?)
    }

    fn replaced(&self, tree: Digest, with: Digest) -> Result<Digest, AssembleError> {
        let tree = self.store.tree(tree).map(Arc::unwrap_or_clone)?;
        Ok(self.store.put_tree(&module::replaced(tree, &*self.store.tree(with)?))?)
    }

    fn verity(&self, data: &FileOf<Digest>, salt: &[u8; 32], uuid: &[u8; 16]) -> Result<Digest, AssembleError> {
        let (data_file, size) = self.open(data)?;
        if size == 0 || !size.is_multiple_of(BLOCK) {
            return Err(AssembleError::DataSize { path: data.path.clone(), size });
        }
        let superblock = Superblock { uuid: *uuid, data_blocks: size / BLOCK, salt: *salt };
        let scratch = self.scratch()?;
        let tell = |bytes| self.tell(bytes, size);
        let root_hash = verity::write_hash_file(&data_file, &superblock, &scratch.file, &tell)
            .map_err(|source| AssembleError::Io { what: "hash tree", source })?;
        let (hash, hash_size) = self.store.put_file(&scratch.path)?;
        let text = Sha256::from_bytes(root_hash).to_string();
        let blocks = superblock.data_blocks.to_string();
        let tree = file_tree([
            ("hash", hash, hash_size),
            ("root-hash", self.store.put(text.as_bytes())?, text.len() as u64),
            ("data-blocks", self.store.put(blocks.as_bytes())?, blocks.len() as u64),
        ]);
        Ok(self.store.put_tree(&tree)?)
    }

    fn uki(&self, assemble: &Assemble<Digest>) -> Result<Digest, AssembleError> {
        let Assemble::Uki { stub, kernel, os_release, release, initramfs, command_line, architecture } = assemble
        else {
            return Err(AssembleError::Foreign);
        };
        let release_text = self.text(release)?;
        let image = uki::build(&uki::Parts {
            stub: &self.read(stub)?,
            kernel: &self.read(kernel)?,
            os_release,
            release: release_text.trim(),
            command_line,
            initramfs: initramfs.as_ref().map(|file| self.read(file)).transpose()?.as_deref(),
            architecture: *architecture,
        })?;
        self.one_file(UKI, &image)
    }

    fn boot_record(&self, uki: &FileOf<Digest>, files: &[BootFile<Digest>]) -> Result<Digest, AssembleError> {
        let mut digests = BTreeMap::new();
        for file in files {
            let (blob, _) = self.store.file_in(file.from.tree, &file.from.path)?;
            digests.insert(file.to.clone(), self.store.sha256_of(blob)?);
        }
        self.one_file(well_known::BOOT_RECORD, &BootRecord::of(self.read(uki)?, digests)?.encode()?)
    }

    fn bound_uki(&self, uki: &FileOf<Digest>, verity: Digest, salt: &[u8; 32]) -> Result<Digest, AssembleError> {
        let HashTree { root_hash, data_blocks, .. } = self.hash_tree(verity)?;
        let bound = uki::bind(self.read(uki)?, &VerifiedRoot { root_hash, data_blocks, salt })?;
        self.one_file(UKI, &bound)
    }

    fn one_file(&self, name: &str, bytes: &[u8]) -> Result<Digest, AssembleError> {
        let blob = self.store.put(bytes)?;
        Ok(self.store.put_tree(&file_tree([(name, blob, bytes.len() as u64)]))?)
    }

    fn esp(&self, files: &[BootFile<Digest>], size: Option<u64>, id: u32, epoch: u64) -> Result<Digest, AssembleError> {
        let mut content = Vec::with_capacity(files.len());
        for file in files {
            let (opened, size) = self.open(&file.from)?;
            content.push(FatFile { path: file.to.clone(), content: opened, size });
        }
        let sizes: Vec<(RelPath, u64)> = content.iter().map(|file| (file.path.clone(), file.size)).collect();
        let needed = esp::needed_size(&sizes);
        let size = size.unwrap_or(needed);
        if size < needed || size > MAX_ESP_BYTES {
            return Err(AssembleError::EspSize { size, needed });
        }
        let scratch = self.scratch()?;
        scratch.file.set_len(size).map_err(|source| AssembleError::Io { what: "ESP", source })?;
        fat::write(&fat::Volume { size, id, epoch }, &content, &scratch.file)?;
        let (blob, size) = self.store.put_file(&scratch.path)?;
        Ok(self.store.put_tree(&file_tree([("esp.img", blob, size)]))?)
    }

    fn disk(&self, assemble: &Assemble<Digest>) -> Result<Digest, AssembleError> {
        let Assemble::Disk { guid, esp, esp_guid, root, verity, slots, label, architecture } = assemble else {
            return Err(AssembleError::Foreign);
        };
        let hash = self.hash_tree(*verity)?;
        let (esp, esp_size) = self.open(esp)?;
        let (root_file, root_size) = self.open(root)?;
        if root_size != hash.data_blocks * BLOCK {
            return Err(AssembleError::OtherRoot { size: root_size, data_blocks: hash.data_blocks });
        }
        let parts = disk::Parts {
            guid: Guid::from_bytes(*guid),
            esp: disk::Part { file: &esp, size: esp_size },
            esp_guid: Guid::from_bytes(*esp_guid),
            root: disk::Part { file: &root_file, size: root_size },
            hash: disk::Part { file: &hash.file, size: hash.size },
            root_hash: &hash.root_hash,
            slots,
            label,
            architecture: *architecture,
        };
        let mut scratch = self.scratch()?;
        let total = esp_size + root_size + hash.size;
        disk::write(&parts, &mut scratch.file, &|bytes| self.tell(bytes, total))?;
        let (blob, size) = self.store.put_file(&scratch.path)?;
        Ok(self.store.put_tree(&file_tree([("disk.raw", blob, size)]))?)
    }

    /// Reads the output of `Assemble::Verity`.
    fn hash_tree(&self, tree: Digest) -> Result<HashTree, AssembleError> {
        let file = |name: &str| FileOf { tree, path: RelPath::new(name).unwrap_or_default() };
        let wrong = |file: &'static str| AssembleError::NoHashTree { file };
        let root_hash = Sha256::parse(&self.text(&file("root-hash"))?).map_err(|_| wrong("root-hash"))?;
        let data_blocks = self.text(&file("data-blocks"))?.parse().map_err(|_| wrong("data-blocks"))?;
        let (file, size) = self.open(&file("hash"))?;
        Ok(HashTree { root_hash: *root_hash.as_bytes(), data_blocks, file, size })
    }

    fn open(&self, file: &FileOf<Digest>) -> Result<(File, u64), AssembleError> {
        let (blob, size) = self.store.file_in(file.tree, &file.path)?;
        Ok((self.store.open_blob(blob)?, size))
    }

    pub(super) fn read(&self, file: &FileOf<Digest>) -> Result<Vec<u8>, AssembleError> {
        let (blob, _) = self.store.file_in(file.tree, &file.path)?;
        Ok(self.store.read(blob)?)
    }

    pub(super) fn text(&self, file: &FileOf<Digest>) -> Result<String, AssembleError> {
        let text = String::from_utf8(self.read(file)?);
        text.map_err(|_| AssembleError::NoText { path: file.path.clone() })
    }

    /// A new file that the store takes over when it is put there.
    fn scratch(&self) -> Result<Scratch, AssembleError> {
        let folder = self.store.temporary()?;
        let path = folder.path().join("part");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|source| AssembleError::Io { what: "temporary file", source })?;
        Ok(Scratch { file, path, _folder: folder })
    }

    /// Counts bytes and says whether to go on.
    fn tell(&self, bytes: u64, total: u64) -> bool {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.request.progress)(Progress::Bytes { done, total: Some(total) });
        !self.request.is_cancelled()
    }
}

/// A file in a temporary folder; both go when this is dropped.
struct Scratch {
    file: File,
    path: PathBuf,
    _folder: WorkFolder,
}

/// A tree of plain files at its top: name, blob, size.
pub(super) fn file_tree<const N: usize>(files: [(&str, Digest, u64); N]) -> Tree {
    let mut tree = Tree::new();
    for (name, blob, size) in files {
        let entry = Entry::File { blob, size, executable: false };
        // The names are constants of this file, each a path and each given once.
        tree.insert(RelPath::new(name).unwrap_or_default(), entry).unwrap_or_default();
    }
    tree
}

/// A part of a disk cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The store refused.
    #[error("the store cannot give or take a part of the image")]
    Store {
        #[from]
        source: StoreError,
    },
    /// The root tree.
    #[error("the root tree cannot be made")]
    Root {
        #[from]
        source: RootError,
    },
    /// What the running machine would hide.
    #[error("the root has what the running machine would hide")]
    Hidden {
        #[from]
        source: FactoryError,
    },
    /// The modules.
    #[error("the kernel modules cannot be signed")]
    Modules {
        #[from]
        source: ModuleError,
    },
    /// The signature of a module.
    #[error("a kernel module cannot be signed")]
    Sign {
        #[from]
        source: SignError,
    },
    /// What something is to be signed for.
    #[error("the kernel's `module-certificate` cannot be used")]
    Certificate {
        #[from]
        source: CertificateError,
    },
    /// A key is missing.
    #[error(
        "kernel modules are signed for `{subject}`, and {}: give the file of its private key with `--signing-key FILE`",
        if *given == 0 { "no key was given" } else { "no key that was given is of that certificate" }
    )]
    NoSigningKey { subject: String, given: usize },
    /// The packages of a finished kernel.
    #[error("the kernel cannot be taken out of its packages")]
    PackagedKernel {
        #[from]
        source: PackagedKernelError,
    },
    /// What is left out of a finished kernel.
    #[error("the kernel cannot go without what its `drop` leaves out")]
    KernelDrop {
        #[from]
        source: KernelDropError,
    },
    /// What a finished kernel is started with.
    #[error("the initramfs cannot be made")]
    Initramfs {
        #[from]
        source: InitramfsError,
    },
    /// The unified kernel image.
    #[error("the unified kernel image cannot be made")]
    Uki {
        #[from]
        source: UkiError,
    },
    /// What the root says of its start.
    #[error("what the root says of the files that start it cannot be written")]
    BootRecord {
        #[from]
        source: BootRecordError,
    },
    /// The file system of the ESP.
    #[error("the EFI system partition cannot be made")]
    Fat {
        #[from]
        source: FatError,
    },
    /// The disk.
    #[error("the disk cannot be made")]
    Disk {
        #[from]
        source: DiskError,
    },
    /// A file could not be read or written.
    #[error("the {what} cannot be written")]
    Io { what: &'static str, source: io::Error },
    /// The data of a hash tree is not made of blocks.
    #[error("`{path}` has {size} bytes: expected a multiple of 4096, and some, to make a dm-verity tree of")]
    DataSize { path: RelPath, size: u64 },
    /// An ESP without room for updates, or a larger one than is read.
    #[error(
        "an ESP of {size} bytes: expected at least {needed}, which has room for updates with three times the kernel \
         image, and at most 4 GiB"
    )]
    EspSize { size: u64, needed: u64 },
    /// A hash tree of another root image.
    #[error("the root image has {size} bytes, but its hash tree is of {data_blocks} blocks of 4096")]
    OtherRoot { size: u64, data_blocks: u64 },
    /// What should be the output of `Assemble::Verity` is not.
    #[error("file `{file}` of a dm-verity output is not what brc writes")]
    NoHashTree { file: &'static str },
    /// A file should be text.
    #[error("`{path}` is not UTF-8 text")]
    NoText { path: RelPath },
    /// The action belongs to another performer.
    #[error("this action is not one of `image`")]
    Foreign,
}

impl AssembleError {
    /// Who is to blame: the machine for a full disk, the store for a damaged input, the user who stopped it.
    fn into_failure(self) -> Failure {
        let io_error = match &self {
            AssembleError::Io { source, .. }
            | AssembleError::Disk { source: DiskError::Write { source, .. } }
            | AssembleError::Fat { source: FatError::Copy { source, .. } | FatError::Write { source } } => {
                Some(source.kind())
            }
            _ => None,
        };
        let fault = match (&self, io_error) {
            (_, Some(io::ErrorKind::Interrupted)) => Fault::Cancelled,
            (_, Some(_)) => Fault::Machine,
            (AssembleError::Store { source }, _) if source.is_machine_fault() => Fault::Machine,
            (AssembleError::Store { source }, _) if source.lost_object().is_some() => Fault::Damaged,
            _ => Fault::Build,
        };
        Failure { fault, error: Box::new(self) }
    }
}
