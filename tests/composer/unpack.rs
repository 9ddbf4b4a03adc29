//! Packages and archives that become trees.

use std::{fs, path::Path, process::Command, sync::atomic::AtomicBool, time::Duration};

use brc::{
    content::{Entry, Metadata, RelPath, Sha256, Tree, Url},
    fetch::{Client, ClientConfig, Fetcher, Mirrors, Network, Patience, Proxies},
    plan::{
        DebianPackage, DebianSource, Extract, Failure, Fetch, Located, Outcome, Performer, Request, SourceArchive,
        UrlFile,
    },
    store::Store,
};
use tempfile::TempDir;

use crate::support::package::{TarEntry, ar, control, deb, deb_of, gzip, packed, tar, xz, zip, zstd};

/// A fetcher with a store, whose only mirror is a folder.
pub struct Setting {
    folder: TempDir,
    pub store: Store,
    fetcher: Fetcher,
}

impl Setting {
    pub fn new() -> Setting {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let mut mirrors = Mirrors::new();
        fs::create_dir(folder.path().join("mirror")).unwrap();
        mirrors.offer("debian", &[folder.path().join("mirror").to_str().unwrap()]).unwrap();
        let client = Client::new(ClientConfig {
            network: Network::Offline,
            mirrors,
            vendored: Vec::new(),
            downloads: store.dir().join("downloads"),
            proxies: Proxies::default(),
            patience: Patience { pause: Duration::ZERO, ..Patience::default() },
        })
        .unwrap();
        Setting { fetcher: Fetcher::new(client, store.clone()), folder, store }
    }

    fn perform(&self, fetch: Fetch) -> Result<Outcome, Failure> {
        let request = Request {
            log: Path::new("/dev/null"),
            cancelled: &AtomicBool::new(false),
            job_server: None,
            progress: &|_| (),
        };
        self.fetcher.perform(&fetch, &request)
    }

    /// Fetches a package of these bytes: what it installs, its control files.
    pub fn fetch_deb(&self, bytes: &[u8]) -> Result<(Tree, Tree), Failure> {
        fs::write(self.folder.path().join("mirror/a.deb"), bytes).unwrap();
        let outcome = self.perform(Fetch::Debian(DebianPackage {
            name: "a".into(),
            sha256: Sha256::of(bytes),
            size: bytes.len() as u64,
            located: Located { mirror: "debian".into(), path: "a.deb".into() },
        }))?;
        let tree = |name: &str| Tree::clone(&self.store.tree(outcome[name]).unwrap());
        Ok((tree("data"), tree("control")))
    }

    /// Fetches a file of these bytes by URL.
    pub fn fetch_url(&self, bytes: &[u8], extract: Extract) -> Result<Tree, Failure> {
        let path = self.folder.path().join("mirror/a.tar");
        fs::write(&path, bytes).unwrap();
        let outcome = self.perform(Fetch::Url(UrlFile {
            sha256: Sha256::of(bytes),
            name: "a.tar".into(),
            urls: vec![Url::new(path.to_str().unwrap())],
            extract,
        }))?;
        Ok(Tree::clone(&self.store.tree(outcome["data"]).unwrap()))
    }

    /// Fetches a source package of these archives: name, bytes, where it is laid.
    fn fetch_source(&self, archives: &[(&str, Vec<u8>, &str)]) -> Result<Tree, Failure> {
        let files = archives.iter().map(|(name, bytes, at)| {
            fs::write(self.folder.path().join("mirror").join(name), bytes).unwrap();
            let located = Located { mirror: "debian".into(), path: (*name).into() };
            SourceArchive {
                sha256: Sha256::of(bytes),
                size: bytes.len() as u64,
                at: RelPath::new(at).unwrap_or_default(),
                located,
            }
        });
        let source = DebianSource { name: "a".into(), files: files.collect() };
        let outcome = self.perform(Fetch::DebianSource(source))?;
        Ok(Tree::clone(&self.store.tree(outcome["data"]).unwrap()))
    }

    fn text(&self, tree: &Tree, at: &str) -> String {
        match tree.entry(&path(at)) {
            Some(Entry::File { blob, .. }) => String::from_utf8(self.store.read(*blob).unwrap()).unwrap(),
            other => panic!("{at} is {other:?}"),
        }
    }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

#[test]
fn owners_modes_links_and_attributes_are_kept() {
    let setting = Setting::new();
    let entries = [
        TarEntry::directory("./"),
        TarEntry::directory("./usr/"),
        TarEntry::pax(&[("SCHILY.xattr.security.capability", b"\x01\0cap"), ("mtime", b"1.5")]),
        TarEntry { mode: 0o4755, gid: 42, ..TarEntry::file("./usr/ping", b"ping") },
        TarEntry::link("./usr/ping6", b'1', "./usr/ping"),
        TarEntry::link("./usr/pong", b'2', "ping"),
        TarEntry { mode: 0o1777, ..TarEntry::directory("./tmp/") },
        TarEntry::file("./implied/parent/file", b""),
    ];
    let (data, control) = setting.fetch_deb(&deb(&entries)).unwrap();
    let expected = Metadata {
        mode: 0o4755,
        uid: 0,
        gid: 42,
        xattrs: [("security.capability".to_owned(), b"\x01\0cap".to_vec())].into(),
    };
    assert_eq!(data.metadata(&path("usr/ping")), Some(expected));
    assert_eq!(data.entry(&path("usr/ping6")), data.entry(&path("usr/ping")));
    assert_eq!(data.metadata(&path("usr/ping6")), data.metadata(&path("usr/ping")));
    assert_eq!(data.entry(&path("usr/pong")), Some(&Entry::Symlink { target: "ping".into() }));
    assert_eq!(data.metadata(&path("tmp")).unwrap().mode, 0o1777);
    assert_eq!(data.entry(&path("implied/parent")), Some(&Entry::Directory));
    assert_eq!(setting.text(&data, "usr/ping"), "ping");
    assert!(setting.text(&control, "control").starts_with("Package: x"));
    assert_eq!(data.len(), 8);
}

#[test]
fn every_compression_of_a_package_gives_the_same_tree() {
    let setting = Setting::new();
    let archive = tar(&[TarEntry::file("./usr/a", &vec![b'a'; 3_000_000]), TarEntry::file("./usr/b", b"b")]);
    let (expected, _) = setting.fetch_deb(&deb_of(&archive, "data.tar")).unwrap();
    assert_eq!(expected.file_bytes(), 3_000_001);
    for (name, bytes) in
        [("data.tar.gz", gzip(&archive)), ("data.tar.xz", xz(&archive)), ("data.tar.zst", zstd(&archive))]
    {
        let (data, _) = setting.fetch_deb(&deb_of(&bytes, name)).unwrap();
        assert_eq!(data, expected, "{name}");
    }
}

#[test]
fn members_that_may_be_passed_over_are() {
    let setting = Setting::new();
    let data = tar(&[TarEntry::file("./a", b"a")]);
    let package = ar(&[
        ("debian-binary/", b"2.1\nmore\n"),
        ("_gpgorigin", b"odd"),
        ("control.tar", &control()),
        ("_x", b""),
        ("data.tar", &data),
        ("_after", b"odd"),
    ]);
    assert_eq!(setting.fetch_deb(&package).unwrap().0.len(), 1);
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let setting = Setting::new();
    let long = format!("usr/{}/x", "long-name".repeat(20));
    let entries = [
        TarEntry { kind: b'L', ..TarEntry::file("././@LongLink", format!("./{long}\0").as_bytes()) },
        TarEntry::file("cut", b"gnu"),
        TarEntry { kind: b'K', ..TarEntry::file("././@LongLink", format!("{long}\0").as_bytes()) },
        TarEntry::link("./link", b'2', "cut"),
        TarEntry::pax(&[("path", format!("{long}2").as_bytes())]),
        TarEntry::file("cut", b"pax"),
    ];
    let (data, _) = setting.fetch_deb(&deb(&entries)).unwrap();
    assert_eq!(setting.text(&data, &long), "gnu");
    assert_eq!(setting.text(&data, &format!("{long}2")), "pax");
    assert_eq!(data.entry(&path("link")), Some(&Entry::Symlink { target: long }));
}

#[test]
fn an_archive_by_url_loses_its_top_folder_and_its_owners() {
    let setting = Setting::new();
    let entries = [
        TarEntry { kind: b'g', ..TarEntry::pax(&[("comment", b"0123abcd")]) },
        TarEntry { mode: 0o2775, uid: 1000, ..TarEntry::directory("runc-1.2/") },
        TarEntry { mode: 0o4775, uid: 1000, gid: 1000, ..TarEntry::file("runc-1.2/configure", b"#!/bin/sh\n") },
        TarEntry { mode: 0o664, uid: 1000, ..TarEntry::file("runc-1.2/src/main.c", b"int") },
        TarEntry::link("runc-1.2/link", b'2', "src/main.c"),
    ];
    let archive = tar(&entries);
    let mut trees = ["", ".bz2", ".gz", ".lzma", ".xz", ".zst"]
        .map(|suffix| setting.fetch_url(&packed(&archive, suffix), Extract::Archive).unwrap());
    let tree = trees[0].clone();
    assert_eq!(tree.metadata(&path("configure")), Some(Metadata::with_mode(0o755)));
    assert_eq!(tree.metadata(&path("src/main.c")), Some(Metadata::with_mode(0o644)));
    assert_eq!(tree.metadata(&RelPath::ROOT), Some(Metadata::with_mode(0o755)));
    assert_eq!(tree.len(), 4);
    trees.iter_mut().for_each(|other| assert_eq!(*other, tree));
}

#[test]
fn an_archive_without_a_single_top_folder_stays_as_it_is() {
    let setting = Setting::new();
    for entries in [
        vec![TarEntry::file("a/x", b""), TarEntry::file("b/x", b"")],
        vec![TarEntry::file("a", b"")],
        vec![TarEntry::file("a/x", b""), TarEntry::link("b", b'2', "a")],
    ] {
        let tree = setting.fetch_url(&tar(&entries), Extract::Archive).unwrap();
        assert!(tree.entry(&path("a")).is_some(), "{tree:?}");
    }
}

#[test]
fn a_zip_archive_is_one_too() {
    let setting = Setting::new();
    let files = [TarEntry::file("a-1/configure", b"#!/bin/sh\n"), TarEntry::file("a-1/src/main.c", b"int")];
    let archive = zip(&files);
    let tree = setting.fetch_url(&archive, Extract::Archive).unwrap();
    assert_eq!(setting.text(&tree, "src/main.c"), "int");
    assert_eq!(tree.metadata(&path("configure")), Some(Metadata::with_mode(0o644)));
    // As another program writes it: deflated, with modes, folders and a link.
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("a-1/src")).unwrap();
    fs::write(at("a-1/src/main.c"), "int ".repeat(1000)).unwrap();
    fs::write(at("a-1/configure"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("a-1/configure"), std::os::unix::fs::PermissionsExt::from_mode(0o775)).unwrap();
    std::os::unix::fs::symlink("src/main.c", at("a-1/link")).unwrap();
    let python = "import os, zipfile\n\
        archive = zipfile.ZipFile('a.zip', 'w', zipfile.ZIP_DEFLATED)\n\
        for name in ['a-1', 'a-1/src', 'a-1/src/main.c', 'a-1/configure']: archive.write(name)\n\
        link = zipfile.ZipInfo('a-1/link')\n\
        link.create_system, link.external_attr = 3, 0o120777 << 16\n\
        archive.writestr(link, 'src/main.c')\n\
        archive.close()\n";
    let made = Command::new("python3").args(["-c", python]).current_dir(folder.path()).status();
    assert!(made.expect("python3 is installed").success());
    let tree = setting.fetch_url(&fs::read(at("a.zip")).unwrap(), Extract::Archive).unwrap();
    assert_eq!(setting.text(&tree, "src/main.c").len(), 4000);
    assert_eq!(tree.metadata(&path("configure")), Some(Metadata::with_mode(0o755)));
    assert_eq!(tree.entry(&path("link")), Some(&Entry::Symlink { target: "src/main.c".into() }));
    assert_eq!(tree.len(), 4);
}

#[test]
fn a_zip_archive_is_held_to_what_is_held_of_tar() {
    let setting = Setting::new();
    let good = zip(&[TarEntry::file("a", b"content")]);
    let change = |from: &[u8], to: &[u8]| {
        let mut bytes = good.clone();
        for at in 0..bytes.len() - from.len() {
            if bytes[at..].starts_with(from) {
                bytes[at..at + from.len()].copy_from_slice(to);
            }
        }
        bytes
    };
    for (bytes, expected) in [
        (zip(&[TarEntry::file("../a", b"")]), "the path `../a` is not allowed"),
        (zip(&[TarEntry::file("/a", b"")]), "is absolute"),
        (zip(&[TarEntry::file("a", b""), TarEntry::file("a", b"")]), "it is there twice"),
        (zip(&[TarEntry::file("a", b""), TarEntry::file("a/b", b"")]), "is not a directory"),
        (zip(&[]), "an empty one"),
        (change(b"content", b"CONTENT"), "cannot be read"),
        (good[..good.len() - 3].to_vec(), "ends too early"),
        (good[..20].to_vec(), "list of entries"),
    ] {
        let text = crate::sandbox::bench::chain(&setting.fetch_url(&bytes, Extract::Archive).unwrap_err());
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn what_is_no_archive_is_told_with_what_to_write() {
    let setting = Setting::new();
    for (bytes, found) in [
        (&b"words"[..], "found one file"),
        (&[&b"\x7fELF"[..], &[1; 600]].concat(), "found a program or library"),
        (&gzip(&[b'a'; 2000]), "found one file, compressed"),
        (b"7z\xbc\xaf\x27\x1c\0\0", "found a 7-Zip archive"),
        (&deb(&[]), "Debian package"),
    ] {
        let text = crate::sandbox::bench::chain(&setting.fetch_url(bytes, Extract::Archive).unwrap_err());
        for part in [found, "tar, plain or compressed with bzip2", "`unpack=#false` at its `url`"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_file_that_is_kept_is_one_file() {
    let setting = Setting::new();
    let tree = setting.fetch_url(b"not an archive", Extract::Keep).unwrap();
    assert_eq!(setting.text(&tree, "a.tar"), "not an archive");
    assert_eq!(tree.metadata(&path("a.tar")), Some(Metadata::with_mode(0o644)));
    assert_eq!(tree.len(), 1);
}

#[test]
fn a_package_that_another_program_wrote_is_read() {
    let setting = Setting::new();
    let mut archive = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_gnu();
    header.set_mode(0o640);
    header.set_uid(7);
    header.set_gid(8);
    header.set_size(4);
    archive.append_data(&mut header, format!("./{}", "long-name/".repeat(30) + "x"), &b"data"[..]).unwrap();
    let data = archive.into_inner().unwrap();
    let mut package = ::ar::Builder::new(Vec::new());
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", &control()), ("data.tar", &data)] {
        package.append(&::ar::Header::new(name.into(), bytes.len() as u64), bytes).unwrap();
    }
    let (tree, _) = setting.fetch_deb(&package.into_inner().unwrap()).unwrap();
    let metadata = tree.metadata(&path(&("long-name/".repeat(30) + "x"))).unwrap();
    assert_eq!((metadata.mode, metadata.uid, metadata.gid), (0o640, 7, 8));
}

#[test]
fn a_source_package_is_laid_out_as_dpkg_source_does() {
    let setting = Setting::new();
    let file = |name: &str| TarEntry::file(name, name.as_bytes());
    let orig = xz(&tar(&[TarEntry::directory("a-1/"), file("a-1/main.c"), file("a-1/debian/old"), file("a-1/t/x")]));
    let part = gzip(&tar(&[file("./tests-2/case")]));
    let packaging = xz(&tar(&[TarEntry::directory("debian/"), file("debian/rules"), file("debian/patches/series")]));
    let archives = [("a.orig", orig.clone(), ""), ("a.debian", packaging, "debian"), ("a.orig-t", part, "t")];
    let tree = setting.fetch_source(&archives).unwrap();
    let files = tree.entries().filter(|(_, entry)| !matches!(entry, Entry::Directory));
    let files: Vec<&str> = files.map(|(path, _)| path.as_str()).collect();
    assert_eq!(files, ["debian/patches/series", "debian/rules", "main.c", "t/case"]);
    let two = setting.fetch_source(&[("a.orig", orig.clone(), ""), ("b.orig", orig, "")]).unwrap_err();
    assert!(brc_contract::error_chain(two.error.as_ref()).contains("debian/old"), "two archives at one place");
}
