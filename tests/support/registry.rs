//! A registry of containers on loopback: Debian's docker-registry, with one image that was pushed to it.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

/// A registry that runs until it is dropped.
pub struct Registry {
    server: Child,
    /// The port of the loopback.
    pub port: u16,
}

impl Registry {
    /// Starts the registry of a tool set, which is laid out at `tools`, with its content below `folder`.
    pub fn start(tools: &Path, folder: &Path) -> Registry {
        // Free a moment ago, and nobody else asks for ports here.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            folder.join("registry").display()
        );
        let file = folder.join("registry.yml");
        fs::write(&file, configuration).unwrap();
        // By the loader of its own libraries: those of this host may be older.
        let library = tools.join("usr/lib/x86_64-linux-gnu");
        let server = Command::new(library.join("ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(&library)
            .arg(tools.join("usr/bin/docker-registry"))
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Registry { server, port };
        for _ in 0..200 {
            if ureq::get(&registry.url("")).call().is_ok() {
                return registry;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the registry did not start");
    }

    /// Pushes the image of an OCI archive that was unpacked at `layout`, as `name:tag` (OCI Distribution Specification).
    pub fn push(&self, layout: &Path, name: &str, tag: &str) {
        let blob = |digest: &str| -> PathBuf { layout.join("blobs").join(digest.replace(':', "/")) };
        let read = |digest: &str| fs::read(blob(digest)).unwrap();
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let listed = &index["manifests"][0];
        let bytes = read(listed["digest"].as_str().unwrap());
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        for part in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
            let digest = part["digest"].as_str().unwrap();
            let begun = ureq::post(&self.url(&format!("{name}/blobs/uploads/"))).send_empty().unwrap();
            let at = begun.headers()["location"].to_str().unwrap().to_owned();
            let at = if at.starts_with('/') { format!("http://127.0.0.1:{}{at}", self.port) } else { at };
            let mark = if at.contains('?') { '&' } else { '?' };
            let put = ureq::put(format!("{at}{mark}digest={digest}")).content_type("application/octet-stream");
            assert_eq!(put.send(&read(digest)[..]).unwrap().status(), 201);
        }
        let put = ureq::put(self.url(&format!("{name}/manifests/{tag}")));
        let put = put.content_type(listed["mediaType"].as_str().unwrap()).send(&bytes[..]).unwrap();
        assert_eq!(put.status(), 201);
        let mut again = String::new();
        let got = ureq::get(self.url(&format!("{name}/tags/list"))).call().unwrap();
        got.into_body().into_reader().read_to_string(&mut again).unwrap();
        assert!(again.contains(tag), "{again}");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v2/{path}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}
