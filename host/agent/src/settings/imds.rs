//! EC2's metadata service, version 2.

use std::{
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use brc_contract::settings::MAX_SETTINGS;
use brc_linux::Files;
use ureq::http::StatusCode;

use super::Instance;

/// Where it is.
const ADDRESS: &str = "http://169.254.169.254";
/// So long one answer may take: a slow one is one.
const ANSWER: Duration = Duration::from_secs(10);
/// So long a token serves, in seconds.
const TOKEN_SECONDS: &str = "300";
const MAX_TOKEN: u64 = 4096;
const PAUSE: Duration = Duration::from_millis(500);

/// The metadata service of a machine.
#[derive(Debug)]
pub struct Imds {
    address: String,
    agent: ureq::Agent,
}

/// How long something is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The service, from when on the network may still be coming up.
    pub service: Duration,
    /// User data that is not there: that of a new machine may come a while after it.
    pub user_data: Duration,
}

/// What came of one question.
enum Answer {
    Bytes(Vec<u8>),
    NotThere,
}

impl Imds {
    /// That of the machine that runs.
    pub fn of_this_machine() -> Self {
        Self::at(ADDRESS)
    }

    /// The service at `address`.
    fn at(address: &str) -> Self {
        let configuration = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .build();
        Imds { address: address.to_owned(), agent: configuration.into() }
    }

    /// Whether the firmware says that this is a machine of EC2; on any other nobody is asked, since anybody in its network
    /// could answer.
    pub fn is_here(files: &Files) -> bool {
        let says = |path: &str, expected: &str| {
            files.text(path, 256).is_ok_and(|text| text.trim().to_ascii_lowercase().starts_with(expected))
        };
        says("/sys/class/dmi/id/sys_vendor", "amazon ec2") || says("/sys/hypervisor/uuid", "ec2")
    }

    /// The user data; nothing when the machine has none.
    ///
    /// # Errors
    /// When the service does not answer in time, or not as it should.
    #[expect(clippy::disallowed_methods, reason = "it waits with a limit")]
    pub fn user_data(&self, patience: Patience) -> Result<Option<Vec<u8>>, ImdsError> {
        let start = Instant::now();
        let mut there_since = None;
        loop {
            let answer = self.ask("user-data");
            match answer {
                Ok(Answer::Bytes(bytes)) if !bytes.is_empty() => return Ok(Some(bytes)),
                Ok(_) => {
                    let since = *there_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= patience.user_data {
                        return Ok(None);
                    }
                }
                Err(error) if error.is_final() || start.elapsed() >= patience.service => return Err(error),
                Err(_) => {}
            }
            thread::sleep(PAUSE);
        }
    }

    /// What the service says of the machine.
    ///
    /// # Errors
    /// When it does not say all of it.
    pub fn instance(&self) -> Result<Instance, ImdsError> {
        let text = |path: &str| match self.ask(&format!("meta-data/{path}"))? {
            Answer::Bytes(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                // A name per line where a network has several.
                Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
            }
            Answer::NotThere => {
                Err(ImdsError::Status { url: format!("{}/latest/meta-data/{path}", self.address), status: 404 })
            }
        };
        Ok(Instance {
            id: text("instance-id")?,
            zone: text("placement/availability-zone")?,
            name: text("local-hostname")?,
            address: text("local-ipv4")?,
        })
    }

    fn ask(&self, path: &str) -> Result<Answer, ImdsError> {
        let url = format!("{}/latest/api/token", self.address);
        let asked = self.agent.put(&url).header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS).send_empty();
        let token = match read(asked, &url, MAX_TOKEN)? {
            (StatusCode::OK, bytes) => String::from_utf8(bytes).map_err(|_| ImdsError::Token)?,
            (status, _) => return Err(ImdsError::Status { url, status: status.as_u16() }),
        };
        let url = format!("{}/latest/{path}", self.address);
        let asked = self.agent.get(&url).header("X-aws-ec2-metadata-token", token.trim()).call();
        match read(asked, &url, MAX_SETTINGS as u64 + 1)? {
            (StatusCode::OK, bytes) => Ok(Answer::Bytes(bytes)),
            (StatusCode::NOT_FOUND, _) => Ok(Answer::NotThere),
            (status, _) => Err(ImdsError::Status { url, status: status.as_u16() }),
        }
    }
}

fn read(
    asked: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    url: &str,
    limit: u64,
) -> Result<(StatusCode, Vec<u8>), ImdsError> {
    let failed = |source: ureq::Error| ImdsError::Ask { url: url.to_owned(), source: Box::new(source) };
    let mut response = asked.map_err(failed)?;
    let mut bytes = Vec::new();
    let body = response.body_mut().as_reader();
    body.take(limit).read_to_end(&mut bytes).map_err(|error| failed(error.into()))?;
    Ok((response.status(), bytes))
}

/// The metadata service does not give what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ImdsError {
    /// It cannot be reached, or does not answer in time.
    #[error("the metadata service does not answer at `{url}`")]
    Ask { url: String, source: Box<ureq::Error> },
    /// It answers something else.
    #[error("the metadata service answers `{url}` with {status}: expected 200")]
    Status { url: String, status: u16 },
    /// Its token is none.
    #[error("the metadata service gives a token that is no text")]
    Token,
}

impl ImdsError {
    /// Whether asking again helps nothing: it is switched off, or does not take the question.
    fn is_final(&self) -> bool {
        matches!(self, ImdsError::Status { status: 400 | 403 | 405, .. })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
    };

    use super::*;

    const PATIENCE: Patience = Patience { service: Duration::from_secs(20), user_data: Duration::from_secs(3) };

    /// A service that answers the requests in turn, the last answer again and again; what it was asked is looked at.
    fn service(answers: &'static [(&'static str, &'static str)]) -> Imds {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
                let head = head.join("\n").to_lowercase();
                let (asked, answer) = answers[number.min(answers.len() - 1)];
                let right = match asked {
                    "token" => head.starts_with("put /latest/api/token") && head.contains("token-ttl-seconds: 300"),
                    _ => head.starts_with("get /latest/user-data") && head.contains("metadata-token: the-token"),
                };
                let answer = if right { answer } else { "500 " };
                let (status, body) = answer.split_once(' ').unwrap();
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Imds::at(&address)
    }

    const TOKEN: (&str, &str) = ("token", "200 the-token");

    #[test]
    fn user_data_is_asked_for_with_a_token() {
        let found = service(&[TOKEN, ("data", "200 [settings]")]).user_data(PATIENCE).unwrap();
        assert_eq!(found.as_deref(), Some(&b"[settings]"[..]));
    }

    #[test]
    fn a_service_that_fails_for_a_while_and_data_that_comes_late_are_waited_for() {
        let late: &[_] =
            &[("token", "500 "), TOKEN, ("data", "503 "), TOKEN, ("data", "404 "), TOKEN, ("data", "200 a")];
        assert_eq!(service(late).user_data(PATIENCE).unwrap().as_deref(), Some(&b"a"[..]));
        let empty: &[_] = &[TOKEN, ("data", "200 "), TOKEN, ("data", "200 a")];
        assert_eq!(service(empty).user_data(PATIENCE).unwrap().as_deref(), Some(&b"a"[..]));
    }

    #[test]
    fn a_machine_without_user_data_is_told_from_a_service_that_does_not_answer() {
        let none: &[_] =
            &[TOKEN, ("data", "404 "), TOKEN, ("data", "404 "), TOKEN, ("data", "404 "), TOKEN, ("data", "404 ")];
        let short = Patience { service: Duration::from_secs(20), user_data: Duration::from_millis(700) };
        assert_eq!(service(none).user_data(short).unwrap(), None);
        let off = service(&[("token", "403 ")]).user_data(PATIENCE).unwrap_err();
        assert!(off.to_string().ends_with("/latest/api/token` with 403: expected 200"), "{off}");
        let short = Patience { service: Duration::ZERO, ..PATIENCE };
        assert!(matches!(Imds::at("http://127.0.0.1:9").user_data(short), Err(ImdsError::Ask { .. })));
    }
}
