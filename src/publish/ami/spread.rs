//! An image elsewhere: in other regions, for other accounts, under names that others look up.

use serde_json::{Value, json};

use super::{
    existing::ExistingImage,
    failure::AmiError,
    order::{Placement, Recipient},
    register::Registration,
    step::Step,
};
use crate::{
    content::{DAY_SECONDS, date_text},
    publish::aws::{Aws, AwsError, Call, Query, Service},
};

/// An image that is copied.
#[derive(Clone, Copy)]
pub(super) struct Original<'a> {
    /// Its name at AWS.
    pub image: &'a str,
    /// Its region.
    pub region: &'a str,
}

/// Copies an image to a region; its name there.
pub(super) fn copy(
    aws: &Aws<'_>,
    original: &Original<'_>,
    region: &str,
    registration: &Registration<'_>,
) -> Result<String, AwsError> {
    let Original { image, region: from } = original;
    let of_snapshot = registration.target.tags(registration.sha256, registration.name);
    let mut query = Query::new(Service::Ec2, "CopyImage", image)
        .with("Name", registration.name)
        .with("Description", registration.description())
        .with("SourceImageId", image)
        .with("SourceRegion", from)
        .with("ClientToken", format!("brc-{image}-{region}"));
    if let Some(encryption) = &registration.place.encryption {
        query = query.with("Encrypted", "true");
        if let Some(key) = &encryption.key {
            query = query.with("KmsKeyId", key);
        }
    }
    let query = query.tags(1, "image", &registration.tags()).tags(2, "snapshot", &of_snapshot);
    aws.ask(region, &query.call())?.xml(|root| root.text("imageId").map(str::to_owned))
}

/// Does with an image what is said of all images of its order; the parameters that name it now and did not before.
pub(super) fn place(
    aws: &Aws<'_>,
    region: &str,
    image: &ExistingImage,
    place: &Placement,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<Vec<String>, AmiError> {
    let (id, at) = (|| image.id.clone(), || region.to_owned());
    if !place.share.is_empty() {
        share(aws, region, &image.id, &place.share)?;
        let accounts = place.accounts();
        for snapshot in image.snapshots.iter().filter(|_| !accounts.is_empty()) {
            share_snapshot(aws, region, snapshot, &accounts)?;
        }
        tell(Step::Shared { image: id(), region: at() });
    }
    if let Some(days) = place.deprecate_days.filter(|_| image.deprecated.is_empty()) {
        let from = deprecate(aws, region, &image.id, days)?;
        tell(Step::Deprecated { image: id(), region: at(), from });
    }
    if let (Some(label), Some(key)) = (&place.label, place.tag())
        && !image.is_of(label)
    {
        let query = Query::new(Service::Ec2, "CreateTags", &image.id).with("ResourceId.1", &image.id);
        aws.ask(region, &query.with("Tag.1.Key", key).with("Tag.1.Value", "").call().wait_until_known())?;
    }
    let mut named = Vec::new();
    for parameter in &place.parameters {
        if let Naming::Now { instead } = name(aws, region, parameter, &image.id)? {
            named.push(parameter.clone());
            tell(Step::Named { parameter: parameter.clone(), image: id(), region: at(), instead });
        }
    }
    Ok(named)
}

/// Has an image deprecated so many days from now; when that is.
fn deprecate(aws: &Aws<'_>, region: &str, image: &str, days: u16) -> Result<String, AwsError> {
    // AWS rounds to minutes, and takes none that is past.
    let from = date_text((aws.now() + u64::from(days) * DAY_SECONDS).div_ceil(60) * 60);
    let query = Query::new(Service::Ec2, "EnableImageDeprecation", image).with("ImageId", image);
    aws.ask(region, &query.with("DeprecateAt", &from).call().wait_until_known())?;
    Ok(from)
}

/// Lets accounts copy an image: to start it they need no right to its snapshot. Organizations cannot have one.
fn share_snapshot(aws: &Aws<'_>, region: &str, snapshot: &str, accounts: &[&str]) -> Result<(), AwsError> {
    let mut query = Query::new(Service::Ec2, "ModifySnapshotAttribute", snapshot).with("SnapshotId", snapshot);
    for (number, account) in (1..).zip(accounts) {
        query = query.with(&format!("CreateVolumePermission.Add.{number}.UserId"), account);
    }
    aws.ask(region, &query.call().wait_until_known()).map(drop)
}

/// Lets others start an image.
fn share(aws: &Aws<'_>, region: &str, image: &str, with: &[Recipient]) -> Result<(), AwsError> {
    let mut query = Query::new(Service::Ec2, "ModifyImageAttribute", image).with("ImageId", image);
    for (number, recipient) in (1..).zip(with) {
        let (field, value) = match recipient {
            Recipient::Account(account) => ("UserId", account),
            Recipient::Organization(arn) => ("OrganizationArn", arn),
            Recipient::Unit(arn) => ("OrganizationalUnitArn", arn),
        };
        query = query.with(&format!("LaunchPermission.Add.{number}.{field}"), value);
    }
    aws.ask(region, &query.call().wait_until_known()).map(drop)
}

/// Whether a parameter names an image.
enum Naming {
    /// It did before.
    Before,
    /// It does now, and another one before.
    Now { instead: Option<String> },
}

/// Has a parameter name an image.
fn name(aws: &Aws<'_>, region: &str, parameter: &str, image: &str) -> Result<Naming, AmiError> {
    let old = match aws.ask(region, &Call::ssm("GetParameter", parameter, &json!({ "Name": parameter }))) {
        Ok(answer) => answer.json()?.pointer("/Parameter/Value").and_then(Value::as_str).map(str::to_owned),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    if old.as_deref() == Some(image) {
        return Ok(Naming::Before);
    }
    let body = json!({
        "Name": parameter,
        "Value": image,
        "Type": "String",
        "DataType": "aws:ec2:image",
        "Overwrite": true,
    });
    aws.ask(region, &Call::ssm("PutParameter", parameter, &body))?;
    Ok(Naming::Now { instead: old })
}
