//! The metadata service on the connections of a machine.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::{
    answer::{Answer, answer},
    instance::Instance,
    request::{Malformed, Request, parse},
};
use crate::vm::{
    ending::Ending,
    proxy::{TICK, is_tick, write_all},
};

/// How long a client may take to ask, and how long a connection is kept on which nothing is asked.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are read at once.
const PIECE_BYTES: usize = 4 << 10;

/// The service.
#[derive(Debug)]
pub(in crate::vm) struct Server {
    instance: Instance,
    /// When it was asked first.
    first: OnceLock<Instant>,
    patience: Duration,
}

impl Server {
    /// The service of an instance.
    pub(in crate::vm) fn new(instance: Instance) -> Self {
        Self { instance, first: OnceLock::new(), patience: PATIENCE }
    }

    /// Answers what is asked on one connection, one after the other.
    ///
    /// # Errors
    /// The client has gone, or takes too long.
    pub(in crate::vm) fn answer_all(&self, stream: &UnixStream, ending: &Ending) -> io::Result<()> {
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
        let mut waiting = Vec::new();
        loop {
            let (answer, is_last) = match self.next(stream, &mut waiting, ending)? {
                None => return Ok(()),
                Some(Ok(request)) => (answer(&request, &self.instance, self.elapsed()), request.is_last),
                Some(Err(malformed)) => (Answer::refusal(malformed), true),
            };
            if ending.wait(answer.after) {
                return Ok(());
            }
            write_all(&mut &*stream, &written(&answer, is_last), ending)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// The next request, out of what was read already and what comes.
    fn next(
        &self,
        mut stream: &UnixStream,
        waiting: &mut Vec<u8>,
        ending: &Ending,
    ) -> io::Result<Option<Result<Request, Malformed>>> {
        let begun = now();
        loop {
            match parse(waiting) {
                Ok(None) => {}
                Ok(Some((request, length))) => {
                    waiting.drain(..length);
                    return Ok(Some(Ok(request)));
                }
                Err(malformed) => return Ok(Some(Err(malformed))),
            }
            if begun.elapsed() > self.patience {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut piece = [0; PIECE_BYTES];
            match stream.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(length) => waiting.extend(piece.get(..length).unwrap_or_default()),
                Err(error) if is_tick(&error) && ending.is_over() => return Ok(None),
                Err(error) if is_tick(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn elapsed(&self) -> Duration {
        self.first.get_or_init(now).elapsed()
    }
}

#[expect(clippy::disallowed_methods, reason = "faults last for a time, and so does patience with a client")]
fn now() -> Instant {
    Instant::now()
}

/// The bytes of an answer.
fn written(answer: &Answer, is_last: bool) -> Vec<u8> {
    let (status, kind, length) = (answer.status.line(), answer.content_type, answer.body.len());
    let own = answer.header.as_ref().map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    let end = if is_last { "Connection: close\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nServer: EC2ws\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{own}{end}\r\n"
    );
    [head.as_bytes(), &answer.body].concat()
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::Shutdown, thread};

    use brc_contract::Architecture;

    use super::{super::Fault, *};

    fn server(fault: Option<Fault>) -> Server {
        Server::new(Instance { architecture: Architecture::X86_64, user_data: Some(b"user\n".to_vec()), fault })
    }

    /// All that the service says to all that a client says.
    fn said(server: &Server, asked: &[u8]) -> String {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || server.answer_all(&ours, &Ending::default()).unwrap_or_default());
            theirs.write_all(asked).unwrap();
            theirs.shutdown(Shutdown::Write).unwrap();
            let mut said = Vec::new();
            // A refusal may come before all was read, as a reset.
            let _ = theirs.read_to_end(&mut said);
            String::from_utf8(said).unwrap()
        })
    }

    #[test]
    fn a_client_gets_a_token_and_what_it_asks_for_with_it_on_one_connection() {
        let server = server(None);
        let put = "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n";
        let given = said(&server, put.as_bytes());
        let (head, token) = given.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nServer: EC2ws\r\n"), "{head}");
        assert!(head.contains("\r\nX-aws-ec2-metadata-token-ttl-seconds: 60"), "{head}");
        let get =
            |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nX-aws-ec2-metadata-token: {token}\r\n{more}\r\n");
        let asked =
            [get("/latest/user-data", ""), get("/none", ""), get("/latest/meta-data/mac", "Connection: close\r\n")];
        let answers = said(&server, asked.concat().as_bytes());
        let expected = "HTTP/1.1 200 OK\r\nServer: EC2ws\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\n\
            user\nHTTP/1.1 404 Not Found\r\nServer: EC2ws\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n\
            HTTP/1.1 200 OK\r\nServer: EC2ws\r\nContent-Type: text/plain\r\nContent-Length: 17\r\nConnection: close\r\n\r\n\
            0e:1a:25:a7:6f:98";
        assert_eq!(answers, expected);
    }

    #[test]
    fn what_is_no_request_is_answered_and_ends_the_connection() {
        let endless = format!("GET / HTTP/1.1\r\nendless: {}", "x".repeat(1 << 20));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
        for (asked, status) in [
            ("\0\0\r\n\r\n", "400 Bad Request"),
            (endless.as_str(), "431 Request Header Fields Too Large"),
            (many.as_str(), "431 Request Header Fields Too Large"),
            ("PUT /latest/api/token HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "413 Content Too Large"),
        ] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let mut said = vec![0; 200];
            thread::scope(|scope| {
                scope.spawn(move || server(None).answer_all(&ours, &Ending::default()).unwrap_or_default());
                // It may be refused before all of it was taken.
                let _ = theirs.write_all(asked.as_bytes());
                let length = theirs.read(&mut said).unwrap();
                said.truncate(length);
            });
            let said = String::from_utf8(said).unwrap();
            assert!(
                said.starts_with(&format!("HTTP/1.1 {status}\r\n")) && said.contains("Connection: close"),
                "{said}"
            );
        }
        assert_eq!(said(&server(None), b""), "");
        assert_eq!(said(&server(None), b"GET / HTTP/1.1\r\n"), "");
    }

    #[test]
    fn a_client_that_takes_too_long_is_given_up() {
        let server = Server { patience: Duration::from_millis(300), ..server(None) };
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            let answering = scope.spawn(move || server.answer_all(&ours, &Ending::default()));
            // A byte now and then buys no more time.
            while theirs.write_all(b"G").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
            assert_eq!(answering.join().unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_slow_answer_ends_with_the_machine() {
        let (server, ending) = (server(Some(Fault::Slow)), Ending::default());
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let started = Instant::now();
        thread::scope(|scope| {
            let answering = scope.spawn(|| server.answer_all(&ours, &ending));
            theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            thread::sleep(Duration::from_millis(100));
            ending.end();
            answering.join().unwrap().unwrap();
        });
        assert!(started.elapsed() < Duration::from_secs(4));
    }
}
