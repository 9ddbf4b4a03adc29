//! What a text of a setting may look like.

use core::net::IpAddr;

/// What a text may look like. Each keeps out what could leave the place that it is written to: a line stays a line, a
/// name stays a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Anything but control characters, line ends and tabs excepted, up to so many bytes.
    Text(usize),
    /// One line.
    Line,
    /// A name of a kernel module: letters, digits, `-` and `_`.
    Module,
    /// A name below `/proc/sys`: `net.core.somaxconn`, `net.ipv4.conf.eth0/1.rp_filter`.
    Sysctl,
    /// A host name (RFC 1123), up to 253 bytes.
    HostName,
    /// A host name or an address.
    Host,
    /// An address, of IPv4 or IPv6.
    Address,
    /// A name of a network interface, up to 15 bytes.
    Interface,
    /// The address of a network card: `52:54:00:12:34:56`.
    Mac,
    /// An address with the length of its network: `10.0.0.2/24`.
    Prefix,
    /// A host, a domain or a network: `10.0.0.0/8`, `.example`, `host:8080`.
    Network,
    /// The name of a registry: a host, with a port or without; `*` is all of them.
    Registry,
    /// `http://…` or `https://…`.
    Url,
    /// A time of day: `02:30`.
    Time,
    /// A version, as images have them.
    Version,
    /// A name of the user's own: letters, digits, `-` and `_`.
    Name,
    /// The name of a unit of systemd: `containerd.service`, or `containerd`.
    Unit,
    /// The name of an image of containers, with its registry: `registry.example/app:1`.
    Image,
    /// Base64 (RFC 4648) of up to so many bytes.
    Base64(usize),
    /// One line that can stand in double quotes anywhere: without quotes, `\`, `$` and control characters.
    Plain,
    /// A quantity of Kubernetes: `100m`, `1.5`, `2Gi`.
    Quantity,
    /// A quantity or a percentage: `10%`.
    Threshold,
    /// A duration as Go writes it: `1m30s`.
    Duration,
    /// The key of a label: `example.org/kind`.
    Label,
    /// The value of a label, which may be empty.
    LabelValue,
    /// The value and effect of a taint: `special:NoSchedule`.
    Taint,
    /// The name of a cluster, as EKS has them.
    Cluster,
    /// A token with which a node joins: `abcdef.0123456789abcdef`.
    Token,
    /// What a cloud calls a machine: `aws:///eu-west-1a/i-0123`.
    Provider,
    /// Images by their registry, with `*` for a part of a name: `*.dkr.ecr.*.amazonaws.com`.
    ImagePattern,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

const MAX_LINE: usize = 4096;
const MAX_NAME: usize = 63;
const MAX_HOST: usize = 253;
/// `IFNAMSIZ` of the kernel, without the NUL.
const MAX_INTERFACE: usize = 15;
const MAX_URL: usize = 2048;
const MAX_VERSION: usize = 64;
const MAX_IMAGE: usize = 512;
const MAX_UNIT: usize = 255;
/// The longest number of a quantity or duration, in letters.
const MAX_QUANTITY: usize = 32;
/// The longest name of a cluster (EKS).
const MAX_CLUSTER: usize = 100;
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

impl Form {
    /// Whether a text looks so.
    pub fn fits(self, text: &str) -> bool {
        let within = |limit: usize| !text.is_empty() && text.len() <= limit;
        let all = |fits: fn(char) -> bool| text.chars().all(fits);
        let starts_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match self {
            Form::Text(limit) => text.len() <= limit && all(|c| !c.is_control() || c == '\n' || c == '\t'),
            Form::Line => text.len() <= MAX_LINE && all(|c| !c.is_control()),
            Form::Module => within(MAX_NAME) && starts_plain && all(|c| is_word(c) || c == '-'),
            Form::Sysctl => {
                let names = text.split(['.', '/']).all(|name| !name.is_empty());
                within(MAX_HOST) && names && all(|c| is_word(c) || matches!(c, '.' | '-' | '/' | '*'))
            }
            Form::HostName => is_host_name(text),
            Form::Host => is_host_name(text) || text.parse::<IpAddr>().is_ok(),
            Form::Address => text.parse::<IpAddr>().is_ok(),
            Form::Interface => within(MAX_INTERFACE) && starts_plain && all(|c| is_word(c) || matches!(c, '.' | '-')),
            Form::Mac => {
                let byte = |byte: &str| byte.len() == 2 && byte.chars().all(|c| c.is_ascii_hexdigit());
                text.split(':').count() == 6 && text.split(':').all(byte)
            }
            Form::Prefix => is_prefix(text),
            Form::Network => {
                within(MAX_HOST) && all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '/' | '*'))
            }
            Form::Registry => is_registry(text),
            Form::Url => {
                let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
                let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`');
                text.len() <= MAX_URL && rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
            }
            Form::Time => {
                let number = |text: &str, most: u8| {
                    text.len() == 2
                        && text.bytes().all(|byte| byte.is_ascii_digit())
                        && text.parse().is_ok_and(|number: u8| number <= most)
                };
                text.split_once(':').is_some_and(|(hour, minute)| number(hour, 23) && number(minute, 59))
            }
            Form::Version => within(MAX_VERSION) && all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '~' | '^')),
            Form::Name => within(MAX_NAME) && starts_plain && all(|c| is_word(c) || c == '-'),
            Form::Unit => within(MAX_UNIT) && starts_plain && all(|c| is_word(c) || matches!(c, ':' | '-' | '.' | '@')),
            Form::Image => {
                let plain = |c: char| is_word(c) || matches!(c, '.' | '-' | ':' | '/' | '@' | '+');
                within(MAX_IMAGE) && starts_plain && text.chars().all(plain)
            }
            Form::Base64(limit) => is_base64(text) && text.len() / 4 * 3 <= limit,
            Form::Plain => {
                text.len() <= MAX_LINE && all(|c| !c.is_control() && !matches!(c, '"' | '\'' | '\\' | '$' | '`'))
            }
            Form::Quantity => is_quantity(text),
            Form::Threshold => is_quantity(text.strip_suffix('%').unwrap_or(text)),
            Form::Duration => is_duration(text),
            Form::Label => match text.split_once('/') {
                Some((domain, name)) => is_host_name(domain) && is_label_name(name),
                None => is_label_name(text),
            },
            Form::LabelValue => text.is_empty() || is_label_name(text),
            Form::Taint => text
                .split_once(':')
                .is_some_and(|(value, effect)| (value.is_empty() || is_label_name(value)) && EFFECTS.contains(&effect)),
            Form::Cluster => within(MAX_CLUSTER) && starts_plain && all(|c| is_word(c) || c == '-'),
            Form::Token => within(MAX_LINE) && all(|c| is_word(c) || matches!(c, '.' | '-')),
            Form::Provider => {
                within(MAX_HOST) && starts_plain && all(|c| is_word(c) || matches!(c, ':' | '/' | '.' | '-'))
            }
            Form::ImagePattern => within(MAX_HOST) && all(|c| is_word(c) || matches!(c, '*' | '.' | '-' | ':' | '/')),
            Form::OneOf(words) => words.contains(&text),
        }
    }

    /// What it is, for a message and the reference.
    pub fn described(self) -> String {
        match self {
            Form::Text(limit) => format!("a text of at most {limit} bytes without control characters"),
            Form::Line => "one line of text".to_owned(),
            Form::Module => "the name of a kernel module".to_owned(),
            Form::Sysctl => "the name of a sysctl, as in `net.core.somaxconn`".to_owned(),
            Form::HostName => "a host name, as in `node-1.example`".to_owned(),
            Form::Host => "a host name or an address".to_owned(),
            Form::Address => "an address, as in `10.0.0.2` or `fd00::2`".to_owned(),
            Form::Interface => "the name of a network interface, as in `eth0`".to_owned(),
            Form::Mac => "the address of a network card, as in `52:54:00:12:34:56`".to_owned(),
            Form::Prefix => "an address with the length of its network, as in `10.0.0.2/24`".to_owned(),
            Form::Network => "a host, a domain or a network, as in `.example` or `10.0.0.0/8`".to_owned(),
            Form::Registry => "a registry, as in `registry.example:5000`, or `*`".to_owned(),
            Form::Url => "a URL that begins with `http://` or `https://`".to_owned(),
            Form::Time => "a time of day, as in `02:30`".to_owned(),
            Form::Version => "a version, as in `1.9.0`".to_owned(),
            Form::Name => "a name of letters, digits, `-` and `_`".to_owned(),
            Form::Unit => "the name of a unit, as in `containerd.service`".to_owned(),
            Form::Image => "the name of an image with its registry, as in `registry.example/app:1`".to_owned(),
            Form::Base64(limit) => format!("base64 of at most {limit} bytes"),
            Form::Plain => "one line without quotes, `\\` and `$`".to_owned(),
            Form::Quantity => "a quantity, as in `100m` or `2Gi`".to_owned(),
            Form::Threshold => "a quantity or a percentage, as in `100Mi` or `10%`".to_owned(),
            Form::Duration => "a duration, as in `1m30s`".to_owned(),
            Form::Label => "the key of a label, as in `example.org/kind`".to_owned(),
            Form::LabelValue => "the value of a label: up to 63 letters, digits, `-`, `_` and `.`".to_owned(),
            Form::Taint => "a value and an effect, as in `special:NoSchedule`".to_owned(),
            Form::Cluster => "the name of a cluster: letters, digits, `-` and `_`".to_owned(),
            Form::Token => "a token, as in `abcdef.0123456789abcdef`".to_owned(),
            Form::Provider => "what a cloud calls a machine, as in `aws:///eu-west-1a/i-0123`".to_owned(),
            Form::ImagePattern => "images by their registry, as in `*.dkr.ecr.*.amazonaws.com`".to_owned(),
            Form::OneOf(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                match words.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, others)) => format!("{} or {last}", others.join(", ")),
                    None => "nothing".to_owned(),
                }
            }
        }
    }

    /// A text that looks so.
    pub fn example(self) -> &'static str {
        match self {
            Form::Text(_) => "first line\nsecond line\n",
            Form::Line => "some words",
            Form::Module => "br_netfilter",
            Form::Sysctl => "net.core.somaxconn",
            Form::HostName => "node-1.example",
            Form::Host => "time.example",
            Form::Address => "10.0.0.2",
            Form::Interface => "eth0",
            Form::Mac => "52:54:00:12:34:56",
            Form::Prefix => "10.0.0.2/24",
            Form::Network => "10.0.0.0/8",
            Form::Registry => "registry.example",
            Form::Url => "https://mirror.example",
            Form::Time => "02:30",
            Form::Version => "1.9.0",
            Form::Name => "mine",
            Form::Unit => "containerd.service",
            Form::Image => "registry.example/app:1",
            Form::Base64(_) => "aGVsbG8K",
            Form::Plain => "some words",
            Form::Quantity => "100m",
            Form::Threshold => "10%",
            Form::Duration => "1m30s",
            Form::Label => "example.org/kind",
            Form::LabelValue => "a.b",
            Form::Taint => "special:NoSchedule",
            Form::Cluster => "prod",
            Form::Token => "abcdef.0123456789abcdef",
            Form::Provider => "aws:///eu-west-1a/i-0123",
            Form::ImagePattern => "*.dkr.ecr.*.amazonaws.com",
            Form::OneOf(words) => words.first().copied().unwrap_or_default(),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A number with a suffix (Kubernetes' API, `resource.Quantity`), without an exponent.
fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &text[number.len()..];
    let suffixes = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= MAX_QUANTITY && suffixes.contains(&suffix) && digits(whole) && digits(part)
}

/// Numbers, each with its unit (Go, `time.ParseDuration`), without a sign.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &rest[..rest.len() - after.len()];
        let unit = ["ns", "us", "ms", "h", "m", "s"].into_iter().find(|unit| after.starts_with(unit));
        let Some(unit) = unit.filter(|_| number.parse::<f64>().is_ok()) else { return text == "0" };
        rest = &after[unit.len()..];
    }
    !text.is_empty() && text.len() <= MAX_QUANTITY
}

/// The name of a label, or its value: up to 63 letters, digits, `-`, `_` and `.`, the first and last plain.
fn is_label_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    (1..=MAX_NAME).contains(&text.len())
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| is_word(c) || matches!(c, '-' | '.'))
}

/// RFC 4648, section 4; lines may be broken anywhere, as PEM's are.
fn is_base64(text: &str) -> bool {
    let packed: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let padding = packed.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    packed.len() % 4 == 0 && packed[..packed.len() - padding].iter().all(digit)
}

/// RFC 1123, section 2.1.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=MAX_NAME).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_HOST && text.split('.').all(label)
}

fn is_prefix(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse().is_ok_and(|length: u8| length <= most)
}

fn is_registry(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    match text.rsplit_once(':') {
        Some((host, port)) => is_host_name(host) && port.parse::<u16>().is_ok_and(|port| port != 0),
        None => is_host_name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Form; 31] = [
        Form::Text(64),
        Form::Line,
        Form::Module,
        Form::Sysctl,
        Form::HostName,
        Form::Host,
        Form::Address,
        Form::Interface,
        Form::Mac,
        Form::Prefix,
        Form::Network,
        Form::Registry,
        Form::Url,
        Form::Time,
        Form::Version,
        Form::Name,
        Form::Unit,
        Form::Image,
        Form::Base64(64),
        Form::Plain,
        Form::Quantity,
        Form::Threshold,
        Form::Duration,
        Form::Label,
        Form::LabelValue,
        Form::Taint,
        Form::Cluster,
        Form::Token,
        Form::Provider,
        Form::ImagePattern,
        Form::OneOf(&["a", "b"]),
    ];

    #[test]
    fn an_example_fits_its_form() {
        for form in ALL {
            assert!(form.fits(form.example()), "{form:?}");
        }
    }

    #[test]
    fn what_generators_of_nodes_write_fits() {
        for (form, texts) in [
            (Form::Quantity, &["100m", "1", "0.5", "100Mi", "2Gi", "1000k"][..]),
            (Form::Threshold, &["10%", "100Mi", "5.5%"]),
            (Form::Duration, &["1m30s", "12h", "12h0m0s", "0", "0s", "1.5h", "100ms"]),
            (Form::Label, &["dedicated", "karpenter.sh/nodepool", "topology.ebs.csi.aws.com/zone"]),
            (Form::LabelValue, &["", "default", "m5.large", "2a"]),
            (Form::Taint, &["experimental:NoSchedule", ":NoExecute", "true:PreferNoSchedule"]),
        ] {
            for text in texts {
                assert!(form.fits(text), "{form:?} {text:?}");
            }
        }
    }

    #[test]
    fn what_could_leave_its_place_fits_no_form() {
        for text in ["a\0b", "a\u{1b}[2Jb", "a\rb"] {
            assert_eq!(ALL.into_iter().find(|form| form.fits(text)), None, "{text:?}");
        }
        for (form, text) in [
            (Form::Line, "a\nb"),
            (Form::Module, "a.b"),
            (Form::Sysctl, "net..a"),
            (Form::Sysctl, "../../etc"),
            (Form::Sysctl, "a = 1"),
            (Form::HostName, "-a"),
            (Form::HostName, "a..b"),
            (Form::HostName, "a_b"),
            (Form::Address, "10.0.0"),
            (Form::Interface, "a/b"),
            (Form::Interface, "sixteen-letters0"),
            (Form::Mac, "52:54:00:12:34"),
            (Form::Prefix, "10.0.0.2"),
            (Form::Prefix, "10.0.0.2/33"),
            (Form::Prefix, "fd00::2/129"),
            (Form::Prefix, "10.0.0.2/+8"),
            (Form::Network, "a\" b"),
            (Form::Registry, "a/b"),
            (Form::Registry, "a:0"),
            (Form::Url, "ftp://a"),
            (Form::Url, "https://a b"),
            (Form::Url, "https://"),
            (Form::Time, "24:00"),
            (Form::Time, "2:30"),
            (Form::Time, "02:60"),
            (Form::Version, "1-2"),
            (Form::Name, "../a"),
            (Form::Name, "a b"),
            (Form::Image, "a b"),
            (Form::Image, "--help"),
            (Form::Base64(64), "a"),
            (Form::Base64(64), "===="),
            (Form::Base64(3), "aGVsbG8K"),
            (Form::Plain, "a\"b"),
            (Form::Plain, "$HOME"),
            (Form::Quantity, "1.5.2Gi"),
            (Form::Quantity, "-1"),
            (Form::Quantity, "1 Gi"),
            (Form::Quantity, "Mi"),
            (Form::Threshold, "10%%"),
            (Form::Duration, "5"),
            (Form::Duration, "m"),
            (Form::Duration, "1m30"),
            (Form::Label, "a/b/c"),
            (Form::Label, "a b"),
            (Form::Label, "-a"),
            (Form::LabelValue, "a,b=c"),
            (Form::LabelValue, "a-"),
            (Form::Taint, "a"),
            (Form::Taint, "a:Never"),
            (Form::Cluster, "a b"),
            (Form::Token, "a b"),
            (Form::Provider, "aws:///a b"),
            (Form::ImagePattern, "a\"b"),
            (Form::OneOf(&["a", "b"]), "c"),
        ] {
            assert!(!form.fits(text), "{form:?} {text:?}");
        }
    }
}
