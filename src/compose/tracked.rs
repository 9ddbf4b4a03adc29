//! Whether git tracks a file, read from its index: no program of the host is run for it.
//!
//! The format is gitformat-index(5), versions 2 to 4. An index that is split (`core.splitIndex`) is read without the
//! part that it shares.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use super::beneath::open_file;

/// The longest name that an entry may have, in bytes.
const MAX_NAME_BYTES: u64 = 1 << 16;
/// The most bytes of the short files that say where an index is and how long its digests are.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Bytes of an entry before its digest: times, device, inode, mode, owner and size.
const STAT_BYTES: usize = 40;
/// The flag of an entry that has two more bytes of flags.
const EXTENDED: u8 = 0x40;

/// Whether the repository around `file` tracks it; false where there is none, or none that can be read.
pub(super) fn is_tracked(file: &Path) -> bool {
    let Some(folder) = file.parent() else { return false };
    let Some((top, repository)) = folder.ancestors().find_map(|top| Some((top, repository_of(top)?))) else {
        return false;
    };
    let Ok(name) = file.strip_prefix(top) else { return false };
    let config = read_text(&common(&repository).join("config")).unwrap_or_default().to_lowercase();
    let digest_bytes = if config.replace(' ', "").contains("objectformat=sha256") { 32 } else { 20 };
    let index = open_file(&repository.join("index"));
    index
        .and_then(|index| lists(BufReader::new(index), digest_bytes, name.as_os_str().as_encoded_bytes()))
        .unwrap_or(false)
}

/// The folder with the index of a work tree whose top is `top`: `.git`, or what a file of that name points to.
fn repository_of(top: &Path) -> Option<PathBuf> {
    let git = top.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = read_text(&git).ok()?;
    Some(top.join(text.strip_prefix("gitdir:")?.trim()))
}

/// The folder with the configuration, which several work trees share.
fn common(repository: &Path) -> PathBuf {
    let shared = read_text(&repository.join("commondir")).ok();
    shared.map_or_else(|| repository.to_owned(), |shared| repository.join(shared.trim()))
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_file(path)?.take(MAX_TEXT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether an index has an entry called `wanted`.
fn lists(mut index: impl io::BufRead, digest_bytes: usize, wanted: &[u8]) -> io::Result<bool> {
    let head = bytes::<12>(&mut index)?;
    let [.., a, b, c, d] = head;
    let count = u32::from_be_bytes([a, b, c, d]);
    let (b"DIRC\0\0\0", version @ 2..=4) = (&head[..7], head[7]) else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut name: Vec<u8> = Vec::new();
    for _ in 0..count {
        let mut fixed = vec![0; STAT_BYTES + digest_bytes];
        index.read_exact(&mut fixed)?;
        let [flags, _] = bytes::<2>(&mut index)?;
        let mut length = fixed.len() + 2;
        if version > 2 && flags & EXTENDED != 0 {
            length += bytes::<2>(&mut index)?.len();
        }
        // Version 4 says how much of the name before is left out, and no entry is padded.
        let kept = if version == 4 { name.len().saturating_sub(cut(&mut index)?) } else { 0 };
        name.truncate(kept);
        let read = index.by_ref().take(MAX_NAME_BYTES).read_until(0, &mut name)?;
        if name.pop() != Some(0) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if name == wanted {
            return Ok(true);
        }
        if version < 4 {
            let padding = (length + read).next_multiple_of(8) - (length + read);
            index.read_exact(&mut vec![0; padding])?;
        }
    }
    Ok(false)
}

fn bytes<const N: usize>(index: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    index.read_exact(&mut bytes).map(|()| bytes)
}

/// A number as pack files write offsets: seven bits a byte, the highest bit says that more follow.
fn cut(index: &mut impl Read) -> io::Result<usize> {
    let mut number = 0_usize;
    loop {
        let [byte] = bytes::<1>(index)?;
        number = number.checked_shl(7).unwrap_or(usize::MAX) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
        number = number.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        // Where a hook or a rebase runs the tests, these name another repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let made = command.args(["-C"]).arg(folder).args(arguments).output();
        let made = made.expect("this test wants git: apt-get install git");
        assert!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
    }

    #[test]
    fn what_git_tracks_is_known() {
        for (version, format) in [("2", "sha1"), ("3", "sha1"), ("4", "sha1"), ("2", "sha256"), ("4", "sha256")] {
            let folder = tempfile::tempdir().unwrap();
            let project = folder.path().join("images");
            fs::create_dir(&project).unwrap();
            git(folder.path(), &["init", "-q", &format!("--object-format={format}")]);
            for name in ["brc.kdl", "brc.local.kdl", "brc.lock", "z"] {
                fs::write(project.join(name), name).unwrap();
            }
            let local = project.join("brc.local.kdl");
            assert!(!is_tracked(&local), "nothing is added yet");
            git(folder.path(), &["add", "images/brc.kdl", "images/brc.lock"]);
            // An entry with extended flags, which version 2 cannot have.
            git(folder.path(), &["add", "--intent-to-add", "images/z"]);
            git(folder.path(), &["update-index", &format!("--index-version={version}")]);
            assert!(!is_tracked(&local) && is_tracked(&project.join("brc.lock")), "{version} {format}");
            git(folder.path(), &["add", "images/brc.local.kdl"]);
            assert!(is_tracked(&local) && is_tracked(&project.join("z")), "{version} {format}");
            git(folder.path(), &["rm", "-q", "--cached", "images/brc.local.kdl"]);
            assert!(!is_tracked(&local), "{version} {format}");
        }
        let nowhere = tempfile::tempdir().unwrap();
        assert!(!is_tracked(&nowhere.path().join("brc.local.kdl")));
    }

    #[test]
    fn an_index_that_is_cut_off_or_none_is_an_error() {
        for text in [&b""[..], b"DIRC\0\0\0\x02\0\0\0\x01", b"DIRC\0\0\0\x09\0\0\0\0", b"CRID\0\0\0\x02\0\0\0\0"] {
            assert!(lists(text, 20, b"x").is_err(), "{text:?}");
        }
        assert!(!lists(&b"DIRC\0\0\0\x02\0\0\0\0"[..], 20, b"x").unwrap());
    }
}
