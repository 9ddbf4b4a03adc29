//! Keys that programs hold.

use std::time::{Duration, Instant};

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};

use super::*;
use crate::publish::key::{KeyError, SigningKey};

const MESSAGE: &[u8] = b"{\"a\":\"what is signed\"}";

/// Key files in a folder, and a description that has `sh` run a script.
fn described(script: &str, more: &str) -> (tempfile::TempDir, SigningKey) {
    let folder = tempfile::tempdir().unwrap();
    new_keys(folder.path(), &[Role::Targets], Some("held")).unwrap();
    let key = description(folder.path(), "targets-held", script, more).unwrap();
    (folder, key)
}

fn description(folder: &Path, stem: &str, script: &str, more: &str) -> Result<SigningKey, KeyError> {
    let text = format!("public-key = \"{stem}.pub\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n{more}");
    let file = folder.join(format!("{stem}.toml"));
    fs::write(&file, text).unwrap();
    SigningKey::read(&file)
}

fn told(key: &SigningKey) -> String {
    brc_contract::error_chain(&key.sign(MESSAGE).unwrap_err())
}

#[test]
fn a_program_is_handed_the_bytes_and_its_signature_counts() {
    // It runs in the folder of its description, and what it says beside is nobody's signature.
    let (folder, key) = described("cat > got; echo 'touch your key' >&2; cat signature", "");
    let own = SigningKey::read(&folder.path().join("targets-held.pem")).unwrap();
    fs::write(folder.path().join("signature"), own.sign(MESSAGE).unwrap()).unwrap();
    assert_eq!(key.sign(MESSAGE).unwrap(), own.sign(MESSAGE).unwrap());
    assert_eq!(fs::read(folder.path().join("got")).unwrap(), MESSAGE);
    // Of two files that say of one key the one counts that signs.
    fs::remove_file(folder.path().join("targets-held.pem")).unwrap();
    let keys = read_keys(folder.path());
    let all: Vec<_> = keys.of(Role::Targets).map(|key| (key.can_sign(), key.identity())).collect();
    assert_eq!(all, [(true, own.identity())]);
}

#[test]
fn a_key_of_p256_signs_from_its_file_and_by_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
    let text = pem_rfc7468::encode_string("PRIVATE KEY", pem_rfc7468::LineEnding::LF, pkcs8.as_ref()).unwrap();
    fs::write(folder.path().join("held.pem"), text).unwrap();
    let own = SigningKey::read(&folder.path().join("held.pem")).unwrap();
    fs::write(folder.path().join("held.pub"), own.public_pem().unwrap()).unwrap();
    fs::write(folder.path().join("signature"), own.sign(MESSAGE).unwrap()).unwrap();
    let key = description(folder.path(), "held", "cat signature", "").unwrap();
    assert_eq!(key.identity(), own.identity());
    key.sign(MESSAGE).unwrap();
    assert!(key.sign(b"something else").is_err());
}

#[test]
fn a_program_that_does_not_sign_is_named_with_what_was_expected() {
    let cases = [
        (
            "echo 'no card in the reader' >&2; exit 3",
            "ended with exit status: 3 in place of a signature; it said: no card in the reader",
        ),
        ("exit 1", "it said nothing"),
        ("kill -9 $$", "ended with signal: 9 (SIGKILL)"),
        ("head -c 2000 /dev/zero", "wrote more than 1024 bytes: expected the bytes of one signature"),
        ("cat /dev/zero", "wrote more than 1024 bytes"),
        ("yes nonsense >&2", "was ended, because it gave no signature in 1 s"),
        ("sleep 60", "was ended, because it gave no signature in 1 s"),
        ("exec >&-; sleep 60", "was ended, because it gave no signature in 1 s"),
        (
            "head -c 64 /dev/zero",
            "gave 64 bytes that are no signature with its public key of what it was handed: expected the 64 bytes of Ed25519",
        ),
        ("true", "gave 0 bytes that are no signature"),
    ];
    for (script, expected) in cases {
        let (folder, key) = described(script, "seconds = 1");
        let started = Instant::now();
        let told = told(&key);
        assert!(told.contains(expected), "{script}: {told}");
        assert!(told.contains(&format!("`sh -c {script}`")), "{told}");
        assert!(told.contains(&folder.path().join("targets-held.toml").display().to_string()), "{told}");
        assert!(started.elapsed() < Duration::from_secs(20), "{script}");
    }
}

#[test]
fn what_a_program_leaves_running_is_not_waited_for() {
    // As `ssh` does with a connection that others share: it keeps standard error open.
    let (folder, key) = described("sleep 60 >/dev/null & cat signature", "");
    let own = SigningKey::read(&folder.path().join("targets-held.pem")).unwrap();
    fs::write(folder.path().join("signature"), own.sign(MESSAGE).unwrap()).unwrap();
    let started = Instant::now();
    key.sign(MESSAGE).unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_large_message_that_nobody_reads_blocks_nobody() {
    let (_folder, key) = described("head -c 64 /dev/zero", "");
    assert!(key.sign(&vec![b'x'; 8 << 20]).is_err());
}

#[test]
fn a_description_that_says_something_else_is_named() {
    let folder = tempfile::tempdir().unwrap();
    new_keys(folder.path(), &[Role::Targets], None).unwrap();
    let file = folder.path().join("x.toml");
    for (text, expected) in [
        ("", "it has no `public-key`"),
        ("public-key = \"targets.pub\"", "its `command` is no list of texts"),
        ("public-key = \"targets.pub\"\ncommand = []", "its `command` is no list of texts"),
        ("public-key = \"targets.pub\"\ncommand = [1]", "its `command` is no list of texts"),
        ("public-key = \"targets.pub\"\ncommand = [\"x\"]\nseconds = 0", "its `seconds` is `0`"),
        ("public-key = \"targets.pub\"\ncommand = [\"x\"]\ncomand = []", "it has `comand`"),
        ("public-key = \"targets.pem\"\ncommand = [\"x\"]", "is no public key: expected Ed25519 or ECDSA P-256 as PEM"),
        ("public-key = \"none.pub\"\ncommand = [\"x\"]", "none.pub` cannot be read"),
        ("public-key", "does not say which program signs"),
    ] {
        fs::write(&file, text).unwrap();
        let told = SigningKey::read(&file).map(drop).unwrap_err().to_string();
        assert!(told.contains(expected), "{text}: {told}");
    }
    fs::write(&file, "public-key = \"targets.pub\"\ncommand = [\"./no-such-program\"]").unwrap();
    let told = told(&SigningKey::read(&file).unwrap());
    assert!(told.contains("`./no-such-program` cannot be started"), "{told}");
}
