//! Files, folders and links on their way from one machine to another, as [`Entry`]s of a stream.
//!
//! Who receives trusts the stream with nothing but the place that was named: no entry is written through a link, nor outside
//! of a folder that came before it. What is there already is replaced file by file, each when it is whole.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata, Permissions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use brc_contract::door::{Entry, EntryError, EntryKind, MAX_ENTRY_HEADER, parse_entry};
use rustix::fs::OFlags;

use crate::whole_file::{beside, discard, settle};

/// The most entries of one copy.
const MAX_ENTRIES: usize = 1 << 20;
/// The most folders within each other.
const MAX_DEPTH: usize = 128;
/// A file with fewer bytes is read before it is sent.
const SMALL: u64 = 1 << 20;
/// Bits of a mode that are copied.
const MODE: u32 = 0o777;

/// Sends what is at `path`. A link that is named itself is followed; those below are copied as links.
///
/// # Errors
/// What cannot be read, what is no file, folder or link, and who does not take it.
pub fn send(path: &Path, to: &mut dyn Write) -> Result<(), CopyError> {
    let failed = |source| CopyError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    let mut sending = Sending { to, count: 0 };
    sending.one(path, "", &metadata, 0)?;
    sending.say(&Entry::end().encode())?;
    sending.to.flush().map_err(CopyError::Stream)
}

/// What is sent, and so far.
struct Sending<'a> {
    to: &'a mut dyn Write,
    count: usize,
}

impl Sending<'_> {
    fn one(&mut self, path: &Path, name: &str, metadata: &Metadata, depth: usize) -> Result<(), CopyError> {
        let failed = |source| CopyError::Read { path: path.to_owned(), source };
        self.count += 1;
        if self.count > MAX_ENTRIES || depth > MAX_DEPTH {
            return Err(CopyError::TooMuch { path: path.to_owned() });
        }
        let entry =
            |kind, size| Entry { kind, mode: metadata.permissions().mode() & MODE, size, name: name.to_owned() };
        if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(failed)?;
            let bytes = target.as_os_str().as_bytes();
            self.say(&entry(EntryKind::Link, bytes.len() as u64).encode())?;
            return self.say(bytes);
        }
        if metadata.is_dir() {
            self.say(&entry(EntryKind::Folder, 0).encode())?;
            return self.folder(path, name, depth);
        }
        if !metadata.is_file() {
            return Err(CopyError::Kind { path: path.to_owned() });
        }
        let mut file = File::open(path).map_err(failed)?;
        if metadata.len() < SMALL {
            // Files below /proc and /sys do not know their size: only reading tells.
            let mut content = Vec::new();
            (&mut file).take(SMALL).read_to_end(&mut content).map_err(failed)?;
            if content.len() as u64 == SMALL {
                return Err(failed(io::Error::other("it is written meanwhile")));
            }
            self.say(&entry(EntryKind::File, content.len() as u64).encode())?;
            return self.say(&content);
        }
        self.say(&entry(EntryKind::File, metadata.len()).encode())?;
        let sent = io::copy(&mut file.take(metadata.len()), &mut self.to).map_err(CopyError::Stream)?;
        if sent == metadata.len() { Ok(()) } else { Err(failed(io::ErrorKind::UnexpectedEof.into())) }
    }

    /// What is in a folder, by name.
    fn folder(&mut self, path: &Path, name: &str, depth: usize) -> Result<(), CopyError> {
        let failed = |source| CopyError::Read { path: path.to_owned(), source };
        let mut below = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(text) = entry.file_name().into_string() else {
                return Err(CopyError::Kind { path: entry.path() });
            };
            below.push(text);
        }
        below.sort();
        for text in below {
            let path = path.join(&text);
            let metadata =
                fs::symlink_metadata(&path).map_err(|source| CopyError::Read { path: path.clone(), source })?;
            let name = if name.is_empty() { text } else { format!("{name}/{text}") };
            self.one(&path, &name, &metadata, depth + 1)?;
        }
        Ok(())
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.to.write_all(bytes).map_err(CopyError::Stream)
    }
}

/// Makes what comes: at `path`, or in the folder that is there, as `name`.
///
/// # Errors
/// A stream that is no copy or ends early, and what cannot be written.
pub fn receive(path: &Path, name: &str, from: &mut dyn Read) -> Result<(), CopyError> {
    let is_plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    let root = if path.is_dir() && is_plain { path.join(name) } else { path.to_owned() };
    let mut receiving = Receiving { from, begun: Vec::new(), folders: BTreeMap::new() };
    for _ in 0..=MAX_ENTRIES {
        let entry = receiving.header()?;
        if entry.kind == EntryKind::End {
            return receiving.finish();
        }
        let at = if entry.name.is_empty() { root.clone() } else { root.join(&entry.name) };
        if entry.name.split('/').count() > MAX_DEPTH + 1 {
            return Err(CopyError::TooMuch { path: at });
        }
        let is_below =
            entry.name.is_empty() || at.parent().is_some_and(|parent| receiving.folders.contains_key(parent));
        if !is_below {
            return Err(CopyError::Outside { path: at });
        }
        receiving.make(&at, &entry).map_err(|error| match error {
            Failed::Here(source) => CopyError::Write { path: at.clone(), source },
            Failed::Stream(source) => CopyError::Stream(source),
        })?;
    }
    Err(CopyError::TooMuch { path: root })
}

/// What comes, and so far.
struct Receiving<'a> {
    from: &'a mut dyn Read,
    /// The beginning of a header.
    begun: Vec<u8>,
    /// The folders that came, each with the mode that it gets when all that is in it has come; of one that was there, none.
    folders: BTreeMap<PathBuf, Option<u32>>,
}

/// Who has failed.
enum Failed {
    Here(io::Error),
    Stream(io::Error),
}

impl Receiving<'_> {
    fn header(&mut self) -> Result<Entry, CopyError> {
        self.begun.clear();
        while self.begun.len() <= MAX_ENTRY_HEADER {
            if let Some((entry, _)) = parse_entry(&self.begun)? {
                return Ok(entry);
            }
            // A byte at a time: whoever hands the stream in has it in pieces.
            let mut byte = [0];
            self.from.read_exact(&mut byte).map_err(CopyError::Stream)?;
            self.begun.extend(byte);
        }
        Err(EntryError::Kind.into())
    }

    fn make(&mut self, at: &Path, entry: &Entry) -> Result<(), Failed> {
        let new = beside(at).map_err(Failed::Here)?;
        match entry.kind {
            EntryKind::Folder => self.folder(at, entry.mode).map_err(Failed::Here),
            EntryKind::Link => {
                let mut target = Vec::new();
                self.from.take(entry.size).read_to_end(&mut target).map_err(Failed::Stream)?;
                if target.len() as u64 != entry.size {
                    return Err(Failed::Stream(io::ErrorKind::UnexpectedEof.into()));
                }
                symlink(std::ffi::OsStr::from_bytes(&target), &new).map_err(Failed::Here)?;
                settle(&new, at).map_err(Failed::Here)
            }
            EntryKind::File | EntryKind::End => {
                let made = self.file(&new, entry);
                let settled = made.and_then(|()| settle(&new, at).map_err(Failed::Here));
                settled.inspect_err(|_| discard(&new))
            }
        }
    }

    fn folder(&mut self, at: &Path, mode: u32) -> io::Result<()> {
        let made = fs::DirBuilder::new().mode(0o700).create(at);
        let is_new = match made {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(at)?.is_dir() => false,
            Err(error) => return Err(error),
        };
        self.folders.insert(at.to_owned(), is_new.then_some(mode));
        Ok(())
    }

    fn file(&mut self, new: &Path, entry: &Entry) -> Result<(), Failed> {
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits() as i32);
        let mut file = options.open(new).map_err(Failed::Here)?;
        let mut left = entry.size;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = self.from.read(&mut buffer[..most]).map_err(Failed::Stream)?;
            if length == 0 {
                return Err(Failed::Stream(io::ErrorKind::UnexpectedEof.into()));
            }
            file.write_all(&buffer[..length]).map_err(Failed::Here)?;
            left -= length as u64;
        }
        file.set_permissions(Permissions::from_mode(entry.mode)).map_err(Failed::Here)
    }

    /// Gives folders their modes, the inner ones first.
    fn finish(self) -> Result<(), CopyError> {
        for (path, mode) in self.folders.into_iter().rev() {
            if let Some(mode) = mode {
                let set = fs::set_permissions(&path, Permissions::from_mode(mode));
                set.map_err(|source| CopyError::Write { path, source })?;
            }
        }
        Ok(())
    }
}

/// Something was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is something else.
    #[error("`{}` cannot be copied: expected files, folders and links with names in UTF-8", path.display())]
    Kind { path: PathBuf },
    /// It is too much.
    #[error("`{}` is too much: expected at most {MAX_ENTRIES} files, and {MAX_DEPTH} folders within each other", path.display())]
    TooMuch { path: PathBuf },
    /// It would lie where no folder has come.
    #[error("`{}` comes without its folder", path.display())]
    Outside { path: PathBuf },
    /// It cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// What comes is no copy.
    #[error("the copy is broken")]
    Entry(#[from] EntryError),
    /// The other end has broken off.
    #[error("the copy was broken off")]
    Stream(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn copy(from: &Path, to: &Path, name: &str) -> Result<(), CopyError> {
        let mut stream = Vec::new();
        send(from, &mut stream)?;
        receive(to, name, &mut stream.as_slice())
    }

    fn stream(entries: &[(EntryKind, &str, &[u8])]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (kind, name, content) in entries {
            let entry = Entry { kind: *kind, mode: 0o644, size: content.len() as u64, name: (*name).to_owned() };
            stream.extend(entry.encode());
            stream.extend(*content);
        }
        stream.extend(Entry::end().encode());
        stream
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn files_folders_and_links_are_copied_with_their_modes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("a/empty")).unwrap();
        fs::write(from.join("a/file"), vec![7; 200_000]).unwrap();
        fs::write(from.join("program"), "").unwrap();
        fs::set_permissions(from.join("program"), Permissions::from_mode(0o4755)).unwrap();
        fs::set_permissions(from.join("a"), Permissions::from_mode(0o555)).unwrap();
        symlink("/does/not/exist", from.join("link")).unwrap();
        copy(&from, &to, "from").unwrap();
        assert_eq!(fs::read(to.join("a/file")).unwrap(), vec![7; 200_000]);
        assert_eq!((mode(&to.join("a")), mode(&to.join("program"))), (0o555, 0o755));
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/does/not/exist"));
        assert!(to.join("a/empty").is_dir());
        // Into a folder that is there; and once more over what is there.
        for _ in 0..2 {
            copy(&from.join("program"), &to, "other").unwrap();
            assert_eq!(mode(&to.join("other")), 0o755);
        }
        copy(&from.join("a/file"), &to.join("other"), "file").unwrap();
        assert_eq!(fs::metadata(to.join("other")).unwrap().len(), 200_000);
        assert_eq!(fs::read_dir(&to).unwrap().count(), 4);
        fs::set_permissions(from.join("a"), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(to.join("a"), Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_file_that_does_not_know_its_size_is_copied_whole() {
        let folder = tempfile::tempdir().unwrap();
        copy(Path::new("/proc/version"), folder.path(), "version").unwrap();
        assert_eq!(fs::read(folder.path().join("version")).unwrap(), fs::read("/proc/version").unwrap());
        fs::write(folder.path().join("large"), vec![1; 3 << 20]).unwrap();
        copy(&folder.path().join("large"), folder.path(), "copy").unwrap();
        assert_eq!(fs::read(folder.path().join("copy")).unwrap(), vec![1; 3 << 20]);
    }

    #[test]
    fn what_is_no_file_folder_or_link_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        let refused = copy(folder.path(), &folder.path().join("to"), "x").unwrap_err();
        assert!(matches!(&refused, CopyError::Kind { path } if path.ends_with("socket")), "{refused}");
        assert!(matches!(copy(&folder.path().join("none"), folder.path(), "x"), Err(CopyError::Read { .. })));
    }

    #[test]
    fn nothing_is_written_through_links_or_outside() {
        use EntryKind::{File, Folder, Link};
        let folder = tempfile::tempdir().unwrap();
        let (outside, to) = (folder.path().join("outside"), folder.path().join("to"));
        fs::create_dir(&outside).unwrap();
        let target = outside.to_str().unwrap().as_bytes();
        for (name, entries) in [
            ("through a link", vec![(Folder, "", &b""[..]), (Link, "a", target), (File, "a/b", b"x")]),
            ("a folder over a link", vec![(Folder, "", b""), (Link, "a", target), (Folder, "a", b"")]),
            ("without its folder", vec![(Folder, "", b""), (File, "a/b", b"x")]),
            ("below a file", vec![(File, "", b"x"), (File, "a", b"x")]),
        ] {
            let refused = receive(&to, "x", &mut stream(&entries).as_slice());
            assert!(matches!(refused, Err(CopyError::Outside { .. } | CopyError::Write { .. })), "{name}: {refused:?}");
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
            fs::remove_dir_all(&to).or_else(|_| fs::remove_file(&to)).unwrap();
        }
        // A link that is there already is replaced, and what it points to stays.
        fs::write(outside.join("kept"), "kept").unwrap();
        symlink(outside.join("kept"), &to).unwrap();
        receive(&to, "x", &mut stream(&[(File, "", b"new")]).as_slice()).unwrap();
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
        assert_eq!(fs::read(&to).unwrap(), b"new");
    }

    #[test]
    fn a_copy_that_is_cut_anywhere_leaves_the_file_that_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to");
        let whole = stream(&[(EntryKind::File, "", b"content")]);
        fs::write(&to, "old").unwrap();
        for length in 0..whole.len() {
            assert!(matches!(receive(&to, "x", &mut &whole[..length]), Err(CopyError::Stream(_))), "{length}");
            let is_whole = length >= whole.len() - Entry::end().encode().len();
            assert_eq!(fs::read(&to).unwrap(), if is_whole { &b"content"[..] } else { b"old" }, "{length}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{length}");
        }
    }
}
