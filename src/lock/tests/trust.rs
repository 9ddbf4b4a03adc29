//! What an archive must not get away with.

use pgp::{composed::KeyType, crypto::hash::HashAlgorithm};

use super::*;
use crate::content::Compression;

fn suite() -> SuiteSpec {
    SuiteSpec::new("trixie", vec![PackageSpec::new("a", "1")])
}

fn refused(world: &World, expected: &str) {
    match world.tool(&["a"]) {
        Err(LockError::Archive(error)) => {
            let text = error.to_string();
            assert!(text.contains(expected), "{expected}: {text}");
            assert!(text.contains("debian trixie"), "{text}");
        }
        other => panic!("{expected}: {:?}", other.map(|(lock, _)| names(&lock))),
    }
}

#[test]
fn an_archive_signed_by_a_pinned_key_is_taken() {
    for spec in [
        KeySpec::default(),
        KeySpec { subkey: Some(SubkeySpec::default()), may_sign: false, ..KeySpec::default() },
        KeySpec { lifetime: Some(400 * 86_400), ..KeySpec::default() },
        KeySpec { kind: KeyType::Rsa(2048), ..KeySpec::default() },
    ] {
        let key = ArchiveKey::new(&spec);
        let mut world = World::signed(&[suite()], &key);
        assert_eq!(names(&world.tool(&["a"]).unwrap().0), ["a 1"], "{spec:?}");
        world.archive.keyrings = vec![key.binary_certificate()];
        assert_eq!(names(&world.tool(&["a"]).unwrap().0), ["a 1"], "{spec:?}");
    }
}

#[test]
fn one_good_signature_among_keys_that_nobody_knows_is_enough() {
    let (mut world, other) = (World::new(&[suite()]), ArchiveKey::new(&KeySpec { seed: 2, ..KeySpec::default() }));
    world.archive.keyrings.insert(0, other.certificate());
    assert_eq!(names(&world.tool(&["a"]).unwrap().0), ["a 1"]);
}

#[test]
fn keys_that_may_not_speak_are_not_heard() {
    let good = KeySpec::default();
    let subkey = |how| KeySpec { subkey: Some(how), may_sign: false, ..KeySpec::default() };
    let sub = SubkeySpec::default();
    for (spec, expected) in [
        (KeySpec { lifetime: Some(364 * 86_400), ..good.clone() }, "has expired"),
        (KeySpec { created: NOW - 60, ..good.clone() }, "made before the key was"),
        (KeySpec { revoked: true, ..good.clone() }, "is revoked"),
        (KeySpec { may_sign: false, ..good.clone() }, "is not for signing"),
        (KeySpec { kind: KeyType::Rsa(2048), hash: HashAlgorithm::Sha1, ..good.clone() }, "no valid self-signature"),
        (subkey(SubkeySpec { agrees: false, ..sub }), "did not agree to belong"),
        (subkey(SubkeySpec { may_sign: false, ..sub }), "is not for signing"),
        (subkey(SubkeySpec { revoked: true, ..sub }), "is revoked"),
        (subkey(SubkeySpec { lifetime: Some(86_400), ..sub }), "has expired"),
        (KeySpec { revoked: true, subkey: Some(sub), ..good.clone() }, "is revoked"),
    ] {
        refused(&World::signed(&[suite()], &ArchiveKey::new(&spec)), expected);
    }
}

#[test]
fn a_revocation_in_any_pinned_copy_of_a_certificate_counts() {
    let mut world = World::new(&[suite()]);
    world.archive.keyrings.push(ArchiveKey::new(&KeySpec { revoked: true, ..KeySpec::default() }).certificate());
    refused(&world, "is revoked");
}

#[test]
fn a_signature_by_a_key_that_is_not_pinned_counts_for_nothing() {
    let mut world = World::new(&[suite()]);
    world.archive.keyrings = vec![ArchiveKey::new(&KeySpec { seed: 2, ..KeySpec::default() }).certificate()];
    refused(&world, "unknown key");
    world.archive.keyrings = vec![];
    refused(&world, "no pinned certificate");
    world.archive.keyrings = vec![b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nrubbish\n".to_vec()];
    refused(&world, "pinned keyring");
}

#[test]
fn a_signature_over_a_broken_digest_counts_for_nothing() {
    let key = ArchiveKey::new(&KeySpec { kind: KeyType::Rsa(2048), ..KeySpec::default() });
    let suite = SuiteSpec { hash: HashAlgorithm::Sha1, ..suite() };
    refused(&World::signed(&[suite], &key), "digest, which proves nothing");
}

#[test]
fn a_changed_in_release_is_refused() {
    let mut world = World::new(&[suite()]);
    world.change("InRelease", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace("Origin: Test", "Origin: Fest").into_bytes();
    });
    refused(&world, "changed after it was signed");
}

#[test]
fn only_the_signed_text_counts() {
    let forged = "Origin: Test\nCodename: trixie\n\n";
    for (change, expected) in [
        ((|text: &str, forged: &str| format!("{forged}{text}")) as fn(&str, &str) -> String, "does not begin with one"),
        (|text, _| format!("\n{text}"), "does not begin with one"),
        (|text, forged| format!("{text}\n{forged}"), "text after the signature"),
        (
            |text, forged| text.replace("-----BEGIN PGP SIGNATURE", &format!("{forged}-----BEGIN PGP SIGNATURE")),
            "changed",
        ),
        (|text, forged| text.replacen("Hash: SHA256\n", &format!("Hash: SHA256\n{forged}"), 1), "another header"),
        (|text, _| text.replace("-----BEGIN PGP SIGNED MESSAGE-----", "-----BEGIN PGP MESSAGE-----"), "does not begin"),
        (|_, forged| forged.to_owned(), "does not begin with one"),
        (|_, _| String::new(), "does not begin with one"),
    ] {
        let mut world = World::new(&[suite()]);
        world.change("InRelease", |bytes| {
            *bytes = change(std::str::from_utf8(bytes).unwrap(), forged).into_bytes();
        });
        refused(&world, expected);
    }
}

#[test]
fn dates_decide_whether_an_archive_is_current() {
    let with = |date, valid_until| SuiteSpec { date, valid_until, ..suite() };
    refused(&World::new(&[with(NOW - 86_400, Some(NOW))]), "accept-expired");
    refused(&World::new(&[with(NOW - 86_400, Some(NOW - 1))]), "`Valid-Until: 2026-10-31T23:59:59Z`");
    refused(&World::new(&[with(NOW + 3 * 86_400, None)]), "made in the future");
    assert!(World::new(&[with(NOW + 3600, None)]).tool(&["a"]).is_ok(), "a clock may be an hour off");
    let mut world = World::new(&[with(NOW - 86_400 * 30, Some(NOW - 1))]);
    world.archive.suites[0].accept_expired = true;
    assert!(world.tool(&["a"]).is_ok());
}

#[test]
fn an_old_list_that_states_no_end_is_told_when_nothing_newer_is_known() {
    let with = |days: u64| World::new(&[SuiteSpec { date: NOW - days * 86_400, valid_until: None, ..suite() }]);
    let old = with(181);
    let (lock, report) = old.tool(&["a"]).unwrap();
    let warning = report.warnings[0].to_string();
    for part in ["the list of `debian trixie` is 181 days old", "2026-05-04T00:00:00Z", "`accept-expired=#true`"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    let again = |world: &World, packages: &[&str], goal| {
        world.lock(world.wanting(vec![closure(packages)]), &lock, goal).unwrap().1.warnings.len()
    };
    assert_eq!(again(&old, &["a"], Goal::Update(std::collections::BTreeSet::new())), 1);
    let mut more = closure(&["a"]);
    more.name = "tool more".to_owned();
    let more = old.lock(old.wanting(vec![closure(&["a"]), more]), &lock, Goal::Complete).unwrap().1;
    assert_eq!(more.warnings, [], "it is known, and told when it was new");
    assert_eq!(with(180).tool(&["a"]).unwrap().1.warnings, []);
    let mut meant = old;
    meant.archive.suites[0].accept_expired = true;
    assert_eq!(meant.tool(&["a"]).unwrap().1.warnings, []);
    let ending = SuiteSpec { date: NOW - 300 * 86_400, valid_until: Some(NOW + 86_400), ..suite() };
    assert_eq!(World::new(&[ending]).tool(&["a"]).unwrap().1.warnings, []);
}

#[test]
fn a_list_older_than_the_locked_one_is_refused() {
    let with = |date| World::new(&[SuiteSpec { date, valid_until: None, ..suite() }]);
    let new = with(NOW - 86_400);
    let (lock, _) = new.tool(&["a"]).unwrap();
    let mut old = with(NOW - 2 * 86_400);
    let again = |world: &World| {
        world.lock(world.wanting(vec![closure(&["a"])]), &lock, Goal::Update(std::collections::BTreeSet::new()))
    };
    let refused = again(&old).unwrap_err().to_string();
    assert!(refused.contains("or newer, as locked"), "{refused}");
    assert!(again(&new).is_ok());
    old.archive.suites[0].accept_expired = true;
    assert!(again(&old).is_ok());
}

#[test]
fn a_date_in_the_future_is_refused_although_it_was_signed_now() {
    let key = ArchiveKey::new(&KeySpec::default());
    let suite = SuiteSpec { date: NOW + 3 * 86_400, ..suite() };
    let mut world = World::signed(std::slice::from_ref(&suite), &key);
    let signed = key.sign(&suite.release(), HashAlgorithm::Sha256, NOW);
    world.change("InRelease", |bytes| *bytes = signed.clone().into_bytes());
    refused(&world, "`Date: 2026-11-04T00:00:00Z`");
}

#[test]
fn the_signed_file_of_another_suite_is_refused() {
    let suite = SuiteSpec { claims: Some("bookworm".to_owned()), ..suite() };
    refused(&World::new(&[suite]), "expected the suite `trixie`, found `stable` (`bookworm`)");
}

#[test]
fn an_index_or_a_package_with_other_bytes_is_refused() {
    let mut world = World::new(&[suite()]);
    world.change("binary-amd64/Packages.xz", |bytes| bytes[40] ^= 1);
    for ((_, path), bytes) in &mut world.files {
        if path.contains("by-hash") && !bytes.is_empty() {
            bytes[20] ^= 1;
        }
    }
    refused(&world, "the SHA-256");

    let mut world = World::new(&[suite()]);
    for ((_, path), bytes) in &mut world.files {
        if path.contains("by-hash") {
            bytes.push(0);
        }
    }
    refused(&world, "bytes, found");

    let mut world = World::new(&[suite()]);
    world.change(".deb", |bytes| bytes[70] ^= 1);
    let wanted = world.wanting(vec![Closure { purpose: Purpose::Image, ..closure(&["a"]) }]);
    let text = told(world.lock(wanted, &Lock::default(), Goal::Complete));
    assert!(text.contains("a_1_amd64.deb") && text.contains("the SHA-256"), "{text}");
}

#[test]
fn an_index_that_swells_is_refused_at_its_stated_size() {
    let bomb = package::xz(&vec![b'\n'; 8 << 20]);
    assert!(bomb.len() < 8192);
    let error = index::decompress(&bomb, Compression::Xz, 1 << 20).unwrap_err();
    assert_eq!(error.reason, "more than 1048576 bytes of text");
    assert_eq!(index::decompress(&bomb, Compression::Xz, 8 << 20).unwrap().len(), 8 << 20);
    for rubbish in [&b"rubbish"[..], b"", &bomb[..bomb.len() - 20]] {
        assert!(index::decompress(rubbish, Compression::Xz, 1 << 20).is_err());
    }
}

#[test]
fn an_entry_of_an_index_that_nothing_can_be_made_of_is_no_package() {
    let good = "Package: a\nVersion: 1\nArchitecture: amd64\nFilename: pool/a.deb\nSize: 1\nSHA256: ";
    let good = format!("{good}{}\n", "0".repeat(64));
    let origin = index::Origin { archive: "debian", suite: "trixie", mirror: "debian" };
    assert_eq!(index::read(&good, origin).unwrap().entries.len(), 1);
    for (from, to) in [
        ("pool/a.deb", "../../etc/passwd"),
        ("pool/a.deb", "/../etc/passwd"),
        ("pool/a.deb", "./"),
        ("pool/a.deb", "pool/a\".deb"),
        ("Package: a", "Package: ../a"),
        ("Package: a", "Package: A"),
        ("Package: a\n", ""),
        ("Version: 1", "Version: 1 2"),
        ("Version: 1\n", ""),
        ("Size: 1", "Size: -1"),
        ("Size: 1\n", ""),
        ("SHA256: 0", "SHA256: x"),
        ("Version: 1", " Version"),
    ] {
        let text = format!("{}\n{good}", good.replace(from, to));
        let listed = index::read(&text, origin).unwrap();
        assert_eq!((listed.entries.len(), listed.odd.len()), (1, 1), "{to}");
    }
    assert!(index::read(&good.replace("Version: 1", "Version"), origin).is_err());
    let foreign = good.replace("amd64", "riscv64");
    let listed = index::read(&foreign, origin).unwrap();
    assert!(listed.entries.is_empty() && listed.odd.is_empty());
}

#[test]
fn packages_that_cannot_be_read_are_refused() {
    let good = PackageSpec::new("a", "1").script("postinst").deb();
    assert!(control::inspect("a", &good).is_ok());
    let control = package::zstd(&package::control());
    let data = package::zstd(&package::tar(&[package::TarEntry::file("./usr/lib/sysusers.d/a.conf", b"u a -\n")]));
    for (bytes, expected) in [
        (b"rubbish".to_vec(), "`ar` archive"),
        (Vec::new(), "`ar` archive"),
        (good[..good.len() / 2].to_vec(), ""),
        (package::ar(&[("debian-binary", b"2.0\n")]), "no `control.tar`"),
        (package::ar(&[("control.tar.zst", &control)]), "no `data.tar`"),
        (package::ar(&[("control.tar.zst", &control), ("data.tar.lz4", &data)]), "a compression that is not read"),
        (package::ar(&[("control.tar.zst", &control), ("data.tar.xz", &data)]), "tar archive"),
        (package::ar(&[("control.tar.zst", &control), ("data.tar.zst", &data[..data.len() - 9])]), "tar archive"),
    ] {
        let error = control::inspect("a", &bytes).unwrap_err();
        assert!(error.reason.contains(expected), "{expected}: {}", error.reason);
    }
    let huge = package::TarEntry {
        stated_size: Some(5 << 30),
        ..package::TarEntry::file("./usr/lib/sysusers.d/a.conf", b"u a -\n")
    };
    let huge = package::ar(&[("control.tar.zst", &control), ("data.tar.zst", &package::zstd(&package::tar(&[huge])))]);
    assert!(control::inspect("a", &huge).unwrap_err().reason.contains("5368709120 bytes"));
}

#[test]
fn packages_are_looked_into_within_the_limits_that_they_are_unpacked_with() {
    let control = package::zstd(&package::control());
    let file = |name: &str| package::TarEntry::file(name, b"x");
    let claim = |kind| package::TarEntry { kind, stated_size: Some(7 << 30), ..file("long") };
    for (data, expected) in [
        (vec![claim(b'L'), file("a")], "bytes in an extended header"),
        (vec![claim(b'K'), file("a")], "bytes in an extended header"),
        (vec![claim(b'x'), file("a")], "bytes in an extended header"),
        (vec![file("../a")], "is not allowed"),
    ] {
        let data = package::zstd(&package::tar(&data));
        let bytes = package::ar(&[("control.tar.zst", &control), ("data.tar.zst", &data)]);
        let reason = control::inspect("a", &bytes).unwrap_err().reason;
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}
