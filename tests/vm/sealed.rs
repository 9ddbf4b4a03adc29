//! What the hypervisor hands over: taken by an image for `brc boot`, not by a sealed one.

use std::{fs, path::Path};

use super::{
    bench::{BENCH, brc, folder},
    project::copy_of_quickstart,
};

/// A unit that the last target waits for: it has said its word when that is reached.
const UNIT: &str = "[Unit]\nDefaultDependencies=no\n\n[Service]\nType=oneshot\nStandardOutput=tty\n\
                    TTYPath=/dev/console\nExecStart=/bin/echo CHECK-HANDED-OVER\n";
const DROP_IN: &str = "[Unit]\nWants=handed-over.service\nAfter=handed-over.service\n";

/// What an image prints until its last target, with a unit that is handed over.
fn boot(image: &Path, folder: &Path) -> String {
    let mut options = Vec::new();
    for (name, content) in
        [("systemd.extra-unit.handed-over.service", UNIT), ("systemd.unit-dropin.multi-user.target~over", DROP_IN)]
    {
        let file = folder.join(name);
        fs::write(&file, content).unwrap();
        options.extend(["--credential".to_owned(), format!("{name}=@{}", file.display())]);
    }
    BENCH.boot(image, "Reached target multi-user.target", &options)
}

#[test]
fn a_sealed_image_takes_no_unit_from_the_hypervisor_and_another_does() {
    let folder = folder("sealed");
    let recipe = copy_of_quickstart(&folder);
    let text = fs::read_to_string(&recipe).unwrap().replace("include ", "include \"brc/sealed\" ");
    fs::write(&recipe, text).unwrap();
    let arguments = ["compose", recipe.to_str().unwrap(), "--arch", "x86_64", "--out", folder.to_str().unwrap()];
    let composed = brc(&arguments);
    assert!(composed.status.success(), "{}", String::from_utf8_lossy(&composed.stderr));
    assert!(!boot(&folder.join("quickstart_0.1.0_x86_64.raw"), &folder).contains("CHECK-HANDED-OVER"));
    assert!(boot(&BENCH.image, &folder).contains("CHECK-HANDED-OVER"));
}
