//! The words of `brc test`.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};

use super::Account;

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
        /// What is broken: root-corrupt, kernel-panic, hang, unit-failure, health-timeout, blessed-then-broken,
        /// esp-truncated, esp-full, esp-read-only, gpt-torn, clock=YEAR or power-cut=TIMES.
        #[arg(long = "break", value_name = "WHAT")]
        breakage: Breakage,
        /// On what, and for how long.
        #[command(flatten)]
        place: TestPlace,
    },
    /// Start an instance of an AMI at AWS, read its console until it says how the boot went, and end it
    ///
    /// The instance is ended also when the boot fails, with Ctrl-C, and when AWS refuses something meanwhile.
    Ami(Box<TestAmi>),
}

/// `brc test ami`
#[derive(Debug, Args)]
pub struct TestAmi {
    /// The AMI: `ami-0123456789abcdef0`
    #[arg(value_name = "AMI")]
    pub image: String,
    /// The `target` of this name in the recipes says the region, the role and the `instance`; options count before it
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The project that has the target [default: that of this folder]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// The region [default: the first of the target, else that of the environment or the profile]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The type of the instance, with NitroTPM and UEFI [default: the target's, else m7i.large]
    #[arg(long, value_name = "TYPE")]
    pub instance_type: Option<String>,
    /// Give the instance this user data
    #[arg(long, value_name = "FILE")]
    pub user_data: Option<PathBuf>,
    /// What the console says of a boot that is good
    #[arg(long, value_name = "TEXT", default_value = "Reached target boot-complete.target")]
    pub until: String,
    /// Fail after this many seconds
    #[arg(long, value_name = "S", default_value_t = 600)]
    pub timeout: u64,
    /// Who asks.
    #[command(flatten)]
    pub account: Account,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// The root of the new version is damaged on the disk after it was checked.
    RootCorrupt,
    /// The kernel of the new version panics.
    KernelPanic,
    /// The kernel of the new version does nothing any more, and does not say so.
    Hang,
    /// A unit of the new version fails.
    UnitFailure,
    /// The new version is never found healthy.
    HealthTimeout,
    /// The new version is found healthy, and breaks afterwards.
    BlessedThenBroken,
    /// The kernel image of the new version is cut off on the ESP.
    EspTruncated,
    /// The ESP is full before the update.
    EspFull,
    /// The ESP cannot be written while the update is taken.
    EspReadOnly,
    /// The first copy of the partition table is torn after the update.
    GptTorn,
    /// The clock of the machine is in another year.
    Clock { year: u16 },
    /// The machine loses its power while the update is written, so often.
    PowerCut { cuts: u32 },
}

/// So often the power is cut when nothing else is said.
const CUTS: u32 = 3;

impl Breakage {
    /// Those that have no number.
    const PLAIN: [(&'static str, Breakage); 10] = [
        ("root-corrupt", Breakage::RootCorrupt),
        ("kernel-panic", Breakage::KernelPanic),
        ("hang", Breakage::Hang),
        ("unit-failure", Breakage::UnitFailure),
        ("health-timeout", Breakage::HealthTimeout),
        ("blessed-then-broken", Breakage::BlessedThenBroken),
        ("esp-truncated", Breakage::EspTruncated),
        ("esp-full", Breakage::EspFull),
        ("esp-read-only", Breakage::EspReadOnly),
        ("gpt-torn", Breakage::GptTorn),
    ];
}

impl FromStr for Breakage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = Breakage::PLAIN.into_iter().find(|(name, _)| *name == text).map(|(_, breakage)| breakage);
        let numbered = || match text.split_once('=').unwrap_or((text, "")) {
            ("clock", year) => {
                year.parse().ok().filter(|year| (1970..=2200).contains(year)).map(|year| Breakage::Clock { year })
            }
            ("power-cut", "") => Some(Breakage::PowerCut { cuts: CUTS }),
            ("power-cut", cuts) => {
                cuts.parse().ok().filter(|cuts| (1..=1000).contains(cuts)).map(|cuts| Breakage::PowerCut { cuts })
            }
            _ => None,
        };
        plain.or_else(numbered).ok_or_else(|| {
            let names: Vec<&str> = Breakage::PLAIN.iter().map(|(name, _)| *name).collect();
            format!("expected {}, `clock=YEAR` or `power-cut=TIMES`", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_a_word_or_a_word_with_a_number() {
        for (text, breakage) in Breakage::PLAIN.into_iter().chain([
            ("clock=2040", Breakage::Clock { year: 2040 }),
            ("power-cut", Breakage::PowerCut { cuts: CUTS }),
            ("power-cut=100", Breakage::PowerCut { cuts: 100 }),
        ]) {
            assert_eq!(text.parse(), Ok(breakage));
        }
        for text in ["", "clock", "clock=1", "clock=soon", "power-cut=0", "power-cut=x", "hang=1", "esp-full=1"] {
            let told = text.parse::<Breakage>().unwrap_err();
            assert!(told.contains("`clock=YEAR`"), "{text}: {told}");
        }
    }
}
