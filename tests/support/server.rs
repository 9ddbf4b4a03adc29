//! A web server on loopback that also misbehaves, as told.
//!
//! It speaks enough HTTP/1.1 for a client of files: GET, ranges, `If-Range`, connections that stay open, and
//! `CONNECT`, so that it can be a proxy as well.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How one request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// As it should be.
    Good,
    /// As it should be, but the connection ends after so many bytes of the body.
    BreakAfter(usize),
    /// The whole file, whatever part was asked for.
    WholeAnyway,
    /// The file without its size, until the connection ends.
    Unsized,
    /// A status without a file.
    Status(u16),
    /// A status and the seconds to wait before the next try.
    RetryAfter(u16, u64),
    /// A refusal until somebody says who asks, with the header that says how.
    Challenge(String),
    /// A redirect.
    Redirect(String),
    /// So many bytes of the body, then silence on an open connection.
    HangAfter(usize),
}

/// A file and the answers to its first requests; every later one is [`Answer::Good`].
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its version, in an entity tag.
    pub version: u32,
    /// How the first requests are answered.
    pub answers: VecDeque<Answer>,
    /// How all requests after those are answered, if not well.
    pub always: Option<Answer>,
}

/// One request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The path, or the host of a `CONNECT`.
    pub path: String,
    /// The header `Range`.
    pub range: Option<String>,
    /// The header `If-Range`.
    pub if_range: Option<String>,
    /// The header `Cache-Control`.
    pub cache_control: Option<String>,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

#[derive(Default)]
struct State {
    pages: Mutex<BTreeMap<String, Page>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

/// A running server; it stops when this goes.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port of loopback.
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State::default());
        let shared = state.clone();
        let listening = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let state = shared.clone();
                thread::spawn(move || {
                    let number = state.connections.fetch_add(1, Ordering::SeqCst);
                    // A client that goes away is what many tests are about.
                    let _ = serve(&state, stream, number);
                });
            }
        });
        Server { address, state, listening: Some(listening) }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Puts a file at `path` (`/pool/a.deb`).
    pub fn put(&self, path: &str, page: Page) {
        self.state.pages.lock().expect("no panic").insert(path.to_owned(), page);
    }

    /// Puts a file at `path` that is served well.
    pub fn put_bytes(&self, path: &str, bytes: &[u8]) {
        self.put(path, Page { bytes: bytes.to_vec(), ..Page::default() });
    }

    /// Puts a file at `path` whose first requests are answered so.
    pub fn put_with(&self, path: &str, bytes: &[u8], answers: impl IntoIterator<Item = Answer>) {
        self.put(path, Page { bytes: bytes.to_vec(), answers: answers.into_iter().collect(), ..Page::default() });
    }

    /// Puts a file at `path` whose requests are all answered so.
    pub fn put_always(&self, path: &str, bytes: &[u8], answer: Answer) {
        self.put(path, Page { bytes: bytes.to_vec(), always: Some(answer), ..Page::default() });
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        // Its port is closed when it has ended.
        let _ = self.listening.take().map(JoinHandle::join);
    }
}

fn serve(state: &State, mut stream: TcpStream, connection: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((method, path, headers)) = read_request(&mut reader)? {
        let header = |name: &str| headers.get(name).cloned();
        let seen = Seen {
            path: path.clone(),
            range: header("range"),
            if_range: header("if-range"),
            cache_control: header("cache-control"),
            authorization: header("authorization"),
            connection,
        };
        state.seen.lock().expect("no panic").push(seen.clone());
        if method == "CONNECT" {
            return tunnel(stream, &path);
        }
        let (page, answer) = {
            let mut pages = state.pages.lock().expect("no panic");
            match pages.get_mut(&path) {
                Some(page) => {
                    let answer = page.answers.pop_front().or_else(|| page.always.clone());
                    (page.clone(), answer.unwrap_or(Answer::Good))
                }
                None => (Page::default(), Answer::Status(404)),
            }
        };
        if !answer_with(&mut stream, &page, answer, &seen)? {
            return stream.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

type Request = (String, String, BTreeMap<String, String>);

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => return Ok(Some((method.to_owned(), path.to_owned(), headers))),
        };
    }
}

/// Answers one request; says whether the connection stays.
fn answer_with(stream: &mut TcpStream, page: &Page, answer: Answer, seen: &Seen) -> io::Result<bool> {
    let tag = format!("\"version-{}\"", page.version);
    let size = page.bytes.len();
    let is_same = seen.if_range.as_ref().is_none_or(|wanted| *wanted == tag);
    let start = seen.range.as_ref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let start = start.filter(|_| is_same && !matches!(answer, Answer::WholeAnyway)).unwrap_or(0_usize);
    match &answer {
        Answer::Status(status) => {
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\nsorry")?;
            return Ok(true);
        }
        Answer::RetryAfter(status, seconds) => {
            write!(stream, "HTTP/1.1 {status} X\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        Answer::Challenge(how) => {
            write!(stream, "HTTP/1.1 401 X\r\nWWW-Authenticate: {how}\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        Answer::Redirect(target) => {
            write!(stream, "HTTP/1.1 302 X\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        Answer::Unsized => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&page.bytes)?;
            return Ok(false);
        }
        _ => {}
    }
    if start > 0 && start >= size {
        write!(stream, "HTTP/1.1 416 X\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(true);
    }
    let body = &page.bytes[start..];
    let length = body.len();
    if start > 0 {
        let end = size - 1;
        write!(stream, "HTTP/1.1 206 X\r\nContent-Range: bytes {start}-{end}/{size}\r\n")?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
    }
    write!(stream, "ETag: {tag}\r\nContent-Length: {length}\r\n\r\n")?;
    match answer {
        Answer::BreakAfter(bytes) => {
            stream.write_all(&body[..bytes.min(length)])?;
            Ok(false)
        }
        Answer::HangAfter(bytes) => {
            stream.write_all(&body[..bytes.min(length)])?;
            // Until the client goes away.
            let _gone = stream.read(&mut [0])?;
            Ok(false)
        }
        _ => {
            stream.write_all(body)?;
            Ok(true)
        }
    }
}

/// Connects the two ends of a proxied connection.
fn tunnel(mut client: TcpStream, host: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(host)?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from_client, &mut to_server));
    io::copy(&mut server, &mut client)?;
    Ok(())
}
