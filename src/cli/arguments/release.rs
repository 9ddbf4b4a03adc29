//! The words of what looks at releases: `brc diff` and `brc size`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Choice;

/// `brc diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The image that is compared with: `out/VARIANT_VERSION_ARCHITECTURE.raw`, its manifest beside it; or a recipe file,
    /// which is composed in the store
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The image or recipe file that is asked about
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// The form of the page [default: text, and json with `--json`]
    #[arg(long, value_enum)]
    pub format: Option<PageFormat>,
    /// List every file that differs
    #[arg(long, short)]
    pub verbose: bool,
    /// Which image of a recipe.
    #[command(flatten)]
    pub choice: Choice,
}

/// `brc size`
#[derive(Debug, Args)]
pub struct Size {
    /// The image, its manifest beside it; or a recipe file, of which the last compose counts [default: the project of
    /// this folder]
    #[arg(value_name = "IMAGE|FILE")]
    pub subject: Option<PathBuf>,
    /// Write a page with a map of the room into this file, too: one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The version that it was composed with instead of the recipe's
    #[arg(long, value_name = "V")]
    pub image_version: Option<String>,
    /// Which image of a recipe.
    #[command(flatten)]
    pub choice: Choice,
}

/// The forms of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PageFormat {
    /// For a terminal
    Text,
    /// For a comment of a pull request
    Markdown,
    /// One object, for programs
    Json,
    /// One file that needs nothing else
    Html,
}

impl PageFormat {
    /// The name that a command line has it by.
    pub const fn name(self) -> &'static str {
        match self {
            PageFormat::Text => "text",
            PageFormat::Markdown => "markdown",
            PageFormat::Json => "json",
            PageFormat::Html => "html",
        }
    }
}
