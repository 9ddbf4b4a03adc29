//! `brc keys` and `brc repo`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::publish::Role;

/// `brc keys`
#[derive(Debug, Args)]
pub struct Keys {
    /// What to do.
    #[command(subcommand)]
    pub verb: KeysVerb,
}

/// What `brc keys` does.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Make a key for each role of a repository: `ROLE.pem`, and its public half `ROLE.pub`
    New {
        /// The folder that they are written to
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Only for this role; may be given several times
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// Call them `ROLE-NAME.pem`: further keys of their roles, of a person or a place
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Say which keys a folder has: role, identity, file, and who signs with it
    Show {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Sign standard input and write the bytes of the signature to standard output: what a description of a key elsewhere
    /// may call, `command = ["ssh", "HOST", "brc", "keys", "sign", "KEY"]`
    Sign {
        /// The private key
        #[arg(value_name = "FILE")]
        key: PathBuf,
    },
}

/// `brc repo`
#[derive(Debug, Args)]
pub struct Repo {
    /// What to do.
    #[command(subcommand)]
    pub verb: RepoVerb,
}

/// What `brc repo` does.
#[derive(Debug, Subcommand)]
pub enum RepoVerb {
    /// Begin a repository that offers nothing yet, with all keys of each role that the folder has
    Init {
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        policy: Policy,
    },
    /// Add finished images, each verified first
    Add {
        #[command(flatten)]
        signing: Signing,
        /// The images: `out/VARIANT_VERSION_ARCHITECTURE.raw`
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<PathBuf>,
        /// Reach so much of the fleet by then, evenly from the wave before: `2026-12-01T08:00:00Z=0%` begins; in order,
        /// the last with 100% [default: everybody at once]
        #[arg(long, value_name = "DATE=PERCENT")]
        wave: Vec<String>,
        /// Machines with an older version than this do not wait for their wave
        #[arg(long, value_name = "VERSION")]
        least_safe: Option<String>,
    },
    /// Let no machine go beyond a version, or take that limit away
    Limit {
        #[command(flatten)]
        signing: Signing,
        /// The highest version that is taken [default: no limit]
        #[arg(value_name = "VERSION")]
        most: Option<String>,
    },
    /// Have no machine take a version; machines that run it stay as they are
    Halt(Versions),
    /// Let machines take a version again that was halted
    Resume(Versions),
    /// Remove versions that machines no longer need, and the files that nobody refers to any more
    Remove(Versions),
    /// Change whose keys count, how many must sign and for how long; without a change, sign the root anew
    ///
    /// The keys must sign that the root of before wants, and those that the new one wants: all of them in the folder, or
    /// with `--draft` one after the other by `brc repo sign`.
    Root {
        #[command(flatten)]
        signing: Signing,
        /// Add a key to a role, from its `.pem`, `.pub` or `.toml`; may be given several times
        #[arg(long, value_name = "ROLE=FILE", value_parser = role_key)]
        add_key: Vec<RoleKey>,
        /// Take a key from a role, by its file or at least 8 digits of its identity; may be given several times
        #[arg(long, value_name = "ROLE=KEY", value_parser = role_key)]
        drop_key: Vec<RoleKey>,
        #[command(flatten)]
        policy: Policy,
    },
    /// Add signatures to what waits for them, and publish what then has enough
    Sign {
        /// The repository; of its targets only `*.manifest.json` is needed
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Copies of `drafts/root.json` or `drafts/targets.json` that were signed elsewhere: their signatures are taken
        #[arg(value_name = "FILE")]
        copies: Vec<PathBuf>,
        /// The folder with the keys that sign now
        #[arg(long, value_name = "DIR", required_unless_present = "copies")]
        keys: Option<PathBuf>,
    },
    /// Sign what machines must see that is newer, before it expires
    Refresh {
        #[command(flatten)]
        signing: Signing,
        /// Sign the targets anew too, which count for longer
        #[arg(long)]
        targets: bool,
    },
    /// Check all that a machine would, and every file; say what waits for signatures
    Check {
        /// The repository
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Serve a repository over plain HTTP, to try it
    Serve {
        /// The repository
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Where to listen
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
        listen: String,
    },
}

/// A repository and the keys that sign it.
#[derive(Debug, Args)]
pub struct Signing {
    /// The repository
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The folder with the keys of the roles that sign now: `root.pem`, `targets.pem`, `snapshot.pem`, `timestamp.pem`;
    /// further ones `ROLE-NAME.pem`; `.toml` names the program that holds a key, `.pub` is a public half
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// Leave what these keys cannot sign to others, as a draft that no machine sees: `brc repo sign`
    #[arg(long)]
    pub draft: bool,
}

/// A repository, and versions that it offers.
#[derive(Debug, Args)]
pub struct Versions {
    /// Where, and with which keys.
    #[command(flatten)]
    pub signing: Signing,
    /// The versions: `1.10.0` of all variants, `VARIANT_1.10.0` of one
    #[arg(value_name = "VERSION", required = true)]
    pub versions: Vec<String>,
}

/// What a root says of each role beside its keys.
#[derive(Debug, Args)]
pub struct Policy {
    /// So many keys of a role must sign; may be given several times [default: as before, 1 at first]
    #[arg(long, value_name = "ROLE=NUMBER", value_parser = role_number)]
    pub threshold: Vec<RoleNumber>,
    /// Signatures of a role count for so many days; may be given several times [default: as before; at first
    /// root 365, targets 91, snapshot 14, timestamp 7]
    #[arg(long, value_name = "ROLE=DAYS", value_parser = role_number)]
    pub days: Vec<RoleNumber>,
}

/// A key of a role: a file or digits.
#[derive(Debug, Clone)]
pub struct RoleKey {
    /// The role.
    pub role: Role,
    /// The key.
    pub key: String,
}

/// A number for a role.
#[derive(Debug, Clone)]
pub struct RoleNumber {
    /// The role.
    pub role: Role,
    /// The number.
    pub number: u64,
}

fn role_and(text: &str) -> Result<(Role, &str), String> {
    let split = text.split_once('=').and_then(|(role, rest)| Some((Role::named(role)?, rest)));
    split.ok_or_else(|| "expected `root`, `targets`, `snapshot` or `timestamp`, then `=`".to_owned())
}

fn role_key(text: &str) -> Result<RoleKey, String> {
    role_and(text).map(|(role, key)| RoleKey { role, key: key.to_owned() })
}

/// No threshold is higher than a root may have keys, and nothing counts for more than a hundred years.
fn role_number(text: &str) -> Result<RoleNumber, String> {
    let (role, number) = role_and(text)?;
    let number = number.parse().ok().filter(|number| (1..=36_500).contains(number));
    number.map(|number| RoleNumber { role, number }).ok_or_else(|| "expected a number from 1 to 36500".to_owned())
}
