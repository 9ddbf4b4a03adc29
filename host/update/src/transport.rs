//! Files of a repository over HTTP, or from a folder.

use std::{
    fs::File,
    io::{self, Read},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

/// How much is handed on together.
const PIECE: usize = 128 << 10;
/// How often a request that failed for a passing reason is made again while nothing comes of it.
const TRIES: u32 = 5;
/// How long is waited before the first repetition; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a server may take to answer, and to send the next bytes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gets files over plain HTTP, and from folders by `file:`. What comes is checked by who asked: the metadata says what
/// it must be.
#[derive(Debug, Clone)]
pub struct Http {
    agent: ureq::Agent,
}

impl Http {
    /// A client that waits for an answer for a minute at the most.
    pub fn new() -> Self {
        let agent = ureq::Agent::config_builder()
            .user_agent(concat!("brc-update/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(None)
            .http_status_as_error(false)
            .build()
            .new_agent();
        Http { agent }
    }

    /// The body of a file from a byte on.
    fn open(&self, url: &Url, from: u64) -> Result<Box<dyn Read + Send + Sync>, Refused> {
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| Refused::Other("it is no path of this machine".into()))?;
            return match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Refused::Missing),
                Err(error) => Err(Refused::Other(error.into())),
            };
        }
        let mut request = self.agent.get(url.as_str());
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(|error| Refused::Passing(error.into()))?;
        match (response.status().as_u16(), from) {
            (200, 0) | (206, 1..) => Ok(Box::new(response.into_body().into_reader())),
            // A server that gives the whole again: what is there already is passed over.
            (200, from) => {
                let mut body = response.into_body().into_reader();
                io::copy(&mut body.by_ref().take(from), &mut io::sink())
                    .map_err(|error| Refused::Passing(error.into()))?;
                Ok(Box::new(body))
            }
            // Object stores answer 403 for what is not there.
            (403 | 404 | 410, _) => Err(Refused::Missing),
            (status @ (408 | 429 | 500..), _) => Err(Refused::Passing(format!("the server answered {status}").into())),
            (status, _) => Err(Refused::Other(format!("the server answered {status}").into())),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a file is not there.
enum Refused {
    Missing,
    Passing(Box<dyn std::error::Error + Send + Sync>),
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Refused {
    fn told(self, url: &Url) -> TransportError {
        match self {
            Refused::Missing => TransportError::new(TransportErrorKind::FileNotFound, url),
            Refused::Passing(error) | Refused::Other(error) => {
                TransportError::new_with_cause(TransportErrorKind::Other, url, error)
            }
        }
    }
}

/// A file that is being fetched; what breaks off goes on where it did.
struct Fetch {
    http: Http,
    url: Url,
    body: Option<Box<dyn Read + Send + Sync>>,
    done: u64,
    vain: u32,
}

impl Fetch {
    /// The next bytes; none at the end.
    fn next(&mut self) -> Result<Bytes, TransportError> {
        let mut piece = vec![0; PIECE];
        loop {
            let refused = match self.read(&mut piece) {
                Ok(size) => {
                    self.done += size as u64;
                    self.vain = 0;
                    piece.truncate(size);
                    return Ok(piece.into());
                }
                Err(refused) => refused,
            };
            self.body = None;
            self.vain += 1;
            if !matches!(refused, Refused::Passing(_)) || self.vain >= TRIES {
                return Err(refused.told(&self.url));
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a server that was asked too early is not asked at once again"
            )]
            std::thread::sleep(PAUSE * (1 << self.vain));
        }
    }

    fn read(&mut self, piece: &mut [u8]) -> Result<usize, Refused> {
        let body = match &mut self.body {
            Some(body) => body,
            None => self.body.insert(self.http.open(&self.url, self.done)?),
        };
        body.read(piece).map_err(|error| Refused::Passing(error.into()))
    }
}

#[async_trait]
impl Transport for Http {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        if !["http", "file"].contains(&url.scheme()) {
            return Err(TransportError::new(TransportErrorKind::UnsupportedUrlScheme, url));
        }
        let mut fetch = Fetch { http: self.clone(), url, body: None, done: 0, vain: 0 };
        // Who asks whether a file is there wants to know it now.
        let first = fetch.next()?;
        let rest = stream::unfold((fetch, Some(first)), |(mut fetch, first)| async {
            let next = match first {
                Some(first) => Ok(first),
                None => fetch.next(),
            };
            match next {
                Ok(bytes) if bytes.is_empty() => None,
                next => Some((next, (fetch, None))),
            }
        });
        Ok(Box::pin(rest.fuse()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use tokio::runtime::Builder;
    use tough::IntoVec as _;

    use super::*;

    /// Answers each connection with the next of `answers`; what was asked for, with its range.
    fn server(answers: Vec<Vec<u8>>) -> (Url, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/file", listener.local_addr().unwrap())).unwrap();
        let serve = move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(&stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
                let range = lines.filter(|line| line.to_ascii_lowercase().starts_with("range")).collect::<String>();
                asked.push(range.to_ascii_lowercase());
                stream.write_all(&answer).unwrap();
            }
            asked
        };
        (url, thread::spawn(serve))
    }

    fn answer(head: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}").into_bytes()
    }

    fn fetch(url: &Url) -> Result<Vec<u8>, TransportError> {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { Http::new().fetch(url.clone()).await?.into_vec().await })
    }

    #[test]
    fn what_breaks_off_goes_on_where_it_did() {
        let begun = answer("200 OK\r\nContent-Length: 10", "01234");
        let rest = answer("206 Partial Content\r\nContent-Length: 5", "56789");
        let (url, asked) = server(vec![begun, answer("503 Busy\r\nContent-Length: 0", ""), rest]);
        assert_eq!(fetch(&url).unwrap(), b"0123456789");
        assert_eq!(asked.join().unwrap(), ["", "range: bytes=5-", "range: bytes=5-"]);
    }

    #[test]
    fn a_server_that_gives_the_whole_again_is_passed_over() {
        let whole = "0123456789";
        let begun = answer("200 OK\r\nContent-Length: 10", "01234");
        let (url, asked) = server(vec![begun, answer("200 OK\r\nContent-Length: 10", whole)]);
        assert_eq!(fetch(&url).unwrap(), whole.as_bytes());
        asked.join().unwrap();
    }

    #[test]
    fn what_is_not_there_is_told_at_once() {
        for status in ["404 Not Found", "403 Forbidden"] {
            let (url, asked) = server(vec![answer(&format!("{status}\r\nContent-Length: 0"), "")]);
            assert_eq!(fetch(&url).unwrap_err().kind(), TransportErrorKind::FileNotFound);
            asked.join().unwrap();
        }
        let (url, asked) = server(vec![answer("401 Unauthorized\r\nContent-Length: 0", "")]);
        assert_eq!(fetch(&url).unwrap_err().kind(), TransportErrorKind::Other);
        asked.join().unwrap();
        let other = fetch(&Url::parse("gopher://x/").unwrap()).unwrap_err();
        assert_eq!(other.kind(), TransportErrorKind::UnsupportedUrlScheme);
        let file = Url::from_file_path("/nothing/here").unwrap();
        assert_eq!(fetch(&file).unwrap_err().kind(), TransportErrorKind::FileNotFound);
    }

    #[test]
    fn who_has_read_to_the_end_may_read_again() {
        let folder = std::env::temp_dir().join(format!("brc-update-{}", std::process::id()));
        std::fs::write(&folder, "x").unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut stream = Http::new().fetch(Url::from_file_path(&folder).unwrap()).await.unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap(), "x");
            assert!(stream.next().await.is_none() && stream.next().await.is_none());
        });
        std::fs::remove_file(folder).unwrap();
    }
}
