//! Performs `Action::Assemble`: reads inputs from the store, lets the rooms' parts work, puts outputs back.

mod boot_record;
mod bound_uki;
mod data_disk;
mod disk;
mod esp;
mod initramfs;
mod modules;
mod packaged_kernel;
mod replaced;
mod root;
mod signed_modules;
mod uki;
mod verity;
mod visible;

use std::{
    fs::{File, OpenOptions},
    io,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    boot_record::BootRecordError,
    data_disk::DataDiskError,
    disk::DiskError,
    factory::FactoryError,
    fat::FatError,
    initramfs::InitramfsError,
    kernel_drop::KernelDropError,
    module::ModuleError,
    packaged_kernel::PackagedKernelError,
    root::RootError,
    signature::{Certificate, CertificateError, SignError, SigningKey},
    uki::UkiError,
    verity::RootHash,
};
use crate::{
    content::{Digest, Entry, RelPath, Sha256, Tree, TreeError, rel_path},
    plan::{Assemble, Failure, Fault, FileOf, Outcome, Performer, Progress, Request},
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

impl Performer<Assemble<Digest>> for Assembler {
    fn perform(&self, assemble: &Assemble<Digest>, request: &Request<'_>) -> Result<Outcome, Failure> {
        let work = Work { assembler: self, store: &self.store, request, done: AtomicU64::new(0) };
        let made = match assemble {
            Assemble::Root(root) => root.make(&work),
            Assemble::Visible(visible) => visible.make(&work),
            Assemble::Modules(modules) => modules.make(&work),
            Assemble::SignedModules(modules) => modules.make(&work),
            Assemble::Replaced(replaced) => replaced.make(&work),
            Assemble::PackagedKernel(kernel) => kernel.make(&work),
            Assemble::Initramfs(initramfs) => initramfs.make(&work),
            Assemble::Verity(verity) => verity.make(&work),
            Assemble::Uki(uki) => uki.make(&work),
            Assemble::BootRecord(record) => record.make(&work),
            Assemble::BoundUki(uki) => uki.make(&work),
            Assemble::Esp(esp) => esp.make(&work),
            Assemble::Disk(disk) => disk.make(&work),
            Assemble::DataDisk(disk) => disk.make(&work),
        };
        made.map_err(AssembleError::into_failure)
    }
}

/// A kind of action that is performed here; each has a file.
trait Make {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError>;
}

/// One action that is being performed.
struct Work<'a> {
    assembler: &'a Assembler,
    store: &'a Store,
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
    /// A root and the list of who owns its paths.
    fn owned(&self, tree: &Tree, owners: &str) -> Result<Outcome, AssembleError> {
        let list = file_tree([(rel_path!(OWNERS), self.store.put(owners.as_bytes())?, owners.len() as u64)])?;
        Ok(Outcome::from([
            ("root".to_owned(), self.store.put_tree(tree)?),
            (OWNERS.to_owned(), self.store.put_tree(&list)?),
        ]))
    }

    /// Reads the output of `Assemble::Verity`.
    fn hash_tree(&self, tree: Digest) -> Result<HashTree, AssembleError> {
        let wrong = |file: &'static str| AssembleError::NoHashTree { file };
        let root_hash = Sha256::parse(&self.text_in(tree, rel_path!("root-hash"))?).map_err(|_| wrong("root-hash"))?;
        let data_blocks = self.text_in(tree, rel_path!("data-blocks"))?.parse().map_err(|_| wrong("data-blocks"))?;
        let (file, size) = self.open(&FileOf { tree, path: rel_path!("hash") })?;
        Ok(HashTree { root_hash: *root_hash.as_bytes(), data_blocks, file, size })
    }

    /// The outcome of an action with one output.
    fn only(&self, output: &str, tree: &Tree) -> Result<Outcome, AssembleError> {
        Ok(Outcome::from([(output.to_owned(), self.store.put_tree(tree)?)]))
    }

    /// The outcome of an action with one output, which is one file.
    fn file(&self, output: &str, name: RelPath, bytes: &[u8]) -> Result<Outcome, AssembleError> {
        let blob = self.store.put(bytes)?;
        self.only(output, &file_tree([(name, blob, bytes.len() as u64)])?)
    }

    fn text_in(&self, tree: Digest, path: RelPath) -> Result<String, AssembleError> {
        self.text(&FileOf { tree, path })
    }

    fn open(&self, file: &FileOf<Digest>) -> Result<(File, u64), AssembleError> {
        let (blob, size) = self.store.file_in(file.tree, &file.path)?;
        Ok((self.store.open_blob(blob)?, size))
    }

    fn read(&self, file: &FileOf<Digest>) -> Result<Vec<u8>, AssembleError> {
        let (blob, _) = self.store.file_in(file.tree, &file.path)?;
        Ok(self.store.read(blob)?)
    }

    fn text(&self, file: &FileOf<Digest>) -> Result<String, AssembleError> {
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
fn file_tree<const N: usize>(files: [(RelPath, Digest, u64); N]) -> Result<Tree, AssembleError> {
    let mut tree = Tree::new();
    for (path, blob, size) in files {
        tree.insert(path, Entry::File { blob, size, executable: false })?;
    }
    Ok(tree)
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
    /// The disk for data.
    #[error("the disk for data cannot be made")]
    DataDisk {
        #[from]
        source: DataDiskError,
    },
    /// A tree that cannot hold what is put into it.
    #[error("a part of the image cannot be put together")]
    Tree {
        #[from]
        source: TreeError,
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
}

impl AssembleError {
    /// Who is to blame: the machine for a full disk, the store for a damaged input, the user who stopped it.
    fn into_failure(self) -> Failure {
        let io_error = match &self {
            AssembleError::Io { source, .. }
            | AssembleError::Disk { source: DiskError::Write { source, .. } }
            | AssembleError::DataDisk { source: DataDiskError::Write { source } }
            | AssembleError::Fat { source: FatError::Copy { source, .. } | FatError::Write { source } } => {
                Some(source.kind())
            }
            _ => None,
        };
        let fault = match (&self, io_error) {
            (_, Some(io::ErrorKind::Interrupted)) => Fault::Cancelled,
            (_, Some(_)) => Fault::Machine,
            (AssembleError::Store { source }, _) => source.fault(),
            _ => Fault::Build,
        };
        Failure { fault, error: Box::new(self) }
    }
}
