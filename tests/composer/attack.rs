//! Packages and archives whose digest is right and whose content is hostile or broken: each is refused with its
//! reason, and none ends the program or takes its memory.

use std::fs;

use brc::plan::{Extract, Failure, Fault};
use brc_contract::error_chain;

use crate::{
    support::package::{TarEntry, ar, control, deb, deb_of, gzip, member, tar, xz, zstd},
    unpack::Setting,
};

/// An attack: its name, what is fetched, what the refusal says.
type Attack = (&'static str, Vec<u8>, &'static str);

fn file(name: &str) -> TarEntry {
    TarEntry::file(name, b"evil")
}

/// One byte of data, claimed to be more.
fn claiming(name: &str, size: u64) -> TarEntry {
    TarEntry { stated_size: Some(size), ..TarEntry::file(name, b"x") }
}

/// Attacks by paths, links and kinds of a tar archive.
fn archives() -> Vec<(&'static str, Vec<TarEntry>, &'static str)> {
    let long = "a".repeat(5000);
    vec![
        ("path traversal", vec![file("../../etc/passwd")], "`../../etc/passwd` is not allowed"),
        ("path traversal inside", vec![file("./usr/../../etc/passwd")], "is not allowed"),
        ("path traversal in pax", vec![TarEntry::pax(&[("path", b"../x")]), file("x")], "`../x` is not allowed"),
        ("absolute path", vec![file("/etc/passwd")], "is absolute"),
        ("empty names in a path", vec![file("./usr//x")], "is not allowed"),
        ("path not UTF-8", vec![TarEntry::pax(&[("path", b"\xff")]), file("x")], "not UTF-8"),
        ("path with NUL", vec![TarEntry::pax(&[("path", b"a\0b")]), file("x")], "not UTF-8"),
        ("path too long", vec![TarEntry::pax(&[("path", long.as_bytes())]), file("x")], "is not allowed"),
        ("write through a link", vec![TarEntry::link("./a", b'2', "/etc"), file("./a/passwd")], "is not a directory"),
        (
            "write through a link that replaces a folder",
            vec![TarEntry::directory("./a/"), TarEntry::link("./a", b'2', "/etc"), file("./a/x")],
            "there twice",
        ),
        ("write through a file", vec![file("./a"), file("./a/x")], "is not a directory"),
        ("folder over a link", vec![TarEntry::link("./a", b'2', "/"), TarEntry::directory("./a/")], "there twice"),
        ("two files of one name", vec![file("./a"), TarEntry::file("a", b"other")], "there twice"),
        ("the root as a file", vec![file("./.")], "only be a directory"),
        ("hard link out", vec![TarEntry::link("./a", b'1', "../../etc/shadow")], "is not allowed"),
        ("hard link to an absolute path", vec![TarEntry::link("./a", b'1', "/etc/shadow")], "is absolute"),
        ("hard link to nothing", vec![TarEntry::link("./a", b'1', "./b"), file("./b")], "no file before it"),
        (
            "hard link to a link",
            vec![TarEntry::link("./l", b'2', "/etc/shadow"), TarEntry::link("./a", b'1', "./l")],
            "no file before it",
        ),
        ("hard link to itself", vec![TarEntry::link("./a", b'1', "./a")], "no file before it"),
        ("link to the empty text", vec![TarEntry::link("./a", b'2', "")], "link to nothing"),
        ("character device", vec![TarEntry::of_kind("./a", b'3')], "it is a device"),
        ("block device", vec![TarEntry::of_kind("./a", b'4')], "it is a device"),
        ("named pipe", vec![TarEntry::of_kind("./a", b'6')], "named pipe"),
        ("sparse file", vec![TarEntry::of_kind("./a", b'S')], "sparse"),
        ("unknown kind", vec![TarEntry::of_kind("./a", b'V')], "not known"),
        (
            "overlay attribute",
            vec![TarEntry::pax(&[("SCHILY.xattr.user.overlay.redirect", b"/")]), file("a")],
            "user.overlay",
        ),
        (
            "attribute too large",
            vec![TarEntry::pax(&[("SCHILY.xattr.user.a", &[0; 65537])]), file("a")],
            "not one that Linux",
        ),
        ("unknown pax record", vec![TarEntry::pax(&[("GNU.sparse.name", b"/etc/x")]), file("a")], "GNU.sparse.name"),
        (
            "path for all entries",
            vec![TarEntry { kind: b'g', ..TarEntry::pax(&[("path", b"x")]) }, file("a")],
            "for all",
        ),
        (
            "two paths for one entry",
            vec![TarEntry::pax(&[("path", b"a")]), TarEntry::pax(&[("path", b"b")]), file("c")],
            "something twice",
        ),
        ("sizes that disagree", vec![TarEntry::pax(&[("size", b"512")]), file("a")], "disagree"),
        ("pax header without entry", vec![file("a"), TarEntry::pax(&[("path", b"b")])], "ends too early"),
        (
            "folders nested too deeply",
            vec![TarEntry::pax(&[("path", "d/".repeat(300).as_bytes())]), TarEntry::directory("d/")],
            "nested too deeply",
        ),
        ("huge pax header", vec![TarEntry { kind: b'x', ..claiming("p", 8_000_000_000) }], "extended header"),
        ("huge long name", vec![TarEntry { kind: b'L', ..claiming("p", 8_000_000_000) }], "extended header"),
        ("huge claimed size", vec![claiming("a", 0o77777777777)], "ends too early"),
        ("truncated file", vec![claiming("a", 5000)], "ends too early"),
        ("data behind a folder", vec![TarEntry { kind: b'5', ..file("a/") }], "has data behind it"),
        ("data behind a link", vec![TarEntry { kind: b'2', link: "x".into(), ..file("a") }], "has data behind it"),
    ]
}

/// Attacks by the layers around the tar archive.
fn packages() -> Vec<Attack> {
    let good = deb(&[file("./a")]);
    let data = tar(&[file("./a")]);
    let head: &[(&str, &[u8])] = &[("debian-binary", b"2.0\n"), ("control.tar", &control())];
    let with = |tail: &[u8]| [ar(head), tail.to_vec()].concat();
    let no_control = tar(&[file("./postinst")]);
    let flipped = |at: usize| {
        let mut bytes = xz(&[0x5a; 100_000]);
        let at = at.min(bytes.len() - 1);
        bytes[at] ^= 1;
        deb_of(&bytes, "data.tar.xz")
    };
    // Of one block, and the blocks that end it.
    let one = tar(&[TarEntry::file("./a", b"a")]);
    // A window of 4 GiB, as the frame header of a zstd stream may demand.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xb0, 0x01, 0, 0];
    vec![
        ("no package", b"<html>not found</html>".to_vec(), "does not start with"),
        ("empty", Vec::new(), "in the middle of a header"),
        ("only the magic", b"!<arch>\n".to_vec(), "ends too early"),
        ("truncated", good[..good.len() - 20].to_vec(), ""),
        ("truncated header", good[..100].to_vec(), ""),
        ("format 3", ar(&[("debian-binary", b"3.0\n")]), "format 2"),
        ("version too long", ar(&[("debian-binary", &[b'2'; 5000])]), "format 2"),
        ("no version", ar(&head[1..]), "format 2"),
        ("control missing", ar(&[head[0], ("data.tar", &data)]), "`data.tar` where `control.tar`"),
        ("control empty", ar(&[head[0], ("control.tar", &no_control), ("data.tar", &data)]), "no file `control`"),
        ("data missing", ar(head), "no `data.tar`"),
        ("compression not read", with(&member("data.tar.lz4", "4", b"\x04\x22\x4d\x18")), "`data.tar.lz4`"),
        ("compression cut off", with(&member("data.tar.bz2", "4", b"BZh9")), "ends too early"),
        ("odd member", with(&member("evil", "4", b"evil")), "`evil` where"),
        ("name of another folder", with(&member("../data.tar", "0", b"")), "long or empty name"),
        ("long name of GNU", with(&member("/5", "0", b"")), "long or empty name"),
        ("name table of GNU", with(&member("//", "9999999999", b"")), "long or empty name"),
        ("long name of BSD", with(&member("#1/999999999", "9999999999", b"")), "long or empty name"),
        ("member larger than the file", with(&member("data.tar", "9999999999", &data)), "ends too early"),
        ("negative size", with(&member("data.tar", "-1", &data)), "not a number"),
        ("endless members", with(&(0..50).flat_map(|_| member("_x", "0", b"")).collect::<Vec<_>>()), "members"),
        ("wrong compression", deb_of(&gzip(&data), "data.tar.xz"), "cannot be read"),
        ("broken stream", flipped(60), ""),
        ("broken checksum of a stream", flipped(usize::MAX), ""),
        ("huge window", deb_of(&window, "data.tar.zst"), "cannot be read"),
        (
            "no header",
            deb_of(&[&[b'x'; 512][..], &data].concat(), "data.tar"),
            "expected a tar archive, found one file",
        ),
        ("wrong checksum of a header", deb_of(&[&one[..1024], &[b'x'; 512]].concat(), "data.tar"), "cannot be read"),
        ("many entries", many_entries(), "more than 200000 entries"),
        ("folders that nobody named", implied_folders(), "more than 200000 entries"),
        ("bomb in control", bomb(), "more than 67108864 bytes"),
    ]
}

fn many_entries() -> Vec<u8> {
    let entries: Vec<TarEntry> = (0..200_001).map(|number| TarEntry::directory(&format!("./{number}/"))).collect();
    deb(&entries)
}

/// 800 files, each in 250 folders of its own: a few kilobytes when compressed.
fn implied_folders() -> Vec<u8> {
    let path = |number: usize| format!("{number}/{}file", "d/".repeat(249));
    let file = |number| [TarEntry::pax(&[("path", path(number).as_bytes())]), file("file")];
    deb(&(0..801).flat_map(file).collect::<Vec<_>>())
}

/// 200 MiB of zeros in a few kilobytes.
fn bomb() -> Vec<u8> {
    let bomb = tar(&[TarEntry::file("./control", &vec![0; 200 << 20])]);
    ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &zstd(&bomb)), ("data.tar", &tar(&[]))])
}

fn check(name: &str, outcome: Result<(), Failure>, expected: &str) {
    let failure = match outcome {
        Ok(()) => panic!("{name}: nobody refused it"),
        Err(failure) => failure,
    };
    let text = error_chain(&*failure.error);
    assert_eq!(failure.fault, Fault::Outside, "{name}: {text}");
    assert!(text.contains(expected), "{name}: {text}");
    assert!(text.contains("`a`") || text.contains("`a.tar`"), "{name} names nobody: {text}");
}

#[test]
fn hostile_entries_of_a_package_are_refused() {
    let setting = Setting::new();
    for (name, entries, expected) in archives() {
        check(name, setting.fetch_deb(&deb(&entries)).map(|_| ()), expected);
    }
}

#[test]
fn hostile_entries_of_an_archive_by_url_are_refused() {
    let setting = Setting::new();
    for (name, entries, expected) in archives() {
        check(name, setting.fetch_url(&tar(&entries), Extract::Archive).map(|_| ()), expected);
    }
    check("empty archive", setting.fetch_url(&tar(&[]), Extract::Archive).map(|_| ()), "an empty one");
    check("no archive", setting.fetch_url(b"<html>", Extract::Archive).map(|_| ()), "");
}

#[test]
fn hostile_packages_are_refused() {
    let setting = Setting::new();
    for (name, bytes, expected) in packages() {
        check(name, setting.fetch_deb(&bytes).map(|_| ()), expected);
    }
}

#[test]
fn every_truncation_of_a_package_is_refused() {
    let setting = Setting::new();
    let whole = deb_of(&tar(&[file("./a")]), "data.tar");
    // The end of a tar archive, two empty blocks, may be cut off from the archive, never from the package.
    for size in (0..whole.len()).step_by(7) {
        assert!(setting.fetch_deb(&whole[..size]).is_err(), "{size} bytes");
    }
}

#[test]
fn what_is_refused_leaves_no_download_behind() {
    let setting = Setting::new();
    setting.fetch_deb(&deb(&[file("../x")])).unwrap_err();
    let left = fs::read_dir(setting.store.dir().join("downloads")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn no_mutation_of_a_package_ends_the_program() {
    let entries = [
        TarEntry::directory("./"),
        TarEntry::pax(&[("SCHILY.xattr.user.a", b"b"), ("path", b"./usr/long")]),
        file("./usr/cut"),
        TarEntry { kind: b'L', ..TarEntry::file("././@LongLink", b"./usr/longer\0") },
        file("./cut"),
        TarEntry::link("./usr/hard", b'1', "./usr/long"),
        TarEntry::link("./usr/soft", b'2', "long"),
    ];
    let archive = tar(&entries);
    let setting = Setting::new();
    // A linear congruential generator (Knuth, MMIX): the same mutations in every run.
    let mut state: u64 = 2;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let seeds = [deb_of(&archive, "data.tar"), deb_of(&xz(&archive), "data.tar.xz"), deb(&entries)];
    let mut refused = 0;
    for round in 0..1500 {
        let mut package = seeds[round % seeds.len()].clone();
        for _ in 0..=next(4) {
            let at = next(package.len());
            match next(3) {
                0 => package[at] ^= 1 << next(8),
                1 => package[at] = b"0123456789/ \0\xff.LxgS"[next(18)],
                _ => package.truncate(at.max(1)),
            }
        }
        refused += usize::from(setting.fetch_deb(&package).is_err());
    }
    assert!(refused > 700, "{refused} of 1500 were refused: the mutations hit nothing");
}
