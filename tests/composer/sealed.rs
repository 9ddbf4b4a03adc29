//! Who may hand something to a machine while it starts, by platform.

use std::fs;

use crate::support::project::{Ran, brc, folder, repository, text};

#[test]
fn only_images_for_qemu_take_credentials_unless_a_variant_says_otherwise() {
    let folder = folder("sealed-platforms");
    let import = format!("project \"p\"\nrecipes \"brc\" {{ path {:?} }}\n", repository().to_str().unwrap());
    fs::write(folder.join("brc.kdl"), import).unwrap();
    let recipe = folder.join("p.kdl");
    for (platform, more, sealed) in [
        ("qemu", "", false),
        ("aws", "", true),
        ("vmware", "", true),
        ("metal", "", true),
        ("qemu", "include \"brc/sealed\"", true),
        ("aws", "remove \"brc/sealed\"", false),
    ] {
        let variant =
            format!("variant \"v\" {{\nversion \"1\"\nextends \"brc/base\"\nplatform {platform:?}\n{more}\n}}\n");
        fs::write(&recipe, variant).unwrap();
        let ran = Ran::well(brc().args(["show", "--arch", "x86_64"]).arg(&recipe));
        let values = ran.events[0]["values"].as_array().unwrap();
        let says = |value: &str| values.iter().any(|line| text(line, "value").contains(value));
        assert_eq!(says("systemd.import_credentials=no"), sealed, "{platform} {more}");
        assert_eq!(says("/etc/systemd/system-generators/systemd-debug-generator"), sealed, "{platform} {more}");
    }
}
