//! A module of somebody else: built for the image's kernel, loaded while it boots, and the last one that is.

use std::{fs, path::Path};

use super::{
    bench::{BENCH, brc, folder},
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
