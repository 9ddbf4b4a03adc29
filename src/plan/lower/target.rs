//! What follows from the target for everything that is built: compilers, flags, where libraries are.

use std::collections::BTreeMap;

use brc_contract::Architecture;

use super::command::environment;
use crate::{
    graph::{BuildStep, Component, FetchedWhat, Image},
    recipe::BuildSystem,
};

/// Where a component is built; a name that nothing else has, so that it can be looked for in what was built.
pub(super) const BUILD_FOLDER: &str = "brc-build";
/// Where go keeps what it compiled: below `HOME`, and not in the source, whose files may be embedded or copied.
pub(super) const GO_CACHE: &str = "build/go-cache";
/// How go compiles everything.
pub(super) const GO_FLAGS: &str = "-trimpath -buildvcs=false -buildmode=pie";
/// Where what it is linked with lies.
pub(super) const SYSROOT: &str = "sysroot";

/// Hardening that costs little and that every build gets.
const FLAGS: &str = "-O2 -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=3 \
                     -Wformat -Werror=format-security";
/// Read-only relocations, bound at start; only what is used is linked.
const LINK_FLAGS: &str = "-Wl,-z,relro,-z,now -Wl,--as-needed";

/// The environment of a component's steps.
pub(super) fn build_environment(image: &Image, component: &Component, jobs: u32) -> BTreeMap<String, String> {
    let (target, execution) = (image.architecture, image.execution);
    let triplet = target.gnu();
    let rust = format!("{}-unknown-linux-gnu", target.name());
    let libraries =
        format!("/sysroot/usr/lib/{triplet}/pkgconfig:/sysroot/usr/lib/pkgconfig:/sysroot/usr/share/pkgconfig");
    let flags = format!("{FLAGS} -ffile-prefix-map=/{BUILD_FOLDER}=. {}", branch_protection(target));
    let cargo_linker = format!("CARGO_TARGET_{}_LINKER", rust.to_uppercase().replace('-', "_"));
    let words = |text: &str| text.to_owned();
    let mut environment = environment(image);
    environment.extend([
        (words("version"), component.version.clone()),
        (words("jobs"), jobs.to_string()),
        (words("triplet"), words(triplet)),
        (words("execution_triplet"), words(execution.gnu())),
        (words("AR"), format!("{triplet}-ar")),
        (words("NM"), format!("{triplet}-nm")),
        (words("RANLIB"), format!("{triplet}-ranlib")),
        (words("STRIP"), format!("{triplet}-strip")),
        (words("OBJCOPY"), format!("{triplet}-objcopy")),
        (words("CC"), format!("{triplet}-gcc --sysroot=/{SYSROOT}")),
        (words("CXX"), format!("{triplet}-g++ --sysroot=/{SYSROOT}")),
        (words("CC_FOR_BUILD"), words("gcc")),
        (words("CFLAGS"), flags.clone()),
        (words("CXXFLAGS"), flags.clone()),
        (words("LDFLAGS"), words(LINK_FLAGS)),
        (words("PKG_CONFIG_SYSROOT_DIR"), format!("/{SYSROOT}")),
        (words("PKG_CONFIG_LIBDIR"), libraries),
        // Rust: the target is always named, so that build scripts stay out of what follows.
        (words("CARGO_BUILD_TARGET"), rust.clone()),
        (words("CARGO_TARGET_DIR"), format!("/{BUILD_FOLDER}/target")),
        (words("CARGO_INCREMENTAL"), words("0")),
        (cargo_linker, format!("{triplet}-gcc")),
        (words("RUSTFLAGS"), rust_flags(target, execution, &rust)),
        // Go: the locked toolchain and the locked modules, nothing from anywhere else.
        (words("GOOS"), words("linux")),
        (words("GOARCH"), words(target.debian())),
        (words("GOTOOLCHAIN"), words("local")),
        (words("GOPATH"), words("/tmp/go")),
        (words("GOCACHE"), format!("/{GO_CACHE}")),
        (words("GOFLAGS"), go_flags(component)),
        // As modules are locked: a workspace says what is developed together, not what a module is built with.
        (words("GOWORK"), words("off")),
        (words("CGO_ENABLED"), words("1")),
        (words("GOPROXY"), words("file:///vendor/go")),
        (words("GOSUMDB"), words("off")),
        (words("GOTELEMETRY"), words("off")),
        (words("CGO_CFLAGS"), flags),
        (words("CGO_LDFLAGS"), words(LINK_FLAGS)),
    ]);
    environment
}

/// The version of the image's glibc: `2.41-12` is 2.41.
pub(super) fn glibc_version(image: &Image) -> Option<(u32, u32)> {
    let version = &image.packages.iter().find(|package| package.name == "libc6")?.version;
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Control-flow protection, which each architecture spells in its own way.
const fn branch_protection(target: Architecture) -> &'static str {
    match target {
        Architecture::X86_64 => "-fcf-protection",
        Architecture::Aarch64 => "-mbranch-protection=standard",
    }
}

fn rust_flags(target: Architecture, execution: Architecture, rust: &str) -> String {
    let mut flags = format!(
        "-Clink-arg=--sysroot=/{SYSROOT} -Clink-arg=-Wl,-z,relro,-z,now --remap-path-prefix=/{BUILD_FOLDER}=. \
         --remap-path-prefix=/vendor/crates=crates"
    );
    // The compiler brings the standard library of its own architecture; the target's lies among what is linked.
    if target != execution {
        flags.push_str(&format!(" -L/{SYSROOT}/usr/lib/rustlib/{rust}/lib"));
    }
    flags
}

/// Locked modules are the only ones. Where none are locked, go's own rule holds: `vendor` is used where it is there.
fn go_flags(component: &Component) -> String {
    format!("{GO_FLAGS}{}", if has_locked_go_modules(component) { " -mod=readonly" } else { "" })
}

/// Whether the lock names the modules that a component is built with.
pub(super) fn has_locked_go_modules(component: &Component) -> bool {
    let languages = component.recipe.as_ref().and_then(|recipe| recipe.upstream.as_ref()?.languages.as_ref());
    languages.is_some_and(|set| matches!(set.what, FetchedWhat::GoModules { .. }))
}

/// The shell fragment of a build system; its arguments are `"$@"`.
const fn fragment(system: BuildSystem) -> &'static str {
    match system {
        BuildSystem::Autotools => include_str!("steps/autotools.sh"),
        BuildSystem::Cargo => concat!(include_str!("steps/cargo-home.sh"), include_str!("steps/cargo.sh")),
        BuildSystem::Cmake => include_str!("steps/cmake.sh"),
        BuildSystem::Go => include_str!("steps/go.sh"),
        BuildSystem::Kbuild => include_str!("steps/kbuild.sh"),
        BuildSystem::Meson => include_str!("steps/meson.sh"),
    }
}

/// One step as shell. A build system runs in a shell of its own, so that what it sets does not reach other steps.
pub(super) fn shell_of(step: &BuildStep) -> String {
    match step {
        BuildStep::Shell(text) => format!("{text}\n"),
        BuildStep::System { system, arguments } => {
            let arguments: String = arguments.iter().map(|argument| format!(" {}", quoted(argument))).collect();
            format!("(\nset --{arguments}\n{})\n", fragment(*system))
        }
    }
}

/// A word as the shell reads it back unchanged.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
