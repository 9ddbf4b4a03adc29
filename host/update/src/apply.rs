//! An update, step by step.

use std::{
    error::Error,
    io::{self, Read},
};

use brc_contract::{
    SlotName, gpt,
    update::{EspStep, Part, Step},
};

use crate::hash_tree::{self, TreeError};

/// Where the parts of an image come from.
pub trait Source {
    /// A partition's content.
    fn part(&self, part: Part) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>>;

    /// The kernel image.
    fn kernel_image(&self) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>>;
}

/// The disk that an update is put onto.
pub trait Target {
    /// Writes a sector of the partition table, or has all that was written reach the disk.
    fn table(&mut self, step: &gpt::Step) -> io::Result<()>;

    /// Writes a partition from its start; what is behind the content stays.
    fn fill(&mut self, number: u32, content: &mut dyn Read) -> io::Result<()>;

    /// Reads a partition back, from the disk and not from memory.
    fn read_back(&mut self, number: u32) -> io::Result<Box<dyn Read>>;

    /// Does something to the folder of kernel images; `content` is what a staged file gets.
    fn esp(&mut self, step: &EspStep, content: &mut dyn Read) -> io::Result<()>;

    /// Has the loader forget which entry somebody chose.
    fn forget_choice(&mut self) -> io::Result<()>;
}

/// Performs the steps of an update of `slot`; `tell` is called before each.
///
/// # Errors
/// The first step that fails. What runs stays what is started next, and the same steps may be performed again.
pub fn apply(
    steps: &[Step],
    slot: SlotName,
    root_hash: &[u8; 32],
    source: &dyn Source,
    target: &mut dyn Target,
    tell: &dyn Fn(&Step),
) -> Result<(), ApplyError> {
    for step in steps {
        tell(step);
        match step {
            Step::Table(step) => target.table(step).map_err(ApplyError::Table)?,
            Step::Fill(part) => {
                let failed = |source| ApplyError::Fill { part: *part, source };
                let mut content = source.part(*part).map_err(ApplyError::Source)?;
                target.fill(part.number(slot), &mut *content).map_err(failed)?;
            }
            Step::Check => {
                let mut read = |part: Part| {
                    let failed = |source| ApplyError::ReadBack { part, source };
                    target.read_back(part.number(slot)).map_err(failed)
                };
                let (mut root, mut hash) = (read(Part::Root)?, read(Part::Hash)?);
                hash_tree::check(&mut *root, &mut *hash, root_hash).map_err(ApplyError::Check)?;
            }
            Step::ForgetChoice => target.forget_choice().map_err(ApplyError::Choice)?,
            Step::Esp(step) => {
                let failed = |source| ApplyError::Esp { step: step.clone(), source };
                let mut content: Box<dyn Read + '_> = match step {
                    EspStep::Stage(_) => source.kernel_image().map_err(ApplyError::Source)?,
                    EspStep::Remove(_) | EspStep::Rename { .. } | EspStep::Sync => Box::new(io::empty()),
                };
                target.esp(step, &mut *content).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// An update was not ended.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The partition table cannot be written.
    #[error("the partition table cannot be written")]
    Table(#[source] io::Error),
    /// A partition is not written whole: the disk does not take it, or the content does not come.
    #[error("the {} of the slot is not written whole", part.name())]
    Fill { part: Part, source: io::Error },
    /// A partition cannot be read.
    #[error("the {} of the slot cannot be read back", part.name())]
    ReadBack { part: Part, source: io::Error },
    /// What is on the disk is not the image.
    #[error("what is on the disk is not the image that was offered")]
    Check(#[source] TreeError),
    /// The loader's choice stays.
    #[error("the loader's choice of an entry cannot be taken away: it would start another one")]
    Choice(#[source] io::Error),
    /// The folder of kernel images does not take it.
    #[error("the EFI system partition does not take {}", named(step))]
    Esp { step: EspStep, source: io::Error },
    /// A part of the image does not come.
    #[error(transparent)]
    Source(Box<dyn Error + Send + Sync>),
}

fn named(step: &EspStep) -> String {
    match step {
        EspStep::Remove(name) => format!("the removal of `{name}`"),
        EspStep::Stage(name) => format!("`{name}`"),
        EspStep::Rename { from, to } => format!("`{to}` as the new name of `{from}`"),
        EspStep::Sync => "what was written".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeMap};

    use brc_contract::error_chain;

    use super::*;

    /// A disk of values on which one call may fail.
    #[derive(Default)]
    struct Fake {
        calls: Vec<String>,
        fails: Option<usize>,
        partitions: BTreeMap<u32, Vec<u8>>,
        esp: BTreeMap<String, Vec<u8>>,
    }

    impl Fake {
        fn call(&mut self, call: String) -> io::Result<()> {
            let fails = self.fails == Some(self.calls.len());
            self.calls.push(call);
            if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Target for Fake {
        fn table(&mut self, step: &gpt::Step) -> io::Result<()> {
            self.call(if *step == gpt::Step::Flush { "flush".to_owned() } else { "sector".to_owned() })
        }

        fn fill(&mut self, number: u32, content: &mut dyn Read) -> io::Result<()> {
            self.call(format!("fill {number}"))?;
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            self.partitions.insert(number, bytes);
            Ok(())
        }

        fn read_back(&mut self, number: u32) -> io::Result<Box<dyn Read>> {
            self.call(format!("read {number}"))?;
            Ok(Box::new(io::Cursor::new(self.partitions[&number].clone())))
        }

        fn esp(&mut self, step: &EspStep, content: &mut dyn Read) -> io::Result<()> {
            self.call(format!("{step:?}"))?;
            match step {
                EspStep::Remove(name) => drop(self.esp.remove(name)),
                EspStep::Stage(name) => {
                    let mut bytes = Vec::new();
                    content.read_to_end(&mut bytes)?;
                    self.esp.insert(name.clone(), bytes);
                }
                EspStep::Rename { from, to } => {
                    let bytes = self.esp.remove(from).ok_or(io::ErrorKind::NotFound)?;
                    self.esp.insert(to.clone(), bytes);
                }
                EspStep::Sync => {}
            }
            Ok(())
        }

        fn forget_choice(&mut self) -> io::Result<()> {
            self.call("forget".to_owned())
        }
    }

    /// An image of one block.
    struct Image {
        root: Vec<u8>,
        tree: Vec<u8>,
    }

    impl Image {
        fn new() -> (Image, [u8; 32]) {
            let mut superblock = [0; 4096];
            superblock[..8].copy_from_slice(b"verity\0\0");
            for (at, number) in [(8, 1_u32), (12, 1), (64, 4096), (68, 4096), (72, 1)] {
                superblock[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            superblock[32..38].copy_from_slice(b"sha256");
            let digest = |bytes: &[u8]| -> [u8; 32] {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
                digest.as_ref().try_into().unwrap()
            };
            let root = vec![7; 4096];
            let mut top = [0; 4096];
            top[..32].copy_from_slice(&digest(&root));
            (Image { root, tree: [superblock, top].concat() }, digest(&top))
        }
    }

    impl Source for Image {
        fn part(&self, part: Part) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
            Ok(Box::new(if part == Part::Root { self.root.as_slice() } else { self.tree.as_slice() }))
        }

        fn kernel_image(&self) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
            Ok(Box::new(&b"kernel"[..]))
        }
    }

    fn steps() -> Vec<Step> {
        let (staged, name) = ("a_2.part".to_owned(), "a_2+3-0.efi".to_owned());
        vec![
            Step::Esp(EspStep::Remove("a_1.efi".to_owned())),
            Step::Table(gpt::Step::Write { sector: 1, bytes: vec![0; 512] }),
            Step::Table(gpt::Step::Flush),
            Step::Fill(Part::Hash),
            Step::Fill(Part::Root),
            Step::Check,
            Step::ForgetChoice,
            Step::Esp(EspStep::Stage(staged.clone())),
            Step::Esp(EspStep::Rename { from: staged, to: name }),
            Step::Esp(EspStep::Sync),
        ]
    }

    #[test]
    fn an_update_is_on_the_disk_when_its_steps_are_done() {
        let (image, root_hash) = Image::new();
        let mut disk = Fake::default();
        disk.esp.insert("a_1.efi".to_owned(), Vec::new());
        let told = RefCell::new(0);
        apply(&steps(), SlotName::B, &root_hash, &image, &mut disk, &|_| *told.borrow_mut() += 1).unwrap();
        assert_eq!((disk.partitions[&4].len(), disk.partitions[&5].len()), (8192, 4096));
        assert_eq!(disk.esp, BTreeMap::from([("a_2+3-0.efi".to_owned(), b"kernel".to_vec())]));
        assert_eq!(told.take(), steps().len());
    }

    /// Every call fails once: it is told, and nothing behind it is done.
    #[test]
    fn what_fails_ends_the_update_there_with_its_reason() {
        let (image, root_hash) = Image::new();
        for fails in 0.. {
            let mut disk = Fake { fails: Some(fails), ..Fake::default() };
            let Err(error) = apply(&steps(), SlotName::B, &root_hash, &image, &mut disk, &|_| ()) else {
                assert_eq!(fails, disk.calls.len(), "every call was tried");
                assert!(fails > 9);
                break;
            };
            assert_eq!(disk.calls.len(), fails + 1, "{:?}", disk.calls);
            assert!(error_chain(&error).ends_with("no storage space"), "{}", error_chain(&error));
            assert!(!disk.esp.contains_key("a_2+3-0.efi") || fails > 9, "the new entry is there: {:?}", disk.calls);
        }
    }

    #[test]
    fn another_root_than_that_which_was_offered_is_never_started() {
        let (mut image, root_hash) = Image::new();
        image.root[99] ^= 1;
        let mut disk = Fake::default();
        let found = apply(&steps(), SlotName::B, &root_hash, &image, &mut disk, &|_| ());
        assert!(matches!(found, Err(ApplyError::Check(TreeError::Block { level: 0, block: 0 }))), "{found:?}");
        assert!(disk.esp.is_empty());
    }
}
