//! `brc publish`: finished images given to others.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use brc_contract::ImageName;

use crate::{
    cli::{
        CliError,
        arguments::{Publish, PublishAmi, PublishVerb},
        aws::told_ami,
        context::Context,
        image_file::must_be_image,
        json::{self, Object},
        output::{print, print_json, status},
    },
    content::{bytes, counted},
    inspect::{self, Expected, verify},
    publish::ami::{
        AmiOrder, Disk, Encryption, ParentChoice, Plan, Planned, Published, Step, Target, ami_name, check_name, fill,
        plan, publish, recipient,
    },
};

/// Karpenter gives the root device of such a system so much where nothing else is said.
const USUAL_GIB: u64 = 4;

/// Publishes an image.
pub fn run(context: &Context, arguments: &Publish) -> Result<ExitCode, CliError> {
    let PublishVerb::Ami(arguments) = &arguments.verb;
    must_be_image(&arguments.image)?;
    let (region, copies) = arguments.region.split_first().map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
    let aws = context.aws(&arguments.account, region.map(String::as_str))?;
    let target = target(arguments)?;
    let order = |disk: &Disk| order(arguments, target.clone(), copies, aws.region(), disk);
    let records = context.records()?;
    status(&format!("reading {}", arguments.image.display()));
    let disk = Disk::read(&arguments.image, context.cancelled()).map_err(|error| told_ami(error.into()))?;
    let order = order(&disk)?;
    if disk.gib() > USUAL_GIB {
        let gib = disk.gib();
        status(&format!(
            "note: the disk needs {gib} GiB and Karpenter gives {USUAL_GIB}: say so in `blockDeviceMappings`"
        ));
    }
    let told = Told::default();
    let tell = |step: Step| told.tell(&step);
    let found = plan(&aws, &disk, &order, &records, &tell).map_err(told_ami)?;
    if arguments.dry_run {
        show_plan(context, aws.region(), &disk, &order, &found);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(reason) = found.no_parent.filter(|_| found.image.is_none()) {
        status(&format!("sending all blocks: {reason}"));
    }
    let done = publish(&aws, &disk, &order, &found, &records, &tell).map_err(told_ami)?;
    show_published(context, &disk, &order, &done);
    Ok(ExitCode::SUCCESS)
}

/// What an image is: by its own words once it was found whole, else by the name of its file.
fn target(arguments: &PublishAmi) -> Result<Target, CliError> {
    let image = &arguments.image;
    let shown = image.display();
    if arguments.no_verify {
        let name = image.file_name().and_then(|name| name.to_str()).and_then(ImageName::of_file);
        let (name, architecture, _) = name.ok_or_else(|| {
            CliError::Usage(format!("`{shown}` does not say what it is: expected `VARIANT_VERSION_ARCHITECTURE.raw`"))
        })?;
        return Ok(Target { variant: name.variant, version: name.version, architecture });
    }
    status(&format!("verifying {shown}"));
    let report = verify(image, &Expected::default()).map_err(|error| CliError::Machine(error.into()))?;
    if let Some(finding) = report.findings.first() {
        let message = format!("`{shown}` is not as brc writes images: {}; see `brc verify`", finding.problem);
        return Err(CliError::Found(message));
    }
    let parts = inspect::parts(image).map_err(|error| CliError::Machine(error.into()))?;
    let parts = parts.ok_or_else(|| CliError::Found(format!("`{shown}` does not say what it is")))?;
    Ok(Target { variant: parts.name.variant, version: parts.name.version, architecture: parts.architecture })
}

fn order(
    arguments: &PublishAmi,
    target: Target,
    copies: &[String],
    home: &str,
    disk: &Disk,
) -> Result<AmiOrder, CliError> {
    let wrong = |option: &str, text: &str, problem: &str| CliError::Usage(format!("`{option} {text}`: {problem}"));
    let name = arguments.name.clone().unwrap_or_else(|| ami_name(&target, disk.sha256));
    check_name(&name).map_err(|problem| wrong("--name", &name, problem))?;
    let share = arguments.share.iter().map(|text| recipient(text).map_err(|problem| wrong("--share", text, problem)));
    let parameters =
        arguments.ssm.iter().map(|text| fill(text, &target).map_err(|problem| wrong("--ssm", text, problem)));
    let (share, parameters) = (share.collect::<Result<_, _>>()?, parameters.collect::<Result<_, _>>()?);
    let mut regions: Vec<String> = Vec::new();
    for region in copies.iter().filter(|region| *region != home) {
        crate::publish::aws::check_region(region).map_err(|error| CliError::usage(&error))?;
        if !regions.contains(region) {
            regions.push(region.clone());
        }
    }
    let is_encrypted = arguments.encrypt || arguments.kms_key.is_some();
    Ok(AmiOrder {
        name,
        target,
        parent: match &arguments.parent {
            Some(parent) => ParentChoice::Named(parent.clone()),
            None if arguments.no_parent => ParentChoice::None,
            None => ParentChoice::Newest,
        },
        encryption: is_encrypted.then(|| Encryption { key: arguments.kms_key.clone() }),
        copies: regions,
        share,
        parameters,
        connections: usize::from(arguments.connections),
    })
}

/// Says how far it is.
#[derive(Default)]
struct Told {
    tenth: AtomicUsize,
}

impl Told {
    fn tell(&self, step: &Step) {
        status(&match step {
            Step::ReadsBack { snapshot } => format!("reading back what {snapshot} holds"),
            Step::Begun { snapshot, sent: 0, of } => format!("sending {} to {snapshot}", counted(*of, "block")),
            Step::Begun { snapshot, sent, of } => format!("going on with {snapshot}: it has {sent} of {of} blocks"),
            Step::Sent { done, of } => {
                let tenth = done * 10 / (*of).max(1);
                if self.tenth.fetch_max(tenth, Ordering::Relaxed) >= tenth {
                    return;
                }
                format!("sent {done} of {of} blocks")
            }
            Step::Waits { what, region } => format!("waiting for {what} in {region}"),
            Step::Made { image, region } => format!("made {image} in {region}"),
            Step::Shared { image, region } => format!("shared {image} in {region}"),
            Step::Named { parameter, image, region } => format!("{parameter} names {image} in {region}"),
        });
    }
}

fn show_plan(context: &Context, home: &str, disk: &Disk, order: &AmiOrder, plan: &Plan) {
    let snapshot = match &plan.snapshot {
        Planned::There(snapshot) | Planned::GoneOn(snapshot) => Some(snapshot.clone()),
        Planned::Begun => None,
    };
    let regions: Vec<String> = std::iter::once(home.to_owned()).chain(order.copies.iter().cloned()).collect();
    let calls = plan.calls(order);
    if context.is_json() {
        let calls =
            calls.into_iter().map(|(operation, count)| json::AmiCall { operation: operation.to_owned(), count });
        return print_json(&Object::AmiPlan(json::AmiPlan {
            name: order.name.clone(),
            sha256: disk.sha256.to_string(),
            regions,
            image: plan.image.clone(),
            snapshot,
            parent: plan.parent.clone(),
            blocks: plan.blocks - plan.sent,
            sent_bytes: plan.bytes(),
            calls: calls.collect(),
        }));
    }
    print(&format!("image     {}, SHA-256 {}", bytes(disk.size), disk.sha256));
    print(&format!(
        "AMI       {}{}",
        order.name,
        plan.image.as_ref().map_or(String::new(), |image| format!(", there as {image}"))
    ));
    print(&format!("regions   {}", regions.join(", ")));
    if let Some(snapshot) = snapshot {
        print(&format!("snapshot  {snapshot}"));
    }
    let parent = plan.parent.clone().or_else(|| plan.no_parent.map(|reason| format!("none: {reason}")));
    if let Some(parent) = parent {
        print(&format!("parent    {parent}"));
    }
    print(&format!("to send   {}, {}", counted(plan.blocks - plan.sent, "block"), bytes(plan.bytes())));
    for (operation, count) in calls {
        print(&format!("  {count:>6} {operation}"));
    }
}

fn show_published(context: &Context, disk: &Disk, order: &AmiOrder, done: &Published) {
    if context.is_json() {
        let image = |image: &crate::publish::ami::AmiImage| json::PublishedAmi {
            region: image.region.clone(),
            image: image.image.clone(),
            new: image.is_new,
        };
        return print_json(&Object::Published(json::Published {
            name: order.name.clone(),
            sha256: disk.sha256.to_string(),
            snapshot: done.snapshot.clone(),
            images: done.images.iter().map(image).collect(),
            sent_blocks: done.sent,
            parameters: done.named.clone(),
        }));
    }
    for image in &done.images {
        let note = if image.is_new { "" } else { ", was there" };
        print(&format!("{} {} {}{note}", image.region, image.image, order.name));
    }
}
