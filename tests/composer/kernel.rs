//! The kernel's configuration: every platform on every architecture, what Kconfig drops, and what `brc kernel` says.
//! Nothing here compiles a kernel.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use brc::recipe::read_fragment;
use serde_json::Value;

use crate::support::project::{Ran, brc, folder, repository, text};

const PLATFORMS: [&str; 4] = ["qemu", "aws", "vmware", "metal"];
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// A project with one variant for each platform, and nothing in it but a kernel; more of it in `own`.
fn project(name: &str, own: &str) -> PathBuf {
    let folder = folder(name);
    let import = format!("project \"kernels\"\nrecipes \"brc\" {{ path {:?} }}\n", repository().to_str().unwrap());
    fs::write(folder.join("brc.kdl"), import).unwrap();
    fs::copy(repository().join("examples/quickstart/brc.lock"), folder.join("brc.lock")).unwrap();
    let tools = r#"
        tool "root-filesystem" "brc/erofs-tools"
        tool "finish" "brc/finish-tools"
        tool "boot-loader" "brc/systemd-boot"
        tool "machine" "brc/qemu""#;
    let variant = |platform: &str| {
        let arch = ARCHITECTURES.map(|arch| format!("{arch:?}")).join(" ");
        format!(
            "variant {platform:?} {{\nversion \"1\"\narch {arch}\nplatform {platform:?}\ninclude \"brc/linux-6.12\"{tools}\n{own}\n}}\n"
        )
    };
    let recipe = folder.join("kernels.kdl");
    fs::write(&recipe, PLATFORMS.map(variant).concat()).unwrap();
    recipe
}

/// The exit code of `brc kernel config`, and what it says to people.
fn told(recipe: &Path, arch: &str) -> (Option<i32>, String) {
    let ran = brc().args(["kernel", "config", "--variant", "qemu", "--arch", arch]).arg(recipe).output().unwrap();
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn every_platform_has_a_configuration_on_every_architecture() {
    let recipe = project("kernel-platforms", "");
    for platform in PLATFORMS {
        let arch = ARCHITECTURES.join(",");
        let ran = Ran::well(brc().args(["kernel", "config", "--variant", platform, "--arch", &arch]).arg(&recipe));
        let configured: Vec<&Value> = ran.of("kernel-config").collect();
        assert_eq!(configured.len(), ARCHITECTURES.len());
        for (config, arch) in configured.into_iter().zip(ARCHITECTURES) {
            assert_eq!(text(config, "image"), format!("brc/linux-6.12 ({platform} {arch})"));
            let options = config["options"].as_array().unwrap();
            for option in options {
                let wanted = option["wanted"].as_array().unwrap().last().unwrap();
                assert_eq!(option["value"], wanted["value"], "{platform} {arch} {option}");
            }
            // Whatever the platform, it finds its root, and EFI starts it.
            for name in ["DM_VERITY", "DM_INIT", "EROFS_FS_ZIP_ZSTD", "EFI_STUB", "EFIVAR_FS", "SECURITY_LOCKDOWN_LSM"]
            {
                assert!(options.iter().any(|option| option["option"] == name), "{platform} {arch} {name}");
            }
        }
    }
}

#[test]
fn an_option_that_kconfig_drops_is_named_on_each_architecture() {
    let own = "override \"brc/linux-6.12\" { config \"own.config\" }";
    let recipe = project("kernel-dropped", own);
    let fragment = "CONFIG_SMP=y\nCONFIG_NO_SUCH_OPTION=y\nCONFIG_KVM_INTEL=y\nCONFIG_ARM64_PTR_AUTH_KERNEL=y\n";
    fs::write(recipe.with_file_name("own.config"), fragment).unwrap();
    let dropped = [("x86_64", ["KVM_INTEL", "ARM64_PTR_AUTH_KERNEL"]), ("aarch64", ["KVM_INTEL", "NO_SUCH_OPTION"])];
    for (arch, names) in dropped {
        let (code, talk) = told(&recipe, arch);
        assert_eq!(code, Some(1), "{arch}\n{talk}");
        for name in names.into_iter().chain(["NO_SUCH_OPTION"]) {
            let line = 1 + fragment.lines().position(|line| line.contains(name)).unwrap();
            let message = format!("CONFIG_{name}=y is wanted by own.config:{line} and is n");
            assert!(talk.contains(&message), "{arch}: expected `{message}` in\n{talk}");
        }
    }
}

#[test]
fn a_certificate_for_modules_and_a_kernel_that_trusts_it_come_together() {
    let certificate = "override \"brc/linux-6.12\" { module-certificate \"modules.pem\" }";
    let recipe = project("kernel-signed", &format!("feature \"signed-modules\" on=#true\n{certificate}"));
    let pem = repository().join("tests/data/signing/modules.pem");
    fs::copy(&pem, recipe.with_file_name("modules.pem")).unwrap();
    let mut command = brc();
    command.args(["kernel", "config", "--variant", "qemu", "--arch", &ARCHITECTURES.join(",")]);
    let ran = Ran::well(command.arg(&recipe));
    assert_eq!(ran.of("kernel-config").count(), ARCHITECTURES.len());
    for kernel in ran.of("kernel-config") {
        let options = kernel["options"].as_array().unwrap();
        let find = |name: &str| options.iter().find(|option| option["option"] == name).unwrap_or(&Value::Null);
        for (name, value) in [
            ("MODULES", "y"),
            ("MODULE_SIG_FORCE", "y"),
            ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "y"),
            ("MODULE_SIG_KEY", "\"\""),
            ("MODULE_SIG_ALL", "n"),
            ("SYSTEM_TRUSTED_KEYS", "\"/certificates/modules.pem\""),
        ] {
            assert_eq!(find(name)["value"], value, "{name}");
        }
    }

    // The one without the other: a kernel that trusts nobody, and a certificate that nobody trusts.
    let feature = "feature \"signed-modules\" on=#true";
    for (own, message, next) in [
        (
            feature,
            "CONFIG_SYSTEM_TRUSTED_KEYS names `/certificates/modules.pem`, and nothing is there",
            "state `module",
        ),
        (certificate, "the kernel has a `module-certificate`, and does not trust it", "turn on the feature `signed-"),
    ] {
        let recipe = project("kernel-half-signed", own);
        fs::copy(&pem, recipe.with_file_name("modules.pem")).unwrap();
        let (code, talk) = told(&recipe, "x86_64");
        assert_eq!(code, Some(1), "{talk}");
        assert!(talk.contains(message) && talk.contains(&format!("help: {next}")), "{message}\n{talk}");
    }
}

#[test]
fn a_line_that_kconfig_would_pass_over_is_a_mistake() {
    let recipe = project("kernel-unread", "override \"brc/linux-6.12\" { config \"own.config\" }");
    let fragment = recipe.with_file_name("own.config");
    // As an editor of another system leaves them, too.
    let read = ["# words alone", "# CONFIG_SMP=y", "CONFIG_SMP=y \t", "CONFIG_SMP=y\r", "# CONFIG_DRM is not set\r"];
    for (lines, wrong) in [(&read[..], false), (&["CONFIG_SMP = y", "# CONFIG_SMP is not set ", "SMP=y"], true)] {
        fs::write(&fragment, format!("# words\n\n{}\n", lines.join("\n"))).unwrap();
        let (code, talk) = told(&recipe, "x86_64");
        assert_eq!(code, Some(i32::from(wrong)), "{lines:?}\n{talk}");
        for (line, number) in lines.iter().zip(3..) {
            let message = format!("own.config:{number}: `{line}` says nothing");
            assert_eq!(talk.contains(&message), wrong, "{line}\n{talk}");
        }
    }
}

#[test]
fn the_page_about_hardening_says_what_the_kernels_have_and_why() {
    let recipe = project("kernel-hardening", "");
    let mut command = brc();
    command.args(["kernel", "config", "--all", "--variant", "qemu", "--arch", &ARCHITECTURES.join(",")]);
    let ran = Ran::well(command.arg(&recipe));
    let kernels: Vec<BTreeMap<&str, &str>> = ran
        .of("kernel-config")
        .map(|kernel| {
            let options = kernel["options"].as_array().unwrap();
            options.iter().map(|option| (text(option, "option"), text(option, "value"))).collect()
        })
        .collect();
    let page = fs::read_to_string(repository().join("docs/reference/kernel-hardening.md")).unwrap();
    let mut told = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [option, recommended, ours @ .., reason] = &cells[..] else { panic!("{line}") };
        assert_eq!(ours.len(), ARCHITECTURES.len(), "{line}");
        for (kernel, said) in kernels.iter().zip(ours).filter(|(_, said)| !said.is_empty()) {
            assert_eq!(kernel.get(option).unwrap_or(&"n"), said, "{line}");
            assert!(said == recommended || !reason.is_empty(), "a difference without a reason: {line}");
        }
        told.insert(*option);
    }
    let fragment = fs::read_to_string(repository().join("kernel-configs/hardening.config")).unwrap();
    for line in read_fragment(&fragment) {
        assert!(told.contains(line.option.as_str()), "the page says nothing about {}", line.option);
    }
    assert!(told.len() > 100, "{}", told.len());
}

#[test]
fn two_kernels_are_compared_option_by_option() {
    let recipe = project("kernel-diff", "");
    let ran = Ran::well(brc().args(["kernel", "diff", "--variant", "qemu,aws", "--arch", "x86_64"]).arg(&recipe));
    let diff = ran.of("kernel-diff").next().unwrap();
    assert_eq!(text(diff, "left"), "brc/linux-6.12 (qemu x86_64)");
    assert_eq!(text(diff, "right"), "brc/linux-6.12 (aws x86_64)");
    let options = diff["options"].as_array().unwrap();
    let find = |name: &str| options.iter().find(|option| option["option"] == name);
    let ena = find("ENA_ETHERNET").expect("the network of EC2");
    assert_eq!((&ena["left"]["value"], &ena["right"]["value"]), (&"n".into(), &"y".into()));
    assert!(ena["right"]["wanted"][0]["at"].as_str().unwrap().contains("platform/aws.config:"));
    assert!(find("DM_VERITY").is_none(), "it is the same in both");

    let same = Ran::new(brc().args(["kernel", "diff", "--variant", "qemu", "--arch", "x86_64"]).arg(&recipe));
    assert_eq!(same.output.status.code(), Some(2));
    let two = Ran::well(brc().args(["kernel", "diff", "--variant", "qemu"]).arg(&recipe));
    assert_eq!(text(two.of("kernel-diff").next().unwrap(), "right"), "brc/linux-6.12 (qemu aarch64)");
}
