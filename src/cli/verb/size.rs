//! `brc size`: what takes the room in an image.

use std::{fs, path::Path, process::ExitCode};

use crate::{
    cli::{
        CliError,
        arguments::{self, Target},
        context::Context,
        image_label::label_object,
        json::{self, Event, Object},
        output::{print, print_event, print_json, status},
        released_image::{ReleasedImage, is_recipe, only_of_recipes},
    },
    compose::{Absent, ComposeError},
    release::{self, Depth, Share, Taken, taken},
};

/// Shows what takes the room, and writes a page of it where one is wanted.
pub fn run(context: &Context, arguments: &arguments::Size) -> Result<ExitCode, CliError> {
    let images = match &arguments.subject {
        Some(image) if !is_recipe(image)? => {
            only_of_recipes(image, &arguments.choice, arguments.image_version.as_deref())?;
            vec![ReleasedImage::of_file(image)?]
        }
        file => {
            let target = Target { file: file.clone(), choice: arguments.choice.clone() };
            ReleasedImage::of_recipe(context, &target, arguments.image_version.clone(), Absent::Refused)?
        }
    };
    if arguments.html.is_some() && images.len() > 1 {
        return Err(CliError::Usage("a page is of one image: name one with `--arch`".to_owned()));
    }
    for image in &images {
        let taken = taken(&image.released(), image.budget);
        if context.is_json() {
            print_json(&Object::ImageSize(size_object(&taken)));
        } else {
            print(&release::text(&taken.page(Depth::Tables)));
        }
        if let Some(file) = &arguments.html {
            write(file, &release::html(&taken.page(Depth::Files)))?;
            let file = file.display().to_string();
            if context.is_json() {
                print_event(Event::Written { file });
            } else {
                status(&format!("written: {file}"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, page: &str) -> Result<(), ComposeError> {
    fs::write(file, format!("{page}\n")).map_err(|source| ComposeError::Write { path: file.to_owned(), source })
}

fn size_object(taken: &Taken) -> json::ImageSize {
    let share = |share: &Share| json::SizeShare {
        name: share.name.clone(),
        files: share.files,
        bytes: share.bytes,
        stored_bytes: share.stored,
    };
    json::ImageSize {
        of: label_object(&taken.label),
        root_bytes: taken.root_bytes,
        metadata_bytes: taken.metadata_bytes,
        budget_bytes: taken.budget,
        kernel_image_bytes: taken.kernel_image_bytes,
        components: taken.components.iter().map(share).collect(),
        folders: taken.folders.iter().map(share).collect(),
        partitions: taken
            .partitions
            .iter()
            .map(|(what, room)| json::PartitionRoom { what: what.clone(), bytes: room.bytes, used_bytes: room.used })
            .collect(),
    }
}
