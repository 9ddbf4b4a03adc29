//! A repository of updates, from the first key to what a machine fetches.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    project::{Ran, brc, folder, quickstart, sha256},
    sha256_hex,
};

/// A folder with keys and a repository that offers nothing yet.
fn begun(name: &str) -> PathBuf {
    let folder = folder(name);
    let ran = Ran::well(brc().args(["keys", "new"]).arg(folder.join("keys")));
    assert_eq!(ran.of("written").count(), 8, "a private and a public half for each role");
    Ran::well(&mut repo(&folder, "init", &[]));
    folder
}

fn repo(folder: &Path, verb: &str, more: &[&str]) -> Command {
    let mut command = brc();
    command.args(["repo", verb]).arg(folder.join("repository")).args(more).arg("--keys").arg(folder.join("keys"));
    command
}

/// What a repository says of itself, checked.
fn checked(folder: &Path) -> Value {
    let ran = Ran::well(brc().args(["repo", "check"]).arg(folder.join("repository")));
    ran.events.last().unwrap().clone()
}

fn refused(command: &mut Command, code: i32) -> String {
    let ran = Ran::new(command);
    assert_eq!(ran.output.status.code(), Some(code), "{:?}", ran.events);
    ran.events.last().unwrap()["error"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_repository_offers_is_byte_for_byte_what_stands_in_the_image() {
    let image = quickstart().disk.to_str().unwrap();
    let folder = begun("repository");
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let file = folder.join("keys").join(format!("{role}.pem"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(checked(&folder)["images"].as_array().unwrap().len(), 0);
    let waves = ["--wave", "2026-12-01T08:00:00Z=0%", "--wave", "2026-12-02T08:00:00Z=100%"];
    Ran::well(&mut repo(&folder, "add", &[&[image][..], &waves].concat()));
    let found = checked(&folder);
    assert_eq!(found["images"], serde_json::json!(["quickstart_0.1.0 x86_64"]));

    let targets = folder.join("repository/targets");
    let names = fs::read_dir(&targets).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut targets_of: Vec<String> = names.filter(|name| !name.ends_with("manifest.json")).collect();
    targets_of.sort_by_key(|name| name.rsplit_once('.').map(|(_, ending)| ending.to_owned()));
    let endings: Vec<&str> = targets_of.iter().map(|name| name.split_once('.').unwrap().1).collect();
    assert_eq!(endings, ["efi", "root", "verity"].map(|ending| format!("quickstart_0.1.0_x86_64.{ending}")));
    for name in &targets_of {
        let path = targets.join(name);
        assert_eq!(name.split_once('.').unwrap().0, sha256(&path), "a target is called by its digest");
    }
    // The root starts where the partition does.
    let disk = fs::File::open(image).unwrap();
    let mut first = [0; 8];
    disk.read_exact_at(&mut first, 1024 + 2 * 128 + 32).unwrap();
    let (mut there, mut target) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    disk.read_exact_at(&mut there, u64::from_le_bytes(first) * 512).unwrap();
    fs::File::open(targets.join(&targets_of[1])).unwrap().read_exact(&mut target).unwrap();
    assert!(there == target);

    // What stops a bad release, and what keeps the repository fresh, are versions of the metadata alone.
    for (verb, more) in [("limit", &["0.1.0"][..]), ("limit", &[]), ("refresh", &[])] {
        let ran = Ran::well(&mut repo(&folder, verb, more));
        assert_eq!(ran.events.last().unwrap()["images"], found["images"], "{verb} {more:?}");
    }

    // What machines take now stays; a halted version may go, and its files with it.
    let needed = refused(&mut repo(&folder, "remove", &["0.1.0"]), 2);
    assert!(needed.starts_with("`quickstart_0.1.0 x86_64` stays, and nothing was removed: it is what"), "{needed}");
    let strange = refused(&mut repo(&folder, "halt", &["other_0.1.0"]), 2);
    assert!(strange.contains("`other_0.1.0` is not offered: what is offered is `quickstart_0.1.0`"), "{strange}");
    let halted = Ran::well(&mut repo(&folder, "halt", &["quickstart_0.1.0"]));
    assert_eq!(halted.events.last().unwrap()["halted"], found["images"]);
    let copy = folder.join("removed");
    copy_all(&folder.join("repository"), &copy);
    Ran::well(brc().args(["repo", "remove"]).arg(&copy).arg("0.1.0").arg("--keys").arg(folder.join("keys")));
    let left: Vec<_> = fs::read_dir(copy.join("targets")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.len() == 1 && left[0].to_str().unwrap().ends_with(".manifest.json"), "{left:?}");
    Ran::well(&mut repo(&folder, "resume", &["0.1.0"]));
    assert_eq!(checked(&folder)["halted"], serde_json::json!([]));

    // Its root comes from the metadata alone, whoever serves it.
    let mut server = brc()
        .args(["repo", "serve", "--listen", "127.0.0.1:0"])
        .arg(folder.join("repository"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_suffix('/').and_then(|line| line.rsplit_once("http://")).unwrap().1.to_owned();
    let get = |path: &str, header: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\nX").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    };
    let name = format!("/targets/{}", targets_of[0]);
    let (head, body) = get(&name, "");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert_eq!(sha256_hex(&body), targets_of[0].split_once('.').unwrap().0);
    let (head, rest) = get(&name, "Range: bytes=1000-\r\n");
    assert!(head.starts_with("HTTP/1.1 206 ") && rest == body[1000..], "{head}");
    for missing in ["/", "/targets", "/../keys/root.pem", "/metadata/../../keys/root.pem", "/no"] {
        assert!(get(missing, "").0.starts_with("HTTP/1.1 404 "), "{missing}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

fn copy_all(from: &Path, to: &Path) {
    for part in ["metadata", "targets"] {
        fs::create_dir_all(to.join(part)).unwrap();
        for file in fs::read_dir(from.join(part)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(part).join(file.file_name())).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_offered_is_told() {
    let image = quickstart().disk.clone();
    let folder = begun("repository-refused");
    let shown = image.to_str().unwrap();
    for (more, says) in [
        (vec![shown, "--wave", "tomorrow=5%"], "`--wave tomorrow=5%`: expected a date in UTC and a percentage"),
        (vec![shown, "--wave", "2026-12-01T08:00:00Z=101%"], "expected a date in UTC and a percentage"),
        (vec![shown, "--wave", "2026-12-01T08:00:00Z=50%"], "`--wave`: the schedule ends with 1024 of 2048 seeds"),
        (vec!["no.raw"], "the image `no.raw` cannot be read"),
    ] {
        let told = refused(&mut repo(&folder, "add", &more), 2);
        assert!(told.contains(says), "{told}");
    }
    let bad = folder.join("quickstart_0.1.0_x86_64.raw");
    fs::copy(&image, &bad).unwrap();
    let disk = OpenOptions::new().write(true).open(&bad).unwrap();
    disk.write_all_at(b"x", 300 << 20).unwrap();
    let told = refused(&mut repo(&folder, "add", &[bad.to_str().unwrap()]), 1);
    assert!(told.contains("is not as brc writes images: "), "{told}");
    for version in ["foo", "", "1.10.0 ", "*"] {
        let told = refused(&mut repo(&folder, "limit", &[version]), 2);
        assert!(told.contains("expected a version of an image"), "{told}");
    }
    let other = begun("repository-other-keys");
    let told = refused(
        brc().args(["repo", "refresh"]).arg(folder.join("repository")).arg("--keys").arg(other.join("keys")),
        2,
    );
    assert!(told.contains("is not the one that the repository's root names"), "{told}");
    checked(&folder);
    assert!(refused(brc().args(["keys", "new"]).arg(folder.join("keys")), 2).contains("a key is never overwritten"));
    assert!(refused(&mut repo(&folder, "init", &[]), 2).contains("holds a repository already"));
    fs::remove_file(folder.join("keys/timestamp.pem")).unwrap();
    assert!(refused(&mut repo(&folder, "refresh", &[]), 2).contains("expected `timestamp.pem`"));
    let none = folder.join("none");
    assert!(refused(brc().args(["repo", "check"]).arg(&none), 2).contains("holds no repository"));
    let timestamp = folder.join("repository/metadata/timestamp.json");
    let text = fs::read_to_string(&timestamp).unwrap();
    fs::write(&timestamp, text.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
    let told = refused(brc().args(["repo", "check"]).arg(folder.join("repository")), 4);
    assert!(told.contains("`timestamp` is signed by 0 of the 1 keys"), "{told}");
}
