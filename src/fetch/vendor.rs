//! Vendored folders: what `--offline` composes from.
//!
//! Every file lies below `sha256` by its digest in hexadecimal, every tree that a locked program fetched below `tree` as
//! its canonical archive, by its digest. [`Client::download`] looks into such folders first and checks what it finds
//! there like anything else.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use super::{
    Client, FetchError, UnpackError, WantedFile, Watch,
    archive::{Ownership, Unpacker},
    parallel::in_parallel,
};
use crate::{
    content::{Compression, Digest, tar_reader::Limits},
    store::Store,
};

/// The folder below a vendored folder that holds files by their digest.
pub(super) const BY_DIGEST: &str = "sha256";

impl Client {
    /// Writes each wanted file into the vendored folder `folder`, `connections` at a time; where each lies, in the
    /// order of `wanted`. A file appears whole or not at all; one that is there already with its size stays.
    ///
    /// # Errors
    /// Those of [`Client::download`], and the disk's.
    pub fn vendor(
        &self,
        wanted: &[WantedFile],
        folder: &Path,
        connections: usize,
        watch: Watch<'_>,
    ) -> Vec<Result<PathBuf, FetchError>> {
        let folder = folder.join(BY_DIGEST);
        in_parallel(wanted, connections, |_, wanted| self.vendor_one(wanted, &folder, watch))
    }

    /// Takes a tree from a vendored folder into the store; false when no folder has it.
    ///
    /// # Errors
    /// An archive that cannot be read, or that is another tree.
    pub fn vendored_tree(&self, tree: Digest, store: &Store, cancelled: &AtomicBool) -> Result<bool, FetchError> {
        let paths = self.config.vendored.iter().map(|folder| folder.join("tree").join(format!("{tree}.tar")));
        let Some(path) = paths.into_iter().find(|path| path.is_file()) else { return Ok(false) };
        let disk = |source| FetchError::Disk { doing: "read", path: path.clone(), source };
        let limits = Limits::default();
        let unpacker = Unpacker { blobs: store, limits: &limits, ownership: Ownership::Kept, cancelled };
        let file = io::BufReader::new(fs::File::open(&path).map_err(disk)?);
        let no_tree = |source| FetchError::NoTree { path: path.clone(), source: Box::new(source) };
        let unpacked = unpacker.unpack(Compression::Plain, file).map_err(no_tree)?;
        let found = unpacked.digest();
        if found != tree {
            return Err(FetchError::OtherTree { path, expected: tree, found });
        }
        store.put_tree(&unpacked).map_err(|error| no_tree(UnpackError::Store(error)))?;
        Ok(true)
    }

    fn vendor_one(&self, wanted: &WantedFile, folder: &Path, watch: Watch<'_>) -> Result<PathBuf, FetchError> {
        if let Some(path) = wanted.expect.sha256.map(|sha256| folder.join(sha256.to_string()))
            && let Ok(metadata) = fs::metadata(&path)
            && wanted.expect.size.is_none_or(|size| size == metadata.len())
        {
            return Ok(path);
        }
        let mut downloaded = self.download(wanted, watch)?;
        let path = folder.join(downloaded.sha256.to_string());
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            io::copy(&mut downloaded.file, &mut file)?;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
            file.persist(&path)?;
            Ok(())
        };
        match { write }() {
            Ok(()) => Ok(path),
            Err(source) => Err(FetchError::Disk { doing: "vendored", path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::{Entry, RelPath, Tree, write_archive},
        fetch::{ClientConfig, Mirrors, Network, Patience, Proxies},
        plan::Fault,
    };

    /// A tree of one file and its canonical archive.
    fn tree_of(store: &Store, text: &str) -> (Digest, Vec<u8>) {
        let mut tree = Tree::new();
        let blob = store.put(text.as_bytes()).unwrap();
        let entry = Entry::File { blob, size: text.len() as u64, executable: false };
        tree.insert(RelPath::new("a").unwrap(), entry).unwrap();
        let mut archive = Vec::new();
        write_archive(&tree, 0, |blob| store.open_blob(blob).map_err(io::Error::other), &mut archive).unwrap();
        (tree.digest(), archive)
    }

    #[test]
    fn a_vendored_tree_is_held_to_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let client = Client::new(ClientConfig {
            network: Network::Offline,
            mirrors: Mirrors::new(),
            vendored: vec![at("vendored")],
            downloads: at("downloads"),
            proxies: Proxies::default(),
            patience: Patience::default(),
        })
        .unwrap();
        let made = Store::open(&at("made")).unwrap();
        let ((tree, archive), (other, forged)) = (tree_of(&made, "one"), tree_of(&made, "two"));
        let store = Store::open(&at("store")).unwrap();
        let take = || client.vendored_tree(tree, &store, &AtomicBool::new(false));
        assert!(!take().unwrap(), "no folder has it");
        fs::create_dir_all(at("vendored/tree")).unwrap();
        let vendored = at("vendored/tree").join(format!("{tree}.tar"));
        for (bytes, expected) in [
            (&forged[..], format!("expected the tree {tree}, found {other}; vendor it again")),
            (&archive[..700], "cannot be unpacked: vendor it again".to_owned()),
            (b"no archive at all", "vendor it again".to_owned()),
        ] {
            fs::write(&vendored, bytes).unwrap();
            let error = take().unwrap_err();
            assert_eq!(error.fault(), Fault::Outside, "{error:?}");
            assert!(error.to_string().contains(&expected), "{error}");
            assert!(store.tree(tree).is_err() && store.tree(other).is_err(), "nothing of it is a tree of the store");
        }
        fs::write(&vendored, &archive).unwrap();
        assert!(take().unwrap());
        assert_eq!(store.tree(tree).unwrap().digest(), tree);
    }
}
