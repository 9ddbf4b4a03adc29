//! The words of `brc boot`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `brc boot`
#[derive(Debug, Args)]
pub struct Boot {
    /// The disk image
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The project whose locked QEMU and firmware are used [default: the set that brc ships]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Stop with success once this text is printed
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub until: Option<String>,
    /// Stop with failure after this many seconds
    #[arg(long, value_name = "S")]
    pub timeout: Option<u64>,
    /// Forward a port of this machine's loopback: HOST:GUEST
    #[arg(long, value_name = "HOST:GUEST")]
    pub forward: Vec<String>,
    /// Let the machine reach a port of this host's loopback, at 10.0.2.100 (`--as ec2`: 169.254.0.100): PORT, or HOST:GUEST
    #[arg(long, value_name = "HOST:GUEST")]
    pub reach: Vec<String>,
    /// Boot as in this cloud
    #[arg(long = "as", value_enum, value_name = "CLOUD")]
    pub cloud: Option<Cloud>,
    /// Give the machine the bytes of this file as user data
    #[arg(long, value_name = "FILE", requires = "cloud")]
    pub user_data: Option<PathBuf>,
    /// Let something go wrong with the metadata service of ec2
    #[arg(long, value_enum, value_name = "FAULT", requires = "cloud")]
    pub metadata_fault: Option<MetadataFault>,
    /// Let another program be the metadata service of ec2, at this port of this machine's loopback
    #[arg(long, value_name = "PORT", requires = "cloud", conflicts_with_all = ["user_data", "metadata_fault"],
          value_parser = clap::value_parser!(u16).range(1..))]
    pub metadata_service: Option<u16>,
    /// Give an instance of ec2 a disk of MIB that is gone with it, as those with storage of their own have; several times
    #[arg(long, value_name = "MIB", requires = "cloud", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub instance_disk: Vec<u32>,
    /// Pass a systemd credential: NAME=VALUE, or NAME=@FILE
    #[arg(long, value_name = "NAME=VALUE")]
    pub credential: Vec<String>,
    /// Show a file to the machine as a read-only disk
    #[arg(long, value_name = "FILE")]
    pub disk: Vec<PathBuf>,
    /// Give the machine a name: while it runs, `brc exec`, `brc logs` and `brc cp` look inside
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Keep everything the machine writes under this name, which is its `--name` too, and go on from there
    #[arg(long, value_name = "NAME", conflicts_with_all = ["persist", "name"])]
    pub keep: Option<String>,
    /// Write to this copy of the image, which is made when it is not there
    #[arg(long, value_name = "COPY")]
    pub persist: Option<PathBuf>,
    /// Memory in MiB; with less than 256 the firmware does not start
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(256..))]
    pub memory: u32,
}

/// The clouds that a machine can find itself in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cloud {
    /// A metadata service at 169.254.169.254 (IMDSv2), and what the firmware says on EC2
    Ec2,
    /// A read-only disk called CIDATA with `user-data` and `meta-data`
    #[value(name = "nocloud")]
    NoCloud,
}

/// What can go wrong with the metadata service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetadataFault {
    /// There is no user data (404), ever
    #[value(name = "404")]
    Missing,
    /// Each answer of the first 20 seconds is a 500
    #[value(name = "500")]
    Broken,
    /// Each answer of the first 20 seconds comes after 5 seconds
    Slow,
    /// There is no user data (404) for the first 60 seconds
    Empty,
}
