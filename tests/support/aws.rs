//! AWS on loopback: moto's server, and before it a proxy that checks, counts and misbehaves as it is told.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;

/// What is installed from the registry of Python, so that a run next year is the same.
const PACKAGES: [&str; 2] = ["moto[ec2,ebs,ssm,sts,server]==5.2.5", "botocore==1.44.8"];
/// The secret that all tests sign with.
pub const SECRET: &str = "a-secret-of-tests";
/// The size of a block.
pub const BLOCK: usize = 512 << 10;

/// A Python with moto and botocore, installed once below the build's folder.
pub fn python() -> &'static Path {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    READY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
        let (python, stamp) = (folder.join("bin/python"), folder.join("installed"));
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return python;
        }
        let run = |command: &mut Command, what: &str| {
            let done = command.output().unwrap_or_else(|error| panic!("`{what}`: {error}; install python3 with venv"));
            assert!(done.status.success(), "`{what}`: {}", String::from_utf8_lossy(&done.stderr));
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), "python3 -m venv");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
        run(&mut pip, "pip install moto");
        fs::write(&stamp, wanted).unwrap();
        python
    })
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(name)
}

/// What the proxy does with a request instead of handing it on.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Answers with this status and this text.
    Refuse(u16, &'static str),
    /// Hands the request on and ends the connection without the answer.
    Cut,
    /// Answers nothing, and keeps the connection.
    BlackHole,
}

/// A request as the proxy saw it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub service: String,
    pub operation: String,
    pub region: String,
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// The status that moto answered with; none when it was not asked.
    pub status: Option<u16>,
}

impl Asked {
    /// Whether AWS did what was asked.
    fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The number of the block that it is about.
    pub fn block(&self) -> Option<u32> {
        self.path.split("/blocks/").nth(1)?.parse().ok()
    }
}

type Rule = dyn Fn(&Asked, usize) -> Option<Trouble> + Send + Sync;

struct State {
    moto: u16,
    asked: Mutex<Vec<Asked>>,
    wrong: Mutex<Vec<String>>,
    rule: Mutex<Arc<Rule>>,
    stopped: AtomicBool,
}

/// A running AWS.
pub struct Cloud {
    address: SocketAddr,
    state: Arc<State>,
    moto: Child,
}

impl Cloud {
    /// Starts moto and a proxy before it that hands everything on.
    pub fn start() -> Cloud {
        let mut moto = Command::new(python())
            .arg(script("aws_server.py"))
            .arg(SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(moto.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("moto's port");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            moto: port,
            asked: Mutex::default(),
            wrong: Mutex::default(),
            rule: Mutex::new(Arc::new(|_: &Asked, _| None)),
            stopped: AtomicBool::new(false),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let state = shared.clone();
                // A client that goes away is what many tests are about.
                thread::spawn(move || serve(&state, &stream).ok());
            }
        });
        Cloud { address, state, moto }
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on the proxy asks this of each request, with how many of its operation came before.
    pub fn misbehave(&self, rule: impl Fn(&Asked, usize) -> Option<Trouble> + Send + Sync + 'static) {
        *self.state.rule.lock().unwrap() = Arc::new(rule);
    }

    /// From now on everything is handed on.
    pub fn behave(&self) {
        self.misbehave(|_, _| None);
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// How many requests of an operation AWS has taken.
    pub fn taken(&self, operation: &str) -> usize {
        self.asked().iter().filter(|asked| asked.operation == operation && asked.is_taken()).count()
    }

    /// How often AWS has taken each block.
    pub fn blocks(&self) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        for number in self
            .asked()
            .iter()
            .filter(|asked| asked.is_taken())
            .filter(|asked| asked.operation == "PutSnapshotBlock")
            .filter_map(Asked::block)
        {
            *counts.entry(number).or_default() += 1;
        }
        counts
    }

    /// A block of a snapshot as moto has it; none where it has none.
    pub fn block(&self, region: &str, snapshot: &str, number: u32) -> Option<Vec<u8>> {
        let url = format!("http://127.0.0.1:{}/snapshots/{snapshot}/blocks/{number}?blockToken=x", self.state.moto);
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=x/20260101/{region}/ebs/aws4_request, SignedHeaders=host, Signature=x"
        );
        let answer = ureq::get(&url).header("authorization", scope).call();
        Some(answer.ok()?.body_mut().with_config().limit(1 << 20).read_to_vec().unwrap())
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        self.state.asked.lock().unwrap().clear();
    }

    /// What the proxy found wrong, and what botocore's models and signer do.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.state.wrong.lock().unwrap().clone();
        let mut check = Command::new(python())
            .arg(script("aws_requests.py"))
            .arg(SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asked = self.asked();
        let mut input = check.stdin.take().unwrap();
        for asked in &asked {
            // The bytes of blocks are not signed, and were checked on their way.
            let body = if asked.operation == "PutSnapshotBlock" { &[][..] } else { &asked.body };
            let line = json!({
                "service": asked.service, "operation": asked.operation, "method": asked.method, "path": asked.path,
                "query": asked.query, "headers": asked.headers, "body": BASE64.encode(body),
            });
            writeln!(input, "{line}").unwrap();
        }
        drop(input);
        let said = String::from_utf8(check.wait_with_output().unwrap().stdout).unwrap();
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        let last = lines.pop();
        assert_eq!(last, Some(format!("checked {}", asked.len())), "{lines:?}");
        wrong.extend(lines);
        wrong
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        let _ = self.moto.kill();
        let _ = self.moto.wait();
    }
}

fn serve(state: &State, stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    while let Some((mut asked, head)) = read_request(&mut reader)? {
        state.wrong.lock().unwrap().extend(wrong_block(&asked));
        let trouble = {
            let seen = state.asked.lock().unwrap();
            let before = seen.iter().filter(|one| one.operation == asked.operation).count();
            let rule = state.rule.lock().unwrap().clone();
            rule(&asked, before)
        };
        if let Some(Trouble::Refuse(status, text)) = trouble {
            state.asked.lock().unwrap().push(asked);
            write!(out, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len())?;
            continue;
        }
        if let Some(Trouble::BlackHole) = trouble {
            state.asked.lock().unwrap().push(asked);
            // Until the client goes away.
            let _gone = reader.read(&mut [0])?;
            return Ok(());
        }
        let answer = hand_on(state.moto, &head, &asked.body)?;
        asked.status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        state.asked.lock().unwrap().push(asked);
        if let Some(Trouble::Cut) = trouble {
            return stream.shutdown(Shutdown::Both);
        }
        out.write_all(&answer)?;
        // moto ends each connection.
        return stream.shutdown(Shutdown::Both);
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<(Asked, Vec<u8>)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut head = first.clone().into_bytes();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        head.extend_from_slice(line.as_bytes());
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let scope = headers.get("authorization").and_then(|header| header.split("Credential=").nth(1)).unwrap_or("");
    let scope: Vec<&str> = scope.split('/').collect();
    let part = |at: usize| scope.get(at).copied().unwrap_or_default().to_owned();
    let operation = operation(method, path, &headers, &body);
    let service = if scope.len() > 3 { part(3) } else { "sts".to_owned() };
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    let asked = Asked { service, operation, region: part(2), method, path, query, headers, body, status: None };
    Ok(Some((asked, head)))
}

fn operation(method: &str, path: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> String {
    if let Some(target) = headers.get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let parts: Vec<&str> = path.split('/').collect();
    let found = match (method, parts.as_slice()) {
        ("POST", ["", "snapshots"]) => "StartSnapshot",
        ("POST", ["", "snapshots", "completion", _]) => "CompleteSnapshot",
        ("PUT", ["", "snapshots", _, "blocks", _]) => "PutSnapshotBlock",
        ("GET", ["", "snapshots", _, "blocks", _]) => "GetSnapshotBlock",
        ("GET", ["", "snapshots", _, "blocks"]) => "ListSnapshotBlocks",
        _ => {
            let text = String::from_utf8_lossy(body).into_owned();
            let action = text.split('&').find_map(|pair| pair.strip_prefix("Action=").map(str::to_owned));
            return action.unwrap_or_default();
        }
    };
    found.to_owned()
}

/// Whether a block is not what its headers say.
fn wrong_block(asked: &Asked) -> Option<String> {
    if asked.operation != "PutSnapshotBlock" {
        return None;
    }
    use sha2::Digest as _;
    let checksum = BASE64.encode(sha2::Sha256::digest(&asked.body));
    let is_right = asked.headers.get("x-amz-checksum") == Some(&checksum) && asked.body.len() == BLOCK;
    (!is_right).then(|| format!("the block {} is not what its checksum says", asked.path))
}

fn hand_on(port: u16, head: &[u8], body: &[u8]) -> io::Result<Vec<u8>> {
    let mut moto = TcpStream::connect(("127.0.0.1", port))?;
    moto.write_all(head)?;
    moto.write_all(body)?;
    let mut answer = Vec::new();
    moto.read_to_end(&mut answer)?;
    Ok(answer)
}
