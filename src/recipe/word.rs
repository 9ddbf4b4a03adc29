//! The words of the language: where each belongs, and which ones later versions will read.

/// What begins a recipe at the top of a file, besides what only `brc.kdl` has.
pub(super) const TOP_LEVEL: [&str; 7] =
    ["component", "packages", "kernel", "variant", "override", "archive", "feature"];

/// What a project's `brc.kdl` says besides.
pub(super) const PROJECT: [&str; 4] = ["project", "read", "recipes", "needs-brc"];

/// What components, kernels and variants alike have.
pub(super) const COMMON: [&str; 12] =
    ["file", "tree", "link", "dir", "user", "group", "setuid", "unit", "mask", "kernel-arg", "kernel-module", "finish"];

/// What only components have.
pub(super) const COMPONENT: [&str; 19] = [
    "version",
    "license",
    "upstream",
    "patch",
    "satisfies",
    "build-with",
    "link-with",
    "same-version",
    "needs",
    "step",
    "script",
    "install",
    "drop",
    "autotools",
    "cargo",
    "cmake",
    "go",
    "kbuild",
    "meson",
];

/// What a package group has; anything else in it is a package.
pub(super) const PACKAGES: [&str; 4] = ["package", "without", "drop", "maintainer-scripts"];

/// What only kernels have.
pub(super) const KERNEL: [&str; 12] = [
    "debian",
    "upstream",
    "package",
    "initramfs",
    "drop",
    "version",
    "license",
    "config",
    "build-with",
    "patch",
    "modules",
    "module-certificate",
];

/// What a kernel that comes finished cannot have.
pub(super) const KERNEL_FROM_SOURCE: [&str; 7] =
    ["debian", "upstream", "config", "build-with", "patch", "modules", "module-certificate"];

/// What an `initramfs` has.
pub(super) const INITRAMFS: [&str; 3] = ["init", "module", "firmware"];

/// What only variants have.
pub(super) const VARIANT: [&str; 14] = [
    "version",
    "extends",
    "arch",
    "platform",
    "feature",
    "include",
    "remove",
    "kernel-arg-remove",
    "tool",
    "layout",
    "settings",
    "budget",
    "artifact",
    "override",
];

/// What may stand around the nodes of a block.
pub(super) const GUARDS: [&str; 2] = ["when", "otherwise"];

/// Nodes of which a block has one: a second one would silently win.
pub(super) const SINGLE: [&str; 11] = [
    "init",
    "version",
    "license",
    "upstream",
    "debian",
    "platform",
    "layout",
    "budget",
    "modules",
    "module-certificate",
    "satisfies",
];

/// Every property there is. One that is not here was probably meant as an argument.
pub(super) const PROPERTIES: [&str; 33] = [
    "accept-expired",
    "arch",
    "archive",
    "comment",
    "commit",
    "compress",
    "debian",
    "enable",
    "feature",
    "from",
    "fs",
    "grow",
    "home",
    "max",
    "mirror",
    "mode",
    "on",
    "only-when-named",
    "owner",
    "platform",
    "reason",
    "replaces",
    "root",
    "sha256",
    "shell",
    "size",
    "suite",
    "text",
    "to",
    "unpack",
    "variant",
    "version",
    "without",
];

/// What the upstream of a component has and that of a kernel lacks.
pub(super) const NO_KERNEL_SOURCE: [&str; 5] = ["git", "debian-source", "folder", "go-module", "crates"];

/// What is to be said about a node that only later versions read.
pub(super) fn later(word: &str) -> Option<String> {
    let what = match word {
        "oci" => "recipe sets from a registry",
        "template" => "configuration templates",
        "health" => "health checks",
        "secret" => "credentials for fetching",
        "target" => "deployment targets",
        "hardware" => "hardware profiles",
        "updates-from" => "update paths",
        "forbid-content" => "patterns of forbidden content",
        _ => return None,
    };
    Some(format!("`{word}` ({what}) is known, but this version of brc does not do it yet"))
}

/// What is to be said about a property that only later versions read.
pub(super) fn later_property(node: &str, property: &str) -> Option<String> {
    matches!((node, property), ("url", "auth") | ("layout", "generation") | ("data", "disk" | "luks"))
        .then(|| format!("`{property}=` of `{node}` is known, but this version of brc does not do it yet"))
}

/// Where a word belongs, for one that stands somewhere else.
pub(super) fn belongs(word: &str) -> Option<String> {
    let places = [
        (&TOP_LEVEL[..], "the top of a file"),
        (&PROJECT[..], "the top of `brc.kdl`"),
        (&COMPONENT[..], "a `component`"),
        (&KERNEL[..], "a `kernel`"),
        (&VARIANT[..], "a `variant`"),
        (&COMMON[..], "a `component`, `kernel` or `variant`"),
        (&["without", "maintainer-scripts"][..], "a `packages` group"),
        (&["suite", "area", "keyring"][..], "an `archive`"),
        (&["url", "git", "debian-source", "folder", "go-module", "crates"][..], "an `upstream`"),
        (&["drop-in"][..], "a `unit`"),
        (&["slot", "esp", "data"][..], "a `layout`"),
        (&INITRAMFS[..], "an `initramfs`"),
        (&["path"][..], "a `recipes` import"),
    ];
    let found: Vec<&str> = places.iter().filter(|(words, _)| words.contains(&word)).map(|(_, place)| *place).collect();
    (!found.is_empty()).then(|| found.join(" or "))
}
