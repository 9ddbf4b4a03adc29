//! A kernel from source, small enough to be compiled whenever the tests run: it finds its verified root by itself.

use std::fs;

use super::bench::{BENCH, brc, folder};

#[test]
fn a_kernel_from_source_mounts_its_verified_root_without_an_initramfs() {
    let folder = folder("small-kernel");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small-kernel");
    for name in ["brc.kdl", "small-kernel.kdl", "small.config"] {
        let text = fs::read_to_string(format!("{data}/{name}")).unwrap();
        let import = format!("path {:?}", env!("CARGO_MANIFEST_DIR"));
        fs::write(folder.join(name), text.replace("path \"../../..\"", &import)).unwrap();
    }
    let recipe = folder.join("small-kernel.kdl");
    let (recipe, out) = (recipe.to_str().unwrap(), folder.to_str().unwrap());
    let composed = brc(&["compose", recipe, "--arch", "x86_64", "--out", out]);
    assert!(composed.status.success(), "{}", String::from_utf8_lossy(&composed.stderr));
    let image = folder.join("small-kernel_1_x86_64.raw");
    let serial = BENCH.boot(&image, "small kernel: end", &[]);
    let said: Vec<&str> =
        serial.lines().filter_map(|line| line.strip_prefix("small kernel: ")).map(str::trim).collect();
    println!("{}", said.join("\n"));
    let [kernel, device, _] = said.as_slice() else { panic!("{serial}") };
    assert!(kernel.starts_with("6.12.") && kernel.contains("-small /dev/root / erofs ro"), "{kernel}");
    assert_eq!(*device, "root 1", "the device mapper's device, and it is read-only");
}
