//! The boot loader on the ESP: one for all versions, so a new version brings its own there once it has proven itself.
//!
//! The root is verified, so the loader in it is the one that the image came with. A loader that is older than the one on the
//! ESP stays where it is: every loader starts the entries of older versions too, and going back must not take that away.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use brc_contract::{Architecture, compare_versions, well_known};

/// Where the image has it, below the root.
const IN_ROOT: &str = "usr/lib/systemd/boot/efi";
/// What systemd's loaders say of themselves (systemd, `src/boot/boot.c`).
const MARK: &[u8] = b"#### LoaderInfo: systemd-boot ";
const MARK_END: &[u8] = b" ####";
/// The longest version that is looked for, in bytes.
const MAX_VERSION: usize = 128;
/// The largest loader, in bytes.
const MAX_LOADER: u64 = 8 << 20;
/// What the one before is called.
const BEFORE: &str = "before";
const STAGED: &str = "part";

/// A loader took the place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The version that was there.
    pub from: String,
    /// The version that is there now.
    pub to: String,
}

/// Brings the loader of the root below `root` onto the ESP when it is newer, and keeps the one before beside it.
///
/// Power that goes at any moment leaves one of the two whole under the name that firmware looks for: the new one is written
/// under another name, read back, and takes the name in one step.
///
/// # Errors
/// A file that cannot be read or written.
pub(crate) fn renew(root: &Path, architecture: Architecture) -> Result<Option<Renewed>, LoaderError> {
    let new = read(&root.join(IN_ROOT).join(format!("systemd-boot{}.efi", architecture.efi())))?;
    let Some(new) = new else { return Ok(None) };
    let esp = root.join(well_known::ESP_MOUNT.trim_start_matches('/'));
    let mut renewed = None;
    // That which firmware looks for comes last: as long as it is old, all of it is done again.
    for name in [well_known::installed_loader(architecture), well_known::default_loader(architecture)] {
        let path = esp.join(&name);
        let Some(old) = read(&path)? else { continue };
        let (Some(from), Some(to)) = (version(&old), version(&new)) else { continue };
        if compare_versions(&to, &from).is_gt() {
            replace(&path, &old, &new).map_err(|source| LoaderError { path, source })?;
            renewed = Some(Renewed { from, to });
        }
    }
    Ok(renewed)
}

fn replace(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let folder = path.parent().map(File::open).transpose()?;
    let sync = || folder.as_ref().map_or(Ok(()), |folder| Ok(rustix::fs::syncfs(folder)?));
    let beside = |ending: &str| path.with_extension(ending);
    for (ending, bytes) in [(BEFORE, old), (STAGED, new)] {
        let mut file = File::create(beside(ending))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    sync()?;
    if fs::read(beside(STAGED))? != new {
        return Err(io::Error::other("it reads back as something else"));
    }
    fs::rename(beside(STAGED), path)?;
    sync()
}

/// The file; nothing when there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, LoaderError> {
    let failed = |source| LoaderError { path: path.to_owned(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(found) if found.len() > MAX_LOADER => return Err(failed(io::ErrorKind::FileTooLarge.into())),
        found => found.map_err(failed)?,
    };
    fs::read(path).map(Some).map_err(failed)
}

/// The version that a loader says it has; nothing when it is not systemd's.
fn version(loader: &[u8]) -> Option<String> {
    let at = loader.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let rest = &loader[at..loader.len().min(at + MAX_VERSION)];
    let end = rest.windows(MARK_END.len()).position(|window| window == MARK_END)?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| text.to_owned())
}

/// A loader cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the loader `{}` cannot be read or written", path.display())]
pub struct LoaderError {
    path: PathBuf,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loader(version: &str) -> Vec<u8> {
        format!("MZ...\0#### LoaderInfo: systemd-boot {version} ####\0rest").into_bytes()
    }

    /// A machine whose root has one loader and whose ESP has another.
    fn machine(root: &str, esp: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("usr/lib/systemd/boot/efi/systemd-bootx64.efi", &loader(root));
        write("efi/EFI/BOOT/BOOTX64.EFI", esp);
        write("efi/EFI/systemd/systemd-bootx64.efi", esp);
        let boot = folder.path().join("efi/EFI/BOOT");
        (folder, boot)
    }

    fn renewed(folder: &tempfile::TempDir) -> Option<Renewed> {
        renew(folder.path(), Architecture::X86_64).unwrap()
    }

    #[test]
    fn a_newer_loader_takes_the_place_of_the_one_before_which_is_kept() {
        let (folder, boot) = machine("258~rc1-1", &loader("257.9-1~deb13u1"));
        let expected = Renewed { from: "257.9-1~deb13u1".to_owned(), to: "258~rc1-1".to_owned() };
        assert_eq!(renewed(&folder), Some(expected));
        assert_eq!(fs::read(boot.join("BOOTX64.EFI")).unwrap(), loader("258~rc1-1"));
        assert_eq!(fs::read(boot.join("BOOTX64.before")).unwrap(), loader("257.9-1~deb13u1"));
        assert!(!boot.join("BOOTX64.part").exists());
        assert_eq!(renewed(&folder), None, "it is done once");
    }

    #[test]
    fn an_older_one_the_same_and_one_of_somebody_else_change_nothing() {
        for (root, esp) in [("257.9", loader("258")), ("257.9", loader("257.9")), ("257.9", b"MZ grub".to_vec())] {
            let (folder, boot) = machine(root, &esp);
            assert_eq!(renewed(&folder), None);
            assert_eq!(fs::read(boot.join("BOOTX64.EFI")).unwrap(), esp);
        }
        let (folder, _) = machine("257", &loader("256"));
        fs::remove_file(folder.path().join("usr/lib/systemd/boot/efi/systemd-bootx64.efi")).unwrap();
        assert_eq!(renewed(&folder), None, "an image without one");
    }

    #[test]
    fn an_esp_that_takes_nothing_keeps_what_it_has() {
        let (folder, boot) = machine("258", &loader("257"));
        fs::create_dir(boot.join("BOOTX64.part")).unwrap();
        assert!(renew(folder.path(), Architecture::X86_64).is_err());
        assert_eq!(fs::read(boot.join("BOOTX64.EFI")).unwrap(), loader("257"));
    }
}
