//! A control plane of Kubernetes on loopback: etcd and the API server, as brc builds them, and who it believes that a
//! node of EC2 is.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Where a machine of `brc boot --as ec2` reaches what `--reach` names.
const REACHED_AT: &str = "169.254.0.100";
/// Who may do everything.
const ADMINISTRATOR: &str = "administrator";

/// A control plane that runs until it is dropped.
pub struct Cluster {
    etcd: Child,
    server: Option<Child>,
    folder: PathBuf,
    programs: PathBuf,
    etcd_port: u16,
    /// The port of the API server on the loopback.
    pub port: u16,
}

impl Cluster {
    /// Starts the programs below `programs`, with what they keep in `folder`; `key` is a private key of RSA, as PEM. Nodes
    /// are believed to be `node`.
    pub fn start(programs: &Path, folder: &Path, key: &Path, node: &str) -> Cluster {
        let [port, etcd_port, peer_port] = [free_port(), free_port(), free_port()];
        fs::write(folder.join("tokens.csv"), format!("{ADMINISTRATOR},admin,admin,system:masters\n")).unwrap();
        fs::copy(key, folder.join("accounts.key")).unwrap();
        let webhook = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": format!("http://127.0.0.1:{}/", believe(node))}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        fs::write(folder.join("webhook"), webhook.to_string()).unwrap();
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let etcd = Command::new(programs.join("usr/bin/etcd"))
            .args(["--data-dir", folder.join("etcd").to_str().unwrap(), "--unsafe-no-fsync"])
            .args(["--listen-client-urls", &url(etcd_port), "--advertise-client-urls", &url(etcd_port)])
            .args(["--listen-peer-urls", &url(peer_port)])
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("etcd.log")).unwrap())
            .spawn()
            .unwrap();
        let (programs, folder) = (programs.to_owned(), folder.to_owned());
        let mut cluster = Cluster { etcd, server: None, folder, programs, etcd_port, port };
        cluster.begin();
        cluster
    }

    /// Starts the API server, and waits until it is ready.
    pub fn begin(&mut self) {
        let path = |name: &str| self.folder.join(name).to_str().unwrap().to_owned();
        let log = fs::OpenOptions::new().create(true).append(true).open(path("apiserver.log")).unwrap();
        let server = Command::new(self.programs.join("usr/bin/kube-apiserver"))
            .args(["--etcd-servers", &format!("http://127.0.0.1:{}", self.etcd_port)])
            .args(["--bind-address", "127.0.0.1", "--secure-port", &self.port.to_string()])
            .args(["--advertise-address", REACHED_AT, "--cert-dir", &path("certificates")])
            .args(["--service-account-issuer", "https://cluster.example"])
            .args(["--service-account-key-file", &path("accounts.key")])
            .args(["--service-account-signing-key-file", &path("accounts.key")])
            .args(["--authorization-mode", "Node,RBAC", "--token-auth-file", &path("tokens.csv")])
            .args(["--authentication-token-webhook-config-file", &path("webhook")])
            .args(["--disable-admission-plugins", "ServiceAccount", "--enable-admission-plugins", "NodeRestriction"])
            .args(["--endpoint-reconciler-type", "none", "--service-cluster-ip-range", "10.100.0.0/16"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        let what = "the API server did not become ready";
        wait(Duration::from_secs(300), what, || self.ask(&["get", "--raw", "/readyz"]).is_ok_and(|said| said == "ok"));
    }

    /// Ends the API server.
    pub fn end(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// The certificate of its authority, as PEM.
    pub fn certificate(&self) -> Vec<u8> {
        fs::read(self.folder.join("certificates/apiserver.crt")).unwrap()
    }

    /// What `kubectl` says as the administrator.
    pub fn ask(&self, words: &[&str]) -> Result<String, String> {
        let output = Command::new(self.programs.join("usr/bin/kubectl"))
            .args(["--server", &format!("https://127.0.0.1:{}", self.port), "--insecure-skip-tls-verify"])
            .args(["--token", ADMINISTRATOR, "--request-timeout=20s", "--kubeconfig", "/dev/null"])
            .args(words)
            .env("HOME", &self.folder)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Makes what a manifest says.
    pub fn apply(&self, name: &str, manifest: &Value) {
        let file = self.folder.join(name);
        fs::write(&file, manifest.to_string()).unwrap();
        self.ask(&["apply", "--validate=false", "-f", file.to_str().unwrap()]).unwrap();
    }

    /// An object, or nothing while there is none.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        serde_json::from_str(&self.ask(&["get", kind, name, "-o", "json"]).ok()?).ok()
    }

    /// Waits until something is so.
    pub fn wait_until(&self, what: &str, within: Duration, is_so: impl FnMut() -> bool) {
        wait(within, what, is_so);
    }

    /// Waits until a condition of an object is so.
    pub fn wait_for(&self, kind: &str, name: &str, condition: &str, within: Duration) -> Value {
        let is_so = |object: &Value| {
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|one| one["type"] == condition && one["status"] == "True")
        };
        let started = Instant::now();
        loop {
            match self.get(kind, name) {
                Some(object) if is_so(&object) => return object,
                found if started.elapsed() > within => panic!("`{kind}/{name}` is not {condition}: {found:#?}"),
                _ => thread::sleep(Duration::from_millis(500)),
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
        self.etcd.kill().unwrap();
        self.etcd.wait().unwrap();
    }
}

/// A port of the loopback that nobody listens at.
pub fn free_port() -> u16 {
    // Free a moment ago, and nobody else asks for ports here.
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait(within: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < within, "{what}");
        thread::sleep(Duration::from_millis(250));
    }
}

/// Answers the API server's questions about tokens (`TokenReview`) as EKS does for a role: a token is a signed request to
/// STS that nobody sends here. Gives the port.
fn believe(node: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let node = node.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks off is asked anew.
            review(stream, &node).unwrap_or_default();
        }
    });
    port
}

fn review(mut stream: TcpStream, node: &str) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let body = loop {
        let mut more = [0; 4096];
        let length = stream.read(&mut more)?;
        bytes.extend_from_slice(&more[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if length.is_some_and(|length: usize| body.len() >= length) {
                break body.to_owned();
            }
        }
        if length == 0 {
            return Ok(());
        }
    };
    let review: Value = serde_json::from_str(&body)?;
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    let request = token.strip_prefix("k8s-aws-v1.").and_then(|packed| URL_SAFE_NO_PAD.decode(packed).ok());
    let request = request.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let is_signed =
        ["https://sts.", "Action=GetCallerIdentity", "ASIABRCBOOTEXAMPLE00", "x-k8s-aws-id", "X-Amz-Signature="]
            .iter()
            .all(|part| request.contains(part));
    let user = json!({"username": format!("system:node:{node}"), "groups": ["system:nodes"]});
    let status = if is_signed { json!({"authenticated": true, "user": user}) } else { json!({"authenticated": false}) };
    let answer = json!({"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{answer}", answer.len())
}
