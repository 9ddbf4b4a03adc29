//! What a sandbox is to be, as plain data, and its bytes on the way to the child that makes it.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt, path::PathBuf};

use super::wire::{Malformed, Reader, Writer};

/// Everything that decides what a sandbox looks like and what runs in it.
///
/// Paths inside the sandbox are relative to its root, without a leading `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What stands at `/`.
    pub root: Root,
    /// Folders that are made, and emptied when something is in them.
    pub empty: Vec<String>,
    /// Files and folders of the host that are shown inside.
    pub binds: Vec<Bind>,
    /// Whether the sandbox has a network.
    pub network: Network,
    /// The user and group inside; the only ones that exist there.
    pub uid: u32,
    /// What programs are told about the machine.
    pub view: View,
    /// The program by its absolute path, and its arguments. When empty, the sandbox is made and taken down again.
    pub command: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// The working directory; made when it is not there.
    pub directory: String,
    /// Whether standard input is a terminal that the command is to control.
    pub terminal: Terminal,
}

/// What stands at `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Folders laid over each other; what is written goes into `scratch/upper`.
    Overlay {
        /// The layers, the uppermost first; never written.
        lower: Vec<PathBuf>,
        /// A folder with the folders `upper`, `work` and `root`, all on one file system.
        scratch: PathBuf,
    },
    /// One folder, which is written to.
    Folder(PathBuf),
}

/// Something of the host that the sandbox shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The file, folder, FIFO or device node on the host.
    pub from: PathBuf,
    /// Where it is shown.
    pub to: String,
    /// What may be done with it.
    pub access: Access,
}

/// What may be done with something of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading; a device node or FIFO can still be written through, but not changed itself.
    Read,
    /// Reading and writing.
    Write,
}

/// Whether a sandbox has a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A loopback interface of its own and nothing else.
    None,
    /// The host's interfaces. For a machine whose ports are forwarded; never for a build.
    Host,
}

/// What programs are told about the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The same on every host: so many processors, one kernel version, fixed memory, no address randomization.
    Fixed {
        /// The number of processors that are there.
        processors: u32,
    },
    /// The truth.
    Host,
}

/// Whether a command controls a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It has none; `/dev/tty` cannot be opened.
    None,
    /// Its standard input is a terminal and becomes its controlling one.
    Controlling,
}

impl Spec {
    /// The bytes that [`Spec::decode`] reads; both ends are the same program, so there is no version.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match &self.root {
            Root::Overlay { lower, scratch } => {
                out.number(0);
                out.list(lower, |out, path| out.bytes(path.as_os_str().as_bytes()));
                out.bytes(scratch.as_os_str().as_bytes());
            }
            Root::Folder(path) => {
                out.number(1);
                out.bytes(path.as_os_str().as_bytes());
            }
        }
        out.list(&self.empty, |out, path| out.text(path));
        out.list(&self.binds, |out, bind| {
            out.bytes(bind.from.as_os_str().as_bytes());
            out.text(&bind.to);
            out.number(u64::from(bind.access == Access::Write));
        });
        out.number(u64::from(self.network == Network::Host));
        out.number(u64::from(self.uid));
        out.number(match self.view {
            View::Fixed { processors } => u64::from(processors),
            View::Host => 0,
        });
        out.list(&self.command, |out, word| out.text(word));
        out.number(self.environment.len() as u64);
        for (name, value) in &self.environment {
            out.text(name);
            out.text(value);
        }
        out.text(&self.directory);
        out.number(u64::from(self.terminal == Terminal::Controlling));
        out.finish()
    }

    /// Reads what [`Spec::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Spec, Malformed> {
        let mut input = Reader::new(bytes);
        let root = match input.number()? {
            0 => Root::Overlay { lower: input.list(Reader::path)?, scratch: input.path()? },
            _ => Root::Folder(input.path()?),
        };
        Ok(Spec {
            root,
            empty: input.list(Reader::text)?,
            binds: input.list(|input| {
                let (from, to) = (input.path()?, input.text()?);
                Ok(Bind { from, to, access: if input.flag()? { Access::Write } else { Access::Read } })
            })?,
            network: if input.flag()? { Network::Host } else { Network::None },
            uid: input.small()?,
            view: match input.small()? {
                0 => View::Host,
                processors => View::Fixed { processors },
            },
            command: input.list(Reader::text)?,
            environment: input.list(|input| Ok((input.text()?, input.text()?)))?.into_iter().collect(),
            directory: input.text()?,
            terminal: if input.flag()? { Terminal::Controlling } else { Terminal::None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_back_as_written_and_never_when_cut_short() {
        let overlay = Spec {
            root: Root::Overlay { lower: vec!["/a".into(), "/b".into()], scratch: "/c".into() },
            empty: vec!["out".into()],
            binds: vec![Bind { from: "/dev/kvm".into(), to: "dev/kvm".into(), access: Access::Write }],
            network: Network::None,
            uid: 1000,
            view: View::Fixed { processors: 8 },
            command: vec!["/bin/sh".into(), "-c".into(), String::new()],
            environment: BTreeMap::from([("A".into(), "é".into())]),
            directory: "build".into(),
            terminal: Terminal::None,
        };
        let folder = Spec {
            root: Root::Folder("/d".into()),
            network: Network::Host,
            view: View::Host,
            terminal: Terminal::Controlling,
            ..overlay.clone()
        };
        for spec in [overlay, folder] {
            let bytes = spec.encode();
            assert_eq!(Spec::decode(&bytes).unwrap(), spec);
            for end in 0..bytes.len() {
                assert!(Spec::decode(&bytes[..end]).is_err(), "cut at {end}");
            }
        }
    }
}
