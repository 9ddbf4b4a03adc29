//! A git server on loopback: `git http-backend` behind the little of HTTP that it wants (CGI).

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A bare repository that is served until this goes.
pub struct GitServer {
    /// The folder of the repository.
    pub repository: PathBuf,
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl GitServer {
    /// Serves a new repository, `set.git` below `folder`.
    pub fn start(folder: &Path) -> GitServer {
        let repository = folder.join("set.git");
        git(&repository, None, &["init", "-q", "--bare", "--initial-branch=main", repository.to_str().unwrap()]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ends, root) = (requests.clone(), stopped.clone(), folder.to_owned());
        let listening = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                // A client that goes away is no concern of the server.
                let _ = serve(&root, stream);
            }
        });
        GitServer { repository, address, requests, stopped, listening: Some(listening) }
    }

    /// The URL of the repository.
    pub fn url(&self) -> String {
        format!("http://{}/set.git", self.address)
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Commits what is in a folder, but for what its `.gitignore` files name, and moves a tag and `main` there; the
    /// commit.
    pub fn commit(&self, folder: &Path, tag: &str) -> String {
        git(&self.repository, Some(folder), &["add", "-A", "."]);
        git(&self.repository, Some(folder), &["commit", "-q", "--allow-empty", "-m", "a state"]);
        git(&self.repository, Some(folder), &["tag", "-f", "-a", "-m", tag, tag]);
        git(&self.repository, None, &["rev-parse", "HEAD"])
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        let _ = self.listening.take().map(JoinHandle::join);
    }
}

/// Runs git on a repository that is apart from any files; what it prints.
fn git(repository: &Path, files: Option<&Path>, words: &[&str]) -> String {
    let mut command = Command::new("git");
    // Where a hook or a rebase runs the tests, these name another repository; no user's configuration counts.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "brc").env(format!("GIT_{role}_EMAIL"), "brc@example.org");
        command.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
    }
    if words.first() != Some(&"init") {
        command.arg("--git-dir").arg(repository);
    }
    if let Some(files) = files {
        command.current_dir(files).args(["-c", "core.bare=false", "--work-tree=."]);
    }
    let made = command.args(words).output().expect("this test wants git: apt-get install git");
    assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Answers the one request of a connection by the program.
fn serve(root: &Path, mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut program = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
        .envs([("REQUEST_METHOD", method), ("PATH_INFO", path), ("QUERY_STRING", query)])
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    program.stdin.take().unwrap().write_all(&body)?;
    let output = program.wait_with_output()?.stdout;
    let end = output.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0);
    let (head, body) = output.split_at(end);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{head}\r\n\r\n")?;
    stream.write_all(body.get(4..).unwrap_or_default())
}
