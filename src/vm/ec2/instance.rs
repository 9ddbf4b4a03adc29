//! An instance of EC2 as it is described, by the metadata service and by the firmware's tables.
//!
//! All instances have the same ids: a kept machine knows itself again, and what is tried is the same every time.

use std::{collections::BTreeMap, time::Duration};

use brc_contract::Architecture;

use super::Fault;

/// The machine's identity. That it begins with `ec2`, and is the serial number as well, is how an instance is known.
pub(in crate::vm) const UUID: &str = "ec2b8f84-25e0-4f3b-907f-1a25a76f98e8";
/// The address of its network device.
pub(super) const MAC: &str = "0e:1a:25:a7:6f:98";

/// So many bytes of user data an instance can be given.
pub(in crate::vm) const USER_DATA_BYTES: usize = 16 << 10;

const ID: &str = "i-0b8f842520e04f3b9";
const IMAGE: &str = "ami-0b8f842520e04f3b9";
const REGION: &str = "eu-central-1";
const ZONE: &str = "eu-central-1a";
/// What `dhcpstart` of the network says.
const ADDRESS: &str = "169.254.0.15";
const BLOCK: &str = "169.254.0.0/16";
const HOST_NAME: &str = "ip-169-254-0-15.eu-central-1.compute.internal";

/// The role of the instance.
const ROLE: &str = "brc-boot";
/// What the role's keys look like. They open nothing: AWS never gave them to anybody.
const CREDENTIALS: &str = r#"{
  "Code" : "Success",
  "LastUpdated" : "2026-01-01T00:00:00Z",
  "Type" : "AWS-HMAC",
  "AccessKeyId" : "ASIABRCBOOTEXAMPLE00",
  "SecretAccessKey" : "brc-boot/secret/that/opens/nothing/0000",
  "Token" : "brc-boot-token",
  "Expiration" : "2099-12-31T23:59:59Z"
}"#;

/// An instance.
#[derive(Debug)]
pub(in crate::vm) struct Instance {
    /// Its architecture.
    pub architecture: Architecture,
    /// What it was given to start with.
    pub user_data: Option<Vec<u8>>,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

/// The kind of an instance.
fn kind(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "m7i.large",
        Architecture::Aarch64 => "m7g.large",
    }
}

/// What QEMU is told of the firmware's tables (SMBIOS): constants alone.
pub(in crate::vm) fn tables(architecture: Architecture) -> Vec<String> {
    let kind = kind(architecture);
    vec![
        "type=0,vendor=Amazon EC2,version=1.0,uefi=on".to_owned(),
        format!("type=1,manufacturer=Amazon EC2,product={kind},serial={UUID}"),
        format!("type=2,manufacturer=Amazon EC2,asset={ID}"),
        "type=3,manufacturer=Amazon EC2,asset=Amazon EC2".to_owned(),
    ]
}

impl Instance {
    /// The id that tokens are made of.
    pub(super) fn id(&self) -> &'static str {
        ID
    }

    /// Everything that the service has below a version, by path.
    pub(super) fn leaves(&self, elapsed: Duration) -> BTreeMap<String, Vec<u8>> {
        let mut leaves: BTreeMap<String, Vec<u8>> = self.metadata().into_iter().collect();
        leaves.insert("dynamic/instance-identity/document".to_owned(), self.document().into_bytes());
        leaves.insert(format!("meta-data/iam/security-credentials/{ROLE}"), CREDENTIALS.into());
        let has_nothing = self.fault.is_some_and(|fault| fault.has_nothing(elapsed));
        if let Some(user_data) = self.user_data.as_ref().filter(|_| !has_nothing) {
            leaves.insert("user-data".to_owned(), user_data.clone());
        }
        leaves
    }

    fn metadata(&self) -> impl IntoIterator<Item = (String, Vec<u8>)> {
        let plain = [
            ("ami-id", IMAGE),
            ("hostname", HOST_NAME),
            ("instance-id", ID),
            ("instance-type", kind(self.architecture)),
            ("local-hostname", HOST_NAME),
            ("local-ipv4", ADDRESS),
            ("mac", MAC),
            ("placement/availability-zone", ZONE),
            ("placement/region", REGION),
            ("services/domain", "amazonaws.com"),
            ("services/partition", "aws"),
        ];
        let device = [
            ("device-number", "0"),
            ("local-hostname", HOST_NAME),
            ("local-ipv4s", ADDRESS),
            ("mac", MAC),
            ("subnet-ipv4-cidr-block", BLOCK),
            ("vpc-ipv4-cidr-block", BLOCK),
        ];
        let plain = plain.map(|(name, value)| (format!("meta-data/{name}"), value.into()));
        let device =
            device.map(|(name, value)| (format!("meta-data/network/interfaces/macs/{MAC}/{name}"), value.into()));
        plain.into_iter().chain(device)
    }

    /// The instance identity document, version 2017-09-30. No word in it needs escaping.
    fn document(&self) -> String {
        let (kind, architecture) = (
            kind(self.architecture),
            match self.architecture {
                Architecture::X86_64 => "x86_64",
                Architecture::Aarch64 => "arm64",
            },
        );
        format!(
            r#"{{
  "accountId" : "123456789012",
  "architecture" : "{architecture}",
  "availabilityZone" : "{ZONE}",
  "billingProducts" : null,
  "devpayProductCodes" : null,
  "marketplaceProductCodes" : null,
  "imageId" : "{IMAGE}",
  "instanceId" : "{ID}",
  "instanceType" : "{kind}",
  "kernelId" : null,
  "pendingTime" : "2026-01-01T00:00:00Z",
  "privateIp" : "{ADDRESS}",
  "ramdiskId" : null,
  "region" : "{REGION}",
  "version" : "2017-09-30"
}}"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_json_and_says_what_the_leaves_say() {
        for (architecture, name, kind) in
            [(Architecture::X86_64, "x86_64", "m7i.large"), (Architecture::Aarch64, "arm64", "m7g.large")]
        {
            let instance = Instance { architecture, user_data: None, fault: None };
            let leaves = instance.leaves(Duration::ZERO);
            let leaf = |path: &str| String::from_utf8(leaves[path].clone()).unwrap();
            let document: serde_json::Value =
                serde_json::from_str(&leaf("dynamic/instance-identity/document")).unwrap();
            for (field, path) in [
                ("instanceId", "instance-id"),
                ("instanceType", "instance-type"),
                ("imageId", "ami-id"),
                ("privateIp", "local-ipv4"),
                ("region", "placement/region"),
                ("availabilityZone", "placement/availability-zone"),
            ] {
                assert_eq!(document[field], leaf(&format!("meta-data/{path}")), "{field}");
            }
            assert_eq!((&document["architecture"], &document["instanceType"]), (&name.into(), &kind.into()));
            assert_eq!((&document["version"], &document["accountId"]), (&"2017-09-30".into(), &"123456789012".into()));
            assert!(document["pendingTime"].is_string());
        }
    }

    #[test]
    fn the_tables_say_what_clouds_are_known_by() {
        // systemd looks for the vendor, cloud-init for a UUID that begins with `ec2` and is the serial number.
        assert!(UUID.starts_with("ec2") && UUID.len() == 36);
        let tables = tables(Architecture::X86_64);
        assert_eq!(tables[1], format!("type=1,manufacturer=Amazon EC2,product=m7i.large,serial={UUID}"));
        assert_eq!(tables[2], format!("type=2,manufacturer=Amazon EC2,asset={ID}"));
    }
}
