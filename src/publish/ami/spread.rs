//! An image elsewhere: in other regions, for other accounts, under names that others look up.

use serde_json::{Value, json};

use super::{failure::AmiError, order::Recipient, register::Registration};
use crate::publish::aws::{Aws, AwsError, Call, Query, Service};

/// Copies an image of the aws' own region to another; its name there.
pub(super) fn copy(
    aws: &Aws<'_>,
    image: &str,
    region: &str,
    registration: &Registration<'_>,
) -> Result<String, AwsError> {
    let tags = registration.target.tags(registration.sha256, registration.name);
    let token = format!("brc-{image}-{region}");
    let call = Query::new(Service::Ec2, "CopyImage", image)
        .with("Name", registration.name)
        .with("Description", registration.description())
        .with("SourceImageId", image)
        .with("SourceRegion", aws.region())
        .with("ClientToken", token)
        .tags(1, "image", &tags)
        .tags(2, "snapshot", &tags)
        .call();
    aws.ask(region, &call)?.xml(|root| root.text("imageId").map(str::to_owned))
}

/// Lets others start an image.
pub(super) fn share(aws: &Aws<'_>, region: &str, image: &str, with: &[Recipient]) -> Result<(), AwsError> {
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

/// Has a parameter name an image; whether that changed it.
pub(super) fn name(aws: &Aws<'_>, region: &str, parameter: &str, image: &str) -> Result<bool, AmiError> {
    let old = match aws.ask(region, &Call::ssm("GetParameter", parameter, &json!({ "Name": parameter }))) {
        Ok(answer) => answer.json()?.pointer("/Parameter/Value").and_then(Value::as_str).map(str::to_owned),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    if old.as_deref() == Some(image) {
        return Ok(false);
    }
    let body = json!({
        "Name": parameter,
        "Value": image,
        "Type": "String",
        "DataType": "aws:ec2:image",
        "Overwrite": true,
    });
    aws.ask(region, &Call::ssm("PutParameter", parameter, &body))?;
    Ok(true)
}
