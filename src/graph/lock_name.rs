//! What the lock calls what is wanted of it.

use super::flat::{Flat, FlatToolset, Serves};
use crate::{
    lock::SourceId,
    recipe::{DebianUpstream, Name},
};

/// What the lock calls the closure of an image.
pub fn image_closure(flat: &Flat) -> String {
    format!("variant {}", flat.name.value)
}

/// What the lock calls the closure of a tool set.
pub fn tool_closure(name: &Name, toolset: &FlatToolset) -> String {
    match toolset.serves {
        Serves::EveryTarget => format!("tool {name}"),
        Serves::Only(target) => format!("tool {name} for {}", target.name()),
    }
}

/// What the lock calls the closure that a component is linked with.
pub fn sysroot_closure(component: &Name) -> String {
    format!("sysroot {component}")
}

/// What the lock calls the closure that is a kernel's source package, or a finished kernel.
pub fn kernel_closure(name: &Name) -> String {
    format!("kernel {name}")
}

/// What the lock calls a Debian source package that a component wants.
pub(super) fn source_id(upstream: &DebianUpstream, version: Option<&str>) -> SourceId {
    SourceId {
        archive: upstream.archive.value.name.clone(),
        suite: upstream.suite.value.clone(),
        name: upstream.package.value.clone(),
        version: version.map(str::to_owned),
    }
}
