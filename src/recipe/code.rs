//! The kinds of mistakes in recipes, of all rooms, each with a bad recipe in `tests/data/bad`.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)*) => {
        /// What kind of mistake a [`super::Diagnostic`] tells of.
        ///
        /// Stable: tools may rely on the text. `docs/reference/diagnostics.md` is written from these comments.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The code as users see it, in kebab case: `unknown-node`.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                }
            }
        }
    };
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

codes! {
    // What the text itself has wrong.
    /// The text is not KDL, in a way that has no code of its own.
    Syntax = "syntax",
    /// A string has no end.
    UnterminatedString = "unterminated-string",
    /// A comment has no end.
    UnterminatedComment = "unterminated-comment",
    /// A `{` has no `}`.
    UnclosedBlock = "unclosed-block",
    /// A `}` has no `{`.
    StrayBrace = "stray-brace",
    /// A backslash in a string stands before a letter that means nothing there.
    UnknownEscape = "unknown-escape",
    /// `r"…"` is a raw string of KDL 1.
    OldRawString = "old-raw-string",
    /// `true`, `false` and `null` have a `#` in KDL 2.
    BareBoolean = "bare-boolean",
    /// `!=` is none of KDL's marks.
    NotEquals = "not-equals",
    /// A number begins with a zero that means nothing in KDL.
    LeadingZero = "leading-zero",
    /// A value begins with a digit, is no number, and has no quotes.
    UnquotedValue = "unquoted-value",
    /// A path has no quotes.
    UnquotedPath = "unquoted-path",
    /// Braces that are to be filled have no quotes around them.
    UnquotedBraces = "unquoted-braces",
    /// A file is not UTF-8.
    NotUtf8 = "not-utf8",
    /// A file is larger than 1 MiB, or a project has too many of them.
    TooLarge = "too-large",
    /// Blocks, or what is commented out, stand too deep inside each other.
    TooDeep = "too-deep",
    /// A file has more than 100,000 nodes.
    TooManyNodes = "too-many-nodes",
    /// A value or node has a type in front of it: `(t)`.
    TypeAnnotation = "type-annotation",

    // Words and values of nodes.
    /// A block has no such node.
    UnknownNode = "unknown-node",
    /// A node belongs into another block, or into another file.
    MisplacedNode = "misplaced-node",
    /// This version of brc knows the word and does not do it yet.
    NotYet = "not-yet",
    /// A node has no such property.
    UnknownProperty = "unknown-property",
    /// A property stands twice at a node, and KDL would forget the first.
    RepeatedProperty = "repeated-property",
    /// A node stands twice where a block has one.
    RepeatedNode = "repeated-node",
    /// An upstream has more than one source, or a recipe set more than one place.
    SeveralSources = "several-sources",
    /// An argument with a `=` in it was written without quotes.
    PropertyForArgument = "property-for-argument",
    /// A node lacks an argument.
    MissingArgument = "missing-argument",
    /// A node lacks a property.
    MissingProperty = "missing-property",
    /// A block lacks a node, or a node its block.
    MissingNode = "missing-node",
    /// A node has more arguments than it takes.
    ExtraArgument = "extra-argument",
    /// A node has a block and takes none.
    UnexpectedBlock = "unexpected-block",
    /// A value is of another type than is wanted.
    WrongType = "wrong-type",
    /// A number stands where a text is wanted.
    NumberForText = "number-for-text",
    /// A mode is written as a decimal number.
    DecimalMode = "decimal-mode",
    /// A value is none of those that are possible.
    BadValue = "bad-value",
    /// A name has letters, or a length, that it cannot have.
    BadName = "bad-name",
    /// A version has letters, or a length, that it cannot have.
    BadVersion = "bad-version",
    /// A licence is not an SPDX expression.
    BadLicense = "bad-license",
    /// A path is none, or leads where it cannot.
    BadPath = "bad-path",
    /// A pattern is none.
    BadGlob = "bad-glob",
    /// A URL is none that brc fetches.
    BadUrl = "bad-url",
    /// A digest or commit is none.
    BadDigest = "bad-digest",
    /// A size is none.
    BadSize = "bad-size",
    /// Braces are open, or hold an unknown name.
    BadTemplate = "bad-template",
    /// Braces stand where none are filled.
    BracesNotFilled = "braces-not-filled",
    /// A file has its content from two places.
    ContentTwice = "content-twice",
    /// A path lies where the running machine mounts something over it.
    HiddenPath = "hidden-path",
    /// A word of the kernel's command line is brc's own to say.
    ReservedArgument = "reserved-argument",

    // Conditions.
    /// A condition cannot be read.
    BadCondition = "bad-condition",
    /// An `otherwise` does not follow a `when`.
    OtherwiseWithoutWhen = "otherwise-without-when",
    /// A node that conditions ask about stands in a condition.
    Unconditional = "unconditional",
    /// Nothing declares a feature.
    UnknownFeature = "unknown-feature",
    /// A condition can never hold.
    Unreachable = "unreachable",

    // Between recipes.
    /// Two things have one name.
    DuplicateName = "duplicate-name",
    /// Nothing has the name.
    UnknownName = "unknown-name",
    /// Several recipe sets have the name.
    AmbiguousName = "ambiguous-name",
    /// The name is that of another kind of thing.
    WrongKind = "wrong-kind",
    /// Things lean on each other in a circle.
    Cycle = "cycle",
    /// An override changes nothing.
    OverrideWithoutChange = "override-without-change",
    /// Pods of a target's instances cannot ask the metadata service.
    OneHop = "one-hop",
    /// The sizes of a layout cannot be together.
    ImpossibleLayout = "impossible-layout",

    // Files and sets.
    /// A file or folder beside the recipes is not there.
    MissingFile = "missing-file",
    /// A path leads out of the folder of the recipe set.
    OutsideProject = "outside-project",
    /// A pattern finds no file.
    GlobWithoutMatch = "glob-without-match",
    /// A file belongs to two recipe sets.
    FileInTwoSets = "file-in-two-sets",
    /// A recipe set calls itself something else than its import does.
    SetName = "set-name",
    /// A recipe set that lies elsewhere is not locked, so that nobody knows its recipes.
    SetNotLocked = "set-not-locked",
    /// An imported recipe set imports another one.
    SetImports = "set-imports",
    /// The recipes want a newer brc.
    NewerBrc = "newer-brc",

    // What an image has besides, said by `graph`.
    /// Two parents of a variant say different things, and it says none itself.
    ParentsDisagree = "parents-disagree",
    /// A variant that is to be composed has no version.
    NoVersion = "no-version",
    /// Something is removed that something else needs.
    RemovedButNeeded = "removed-but-needed",
    /// `tool` names a part that no tool plays.
    UnknownRole = "unknown-role",
    /// No tool set fetches a source of this kind.
    NoTool = "no-tool",
    /// Two things stand at one path.
    PlacedTwice = "placed-twice",
    /// Something stands below what is no folder.
    BelowAFile = "below-a-file",
    /// There is no such setting.
    UnknownSetting = "unknown-setting",
    /// A setting cannot have this value.
    BadSetting = "bad-setting",
    /// A template for settings is none, or asks for what there is not.
    BadSettingsTemplate = "bad-settings-template",
    /// Settings are stated, and nothing in the image reads them.
    UnreadSettings = "unread-settings",
    /// Something is to lie on a disk for data, and there is none.
    NoDataDisk = "no-data-disk",
    /// A path is brc's own.
    OwnFile = "own-file",
    /// Two different things are said of one user.
    UserTwice = "user-twice",
    /// The kernel's command line is longer than a kernel takes.
    LongCommandLine = "long-command-line",
    /// Something that would be in an image depends on the machine that composes it.
    ExecutionInImage = "execution-in-image",

    // Its kernel.
    /// An image has no kernel.
    NoKernel = "no-kernel",
    /// An image has more than one kernel.
    TwoKernels = "two-kernels",
    /// A kernel has no source, or not all that one of its kind wants.
    NoKernelSource = "no-kernel-source",
    /// A kernel is changed that the image does not have.
    OtherKernel = "other-kernel",
    /// An override says of a kernel what only the other kind has.
    IdleKernelWord = "idle-kernel-word",
    /// A kernel that comes finished cannot go without its modules.
    FinishedKernelHasModules = "finished-kernel-has-modules",

    // What shows beside a lock.
    /// The lock lacks something that the recipes name.
    NotLocked = "not-locked",
    /// A source by URL has no digest.
    NoSha256 = "no-sha256",
    /// A folder of source lacks the file that says what is fetched for it.
    NoManifest = "no-manifest",
    /// Nothing in the image makes a user or group that owns a path.
    UnknownOwner = "unknown-owner",
    /// Nothing in the image makes a group that a user belongs to.
    UnknownGroup = "unknown-group",
    /// A package has maintainer scripts that nothing accounts for.
    UnaccountedScripts = "unaccounted-scripts",
    /// Packages of an image say that they cannot be together.
    ConflictingPackages = "conflicting-packages",
}
