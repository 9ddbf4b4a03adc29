//! What an image says of settings.

use serde::{Deserialize, Serialize};

use super::Value;

/// The version of what an image says of settings, its member `version`.
pub const IMAGE_SETTINGS_VERSION: u32 = 1;

/// What an image says of settings: the file [`IMAGE_SETTINGS`](crate::well_known::IMAGE_SETTINGS).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSettings {
    /// [`IMAGE_SETTINGS_VERSION`].
    pub version: u32,
    /// What becomes of user data with keys that there are not.
    pub unknown: OnUnknown,
    /// Where user data may come from; what a later one says counts.
    pub sources: Vec<Source>,
    /// What is set as long as nobody says otherwise.
    pub defaults: Value,
    /// The files that are made, sorted by where they go.
    pub templates: Vec<TemplateEntry>,
}

/// What becomes of user data with keys that there are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnknown {
    /// They are told, and the others count: a generator of user data may know more than this image.
    Warn,
    /// Nothing of it counts.
    Refuse,
}

/// Where user data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `brc/user-data.toml` on the ESP, or `/var/lib/brc/user-data.toml`.
    File,
    /// A disk called `CIDATA` (NoCloud) or `config-2` (OpenStack), as hypervisors and metal's controllers show it.
    ConfigDrive,
    /// EC2's metadata service, asked on a machine whose firmware says that it is one of EC2.
    Ec2,
    /// The systemd credential `brc.user-data`.
    Credential,
    /// VMware's `guestinfo.userdata`, asked on a machine whose firmware says that it is one of VMware.
    Vmware,
    /// A URL of plain HTTP that the image names.
    Url,
}

impl Source {
    /// Its name, as files and messages have it.
    pub const fn name(self) -> &'static str {
        match self {
            Source::File => "file",
            Source::ConfigDrive => "config-drive",
            Source::Ec2 => "ec2",
            Source::Credential => "credential",
            Source::Vmware => "vmware",
            Source::Url => "url",
        }
    }
}

/// A file that is made of settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateEntry {
    /// The file, absolute and below `/etc`; with a `/` at its end it is a folder, whose files the template divides its text
    /// into.
    pub to: String,
    /// The template, absolute.
    pub from: String,
    /// The mode of what is made.
    pub mode: u32,
    /// The units that are started anew when it changes, if they run.
    pub restart: Vec<String>,
}
