//! One request to a service of AWS, before it is signed.

use super::sign::encoded;

/// The services that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The EBS direct APIs: blocks of snapshots.
    Ebs,
    /// Images and snapshots.
    Ec2,
    /// Parameters.
    Ssm,
    /// Who asks.
    Sts,
    /// Keys.
    Kms,
}

impl Service {
    /// The name in addresses and signatures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Service::Ebs => "ebs",
            Service::Ec2 => "ec2",
            Service::Ssm => "ssm",
            Service::Sts => "sts",
            Service::Kms => "kms",
        }
    }

    /// The version of its API, where requests say it.
    fn version(self) -> &'static str {
        match self {
            Service::Sts => "2011-06-15",
            _ => "2016-11-15",
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Of whom it is asked.
    pub service: Service,
    /// What is asked, as AWS calls it: `RegisterImage`.
    pub operation: &'static str,
    /// What it is about, for messages: a snapshot, an image.
    pub about: String,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) signs_body: bool,
    pub(super) waits_until_known: bool,
}

impl Call {
    /// A request of the EBS direct APIs with a text of JSON.
    pub fn ebs(operation: &'static str, method: &'static str, path: String, body: Vec<u8>) -> Self {
        let mut call = Call::plain(Service::Ebs, operation, method, path);
        if !body.is_empty() {
            call = call.header("content-type", "application/json");
        }
        Call { body, ..call }
    }

    /// A request of SSM.
    pub fn ssm(operation: &'static str, about: &str, body: &serde_json::Value) -> Self {
        Call::json(Service::Ssm, "AmazonSSM", operation).about(about).with_json(body)
    }

    /// A request of KMS.
    pub fn kms(operation: &'static str, about: &str, body: &serde_json::Value) -> Self {
        Call::json(Service::Kms, "TrentService", operation).about(about).with_json(body)
    }

    /// A request of the JSON protocol; `prefix` is how the service calls itself there.
    fn json(service: Service, prefix: &str, operation: &'static str) -> Self {
        let call = Call::plain(service, operation, "POST", "/".to_owned());
        let call = call.header("content-type", "application/x-amz-json-1.1");
        call.header("x-amz-target", &format!("{prefix}.{operation}"))
    }

    fn with_json(self, body: &serde_json::Value) -> Self {
        Call { body: body.to_string().into_bytes(), ..self }
    }

    pub(super) fn plain(service: Service, operation: &'static str, method: &'static str, path: String) -> Self {
        Call {
            service,
            operation,
            about: String::new(),
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            signs_body: true,
            waits_until_known: false,
        }
    }

    /// With this header; its name in small letters.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this pair in its query.
    #[must_use]
    pub fn ask(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// About this, for messages.
    #[must_use]
    pub fn about(self, about: &str) -> Self {
        Call { about: about.to_owned(), ..self }
    }

    /// With a body that is not signed, as its service wants it.
    #[must_use]
    pub fn unsigned_body(self, body: Vec<u8>) -> Self {
        Call { body, signs_body: false, ..self }
    }

    /// What it is about was made just now, and not all servers know it yet: that it is not there is waited out.
    #[must_use]
    pub fn wait_until_known(self) -> Self {
        Call { waits_until_known: true, ..self }
    }
}

/// A request of the Query protocol (EC2, STS): pairs in a form, answered in XML.
#[derive(Debug, Clone)]
pub struct Query {
    service: Service,
    operation: &'static str,
    about: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// A request.
    pub fn new(service: Service, operation: &'static str, about: &str) -> Self {
        let pairs =
            vec![("Action".to_owned(), operation.to_owned()), ("Version".to_owned(), service.version().to_owned())];
        Query { service, operation, about: about.to_owned(), pairs }
    }

    /// With this pair.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.pairs.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a filter of descriptions, the `number`-th.
    #[must_use]
    pub fn filter(self, number: usize, name: &str, value: &str) -> Self {
        self.with(&format!("Filter.{number}.Name"), name).with(&format!("Filter.{number}.Value.1"), value)
    }

    /// With tags for what it makes.
    #[must_use]
    pub fn tags(mut self, number: usize, kind: &str, tags: &[(String, String)]) -> Self {
        let prefix = format!("TagSpecification.{number}");
        self = self.with(&format!("{prefix}.ResourceType"), kind);
        for (place, (key, value)) in (1..).zip(tags) {
            self = self.with(&format!("{prefix}.Tag.{place}.Key"), key);
            self = self.with(&format!("{prefix}.Tag.{place}.Value"), value);
        }
        self
    }

    /// As it is sent.
    pub fn call(self) -> Call {
        let pairs = self.pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&").into_bytes();
        let call = Call::plain(self.service, self.operation, "POST", "/".to_owned());
        let call = call.header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        Call { about: self.about, body, ..call }
    }
}

#[cfg(test)]
impl Call {
    /// What is sent, for golden tests.
    pub fn body_for_tests(&self) -> Vec<u8> {
        self.body.clone()
    }
}
