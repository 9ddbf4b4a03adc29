//! `brc ami`: what was published at AWS.

use std::process::ExitCode;

use crate::{
    cli::{
        CliError,
        arguments::{Ami, AmiPlace, AmiVerb},
        aws::{told, told_ami},
        context::Context,
        json::{self, Object},
        output::{print, print_json, status},
    },
    content::counted,
    publish::{
        ami::{Existing, ExistingImage, ExistingSnapshot, existing, prune},
        aws::{Aws, check_region},
    },
};

/// Looks at AMIs, and after them.
pub fn run(context: &Context, arguments: &Ami) -> Result<ExitCode, CliError> {
    match &arguments.verb {
        AmiVerb::List(place) => list(context, place)?,
        AmiVerb::Prune { place, keep, unfinished, dry_run } => {
            let (aws, regions) = regions(context, place)?;
            for region in regions {
                let removal = existing(&aws, &region).map_err(told)?.superseded(usize::from(*keep), *unfinished);
                let images = removal.images.iter().map(|image| image.id.clone());
                let removed: Vec<String> = images.chain(removal.snapshots.iter().map(|one| one.id.clone())).collect();
                if !dry_run {
                    let tell = |id: &str| status(&format!("removed {id} in {region}"));
                    prune(&aws, &region, &removal, &context.records()?, &tell)
                        .map_err(|error| told_ami(error.into()))?;
                }
                show_removed(context, &region, removed, *dry_run);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who is asked, and for which regions.
fn regions<'c>(context: &'c Context, place: &AmiPlace) -> Result<(Aws<'c>, Vec<String>), CliError> {
    place.region.iter().try_for_each(|region| check_region(region)).map_err(told)?;
    let aws = context.aws(&place.account, place.region.first().map(String::as_str))?;
    let regions = if place.region.is_empty() { vec![aws.region().to_owned()] } else { place.region.clone() };
    Ok((aws, regions))
}

fn list(context: &Context, place: &AmiPlace) -> Result<(), CliError> {
    let (aws, regions) = regions(context, place)?;
    for region in regions {
        let found = existing(&aws, &region).map_err(told)?;
        if context.is_json() {
            found.images.iter().for_each(|image| print_json(&Object::Ami(of_image(&region, image))));
            found.loose().for_each(|one| print_json(&Object::Ami(of_snapshot(&region, one))));
        } else {
            show(context, &region, &found);
        }
    }
    Ok(())
}

fn show(context: &Context, region: &str, found: &Existing) {
    for image in &found.images {
        print(&format!("{region} {} {} {} {}", image.id, image.state, image.created, image.name));
    }
    let mut has_begun = false;
    for one in found.loose() {
        let what = format!("{} {} {}", one.variant(), one.version(), one.architecture());
        print(&format!("{region} {} {} {} {what}", one.id, one.state_text(), one.started));
        has_begun = true;
    }
    if has_begun {
        status("help: an upload is gone on with by publishing the same image again");
        let words = ["prune", "--unfinished", "--region", region];
        status(&format!("next: {}", context.hints.project("ami", &words)));
    }
}

fn show_removed(context: &Context, region: &str, removed: Vec<String>, dry_run: bool) {
    if context.is_json() {
        return print_json(&Object::AmiRemoval(json::AmiRemoval { region: region.to_owned(), dry_run, removed }));
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
    }
}
