//! The words of the language: which block has which, with which properties, and which ones later versions read.
//!
//! Whoever reads a block matches on its enum, so that a word without a reader does not compile. What a word means
//! stands at the type that it is read into; `tests/tidy` holds both to the same words and writes the reference.

/// How often a node may stand in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// A second one would silently win, so it is refused.
    Once,
    /// They add up.
    Often,
}

/// The words of one block.
pub(super) trait Word: Copy + 'static {
    /// What has the block, with its article: `` a `component` ``.
    const PLACE: &'static str;
    /// How all of them are written.
    const TEXTS: &'static [&'static str];

    /// The word that is written so.
    fn of(text: &str) -> Option<Self>;
    /// How it is written.
    fn text(self) -> &'static str;
    /// The properties that its node may have.
    fn properties(self) -> &'static [&'static str];
    /// Whether a block has one of it at most.
    fn is_single(self) -> bool;
}

/// A block, for what is asked about all of them.
pub(super) struct Block {
    pub(super) place: &'static str,
    pub(super) words: &'static [&'static str],
    /// Those of each word.
    pub(super) properties: &'static [&'static [&'static str]],
}

macro_rules! blocks {
    ($($(#[$doc:meta])* $block:ident in $place:literal {
        $($word:ident = $text:literal, $count:ident, [$($property:literal),*];)+
    })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub(super) enum $block {
                $($word,)+
            }

            impl Word for $block {
                const PLACE: &'static str = $place;
                const TEXTS: &'static [&'static str] = &[$($text),+];

                fn of(text: &str) -> Option<Self> {
                    match text {
                        $($text => Some(Self::$word),)+
                        _ => None,
                    }
                }

                fn text(self) -> &'static str {
                    match self {
                        $(Self::$word => $text,)+
                    }
                }

                fn properties(self) -> &'static [&'static str] {
                    match self {
                        $(Self::$word => &[$($property),*],)+
                    }
                }

                fn is_single(self) -> bool {
                    let count = match self {
                        $(Self::$word => Count::$count,)+
                    };
                    count == Count::Once
                }
            }
        )+

        /// Every block there is.
        pub(super) const BLOCKS: &[Block] = &[
            $(Block { place: $place, words: $block::TEXTS, properties: &[$(&[$($property),*]),+] },)+
        ];
    };
}

blocks! {
    /// What begins a recipe at the top of a file, besides what only `brc.kdl` has.
    TopWord in "the top of a file" {
        Component = "component", Often, [];
        Packages = "packages", Often, ["archive", "suite"];
        Kernel = "kernel", Often, [];
        Variant = "variant", Often, [];
        Override = "override", Often, [];
        Archive = "archive", Often, [];
        Feature = "feature", Often, ["on"];
        Target = "target", Often, [];
    }

    /// What a project's `brc.kdl` says besides.
    ProjectWord in "the top of `brc.kdl`" {
        Project = "project", Once, [];
        Read = "read", Often, [];
        Recipes = "recipes", Often, [];
        NeedsBrc = "needs-brc", Often, [];
    }

    /// What only components have.
    ComponentWord in "a `component`" {
        Version = "version", Once, [];
        License = "license", Once, [];
        Upstream = "upstream", Once, ["sha256", "commit"];
        Patch = "patch", Often, [];
        Satisfies = "satisfies", Once, ["debian", "version"];
        BuildWith = "build-with", Often, [];
        LinkWith = "link-with", Often, [];
        SameVersion = "same-version", Often, [];
        Needs = "needs", Often, [];
        Step = "step", Often, [];
        Script = "script", Often, [];
        Install = "install", Often, ["to", "mode", "owner", "replaces"];
        Drop = "drop", Often, [];
        Autotools = "autotools", Often, [];
        Cargo = "cargo", Often, [];
        Cmake = "cmake", Often, [];
        Go = "go", Often, [];
        Kbuild = "kbuild", Often, [];
        Meson = "meson", Often, [];
    }

    /// What only kernels have.
    KernelWord in "a `kernel`" {
        Debian = "debian", Once, ["archive", "suite", "unpack"];
        Upstream = "upstream", Once, ["sha256", "commit"];
        Package = "package", Often, ["archive", "suite"];
        Initramfs = "initramfs", Often, [];
        Drop = "drop", Often, [];
        Version = "version", Once, [];
        License = "license", Once, [];
        Config = "config", Often, [];
        BuildWith = "build-with", Often, [];
        Patch = "patch", Often, [];
        Modules = "modules", Once, [];
        ModuleCertificate = "module-certificate", Once, [];
    }

    /// What only variants have.
    VariantWord in "a `variant`" {
        Version = "version", Once, [];
        Extends = "extends", Often, [];
        Arch = "arch", Often, [];
        Platform = "platform", Once, [];
        Feature = "feature", Often, ["on"];
        Include = "include", Often, [];
        Remove = "remove", Often, [];
        KernelArgumentRemove = "kernel-arg-remove", Often, [];
        Tool = "tool", Often, [];
        Layout = "layout", Once, [];
        Settings = "settings", Often, ["unknown"];
        Budget = "budget", Once, ["root"];
        Artifact = "artifact", Often, ["compress"];
        Override = "override", Often, [];
    }

    /// What components, kernels and variants alike have.
    ItemWord in "a `component`, `kernel` or `variant`" {
        File = "file", Often, ["from", "text", "mode", "owner", "replaces"];
        Tree = "tree", Often, ["to", "replaces"];
        Link = "link", Often, ["to", "replaces"];
        Directory = "dir", Often, ["mode", "owner", "replaces"];
        User = "user", Often, ["home", "shell", "comment"];
        Group = "group", Often, [];
        Setuid = "setuid", Often, ["reason"];
        Template = "template", Often, ["from", "text", "mode", "restart"];
        EmbedImage = "embed-image", Often, ["on"];
        Health = "health", Often, ["unit", "http", "command", "within"];
        Unit = "unit", Often, ["text", "enable"];
        Mask = "mask", Often, [];
        KernelArgument = "kernel-arg", Often, [];
        KernelModule = "kernel-module", Often, [];
        Finish = "finish", Often, [];
    }

    /// What a package group has; anything else in it is a package.
    PackagesWord in "a `packages` group" {
        Package = "package", Often, ["version", "suite", "without"];
        Without = "without", Often, ["reason"];
        Drop = "drop", Often, ["from"];
        MaintainerScripts = "maintainer-scripts", Often, ["reason"];
    }

    /// What an archive has.
    ArchiveWord in "an `archive`" {
        Suite = "suite", Often, ["mirror", "only-when-named", "accept-expired"];
        Area = "area", Often, [];
        Keyring = "keyring", Often, [];
    }

    /// What an upstream has.
    UpstreamWord in "an `upstream`" {
        Url = "url", Often, ["sha256", "unpack"];
        Git = "git", Often, ["commit"];
        DebianSource = "debian-source", Often, ["archive", "suite"];
        Folder = "folder", Often, [];
        GoModule = "go-module", Often, ["version"];
        Crates = "crates", Often, [];
    }

    /// What a unit has.
    UnitWord in "a `unit`" {
        DropIn = "drop-in", Often, ["from", "text"];
    }

    /// What a user has.
    UserWord in "a `user`" {
        Group = "group", Often, [];
    }

    /// What commands over the merged tree have.
    FinishWord in "a `finish`" {
        Step = "step", Often, [];
        Script = "script", Often, [];
        BuildWith = "build-with", Often, [];
    }

    /// What anything has that comes to stand at a path.
    PlacedWord in "a `file`, `tree`, `link`, `dir` or `install`" {
        Replaces = "replaces", Often, [];
    }

    /// What a layout has.
    LayoutWord in "a `layout`" {
        Slot = "slot", Once, ["max"];
        Esp = "esp", Once, ["size"];
        Data = "data", Once, ["fs", "grow", "disk", "size"];
    }

    /// What a target has.
    TargetWord in "a `target`" {
        Aws = "aws", Once, [];
    }

    /// What a target at AWS has.
    AwsWord in "the `aws` of a `target`" {
        Regions = "regions", Once, [];
        Role = "role", Once, [];
        Share = "share", Often, ["account", "organization", "unit"];
        Encrypt = "encrypt", Once, ["kms-key"];
        Ssm = "ssm", Often, [];
        HopLimit = "hop-limit", Once, [];
        Keep = "keep", Once, [];
        DeprecateAfter = "deprecate-after", Once, ["days"];
        DataVolume = "data-volume", Once, ["size"];
        Instance = "instance", Once, ["subnet", "security-group", "profile"];
    }

    /// What an initramfs has.
    InitramfsWord in "an `initramfs`" {
        Init = "init", Once, [];
        Module = "module", Often, [];
        Firmware = "firmware", Often, [];
    }

    /// What the import of a recipe set has.
    ImportWord in "a `recipes` import" {
        Path = "path", Once, [];
        Git = "git", Once, ["tag", "branch", "commit"];
        Oci = "oci", Once, ["tag", "digest"];
    }

    /// What a developer says of a component.
    CheckoutWord in "a `component` in `brc.local.kdl`" {
        Source = "source", Once, [];
    }

    /// What may stand around the nodes of a block.
    GuardWord in "the block of a `component`, `packages` group, `kernel` or `variant`" {
        When = "when", Often, ["arch", "execution", "platform", "feature", "variant"];
        Otherwise = "otherwise", Often, [];
    }
}

/// Whether some node has such a property. One that none has was probably meant as an argument.
pub(super) fn is_property(name: &str) -> bool {
    BLOCKS.iter().flat_map(|block| block.properties).any(|properties| properties.contains(&name))
}

/// Where a word belongs, for one that stands somewhere else.
pub(super) fn belongs(word: &str) -> Option<String> {
    let found: Vec<&str> = BLOCKS.iter().filter(|block| block.words.contains(&word)).map(|block| block.place).collect();
    (!found.is_empty()).then(|| found.join(" or "))
}

/// What is to be said about a node that only later versions read.
pub(super) fn later(word: &str) -> Option<String> {
    let what = match word {
        "secret" => "credentials for fetching",
        "hardware" => "hardware profiles",
        "updates-from" => "update paths",
        "forbid-content" => "patterns of forbidden content",
        _ => return None,
    };
    Some(format!("`{word}` ({what}) is known, but this version of brc does not do it yet"))
}

/// What is to be said about a property that only later versions read.
pub(super) fn later_property(node: &str, property: &str) -> Option<String> {
    matches!((node, property), ("url", "auth") | ("layout", "generation") | ("data", "luks"))
        .then(|| format!("`{property}=` of `{node}` is known, but this version of brc does not do it yet"))
}
