//! The client: signs, sends, and tries again what may pass.

use std::{
    io,
    net::ToSocketAddrs as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ureq::{
    Agent,
    http::{Request, Uri},
};

use super::{
    Ambient, Answer, AwsError, Call, Refusal,
    answer::MAX_BYTES,
    failure::what,
    key::Found,
    sign::{Scope, Signable, UNSIGNED, amazon_date, authorization, query, sha256_hex},
};
use crate::content::{Url, aws_name::is_region};

/// The longest sleep between two looks at the cancel flag.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause between two looks whether something is known.
const MAX_KNOWN_PAUSE: Duration = Duration::from_secs(5);
/// Credentials are had anew so long before they run out.
const EARLY_SECONDS: u64 = 300;
/// A name that does not resolve is looked up again this often.
const NAME_TRIES: u32 = 3;

/// The connections that requests go over, each with timeouts of its own.
#[derive(Debug, Clone)]
pub struct Connections {
    /// For `http:`.
    pub http: Agent,
    /// For `https:`.
    pub https: Agent,
    /// For addresses of the machine itself, which no proxy reaches.
    pub direct: Agent,
}

/// How long and how often is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest time for one request, whatever comes of it.
    pub call: Duration,
    /// How often a request is repeated that failed for a passing reason.
    pub retries: u32,
    /// The pause before the first repetition; it doubles with each.
    pub pause: Duration,
    /// How long something that was made just now may be unknown.
    pub until_known: Duration,
    /// The pause between two looks at something that takes minutes.
    pub look: Duration,
    /// How often something that takes minutes is looked at.
    pub looks: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            call: Duration::from_secs(120),
            retries: 6,
            pause: Duration::from_millis(250),
            until_known: Duration::from_secs(120),
            look: Duration::from_secs(5),
            looks: 720,
        }
    }
}

/// Asks AWS.
pub struct Aws<'a> {
    pub(super) ambient: Ambient,
    pub(super) region: String,
    connections: Connections,
    endpoint: Option<String>,
    patience: Patience,
    clock: &'a (dyn Fn() -> u64 + Sync),
    cancelled: &'a AtomicBool,
    held: Mutex<Option<Found>>,
}

impl<'a> Aws<'a> {
    /// Asks for a region: the one that is named, else the environment's or the profile's. `endpoint` takes the place of
    /// the address of every service.
    ///
    /// # Errors
    /// No region, or one that is none; an endpoint that is no address.
    pub fn new(
        connections: Connections,
        ambient: Ambient,
        (region, endpoint): (Option<&str>, Option<&str>),
        patience: Patience,
        clock: &'a (dyn Fn() -> u64 + Sync),
        cancelled: &'a AtomicBool,
    ) -> Result<Self, AwsError> {
        let region = match region {
            Some(region) => Some(region.to_owned()),
            None => ambient.region()?,
        };
        let region = region.ok_or(AwsError::NoRegion)?;
        check_region(&region)?;
        let endpoint = endpoint.map(|text| text.trim_end_matches('/').to_owned());
        Ok(Aws { ambient, region, connections, endpoint, patience, clock, cancelled, held: Mutex::new(None) })
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// How patient it is.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Asks a service of a region.
    ///
    /// # Errors
    /// No credentials, a refusal, a server that does not answer.
    pub fn ask(&self, region: &str, call: &Call) -> Result<Answer, AwsError> {
        let found = self.credentials()?;
        match self.send(region, call, Some(&found)) {
            Err(error) if error.is_expired() => {
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
                let again = self.credentials()?;
                // Those that nobody renews are the same again.
                if again.credentials.key == found.credentials.key {
                    return Err(error);
                }
                self.send(region, call, Some(&again))
            }
            answered => answered,
        }
    }

    fn credentials(&self) -> Result<Found, AwsError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = held.as_ref() {
            let fresh = found.credentials.until.is_none_or(|until| until > (self.clock)() + EARLY_SECONDS);
            if fresh {
                return Ok(found.clone());
            }
        }
        let found = self.find_credentials()?;
        *held = Some(found.clone());
        Ok(found)
    }

    /// Sends a request, signed where there are credentials, and again while it fails for passing reasons.
    pub(super) fn send(&self, region: &str, call: &Call, asker: Option<&Found>) -> Result<Answer, AwsError> {
        let (mut tries, mut waited) = (0_u32, Duration::ZERO);
        loop {
            self.check()?;
            tries += 1;
            let (mut error, wanted) = match self.once(region, call, asker) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let doubled = self.patience.pause.saturating_mul(1 << (tries - 1).min(8));
            let is_unknown = call.waits_until_known && error.is_missing();
            let pause = if is_unknown && waited < self.patience.until_known {
                let pause = doubled.min(MAX_KNOWN_PAUSE);
                waited += pause;
                pause
            } else if error.is_passing() && self.may_retry(&error, tries) {
                wanted.unwrap_or(doubled.min(MAX_PAUSE))
            } else {
                if let AwsError::Transport { tries: told, .. } = &mut error {
                    *told = tries;
                }
                return Err(error);
            };
            self.pause(pause)?;
        }
    }

    fn may_retry(&self, error: &AwsError, tries: u32) -> bool {
        let most = if matches!(error, AwsError::NoHost { .. }) { NAME_TRIES - 1 } else { self.patience.retries };
        tries <= most
    }

    /// Sends a request once; with a failure the pause that the server asks for.
    fn once(&self, region: &str, call: &Call, asker: Option<&Found>) -> Result<Answer, (AwsError, Option<Duration>)> {
        let base = self.address(region, call).map_err(|error| (error, None))?;
        let pairs = query(&call.query);
        let url =
            if pairs.is_empty() { format!("{base}{}", call.path) } else { format!("{base}{}?{pairs}", call.path) };
        let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
        let mut headers = call.headers.clone();
        if let Some(Found { credentials, .. }) = asker {
            let now = (self.clock)();
            headers.push(("x-amz-date".to_owned(), amazon_date(now)));
            headers.extend(credentials.token.clone().map(|token| ("x-amz-security-token".to_owned(), token)));
            headers.push(("host".to_owned(), host.clone()));
            let digest = if call.signs_body { sha256_hex(&call.body) } else { UNSIGNED.to_owned() };
            let signable = Signable {
                method: call.method,
                path: &call.path,
                query: &call.query,
                headers: &headers,
                body: &digest,
            };
            let scope = Scope { region, service: call.service.name(), now };
            let value = authorization(&signable, &scope, credentials);
            headers.pop();
            headers.push(("authorization".to_owned(), value));
        }
        let agent = if url.starts_with("https:") { &self.connections.https } else { &self.connections.http };
        let answered = self.exchange((agent, region), &url, call, &headers, self.patience.call);
        answered.map_err(|(error, wait)| {
            let error = match error {
                AwsError::Transport { what, tries, source, .. } => match unresolved(&url, &source) {
                    Some(source) => AwsError::NoHost { what, host: host.clone(), region: region.to_owned(), source },
                    None => AwsError::Transport { what, host: host.clone(), tries, source },
                },
                AwsError::Refused(refusal) => {
                    let from = asker.map_or("nowhere", |asker| asker.from.as_str());
                    AwsError::Refused(Box::new(refusal.asked_by(from)))
                }
                error => error,
            };
            (error, wait)
        })
    }

    /// Asks an address of the machine itself, once and unsigned.
    pub(super) fn ask_directly(&self, url: &str, call: &Call, limit: Duration) -> Result<Answer, AwsError> {
        let agent = if url.starts_with("https:") { &self.connections.https } else { &self.connections.direct };
        self.exchange((agent, "this machine"), url, call, &call.headers, limit).map_err(|(error, _)| error)
    }

    fn exchange(
        &self,
        (agent, region): (&Agent, &str),
        url: &str,
        call: &Call,
        headers: &[(String, String)],
        limit: Duration,
    ) -> Result<Answer, (AwsError, Option<Duration>)> {
        let failed = |source| {
            let (what, host) = (what(call), Url::new(url).to_string());
            (AwsError::Transport { what, host, tries: 1, source }, None)
        };
        let mut request = Request::builder().method(call.method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let sent = if call.method == "GET" {
            let request = request.body(()).map_err(|error| failed(error.into()))?;
            agent.run(agent.configure_request(request).timeout_global(Some(limit)).build())
        } else {
            let request = request.body(call.body.as_slice()).map_err(|error| failed(error.into()))?;
            agent.run(agent.configure_request(request).timeout_global(Some(limit)).build())
        };
        let mut response = sent.map_err(failed)?;
        let body = response.body_mut().with_config().limit(MAX_BYTES).read_to_vec().map_err(failed)?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let status = response.status();
        if status.is_success() {
            return Ok(Answer { what: what(call), body, headers: response.headers().clone() });
        }
        let refusal = Refusal::read(call, region, status.as_u16(), &body, header("x-amzn-errortype"));
        Err((AwsError::Refused(Box::new(refusal)), AwsError::wait(header("retry-after"))))
    }

    /// Where a service is asked.
    fn address(&self, region: &str, call: &Call) -> Result<String, AwsError> {
        check_region(region)?;
        let name = call.service.name();
        let own = self.ambient.variable(&format!("AWS_ENDPOINT_URL_{}", name.to_ascii_uppercase()));
        let endpoint = self.endpoint.as_deref().or(own).or_else(|| self.ambient.variable("AWS_ENDPOINT_URL"));
        let Some(endpoint) = endpoint else {
            let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            return Ok(format!("https://{name}.{region}.{domain}"));
        };
        let endpoint = endpoint.trim_end_matches('/');
        let uri = endpoint.parse::<Uri>().ok();
        let is_base = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/" && uri.query().is_none()
        });
        if is_base { Ok(endpoint.to_owned()) } else { Err(AwsError::Endpoint { endpoint: Url::new(endpoint) }) }
    }

    /// The same without an ear for who wants to stop: what was begun and costs money has to be ended.
    #[must_use]
    pub fn unstoppable(&self) -> Aws<'a> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Aws {
            ambient: self.ambient.clone(),
            region: self.region.clone(),
            connections: self.connections.clone(),
            endpoint: self.endpoint.clone(),
            patience: self.patience,
            clock: self.clock,
            cancelled: &NEVER,
            held: Mutex::new(self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Fails when it is to stop.
    ///
    /// # Errors
    /// It is to stop.
    pub fn check(&self) -> Result<(), AwsError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(AwsError::Stopped) } else { Ok(()) }
    }

    /// Waits, unless it is to stop.
    ///
    /// # Errors
    /// It is to stop.
    #[expect(clippy::disallowed_methods, reason = "a server asks to be left alone for a while, or works for minutes")]
    pub fn pause(&self, time: Duration) -> Result<(), AwsError> {
        let mut rest = time;
        while !rest.is_zero() {
            self.check()?;
            let nap = rest.min(HEARTBEAT);
            thread::sleep(nap);
            rest -= nap;
        }
        self.check()
    }
}

/// Why the name of a server has no address, when that is why a request failed: what looked it up says so in words only,
/// so it is looked up once more.
fn unresolved(url: &str, error: &ureq::Error) -> Option<io::Error> {
    if !matches!(error, ureq::Error::Io(_) | ureq::Error::HostNotFound | ureq::Error::ConnectionFailed) {
        return None;
    }
    let uri = url.parse::<Uri>().ok()?;
    let port = uri.port_u16().unwrap_or(443);
    (uri.host()?, port).to_socket_addrs().err()
}

/// Refuses what is no name of a region before it becomes part of an address.
///
/// # Errors
/// It is none.
pub fn check_region(region: &str) -> Result<(), AwsError> {
    if is_region(region) { Ok(()) } else { Err(AwsError::Region { region: region.to_owned() }) }
}
