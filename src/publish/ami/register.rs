//! Snapshots and images of EC2: what is registered, and when it can be used.

use super::{
    existing::{ExistingImage, image_of_id, image_of_name, read_snapshot},
    failure::AmiError,
    order::{Placement, Target},
    snapshot::State,
};
use crate::{
    content::Sha256,
    publish::aws::{Aws, AwsError, Call, Query, Service},
};

/// The device of the root: the one that Karpenter and managed node groups map for systems of this kind.
const ROOT_DEVICE: &str = "/dev/xvda";
/// The device of a volume for data, which Karpenter maps too.
const DATA_DEVICE: &str = "/dev/xvdb";
/// The root of an image whose data lies elsewhere is as large as Karpenter makes it.
const SYSTEM_GIB: u64 = 4;

/// An image that is registered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registration<'a> {
    pub target: &'a Target,
    pub name: &'a str,
    pub sha256: Sha256,
    pub snapshot: &'a str,
    pub gib: u64,
    pub data_gib: Option<u64>,
    /// What the volume for data begins with.
    pub data_snapshot: Option<&'a str>,
    pub place: &'a Placement,
}

impl Registration<'_> {
    /// The request. Its architecture is always said: EC2 takes a silent one for i386.
    fn call(&self) -> Call {
        let device = |field: &str| format!("BlockDeviceMapping.1.{field}");
        let query = Query::new(Service::Ec2, "RegisterImage", self.name)
            .with("Name", self.name)
            .with("Description", self.description())
            .with("Architecture", self.target.ec2_architecture())
            .with("VirtualizationType", "hvm")
            .with("BootMode", "uefi")
            .with("TpmSupport", "v2.0")
            .with("ImdsSupport", "v2.0")
            .with("EnaSupport", "true")
            .with("SriovNetSupport", "simple")
            .with("RootDeviceName", ROOT_DEVICE)
            .with(&device("DeviceName"), ROOT_DEVICE)
            .with(&device("Ebs.SnapshotId"), self.snapshot)
            .with(&device("Ebs.VolumeType"), "gp3")
            .with(&device("Ebs.VolumeSize"), self.data_gib.map_or(self.gib, |_| self.gib.max(SYSTEM_GIB)))
            .with(&device("Ebs.DeleteOnTermination"), "true");
        self.with_data(query).tags(1, "image", &self.tags()).call()
    }

    /// The tags of the image, that of its target among them.
    pub fn tags(&self) -> Vec<(String, String)> {
        let mut tags = self.target.tags(self.sha256, self.name);
        tags.extend(self.place.tag().map(|key| (key, String::new())));
        tags
    }

    /// With the volume for data; an empty one may be encrypted here, and one of a snapshot is as the snapshot is.
    fn with_data(&self, query: Query) -> Query {
        let Some(gib) = self.data_gib else { return query };
        let device = |field: &str| format!("BlockDeviceMapping.2.{field}");
        let query = query
            .with(&device("DeviceName"), DATA_DEVICE)
            .with(&device("Ebs.VolumeType"), "gp3")
            .with(&device("Ebs.VolumeSize"), gib)
            .with(&device("Ebs.DeleteOnTermination"), "true");
        match self.data_snapshot {
            Some(snapshot) => query.with(&device("Ebs.SnapshotId"), snapshot),
            None if self.place.encryption.is_some() => query.with(&device("Ebs.Encrypted"), "true"),
            None => query,
        }
    }

    /// What stands in lists.
    pub fn description(&self) -> String {
        let Target { variant, version, architecture } = self.target;
        format!("{variant} {version} for {}, composed by brc", architecture.name())
    }

    /// Registers it; its name at AWS.
    pub fn run(&self, aws: &Aws<'_>) -> Result<String, AwsError> {
        match aws.ask(aws.region(), &self.call().wait_until_known()) {
            Ok(answer) => answer.xml(|root| root.text("imageId").map(str::to_owned)),
            // A connection that was cut behind the request leaves an image whose name was not told.
            Err(error) => match image_of_name(aws, aws.region(), self.name) {
                Ok(Some(image)) if image.sha256() == self.sha256.to_string() => Ok(image.id),
                _ => Err(error),
            },
        }
    }
}

/// Waits until a snapshot is whole.
pub(super) fn wait_for_snapshot(aws: &Aws<'_>, snapshot: &str) -> Result<(), AmiError> {
    let query = Query::new(Service::Ec2, "DescribeSnapshots", snapshot).with("SnapshotId.1", snapshot);
    let call = query.call().wait_until_known();
    for _ in 0..aws.patience().looks {
        let answer = aws.ask(aws.region(), &call)?;
        match answer.xml(|root| root.items("snapshotSet").find_map(read_snapshot))?.state() {
            State::Completed => return Ok(()),
            State::Failed => {
                let (what, region) = (snapshot.to_owned(), aws.region().to_owned());
                return Err(AmiError::Failed { what, region, reason: "its state is `error`".to_owned() });
            }
            State::Pending => aws.pause(aws.patience().look)?,
        }
    }
    Err(AmiError::Slow { what: snapshot.to_owned(), region: aws.region().to_owned() })
}

/// Waits until an image can be started.
pub(super) fn wait_for_image(aws: &Aws<'_>, region: &str, image: &str) -> Result<ExistingImage, AmiError> {
    for _ in 0..aws.patience().looks {
        let found = image_of_id(aws, region, image)?;
        match found.state.as_str() {
            "available" => return Ok(found),
            "pending" | "transient" => aws.pause(aws.patience().look)?,
            state => {
                let reason = format!("{state}: {}", found.reason);
                return Err(AmiError::Failed { what: image.to_owned(), region: region.to_owned(), reason });
            }
        }
    }
    Err(AmiError::Slow { what: image.to_owned(), region: region.to_owned() })
}

/// Whether the account encrypts every new snapshot of a region.
pub(super) fn encrypts_by_default(aws: &Aws<'_>) -> Result<bool, AwsError> {
    let call = Query::new(Service::Ec2, "GetEbsEncryptionByDefault", "").call();
    aws.ask(aws.region(), &call)?.xml(|root| root.text("ebsEncryptionByDefault").map(|text| text == "true"))
}

#[cfg(test)]
mod tests {
    use brc_contract::Architecture;

    use super::{super::order::Encryption, *};

    #[test]
    fn an_image_is_registered_like_this() {
        let target = Target {
            variant: "aws-k8s-1.37".to_owned(),
            version: "1.2.0".to_owned(),
            architecture: Architecture::Aarch64,
        };
        let place = Placement::default();
        let registration = Registration {
            target: &target,
            name: "brc-aws-k8s-1.37-aarch64-v1.2.0-000000000000",
            sha256: Sha256::from_bytes([0; 32]),
            snapshot: "snap-0123456789abcdef0",
            gib: 3,
            data_gib: None,
            data_snapshot: None,
            place: &place,
        };
        let lines = |registration: &Registration<'_>| {
            String::from_utf8(registration.call().body_for_tests()).unwrap().replace('&', "\n")
        };
        insta::assert_snapshot!(lines(&registration));
        let place = Placement {
            label: Some("stage".to_owned()),
            encryption: Some(Encryption { key: None }),
            ..Placement::default()
        };
        let registration = Registration { data_gib: Some(20), place: &place, ..registration };
        insta::assert_snapshot!("an_image_with_a_volume_for_data", lines(&registration));
        let registration = Registration { data_snapshot: Some("snap-00000000000000001"), ..registration };
        let said = lines(&registration);
        assert!(said.contains("BlockDeviceMapping.2.Ebs.SnapshotId=snap-00000000000000001"), "{said}");
        assert!(!said.contains("Encrypted"), "AWS refuses both at once: {said}");
    }
}
