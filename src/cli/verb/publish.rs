//! `brc publish`: finished images given to others.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use brc_contract::ImageName;

use crate::{
    build::AfterFailure,
    cli::{
        CliError,
        arguments::{self, Publish, PublishAmi, PublishVerb},
        aws::told_ami,
        context::Context,
        image_file::{data_disk_beside, must_be_image},
        json::{self, Object},
        output::{print, print_json, status},
        publish_target::PublishTarget,
        released_image::{is_recipe, only_of_recipes},
    },
    compose::{Absent, Locked},
    content::{bytes, counted},
    inspect::{self, DataDisk, Expected, verify},
    publish::{
        ami::{
            AmiError, AmiOrder, Disk, Disks, Encryption, ParentChoice, Placement, Plan, Planned, Published,
            SnapshotPlan, Step, Target, ami_name, check_name, fill, plan, publish, recipient,
        },
        aws::{Aws, check_region},
    },
};

/// Karpenter gives the root device of such a system so much where nothing else is said.
const USUAL_GIB: u64 = 4;
/// A disk that the image has data on is at least so large.
const GIB: u64 = 1 << 30;

/// Publishes images.
pub fn run(context: &Context, arguments: &Publish) -> Result<ExitCode, CliError> {
    let PublishVerb::Ami(arguments) = &arguments.verb;
    let of_recipe = is_recipe(&arguments.image)?;
    if !of_recipe {
        must_be_image(&arguments.image)?;
        only_of_recipes(&arguments.image, &arguments.choice, arguments.image_version.as_deref())?;
    }
    let recipe = arguments.recipe.as_deref().or_else(|| of_recipe.then_some(&*arguments.image));
    let target = PublishTarget::find(context, recipe, arguments.target.as_deref())?;
    let regions = match (&target, arguments.region.as_slice()) {
        (Some(target), []) => target.regions(),
        (_, named) => named.to_vec(),
    };
    regions.iter().try_for_each(|region| check_region(region)).map_err(|error| CliError::usage(&error))?;
    let role = target.as_ref().and_then(PublishTarget::role);
    let aws = context.aws(&arguments.account, regions.first().map(String::as_str), role)?;
    let images = match of_recipe {
        true => composed(context, arguments)?,
        false => vec![(arguments.image.clone(), data_disk_beside(&arguments.image))],
    };
    for (image, data) in &images {
        one(context, arguments, (image, data.as_deref()), (&aws, &regions), target.as_ref())?;
    }
    target.as_ref().and_then(PublishTarget::note).iter().for_each(|note| status(note));
    Ok(ExitCode::SUCCESS)
}

/// The disks of a recipe file, which are composed where they are not in the store; each with the one for data that comes
/// with it.
fn composed(context: &Context, arguments: &PublishAmi) -> Result<Vec<(PathBuf, Option<PathBuf>)>, CliError> {
    let target = arguments::Target { file: Some(arguments.image.clone()), choice: arguments.choice.clone() };
    let (project, mut order) = context.order(&target, Locked::Completed)?;
    order.image_version = arguments.image_version.clone();
    let session = context.session(&project, AfterFailure::Stop)?;
    let images = session.stored_images(&project, &order, Absent::Built)?;
    Ok(images.into_iter().map(|image| (image.disk, image.data_disk)).collect())
}

/// Publishes one disk.
fn one(
    context: &Context,
    arguments: &PublishAmi,
    (image, data): (&Path, Option<&Path>),
    (aws, regions): (&Aws<'_>, &[String]),
    target: Option<&PublishTarget>,
) -> Result<(), CliError> {
    let identity = identity(image, arguments.no_verify)?;
    let place = place(arguments, &identity, (aws.region(), regions), target)?;
    let records = context.records()?;
    status(&format!("reading {}", image.display()));
    let disk = Disk::read(image, context.cancelled()).map_err(|error| told_ami(error.into()))?;
    let said = inspect::data_disk(image).map_err(|error| CliError::Machine(error.into()))?;
    let data = said.as_ref().map(|said| data_disk(context, (image, data), said)).transpose()?.flatten();
    let data_gib = data_gib(image, said.as_ref(), target)?;
    if let (Some(disk), Some(gib)) = (&data, data_gib)
        && disk.gib() > gib
    {
        let needed = disk.gib();
        let message = format!("the images of containers need {needed} GiB, and the volume for data has {gib}");
        return Err(CliError::Usage(message));
    }
    let order = order(arguments, identity, place, data_gib, &disk)?;
    let disks = Disks { system: &disk, data: data.as_ref() };
    if disk.gib() > USUAL_GIB {
        let gib = disk.gib();
        status(&format!(
            "note: the disk needs {gib} GiB and Karpenter gives {USUAL_GIB}: say so in `blockDeviceMappings`"
        ));
    }
    let told = Told::of(arguments.target.as_deref());
    let tell = |step: Step| told.tell(&step);
    let found = plan(aws, disks, &order, &records, &tell).map_err(told_ami)?;
    if arguments.dry_run {
        show_plan(context, aws.region(), &disk, &order, &found);
        return Ok(());
    }
    if let Some(reason) = found.system.no_parent.filter(|_| found.image.is_none()) {
        status(&format!("sending all blocks: {reason}"));
    }
    let done = publish(aws, disks, &order, &found, &records, &tell).map_err(|error| told.failed(context, error))?;
    show_published(context, &order.name, &disk.sha256.to_string(), &done);
    Ok(())
}

/// What an image is: by its own words once it was found whole, else by the name of its file.
fn identity(image: &Path, unverified: bool) -> Result<Target, CliError> {
    let shown = image.display();
    if unverified {
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

/// The disk for data that comes with an image, where images of containers do on it.
fn data_disk(
    context: &Context,
    (image, data): (&Path, Option<&Path>),
    said: &DataDisk,
) -> Result<Option<Disk>, CliError> {
    if said.images.is_empty() {
        return Ok(None);
    }
    let shown = image.display();
    let data = data.filter(|data| data.is_file()).ok_or_else(|| {
        let message = "has images of containers on a disk for data, which is not beside it: expected both files as";
        CliError::Usage(format!("`{shown}` {message} `brc compose` leaves them"))
    })?;
    let machine = |error: inspect::VerifyError| CliError::Machine(error.into());
    if let Some(problem) = inspect::data_disk_mistake(data, &said.images).map_err(machine)? {
        let message = format!("`{}` is not the disk for data of `{shown}`: {problem}", data.display());
        return Err(CliError::Found(message));
    }
    Disk::read(data, context.cancelled()).map(Some).map_err(|error| told_ami(error.into()))
}

/// The size of the volume that the image's data lies on, where that is another one than the system's.
fn data_gib(image: &Path, said: Option<&DataDisk>, target: Option<&PublishTarget>) -> Result<Option<u64>, CliError> {
    let wanted = target.and_then(|target| target.aws.data_volume).map(|volume| volume.size.value.0);
    if let (None, Some(target), Some(_)) = (said, target, wanted) {
        let (shown, name) = (image.display(), &target.name);
        status(&format!(
            "note: the data of `{shown}` lies on the system's disk: `data-volume` of `{name}` is not needed"
        ));
    }
    Ok(said.map(|said| wanted.unwrap_or(said.bytes).div_ceil(GIB)))
}

/// Where an image goes: what the target says, and before it what options say.
fn place(
    arguments: &PublishAmi,
    identity: &Target,
    (home, regions): (&str, &[String]),
    target: Option<&PublishTarget>,
) -> Result<Placement, CliError> {
    let wrong = |option: &str, text: &str, problem: &str| CliError::Usage(format!("`{option} {text}`: {problem}"));
    let mut place = target.map(|target| target.placement(identity)).transpose()?.unwrap_or_default();
    let share = arguments.share.iter().map(|text| recipient(text).map_err(|problem| wrong("--share", text, problem)));
    let share: Vec<_> = share.collect::<Result<_, _>>()?;
    let parameters =
        arguments.ssm.iter().map(|text| fill(text, identity).map_err(|problem| wrong("--ssm", text, problem)));
    let parameters: Vec<String> = parameters.collect::<Result<_, _>>()?;
    if !share.is_empty() {
        place.share = share;
    }
    if !parameters.is_empty() {
        place.parameters = parameters;
    }
    if arguments.encrypt || arguments.kms_key.is_some() {
        place.encryption = Some(Encryption { key: arguments.kms_key.clone() });
    }
    place.copies.clear();
    for region in regions.iter().filter(|region| *region != home) {
        if !place.copies.contains(region) {
            place.copies.push(region.clone());
        }
    }
    Ok(place)
}

fn order(
    arguments: &PublishAmi,
    target: Target,
    place: Placement,
    data_gib: Option<u64>,
    disk: &Disk,
) -> Result<AmiOrder, CliError> {
    let name = arguments.name.clone().unwrap_or_else(|| ami_name(&target, disk.sha256));
    check_name(&name).map_err(|problem| CliError::Usage(format!("`--name {name}`: {problem}")))?;
    Ok(AmiOrder {
        name,
        target,
        parent: match &arguments.parent {
            Some(parent) => ParentChoice::Named(parent.clone()),
            None if arguments.no_parent => ParentChoice::None,
            None => ParentChoice::Newest,
        },
        data_gib,
        place,
        connections: usize::from(arguments.connections),
    })
}

/// Says how far it is.
pub(super) struct Told {
    /// The target of the recipes, whose role and regions another command needs too.
    target: Option<String>,
    tenth: AtomicUsize,
    /// What was made or begun, with its region.
    made: Mutex<Vec<(String, String)>>,
}

impl Told {
    /// Nothing yet, of what goes to a target.
    pub(super) fn of(target: Option<&str>) -> Self {
        Told { target: target.map(str::to_owned), tenth: AtomicUsize::new(0), made: Mutex::default() }
    }

    pub(super) fn tell(&self, step: &Step) {
        if let Step::Made { image: what, region } | Step::Begun { snapshot: what, region, .. } = step {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(step, Step::Made { .. }) {
                // An image goes with its snapshots.
                made.retain(|(_, earlier)| earlier != region);
            }
            made.push((what.clone(), region.clone()));
        }
        status(&match step {
            Step::ReadsBack { snapshot } => format!("reading back what {snapshot} holds"),
            Step::Begun { snapshot, sent: 0, of, .. } => format!("sending {} to {snapshot}", counted(*of, "block")),
            Step::Begun { snapshot, sent, of, .. } => format!("going on with {snapshot}: it has {sent} of {of} blocks"),
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
            Step::Deprecated { image, region, from } => format!("{image} in {region} is deprecated from {from} on"),
            Step::Named { parameter, image, region, instead: None } => {
                format!("{parameter} names {image} in {region}")
            }
            Step::Named { parameter, image, region, instead: Some(old) } => {
                format!("{parameter} named {old} and names {image} in {region} now")
            }
        });
    }

    /// Says what is there although it failed, and how to go on or to be rid of it.
    pub(super) fn failed(&self, context: &Context, error: AmiError) -> CliError {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, region) in made.iter() {
            status(&format!("help: {what} in {region} is there; the same command goes on with it, this removes it:"));
            let words = removing([what.as_str()], region, self.target.as_deref());
            status(&format!("next: {}", context.hints.project("ami", &words)));
        }
        told_ami(error)
    }
}

/// The words behind `brc ami` that remove what has these names.
pub(super) fn removing<'w>(
    names: impl IntoIterator<Item = &'w str>,
    region: &'w str,
    target: Option<&'w str>,
) -> Vec<&'w str> {
    let mut words = vec!["remove"];
    words.extend(names);
    words.extend(["--region", region]);
    words.extend(target.into_iter().flat_map(|target| ["--target", target]));
    words
}

fn show_plan(context: &Context, home: &str, disk: &Disk, order: &AmiOrder, plan: &Plan) {
    let named = |plan: &SnapshotPlan| match &plan.snapshot {
        Planned::There(snapshot) | Planned::GoneOn(snapshot) => Some(snapshot.clone()),
        Planned::Begun => None,
    };
    let (snapshot, data_snapshot) = (named(&plan.system), plan.data.as_ref().and_then(named));
    let regions: Vec<String> = std::iter::once(home.to_owned()).chain(order.place.copies.iter().cloned()).collect();
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
            data_snapshot,
            parent: plan.system.parent.clone(),
            blocks: plan.blocks(),
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
    if let Some(snapshot) = data_snapshot {
        print(&format!("data      {snapshot}"));
    }
    let system = &plan.system;
    let parent = system.parent.clone().or_else(|| system.no_parent.map(|reason| format!("none: {reason}")));
    if let Some(parent) = parent {
        print(&format!("parent    {parent}"));
    }
    print(&format!("to send   {}, {}", counted(plan.blocks(), "block"), bytes(plan.bytes())));
    for (operation, count) in calls {
        print(&format!("  {count:>6} {operation}"));
    }
}

pub(super) fn show_published(context: &Context, name: &str, sha256: &str, done: &Published) {
    if context.is_json() {
        let image = |image: &crate::publish::ami::AmiImage| json::PublishedAmi {
            region: image.region.clone(),
            image: image.image.clone(),
            new: image.is_new,
        };
        return print_json(&Object::Published(json::Published {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            snapshot: done.snapshot.clone(),
            data_snapshot: done.data_snapshot.clone(),
            images: done.images.iter().map(image).collect(),
            sent_blocks: done.sent,
            parameters: done.named.clone(),
        }));
    }
    for image in &done.images {
        let note = if image.is_new { "" } else { ", was there" };
        print(&format!("{} {} {name}{note}", image.region, image.image));
    }
}
