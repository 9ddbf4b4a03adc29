//! What happens, as it happens: the objects with a field `event`. They are of the [`VERSION`](super::VERSION) of all
//! lines.

use serde::Serialize;

/// Something that happened. The name of a variant, with hyphens, is the value of `event`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The plan was looked through.
    Planned {
        /// Actions that the goals need.
        wanted: usize,
        /// Those of them whose outcome is remembered.
        known: usize,
    },
    /// The outcome of an action was remembered; nothing runs.
    Reused(Action),
    /// An action runs.
    Started {
        #[serde(flatten)]
        action: Action,
        /// How long it took the last time on this machine.
        last_seconds: Option<f64>,
    },
    /// For about a second something was waited for.
    Waiting {
        /// What another process does.
        r#for: String,
    },
    /// An action has its outcome.
    Finished {
        #[serde(flatten)]
        action: Action,
        /// How long it took.
        seconds: f64,
    },
    /// An action has no outcome; a `failure` says why.
    Failed(Action),
    /// Nothing runs any more.
    Ended {
        /// How long the build took.
        seconds: f64,
        /// How long processors worked for it, all together.
        processor_seconds: f64,
    },
    /// `brc check` found nothing wrong.
    Checked {
        /// Files that were read.
        files: usize,
        /// Variants that were checked.
        variants: usize,
        /// Components of the project and of the sets that it imports.
        components: usize,
        /// Dependencies of packages that are not followed.
        not_followed: usize,
    },
    /// `brc check`: dependencies that are not followed.
    Pruned {
        /// The names of the packages, separated by commas.
        packages: String,
        /// Why, in the words of the recipe.
        reason: String,
    },
    /// `brc fmt`: a file that is not laid out.
    Formatted {
        /// Its path.
        file: String,
        /// Whether it was written; with `--check` it is not.
        written: bool,
    },
    /// `brc init`, `brc keys new`, `brc size`: a file that was made.
    Written {
        /// Its path.
        file: String,
    },
    /// `brc compose`: an image is there.
    Composed {
        /// The image: `quickstart x86_64`.
        image: String,
        /// The path of its disk.
        disk: String,
        /// The path of its manifest.
        manifest: String,
        /// The paths of the files that it is published as, the disk among them.
        artifacts: Vec<String>,
        /// The bytes of its root file system.
        root_bytes: u64,
    },
    /// `brc kernel config`: the configuration of an image's kernel.
    KernelConfig {
        /// The kernel and its image.
        image: String,
        /// Options that a fragment sets; with `--all` every option.
        options: Vec<KernelOption>,
    },
    /// `brc kernel diff`: the options that two kernels have with different values.
    KernelDiff {
        /// One kernel and its image.
        left: String,
        /// The other.
        right: String,
        /// The options.
        options: Vec<OptionDifference>,
    },
    /// `brc build`: an output is there.
    Built {
        /// The component and stage of its action.
        step: String,
        /// The name of the output.
        output: String,
        /// The digest of its tree.
        digest: String,
        /// Files, folders and links in it.
        entries: usize,
        /// The sum of the sizes of its files.
        bytes: u64,
        /// Where it lies.
        path: String,
    },
    /// `brc lock`, `brc update` and `brc outdated`: a locked version that moves.
    Change {
        /// The package.
        package: String,
        /// The architecture, as the archive calls it.
        architecture: String,
        /// The version before; null when there was none.
        from: Option<String>,
        /// The version now; null when it is not needed any more.
        to: Option<String>,
    },
    /// `brc store verify`: an object whose bytes are not what they were.
    Damaged {
        /// Its digest.
        object: String,
    },
    /// `brc store verify`: an action whose outcome cannot be used.
    Forgotten {
        /// The action's key.
        key: String,
        /// The object that is missing or damaged; without it the record itself is torn.
        #[serde(skip_serializing_if = "Option::is_none")]
        object: Option<String>,
    },
    /// `brc boot --json`: a line that the machine printed.
    Serial {
        /// The line.
        line: String,
    },
    /// `brc boot --json`: the machine is gone.
    BootEnded {
        /// `found` (what `--until` waits for), `timed-out`, `halted` or `cancelled`.
        how: String,
        /// Its last lines when something else was waited for.
        last: Option<Vec<String>>,
    },
    /// `brc test --json`: a step is done.
    TestStep {
        /// The time since the machine was started.
        seconds: u64,
        /// What happened.
        step: String,
    },
    /// `brc test --json`: it is over.
    TestEnded {
        /// What did not go as it should; null when all did.
        failure: Option<String>,
        /// The machine's last lines, where it did not.
        last: Vec<String>,
    },
    /// A mistake or warning in recipes.
    Diagnostic {
        /// `error` or `warning`.
        severity: String,
        /// The kind of mistake.
        code: String,
        /// The recipe; null where no place can be named.
        file: Option<String>,
        /// The line, from 1; 0 where no place can be named.
        line: usize,
        /// The column, from 1; 0 where no place can be named.
        column: usize,
        /// What is wrong.
        message: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// An action failed.
    Failure {
        #[serde(flatten)]
        action: Action,
        /// Why.
        error: String,
        /// The file that has what it printed; it may not be there.
        log: String,
    },
    /// The command did not succeed.
    Error {
        /// Why.
        error: String,
    },
}

/// An action of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Action {
    /// The component that it belongs to.
    pub component: String,
    /// What is done.
    pub stage: String,
    /// The digest of everything that it is made from.
    pub key: String,
}

/// An option of a kernel's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelOption {
    /// Its name, without `CONFIG_`.
    pub option: String,
    /// Its value; `n` when it is not set.
    pub value: String,
    /// Who wants it, of which the last counts.
    pub wanted: Vec<WantedValue>,
}

/// A value that a fragment gives an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WantedValue {
    /// The value.
    pub value: String,
    /// The file and line.
    pub at: String,
}

/// An option that two kernels have with different values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OptionDifference {
    /// Its name, without `CONFIG_`.
    pub option: String,
    /// What it is on the left.
    pub left: KernelOption,
    /// What it is on the right.
    pub right: KernelOption,
}
