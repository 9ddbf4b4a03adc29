//! Which glibc a program needs, as its loader sees it (System V ABI, chapter 5; Linux Standard Base, symbol versions).

use std::io::{Read, Seek};

use object::{
    ReadCache, ReadRef,
    elf::{DT_STRTAB, DT_VERNEED, DynamicTag, FileHeader64, PT_LOAD},
    endian::{Endian, Endianness},
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

/// The most versions that are looked at: glibc has a few dozen.
const MAX_VERSIONS: usize = 4096;
/// The longest name of a version.
const MAX_NAME: u64 = 256;
/// What an older glibc says that it does not have, and the first one that has it.
const FEATURES: [(&str, (u32, u32)); 1] = [("GLIBC_ABI_DT_RELR", (2, 36))];

/// The newest version of glibc's symbols that an ELF file of 64 bits needs (`GLIBC_2.38` is 2.38); `None` for anything
/// else. The dynamic segment says it, so a file without sections is no exception. Of one that is broken, what stands
/// before the break counts: no loader gets further.
pub(super) fn newest_libc(file: impl Read + Seek) -> Option<(u32, u32)> {
    let cache = ReadCache::new(file);
    let data = &cache;
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let dynamic = segments.iter().find_map(|segment| segment.dynamic(endian, data).ok()?)?;
    // Addresses become places in the file by the segments that are loaded.
    let place = |tag: DynamicTag| {
        let address = dynamic.iter().find(|entry| entry.tag(endian) == tag)?.val(endian);
        segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
            let within = address.checked_sub(segment.p_vaddr(endian)).filter(|at| *at < segment.p_filesz(endian))?;
            segment.p_offset(endian).checked_add(within)
        })
    };
    let (mut need, names) = (place(DT_VERNEED)?, place(DT_STRTAB)?);
    let number = |base: u64, at: u64| {
        let bytes = data.read_bytes_at(base.checked_add(at)?, 4).ok()?;
        Some(u64::from(endian.read_u32(bytes.try_into().ok()?)))
    };
    let name_at = |at: u64| {
        let start = names.checked_add(at)?;
        let end = start.saturating_add(MAX_NAME).min(data.len().ok()?);
        version_of(data.read_bytes_at_until(start..end, 0).ok()?)
    };
    let mut newest = None;
    let mut left = MAX_VERSIONS;
    // Elf64_Verneed has `vn_aux` at 8 and `vn_next` at 12, Elf64_Vernaux `vna_name` at 8 and `vna_next` at 12; all
    // are 16 bytes long, and the way to the next one is 0 at the last.
    while let (Some(first), Some(next)) = (number(need, 8), number(need, 12)) {
        let mut version = need.saturating_add(first);
        while let (Some(name), Some(further)) = (number(version, 8), number(version, 12)) {
            newest = newest.max(name_at(name));
            left -= 1;
            if further == 0 || left == 0 {
                break;
            }
            version = version.saturating_add(further);
        }
        if next == 0 || left == 0 {
            break;
        }
        need = need.saturating_add(next);
    }
    newest
}

/// The version of glibc that has what a name of a version means.
fn version_of(name: &[u8]) -> Option<(u32, u32)> {
    let name = std::str::from_utf8(name).ok()?;
    if let Some((_, first)) = FEATURES.iter().find(|(feature, _)| *feature == name) {
        return Some(*first);
    }
    let (major, rest) = name.strip_prefix("GLIBC_")?.split_once('.')?;
    Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Cursor};

    use super::*;

    #[test]
    fn versions_are_told_by_their_names() {
        for (name, expected) in [
            ("GLIBC_2.38", Some((2, 38))),
            ("GLIBC_2.2.5", Some((2, 2))),
            ("GLIBC_ABI_DT_RELR", Some((2, 36))),
            ("GLIBC_PRIVATE", None),
            ("GCC_3.0", None),
        ] {
            assert_eq!(version_of(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_file_without_sections_needs_what_it_needed_and_no_damage_stops_the_search() {
        #[expect(clippy::disallowed_methods, reason = "a test reads its own program")]
        let mut program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let needed = newest_libc(Cursor::new(&program));
        assert!(needed.is_some());
        // e_shoff, e_shnum and e_shstrndx: what strip --strip-section-headers leaves.
        program[0x28..0x30].fill(0);
        program[0x3c..0x40].fill(0);
        assert_eq!(newest_libc(Cursor::new(&program)), needed);
        for bytes in [&b""[..], b"\x7fELF", &program[..64], &program[..1000]] {
            assert_eq!(newest_libc(Cursor::new(bytes)), None);
        }
    }
}
