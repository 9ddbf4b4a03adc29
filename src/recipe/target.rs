//! Targets: where images are published, and for whom.

use super::{
    Bytes, Code, Name, Span, Spanned,
    decode::{Cursor, Reader, Seen},
    parse::Node,
    word::{AwsWord, TargetWord, TopWord},
};
use crate::content::aws_name::{arn, is_account, is_arn_of, is_region, parameter_mistake};

/// The longest time limit that is read, in days: AWS takes ten years.
const MAX_DAYS: u16 = 3650;

/// Where images are published, and for whom: `target "stage" { aws { … } }`. `brc publish ami … --target stage` does it; a
/// variant does not know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, `[a-z0-9-]{1,32}`.
    pub name: Spanned<Name>,
    /// `aws { … }`: as an image of EC2 (AMI); required.
    pub aws: AwsTarget,
    /// The whole node.
    pub span: Span,
}

/// A target at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsTarget {
    /// `regions "eu-central-1" "us-east-1"`: the disk is sent to the first, the others get copies; required.
    pub regions: Vec<Spanned<String>>,
    /// `role "arn:aws:iam::111122223333:role/publisher"`: the role that publishes, taken with the credentials that are
    /// found, or with the token of a job of CI; these credentials themselves publish when it is not said.
    pub role: Option<Spanned<String>>,
    /// `share account="111122223333"`: who may start the AMI; an account may also copy it.
    pub share: Vec<Share>,
    /// `encrypt kms-key="alias/images"`: the snapshots are encrypted; as the account does it when it is not said.
    pub encrypt: Option<Encrypt>,
    /// `ssm "/acme/{variant}/{architecture}/{version}/image_id" …`: parameters that name the AMI in each region, the same
    /// with `latest` for the version too; `{architecture}` is EC2's word, `x86_64` or `arm64`.
    pub ssm: Vec<Spanned<String>>,
    /// `hop-limit 2`: how many hops answers of the metadata service go, 1 to 64. An AMI cannot carry it: `brc test ami`
    /// starts instances with it, and whoever else starts them has to say it; 2 when nobody does.
    pub hop_limit: Option<Spanned<u16>>,
    /// `keep 5`: so many AMIs of each variant and architecture `brc ami prune --target` leaves; 3 when it is not said.
    pub keep: Option<Spanned<u16>>,
    /// `deprecate-after days=90`: from then on the AMI is shown to nobody but its owner; who knows it still starts it.
    pub deprecate_after: Option<DeprecateAfter>,
    /// `data-volume size="80GiB"`: the size of the second disk of a variant with `data disk="separate"`.
    pub data_volume: Option<DataVolume>,
    /// `instance "m7i.large" subnet="subnet-0123456789abcdef0"`: what `brc test ami` starts.
    pub instance: Option<Instance>,
}

/// Who may start an image: one property, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// `account="111122223333"`: an account, twelve digits.
    pub account: Option<Spanned<String>>,
    /// `organization="arn:aws:organizations::…:organization/o-…"`: every account of an organization.
    pub organization: Option<Spanned<String>>,
    /// `unit="arn:aws:organizations::…:ou/o-…/ou-…"`: every account of an organizational unit.
    pub unit: Option<Spanned<String>>,
}

/// How snapshots are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypt {
    /// `kms-key="alias/images"`: with this key, by its alias, which each region has of its own, or by its ARN; with the
    /// account's key for EBS when it is not said, which nobody else can use.
    pub kms_key: Option<Spanned<String>>,
    /// The node.
    pub span: Span,
}

/// When images are deprecated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeprecateAfter {
    /// `days=90`: so long after they were published, 1 to 3650; required.
    pub days: Spanned<u16>,
}

/// The second disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataVolume {
    /// `size="80GiB"`: whole GiB up to 16 TiB; required.
    pub size: Spanned<Bytes>,
}

/// An instance that is started to try an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its type.
    pub kind: Spanned<String>,
    /// `subnet="subnet-…"`: where it stands; in the account's default network when it is not said.
    pub subnet: Option<Spanned<String>>,
    /// `security-group="sg-…"`: what it may be asked; the network's default group when it is not said.
    pub security_group: Option<Spanned<String>>,
    /// `profile="node"`: the instance profile, by name, whose role it has; none when it is not said.
    pub profile: Option<Spanned<String>>,
}

impl Target {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, TopWord::Target);
        let name = cursor.text(reader, "a name").and_then(|name| target_name(reader, name));
        let mut aws = None;
        let mut seen = Seen::new();
        let block = cursor.block();
        for inner in block {
            let Some(word @ TargetWord::Aws) = reader.word(inner, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, inner, word);
            aws = AwsTarget::read(reader, &mut inner);
            inner.finish(reader);
        }
        if block.is_empty() {
            let message = "`target` does not say where images are published";
            reader.error(Code::MissingNode, node.name_span, message, "write `{ aws { regions \"…\" } }`");
        }
        cursor.finish(reader);
        Some(Target { name: name?, aws: aws?, span: node.span })
    }
}

fn target_name(reader: &mut Reader<'_>, name: Spanned<String>) -> Option<Spanned<Name>> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
        let message = format!("`{}` cannot be the name of a target", name.value);
        reader.error(Code::BadName, name.span, message, "names of targets are `[a-z0-9-]{1,32}`");
        return None;
    }
    Some(name.map(|name| Name::new(reader.set, name)))
}

impl AwsTarget {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut aws = AwsTarget {
            regions: Vec::new(),
            role: None,
            share: Vec::new(),
            encrypt: None,
            ssm: Vec::new(),
            hop_limit: None,
            keep: None,
            deprecate_after: None,
            data_volume: None,
            instance: None,
        };
        let mut seen = Seen::new();
        for node in cursor.block() {
            let Some(word) = reader.word(node, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, node, word);
            aws.read_node(reader, &mut inner, word);
            inner.finish(reader);
        }
        if !seen.contains_key("regions") {
            let message = "`aws` does not say in which regions";
            reader.error(Code::MissingNode, cursor.place(), message, "write `regions \"eu-central-1\"`");
        }
        aws.check_key(reader);
        (!aws.regions.is_empty()).then_some(aws)
    }

    fn read_node(&mut self, reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, word: AwsWord) {
        match word {
            AwsWord::Regions => self.read_regions(reader, cursor),
            AwsWord::Role => {
                let is_role = |text: &str| is_arn_of(text, "iam", "role");
                let role = cursor.text(reader, "the ARN of a role");
                let example = "such as `arn:aws:iam::111122223333:role/publisher`";
                self.role = role.and_then(|role| checked(reader, role, is_role, "the ARN of a role", example));
            }
            AwsWord::Share => self.share.extend(Share::read(reader, cursor)),
            AwsWord::Encrypt => {
                let is_key = |text: &str| {
                    text.strip_prefix("alias/").is_some_and(is_alias)
                        || is_arn_of(text, "kms", "key")
                        || is_arn_of(text, "kms", "alias")
                };
                let key = cursor.text_property(reader, "kms-key");
                let example = "such as `alias/images`, or `arn:aws:kms:REGION:ACCOUNT:key/…`";
                let kms_key = key.and_then(|key| checked(reader, key, is_key, "a key of KMS", example));
                self.encrypt = Some(Encrypt { kms_key, span: cursor.place() });
            }
            AwsWord::Ssm => {
                let patterns = cursor.texts(reader, "the name of a parameter");
                self.ssm.extend(patterns.into_iter().filter_map(|pattern| parameter(reader, pattern)));
            }
            AwsWord::HopLimit => self.hop_limit = cursor.number(reader, "a hop limit", 1..=64),
            AwsWord::Keep => self.keep = cursor.number(reader, "the number of AMIs that are kept", 1..=1000),
            AwsWord::DeprecateAfter => {
                let days = cursor.number_property(reader, "days", "a number of days", 1..=MAX_DAYS);
                self.deprecate_after = days.map(|days| DeprecateAfter { days });
            }
            AwsWord::DataVolume => {
                let size = cursor.required_property(reader, "size");
                let size = size.and_then(|text| Bytes::read_volume(reader, text));
                self.data_volume = size.map(|size| DataVolume { size });
            }
            AwsWord::Instance => self.instance = Instance::read(reader, cursor),
        }
    }

    fn read_regions(&mut self, reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) {
        for text in cursor.texts(reader, "a region") {
            let region = checked(reader, text, is_region, "a region", "such as `eu-central-1`");
            let Some(region) = region else { continue };
            if self.regions.iter().any(|earlier| earlier.value == region.value) {
                let message = format!("`{}` stands here twice", region.value);
                reader.error(Code::BadValue, region.span, message, "leave one out");
            } else {
                self.regions.push(region);
            }
        }
    }

    /// What a key, regions and accounts cannot be together.
    fn check_key(&self, reader: &mut Reader<'_>) {
        let Some(encrypt) = &self.encrypt else { return };
        let Some(key) = &encrypt.kms_key else {
            if !self.share.is_empty() {
                let message = "nobody else can start what the account's own key for EBS encrypts, and it is shared";
                reader.error(Code::BadValue, encrypt.span, message, "name a key: `kms-key=\"alias/…\"`");
            }
            return;
        };
        let Some([_, of, ..]) = arn(key) else { return };
        if let Some(other) = self.regions.iter().find(|region| region.value != of) {
            let message = format!("a key of `{of}` encrypts nothing in `{}`", other.value);
            let help = "name it by an alias that each region has: `kms-key=\"alias/…\"`";
            reader.error(Code::BadValue, key.span, message, help);
        }
    }
}

impl Share {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let has_any = cursor.node.entries.iter().any(|entry| entry.name.is_some());
        if !has_any {
            let message = "`share` does not say with whom";
            let help = "write `account=\"111122223333\"`, `organization=\"arn:…\"` or `unit=\"arn:…\"`";
            reader.error(Code::MissingProperty, cursor.place(), message, help);
        }
        let account = cursor.text_property(reader, "account");
        let account = account.and_then(|text| checked(reader, text, is_account, "an account", "it has twelve digits"));
        let mut of = |name, kind: &str, what: &str| {
            let found = cursor.text_property(reader, name)?;
            let example = format!("such as `arn:aws:organizations::111122223333:{kind}/o-…`");
            checked(reader, found, |text| is_arn_of(text, "organizations", kind), what, &example)
        };
        let organization = of("organization", "organization", "the ARN of an organization");
        let unit = of("unit", "ou", "the ARN of an organizational unit");
        let is_any = account.is_some() || organization.is_some() || unit.is_some();
        is_any.then_some(Share { account, organization, unit })
    }
}

impl Instance {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let is_kind = |text: &str| {
            let is_word = |word: &str| {
                let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                !word.is_empty() && word.bytes().all(fits)
            };
            text.len() <= 64 && text.split_once('.').is_some_and(|(family, size)| is_word(family) && is_word(size))
        };
        let kind = cursor.text(reader, "a type of instances");
        let kind = kind.and_then(|text| checked(reader, text, is_kind, "a type of instances", "such as `m7i.large`"));
        let mut of = |name, prefix: &'static str, what: &str| {
            let found = cursor.text_property(reader, name)?;
            let is_id = |text: &str| {
                let digits = text.strip_prefix(prefix).unwrap_or_default();
                (8..=17).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            checked(reader, found, is_id, what, &format!("such as `{prefix}0123456789abcdef0`"))
        };
        let subnet = of("subnet", "subnet-", "a subnet");
        let security_group = of("security-group", "sg-", "a security group");
        let is_profile = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
            (1..=128).contains(&text.len()) && text.bytes().all(fits)
        };
        let profile = cursor.text_property(reader, "profile");
        let profile =
            profile.and_then(|text| checked(reader, text, is_profile, "an instance profile", "write its name, no ARN"));
        Some(Instance { kind: kind?, subnet, security_group, profile })
    }
}

fn is_alias(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    (1..=250).contains(&name.len()) && name.bytes().all(fits)
}

fn parameter(reader: &mut Reader<'_>, pattern: Spanned<String>) -> Option<Spanned<String>> {
    let braces = ["{variant}", "{architecture}", "{arch}", "{version}"];
    let filled = braces.iter().fold(pattern.value.clone(), |text, brace| text.replace(brace, "x"));
    let Some(expected) = parameter_mistake(&filled) else { return Some(pattern) };
    let message = format!("`{}` cannot be the name of a parameter", pattern.value);
    reader.error(Code::BadValue, pattern.span, message, expected);
    None
}

/// The text, when it is what is wanted; reports one that is not.
fn checked(
    reader: &mut Reader<'_>,
    text: Spanned<String>,
    is_right: impl Fn(&str) -> bool,
    what: &str,
    example: &str,
) -> Option<Spanned<String>> {
    if is_right(&text) {
        return Some(text);
    }
    reader.error(Code::BadValue, text.span, format!("`{}` is not {what}", text.value), example);
    None
}
