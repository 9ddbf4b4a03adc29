//! The files that an image is published as.

use std::{fs, io};

use sha2::Digest as _;

use crate::support::project::{Ran, brc, copy_of_quickstart, folder, linked_store, quickstart, sha256, text};

#[test]
fn an_image_leaves_every_file_that_its_variant_names_and_the_stream_is_that_of_the_disk() {
    let first = quickstart();
    let (store, out) = (linked_store("artifact-store"), folder("artifact-out"));
    let recipe = copy_of_quickstart(&folder("artifact-project"));
    fs::copy(&first.lock, recipe.with_file_name("brc.lock")).unwrap();
    let stated = fs::read_to_string(&recipe).unwrap();
    fs::write(&recipe, stated.replace("    version ", "    artifact \"raw\" compress=\"zstd\"\n    version ")).unwrap();
    let compose = || {
        let mut command = brc();
        command.args(["compose", "--arch=x86_64"]).arg("--store").arg(&store).arg("--out").arg(&out).arg(&recipe);
        command
    };
    let ran = Ran::well(&mut compose());
    assert_eq!(ran.performed(), ["quickstart compress"], "nothing but the stream is made");
    let composed = ran.of("composed").next().unwrap();
    let name = |ending: &str| out.join(format!("quickstart_0.1.0_x86_64.{ending}"));
    let disk = name("raw");
    assert_eq!((text(composed, "disk"), sha256(&disk)), (disk.to_str().unwrap(), sha256(&first.disk)));
    let stream = name("raw.zst");
    let files = [&disk, &stream].map(|path| path.to_str().unwrap());
    let artifacts = composed["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.iter().map(|path| path.as_str().unwrap()).collect::<Vec<_>>(), files);

    let mut hasher = sha2::Sha256::new();
    let file = fs::File::open(&stream).unwrap();
    io::copy(&mut zstd::Decoder::new(file).unwrap(), &mut hasher).unwrap();
    let digest: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, sha256(&disk));

    // For people each file stands on a line of its own.
    let shown = String::from_utf8(compose().output().unwrap().stdout).unwrap();
    assert_eq!(shown.lines().collect::<Vec<_>>(), files);
}
