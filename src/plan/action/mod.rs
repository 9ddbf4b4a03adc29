//! The instructions of a plan: fetch, run, assemble, pack, and the kinds of each. All are plain data that spells out its
//! whole world.
//!
//! A kind is one file here: its type, and one walk through its fields (see [`Kind`]), from which its key, its inputs and
//! what people are told of it follow. Whoever performs it has a file of the same name.
//!
//! The parameter `T` says how an action names the trees it takes: [`super::Source`] in a plan (the output of
//! another step, perhaps not there yet), [`Digest`] once resolved. Every output of every action is a tree; a
//! single file, such as a root image, is a tree that holds just it.

mod boot_record;
mod bound_uki;
mod data_disk;
mod disk;
mod esp;
mod fetch;
mod initramfs;
mod manifest;
mod modules;
mod packaged_kernel;
mod replaced;
mod root;
mod run;
mod signed_modules;
mod uki;
mod verity;
mod visible;
mod zstd;

use std::{collections::BTreeMap, convert::Infallible};

pub use boot_record::BootRecord;
pub use bound_uki::BoundUki;
pub use data_disk::DataDisk;
pub use disk::{Disk, Slot};
pub use esp::{BootFile, Esp};
pub use fetch::{DebianPackage, DebianSource, Extract, Fetch, Located, SourceArchive, UrlFile};
pub use initramfs::{Initramfs, Named};
pub use manifest::Manifest;
pub use modules::Modules;
pub use packaged_kernel::PackagedKernel;
pub use replaced::Replaced;
pub use root::{Root, RootLayer};
pub use run::{Input, Network, Output, Product, Run, Stdin};
pub use signed_modules::SignedModules;
pub use uki::Uki;
pub use verity::Verity;
pub use visible::Visible;
pub use zstd::Zstd;

use super::{
    Key, Source, StepId,
    key::{Facts, Fields},
    walk::{Kind, Walk},
};
use crate::content::Digest;

/// What an action gave: its trees by output name.
pub type Outcome = BTreeMap<String, Digest>;

/// One instruction of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action<T> {
    /// A locked upstream becomes a tree. Performed by `fetch`.
    Fetch(Fetch),
    /// Trees and a command become trees. Performed by `sandbox`.
    Run(Run<T>),
    /// Trees and a layout become parts of a disk. Performed by `image`.
    Assemble(Assemble<T>),
    /// A disk or tree becomes the file that a platform or a person wants. Performed by `artifact`.
    Pack(Pack<T>),
}

/// Makes an instruction of kinds: an enum with one of each, which is a kind itself.
macro_rules! instruction {
    ($(#[$about:meta])* $seen:vis $name:ident: $($kind:ident),+ $(,)?) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is told where it is made")]
        $seen enum $name<T> {
            $($kind($kind<T>),)+
        }

        impl<T> Kind<T> for $name<T> {
            type With<U> = $name<U>;

            fn kind(&self) -> (&'static str, u64) {
                match self {
                    $($name::$kind(kind) => kind.kind(),)+
                }
            }

            fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<$name<U>, E> {
                Ok(match self {
                    $($name::$kind(kind) => $name::$kind(kind.walk(walk)?),)+
                })
            }

            fn outputs(&self) -> Vec<String> {
                match self {
                    $($name::$kind(kind) => Kind::<T>::outputs(kind),)+
                }
            }
        }

        $(impl<T> From<$kind<T>> for Action<T> {
            fn from(kind: $kind<T>) -> Self {
                Action::$name($name::$kind(kind))
            }
        })+
    };
}

instruction! {
    /// One part of a disk.
    pub Assemble: Root, Visible, Modules, SignedModules, Replaced, PackagedKernel, Initramfs, Verity, Uki, BootRecord,
        BoundUki, Esp, Disk, DataDisk
}

instruction! {
    /// A file that leaves brc.
    pub Pack: Manifest, Zstd
}

impl<T> From<Fetch> for Action<T> {
    fn from(fetch: Fetch) -> Self {
        Action::Fetch(fetch)
    }
}

impl<T> From<Run<T>> for Action<T> {
    fn from(run: Run<T>) -> Self {
        Action::Run(run)
    }
}

impl<T> Action<T> {
    /// Whether the same inputs give the same outcome, so that it need not be performed twice. What is fetched while it
    /// is being locked comes from a network that changes.
    pub fn is_remembered(&self) -> bool {
        !matches!(self, Action::Run(Run { network: Network::Fetching { expected: None }, .. }))
    }

    /// The names of its outputs, sorted.
    pub fn output_names(&self) -> Vec<String> {
        match self {
            Action::Fetch(fetch) => Kind::<T>::outputs(fetch),
            Action::Run(run) => run.outputs(),
            Action::Assemble(assemble) => assemble.outputs(),
            Action::Pack(pack) => pack.outputs(),
        }
    }

    /// What it is called in keys, and its version.
    pub(super) fn kind(&self) -> (&'static str, u64) {
        match self {
            Action::Fetch(fetch) => Kind::<T>::kind(fetch),
            Action::Run(run) => run.kind(),
            Action::Assemble(assemble) => assemble.kind(),
            Action::Pack(pack) => pack.kind(),
        }
    }

    pub(super) fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Action<U>, E> {
        Ok(match self {
            Action::Fetch(fetch) => Action::Fetch(fetch.walk(walk)?),
            Action::Run(run) => Action::Run(run.walk(walk)?),
            Action::Assemble(assemble) => Action::Assemble(assemble.walk(walk)?),
            Action::Pack(pack) => Action::Pack(pack.walk(walk)?),
        })
    }

    /// The same action with every tree replaced by what `replace` gives for it, in a fixed order.
    ///
    /// # Errors
    /// The first error of `replace`.
    pub fn resolve<U, E>(&self, mut replace: impl FnMut(&T) -> Result<U, E>) -> Result<Action<U>, E> {
        self.walk(&mut Walk::new(&mut replace, None))
    }

    /// The same action with the digests that `replace` gives for its trees, and its key.
    ///
    /// # Errors
    /// The first error of `replace`.
    pub fn resolve_with_key<E>(
        &self,
        mut replace: impl FnMut(&T) -> Result<Digest, E>,
    ) -> Result<(Action<Digest>, Key), E> {
        let mut fields = Fields::of(self.kind(), None);
        let action = self.walk(&mut Walk::new(&mut replace, Some(&mut fields)))?;
        Ok((action, fields.key()))
    }
}

impl Action<Digest> {
    /// The digest of everything that its performer can see.
    pub fn key(&self) -> Key {
        self.fields(None).key()
    }

    /// What its key is made from; only the order of inputs is not told.
    pub fn facts(&self) -> Facts {
        self.fields(Some(Facts::new())).into_facts()
    }

    fn fields(&self, facts: Option<Facts>) -> Fields {
        let mut fields = Fields::of(self.kind(), facts);
        let mut same = |tree: &Digest| Ok::<_, Infallible>(*tree);
        let Ok(_) = self.walk(&mut Walk::new(&mut same, Some(&mut fields)));
        fields
    }
}

impl Action<Source> {
    /// The steps whose outputs this action takes, sorted, each once.
    pub fn needs(&self) -> Vec<StepId> {
        let mut steps = Vec::new();
        let Ok(_) = self.resolve(|source| {
            if let Source::Output { step, .. } = source {
                steps.push(*step);
            }
            Ok::<(), Infallible>(())
        });
        steps.sort();
        steps.dedup();
        steps
    }
}
