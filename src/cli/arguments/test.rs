//! The words of `brc test`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `brc test`
#[derive(Debug, Args)]
pub struct Test {
    /// What is tried.
    #[command(subcommand)]
    pub verb: TestVerb,
}

/// What can be tried.
#[derive(Debug, Subcommand)]
pub enum TestVerb {
    /// Boot an image until it is found healthy
    Boot {
        /// The disk image.
        #[arg(value_name = "IMAGE")]
        image: PathBuf,
        /// On what, and for how long.
        #[command(flatten)]
        place: TestPlace,
    },
    /// Have a machine of one image take another one as its update
    Update {
        /// The image that runs first.
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The image that it takes; its version is higher.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// On what, and for how long.
        #[command(flatten)]
        place: TestPlace,
    },
    /// Break an update, and see the machine come back by itself
    Rollback {
        /// The image that runs first.
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The image that it takes; its version is higher.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// What is broken.
        #[arg(long = "break", value_enum, value_name = "WHAT")]
        breakage: Breakage,
        /// On what, and for how long.
        #[command(flatten)]
        place: TestPlace,
    },
}

/// On what a test runs, and for how long.
#[derive(Debug, Args)]
pub struct TestPlace {
    /// The project whose locked QEMU and firmware are used [default: the set that brc ships]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Fail after this many seconds
    #[arg(long, value_name = "S", default_value_t = 1800)]
    pub timeout: u64,
}

/// What of an update is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Breakage {
    /// The root of the new version is damaged on the disk after it was checked
    RootCorrupt,
    /// The kernel of the new version panics
    KernelPanic,
    /// A unit of the new version fails
    UnitFailure,
    /// The new version is never found healthy
    HealthTimeout,
    /// The kernel image of the new version is cut off on the ESP
    EspTruncated,
    /// The ESP is full before the update
    EspFull,
    /// The first copy of the partition table is torn after the update
    GptTorn,
}
