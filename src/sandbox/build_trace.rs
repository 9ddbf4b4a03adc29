//! What a component's build may not leave behind: where and when it was built, symbols that the image lacks.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use memchr::memmem;

use super::{glibc::newest_libc, output::Taker, watch::Watched};
use crate::{
    content::{Digest, Entry, RelPath, Tree, civil_date, counted},
    plan::Product,
    store::StoreError,
};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// How much of a file is looked at together.
const PIECE_BYTES: usize = 1 << 20;
/// More than anything that is looked for, with what is shown of it.
const OVERLAP_BYTES: usize = 128;

/// Looks at every name, link and file of an output; `folder` is where the command left it, whose time shows the day
/// of the run. A date that one of the `inputs` has was not made by the run.
pub(super) fn inspect(
    taker: Taker<'_>,
    product: &Product,
    folder: &Path,
    tree: &Tree,
    inputs: &[Digest],
) -> Result<(), BuildTraceError> {
    // Without the folder nothing was left. A clock is not ours to read.
    let last = fs::metadata(folder).ok().and_then(|found| u64::try_from(found.mtime()).ok());
    // It may have begun before midnight.
    let days = last.into_iter().flat_map(|seconds| [seconds.saturating_sub(DAY_SECONDS), seconds]);
    let dates: Vec<String> = days.map(|seconds| seconds / DAY_SECONDS).flat_map(dates).collect();
    let built_at = product.built_at.to_string();
    let mut wanted: Vec<&str> = dates.iter().map(String::as_str).chain([built_at.as_str()]).collect();
    while let Some((path, found, shown)) = first_of(taker, tree, &wanted)? {
        if found == built_at {
            return Err(BuildTraceError::BuildPath { path, found: shown });
        }
        if !is_in(taker, inputs, found)? {
            return Err(BuildTraceError::Date { path, found: found.to_owned() });
        }
        wanted.retain(|text| *text != found);
    }
    product.glibc.map_or(Ok(()), |libc| inspect_libc(taker, tree, libc))
}

fn inspect_libc(taker: Taker<'_>, tree: &Tree, libc: (u32, u32)) -> Result<(), BuildTraceError> {
    for (path, entry) in tree.entries() {
        let Entry::File { blob, .. } = entry else { continue };
        taker.watch.go_on()?;
        if let Some(wanted) = newest_libc(taker.store.open_blob(*blob)?).filter(|wanted| *wanted > libc) {
            return Err(BuildTraceError::Libc { path: path.clone(), wanted: text(wanted), libc: text(libc) });
        }
    }
    Ok(())
}

/// Whether something in some trees has a text.
fn is_in(taker: Taker<'_>, trees: &[Digest], text: &str) -> Result<bool, BuildTraceError> {
    for tree in trees {
        if first_of(taker, &*taker.store.tree(*tree)?, &[text])?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first path of a tree whose name, target or content has one of some texts, which one, and what stands there.
fn first_of<'a>(
    taker: Taker<'_>,
    tree: &Tree,
    wanted: &[&'a str],
) -> Result<Option<(RelPath, &'a str, String)>, BuildTraceError> {
    for (path, entry) in tree.entries() {
        let content = match entry {
            Entry::File { blob, .. } => {
                let mut file = Watched { inner: taker.store.open_blob(*blob)?, watch: taker.watch };
                let read = |error: io::Error| match error.downcast::<StoreError>() {
                    Ok(stopped) => stopped.into(),
                    Err(source) => BuildTraceError::Read { path: path.clone(), source },
                };
                find(&mut file, wanted, PIECE_BYTES).map_err(read)?
            }
            Entry::Symlink { target } => find_in(target.as_bytes(), target.len(), wanted),
            Entry::Directory => None,
        };
        let name = path.to_string();
        if let Some((found, shown)) = find_in(name.as_bytes(), name.len(), wanted).or(content) {
            return Ok(Some((path.clone(), found, shown)));
        }
    }
    Ok(None)
}

/// The first of some texts in a stream, which is read in pieces, and what stands there.
fn find<'a>(reader: &mut impl Read, wanted: &[&'a str], piece: usize) -> io::Result<Option<(&'a str, String)>> {
    let mut bytes = Vec::with_capacity(piece + OVERLAP_BYTES);
    loop {
        let is_end = reader.by_ref().take(piece as u64).read_to_end(&mut bytes)? == 0;
        // What begins near the end is looked at again with what follows.
        let sure = if is_end { bytes.len() } else { bytes.len().saturating_sub(OVERLAP_BYTES) };
        let found = find_in(&bytes, sure, wanted);
        if found.is_some() || is_end {
            return Ok(found);
        }
        bytes.drain(..sure);
    }
}

/// The text that begins first in some bytes, before `end`, and what stands there.
fn find_in<'a>(bytes: &[u8], end: usize, wanted: &[&'a str]) -> Option<(&'a str, String)> {
    let places = wanted.iter().filter_map(|text| Some((memmem::find(bytes, text.as_bytes())?, *text)));
    let (at, text) = places.filter(|(at, _)| *at < end).min()?;
    Some((text, printable(bytes.get(at..).unwrap_or_default())))
}

/// The ways in which programs write a day down: ISO 8601, and `__DATE__` of C (ISO C, 6.10.8.1).
fn dates(day: u64) -> Vec<String> {
    let (year, month, day) = civil_date(day);
    let name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    vec![format!("{year:04}-{month:02}-{day:02}"), format!("{name} {day:2} {year}")]
}

fn text((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// What stands at the start of some bytes, as far as it can be read.
fn printable(bytes: &[u8]) -> String {
    bytes.iter().take(80).take_while(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect()
}

/// A build left something that would not be the same elsewhere, or that does not run in the image.
#[derive(Debug, thiserror::Error)]
pub enum BuildTraceError {
    /// The path of the build.
    #[error(
        "`{path}` says where it was built: expected nothing of `/brc-build`, found `{found}`; compile with \
         `-ffile-prefix-map` (which `$CFLAGS` has), or remove the file from `$out` in a step"
    )]
    BuildPath { path: RelPath, found: String },
    /// The day of the build.
    #[error(
        "`{path}` says when it was built: expected no date but that of `$SOURCE_DATE_EPOCH`, found `{found}`; take \
         the time from `$SOURCE_DATE_EPOCH`, or remove the file from `$out` in a step"
    )]
    Date { path: RelPath, found: String },
    /// A symbol that the image's C library does not have.
    #[error(
        "`{path}` wants symbols of glibc {wanted}: expected at most {libc}, the image's; link with the libc-dev of \
         the image's suite"
    )]
    Libc { path: RelPath, wanted: String, libc: String },
    /// Files where nobody takes them.
    #[error(
        "{} written outside the outputs would be lost, `{}` among them: expected all below \
         `$out`, what is only needed while it builds in the source's folder or `$TMPDIR`; install with \
         `DESTDIR=\"$out\"`, or with `$out` before the path",
        counted(*count, "file"), paths.iter().map(ToString::to_string).collect::<Vec<_>>().join("`, `")
    )]
    Stray { paths: Vec<RelPath>, count: usize },
    /// A file cannot be read.
    #[error("`{path}` cannot be read again")]
    Read { path: RelPath, source: io::Error },
    /// The output cannot be read.
    #[error("what was built cannot be read again")]
    Store {
        #[from]
        source: StoreError,
    },
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, time::Duration};

    use super::*;
    use crate::{sandbox::watch::Watch, store::Store};

    fn tree_of(store: &Store, name: &str, entry: Result<&[u8], &str>) -> Tree {
        let mut tree = Tree::new();
        let entry = match entry {
            Ok(bytes) => Entry::File { blob: store.put(bytes).unwrap(), size: bytes.len() as u64, executable: false },
            Err(target) => Entry::Symlink { target: target.to_owned() },
        };
        tree.insert(RelPath::new(name).unwrap(), entry).unwrap();
        tree
    }

    /// What is found in an output with one file (or link), built from an input with another.
    fn inspect_one(
        name: &str,
        entry: Result<&[u8], &str>,
        input: &str,
        libc: Option<(u32, u32)>,
    ) -> Result<(), BuildTraceError> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let tree = tree_of(&store, name, entry);
        let input = store.put_tree(&tree_of(&store, "input", Ok(input.as_bytes()))).unwrap();
        let product = Product { built_at: RelPath::new("brc-build").unwrap(), glibc: libc };
        let go = AtomicBool::new(false);
        let watch = Watch::start(&go, Duration::MAX);
        inspect(Taker { store: &store, watch: &watch }, &product, folder.path(), &tree, &[input])
    }

    fn today() -> u64 {
        let folder = tempfile::tempdir().unwrap();
        fs::metadata(folder.path()).unwrap().mtime() as u64 / DAY_SECONDS
    }

    #[test]
    fn what_a_build_may_not_leave_behind() {
        let said = |bytes: &str| inspect_one("a", Ok(bytes.as_bytes()), "", None);
        assert!(matches!(said("x /brc-build/a.c\0"),
            Err(BuildTraceError::BuildPath { found, .. }) if found == "/brc-build/a.c"));
        for date in dates(today()).into_iter().chain(dates(today() - 1)) {
            let text = format!("made {date}, 10:00");
            assert!(matches!(said(&text), Err(BuildTraceError::Date { found, .. }) if found == date));
            // A source that was released today says so.
            assert!(inspect_one("a", Ok(text.as_bytes()), &format!("1.0 ({date})"), None).is_ok());
        }
        assert!(said("/build/a.c 1970-01-01 Jan  1 1970").is_ok());
    }

    #[test]
    fn names_and_links_are_looked_at_too() {
        let [iso, _] = <[String; 2]>::try_from(dates(today())).unwrap();
        let named = inspect_one(&format!("a-{iso}"), Ok(b""), "", None);
        assert!(matches!(named, Err(BuildTraceError::Date { found, .. }) if found == iso));
        let linked = inspect_one("a", Err("/brc-build/x"), "", None);
        assert!(matches!(linked, Err(BuildTraceError::BuildPath { found, .. }) if found == "/brc-build/x"));
        assert!(inspect_one("a", Err("/usr/lib/x"), "", None).is_ok());
    }

    #[test]
    fn what_lies_across_two_pieces_is_found_whole() {
        for at in 0..700 {
            let text = format!("{}/brc-build/a.c {}", " ".repeat(at), " ".repeat(500));
            let found = find(&mut text.as_bytes(), &["/brc-build"], 256).unwrap();
            assert_eq!(found, Some(("/brc-build", "/brc-build/a.c".to_owned())), "at {at}");
        }
        assert_eq!(find(&mut &[b' '; 1000][..], &["/brc-build"], 256).unwrap(), None);
    }

    #[test]
    fn symbols_newer_than_the_images_libc_are_refused() {
        // This very program needs some version of glibc.
        #[expect(clippy::disallowed_methods, reason = "a test reads its own program")]
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let needed = newest_libc(io::Cursor::new(&program)).unwrap();
        assert!(needed > (2, 2) && needed < (3, 0), "{needed:?}");
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let tree = tree_of(&store, "a", Ok(&program));
        let go = AtomicBool::new(false);
        let watch = Watch::start(&go, Duration::MAX);
        let taker = Taker { store: &store, watch: &watch };
        assert!(inspect_libc(taker, &tree, needed).is_ok());
        assert!(matches!(inspect_libc(taker, &tree, (2, 3)), Err(BuildTraceError::Libc { .. })));
    }
}
