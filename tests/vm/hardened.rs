//! The quickstart with a kernel from source, without modules and initramfs, keeps every promise of the quickstart.

use brc_contract::Architecture;

use super::{bench::Bench, quickstart::boots_verified_and_runs_a_container};

#[test]
fn the_hardened_images_boot_verified_and_run_a_container() {
    for architecture in Architecture::ALL {
        let name = format!("hardened-{}", architecture.name());
        boots_verified_and_runs_a_container(&Bench::new("hardened", architecture), &name, 1);
    }
}
