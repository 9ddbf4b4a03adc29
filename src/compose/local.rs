//! The files beside the recipes that go into images: read, hashed, put into the store.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use brc_contract::{Architecture, well_known};

use super::{ComposeError, Project, source_tree};
use crate::{
    content::{Entry, RelPath, Tree},
    graph::{Image, Placed, SourceTree, What},
    image::{Certificate, OciArchive},
    plan::{LocalFile, Locals},
    store::Store,
};

/// The most bytes of a certificate.
const MAX_CERTIFICATE_BYTES: u64 = 1 << 20;

/// Reads every local file that `images` name.
///
/// # Errors
/// The first file that cannot be read, or a store that takes nothing.
pub fn read_locals(project: &Project, images: &[Image], store: &Store) -> Result<Locals, ComposeError> {
    let mut files: BTreeSet<String> = BTreeSet::new();
    let mut folders: BTreeSet<String> = BTreeSet::new();
    let mut sources: BTreeSet<String> = BTreeSet::new();
    for image in images {
        let kernel = &image.kernel;
        // Before it is kept: somebody may have named the key.
        kernel.module_certificate.iter().try_for_each(|path| check_certificate(project, path))?;
        files.extend(kernel.fragments.iter().chain(&kernel.patches).chain(&kernel.module_certificate).cloned());
        for component in image.every_component() {
            embedded(&component.files).try_for_each(|path| check_oci_archive(project, path, image.architecture))?;
            named(&component.files, &mut files, &mut folders);
            files.extend(component.recipe.iter().flat_map(|recipe| recipe.patches.clone()));
            let upstream = component.recipe.as_ref().and_then(|recipe| recipe.upstream.as_ref());
            if let Some(SourceTree::Folder(path)) = upstream.map(|upstream| &upstream.source) {
                sources.insert(path.clone());
            }
        }
        image.toolsets.values().for_each(|toolset| named(&toolset.files, &mut files, &mut folders));
    }
    let mut locals = Locals::default();
    for tree in images.iter().flat_map(Image::every_component).filter_map(|component| component.checkout) {
        locals.checkouts.insert(tree, (*store.tree(tree).map_err(ComposeError::Store)?).clone());
    }
    for path in files {
        let file = put_file(project.open_file(&path)?, &project.on_disk(&path), store)?;
        locals.files.insert(path, file);
    }
    for path in folders {
        let tree = local_tree(&project.open_folder(&path)?, store)?;
        locals.folders.insert(path, tree);
    }
    for path in sources {
        let tree = source_tree(&project.open_folder(&path)?, store)?;
        locals.sources.insert(path, tree);
    }
    Ok(locals)
}

fn check_certificate(project: &Project, path: &str) -> Result<(), ComposeError> {
    let checked = Certificate::from_pem(&project.read_file(path, MAX_CERTIFICATE_BYTES)?).map(drop);
    checked.map_err(|source| ComposeError::Certificate { path: project.on_disk(path), source })
}

/// The files that are images of containers.
fn embedded(placed: &[Placed]) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 2] = [well_known::EMBEDDED_IMAGES, well_known::DATA_ARCHIVES];
    let is_embedded = |file: &&Placed| file.path.parent().is_some_and(|folder| FOLDERS.contains(&folder.as_str()));
    placed.iter().filter(is_embedded).filter_map(|file| match &file.what {
        What::Local(path) => Some(path.as_str()),
        _ => None,
    })
}

fn check_oci_archive(project: &Project, path: &str, architecture: Architecture) -> Result<(), ComposeError> {
    let mut file = io::BufReader::new(project.open_file(path)?);
    let checked = OciArchive::check(&mut file, architecture).map(drop);
    checked.map_err(|source| ComposeError::OciArchive { path: project.on_disk(path), source })
}

fn named(placed: &[Placed], files: &mut BTreeSet<String>, folders: &mut BTreeSet<String>) {
    for file in placed {
        match &file.what {
            What::Local(path) => files.insert(path.clone()),
            What::LocalTree(path) => folders.insert(path.clone()),
            What::Text(_) | What::Link(_) | What::Folder => false,
        };
    }
}

fn put_file(mut file: fs::File, path: &Path, store: &Store) -> Result<LocalFile, ComposeError> {
    let metadata = file.metadata().map_err(|source| ComposeError::Read { path: path.to_owned(), source })?;
    let executable = metadata.permissions().mode() & 0o100 != 0;
    let (blob, size) = store.put_reader(&mut file).map_err(ComposeError::Store)?;
    Ok(LocalFile { blob, size, executable })
}

/// Everything below a folder. Of modes only whether the owner may execute counts: the rest is the umask's.
fn local_tree(folder: &Path, store: &Store) -> Result<Tree, ComposeError> {
    let mut tree = Tree::new();
    let mut next: Vec<(PathBuf, RelPath)> = vec![(folder.to_owned(), RelPath::ROOT)];
    while let Some((folder, below)) = next.pop() {
        let unreadable = |source| ComposeError::Read { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let odd =
                |reason: &str| ComposeError::Read { path: path.clone(), source: io::Error::other(reason.to_owned()) };
            let name = entry.file_name().into_string().map_err(|_| odd("its name is not UTF-8"))?;
            let at = below.join(&RelPath::new(&name).map_err(|error| odd(&error.to_string()))?);
            let kind = entry.file_type().map_err(unreadable)?;
            let what = if kind.is_dir() {
                next.push((path.clone(), at.clone()));
                Entry::Directory
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(unreadable)?;
                let target = target.into_os_string().into_string().map_err(|_| odd("its target is not UTF-8"))?;
                Entry::Symlink { target }
            } else if kind.is_file() {
                let opened = fs::File::open(&path).map_err(unreadable)?;
                let LocalFile { blob, size, executable } = put_file(opened, &path, store)?;
                Entry::File { blob, size, executable }
            } else {
                return Err(odd("it is neither file, folder nor link"));
            };
            tree.insert(at, what).map_err(|error| odd(&error.to_string()))?;
        }
    }
    Ok(tree)
}
