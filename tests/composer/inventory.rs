//! The inventory of an image: everything in it and everything that built it.

use std::path::Path;

use brc::plan::{Part, PartSource, inventory};
use brc_contract::Architecture;

use crate::execution::World;

const RECIPES: &str = r#"
project "both"
archive "notes" { suite "notes"; keyring "notes.asc" }
packages "compiler" archive="notes" suite="notes" { gcc }
packages "tools" archive="notes" suite="notes" { only-on-x86 }
packages "checks" archive="notes" suite="notes" { gcc-x86-64 }
packages "loader" archive="notes" suite="notes" { loader }
packages "library" archive="notes" suite="notes" { libc }
packages "programs" archive="notes" suite="notes" { shell }
component "compiled" {
    version "1.2"
    license "MIT"
    upstream { url "file://KERNEL" sha256="SHA256" unpack=#false }
    build-with "compiler"
    link-with "library"
    step "true"
}
kernel "none" {
    version "6.1"
    license "GPL-2.0-only"
    upstream { url "file://KERNEL" sha256="SHA256" }
    config "none.config"
}
variant "v" {
    version "1"
    arch "x86_64"
    include "none" "compiled" "programs"
    tool "root-filesystem" "tools"
    tool "finish" "tools"
    tool "boot-loader" "loader"
    tool "machine" "checks"
    tool "oracle" "checks"
    tool "probe" "checks"
}
"#;

fn line(part: &Part, folder: &Path) -> String {
    let Part { name, role, version, purl, supplier, license, source, sha256, made_from } = part;
    let is_of_a_file = !["both/library", "both/programs", "both/v"].contains(&name.as_str());
    assert_eq!((name, sha256.is_some(), *made_from), (name, is_of_a_file, PartSource::Locked));
    let source = source.as_deref().unwrap_or("-");
    let told = format!("{} {name} {version} {purl} {supplier} {license} {source}", role.name());
    let folder = folder.to_str().unwrap();
    let digest = sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
    let told = told.replace(&folder.replace('/', "%2F"), "FOLDER").replace(folder, "FOLDER");
    if digest.is_empty() { told } else { told.replace(&digest, "SHA256") }
}

#[test]
fn everything_in_an_image_and_everything_that_built_it_is_listed_with_where_it_is_from() {
    let world = World::new("inventory", RECIPES);
    world.publish(1, "");
    assert!(world.brc(&["lock"]).output.status.success());
    let project = world.project("here", Architecture::X86_64);
    let flats = project.all_flats().unwrap();
    let image = project.pin(&flats[0], &project.lock().unwrap()).unwrap();
    let found: Vec<String> = inventory(&image).iter().map(|part| line(part, &world.folder)).collect();
    let generic = "?checksum=sha256:SHA256&download_url=file:%2F%2FFOLDER%2Fkernel.tar both";
    let package = |role: &str, name: &str, license: &str, source: &str| {
        let source = format!("pkg:deb/notes/{source}?arch=source");
        format!("{role} {name} 1 pkg:deb/notes/{name}@1?arch=amd64 notes {license} {source}")
    };
    let expected = [
        format!("root both/compiled 1.2 pkg:generic/both/compiled@1.2{generic} MIT file://FOLDER/kernel.tar"),
        "linked both/library  pkg:generic/both/library both NOASSERTION -".to_owned(),
        format!("kernel both/none 6.1 pkg:generic/both/none@6.1{generic} GPL-2.0-only file://FOLDER/kernel.tar"),
        "root both/programs  pkg:generic/both/programs both NOASSERTION -".to_owned(),
        "root both/v 1 pkg:generic/both/v@1 both NOASSERTION -".to_owned(),
        package("tool", "gcc", "NOASSERTION", "gcc-defaults@1.220"),
        package("root", "libc", "NOASSERTION", "glibc@1"),
        package("linked", "libc", "NOASSERTION", "glibc@1"),
        package("boot-loader", "loader", "NOASSERTION", "systemd@1"),
        package("tool", "only-on-x86", "NOASSERTION", "only-on-x86@1"),
        package("root", "shell", "NOASSERTION", "shell@1"),
    ];
    // The tools that only look at a finished image (`gcc-x86-64`) are no part of it.
    assert_eq!(found, expected);
}
