//! `brc diff`: what differs between two images.

use std::{path::Path, process::ExitCode};

use crate::{
    cli::{
        CliError,
        arguments::{self, PageFormat, Target},
        context::Context,
        image_label::label_object,
        json::{self, Object},
        output::{print, print_json},
        released_image::{ReleasedImage, is_recipe, only_of_recipes},
    },
    compose::Absent,
    release::{self, Comparison, FileList, compare},
};

/// The exit code of images that are not the same.
const DIFFERENT: u8 = 10;

/// Compares two images and shows what differs; with exit code 10 when something does.
pub fn run(context: &Context, arguments: &arguments::Diff) -> Result<ExitCode, CliError> {
    let format = match arguments.format {
        None if context.is_json() => PageFormat::Json,
        None => PageFormat::Text,
        Some(format) if context.is_json() && format != PageFormat::Json => {
            let message = format!("`--json` and `--format {}` are two forms: expected one of them", format.name());
            return Err(CliError::Usage(message));
        }
        Some(format) => format,
    };
    if !is_recipe(&arguments.old)? && !is_recipe(&arguments.new)? {
        only_of_recipes(&arguments.old, &arguments.choice, None)?;
    }
    let [old, new] = [side(context, arguments, &arguments.old)?, side(context, arguments, &arguments.new)?];
    let comparison = compare(&old.released(), &new.released());
    let files = if arguments.verbose { FileList::Whole } else { FileList::Counted };
    match format {
        PageFormat::Json => print_json(&Object::ImageDifference(difference_object(&comparison))),
        PageFormat::Text => print(&release::text(&comparison.page(files))),
        PageFormat::Markdown => print(&release::markdown(&comparison.page(files))),
        PageFormat::Html => print(&release::html(&comparison.page(files))),
    }
    Ok(if comparison.is_equal() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

/// One side: an image, or what a recipe makes.
fn side(context: &Context, arguments: &arguments::Diff, path: &Path) -> Result<ReleasedImage, CliError> {
    if !is_recipe(path)? {
        return ReleasedImage::of_file(path);
    }
    let target = Target { file: Some(path.to_owned()), choice: arguments.choice.clone() };
    let mut images = ReleasedImage::of_recipe(context, &target, None, Absent::Built)?;
    match (images.pop(), images.is_empty()) {
        (Some(image), true) => Ok(image),
        _ => Err(CliError::Usage(format!("`{}` makes several images: name one with `--arch`", path.display()))),
    }
}

fn difference_object(comparison: &Comparison) -> json::ImageDifference {
    let topics = comparison.changes.iter().flat_map(|(topic, changes)| changes.iter().map(|change| (*topic, change)));
    json::ImageDifference {
        equal: comparison.is_equal(),
        left: label_object(&comparison.old),
        right: label_object(&comparison.new),
        changes: topics
            .map(|(topic, change)| json::TopicChange {
                topic: topic.name().to_owned(),
                what: change.what.clone(),
                old: change.old.clone(),
                new: change.new.clone(),
            })
            .collect(),
        sizes: comparison.sizes.iter().map(size).collect(),
        partitions: comparison.partitions.iter().map(partition).collect(),
        download: comparison.download.as_ref().map(download),
        by_component: comparison.by_component.iter().map(tally).collect(),
        by_folder: comparison.by_folder.iter().map(tally).collect(),
        files: comparison.files.iter().map(file).collect(),
    }
}

fn size(size: &release::Measure) -> json::SizeChange {
    json::SizeChange { what: size.what.trim().to_owned(), old_bytes: size.old, new_bytes: size.new }
}

fn partition(partition: &release::RoomChange) -> json::PartitionChange {
    let (old, new) = (partition.old, partition.new);
    json::PartitionChange {
        what: partition.what.clone(),
        old_bytes: old.map(|room| room.bytes),
        old_used_bytes: old.map(|room| room.used),
        new_bytes: new.map(|room| room.bytes),
        new_used_bytes: new.map(|room| room.used),
    }
}

fn download(download: &release::Download) -> json::Download {
    let part = |part: &release::DownloadPart| json::DownloadPart { what: part.what.to_owned(), bytes: part.bytes };
    json::Download { bytes: download.bytes(), parts: download.parts.iter().map(part).collect() }
}

fn tally(tally: &release::Tally) -> json::Tally {
    let release::Tally { name, added, removed, changed, bytes } = tally.clone();
    json::Tally { name, added, removed, changed, grown_bytes: bytes }
}

fn file(file: &release::FileChange) -> json::FileDifference {
    json::FileDifference {
        path: file.path.clone(),
        component: file.owner.clone(),
        differs: file.differs.iter().map(|what| (*what).to_owned()).collect(),
        old_bytes: file.old,
        new_bytes: file.new,
    }
}
