//! What is there of brc's in a region, and what of it goes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    order::{ARCHITECTURE_TAG, DATA_TAG, SHA256_TAG, TARGET_TAG, VARIANT_TAG, VERSION_TAG, Volume},
    record::Records,
    snapshot::{State, is_snapshot},
};
use crate::publish::aws::{Aws, AwsError, Node, Query, Service};

/// How many pages of descriptions are read: 1000 things each.
const MAX_PAGES: usize = 100;

/// What is there of brc's in a region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// Its images, the newest first.
    pub images: Vec<ExistingImage>,
    /// Its snapshots, the newest first.
    pub snapshots: Vec<ExistingSnapshot>,
}

/// An image of EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingImage {
    /// Its name at AWS: `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `available`, `pending`, or why not.
    pub state: String,
    /// When it was made, as AWS writes it.
    pub created: String,
    /// Its snapshots.
    pub snapshots: Vec<String>,
    /// Whether all of them are encrypted.
    pub encrypted: bool,
    /// From when on it is deprecated, as AWS writes it; empty where that is not said.
    pub deprecated: String,
    /// Why it is in its state, as AWS says it.
    pub reason: String,
    tags: BTreeMap<String, String>,
}

/// A snapshot of EBS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingSnapshot {
    /// Its name at AWS: `snap-…`.
    pub id: String,
    /// When it was begun, as AWS writes it.
    pub started: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The size of its volume in GiB.
    pub gib: u64,
    state: State,
    tags: BTreeMap<String, String>,
}

/// What goes from a region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// Images.
    pub images: Vec<ExistingImage>,
    /// Snapshots.
    pub snapshots: Vec<ExistingSnapshot>,
    /// Images that another target has too: they stay, and only the tag of this one goes.
    pub released: Vec<ExistingImage>,
}

macro_rules! tagged {
    ($name:ident) => {
        impl $name {
            /// The digest of the disk that it is made of.
            pub fn sha256(&self) -> &str {
                self.tag(SHA256_TAG)
            }

            /// The variant.
            pub fn variant(&self) -> &str {
                self.tag(VARIANT_TAG)
            }

            /// The version.
            pub fn version(&self) -> &str {
                self.tag(VERSION_TAG)
            }

            /// The architecture.
            pub fn architecture(&self) -> &str {
                self.tag(ARCHITECTURE_TAG)
            }

            pub(super) fn tag(&self, key: &str) -> &str {
                self.tags.get(key).map(String::as_str).unwrap_or_default()
            }
        }
    };
}

tagged!(ExistingImage);
tagged!(ExistingSnapshot);

impl ExistingImage {
    /// The targets of recipes that have it.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().filter_map(|key| key.strip_prefix(TARGET_TAG))
    }

    /// Whether this target has it.
    pub fn is_of(&self, target: &str) -> bool {
        self.targets().any(|own| own == target)
    }

    /// Whether AWS has given it up.
    pub(super) fn is_given_up(&self) -> bool {
        ["failed", "invalid", "error"].contains(&self.state.as_str())
    }
}

impl ExistingSnapshot {
    /// The volume that it is for.
    pub(super) fn volume(&self) -> Volume {
        if self.tags.contains_key(DATA_TAG) { Volume::Data } else { Volume::System }
    }

    /// What AWS says of it.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Its state, for people.
    pub fn state_text(&self) -> &'static str {
        match self.state {
            State::Pending => "begun",
            State::Completed => "whole",
            State::Failed => "given up",
        }
    }
}

impl Existing {
    /// The snapshots that no image has.
    pub fn loose(&self) -> impl Iterator<Item = &ExistingSnapshot> {
        let used: BTreeSet<&String> = self.images.iter().flat_map(|image| &image.snapshots).collect();
        self.snapshots.iter().filter(move |snapshot| !used.contains(&snapshot.id))
    }

    /// The images and loose snapshots that are named, with the snapshots that only such images have.
    pub fn named(&self, ids: &[String]) -> Removal {
        let (gone, stays): (Vec<_>, Vec<_>) = self.images.iter().cloned().partition(|image| ids.contains(&image.id));
        let kept: BTreeSet<&String> = stays.iter().flat_map(|image| &image.snapshots).collect();
        let of_gone: BTreeSet<&String> = gone.iter().flat_map(|image| &image.snapshots).collect();
        let goes = |snapshot: &&ExistingSnapshot| {
            !kept.contains(&snapshot.id) && (of_gone.contains(&snapshot.id) || ids.contains(&snapshot.id))
        };
        let snapshots = self.snapshots.iter().filter(goes).cloned().collect();
        Removal { snapshots, images: gone, released: Vec::new() }
    }

    /// What goes when the newest `keep` images of each variant and architecture stay: the others with their snapshots,
    /// and images and snapshots that AWS has given up. With `target` only images of that target are counted and go, and
    /// of those that another target has too only the tag. With `unfinished` those snapshots too that no image has: they
    /// may be of an upload that is going on elsewhere.
    pub fn superseded(&self, keep: usize, target: Option<&str>, unfinished: bool) -> Removal {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let (mut gone, mut released, mut stays) = (Vec::new(), Vec::new(), BTreeSet::new());
        for image in &self.images {
            let is_meant = target.is_none_or(|target| image.is_of(target));
            let count = counts.entry((image.variant(), image.architecture())).or_default();
            *count += usize::from(is_meant && !image.is_given_up());
            match image {
                _ if !is_meant || (*count <= keep && !image.is_given_up()) => stays.extend(&image.snapshots),
                _ if target.is_some() && image.targets().count() > 1 => {
                    released.push(image);
                    stays.extend(&image.snapshots);
                }
                _ => gone.push(image),
            }
        }
        let of_gone: BTreeSet<&String> = gone.iter().flat_map(|image| &image.snapshots).collect();
        let loose: BTreeSet<&String> = self.loose().map(|snapshot| &snapshot.id).collect();
        let goes = |snapshot: &&ExistingSnapshot| {
            let (id, is_failed) = (&snapshot.id, snapshot.state == State::Failed);
            !stays.contains(id) && (of_gone.contains(id) || loose.contains(id) && (unfinished || is_failed))
        };
        Removal {
            images: gone.into_iter().cloned().collect(),
            snapshots: self.snapshots.iter().filter(goes).cloned().collect(),
            released: released.into_iter().cloned().collect(),
        }
    }
}

impl Removal {
    /// The names at AWS of what goes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let images = self.images.iter().map(|image| image.id.as_str());
        images.chain(self.snapshots.iter().map(|snapshot| snapshot.id.as_str()))
    }
}

/// What is there of brc's in a region; of one name or digest where that is asked.
///
/// # Errors
/// AWS refuses.
pub fn existing(aws: &Aws<'_>, region: &str) -> Result<Existing, AwsError> {
    let mut images =
        pages(aws, region, &mine("DescribeImages"), |root| root.items("imagesSet").map(read_image).collect())?;
    let mut snapshots =
        pages(aws, region, &mine("DescribeSnapshots"), |root| root.items("snapshotSet").map(read_snapshot).collect())?;
    images.sort_by(|a, b| (&b.created, &b.id).cmp(&(&a.created, &a.id)));
    snapshots.sort_by(|a, b| (&b.started, &b.id).cmp(&(&a.started, &a.id)));
    Ok(Existing { images, snapshots })
}

fn mine(operation: &'static str) -> Query {
    Query::new(Service::Ec2, operation, "").with("Owner.1", "self").filter(1, "tag-key", SHA256_TAG)
}

/// The image of a name, whoever has made it.
pub(super) fn image_of_name(aws: &Aws<'_>, region: &str, name: &str) -> Result<Option<ExistingImage>, AwsError> {
    let query = Query::new(Service::Ec2, "DescribeImages", name).with("Owner.1", "self").filter(1, "name", name);
    let images = pages(aws, region, &query, |root| root.items("imagesSet").map(read_image).collect())?;
    Ok(images.into_iter().find(|image| image.name == name))
}

/// An image that is there or was made just now.
pub(super) fn image_of_id(aws: &Aws<'_>, region: &str, id: &str) -> Result<ExistingImage, AwsError> {
    let query = Query::new(Service::Ec2, "DescribeImages", id).with("ImageId.1", id);
    let answer = aws.ask(region, &query.call().wait_until_known())?;
    answer.xml(|root| root.items("imagesSet").next().and_then(read_image))
}

/// Every page of a description.
fn pages<T>(
    aws: &Aws<'_>,
    region: &str,
    query: &Query,
    read: impl Fn(Node<'_, '_>) -> Option<Vec<T>>,
) -> Result<Vec<T>, AwsError> {
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let mut query = query.clone().with("MaxResults", 1000);
        if let Some(token) = &next {
            query = query.with("NextToken", token);
        }
        let answer = aws.ask(region, &query.call())?;
        let (page, token) = answer.xml(|root| Some((read(root)?, root.text("nextToken").map(str::to_owned))))?;
        found.extend(page);
        next = token.filter(|token| !token.is_empty());
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

fn tags(node: Node<'_, '_>) -> BTreeMap<String, String> {
    let pair =
        |tag: Node<'_, '_>| Some((tag.text("key")?.to_owned(), tag.text("value").unwrap_or_default().to_owned()));
    node.items("tagSet").filter_map(pair).collect()
}

fn read_image(node: Node<'_, '_>) -> Option<ExistingImage> {
    let text = |name| node.text(name).unwrap_or_default().to_owned();
    let of_snapshots = || {
        let volumes = node.items("blockDeviceMapping").filter_map(|mapping| mapping.child("ebs"));
        volumes.filter_map(|volume| Some((volume, volume.text("snapshotId")?)))
    };
    Some(ExistingImage {
        id: node.text("imageId")?.to_owned(),
        name: text("name"),
        state: text("imageState"),
        created: text("creationDate"),
        snapshots: of_snapshots().map(|(_, id)| id.to_owned()).collect(),
        encrypted: of_snapshots().all(|(volume, _)| volume.text("encrypted") == Some("true")),
        deprecated: text("deprecationTime"),
        reason: node.child("stateReason").and_then(|reason| reason.text("message")).unwrap_or_default().to_owned(),
        tags: tags(node),
    })
}

pub(super) fn read_snapshot(node: Node<'_, '_>) -> Option<ExistingSnapshot> {
    let id = node.text("snapshotId").filter(|id| is_snapshot(id))?;
    Some(ExistingSnapshot {
        id: id.to_owned(),
        started: node.text("startTime").unwrap_or_default().to_owned(),
        encrypted: node.text("encrypted") == Some("true"),
        gib: node.text("volumeSize")?.parse().ok()?,
        state: State::of(node.text("status")?),
        tags: tags(node),
    })
}

/// Removes images and then snapshots, and takes the tag of `target` from what it leaves; what is gone already is no
/// error.
///
/// # Errors
/// AWS refuses.
pub fn prune(
    aws: &Aws<'_>,
    region: &str,
    removal: &Removal,
    target: Option<&str>,
    records: &Records,
    tell: &dyn Fn(&str),
) -> Result<(), AwsError> {
    let ask = |query: Query, id: &str| match aws.ask(region, &query.call()) {
        Err(error) if !error.is_missing() => Err(error),
        _ => {
            tell(id);
            Ok(())
        }
    };
    let of = |operation, field, id: &str| Query::new(Service::Ec2, operation, id).with(field, id);
    removal.images.iter().try_for_each(|image| ask(of("DeregisterImage", "ImageId", &image.id), &image.id))?;
    for snapshot in &removal.snapshots {
        ask(of("DeleteSnapshot", "SnapshotId", &snapshot.id), &snapshot.id)?;
        records.forget(&snapshot.id);
    }
    let Some(target) = target else { return Ok(()) };
    removal.released.iter().try_for_each(|image| {
        let query = of("DeleteTags", "ResourceId.1", &image.id);
        ask(query.with("Tag.1.Key", format!("{TARGET_TAG}{target}")), &image.id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(variant: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(VARIANT_TAG.to_owned(), variant.to_owned())])
    }

    fn image(id: &str, variant: &str, snapshot: &str) -> ExistingImage {
        ExistingImage {
            id: id.to_owned(),
            name: String::new(),
            state: "available".to_owned(),
            created: String::new(),
            snapshots: vec![snapshot.to_owned()],
            encrypted: false,
            deprecated: String::new(),
            reason: String::new(),
            tags: tags(variant),
        }
    }

    fn snapshot(id: &str, state: State) -> ExistingSnapshot {
        let (id, started) = (id.to_owned(), String::new());
        ExistingSnapshot { id, started, encrypted: false, gib: 1, state, tags: tags("a") }
    }

    #[test]
    fn the_newest_of_each_variant_stay_with_their_snapshots_and_uploads_only_go_when_that_is_said() {
        let existing = Existing {
            images: vec![image("3", "a", "s3"), image("2", "a", "s2"), image("b", "b", "s1"), image("1", "a", "s1")],
            snapshots: vec![
                snapshot("s1", State::Completed),
                snapshot("s2", State::Completed),
                snapshot("s3", State::Completed),
                snapshot("begun", State::Pending),
                snapshot("failed", State::Failed),
                snapshot("loose", State::Completed),
            ],
        };
        let ids = |removal: &Removal| {
            let images = removal.images.iter().map(|image| image.id.clone());
            images.chain(removal.snapshots.iter().map(|snapshot| snapshot.id.clone())).collect::<Vec<_>>()
        };
        assert_eq!(ids(&existing.superseded(1, None, false)), ["2", "1", "s2", "failed"], "`s1` is of `b` too");
        assert_eq!(ids(&existing.superseded(2, None, false)), ["1", "failed"]);
        assert_eq!(ids(&existing.superseded(9, None, true)), ["begun", "failed", "loose"]);
    }

    #[test]
    fn a_target_counts_its_own_images_and_leaves_those_of_another_target() {
        let of = |id: &str, targets: &[&str]| {
            let mut image = image(id, "a", id);
            image.tags.extend(targets.iter().map(|target| (format!("{TARGET_TAG}{target}"), String::new())));
            image
        };
        let mut given_up = of("4", &["stage"]);
        given_up.state = "failed".to_owned();
        let images =
            vec![of("5", &[]), given_up, of("3", &["stage"]), of("2", &["stage", "production"]), of("1", &["stage"])];
        let snapshots = images.iter().map(|image| snapshot(&image.id, State::Completed)).collect();
        let removal = Existing { images, snapshots }.superseded(1, Some("stage"), false);
        let ids = |images: &[ExistingImage]| images.iter().map(|image| image.id.clone()).collect::<Vec<_>>();
        assert_eq!((ids(&removal.images), ids(&removal.released)), (vec!["4".into(), "1".into()], vec!["2".into()]));
        assert_eq!(removal.snapshots.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["4", "1"]);
    }
}
