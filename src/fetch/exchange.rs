//! One question to a server whose answer is no file: taken whole into memory, within a limit.

use std::{
    io::Read as _,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ureq::http::{Request, Response};

use super::{
    Client, Location, TransferError, Watch,
    location::percent_decode,
    transfer::{MAX_REDIRECTS, Web},
};
use crate::content::Url;

/// How often the cancel flag is looked at while nothing comes.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// A question.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Whom it is put to. A user name and password in it are sent to that host, and to no other.
    pub url: Url,
    /// What is said besides.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent; nothing for a `GET`.
    pub body: Option<Vec<u8>>,
    /// The most bytes that are taken of the answer.
    pub limit: u64,
}

/// An answer, with whatever status that does not pass by itself.
#[derive(Debug)]
pub(super) struct Reply {
    /// Who gave it in the end, with the user name and password of the question when it is the same host.
    pub url: Url,
    /// The HTTP status.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Client {
    /// Puts a question, again while it fails for passing reasons; follows redirects.
    pub(super) fn exchange(&self, question: &Question, watch: &Watch<'_>) -> Result<Reply, ExchangeError> {
        let patience = &self.config.patience;
        let mut tries = 0;
        loop {
            let error = match self.try_exchange(question, watch)? {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if !error.is_passing() || tries >= patience.retries {
                return Err(ExchangeError::Transfer(error));
            }
            let pause = patience.pause.saturating_mul(1 << tries.min(8));
            tries += 1;
            watch.pause(error.wait().unwrap_or(pause.min(MAX_PAUSE))).map_err(|_| ExchangeError::Cancelled)?;
        }
    }

    /// One try, by a thread of its own, so that whoever waits can give up at once.
    fn try_exchange(
        &self,
        question: &Question,
        watch: &Watch<'_>,
    ) -> Result<Result<Reply, TransferError>, ExchangeError> {
        let (sender, receiver) = channel();
        let (web, asked) = (self.web.clone(), question.clone());
        let run = move || {
            // Whoever no longer listens needs no answer.
            let _ = sender.send(ask(&web, &asked));
        };
        if let Err(source) = thread::Builder::new().name("exchange".to_owned()).spawn(run) {
            return Ok(Err(TransferError::Read(source)));
        }
        loop {
            watch.check().map_err(|_| ExchangeError::Cancelled)?;
            match receiver.recv_timeout(HEARTBEAT) {
                Ok(answered) => return Ok(answered),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let source = std::io::Error::other("the exchange's thread ended");
                    return Ok(Err(TransferError::Read(source)));
                }
            }
        }
    }
}

fn ask(web: &Web, question: &Question) -> Result<Reply, TransferError> {
    let mut url = question.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let (plain, authorization) = split_user(&url);
        let response = send(web, &plain, authorization, question)?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => {
                let target = text("location").ok_or(TransferError::Answer("a redirect without a target"))?;
                let target = Location::redirect(&plain, &target).map_err(TransferError::Redirect)?;
                url = with_user_of(&url, target);
            }
            status @ (408 | 429 | 500 | 502 | 503 | 504) => {
                return Err(TransferError::Status { status, wait: None });
            }
            status => {
                let content_type = text("content-type").unwrap_or_default();
                let challenge = text("www-authenticate");
                let mut body = Vec::new();
                let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
                reader.take(question.limit + 1).read_to_end(&mut body).map_err(TransferError::Read)?;
                if body.len() as u64 > question.limit {
                    return Err(TransferError::TooLong { limit: question.limit });
                }
                return Ok(Reply { url, status, content_type, challenge, body });
            }
        }
    }
    Err(TransferError::Redirects)
}

fn send(
    web: &Web,
    url: &Url,
    authorization: Option<String>,
    question: &Question,
) -> Result<Response<ureq::Body>, TransferError> {
    let agent = if url.as_str().starts_with("https:") { &web.https } else { &web.http };
    let mut request = Request::builder().uri(url.as_str());
    let has_own = question.headers.iter().any(|(name, _)| *name == "Authorization");
    // What a question says of itself is for the host that it was put to.
    let is_first_host = host_of(url) == host_of(&split_user(&question.url).0);
    for (name, value) in question.headers.iter().filter(|(name, _)| *name != "Authorization" || is_first_host) {
        request = request.header(*name, value);
    }
    if let Some(value) = authorization.filter(|_| !has_own) {
        request = request.header("Authorization", value);
    }
    let sent = match &question.body {
        Some(body) => {
            let request = request.method("POST").body(body.as_slice());
            agent.run(request.map_err(|error| TransferError::Request(error.into()))?)
        }
        None => agent.run(request.method("GET").body(()).map_err(|error| TransferError::Request(error.into()))?),
    };
    sent.map_err(TransferError::Request)
}

/// A URL without user name and password, and the header that says them.
fn split_user(url: &Url) -> (Url, Option<String>) {
    let (user, plain) = url.split_user();
    let user = user.and_then(percent_decode);
    (plain, user.map(|user| format!("Basic {}", STANDARD.encode(user))))
}

/// The target of a redirect, with the user name and password of where it came from when that is the same host.
fn with_user_of(from: &Url, target: Url) -> Url {
    let (user, plain) = from.split_user();
    match (user, target.as_str().split_once("://")) {
        (Some(user), Some((scheme, rest))) if host_of(&plain) == host_of(&target) => {
            Url::new(format!("{scheme}://{user}@{rest}"))
        }
        _ => target,
    }
}

/// Scheme, host and port.
fn host_of(url: &Url) -> &str {
    let text = url.as_str();
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text[start..].find(['/', '?']).map_or(text.len(), |at| start + at);
    &text[..end]
}

/// A question was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// It could not be put, or what came was no answer.
    #[error(transparent)]
    Transfer(TransferError),
    /// It was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_to_its_own_host_alone() {
        let (plain, header) = split_user(&Url::new("https://us%40er:pass@example.org/x"));
        assert_eq!((plain.as_str(), header.as_deref()), ("https://example.org/x", Some("Basic dXNAZXI6cGFzcw==")));
        for (target, expected) in [
            ("https://example.org/y", "https://u:p@example.org/y"),
            ("https://other.example/y", "https://other.example/y"),
            ("https://example.org:444/y", "https://example.org:444/y"),
        ] {
            let from = Url::new("https://u:p@example.org/x");
            assert_eq!(with_user_of(&from, Url::new(target)).as_str(), expected);
        }
    }
}
