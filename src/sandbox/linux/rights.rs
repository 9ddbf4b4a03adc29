//! Limits on resources, and giving up rights.

use std::{fs, io};

use landlock::{CompatLevel, Compatible as _, Ruleset, RulesetAttr, Scope};
use rustix::{
    process::{Resource, Rlimit},
    thread::{CapabilitySet, CapabilitySets},
};

/// What user 0 keeps: to be hindered neither by the modes of files nor by their owner, which is always itself, and
/// to change the root (`dpkg --root`). All of it counts for files of the one mapped user only.
const ROOT_KEEPS: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SYS_CHROOT);

/// How much sooner than others the processes of a sandbox are killed when the machine is out of memory, of 1000
/// (`oom_score_adj`, proc(5)): a build can be run again.
const KILLED_SOONER: &str = "500";

/// Sets limits, each as far as the host's hard limit allows. They are low enough for any host to allow them, as programs
/// can read them.
pub(super) fn limit() {
    let limits = [
        (Resource::Core, 0, 0),
        (Resource::Nofile, 1024, 16_384),
        (Resource::Nproc, 32_768, 32_768),
        (Resource::Stack, 8 << 20, 64 << 20),
        (Resource::Memlock, 64 << 10, 64 << 10),
        (Resource::Sigpending, 4096, 4096),
        (Resource::Msgqueue, 819_200, 819_200),
    ];
    for (resource, soft, hard) in limits {
        let hard = rustix::process::getrlimit(resource).maximum.map_or(hard, |host| host.min(hard));
        let limit = Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) };
        // Lowering a limit cannot be refused.
        rustix::process::setrlimit(resource, limit).unwrap_or_default();
    }
}

/// Offers this process and its children to the kernel when memory runs out. To be called while the host's `/proc` is
/// there.
pub(super) fn be_killed_sooner() {
    // Where the host has set more than that already, it cannot be taken back.
    fs::write("/proc/self/oom_score_adj", KILLED_SOONER).unwrap_or_default();
}

/// Gives up every capability of this process.
pub(super) fn drop_all() -> io::Result<()> {
    set_capabilities(CapabilitySet::empty())
}

/// Gives up what a command must not have: capabilities, new privileges, reaching out by signals and abstract
/// sockets.
pub(super) fn give_up(uid: u32) -> io::Result<()> {
    let kept = if uid == 0 { ROOT_KEEPS } else { CapabilitySet::empty() };
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // The kernel has no more capabilities.
            Err(rustix::io::Errno::INVAL) => break,
            other => other?,
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    set_capabilities(kept)?;
    rustix::thread::set_no_new_privs(true)?;
    // Best effort: an older kernel has no such scopes. In a network name space of its own a sandbox reaches no
    // abstract socket anyway.
    let scoped = Ruleset::default()
        .scope(Scope::AbstractUnixSocket)
        .and_then(|rules| rules.scope(Scope::Signal))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self());
    drop(scoped);
    Ok(())
}

/// Whether the kernel keeps signals and abstract sockets of a command inside (Landlock of Linux 6.12).
pub fn has_scopes() -> bool {
    let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let scoped = strict.scope(Scope::AbstractUnixSocket).and_then(|rules| rules.scope(Scope::Signal));
    scoped.and_then(|rules| rules.create()).is_ok()
}

fn set_capabilities(kept: CapabilitySet) -> io::Result<()> {
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(Into::into)
}
