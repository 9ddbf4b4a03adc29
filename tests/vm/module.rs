//! A module of somebody else, built for the image's kernel: loaded while it boots, as the last one that is; or signed,
//! and loaded at any time.

use std::{fs, path::Path};

use super::{
    bench::{BENCH, brc, folder},
    project::signed_module,
    quickstart::{answers, probe},
};

#[test]
fn modules_are_loaded_from_the_verified_root_while_it_boots_and_never_later() {
    let folder = folder("module");
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/kernel-module/kernel-module.kdl");
    let composed = brc(&["compose", recipe, "--arch", "x86_64", "--out", folder.to_str().unwrap()]);
    assert!(composed.status.success(), "{}", String::from_utf8_lossy(&composed.stderr));
    let script = "echo \"CHECK loaded: $(cut -d ' ' -f 1 /proc/modules)\"\n\
                  echo \"CHECK lockdown: $(cat /sys/kernel/security/lockdown)\"\n\
                  module=$(echo /usr/lib/modules/*/updates/hello.ko)\n\
                  rmmod hello; cp \"$module\" /var/hello.ko\n\
                  for file in /var/hello.ko \"$module\"; do\n\
                  insmod \"$file\" 2> /run/why; echo \"CHECK insmod: $? $(cat /run/why)\"\n\
                  done\n\
                  journalctl -k -o cat | while read -r line; do case $line in LoadPin:*|Lockdown:*|hello*) echo \"CHECK kernel: $line\" ;; esac; done\n\
                  echo CHECK-END\n";
    let image = folder.join("kernel-module_0.1.0_x86_64.raw");
    assert!(Path::new(&image).is_file(), "{:?}", fs::read_dir(&folder).unwrap().collect::<Vec<_>>());
    let serial = BENCH.boot(&image, "CHECK-END", &probe(&folder, script));
    println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
    let said = answers(&serial, "kernel");
    assert_eq!(said.iter().filter(|line| **line == "hello from a module").count(), 1, "{said:?}");
    assert_eq!(answers(&serial, "loaded"), ["hello"]);
    assert_eq!(answers(&serial, "lockdown"), ["none [integrity] confidentiality"]);
    let refused = answers(&serial, "insmod");
    assert!(refused.len() == 2 && refused.iter().all(|answer| !answer.starts_with("0 ")), "{refused:?}");
}

#[test]
fn a_signed_module_is_loaded_at_any_time_from_anywhere_and_no_other_is() {
    let folder = folder("signed-module");
    let recipe = signed_module(&folder);
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signing");
    let recipe = recipe.to_str().unwrap();
    let compose = |more: &[&str]| {
        brc(&[&["compose", recipe, "--arch", "x86_64", "--out", folder.to_str().unwrap()], more].concat())
    };
    let composed = compose(&["--signing-key", &format!("{data}/modules.key")]);
    assert!(composed.status.success(), "{}", String::from_utf8_lossy(&composed.stderr));
    let image = folder.join("kernel-module_0.1.0_x86_64.raw");
    let first = fs::read(&image).unwrap();
    let again = compose(&["--image-version", "0.1.0"]);
    assert!(again.status.success(), "what is signed needs no key: {}", String::from_utf8_lossy(&again.stderr));
    assert!(fs::read(&image).unwrap() == first, "another image");
    let script = "echo \"CHECK lockdown: $(cat /sys/kernel/security/lockdown)\"\n\
                  module=$(echo /usr/lib/modules/*/updates/hello.ko)\n\
                  cp \"$module\" /var/signed.ko\n\
                  head -c -1 \"$module\" > /var/unsigned.ko\n\
                  { head -c 1000 \"$module\"; printf x; tail -c +1002 \"$module\"; } > /var/changed.ko\n\
                  for file in /var/unsigned.ko /var/changed.ko /var/signed.ko; do\n\
                  insmod \"$file\" 2> /run/why; echo \"CHECK insmod: $? $(cat /run/why)\"\n\
                  done\n\
                  journalctl -k -o cat | while read -r line; do case $line in hello*|Loading*) echo \"CHECK kernel: $line\" ;; esac; done\n\
                  echo CHECK-END\n";
    let serial = BENCH.boot(&image, "CHECK-END", &probe(&folder, script));
    println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
    assert_eq!(answers(&serial, "lockdown"), ["none [integrity] confidentiality"]);
    let tried = answers(&serial, "insmod");
    let was_loaded: Vec<bool> = tried.iter().map(|answer| answer.starts_with('0')).collect();
    assert_eq!(was_loaded, [false, false, true], "{tried:?}");
    let said = answers(&serial, "kernel");
    assert_eq!(said.iter().filter(|line| **line == "hello from a module").count(), 1, "{said:?}");
}
