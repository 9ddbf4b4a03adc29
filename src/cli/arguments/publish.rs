//! `brc publish` and `brc ami`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Choice;
use crate::{content::Sha256, publish::ami::is_snapshot};

/// `brc publish`
#[derive(Debug, Args)]
pub struct Publish {
    /// Where.
    #[command(subcommand)]
    pub verb: PublishVerb,
}

/// Where images are published.
#[derive(Debug, Subcommand)]
pub enum PublishVerb {
    /// At AWS: send a disk image to a snapshot of EBS and register it as an image of EC2 (AMI)
    ///
    /// What was begun is gone on with by the same command, and what is there already is left as it is.
    Ami(Box<PublishAmi>),
}

/// `brc publish ami`
#[derive(Debug, Args)]
pub struct PublishAmi {
    /// The disk image, `out/VARIANT_VERSION_ARCHITECTURE.raw`, or a recipe file whose images are composed first
    #[arg(value_name = "IMAGE|FILE")]
    pub image: PathBuf,
    /// Of a recipe file, what of it.
    #[command(flatten)]
    pub choice: Choice,
    /// The version of the images of a recipe file [default: what it says]
    #[arg(long, value_name = "VERSION")]
    pub image_version: Option<String>,
    /// Where and for whom, as the `target` of this name in the recipes says it; options count before it
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The project that has the target [default: that of the recipe file, or of this folder]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// The region; each further one gets a copy [default: the target's, else that of the environment or the profile]
    #[arg(long, value_name = "REGION")]
    pub region: Vec<String>,
    /// What the AMI is called [default: brc-VARIANT-ARCHITECTURE-vVERSION-DIGEST]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Send only the blocks that this snapshot does not have [default: the newest of the variant that was published
    /// from this machine]
    #[arg(long, value_name = "SNAPSHOT", value_parser = snapshot,
          conflicts_with_all = ["no_parent", "encrypt", "kms_key"])]
    pub parent: Option<String>,
    /// Send all blocks
    #[arg(long)]
    pub no_parent: bool,
    /// Encrypt the snapshot, with the account's key for EBS; sends all blocks
    #[arg(long)]
    pub encrypt: bool,
    /// Encrypt the snapshot with this key; sends all blocks
    #[arg(long, value_name = "ARN")]
    pub kms_key: Option<String>,
    /// Let this account, organization or unit of one start the AMI; may be given several times
    #[arg(long, value_name = "ACCOUNT|ARN")]
    pub share: Vec<String>,
    /// Have a parameter of SSM name the AMI, in each region: `/brc/{variant}/{arch}/{version}/image_id`; may be given
    /// several times
    #[arg(long, value_name = "PATTERN")]
    pub ssm: Vec<String>,
    /// Send so many blocks at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub connections: u8,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take the image as it is, by the name of its file, without looking whether it is whole
    #[arg(long)]
    pub no_verify: bool,
    /// Who asks.
    #[command(flatten)]
    pub account: Account,
}

/// How AWS is asked.
#[derive(Debug, Clone, Args)]
pub struct Account {
    /// The profile of the shared files of AWS
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Ask this address instead of AWS, for every service [default: AWS_ENDPOINT_URL, else AWS]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

/// `brc ami`
#[derive(Debug, Args)]
pub struct Ami {
    /// What to do.
    #[command(subcommand)]
    pub verb: AmiVerb,
}

/// What `brc ami` does.
#[derive(Debug, Subcommand)]
pub enum AmiVerb {
    /// Print the AMIs that brc has published, and uploads that were begun and not finished
    List(AmiPlace),
    /// Deregister AMIs that newer ones have taken the place of, and delete their snapshots
    Prune {
        /// Where.
        #[command(flatten)]
        place: AmiPlace,
        /// Keep so many of each variant and architecture [default: what the target says, else 3]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        keep: Option<u16>,
        /// Also delete snapshots that no AMI has: uploads that were begun, which may be going on elsewhere
        #[arg(long)]
        unfinished: bool,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Deregister these AMIs with their snapshots, or delete these snapshots; only what brc has made
    Remove {
        /// What AWS calls them
        #[arg(value_name = "AMI|SNAPSHOT", required = true)]
        ids: Vec<String>,
        /// Where.
        #[command(flatten)]
        place: AmiPlace,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Give the AMIs of one target to another: the same bytes, copied and shared without an upload
    Promote(Promote),
}

/// `brc ami promote`
#[derive(Debug, Args)]
pub struct Promote {
    /// The target that has them
    #[arg(long, value_name = "NAME")]
    pub from: String,
    /// The target that gets them
    #[arg(long, value_name = "NAME")]
    pub to: String,
    /// The version [default: the newest of each variant and architecture]
    #[arg(long, value_name = "VERSION")]
    pub image_version: Option<String>,
    /// Which of them [default: all].
    #[command(flatten)]
    pub choice: Choice,
    /// Only what was made of the disk with this digest
    #[arg(long, value_name = "HEX", value_parser = Sha256::parse)]
    pub sha256: Option<Sha256>,
    /// The project that has the targets [default: that of this folder]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Only say what would be given
    #[arg(long)]
    pub dry_run: bool,
    /// Who asks.
    #[command(flatten)]
    pub account: Account,
}

/// Where AMIs are looked for.
#[derive(Debug, Args)]
pub struct AmiPlace {
    /// The region; may be given several times [default: the target's, else that of the environment or the profile]
    #[arg(long, value_name = "REGION")]
    pub region: Vec<String>,
    /// Only the AMIs of the `target` of this name in the recipes
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The project that has the target [default: that of this folder]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Who asks.
    #[command(flatten)]
    pub account: Account,
}

fn snapshot(text: &str) -> Result<String, String> {
    match is_snapshot(text) {
        true => Ok(text.to_owned()),
        false => Err("expected the name of a snapshot, `snap-…`".to_owned()),
    }
}
