//! Why AWS did not do what it was asked, and what helps.

use std::{fmt, io, time::Duration};

use super::{Call, CredentialsError, xml};

/// What a refusal means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Later.
    Busy,
    /// Who asks may not.
    Denied,
    /// Who asks is not known, or not any more.
    Stranger,
    /// The clocks differ.
    Clock,
    /// The region is not one for this account.
    Region,
    /// What it is about is not there.
    Missing,
    /// Something else.
    Other,
}

/// Codes by which services say what they mean; all others are of the request itself.
const CODES: &[(&str, Meaning)] = &[
    ("AccessDenied", Meaning::Denied),
    ("AccessDeniedException", Meaning::Denied),
    ("UnauthorizedOperation", Meaning::Denied),
    ("OperationNotPermitted", Meaning::Denied),
    ("AuthFailure", Meaning::Stranger),
    ("ExpiredToken", Meaning::Stranger),
    ("ExpiredTokenException", Meaning::Stranger),
    ("RequestExpired", Meaning::Clock),
    ("RequestTimeTooSkewed", Meaning::Clock),
    ("InvalidClientTokenId", Meaning::Stranger),
    ("InvalidIdentityToken", Meaning::Stranger),
    ("UnrecognizedClientException", Meaning::Stranger),
    ("InvalidSignatureException", Meaning::Stranger),
    ("SignatureDoesNotMatch", Meaning::Stranger),
    ("MissingAuthenticationToken", Meaning::Stranger),
    ("OptInRequired", Meaning::Region),
    ("RegionDisabledException", Meaning::Region),
    ("RequestLimitExceeded", Meaning::Busy),
    ("RequestThrottled", Meaning::Busy),
    ("RequestThrottledException", Meaning::Busy),
    ("Throttling", Meaning::Busy),
    ("ThrottlingException", Meaning::Busy),
    ("TooManyRequestsException", Meaning::Busy),
    ("TooManyUpdates", Meaning::Busy),
    ("SlowDown", Meaning::Busy),
    ("InternalError", Meaning::Busy),
    ("InternalFailure", Meaning::Busy),
    ("InternalServerException", Meaning::Busy),
    ("ServiceUnavailable", Meaning::Busy),
    ("Unavailable", Meaning::Busy),
    ("IDPCommunicationError", Meaning::Busy),
    ("ResourceNotFoundException", Meaning::Missing),
    ("InvalidSnapshot.NotFound", Meaning::Missing),
    ("InvalidAMIID.NotFound", Meaning::Missing),
    ("InvalidAMIID.Unavailable", Meaning::Missing),
    ("InvalidInstanceID.NotFound", Meaning::Missing),
    ("ParameterNotFound", Meaning::Missing),
];
/// What of a sentence of a server is shown.
const MAX_SENTENCE: usize = 400;

/// What a service said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked: the operation and what it is about.
    pub what: String,
    /// Where: the service and the region.
    pub place: String,
    /// The action that a policy has to allow.
    action: String,
    /// The HTTP status.
    status: u16,
    /// Its code.
    pub code: String,
    /// Its sentence.
    message: String,
    /// Who asked.
    asker: String,
}

impl Refusal {
    /// Reads the answer to a request that was refused.
    pub(super) fn read(call: &Call, region: &str, status: u16, body: &[u8], header: Option<&str>) -> Self {
        let (code, message) = code_and_message(body, header);
        let message = message.chars().take(MAX_SENTENCE).collect();
        Refusal {
            what: what(call),
            place: format!("{} of `{region}`", call.service.name()),
            action: format!("{}:{}", call.service.name(), call.operation),
            status,
            code,
            message,
            asker: String::new(),
        }
    }

    /// As asked with credentials from there.
    pub(super) fn asked_by(self, asker: &str) -> Self {
        Refusal { asker: asker.to_owned(), ..self }
    }

    fn meaning(&self) -> Meaning {
        match CODES.iter().find(|(code, _)| *code == self.code) {
            Some((_, meaning)) => *meaning,
            None if self.status == 429 || self.status >= 500 => Meaning::Busy,
            None => Meaning::Other,
        }
    }

    fn help(&self) -> String {
        match self.meaning() {
            Meaning::Denied => format!("; its policy has to allow `{}`", self.action),
            Meaning::Stranger => format!("; credentials came from {}: renew them, or name others", self.asker),
            Meaning::Clock => "; look at the clock of this machine".to_owned(),
            Meaning::Region => "; turn the region on for the account, or name another with `--region`".to_owned(),
            Meaning::Busy => "; try again later: what was done is kept".to_owned(),
            Meaning::Missing | Meaning::Other => String::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { what, place, status, code, message, .. } = self;
        let code = if code.is_empty() { "no code" } else { code };
        write!(f, "{what} was refused by {place} with {status} `{code}`")?;
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        f.write_str(&self.help())
    }
}

/// The operation and what it is about.
pub(super) fn what(call: &Call) -> String {
    if call.about.is_empty() { call.operation.to_owned() } else { format!("{} of `{}`", call.operation, call.about) }
}

/// The code and the sentence of a refusal: in XML (EC2, STS), or in JSON with the code in a header or a field.
fn code_and_message(body: &[u8], header: Option<&str>) -> (String, String) {
    // `com.amazonaws.x#ThrottlingException:http://…`
    let bare =
        |code: &str| code.rsplit('#').next().and_then(|code| code.split(':').next()).unwrap_or_default().to_owned();
    let text = std::str::from_utf8(body).unwrap_or_default().trim_start();
    if text.starts_with('<') {
        let Ok(document) = xml::parse(text) else { return (String::new(), String::new()) };
        let root = xml::Node::root(&document);
        let error = root.find("Error").unwrap_or(root);
        let of = |name| error.text(name).unwrap_or_default().to_owned();
        return (bare(&of("Code")), of("Message"));
    }
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let of = |names: &[&str]| names.iter().find_map(|name| json.get(name)?.as_str()).unwrap_or_default().to_owned();
    let code = header.map_or_else(|| of(&["__type", "code", "Code"]), str::to_owned);
    (bare(&code), of(&["message", "Message"]))
}

/// AWS did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Nobody said who asks, or what was said makes no sense.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Nobody said for what region.
    #[error("no region is named: give `--region REGION`, set `AWS_REGION`, or name one in the profile")]
    NoRegion,
    /// A region that is none.
    #[error("`{region}` is no region: expected one like `eu-central-1`")]
    Region { region: String },
    /// An address that is none.
    #[error("the endpoint `{endpoint}` is no address: expected `https://HOST`")]
    Endpoint { endpoint: crate::content::Url },
    /// A service refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A service has no address for the region.
    #[error("{what}: there is no server `{host}`; is `{region}` the region that is meant?")]
    NoHost { what: String, host: String, region: String, source: io::Error },
    /// A service could not be asked.
    #[error("{what}: `{host}` was not reached or did not answer (tries: {tries})")]
    Transport { what: String, host: String, tries: u32, source: ureq::Error },
    /// An answer makes no sense.
    #[error("{what}: the answer makes no sense: {problem}")]
    Answer { what: String, problem: &'static str },
    /// Whoever watches has enough.
    #[error("stopped: the same command goes on with what was done")]
    Stopped,
}

impl AwsError {
    /// Whether the same request may work in a moment; decided by status and code.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            AwsError::Refused(refusal) => refusal.meaning() == Meaning::Busy,
            AwsError::Transport { source, .. } => match source {
                // A certificate that is not accepted comes as `InvalidData`.
                ureq::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
                ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => true,
                _ => false,
            },
            AwsError::NoHost { .. } => true,
            _ => false,
        }
    }

    /// Whether what it was about is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, AwsError::Refused(refusal) if refusal.meaning() == Meaning::Missing)
    }

    /// Whether credentials have run out, which may be had anew.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self, AwsError::Refused(refusal) if ["ExpiredToken", "ExpiredTokenException"].contains(&refusal.code.as_str()))
    }

    /// The pause that a server asks for.
    pub(super) fn wait(header: Option<&str>) -> Option<Duration> {
        const MOST: u64 = 60;
        let seconds: u64 = header?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.min(MOST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str, header: Option<&str>) -> AwsError {
        let call = Call::ebs("PutSnapshotBlock", "PUT", "/".to_owned(), Vec::new()).about("snap-1");
        let refusal = Refusal::read(&call, "eu-central-1", status, body.as_bytes(), header);
        AwsError::Refused(Box::new(refusal.asked_by("the environment")))
    }

    #[test]
    fn what_a_refusal_means_is_decided_by_its_code_and_status() {
        let ec2 = |code: &str| {
            format!("<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>")
        };
        let sts = "<ErrorResponse xmlns=\"x\"><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>";
        for (status, body, header, passing, missing, says) in [
            (503, String::new(), None, true, false, "503 `no code`"),
            (400, ec2("RequestLimitExceeded"), None, true, false, "try again later"),
            (403, ec2("UnauthorizedOperation"), None, false, false, "has to allow `ebs:PutSnapshotBlock`"),
            (400, ec2("InvalidSnapshot.NotFound"), None, false, true, ": no"),
            (400, sts.to_owned(), None, false, false, "came from the environment"),
            (404, "{\"message\":\"gone\"}".to_owned(), Some("ResourceNotFoundException"), false, true, ": gone"),
            (
                400,
                "{\"__type\":\"com.amazonaws.ebs#ThrottlingException\"}".to_owned(),
                None,
                true,
                false,
                "`ThrottlingException`",
            ),
            (
                403,
                "{\"code\":\"AccessDeniedException:http://x/\",\"Message\":\"500\"}".to_owned(),
                None,
                false,
                false,
                "`AccessDeniedException`: 500",
            ),
            (400, "<".to_owned(), None, false, false, "400 `no code`"),
            (400, "throttling, try again".to_owned(), None, false, false, "400 `no code`"),
        ] {
            let error = refused(status, &body, header);
            assert_eq!((error.is_passing(), error.is_missing()), (passing, missing), "{error}");
            assert!(error.to_string().contains(says), "{error}");
            assert!(
                error.to_string().starts_with("PutSnapshotBlock of `snap-1` was refused by ebs of `eu-central-1` with")
            );
        }
        assert!(refused(400, sts, None).is_expired());
        assert_eq!(AwsError::wait(Some("7200")), Some(Duration::from_secs(60)));
    }
}
