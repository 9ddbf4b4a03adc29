//! The words of what looks into a machine that runs: `brc exec`, `brc logs` and `brc cp`.

use clap::Args;

/// How long a machine may take to open its door.
#[derive(Debug, Args)]
pub struct Wait {
    /// Wait this many seconds for a machine that is still starting
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub wait: u64,
}

/// `brc exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// The machine: what `brc boot` was told with `--name` or `--keep`
    #[arg(value_name = "MACHINE")]
    pub machine: String,
    /// The program and its arguments, as they are: there is no shell in between
    #[arg(value_name = "COMMAND", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
    /// Pass standard input on; without this the program's is empty
    #[arg(long, short)]
    pub input: bool,
    /// Set a variable; there is nothing else but PATH
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Start in this folder of the machine [default: /]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<String>,
    /// How long to wait.
    #[command(flatten)]
    pub wait: Wait,
}

/// `brc logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// The machine: what `brc boot` was told with `--name` or `--keep`
    #[arg(value_name = "MACHINE")]
    pub machine: String,
    /// Go on with what is logged from now on
    #[arg(long, short)]
    pub follow: bool,
    /// Only what this unit logs; may be given several times
    #[arg(long, short, value_name = "UNIT")]
    pub unit: Vec<String>,
    /// How long to wait.
    #[command(flatten)]
    pub wait: Wait,
}

/// `brc cp`
#[derive(Debug, Args)]
pub struct Copy {
    /// What is copied, a file or a folder: PATH here, or MACHINE:PATH
    #[arg(value_name = "FROM")]
    pub from: String,
    /// Where to, or the folder that it goes into: PATH here, or MACHINE:PATH
    #[arg(value_name = "TO")]
    pub to: String,
    /// How long to wait.
    #[command(flatten)]
    pub wait: Wait,
}
