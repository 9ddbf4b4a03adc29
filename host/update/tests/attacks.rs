//! Repositories that lie: each is refused, and says why; what was believed before is believed again afterwards.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test may stop where it stands")]

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    num::NonZeroU64,
    path::{Path, PathBuf},
    thread,
};

use async_trait::async_trait;
use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use brc_contract::{error_chain, update::OFFERS};
use brc_update::{Clock, Repository, RepositoryError, Settings};
use serde_json::{Value, json};
use tough::{
    editor::{RepositoryEditor, signed::PathExists},
    key_source::KeySource,
    sign::Sign,
};

const ROLES: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];
const LATER: &str = "2040-01-01T00:00:00Z";
/// In 2026, before any of them expires.
const NOW: u64 = 1_790_000_000;

struct Key(Ed25519KeyPair);

impl Key {
    fn new() -> Key {
        Key(Ed25519KeyPair::generate().unwrap())
    }

    fn public(&self) -> Value {
        json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": hex(self.0.public_key().as_ref())}})
    }

    fn id(&self) -> String {
        sha256(canonical(&self.public()).as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Canonical JSON, of texts without anything to escape.
fn canonical(value: &Value) -> String {
    value.to_string()
}

/// Metadata with the signatures of some keys.
fn signed(value: &Value, keys: &[&Key]) -> Vec<u8> {
    let text = canonical(value);
    let signature = |key: &&Key| json!({"keyid": key.id(), "sig": hex(key.0.sign(text.as_bytes()).as_ref())});
    json!({"signatures": keys.iter().map(signature).collect::<Vec<_>>(), "signed": value}).to_string().into_bytes()
}

/// A repository to be written: what a lie changes of it stands here.
struct Plan {
    keys: BTreeMap<&'static str, Key>,
    /// Who signs in place of the role's own key.
    forged: BTreeMap<&'static str, Key>,
    versions: BTreeMap<&'static str, u64>,
    expires: BTreeMap<&'static str, &'static str>,
    threshold: u64,
    targets: BTreeMap<String, Vec<u8>>,
}

impl Plan {
    fn new() -> Plan {
        let offers = br#"{"format": 1, "images": []}"#.to_vec();
        Plan {
            keys: ROLES.map(|role| (role, Key::new())).into(),
            forged: BTreeMap::new(),
            versions: ROLES.map(|role| (role, 1)).into(),
            expires: ROLES.map(|role| (role, LATER)).into(),
            threshold: 1,
            targets: BTreeMap::from([(OFFERS.to_owned(), offers)]),
        }
    }

    fn head(&self, role: &str) -> Value {
        json!({"_type": role, "spec_version": "1.0.0", "version": self.versions[role], "expires": self.expires[role]})
    }

    fn signers(&self, role: &str) -> Vec<&Key> {
        vec![self.forged.get(role).unwrap_or(&self.keys[role])]
    }

    fn root(&self) -> Vec<u8> {
        let mut root = self.head("root");
        root["consistent_snapshot"] = json!(true);
        root["keys"] = self.keys.values().map(|key| (key.id(), key.public())).collect::<serde_json::Map<_, _>>().into();
        for role in ROLES {
            let threshold = if role == "targets" { self.threshold } else { 1 };
            root["roles"][role] = json!({"keyids": [self.keys[role].id()], "threshold": threshold});
        }
        signed(&root, &self.signers("root"))
    }

    /// Writes it; the root that a machine trusts.
    fn write(&self, folder: &Path) -> Vec<u8> {
        let put = |name: String, bytes: &[u8]| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let meta = |role: &str, bytes: &[u8]| json!({"version": self.versions[role], "length": bytes.len(), "hashes": {"sha256": sha256(bytes)}});
        let mut targets = self.head("targets");
        targets["targets"] = json!({});
        for (name, content) in &self.targets {
            targets["targets"][name] = json!({"length": content.len(), "hashes": {"sha256": sha256(content)}});
            if name == OFFERS {
                put(format!("targets/{}.{name}", sha256(content)), content);
            }
        }
        let targets = signed(&targets, &self.signers("targets"));
        let mut snapshot = self.head("snapshot");
        snapshot["meta"] = json!({"targets.json": meta("targets", &targets)});
        let snapshot = signed(&snapshot, &self.signers("snapshot"));
        let mut timestamp = self.head("timestamp");
        timestamp["meta"] = json!({"snapshot.json": meta("snapshot", &snapshot)});
        let root = self.root();
        put(format!("metadata/{}.root.json", self.versions["root"]), &root);
        put(format!("metadata/{}.targets.json", self.versions["targets"]), &targets);
        put(format!("metadata/{}.snapshot.json", self.versions["snapshot"]), &snapshot);
        put("metadata/timestamp.json".to_owned(), &signed(&timestamp, &self.signers("timestamp")));
        root
    }
}

/// What a machine finds in a repository: the names of images, or why it believes nothing.
fn found(url: &str, root: &[u8], kept: &Path) -> Result<String, String> {
    let settings = settings(url, root.to_vec(), kept.to_owned());
    let clock = Clock { now: NOW, floor: 0, is_agreed: false };
    let told = |error: RepositoryError| error_chain(&error);
    let repository = Repository::open(&settings, &clock).map_err(told)?;
    let mut text = String::new();
    repository.target(OFFERS).map_err(told)?.read_to_string(&mut text).map_err(|error| error_chain(&error))?;
    Ok(text)
}

fn settings(url: &str, root: Vec<u8>, kept: PathBuf) -> Settings {
    Settings { metadata: format!("{url}metadata"), targets: format!("{url}targets"), root, kept }
}

fn address(folder: &Path) -> String {
    format!("file://{}/", folder.display())
}

/// Looks at an honest repository, at what `lie` makes of it, and at what the honest one is later.
fn lied(expected: &str, lie: impl FnOnce(&mut Plan, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    let [honest, lying, later, kept] = ["honest", "lying", "later", "kept"].map(|name| folder.path().join(name));
    let mut plan = Plan::new();
    plan.versions = ROLES.map(|role| (role, if role == "root" { 1 } else { 5 })).into();
    let root = plan.write(&honest);
    plan.versions = ROLES.map(|role| (role, if role == "root" { 1 } else { 9 })).into();
    plan.write(&later);
    plan.versions = ROLES.map(|role| (role, if role == "root" { 1 } else { 5 })).into();
    let truth = found(&address(&honest), &root, &kept).unwrap();
    lie(&mut plan, &lying);
    let told = found(&address(&lying), &root, &kept).unwrap_err();
    assert!(told.contains(expected), "{expected}: {told}");
    assert_eq!(found(&address(&later), &root, &kept), Ok(truth), "after: {told}");
}

#[test]
fn metadata_that_was_taken_back_is_refused() {
    for role in ["timestamp", "snapshot", "targets"] {
        lied("version", |plan, to| {
            plan.versions.insert(role, 4);
            if role != "timestamp" {
                plan.versions.insert("timestamp", 6);
            }
            plan.write(to);
        });
    }
}

#[test]
fn a_root_that_was_taken_back_is_refused() {
    lied("version", |plan, to| {
        plan.write(to);
        // The second root says that it is the first.
        fs::copy(to.join("metadata/1.root.json"), to.join("metadata/2.root.json")).unwrap();
    });
}

#[test]
fn metadata_whose_time_is_over_is_refused() {
    for role in ["timestamp", "snapshot", "targets"] {
        lied("has expired", |plan, to| {
            plan.expires.insert(role, "2020-01-01T00:00:00Z");
            plan.versions = ROLES.map(|role| (role, if role == "root" { 1 } else { 6 })).into();
            plan.write(to);
        });
    }
}

#[test]
fn who_has_another_key_signs_nothing() {
    for role in ROLES {
        lied("signature", |plan, to| {
            plan.forged.insert(role, Key::new());
            plan.versions = ROLES.map(|role| (role, 6)).into();
            plan.versions.insert("root", if role == "root" { 2 } else { 1 });
            plan.write(to);
        });
    }
}

#[test]
fn fewer_signatures_than_the_root_wants_are_too_few() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Plan::new();
    plan.threshold = 2;
    let root = plan.write(folder.path());
    let told = found(&address(folder.path()), &root, &folder.path().join("kept")).unwrap_err();
    assert!(told.contains("signature"), "{told}");
}

#[test]
fn parts_of_two_states_do_not_pass_for_one() {
    for (part, expected) in [("6.snapshot.json", "Hash mismatch"), ("6.targets.json", "exceeded")] {
        lied(expected, |plan, to| {
            plan.versions = ROLES.map(|role| (role, if role == "root" { 1 } else { 6 })).into();
            plan.write(to);
            let other = tempfile::tempdir().unwrap();
            plan.targets.insert("other".to_owned(), b"other".to_vec());
            plan.expires.insert("snapshot", "2041-01-01T00:00:00Z");
            plan.write(other.path());
            fs::copy(other.path().join("metadata").join(part), to.join("metadata").join(part)).unwrap();
        });
    }
}

#[test]
fn a_target_that_is_not_what_was_signed_is_refused() {
    let changes: [(&str, fn(&mut Vec<u8>)); 3] = [
        ("Hash mismatch", |content| content[0] ^= 1),
        ("exceed", |content| content.extend(vec![b' '; 1 << 20])),
        ("Hash mismatch", |content| content.truncate(3)),
    ];
    for (expected, change) in changes {
        lied(expected, |plan, to| {
            plan.versions = ROLES.map(|role| (role, if role == "root" { 1 } else { 6 })).into();
            plan.write(to);
            let (name, content) = plan.targets.first_key_value().unwrap();
            let path = to.join(format!("targets/{}.{name}", sha256(content)));
            let mut content = content.clone();
            change(&mut content);
            fs::write(path, content).unwrap();
        });
    }
}

#[test]
fn a_name_of_a_target_leads_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), b"secret").unwrap();
    let below = folder.path().join("repository");
    let secret = sha256(b"secret");
    for name in ["../../secret", "..", "/etc/passwd", "a/../../../secret", "%2e%2e/%2e%2e/secret", "./secret"] {
        let mut plan = Plan::new();
        plan.targets.insert(name.to_owned(), b"secret".to_vec());
        let root = plan.write(&below);
        // Where a name with the digest before it could lead.
        fs::create_dir_all(below.join(format!("targets/{secret}."))).unwrap();
        fs::create_dir_all(below.join(format!("targets/{secret}..."))).unwrap();
        let settings = settings(&address(&below), root, folder.path().join(format!("kept-{}", name.len())));
        let clock = Clock { now: NOW, floor: 0, is_agreed: false };
        let read = Repository::open(&settings, &clock).and_then(|repository| {
            let mut text = String::new();
            repository.target(name)?.read_to_string(&mut text).map_err(|source| RepositoryError::Offers { source })?;
            Ok(text)
        });
        assert!(read.is_err(), "{name}: {read:?}");
    }
}

/// The roots that follow on the first one, each with other keys, up to this version.
fn rotate(plan: &mut Plan, folder: &Path, until: u64, signed_by_old: impl Fn(u64) -> bool) {
    for version in 2..=until {
        let old = std::mem::replace(&mut plan.keys, ROLES.map(|role| (role, Key::new())).into());
        plan.versions.insert("root", version);
        let root: Value = serde_json::from_slice(&plan.root()).unwrap();
        let own = &plan.keys["root"];
        let by = if signed_by_old(version) { vec![&old["root"], own] } else { vec![own] };
        fs::write(folder.join(format!("metadata/{version}.root.json")), signed(&root["signed"], &by)).unwrap();
    }
}

#[test]
fn a_machine_that_has_slept_through_twelve_roots_comes_through() {
    let folder = tempfile::tempdir().unwrap();
    let [repository, kept] = ["repository", "kept"].map(|name| folder.path().join(name));
    let mut plan = Plan::new();
    let root = plan.write(&repository);
    let truth = found(&address(&repository), &root, &kept).unwrap();
    rotate(&mut plan, &repository, 13, |_| true);
    // What the keys of before have signed counts no more.
    let told = found(&address(&repository), &root, &kept).unwrap_err();
    assert!(told.contains("signature"), "{told}");
    let last = repository.join("metadata/13.root.json");
    let good = fs::read(&last).unwrap();
    plan.versions.extend([("targets", 2), ("snapshot", 2), ("timestamp", 2)]);
    plan.write(&repository);
    fs::write(last, good).unwrap();
    assert_eq!(found(&address(&repository), &root, &kept), Ok(truth.clone()));
    // So does one that sees it for the first time.
    assert_eq!(found(&address(&repository), &root, &folder.path().join("first")), Ok(truth));
}

#[test]
fn a_root_that_the_one_before_has_not_signed_is_refused() {
    lied("signature", |plan, to| {
        plan.write(to);
        rotate(plan, to, 6, |version| version != 5);
        plan.versions.extend([("targets", 6), ("snapshot", 6), ("timestamp", 6)]);
        let good = fs::read(to.join("metadata/6.root.json")).unwrap();
        plan.write(to);
        fs::write(to.join("metadata/6.root.json"), good).unwrap();
    });
}

/// A key as tough's editor takes it.
#[derive(Debug)]
struct Pkcs8(Vec<u8>);

#[async_trait]
impl KeySource for Pkcs8 {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, Box<dyn Error + Send + Sync>> {
        Ok(Box::new(Ed25519KeyPair::from_pkcs8(&self.0)?))
    }

    async fn write(&self, _value: &str, _id: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("nobody keeps it".into())
    }
}

#[test]
fn what_the_library_of_tuftool_writes_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new();
    let [root, offers] = ["root.json", OFFERS].map(|name| folder.path().join(name));
    fs::write(&root, plan.root()).unwrap();
    fs::write(&offers, &plan.targets[OFFERS]).unwrap();
    let keys: Vec<Box<dyn KeySource>> = plan
        .keys
        .values()
        .map(|key| -> Box<dyn KeySource> { Box::new(Pkcs8(key.0.to_pkcs8v1().unwrap().as_ref().to_vec())) })
        .collect();
    let (one, expires) = (NonZeroU64::MIN, LATER.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut editor = RepositoryEditor::new(&root).await.unwrap();
        editor.targets_version(one).unwrap().targets_expires(expires).unwrap();
        editor.snapshot_version(one).snapshot_expires(expires).timestamp_version(one).timestamp_expires(expires);
        editor.add_target_path(&offers).await.unwrap();
        let signed = editor.sign(&keys).await.unwrap();
        signed.write(folder.path().join("metadata")).await.unwrap();
        signed.copy_targets(folder.path(), folder.path().join("targets"), PathExists::Skip).await.unwrap();
    });
    let found = found(&address(folder.path()), &plan.root(), &folder.path().join("kept"));
    assert_eq!(found.unwrap().into_bytes(), plan.targets[OFFERS]);
}

/// A server that sends without end, whatever it is asked.
fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() {
                sent = stream.write_all(&[b' '; 1 << 16]);
            }
        }
    });
    address
}

#[test]
fn a_server_that_never_ends_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let root = Plan::new().write(folder.path());
    let told = found(&endless(), &root, &folder.path().join("kept")).unwrap_err();
    assert!(told.contains("size") || told.contains("exceed") || told.contains("limit"), "{told}");
}
