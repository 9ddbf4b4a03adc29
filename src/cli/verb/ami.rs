//! `brc ami`: what was published at AWS.

use std::{collections::BTreeSet, process::ExitCode};

use super::publish::{Told, removing, show_published};
use crate::{
    cli::{
        CliError,
        arguments::{Ami, AmiPlace, AmiVerb, Promote},
        aws::{told, told_ami},
        context::Context,
        json::{self, Object},
        output::{print, print_json, status},
        publish_target::PublishTarget,
    },
    compose::SetGoal,
    content::counted,
    publish::{
        ami::{ExistingImage, ExistingSnapshot, Removal, Target, existing, promotions, prune},
        aws::{Aws, check_region},
    },
};

/// How many stay of each variant and architecture where nobody says it.
const KEEP: u16 = 3;

/// Looks at AMIs, and after them.
pub fn run(context: &Context, arguments: &Ami) -> Result<ExitCode, CliError> {
    match &arguments.verb {
        AmiVerb::List(place) => list(context, place)?,
        AmiVerb::Prune { place, keep, unfinished, dry_run } => {
            let Place { aws, regions, target } = Place::find(context, place)?;
            let stated = || target.as_ref().and_then(|target| target.aws.keep).map(|keep| keep.value);
            let keep = usize::from(keep.or_else(stated).unwrap_or(KEEP));
            let name = target.as_ref().map(|target| target.name.as_str());
            for region in regions {
                let removal = existing(&aws, &region).map_err(told)?.superseded(keep, name, *unfinished);
                remove(context, (&aws, &region), &removal, name, *dry_run)?;
            }
        }
        AmiVerb::Remove { ids, place, dry_run } => {
            let Place { aws, regions, .. } = Place::find(context, place)?;
            let mut left: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
            for region in &regions {
                let removal = existing(&aws, region).map_err(told)?.named(ids);
                left.retain(|id| !removal.names().any(|gone| gone == *id));
                remove(context, (&aws, region), &removal, None, *dry_run)?;
            }
            if let Some(id) = left.first() {
                let places = regions.join(", ");
                return Err(CliError::Usage(format!("brc has made no `{id}` in {places}: see `brc ami list`")));
            }
        }
        AmiVerb::Promote(arguments) => promote(context, arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes it, or only says so.
fn remove(
    context: &Context,
    (aws, region): (&Aws<'_>, &str),
    removal: &Removal,
    target: Option<&str>,
    dry_run: bool,
) -> Result<(), CliError> {
    if !dry_run {
        let tell = |id: &str| status(&format!("removed {id} in {region}"));
        prune(aws, region, removal, target, &context.records()?, &tell).map_err(|error| told_ami(error.into()))?;
    }
    show_removed(context, region, removal, dry_run);
    Ok(())
}

/// Gives what one target has to another.
fn promote(context: &Context, arguments: &Promote) -> Result<(), CliError> {
    let project = context.project(arguments.recipe.as_deref(), &SetGoal::AsLocked)?;
    let of = |named: &str| -> Result<(PublishTarget, Aws<'_>), CliError> {
        let target = PublishTarget::of(&project, named)?;
        let aws = context.aws(&arguments.account, target.regions().first().map(String::as_str), target.role())?;
        Ok((target, aws))
    };
    let ((from, asks_from), (to, asks_to)) = (of(&arguments.from)?, of(&arguments.to)?);
    let choice = &arguments.choice;
    let is_wanted = |image: &Target| {
        let architectures = &choice.arch;
        let is_meant = |name: &String| name == "all" || name == image.architecture.name();
        choice.variant.as_ref().is_none_or(|variant| *variant == image.variant)
            && (architectures.is_empty() || architectures.iter().any(is_meant))
    };
    let found = promotions(&asks_from, &from.name, is_wanted, arguments.image_version.as_deref()).map_err(told_ami)?;
    for one in found {
        if let Some(digest) = arguments.sha256.filter(|digest| *digest != one.sha256) {
            let (id, found) = (&one.image.id, one.sha256);
            let message = format!("`{id}` of `{}` is of another disk: SHA-256 {found}, not {digest}", from.name);
            return Err(CliError::Usage(message));
        }
        let placement = to.placement(&one.target)?;
        status(&format!("{} {} (SHA-256 {}): {} to {}", one.image.id, one.image.name, one.sha256, from.name, to.name));
        if arguments.dry_run {
            for (region, there) in one.plan(&asks_to, &placement).map_err(told_ami)? {
                let there = there.map(|image| format!(" is there: {image}")).unwrap_or_default();
                print(&format!("{region} {}{there}", one.image.name));
            }
            continue;
        }
        let said = Told::of(Some(&to.name));
        let done = one.run(&asks_from, &asks_to, &placement, &|step| said.tell(&step));
        let done = done.map_err(|error| said.failed(context, error))?;
        show_published(context, &one.image.name, &one.sha256.to_string(), &done);
    }
    to.note().iter().for_each(|note| status(note));
    Ok(())
}

/// Who is asked, for which regions, and of which target.
struct Place<'c> {
    aws: Aws<'c>,
    regions: Vec<String>,
    target: Option<PublishTarget>,
}

impl<'c> Place<'c> {
    fn find(context: &'c Context, place: &AmiPlace) -> Result<Self, CliError> {
        place.region.iter().try_for_each(|region| check_region(region)).map_err(told)?;
        let target = PublishTarget::find(context, place.recipe.as_deref(), place.target.as_deref())?;
        let mut regions = place.region.clone();
        if let (Some(target), true) = (&target, regions.is_empty()) {
            regions = target.regions();
        }
        let role = target.as_ref().and_then(PublishTarget::role);
        let aws = context.aws(&place.account, regions.first().map(String::as_str), role)?;
        if regions.is_empty() {
            regions.push(aws.region().to_owned());
        }
        Ok(Place { aws, regions, target })
    }
}

fn list(context: &Context, place: &AmiPlace) -> Result<(), CliError> {
    let Place { aws, regions, target } = Place::find(context, place)?;
    for region in regions {
        let mut found = existing(&aws, &region).map_err(told)?;
        let loose: Vec<ExistingSnapshot> = found.loose().cloned().collect();
        found.images.retain(|image| target.as_ref().is_none_or(|target| image.is_of(&target.name)));
        if context.is_json() {
            found.images.iter().for_each(|image| print_json(&Object::Ami(of_image(&region, image))));
            loose.iter().for_each(|one| print_json(&Object::Ami(of_snapshot(&region, one))));
        } else {
            let target = target.as_ref().map(|target| target.name.as_str());
            show(context, (&region, target), &found.images, &loose);
        }
    }
    Ok(())
}

fn show(
    context: &Context,
    (region, target): (&str, Option<&str>),
    images: &[ExistingImage],
    loose: &[ExistingSnapshot],
) {
    for image in images {
        let targets = image.targets().map(|target| format!(" {target}")).collect::<String>();
        print(&format!("{region} {} {} {} {}{targets}", image.id, image.state, image.created, image.name));
    }
    for one in loose {
        let what = format!("{} {} {}", one.variant(), one.version(), one.architecture());
        print(&format!("{region} {} {} {} {what}", one.id, one.state_text(), one.started));
    }
    if !loose.is_empty() {
        status("help: an upload is gone on with by publishing the same image again; this removes what no AMI has:");
        let words = removing(loose.iter().map(|one| one.id.as_str()), region, target);
        status(&format!("next: {}", context.hints.project("ami", &words)));
    }
}

fn show_removed(context: &Context, region: &str, removal: &Removal, dry_run: bool) {
    let removed: Vec<String> = removal.names().map(str::to_owned).collect();
    let released: Vec<String> = removal.released.iter().map(|image| image.id.clone()).collect();
    if context.is_json() {
        let region = region.to_owned();
        return print_json(&Object::AmiRemoval(json::AmiRemoval { region, dry_run, removed, released }));
    }
    for image in &released {
        print(&format!("{region} {image} stays: another target has it"));
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    let list = if removed.is_empty() { String::new() } else { format!(": {}", removed.join(", ")) };
    print(&format!("{region} {verb} {}{list}", counted(removed.len(), "thing")));
}

fn of_image(region: &str, image: &ExistingImage) -> json::Ami {
    json::Ami {
        region: region.to_owned(),
        id: image.id.clone(),
        name: Some(image.name.clone()),
        state: image.state.clone(),
        since: image.created.clone(),
        variant: image.variant().to_owned(),
        image_version: image.version().to_owned(),
        architecture: image.architecture().to_owned(),
        sha256: image.sha256().to_owned(),
        snapshots: image.snapshots.clone(),
        targets: image.targets().map(str::to_owned).collect(),
    }
}

fn of_snapshot(region: &str, one: &ExistingSnapshot) -> json::Ami {
    json::Ami {
        region: region.to_owned(),
        id: one.id.clone(),
        name: None,
        state: one.state_text().to_owned(),
        since: one.started.clone(),
        variant: one.variant().to_owned(),
        image_version: one.version().to_owned(),
        architecture: one.architecture().to_owned(),
        sha256: one.sha256().to_owned(),
        snapshots: Vec::new(),
        targets: Vec::new(),
    }
}
