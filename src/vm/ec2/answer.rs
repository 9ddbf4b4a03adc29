//! What the metadata service answers: a function of what is asked, of the instance and of the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    instance::Instance,
    request::{Malformed, Method, Request},
};
use crate::content::Digest;

/// Where tokens are made.
const TOKEN: &str = "/latest/api/token";
/// The header that says how long one is good for, in seconds, of requests and answers.
const LIFETIME: &str = "X-aws-ec2-metadata-token-ttl-seconds";
/// The longest time: six hours.
const MAX_LIFETIME: u64 = 21_600;
/// Versions that the service lists; it answers others that are dates alike.
const VERSIONS: &str = "2009-04-04\n2016-09-02\n2018-09-24\n2021-01-03\n2021-03-23\nlatest";

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// How long it takes.
    pub after: Duration,
    /// Its status.
    pub status: Status,
    /// A header of its own.
    pub header: Option<(&'static str, String)>,
    /// What it is made of.
    pub content_type: &'static str,
    /// What it carries.
    pub body: Vec<u8>,
}

/// The status of an answer (RFC 9110).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Nonsense,
    NoToken,
    Forwarded,
    NotThere,
    Method,
    BodyTooLong,
    HeadTooLong,
    Broken,
}

impl Status {
    /// Its number and its words.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Good => "200 OK",
            Self::Nonsense => "400 Bad Request",
            Self::NoToken => "401 Unauthorized",
            Self::Forwarded => "403 Forbidden",
            Self::NotThere => "404 Not Found",
            Self::Method => "405 Method Not Allowed",
            Self::BodyTooLong => "413 Content Too Large",
            Self::HeadTooLong => "431 Request Header Fields Too Large",
            Self::Broken => "500 Internal Server Error",
        }
    }
}

impl Answer {
    fn of(status: Status) -> Self {
        Self { after: Duration::ZERO, status, header: None, content_type: "text/plain", body: Vec::new() }
    }

    fn text(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::of(Status::Good) }
    }

    /// The answer to what is no request.
    pub(super) fn refusal(malformed: Malformed) -> Self {
        Self::of(match malformed {
            Malformed::Nonsense => Status::Nonsense,
            Malformed::Head => Status::HeadTooLong,
            Malformed::Body => Status::BodyTooLong,
        })
    }
}

/// The answer to a request that comes `elapsed` after the first one.
pub(super) fn answer(request: &Request, instance: &Instance, elapsed: Duration) -> Answer {
    if instance.fault.is_some_and(|fault| fault.is_broken(elapsed)) {
        return Answer::of(Status::Broken);
    }
    let after = instance.fault.map_or(Duration::ZERO, |fault| fault.delay(elapsed));
    Answer { after, ..right(request, instance, elapsed) }
}

/// The answer of a service with which nothing is wrong.
fn right(request: &Request, instance: &Instance, elapsed: Duration) -> Answer {
    let wanted = if request.path == TOKEN { (Method::Put, "PUT") } else { (Method::Get, "GET") };
    if request.method != wanted.0 {
        return Answer { header: Some(("Allow", wanted.1.to_owned())), ..Answer::of(Status::Method) };
    }
    if request.path == TOKEN {
        return new_token(request, instance, elapsed);
    }
    if !request.token.as_deref().is_some_and(|token| is_good(token, instance, elapsed)) {
        return Answer::of(Status::NoToken);
    }
    if request.path == "/" {
        return Answer::text(VERSIONS);
    }
    let (version, path) = request.path[1..].split_once('/').unwrap_or((&request.path[1..], ""));
    if !is_version(version) {
        return Answer::of(Status::NotThere);
    }
    let leaves = instance.leaves(elapsed);
    if let Some(leaf) = leaves.get(path) {
        let is_data = path == "user-data";
        let content_type = if is_data { "application/octet-stream" } else { "text/plain" };
        return Answer { content_type, ..Answer::text(leaf.clone()) };
    }
    listing(&leaves, path).map_or_else(|| Answer::of(Status::NotThere), Answer::text)
}

/// `latest`, or a date.
fn is_version(text: &str) -> bool {
    let is_date = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    text == "latest" || text.len() == 10 && text.bytes().enumerate().all(is_date)
}

/// What is in a folder, one a line; what has more in it ends with `/`.
fn listing(leaves: &BTreeMap<String, Vec<u8>>, path: &str) -> Option<String> {
    let folder = path.strip_suffix('/').unwrap_or(path);
    let prefix = if path.is_empty() { String::new() } else { format!("{folder}/") };
    let inside = leaves.keys().filter_map(|leaf| leaf.strip_prefix(&prefix));
    let names: BTreeSet<&str> = inside.map(|rest| rest.split_inclusive('/').next().unwrap_or(rest)).collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join("\n"))
}

fn new_token(request: &Request, instance: &Instance, elapsed: Duration) -> Answer {
    if request.is_forwarded {
        return Answer::of(Status::Forwarded);
    }
    let stated = request.lifetime.as_deref().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let lifetime = stated.and_then(|text| text.parse().ok()).filter(|seconds| (1..=MAX_LIFETIME).contains(seconds));
    let Some(lifetime) = lifetime else { return Answer::of(Status::Nonsense) };
    let until = elapsed.as_millis().saturating_add(u128::from(lifetime) * 1000);
    let token = token(u64::try_from(until).unwrap_or(u64::MAX), instance);
    Answer { header: Some((LIFETIME, lifetime.to_string())), ..Answer::text(token) }
}

/// The token that is good until so many milliseconds after the first request. Whoever can read this can make one: it
/// keeps nothing from anybody, but tells clients that ask for none, or keep one too long.
fn token(until: u64, instance: &Instance) -> String {
    format!("{until:016x}{}", Digest::of(format!("token {} {until}", instance.id()).as_bytes()))
}

fn is_good(given: &str, instance: &Instance, elapsed: Duration) -> bool {
    let until = given.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    until.is_some_and(|until| elapsed.as_millis() < u128::from(until) && given == token(until, instance))
}

#[cfg(test)]
mod tests {
    use brc_contract::Architecture;

    use super::{super::Fault, *};

    const NOW: Duration = Duration::from_secs(3);

    fn instance(fault: Option<Fault>) -> Instance {
        Instance { architecture: Architecture::X86_64, user_data: Some(b"\x1f\x8b\0user".to_vec()), fault }
    }

    fn request(method: Method, path: &str) -> Request {
        let path = path.to_owned();
        Request { method, path, token: None, lifetime: None, is_forwarded: false, is_last: false }
    }

    fn put(lifetime: Option<&str>) -> Request {
        Request { lifetime: lifetime.map(str::to_owned), ..request(Method::Put, TOKEN) }
    }

    /// What a client with a fresh token gets.
    fn get_at(instance: &Instance, path: &str, elapsed: Duration) -> Answer {
        let token = Some(token(u64::MAX, instance));
        answer(&Request { token, ..request(Method::Get, path) }, instance, elapsed)
    }

    fn get(path: &str) -> (Status, String) {
        let answer = get_at(&instance(None), path, NOW);
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    #[test]
    fn a_token_is_given_for_a_time_and_good_that_long() {
        let instance = instance(None);
        for lifetime in ["1", "60", "21600"] {
            let given = answer(&put(Some(lifetime)), &instance, NOW);
            assert_eq!((given.status, given.header), (Status::Good, Some((LIFETIME, lifetime.to_owned()))));
            let token = Some(String::from_utf8(given.body).unwrap());
            let asked = Request { token, ..request(Method::Get, "/latest/user-data") };
            let end = NOW + Duration::from_secs(lifetime.parse().unwrap());
            assert_eq!(answer(&asked, &instance, end - Duration::from_millis(1)).status, Status::Good);
            assert_eq!(answer(&asked, &instance, end).status, Status::NoToken);
        }
        for lifetime in [None, Some(""), Some("0"), Some("21601"), Some("-1"), Some("+1"), Some("1.5"), Some("a")] {
            assert_eq!(answer(&put(lifetime), &instance, NOW).status, Status::Nonsense, "{lifetime:?}");
        }
        let forwarded = Request { is_forwarded: true, ..put(Some("60")) };
        assert_eq!(answer(&forwarded, &instance, NOW).status, Status::Forwarded);
    }

    #[test]
    fn nothing_is_told_without_a_token_that_the_service_made() {
        let instance = instance(None);
        let good = token(10_000, &instance);
        let later = good.replacen('0', "1", 1);
        for given in ["", "0", "é", "ééééééééé", &good[1..], &good[..16], &later, &format!("{good}0")] {
            let asked = Request { token: Some(given.to_owned()), ..request(Method::Get, "/latest/user-data") };
            assert_eq!(answer(&asked, &instance, NOW).status, Status::NoToken, "{given}");
        }
        for path in ["/", "/latest/user-data", "/latest/meta-data/", "/nowhere"] {
            assert_eq!(answer(&request(Method::Get, path), &instance, NOW), Answer::of(Status::NoToken), "{path}");
        }
    }

    #[test]
    fn other_methods_are_refused() {
        for (method, path, allowed) in [
            (Method::Get, TOKEN, "PUT"),
            (Method::Other, TOKEN, "PUT"),
            (Method::Put, "/latest/user-data", "GET"),
            (Method::Put, "/2021-01-03/api/token", "GET"),
            (Method::Other, "/", "GET"),
        ] {
            let answer = answer(&request(method, path), &instance(None), NOW);
            assert_eq!((answer.status, answer.header), (Status::Method, Some(("Allow", allowed.to_owned()))), "{path}");
        }
    }

    #[test]
    fn every_leaf_and_every_folder_is_told() {
        let macs = "/latest/meta-data/network/interfaces/macs/";
        let device = format!("{macs}0e:1a:25:a7:6f:98/");
        for (path, body) in [
            ("/", VERSIONS),
            ("/latest", "dynamic/\nmeta-data/\nuser-data"),
            ("/latest/", "dynamic/\nmeta-data/\nuser-data"),
            (
                "/latest/meta-data/",
                "ami-id\nhostname\niam/\ninstance-id\ninstance-type\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\nservices/",
            ),
            ("/latest/meta-data/instance-id", "i-0b8f842520e04f3b9"),
            ("/2021-01-03/meta-data/instance-id", "i-0b8f842520e04f3b9"),
            ("/latest/meta-data/instance-type", "m7i.large"),
            ("/latest/meta-data/iam/security-credentials/", "brc-boot"),
            ("/latest/meta-data/placement", "availability-zone\nregion"),
            ("/latest/meta-data/placement/region", "eu-central-1"),
            ("/latest/meta-data/services/", "domain\npartition"),
            (macs, "0e:1a:25:a7:6f:98/"),
            (&device, "device-number\nlocal-hostname\nlocal-ipv4s\nmac\nsubnet-ipv4-cidr-block\nvpc-ipv4-cidr-block"),
            (&format!("{device}local-ipv4s"), "169.254.0.15"),
            (&format!("{device}vpc-ipv4-cidr-block"), "169.254.0.0/16"),
            ("/latest/dynamic/instance-identity/", "document"),
        ] {
            assert_eq!(get(path), (Status::Good, body.to_owned()), "{path}");
        }
        assert!(get("/latest/dynamic/instance-identity/document").1.contains("\"instanceId\""));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "//",
            "/newest/meta-data/",
            "/2021-1-03/meta-data/",
            "/2021-01-03x/meta-data/",
            "/latest/meta",
            "/latest//meta-data/",
            "/latest/meta-data//",
            "/latest/meta-data/instance",
            "/latest/meta-data/instance-id/",
            "/latest/user-data/",
            "/latest/../etc/passwd",
            "/latest/api/",
            "/é/",
        ] {
            assert_eq!(get(path).0, Status::NotThere, "{path}");
        }
    }

    #[test]
    fn user_data_are_the_bytes_of_the_file() {
        let answer = get_at(&instance(None), "/latest/user-data", NOW);
        assert_eq!((answer.status, answer.body.as_slice()), (Status::Good, &b"\x1f\x8b\0user"[..]));
        assert_eq!(answer.content_type, "application/octet-stream");
        let none = Instance { user_data: None, ..instance(None) };
        assert_eq!(get_at(&none, "/latest/user-data", NOW).status, Status::NotThere);
        assert_eq!(get_at(&none, "/latest/", NOW).body, b"dynamic/\nmeta-data/");
    }

    #[test]
    fn faults_last_as_long_as_they_say() {
        let (data, leaf) = ("/latest/user-data", "/latest/meta-data/instance-id");
        let good = Status::Good;
        for (fault, path, second, status, late) in [
            (Fault::Missing, data, 0, Status::NotThere, 0),
            (Fault::Missing, data, 3600, Status::NotThere, 0),
            (Fault::Missing, leaf, 0, good, 0),
            (Fault::Broken, data, 0, Status::Broken, 0),
            (Fault::Broken, leaf, 19, Status::Broken, 0),
            (Fault::Broken, data, 20, good, 0),
            (Fault::Slow, leaf, 0, good, 5),
            (Fault::Slow, data, 19, good, 5),
            (Fault::Slow, data, 20, good, 0),
            (Fault::Empty, data, 59, Status::NotThere, 0),
            (Fault::Empty, leaf, 0, good, 0),
            (Fault::Empty, data, 60, good, 0),
        ] {
            let answer = get_at(&instance(Some(fault)), path, Duration::from_secs(second));
            assert_eq!((answer.status, answer.after.as_secs()), (status, late), "{fault:?} {path} {second}");
        }
        for (fault, status) in [(Fault::Broken, Status::Broken), (Fault::Slow, good), (Fault::Empty, good)] {
            assert_eq!(answer(&put(Some("60")), &instance(Some(fault)), NOW).status, status, "{fault:?}");
        }
    }
}
