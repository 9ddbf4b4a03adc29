//! What the arguments of `brc boot` ask of a machine.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{CliError, arguments, context::Context, image_file::data_disk_beside, output::status};
use crate::inspect;
use crate::vm::{BootOrder, Cloud, DataDisk, Disk, Fault, Forward, Metadata, Reach, is_machine_name};

/// The most that machines take of user data, in bytes; EC2 has a limit of its own.
const MAX_USER_DATA: u64 = 1 << 20;

/// What the arguments ask for.
pub fn order(context: &Context, arguments: &arguments::Boot) -> Result<BootOrder, CliError> {
    let usage = |message: String| CliError::Usage(message);
    let forward = |text: &String| text.parse::<Forward>().map_err(|error| usage(error.to_string()));
    let reach = |text: &String| text.parse::<Reach>().map_err(|error| usage(error.to_string()));
    let disk = match (&arguments.keep, &arguments.persist) {
        (Some(name), _) => Disk::Kept(folder(context, "keep", name)?.join("disk.raw")),
        (None, Some(path)) => Disk::Kept(path.clone()),
        (None, None) => Disk::Snapshot,
    };
    Ok(BootOrder {
        disk,
        data_disk: data_disk(&arguments.image)?,
        memory_mib: arguments.memory,
        until: arguments.until.clone(),
        timeout: arguments.timeout.map(Duration::from_secs),
        forwards: arguments.forward.iter().map(forward).collect::<Result<_, _>>()?,
        reaches: arguments.reach.iter().map(reach).collect::<Result<_, _>>()?,
        cloud: cloud(arguments)?,
        credentials: arguments.credential.iter().map(|text| credential(text)).collect::<Result<BTreeMap<_, _>, _>>()?,
        door: match (&arguments.keep, &arguments.name) {
            (Some(name), _) => Some(folder(context, "keep", name)?),
            (None, Some(name)) => Some(folder(context, "name", name)?),
            (None, None) => None,
        },
        disks: arguments.disk.clone(),
        instance_disks: instance_disks(arguments)?,
        has_watchdog: false,
        ..BootOrder::new(arguments.image.clone())
    })
}

/// The disk that the machine's data lies on, as its image says; what cannot be read is told when it is booted.
pub fn data_disk(image: &Path) -> Result<Option<DataDisk>, CliError> {
    if !image.is_file() {
        return Ok(None);
    }
    let Some(said) = inspect::data_disk(image).map_err(|error| CliError::Machine(error.into()))? else {
        return Ok(None);
    };
    let comes = data_disk_beside(image).filter(|_| !said.images.is_empty());
    let from = comes.clone().filter(|path| path.is_file());
    if let (Some(path), None) = (comes, &from) {
        status(&format!(
            "warning: images of containers come with `{}` on `{}`, which is not there: the machine has an empty disk for \
             data, and pulls them",
            image.display(),
            path.display()
        ));
    }
    Ok(Some(DataDisk { bytes: said.bytes, from }))
}

/// The folder of a machine with a name.
fn folder(context: &Context, option: &str, name: &str) -> Result<PathBuf, CliError> {
    if !is_machine_name(name) {
        let expected = "expected at most 64 letters, digits, `-`, `_` and `.`";
        return Err(CliError::Usage(format!("`--{option} {name}` is no name: {expected}")));
    }
    Ok(context.config.machines_path()?.join(name))
}

/// The disks of an instance.
fn instance_disks(arguments: &arguments::Boot) -> Result<Vec<u32>, CliError> {
    let is_instance = matches!(arguments.cloud, Some(arguments::Cloud::Ec2));
    match arguments.instance_disk.is_empty() || is_instance {
        true => Ok(arguments.instance_disk.clone()),
        false => Err(CliError::Usage("`--instance-disk` is for `--as ec2`".to_owned())),
    }
}

/// The cloud that the arguments name.
fn cloud(arguments: &arguments::Boot) -> Result<Option<Cloud>, CliError> {
    let usage = |message: String| CliError::Usage(message);
    let Some(cloud) = arguments.cloud else { return Ok(None) };
    let unreadable = |path: &Path, error| usage(format!("the user data `{}` cannot be read: {error}", path.display()));
    let read = |path: &PathBuf| {
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
        file.take(MAX_USER_DATA + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
        if bytes.len() as u64 > MAX_USER_DATA {
            return Err(usage(format!(
                "the user data `{}` has more than 1 MiB, which no machine takes",
                path.display()
            )));
        }
        Ok(bytes)
    };
    let user_data = arguments.user_data.as_ref().map(read).transpose()?;
    let fault = arguments.metadata_fault.map(|fault| match fault {
        arguments::MetadataFault::Missing => Fault::Missing,
        arguments::MetadataFault::Broken => Fault::Broken,
        arguments::MetadataFault::Slow => Fault::Slow,
        arguments::MetadataFault::Empty => Fault::Empty,
    });
    if let Some(port) = arguments.metadata_service {
        return match cloud {
            arguments::Cloud::Ec2 => Ok(Some(Cloud::Ec2(Metadata::Port(port)))),
            arguments::Cloud::NoCloud => Err(usage("`--metadata-service` is for `--as ec2`".to_owned())),
        };
    }
    match (cloud, user_data, fault) {
        (arguments::Cloud::Ec2, user_data, fault) => Ok(Some(Cloud::Ec2(Metadata::Own { user_data, fault }))),
        (arguments::Cloud::NoCloud, Some(user_data), None) => Ok(Some(Cloud::NoCloud { user_data })),
        (arguments::Cloud::NoCloud, None, None) => {
            Err(usage("`--as nocloud` is a disk with user data: expected `--user-data FILE`".to_owned()))
        }
        (arguments::Cloud::NoCloud, _, Some(_)) => Err(usage(
            "`--as nocloud` has no metadata service with which something can go wrong: `--metadata-fault` is for \
             `--as ec2`"
                .to_owned(),
        )),
    }
}

/// `NAME=VALUE`, or `NAME=@FILE`.
fn credential(text: &str) -> Result<(String, Vec<u8>), CliError> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        CliError::Usage(format!("`--credential {text}` has no value: expected NAME=VALUE or NAME=@FILE"))
    })?;
    let value = match value.strip_prefix('@') {
        Some(path) => fs::read(path)
            .map_err(|error| CliError::Usage(format!("the credential's file `{path}` cannot be read: {error}")))?,
        None => value.as_bytes().to_vec(),
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_credential_is_a_value_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, b"a\0=b").unwrap();
        let read = |text: &str| credential(text).ok();
        assert_eq!(read("name=a=b"), Some(("name".to_owned(), b"a=b".to_vec())));
        assert_eq!(read(&format!("name=@{}", file.display())), Some(("name".to_owned(), b"a\0=b".to_vec())));
        assert_eq!(read("name="), Some(("name".to_owned(), Vec::new())));
        assert!(matches!(credential("name"), Err(CliError::Usage(_))));
        assert!(matches!(credential("name=@/does/not/exist"), Err(CliError::Usage(_))));
    }

    /// The cloud that these words ask for, or what is wrong with them.
    fn asked(words: &[&str]) -> Result<Option<Cloud>, String> {
        let words = ["brc", "boot", "image"].iter().chain(words);
        let parsed = arguments::Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let arguments::Verb::Boot(boot) = parsed.verb else { panic!("it is the verb `boot`") };
        cloud(&boot).map_err(|error| match error {
            CliError::Usage(message) => message,
            _ => panic!("another command line mends it"),
        })
    }

    #[test]
    fn a_cloud_has_the_user_data_and_the_faults_that_it_can_have() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("user-data");
        fs::write(&file, b"\0data").unwrap();
        let (file, data) = (file.to_str().unwrap(), b"\0data".to_vec());
        let instance = |user_data: Option<Vec<u8>>, fault| Ok(Some(Cloud::Ec2(Metadata::Own { user_data, fault })));
        assert_eq!(asked(&[]), Ok(None));
        assert_eq!(asked(&["--as", "ec2"]), instance(None, None));
        assert_eq!(asked(&["--as", "ec2", "--user-data", file]), instance(Some(data.clone()), None));
        for (word, fault) in
            [("404", Fault::Missing), ("500", Fault::Broken), ("slow", Fault::Slow), ("empty", Fault::Empty)]
        {
            assert_eq!(asked(&["--as", "ec2", "--metadata-fault", word]), instance(None, Some(fault)));
        }
        assert_eq!(asked(&["--as", "nocloud", "--user-data", file]), Ok(Some(Cloud::NoCloud { user_data: data })));
        let other = Ok(Some(Cloud::Ec2(Metadata::Port(1338))));
        assert_eq!(asked(&["--as", "ec2", "--metadata-service", "1338"]), other);
        for (words, said) in [
            (&["--user-data", file][..], "--as"),
            (&["--as", "nocloud", "--metadata-service", "1338"], "--as ec2"),
            (&["--as", "nocloud", "--user-data", "/dev/zero"], "more than 1 MiB"),
            (&["--as", "ec2", "--metadata-service", "0"], "1..=65535"),
            (&["--as", "ec2", "--metadata-service", "1338", "--user-data", file], "--user-data"),
            (&["--as", "ec2", "--metadata-service", "1338", "--metadata-fault", "404"], "--metadata-fault"),
            (&["--metadata-fault", "404"], "--as"),
            (&["--as", "vmware"], "nocloud"),
            (&["--as", "ec2", "--metadata-fault", "403"], "404"),
            (&["--as", "nocloud"], "--user-data"),
            (&["--as", "nocloud", "--user-data", file, "--metadata-fault", "404"], "--as ec2"),
            (&["--as", "ec2", "--user-data", "/does/not/exist"], "/does/not/exist"),
        ] {
            let error = asked(words).unwrap_err();
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }
}
