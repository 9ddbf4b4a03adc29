//! What is published, under which name, where, and for whom.

use brc_contract::Architecture;

use crate::content::{
    Sha256,
    aws_name::{is_account, is_arn_of, parameter_mistake},
};

/// The key of the tag with the digest of the disk; what has it is of brc.
pub(super) const SHA256_TAG: &str = "brc:image-sha256";
pub(super) const VARIANT_TAG: &str = "brc:variant";
pub(super) const VERSION_TAG: &str = "brc:version";
pub(super) const ARCHITECTURE_TAG: &str = "brc:architecture";
/// The key of the tag that a snapshot of a disk for data has.
pub(super) const DATA_TAG: &str = "brc:data";
/// The key of the tag with the snapshot whose blocks another one began with.
pub(super) const PARENT_TAG: &str = "brc:parent";
/// What `PARENT_TAG` says where there is none.
pub(super) const NO_PARENT: &str = "none";
/// What the keys of the tags begin with that name the targets of recipes which have an image.
pub(super) const TARGET_TAG: &str = "brc:target:";
/// How many characters of the digest are in a name.
const SHORT: usize = 12;

/// The volume of an instance that a snapshot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Volume {
    System,
    Data,
}

/// What a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The variant.
    pub variant: String,
    /// The version.
    pub version: String,
    /// The architecture.
    pub architecture: Architecture,
}

/// What is done with a disk.
#[derive(Debug, Clone)]
pub struct AmiOrder {
    /// What it is.
    pub target: Target,
    /// The name of the image.
    pub name: String,
    /// The snapshot that only differences are sent to.
    pub parent: ParentChoice,
    /// The size of the second volume in GiB, for an image whose data lies on one.
    pub data_gib: Option<u64>,
    /// Where it goes and for whom.
    pub place: Placement,
    /// How many blocks are sent at once.
    pub connections: usize,
}

/// Where an image goes and for whom.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// The target of the recipes that says it, which images are tagged with.
    pub label: Option<String>,
    /// The regions that it is copied to.
    pub copies: Vec<String>,
    /// How snapshots are encrypted; none where that is the account's matter.
    pub encryption: Option<Encryption>,
    /// Who may start it.
    pub share: Vec<Recipient>,
    /// The parameters that name it, filled.
    pub parameters: Vec<String>,
    /// After so many days it is deprecated.
    pub deprecate_days: Option<u16>,
}

impl Placement {
    /// The accounts that it is shared with.
    pub(super) fn accounts(&self) -> Vec<&str> {
        let accounts = self.share.iter().filter_map(|recipient| match recipient {
            Recipient::Account(account) => Some(account.as_str()),
            Recipient::Organization(_) | Recipient::Unit(_) => None,
        });
        accounts.collect()
    }

    /// The key of the tag of its target.
    pub(super) fn tag(&self) -> Option<String> {
        self.label.as_ref().map(|label| format!("{TARGET_TAG}{label}"))
    }
}

/// The snapshot that a new one begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentChoice {
    /// The newest of the same variant and architecture whose blocks are known here.
    Newest,
    /// This one.
    Named(String),
    /// None: every block is sent.
    None,
}

/// How a snapshot is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The ARN of the key or its alias (`alias/images`), which each region has of its own; none is the account's for EBS.
    pub key: Option<String>,
}

/// Who may start an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// An account.
    Account(String),
    /// An organization.
    Organization(String),
    /// A part of an organization.
    Unit(String),
}

impl Target {
    /// The architecture as EC2 calls it.
    pub(super) fn ec2_architecture(&self) -> &'static str {
        match self.architecture {
            Architecture::X86_64 => "x86_64",
            Architecture::Aarch64 => "arm64",
        }
    }

    /// The tags of everything that is made of a disk.
    pub(super) fn tags(&self, sha256: Sha256, name: &str) -> Vec<(String, String)> {
        let pairs = [
            ("Name", name.to_owned()),
            (SHA256_TAG, sha256.to_string()),
            (VARIANT_TAG, self.variant.clone()),
            (VERSION_TAG, self.version.clone()),
            (ARCHITECTURE_TAG, self.architecture.name().to_owned()),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }
}

/// The name that an image has where none is given: `brc-aws-k8s-1.37-x86_64-v1.2.0-5f70bf18a086`.
///
/// Karpenter reads the version between `-v` and `-`; the digest at the end makes another disk another name.
pub fn ami_name(target: &Target, sha256: Sha256) -> String {
    let digest: String = sha256.to_string().chars().take(SHORT).collect();
    let Target { variant, version, architecture } = target;
    let name = format!("brc-{variant}-{}-v{version}-{digest}", architecture.name());
    // What versions of brc may have and names of EC2 may not: `~`, `+`, `^`.
    name.chars().map(|letter| if is_name_letter(letter) { letter } else { '-' }).collect()
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || " ()[]./-'@_".contains(letter)
}

/// Refuses what EC2 would not take as a name.
///
/// # Errors
/// What it has to be.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    match name.len() {
        3..=128 if name.chars().all(is_name_letter) => Ok(()),
        _ => Err("expected 3 to 128 of letters, digits, space and ()[]./-'@_"),
    }
}

/// Reads who an image is shared with: an account of twelve digits, or the ARN of an organization or of a part of one.
///
/// # Errors
/// What it has to be.
pub fn recipient(text: &str) -> Result<Recipient, &'static str> {
    const EXPECTED: &str = "expected an account of twelve digits, or the ARN of an organization or of a unit of one";
    if is_account(text) {
        return Ok(Recipient::Account(text.to_owned()));
    }
    match text {
        _ if is_arn_of(text, "organizations", "organization") => Ok(Recipient::Organization(text.to_owned())),
        _ if is_arn_of(text, "organizations", "ou") => Ok(Recipient::Unit(text.to_owned())),
        _ => Err(EXPECTED),
    }
}

/// Fills the pattern of a parameter's name: `{variant}`, `{arch}` (as EC2 calls it), `{version}`.
///
/// # Errors
/// What a name has to be.
pub fn fill(pattern: &str, target: &Target) -> Result<String, &'static str> {
    let name = pattern
        .replace("{variant}", &target.variant)
        .replace("{arch}", target.ec2_architecture())
        .replace("{architecture}", target.ec2_architecture())
        .replace("{version}", &target.version.replace(['~', '+', '^'], "-"));
    parameter_mistake(&name).map_or(Ok(()), Err)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(version: &str) -> Target {
        Target { variant: "aws-k8s-1.37".into(), version: version.into(), architecture: Architecture::Aarch64 }
    }

    #[test]
    fn a_name_has_the_version_where_karpenter_looks_for_it() {
        let sha256 = Sha256::of(b"disk");
        let name = ami_name(&target("1.2.0"), sha256);
        assert_eq!(name, format!("brc-aws-k8s-1.37-aarch64-v1.2.0-{}", sha256.short()));
        let name = ami_name(&target("1.2.0~rc1+2"), sha256);
        assert!(name.contains("-v1.2.0-rc1-2-") && check_name(&name).is_ok(), "{name}");
        for bad in ["", "ab", "a*b", "ä-b-c", &"x".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_parameter_has_the_shape_that_an_alias_reads() {
        let filled = fill("/brc/{variant}/{arch}/{version}/image_id", &target("1.2.0"));
        assert_eq!(filled.unwrap(), "/brc/aws-k8s-1.37/arm64/1.2.0/image_id");
        for bad in ["", "/", "brc/x", "/aws/service/x", "/ssm", "/brc/{name}", "/brc/ x", "/brc/"] {
            assert!(fill(bad, &target("1")).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_an_image_is_shared_with_is_an_account_or_an_organization() {
        let organization = "arn:aws:organizations::111122223333:organization/o-abc";
        assert_eq!(recipient(organization), Ok(Recipient::Organization(organization.to_owned())));
        let unit = "arn:aws:organizations::111122223333:ou/o-abc/ou-1";
        assert_eq!(recipient(unit), Ok(Recipient::Unit(unit.to_owned())));
        assert_eq!(recipient("111122223333"), Ok(Recipient::Account("111122223333".to_owned())));
        for bad in ["all", "11112222333", "arn:aws:iam::111122223333:role/x", "", "o-abc"] {
            assert!(recipient(bad).is_err(), "{bad}");
        }
    }
}
