//! A small OCI archive (image-spec 1.1, "image layout" in a tar): one layer with one program. Equal programs give
//! equal bytes.
#![allow(dead_code, reason = "each test binary needs one of them")]

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::package::{TarEntry, tar};

/// The archive of an image called `name` in which `program` is `/bin/busybox`.
pub fn archive(name: &str, architecture: &str, program: &[u8]) -> Vec<u8> {
    archive_with(name, architecture, program, &json!({}))
}

/// The same, of an image that runs a script of busybox's shell.
pub fn archive_of_script(name: &str, architecture: &str, program: &[u8], script: &str) -> Vec<u8> {
    archive_with(name, architecture, program, &json!({"Entrypoint": ["/bin/busybox", "sh", "-c", script]}))
}

fn archive_with(name: &str, architecture: &str, program: &[u8], run: &serde_json::Value) -> Vec<u8> {
    let program = TarEntry { mode: 0o755, ..TarEntry::file("bin/busybox", program) };
    let layer = tar(&[TarEntry::directory("bin/"), program]);
    let config = json!({
        "architecture": architecture, "os": "linux", "config": run,
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    })
    .to_string()
    .into_bytes();
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let part = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type,
        "config": part("application/vnd.oci.image.config.v1+json", &config),
        "layers": [part("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string()
    .into_bytes();
    let mut listed = part(manifest_type, &manifest);
    listed["platform"] = json!({"architecture": architecture, "os": "linux"});
    listed["annotations"] = json!({"io.containerd.image.name": name});
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [listed],
    });
    let mut entries = vec![
        TarEntry::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        TarEntry::file("index.json", index.to_string().as_bytes()),
        TarEntry::directory("blobs/"),
        TarEntry::directory("blobs/sha256/"),
    ];
    for blob in [&layer, &config, &manifest] {
        entries.push(TarEntry::file(&digest(blob).replace("sha256:", "blobs/sha256/"), blob));
    }
    tar(&entries)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
