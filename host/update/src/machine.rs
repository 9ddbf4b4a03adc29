//! The running machine, and what may be put onto it.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use brc_agent::{Status, Unknown, disk::RootDisk, loader as boot_loader};
use brc_contract::{
    EntryName, SlotName, Slots, Standing,
    gpt::{self, Copies, Which},
    update::{
        self, Again, EspStep, Host, Judgement, NewImage, Offer, OfferError, Part, Rollback, RollbackRefused, Seen,
        Step, UpdateRefused,
    },
    well_known::{self, REBOOT_REQUIRED, UPDATE_STAGED},
};
use brc_linux::{Files, device_mapper};
use rustix::{fs::FlockOperation, io::Errno};

use crate::{
    apply::{ApplyError, Source, Target as _, apply},
    device::{Device, DeviceError},
    hash_tree::{self, TreeError},
    loader::{self, LoaderError, Renewed},
    report::ReportError,
    repository::{Clock, Repository, RepositoryError, Settings},
    wishes::{self, Said, WishError},
};

/// Where the image says where updates come from, below the root.
const ADDRESS: &str = "/usr/lib/brc/update/url";
const ROOT: &str = "/usr/lib/brc/update/root.json";
/// The credential that takes the place of the image's root.
const ROOT_CREDENTIAL: &str = "brc.update-root";
/// Where the machine's settings say something of updates, if they do.
const SAID: &str = "/etc/brc/update/settings";
/// Where what was seen of the repository is kept.
const KEPT: &str = "/var/lib/brc/update";
/// How many starts in a row of which version were not found healthy.
const UNHEALTHY_STARTS: &str = "/var/lib/brc/update/unhealthy-starts";
/// So many of a version that was found healthy before are enough, when settings say nothing.
const AFTER_BLESSING: u8 = 3;
/// It is there once a server of time has agreed (systemd-timesyncd).
const AGREED: &str = "/run/systemd/timesync/synchronized";
const MAX_ADDRESS: usize = 4096;
const MAX_SAID: usize = 64 << 10;
const MAX_ROOT: usize = 1 << 20;

/// The running machine.
pub struct Machine {
    host: Host,
    said: Said,
    disk: RootDisk,
}

/// What was mended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mended {
    /// The copy of the partition table that was bad.
    pub copy: Option<Which>,
    /// The files that an update which was cut off had left, or that started what others start.
    pub removed: Vec<String>,
    /// The version of an update whose kernel image the loader could not read: it is given up.
    pub unreadable: Option<String>,
}

/// What a repository has for the machine.
#[derive(Debug)]
pub struct Found {
    /// What runs.
    pub running: String,
    /// What may be taken; `None` when nothing is newer.
    pub update: Option<Update>,
}

/// An update that the machine may take, now or later.
#[derive(Debug)]
pub struct Update {
    /// Its version.
    pub version: String,
    /// How many bytes are fetched for it.
    pub bytes: u64,
    /// When its wave opens for this machine, in seconds since 1970.
    pub opens: u64,
    /// Whether that is now.
    pub is_open: bool,
    /// The slot that it would be put into, or why it may not be.
    pub slot: Result<SlotName, Refusal>,
}

/// An update may not be put onto the machine.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// By the rules of slots.
    #[error(transparent)]
    Slots(#[from] UpdateRefused),
    /// The ESP has no room for its kernel image.
    #[error("its kernel image has {needed} bytes, and the EFI system partition has room for {room}")]
    Esp { needed: u64, room: u64 },
}

/// What an update needs, worked out.
struct Planned {
    new: NewImage,
    slot: SlotName,
    steps: Vec<Step>,
}

impl Machine {
    /// Looks at the machine that this program runs on, whose architecture is `architecture`.
    ///
    /// # Errors
    /// What of it is not known.
    pub fn here(architecture: &str) -> Result<Self, CheckError> {
        let files = Files::below("/");
        let status = Status::of(&files, architecture, &device_mapper::ask);
        let image = brc_contract::ImageName::new(&status.variant?, &status.version?);
        let said = said(&files)?;
        let wishes = said.wishes.clone();
        let host = Host { image, architecture: status.architecture?, machine_id: status.machine_id?, wishes };
        Ok(Machine { host, said, disk: RootDisk::of(&files)? })
    }

    /// What the repository has for the machine. Nothing is changed but what is kept of the repository.
    ///
    /// # Errors
    /// A repository that is not believed, or a disk that cannot be read.
    pub fn check(&self) -> Result<Found, CheckError> {
        let (settings, clock) = (settings(&self.said)?, clock()?);
        let repository = Repository::open(&settings, &clock)?;
        let offers = repository.offers()?;
        let running = self.host.image.version.clone();
        let Some(choice) = offers.choose(&self.host)? else { return Ok(Found { running, update: None }) };
        let device = Device::open(self.disk.clone())?;
        let planned = self.plan(&repository, &device, choice.offer, Again::Never)?;
        let update = Update {
            version: choice.offer.version.clone(),
            bytes: bytes(&repository, choice.offer)?,
            opens: choice.opens,
            is_open: choice.opens <= clock.now,
            slot: planned.map(|planned| planned.slot),
        };
        Ok(Found { running, update: Some(update) })
    }

    /// Takes the newest update, whether or not its wave is open when `again` says that somebody asked; the version that
    /// is started next. `None` when there is nothing to take now.
    ///
    /// # Errors
    /// As [`Machine::check`], and an update that is refused or breaks off.
    pub fn apply(&self, again: Again, tell: &dyn Fn(&Step)) -> Result<Option<String>, CheckError> {
        let _lock = lock()?;
        let (settings, clock) = (settings(&self.said)?, clock()?);
        let repository = Repository::open(&settings, &clock)?;
        let offers = repository.offers()?;
        let Some(choice) = offers.choose(&self.host)? else { return Ok(None) };
        if choice.opens > clock.now && again == Again::Never {
            return Ok(None);
        }
        let mut device = Device::open(self.disk.clone())?;
        let Planned { new, slot, steps } = self.plan(&repository, &device, choice.offer, again)??;
        let source = Offered { repository: &repository, offer: choice.offer };
        apply(&steps, slot, &new.root_hash, &source, &mut device, tell)?;
        let told = fs::write(REBOOT_REQUIRED, format!("{} is started by it\n", choice.offer.version));
        told.map_err(|source| CheckError::Tell { path: REBOOT_REQUIRED, source })?;
        Ok(Some(choice.offer.version.clone()))
    }

    /// Goes back to the version before: what runs is given up, once the other slot was read through and found whole, or an
    /// update that was written and never started. What was given up is not taken again by itself. The version that is
    /// started next.
    ///
    /// # Errors
    /// When the other slot holds nothing that starts, or is damaged.
    pub fn roll_back(&self) -> Result<String, CheckError> {
        let _lock = lock()?;
        let mut device = Device::open(self.disk.clone())?;
        let slots = self.slots(&device, &device.copies()?)?;
        let Rollback { steps, given_up } = update::roll_back(&slots)?;
        let next = given_up.other();
        let version = |slot: SlotName| slots.slot(slot).image().map_or_else(String::new, |image| image.version);
        let mut read = |part: Part| {
            let failed = |source| ApplyError::ReadBack { part, source };
            device.read_back(part.number(next)).map_err(failed)
        };
        let (mut root, mut hash) = (read(Part::Root)?, read(Part::Hash)?);
        hash_tree::check(&mut *root, &mut *hash, &slots.slot(next).root_hash).map_err(CheckError::OtherDamaged)?;
        let steps: Vec<Step> = steps.into_iter().map(Step::Esp).chain([Step::ForgetChoice]).collect();
        apply(&steps, next, &slots.slot(next).root_hash, &Nothing, &mut device, &|_| ())?;
        let told = fs::write(well_known::LAST_FAILURE, format!("{}: given up by hand\n", version(given_up)));
        told.map_err(|source| CheckError::Tell { path: well_known::LAST_FAILURE, source })?;
        if next == slots.running()
            && let Err(source) = fs::remove_file(REBOOT_REQUIRED)
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(CheckError::Tell { path: REBOOT_REQUIRED, source });
        }
        Ok(version(next))
    }

    /// Brings both copies of the partition table to what counts, and takes away what an update that was cut off has left;
    /// done at each start.
    ///
    /// # Errors
    /// A table of which neither copy can be read, or a disk that refuses.
    pub fn mend(&self) -> Result<Mended, CheckError> {
        let _lock = lock()?;
        let mut device = Device::open(self.disk.clone())?;
        let copies = device.copies()?;
        let table = copies.mend()?.into_iter().map(Step::Table);
        let slots = self.slots(&device, &copies)?;
        let (mut esp, unreadable) = (update::reconcile(&slots), unreadable(&slots));
        let removed = esp.iter().filter_map(|step| match step {
            EspStep::Remove(name) => Some(name.clone()),
            EspStep::Stage(_) | EspStep::Rename { .. } | EspStep::Sync => None,
        });
        let other = slots.slot(slots.running().other()).image().map(|image| image.version);
        let mended = Mended {
            copy: copies.bad(),
            removed: removed.collect(),
            unreadable: other.filter(|_| !unreadable.is_empty()),
        };
        esp.extend(unreadable);
        let steps: Vec<Step> = table.chain(esp.into_iter().map(Step::Esp)).collect();
        apply(&steps, self.disk.running, &[0; 32], &Nothing, &mut device, &|_| ())?;
        if let Some(version) = &mended.unreadable {
            let why = format!(
                "{version}: its kernel image on the EFI system partition is damaged, the loader passed it over\n"
            );
            let told = fs::write(well_known::LAST_FAILURE, why);
            told.map_err(|source| CheckError::Tell { path: well_known::LAST_FAILURE, source })?;
        }
        Ok(mended)
    }

    /// Judges what runs when the time that it had to prove itself is over, and counts the starts in a row that were not
    /// healthy. What is given up is so at once; where the other slot is damaged nothing is.
    ///
    /// # Errors
    /// A disk that cannot be read or written.
    pub fn judge(&self, is_healthy: bool) -> Result<Judgement, CheckError> {
        let slots = {
            let device = Device::open(self.disk.clone())?;
            self.slots(&device, &device.copies()?)?
        };
        let counted = |source| CheckError::Tell { path: UNHEALTHY_STARTS, source };
        if is_healthy {
            match fs::remove_file(UNHEALTHY_STARTS) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(counted(source)),
                _ => return Ok(update::judge(&slots, Seen::Healthy)),
            }
        }
        // Of another version, or of nothing that can be read, none are counted.
        let before = Files::below("/").text(UNHEALTHY_STARTS, MAX_ADDRESS).unwrap_or_default();
        let own = before.strip_prefix(&format!("{} ", self.host.image.version));
        let starts = own.and_then(|count| count.trim().parse().ok()).unwrap_or(0_u8).saturating_add(1);
        let text = format!("{} {starts}\n", self.host.image.version);
        brc_linux::write_whole(Path::new(UNHEALTHY_STARTS), text.as_bytes(), 0o600).map_err(counted)?;
        let limit = self.said.after_blessing.unwrap_or(AFTER_BLESSING);
        match update::judge(&slots, Seen::NotHealthy { starts, limit }) {
            Judgement::GiveUp => match self.roll_back() {
                Ok(_) => Ok(Judgement::GiveUp),
                Err(CheckError::OtherDamaged(_)) => Ok(Judgement::NothingElse),
                Err(error) => Err(error),
            },
            judgement => Ok(judgement),
        }
    }

    /// Brings the loader of what runs onto the ESP when it is newer than the one there and what runs was found healthy.
    ///
    /// # Errors
    /// An ESP that does not take it; the loader that is there stays.
    pub fn renew_loader(&self) -> Result<Option<Renewed>, CheckError> {
        let _lock = lock()?;
        let slots = {
            let device = Device::open(self.disk.clone())?;
            self.slots(&device, &device.copies()?)?
        };
        if slots.slot(self.disk.running).entry().map(EntryName::standing) != Some(Standing::Good) {
            return Ok(None);
        }
        Ok(loader::renew(Path::new("/"), self.host.architecture)?)
    }

    fn slots(&self, device: &Device, copies: &Copies) -> Result<Slots, CheckError> {
        let names = device.names()?;
        let names = names.iter().map(String::as_str);
        Ok(Slots::read(&self.host.image.variant, copies.table()?, names, self.disk.running)?)
    }

    fn plan(
        &self,
        repository: &Repository,
        device: &Device,
        offer: &Offer,
        again: Again,
    ) -> Result<Result<Planned, Refusal>, CheckError> {
        let copies = device.copies()?;
        let slots = self.slots(device, &copies)?;
        let new = NewImage {
            name: offer.name(),
            root_hash: offer.root_hash()?,
            bytes: [repository.size(&offer.targets.hash)?, repository.size(&offer.targets.root)?],
            empty: offer.empty_slots()?,
        };
        let sector = self.disk.size.sector as u64;
        let (slot, steps) = match update::steps(&slots, &copies, sector, &new, again) {
            Ok(planned) => planned,
            Err(refused) => return Ok(Err(refused.into())),
        };
        let (needed, room) = (repository.size(&offer.targets.kernel_image)?, device.room()?);
        // What the slot's own kernel image takes is free by then; that is not counted on.
        if needed > room {
            return Ok(Err(Refusal::Esp { needed, room }));
        }
        Ok(Ok(Planned { new, slot, steps }))
    }
}

/// An image as its targets.
struct Offered<'r> {
    repository: &'r Repository,
    offer: &'r Offer,
}

impl Source for Offered<'_> {
    fn part(&self, part: Part) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
        let targets = &self.offer.targets;
        let name = if part == Part::Root { &targets.root } else { &targets.hash };
        Ok(Box::new(self.repository.target(name)?))
    }

    fn kernel_image(&self) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
        Ok(Box::new(self.repository.target(&self.offer.targets.kernel_image)?))
    }
}

/// What needs no part of an image.
struct Nothing;

impl Source for Nothing {
    fn part(&self, _: Part) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
        Err("no partition is written".into())
    }

    fn kernel_image(&self) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
        Err("no kernel image is written".into())
    }
}

/// What settings say of updates.
pub(crate) fn said(files: &Files) -> Result<Said, CheckError> {
    match files.text(SAID, MAX_SAID) {
        Ok(text) => Ok(wishes::parse(&text)?),
        Err(error) if error.is_absence() => Ok(Said::default()),
        Err(error) => Err(CheckError::Machine(error.into())),
    }
}

/// Whom the machine trusts: what the image says, unless whoever started a virtual machine handed something else over, which
/// an image takes that takes credentials at all.
fn trusted_root(files: &Files) -> Result<Vec<u8>, brc_linux::FileError> {
    match files.bytes(&format!("{}/{ROOT_CREDENTIAL}", well_known::CREDENTIALS), MAX_ROOT) {
        Err(error) if error.is_absence() => files.bytes(ROOT, MAX_ROOT),
        other => other,
    }
}

/// Where updates come from: what settings say counts more than what the image says.
fn settings(said: &Said) -> Result<Settings, CheckError> {
    let files = Files::below("/");
    let below = |folder: &str| -> Result<String, CheckError> {
        let address = files.text(ADDRESS, MAX_ADDRESS).map_err(CheckError::NoUpdates)?;
        Ok(format!("{}/{folder}", address.trim().trim_end_matches('/')))
    };
    Ok(Settings {
        metadata: said.metadata.clone().map_or_else(|| below("metadata"), Ok)?,
        targets: said.targets.clone().map_or_else(|| below("targets"), Ok)?,
        root: trusted_root(&files).map_err(CheckError::NoUpdates)?,
        kept: PathBuf::from(KEPT),
    })
}

fn clock() -> Result<Clock, CheckError> {
    let made = fs::metadata(Path::new("/").join(well_known::OS_RELEASE));
    let made = made.map_err(|source| CheckError::Made { source })?.mtime();
    #[expect(clippy::disallowed_methods, reason = "metadata has an end, and waves have a beginning")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(Clock { now, floor: made.max(0).unsigned_abs(), is_agreed: Path::new(AGREED).exists() })
}

fn bytes(repository: &Repository, offer: &Offer) -> Result<u64, RepositoryError> {
    let targets = &offer.targets;
    [&targets.root, &targets.hash, &targets.kernel_image].into_iter().map(|name| repository.size(name)).sum()
}

/// What gives up an update that was there when the machine started and that the loader could not read. Without a loader
/// that says what it offered, or with an update that was written since the start, nothing is known.
fn unreadable(slots: &Slots) -> Vec<EspStep> {
    if [REBOOT_REQUIRED, UPDATE_STAGED].iter().any(|path| Path::new(path).exists()) {
        return Vec::new();
    }
    let said = Files::below("/").bytes(&boot_loader::variable_path("LoaderEntries"), boot_loader::MAX_VARIABLE);
    let names = said.ok().and_then(|bytes| boot_loader::texts(&bytes).ok()).unwrap_or_default();
    let offered: Vec<EntryName> = names.iter().filter_map(|name| EntryName::parse(name).ok()).collect();
    let runs = slots.slot(slots.running()).entry();
    match runs.is_some_and(|runs| offered.iter().any(|offered| offered.is_same_entry(runs))) {
        true => update::give_up_unreadable(slots, &offered),
        false => Vec::new(),
    }
}

/// Only one update at a time.
fn lock() -> Result<File, CheckError> {
    let path = PathBuf::from(KEPT).join("lock");
    let failed = |source| CheckError::Lock { source };
    fs::create_dir_all(KEPT).map_err(failed)?;
    let file = File::create(path).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(CheckError::Busy),
        Err(error) => Err(failed(error.into())),
    }
}

/// It is not known what the machine may take, or what it may take is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The machine does not say what it is.
    #[error(transparent)]
    Machine(#[from] Unknown),
    /// The settings of updates are not what they should be.
    #[error("`{SAID}` is not to be understood")]
    Wishes(#[from] WishError),
    /// It is done, and whoever waits for it is not told.
    #[error("it is done, and `{path}` cannot be written")]
    Tell { path: &'static str, source: io::Error },
    /// The image has no repository.
    #[error("this image says nothing of updates")]
    NoUpdates(#[source] brc_linux::FileError),
    /// It is not known when the image was made.
    #[error("`/{}` cannot be looked at", well_known::OS_RELEASE)]
    Made { source: io::Error },
    /// The repository says nothing that can be believed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// What it offers makes no sense.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The disk cannot be read.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The partition table cannot be read.
    #[error(transparent)]
    Table(#[from] gpt::Unreadable),
    /// The loader cannot be brought onto the ESP.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// Nobody takes the report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The disk has no two slots.
    #[error(transparent)]
    Slots(#[from] brc_contract::NoSlots),
    /// The update may not be put onto the disk.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was begun and not ended.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// What runs cannot be given up.
    #[error(transparent)]
    Rollback(#[from] RollbackRefused),
    /// There is nothing whole to go back to.
    #[error("the slot to go back to is damaged: nothing that starts would be left")]
    OtherDamaged(#[source] TreeError),
    /// Another one is at work.
    #[error("another update is being written")]
    Busy,
    /// It is not known whether another one is at work.
    #[error("`{KEPT}/lock` cannot be taken")]
    Lock { source: io::Error },
}
