//! `brc verify`: a finished image, checked without its recipe.

use std::{path::Path, process::ExitCode};

use brc_contract::ImageName;

use crate::{
    artifact::{Manifest, ManifestError, refuse_development},
    cli::{
        CliError, arguments,
        context::Context,
        image_file::{data_disk_beside, must_be_image},
        json::{self, Object},
        manifest_file::{beside, no_manifest, read_manifest},
        output::{print_json, status},
    },
    content::{Sha256, bytes, counted},
    inspect::{self, Expected, Figures, Finding, FromManifest, Report, Unchecked, VerifyError, verify},
};

/// Checks an image and shows every finding; a finding is exit code 1.
pub fn run(context: &Context, arguments: &arguments::Verify) -> Result<ExitCode, CliError> {
    must_be_image(&arguments.image)?;
    let manifest = match &arguments.manifest {
        Some(path) => Some(path.clone()),
        None => beside(&arguments.image).filter(|path| path.is_file()),
    };
    let read = manifest.as_deref().map(read_manifest).transpose()?;
    if arguments.release {
        let Some(manifest) = &read else {
            let message =
                format!("`{}` has no manifest beside it; name one with `--manifest`", arguments.image.display());
            return Err(CliError::Usage(message));
        };
        refuse_development(manifest).map_err(|error| CliError::Found(error.to_string()))?;
    }
    let said = read.as_ref().zip(manifest.as_ref()).map(|(read, path)| said(read, path)).transpose()?;
    let expected = Expected { root_hash: trusted(arguments, said.as_ref())?, manifest: said };
    let mut report = verify(&arguments.image, &expected).map_err(|error| CliError::Machine(error.into()))?;
    data_disk(&arguments.image, &mut report)?;
    if context.is_json() {
        print_json(&Object::Check(check_object(&report, manifest.as_deref())));
    } else {
        show(&report, manifest.as_deref());
    }
    if report.is_good() && arguments.strict && !report.unchecked.is_empty() && !context.is_json() {
        status("error: `--strict`: something was not checked, see above");
    }
    let is_enough = report.is_good() && (report.unchecked.is_empty() || !arguments.strict);
    Ok(if is_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at the disk for data too, where images of containers come on one.
fn data_disk(image: &Path, report: &mut Report) -> Result<(), CliError> {
    let machine = |error: VerifyError| CliError::Machine(error.into());
    let said = inspect::data_disk(image).map_err(machine)?.filter(|said| !said.images.is_empty());
    let Some(said) = said.filter(|_| report.is_good()) else { return Ok(()) };
    match data_disk_beside(image).filter(|path| path.is_file()) {
        Some(path) => {
            let problem = inspect::data_disk_mistake(&path, &said.images).map_err(machine)?;
            report
                .findings
                .extend(problem.map(|problem| Finding::of_data_disk(format!("{}: {problem}", path.display()))));
        }
        None => report.unchecked.push(Unchecked::DataDisk),
    }
    Ok(())
}

/// The root hash that the user vouches for: the one named, or that of a manifest that was named. What lies beside the
/// image came with it.
fn trusted(arguments: &arguments::Verify, manifest: Option<&FromManifest>) -> Result<Option<Sha256>, CliError> {
    match &arguments.root_hash {
        Some(text) => match Sha256::parse(text) {
            Ok(hash) => Ok(Some(hash)),
            Err(error) => Err(CliError::Usage(format!("`--root-hash`: {error}"))),
        },
        None => Ok(manifest.filter(|_| arguments.manifest.is_some()).map(|manifest| manifest.root_hash)),
    }
}

fn said(manifest: &Manifest, path: &Path) -> Result<FromManifest, CliError> {
    let wrong = |error: ManifestError| no_manifest(path, &error);
    Ok(FromManifest {
        entry: ImageName::new(&manifest.image, &manifest.version).to_string(),
        architecture: manifest.architecture.clone(),
        root_hash: manifest.root_hash().map_err(wrong)?,
        esp_sha256: manifest.esp_sha256().map_err(wrong)?,
        root: manifest.tree().map_err(wrong)?,
    })
}

fn show(report: &Report, manifest: Option<&Path>) {
    for finding in &report.findings {
        let place = match (finding.block, finding.offset) {
            (Some(block), Some(offset)) => format!(" block {block} (byte {offset} of the image)"),
            (_, Some(offset)) => format!(" byte {offset} of the image"),
            _ => String::new(),
        };
        status(&format!("error: {}{place}: {}", finding.part.name(), finding.problem));
    }
    let figures = &report.figures;
    let against = match manifest {
        Some(path) => format!("compared with {}", path.display()),
        None => "no manifest beside it".to_owned(),
    };
    if report.is_good() {
        status(&format!(
            "good: {} and {} hashed, {} with {} read; {against}",
            counted(figures.data_blocks, "data block"),
            counted(figures.hash_blocks, "hash block"),
            counted(figures.paths, "path"),
            bytes(figures.file_bytes)
        ));
    } else {
        status(&format!("{}; {against}", counted(report.findings.len(), "finding")));
    }
    for unchecked in &report.unchecked {
        status(&format!("not checked: {}", reason(*unchecked, figures)));
    }
}

fn reason(unchecked: Unchecked, figures: &Figures) -> String {
    match unchecked {
        Unchecked::RootHash => {
            let hash = figures.root_hash.map(|hash| hash.to_string()).unwrap_or_default();
            format!(
                "whether root hash {hash} is the one you expect; say it with `--root-hash HASH`, or `--manifest FILE` \
                 with a manifest that you trust"
            )
        }
        Unchecked::DataDisk => {
            "the images of containers that come on the disk for data, which is not beside the image".to_owned()
        }
        Unchecked::Boot => {
            "kernel, command line, boot loader and its settings: an older brc made the image, and its root \
                            does not say what they are"
                .to_owned()
        }
    }
}

fn check_object(report: &Report, manifest: Option<&Path>) -> json::ImageCheck {
    let figures = &report.figures;
    let finding = |finding: &Finding| json::ImageFinding {
        part: finding.part.name().to_owned(),
        offset: finding.offset,
        block: finding.block,
        problem: finding.problem.clone(),
    };
    json::ImageCheck {
        good: report.is_good(),
        findings: report.findings.iter().map(finding).collect(),
        unchecked: report.unchecked.iter().map(|unchecked| unchecked.name().to_owned()).collect(),
        manifest: manifest.map(|path| path.display().to_string()),
        image_bytes: figures.image_bytes,
        architecture: figures.architecture.map(str::to_owned),
        entry: figures.entry.clone(),
        verity: json::Verity {
            root_hash: figures.root_hash.map(|hash| hash.to_string()),
            data_blocks: figures.data_blocks,
            hash_blocks: figures.hash_blocks,
        },
        root: json::Root {
            partition_bytes: figures.root_partition_bytes,
            paths: figures.paths,
            file_bytes: figures.file_bytes,
        },
        esp: json::Esp { bytes: figures.esp_bytes, needed_bytes: figures.esp_needed_bytes },
    }
}
