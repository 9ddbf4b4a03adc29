//! What a component's build may not leave behind: where and when it was built, symbols that the image lacks.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use memchr::memmem;
use object::{
    elf::{FileHeader64, SHT_GNU_VERNEED},
    endian::Endianness,
    read::elf::{FileHeader, SectionHeader},
};

use crate::{
    content::{Entry, RelPath, Tree, civil_date},
    plan::Product,
    store::{Store, StoreError},
};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Larger files are data that no build path gets into by accident, and not worth the memory.
const MAX_BYTES: u64 = 1 << 30;

/// Looks at every file of an output; `folder` is where the command left it, whose time shows the day of the run.
pub(super) fn inspect(
    store: &Store,
    product: &Product,
    folder: &Path,
    tree: &Tree,
    epoch: u64,
) -> Result<(), ProductError> {
    // Without the folder nothing was left. A clock is not ours to read.
    let day = fs::metadata(folder).ok().and_then(|found| u64::try_from(found.mtime()).ok());
    let day = day.map(|seconds| seconds / DAY_SECONDS).filter(|day| *day != epoch / DAY_SECONDS);
    let dates = day.map(dates).unwrap_or_default();
    for (path, entry) in tree.entries() {
        if let Entry::File { blob, size, .. } = entry
            && *size <= MAX_BYTES
        {
            inspect_file(product, path, &store.read(*blob)?, &dates)?;
        }
    }
    Ok(())
}

fn inspect_file(product: &Product, path: &RelPath, bytes: &[u8], dates: &[String]) -> Result<(), ProductError> {
    if let (Some(libc), Some(wanted)) = (product.glibc, newest_libc(bytes))
        && wanted > libc
    {
        return Err(ProductError::Libc { path: path.clone(), wanted: text(wanted), libc: text(libc) });
    }
    if let Some(place) = memmem::find(bytes, product.built_at.to_string().as_bytes()) {
        let found = printable(&bytes[place..]);
        return Err(ProductError::BuildPath { path: path.clone(), found });
    }
    match dates.iter().find(|date| memmem::find(bytes, date.as_bytes()).is_some()) {
        Some(date) => Err(ProductError::Date { path: path.clone(), found: date.clone() }),
        None => Ok(()),
    }
}

/// The ways in which programs write a day down: ISO 8601, and `__DATE__` of C (ISO C, 6.10.8.1).
fn dates(day: u64) -> Vec<String> {
    let (year, month, day) = civil_date(day);
    let name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    vec![format!("{year:04}-{month:02}-{day:02}"), format!("{name} {day:2} {year}")]
}

/// The newest version of glibc's symbols that an ELF file needs (`GLIBC_2.38` is 2.38).
fn newest_libc(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, bytes).ok()?;
    if !sections.iter().any(|section| section.sh_type(endian) == SHT_GNU_VERNEED) {
        return None;
    }
    let (mut needs, link) = sections.gnu_verneed(endian, bytes).ok()??;
    let names = sections.strings(endian, bytes, link).ok()?;
    let mut newest = None;
    while let Some((_, mut needed)) = needs.next().ok()? {
        while let Some(version) = needed.next().ok()? {
            let name = std::str::from_utf8(version.name(endian, names).ok()?).ok()?;
            let number = name.strip_prefix("GLIBC_").and_then(|number| number.split_once('.'));
            let number = number.and_then(|(major, rest)| {
                let minor = rest.split('.').next()?;
                Some((major.parse().ok()?, minor.parse().ok()?))
            });
            newest = newest.max(number);
        }
    }
    newest
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
pub enum ProductError {
    /// The path of the build.
    #[error(
        "`{path}` says where it was built: expected nothing of `/brc-build`, found `{found}`; compile with \
         `-ffile-prefix-map` (which `$CFLAGS` has), or leave the file out with `drop`"
    )]
    BuildPath { path: RelPath, found: String },
    /// The day of the build.
    #[error(
        "`{path}` says when it was built: expected no date but that of `$SOURCE_DATE_EPOCH`, found `{found}`; take \
         the time from `$SOURCE_DATE_EPOCH`, or leave the file out with `drop`"
    )]
    Date { path: RelPath, found: String },
    /// A symbol that the image's C library does not have.
    #[error(
        "`{path}` wants symbols of glibc {wanted}: expected at most {libc}, the image's; link with the libc-dev of \
         the image's suite"
    )]
    Libc { path: RelPath, wanted: String, libc: String },
    /// The output cannot be read.
    #[error("what was built cannot be read again")]
    Store {
        #[from]
        source: StoreError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect_one(bytes: &[u8], libc: Option<(u32, u32)>) -> Result<(), ProductError> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let mut tree = Tree::new();
        let blob = store.put(bytes).unwrap();
        let entry = Entry::File { blob, size: bytes.len() as u64, executable: false };
        tree.insert(RelPath::new("a").unwrap(), entry).unwrap();
        let product = Product { built_at: RelPath::new("brc-build").unwrap(), glibc: libc };
        inspect(&store, &product, folder.path(), &tree, 0)
    }

    #[test]
    fn what_a_build_may_not_leave_behind() {
        let folder = tempfile::tempdir().unwrap();
        let today = fs::metadata(folder.path()).unwrap().mtime() as u64 / DAY_SECONDS;
        let [iso, c] = <[String; 2]>::try_from(dates(today)).unwrap();
        assert!(matches!(inspect_one(b"x /brc-build/a.c\0", None),
            Err(ProductError::BuildPath { found, .. }) if found == "/brc-build/a.c"));
        for date in [iso, c] {
            let found = inspect_one(format!("made {date}, 10:00").as_bytes(), None);
            assert!(matches!(found, Err(ProductError::Date { found, .. }) if found == date));
        }
        assert!(inspect_one(b"/build/a.c 1970-01-01 Jan  1 1970", None).is_ok());
    }

    #[test]
    fn symbols_newer_than_the_images_libc_are_refused() {
        // This very program needs some version of glibc.
        #[expect(clippy::disallowed_methods, reason = "a test reads its own program")]
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let needed = newest_libc(&program).unwrap();
        assert!(needed > (2, 2) && needed < (3, 0), "{needed:?}");
        // It also holds the path that it looks for.
        assert!(!matches!(inspect_one(&program, Some(needed)), Err(ProductError::Libc { .. })));
        assert!(matches!(inspect_one(&program, Some((2, 3))), Err(ProductError::Libc { .. })));
        assert_eq!(newest_libc(b"\x7fELF"), None);
        assert_eq!(newest_libc(b""), None);
    }
}
