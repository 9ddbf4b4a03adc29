//! A disk published: planned first, then done; each step may be done already.

use super::{
    blocks::{BLOCK_BYTES, Blocks, Disk, changes},
    existing::{Existing, ExistingImage, ExistingSnapshot, existing, image_of_name},
    failure::AmiError,
    order::{AmiOrder, DATA_TAG, NO_PARENT, PARENT_TAG, ParentChoice, Placement, Volume},
    record::Records,
    register::{Registration, encrypts_by_default, wait_for_image, wait_for_snapshot},
    snapshot::{Start, State, complete},
    spread::{Original, copy, place},
    step::Step,
    upload::{Upload, read_back},
};
use crate::publish::aws::{Aws, AwsError};

/// How often a snapshot is begun anew that was begun before and is gone.
const ATTEMPTS: u32 = 3;

/// The disks that an image is made of.
#[derive(Clone, Copy)]
pub struct Disks<'a> {
    /// That of the system.
    pub system: &'a Disk,
    /// That of data, where something comes on it.
    pub data: Option<&'a Disk>,
}

/// What will be done, as far as can be known before.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The image, where it is there already.
    pub image: Option<String>,
    /// What becomes of the snapshot of the system.
    pub system: SnapshotPlan,
    /// The same of data, where something comes on its disk.
    pub data: Option<SnapshotPlan>,
}

/// What becomes of a snapshot, as far as can be known before.
#[derive(Debug, Clone)]
pub struct SnapshotPlan {
    /// Whether it is there.
    pub snapshot: Planned,
    /// The snapshot that only differences are sent to.
    pub parent: Option<String>,
    /// Why all blocks are sent although a parent was looked for.
    pub no_parent: Option<&'static str>,
    /// How many blocks are sent.
    pub blocks: usize,
    /// What is sent already of those.
    pub sent: usize,
    volume: Volume,
    changes: Blocks,
}

/// Whether a snapshot is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// It is there and whole.
    There(String),
    /// It was begun and is gone on with.
    GoneOn(String),
    /// It is begun.
    Begun,
}

/// An image in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmiImage {
    /// The region.
    pub region: String,
    /// Its name at AWS.
    pub image: String,
    /// Whether it was made now.
    pub is_new: bool,
}

/// What is there now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The snapshot, in the first region.
    pub snapshot: Option<String>,
    /// The images, the first region's first.
    pub images: Vec<AmiImage>,
    /// That of the disk for data.
    pub data_snapshot: Option<String>,
    /// How many blocks were sent now.
    pub sent: usize,
    /// The parameters that name them now and did not before.
    pub named: Vec<String>,
}

/// Finds out what will be done; changes nothing.
///
/// # Errors
/// AWS refuses, or another disk has the name.
pub fn plan(
    aws: &Aws<'_>,
    disks: Disks<'_>,
    order: &AmiOrder,
    records: &Records,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<Plan, AmiError> {
    let sha256 = disks.system.sha256.to_string();
    let image = there(aws, aws.region(), &order.name, &sha256, &order.place)?;
    let found = existing(aws, aws.region())?;
    // An image that is there has its snapshots, whatever they are tagged with.
    let known = (&found, image.is_some());
    let planned = |disk, volume| plan_snapshot(aws, (disk, volume), order, known, records, tell);
    let system = planned(disks.system, Volume::System)?;
    let data = disks.data.map(|disk| planned(disk, Volume::Data)).transpose()?;
    Ok(Plan { image, system, data })
}

fn plan_snapshot(
    aws: &Aws<'_>,
    (disk, volume): (&Disk, Volume),
    order: &AmiOrder,
    (found, has_image): (&Existing, bool),
    records: &Records,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<SnapshotPlan, AmiError> {
    let sha256 = disk.sha256.to_string();
    let is_wanted = |snapshot: &&ExistingSnapshot| {
        snapshot.sha256() == sha256
            && snapshot.volume() == volume
            && snapshot.architecture() == order.target.architecture.name()
            && (order.place.encryption.is_none() || snapshot.encrypted)
    };
    let in_state = |state| found.snapshots.iter().filter(is_wanted).find(|snapshot| snapshot.state() == state);
    let nothing = |snapshot| SnapshotPlan {
        snapshot,
        parent: None,
        no_parent: None,
        blocks: 0,
        sent: 0,
        volume,
        changes: Blocks::new(),
    };
    if let Some(whole) = in_state(State::Completed) {
        return Ok(nothing(Planned::There(whole.id.clone())));
    }
    if has_image {
        return Ok(nothing(Planned::Begun));
    }
    let begun = in_state(State::Pending);
    let (parent, no_parent) = match begun.map(|begun| begun.tag(PARENT_TAG)) {
        Some("" | NO_PARENT) => (None, None),
        Some(parent) => (Some(parent.to_owned()), None),
        None => parent_of(aws, (disk, volume), order, records, found)?,
    };
    let old = match &parent {
        Some(parent) => held(aws, parent, order.connections, records, tell)?,
        None => Blocks::new(),
    };
    let changes = changes(&disk.blocks, &old);
    let snapshot = begun.map_or(Planned::Begun, |begun| Planned::GoneOn(begun.id.clone()));
    let sent = match &snapshot {
        Planned::GoneOn(id) => {
            records.begun(id).iter().filter(|(number, sha256)| changes.get(number) == Some(sha256)).count()
        }
        _ => 0,
    };
    Ok(SnapshotPlan { snapshot, parent, no_parent, blocks: changes.len(), sent, volume, changes })
}

/// The image of a name in a region, when it is of this disk.
pub(super) fn there(
    aws: &Aws<'_>,
    region: &str,
    name: &str,
    sha256: &str,
    place: &Placement,
) -> Result<Option<String>, AmiError> {
    match image_of_name(aws, region, name)? {
        Some(image) if image.sha256() != sha256 => {
            Err(AmiError::NameTaken { name: name.to_owned(), image: image.id, region: region.to_owned() })
        }
        Some(image) if place.encryption.is_some() && !image.encrypted => {
            Err(AmiError::NotEncrypted { image: image.id, region: region.to_owned() })
        }
        found => Ok(found.map(|image| image.id)),
    }
}

/// The snapshot that a new one begins with, or why there is none.
fn parent_of(
    aws: &Aws<'_>,
    (disk, volume): (&Disk, Volume),
    order: &AmiOrder,
    records: &Records,
    found: &Existing,
) -> Result<(Option<String>, Option<&'static str>), AmiError> {
    if order.place.encryption.is_some() || order.parent == ParentChoice::None {
        return Ok((None, None));
    }
    if let ParentChoice::Named(parent) = &order.parent
        && volume == Volume::System
    {
        return Ok((Some(parent.clone()), None));
    }
    let is_same = |snapshot: &&ExistingSnapshot| {
        snapshot.state() == State::Completed
            && snapshot.volume() == volume
            && snapshot.variant() == order.target.variant
            && snapshot.architecture() == order.target.architecture.name()
            && snapshot.gib <= disk.gib()
    };
    let mut candidates = found.snapshots.iter().filter(is_same).peekable();
    if candidates.peek().is_none() {
        return Ok((None, Some("no snapshot of an earlier version is there")));
    }
    let known = candidates.find(|snapshot| records.whole(&snapshot.id).is_some());
    match known {
        None => Ok((
            None,
            Some("this machine does not know the blocks of an earlier one; `--parent SNAPSHOT` reads them back"),
        )),
        Some(parent) if !parent.encrypted && encrypts_by_default(aws)? => {
            Ok((None, Some("the account encrypts what is new, and an earlier one is not encrypted")))
        }
        Some(parent) => Ok((Some(parent.id.clone()), None)),
    }
}

/// What a parent holds: remembered, or else read back and remembered.
fn held(
    aws: &Aws<'_>,
    parent: &str,
    connections: usize,
    records: &Records,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<Blocks, AmiError> {
    if let Some(blocks) = records.whole(parent) {
        return Ok(blocks);
    }
    tell(Step::ReadsBack { snapshot: parent.to_owned() });
    let blocks = read_back(aws, parent, connections)?;
    records.finish(parent, &blocks)?;
    Ok(blocks)
}

/// Does what was planned.
///
/// # Errors
/// AWS refuses or is too slow, the disk changes, or it was stopped.
pub fn publish(
    aws: &Aws<'_>,
    disks: Disks<'_>,
    order: &AmiOrder,
    plan: &Plan,
    records: &Records,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<Published, AmiError> {
    let mut done = Published::default();
    let disk = disks.system;
    let registration = Registration {
        target: &order.target,
        name: &order.name,
        sha256: disk.sha256,
        snapshot: "",
        gib: disk.gib(),
        data_gib: order.data_gib,
        data_snapshot: None,
        place: &order.place,
    };
    let home = aws.region().to_owned();
    let (image, is_new) = match &plan.image {
        Some(image) => (image.clone(), false),
        None => {
            if let (Some(disk), Some(plan)) = (disks.data, &plan.data) {
                let (snapshot, sent) = upload(aws, disk, order, plan, records, tell)?;
                (done.sent, done.data_snapshot) = (sent, Some(snapshot));
            }
            let (snapshot, sent) = upload(aws, disk, order, &plan.system, records, tell)?;
            (done.sent, done.snapshot) = (done.sent + sent, Some(snapshot.clone()));
            let data_snapshot = done.data_snapshot.as_deref();
            let image = Registration { snapshot: &snapshot, data_snapshot, ..registration }.run(aws)?;
            tell(Step::Made { image: image.clone(), region: home.clone() });
            (image, true)
        }
    };
    done.images.push(AmiImage { region: home.clone(), image: image.clone(), is_new });
    let mut whole = vec![wait(aws, &done.images[0], tell)?];
    let original = Original { image: &image, region: &home };
    for region in &order.place.copies {
        done.images.push(copied(aws, &original, region, &registration, tell)?);
    }
    for one in &done.images[1..] {
        whole.push(wait(aws, one, tell)?);
    }
    for (one, image) in done.images.iter().zip(&whole) {
        done.named.extend(place(aws, &one.region, image, &order.place, tell)?);
    }
    Ok(done)
}

/// An image in another region or for another account, copied where it is not there yet.
pub(super) fn copied(
    aws: &Aws<'_>,
    original: &Original<'_>,
    region: &str,
    registration: &Registration<'_>,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<AmiImage, AmiError> {
    let found = there(aws, region, registration.name, &registration.sha256.to_string(), registration.place)?;
    let (image, is_new) = match found {
        Some(found) => (found, false),
        None => (copy(aws, original, region, registration)?, true),
    };
    if is_new {
        tell(Step::Made { image: image.clone(), region: region.to_owned() });
    }
    Ok(AmiImage { region: region.to_owned(), image, is_new })
}

/// Waits for an image; what AWS says of it.
pub(super) fn wait(aws: &Aws<'_>, one: &AmiImage, tell: &(dyn Fn(Step) + Sync)) -> Result<ExistingImage, AmiError> {
    tell(Step::Waits { what: one.image.clone(), region: one.region.clone() });
    wait_for_image(aws, &one.region, &one.image)
}

/// Makes the snapshot whole; its name and how many blocks were sent now.
fn upload(
    aws: &Aws<'_>,
    disk: &Disk,
    order: &AmiOrder,
    plan: &SnapshotPlan,
    records: &Records,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<(String, usize), AmiError> {
    for attempt in 0..ATTEMPTS {
        let (snapshot, state) = match &plan.snapshot {
            Planned::There(snapshot) => return Ok((snapshot.clone(), 0)),
            Planned::GoneOn(snapshot) if attempt == 0 => (snapshot.clone(), State::Pending),
            _ => start(aws, disk, order, plan, attempt)?,
        };
        match state {
            State::Completed => return Ok((snapshot, 0)),
            State::Failed => continue,
            State::Pending => {}
        }
        match fill(aws, disk, order, plan, (records, &snapshot), tell) {
            Ok(sent) => return Ok((snapshot, sent)),
            // What an equal request began long ago may have been removed since.
            Err(AmiError::Aws(error)) if error.is_missing() && attempt + 1 < ATTEMPTS => records.forget(&snapshot),
            Err(AmiError::Aws(AwsError::Stopped)) => {
                return Err(AmiError::Stopped { snapshot, region: aws.region().to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    let (what, region) = (order.name.clone(), aws.region().to_owned());
    Err(AmiError::Failed { what, region, reason: "its snapshot was given up again and again".to_owned() })
}

fn start(
    aws: &Aws<'_>,
    disk: &Disk,
    order: &AmiOrder,
    plan: &SnapshotPlan,
    attempt: u32,
) -> Result<(String, State), AwsError> {
    let target = &order.target;
    let label = format!("{}_{}", target.variant, target.version);
    let (what, data_tag) = match plan.volume {
        Volume::Data => ("data of ", Some((DATA_TAG.to_owned(), String::new()))),
        Volume::System => ("", None),
    };
    let start = Start {
        gib: disk.gib(),
        description: format!("{what}{label} for {}", target.architecture.name()),
        tags: target.tags(disk.sha256, &label).into_iter().chain(data_tag).collect(),
        parent: plan.parent.as_deref(),
        encryption: order.place.encryption.as_ref(),
        attempt,
    };
    start.run(aws)
}

fn fill(
    aws: &Aws<'_>,
    disk: &Disk,
    order: &AmiOrder,
    plan: &SnapshotPlan,
    (records, snapshot): (&Records, &str),
    tell: &(dyn Fn(Step) + Sync),
) -> Result<usize, AmiError> {
    let (begun, sent) = records.begin(snapshot)?;
    let changes = &plan.changes;
    let upload =
        Upload { aws, disk, snapshot, changes, sent: &sent, begun: &begun, connections: order.connections, tell };
    let missing = upload.missing().len();
    let region = aws.region().to_owned();
    tell(Step::Begun { snapshot: snapshot.to_owned(), region, sent: changes.len() - missing, of: changes.len() });
    upload.run()?;
    complete(aws, snapshot, changes)?;
    records.finish(snapshot, &disk.blocks)?;
    tell(Step::Waits { what: snapshot.to_owned(), region: aws.region().to_owned() });
    wait_for_snapshot(aws, snapshot)?;
    Ok(missing)
}

impl SnapshotPlan {
    /// How many blocks are sent now.
    fn missing(&self) -> usize {
        self.blocks - self.sent
    }
}

impl Plan {
    /// Its snapshots.
    fn snapshots(&self) -> impl Iterator<Item = &SnapshotPlan> {
        [&self.system].into_iter().chain(&self.data)
    }

    /// How many blocks are sent.
    pub fn blocks(&self) -> usize {
        self.snapshots().map(SnapshotPlan::missing).sum()
    }

    /// How many bytes are sent.
    pub fn bytes(&self) -> u64 {
        self.blocks() as u64 * BLOCK_BYTES as u64
    }

    /// The requests that change something, each with how many there will be.
    pub fn calls(&self, order: &AmiOrder) -> Vec<(&'static str, usize)> {
        let regions = 1 + order.place.copies.len();
        let is_new = usize::from(self.image.is_none());
        let count = |is_so: fn(&Planned) -> bool| self.snapshots().filter(|one| is_so(&one.snapshot)).count();
        let sends = is_new * count(|snapshot| !matches!(snapshot, Planned::There(_)));
        let begins = is_new * count(|snapshot| *snapshot == Planned::Begun);
        let deprecations = if order.place.deprecate_days.is_some() { regions } else { 0 };
        let accounts = if order.place.accounts().is_empty() { 0 } else { regions };
        let shares = if order.place.share.is_empty() { 0 } else { regions };
        let calls = [
            ("StartSnapshot", begins),
            ("PutSnapshotBlock", self.blocks()),
            ("CompleteSnapshot", sends),
            ("RegisterImage", is_new),
            ("CopyImage", order.place.copies.len()),
            ("ModifyImageAttribute", shares),
            ("ModifySnapshotAttribute", accounts),
            ("EnableImageDeprecation", deprecations),
            ("PutParameter", order.place.parameters.len() * regions),
        ];
        calls.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}
