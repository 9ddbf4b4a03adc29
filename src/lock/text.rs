//! The text of `brc.lock`: the one place that writes and reads it.
//!
//! It is KDL 2, so that editors colour it, but of a shape so plain that it is read line by line here: one node a line,
//! quoted strings, `key="value"`, and blocks one level deep. `brc.lock` is read before every compose; a general KDL
//! parser would take longer than all other checks together.
//!
//! ```kdl
//! lock 2
//! epoch "2026-11-22T02:09:05Z"
//! set "brc" git="https://git.example.org/brc.git" tag="v0.4.0" commit="…" tree="…"
//! suite "debian" "trixie" date="2026-11-21T09:15:44Z" sha256="…"
//! package "kmod" "34.2-2" "amd64" archive="debian" {
//!     file "pool/main/k/kmod/kmod_34.2-2_amd64.deb" suite="trixie" mirror="debian" size=99136
//!     sha256 "…"
//!     source "kmod" "34.2-2"
//!     depends "libc6 (>= 2.38)"
//!     license "GPL-2.0-or-later"
//!     scripts "postinst" "postrm"
//! }
//! closure "variant quickstart" "x86_64" for="image" {
//!     want "kmod" archive="debian"
//!     without "debconf"
//!     hold "kmod"
//!     hold "libc6" by="kmod"
//! }
//! source "libseccomp" archive="debian" suite="trixie" {
//!     chosen "2.6.0-2" suite="trixie" mirror="debian"
//!     file "pool/main/libs/libseccomp/libseccomp_2.6.0.orig.tar.gz" size=685655 sha256="…"
//! }
//! tree "brc/runc" "go-modules" question="…" digest="…"
//! user "systemd-network" uid=900 gid=900
//! ```
//!
//! The first version had no `source` in a package. It is read; what is written is the second. A `source` without words
//! is of a package that its archive lists no more, and a package without `source` one that nobody has asked it about, so
//! that a merge of both versions stays what it says.
//!
//! A `hold` names version, architecture and archive only where the name alone leaves a choice, so that an update
//! changes one block. Blocks are sorted and apart from each other, so that branches merge.

use std::collections::BTreeMap;

use brc_contract::Architecture;

use crate::{
    content::{Digest, Sha256, Url, date_text, parse_date},
    recipe::{Reference, Revision, SetSource},
};

use super::{
    document::{
        BuiltFor, BuiltFrom, ClosureId, Contents, Group, Identity, IdentityKind, Lock, LockedClosure, LockedSet,
        LockedSource, LockedSourceFile, LockedSuite, LockedWant, Package, PackageId, Purpose, Relations, SourceId,
        Standing, TreeId, TreeKind, User,
    },
    line::{Node, ParseLockError, Writer, nodes},
    source::place_of,
};

/// The version of this format.
const VERSION: u64 = 2;
/// The oldest version that is read.
const OLDEST_VERSION: u64 = 1;
/// The hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;
const HEADER: &str = "// Everything that images and tools are made of. Written by `brc lock` and `brc update`.";

impl Lock {
    /// Writes the lock as text; equal locks give equal texts.
    pub fn to_text(&self) -> String {
        let mut writer = Writer::new(HEADER);
        writer.node("lock").number(VERSION).end();
        writer.node("epoch").word(&date_text(self.epoch)).end();
        writer.gap();
        for (name, set) in &self.sets {
            write_set(&mut writer, name, set);
        }
        writer.gap();
        for ((archive, suite), state) in &self.suites {
            let node = writer.node("suite").word(archive).word(suite).property("date", &date_text(state.date));
            node.property("sha256", &state.sha256.to_string()).end();
        }
        for (id, package) in &self.packages {
            write_package(&mut writer, id, package);
        }
        for (id, closure) in &self.closures {
            write_closure(&mut writer, id, closure, self);
        }
        for (id, source) in &self.sources {
            write_source(&mut writer, id, source);
        }
        writer.gap();
        for (url, sha256) in &self.urls {
            writer.node("url").word(url.as_str()).property("sha256", &sha256.to_string()).end();
        }
        writer.gap();
        for (id, tree) in &self.trees {
            let node = writer.node("tree").word(&id.component).word(id.kind.name());
            node.property("question", &id.question.to_string()).property("digest", &tree.to_string()).end();
        }
        writer.gap();
        for (name, user) in &self.users {
            let node = writer.node("user").word(name).count("uid", user.uid.into()).count("gid", user.gid.into());
            node.flag("retired", user.standing == Standing::Retired).end();
        }
        writer.gap();
        for (name, group) in &self.groups {
            let node = writer.node("group").word(name).count("gid", group.gid.into());
            node.flag("retired", group.standing == Standing::Retired).end();
        }
        writer.finish()
    }

    /// Reads the text of a lock; the first thing that is wrong is the error.
    pub fn parse(text: &str) -> Result<Lock, ParseLockError> {
        let mut lock = Lock::default();
        let mut held: BTreeMap<ClosureId, Vec<Node<'_>>> = BTreeMap::new();
        let mut nodes = nodes(text)?.into_iter();
        let first = nodes.next().ok_or_else(|| ParseLockError { line: 1, reason: "it is empty".to_owned() })?;
        read_version(first)?;
        for mut node in nodes {
            match node.name {
                "epoch" => lock.epoch = node.date()?,
                "set" => {
                    let (name, set) = (node.word()?, read_set(&mut node)?);
                    node.only(lock.sets.insert(name, set))?;
                }
                "suite" => {
                    let key = (node.word()?, node.word()?);
                    let state =
                        LockedSuite { date: node.date_property("date")?, sha256: node.digest_property("sha256")? };
                    node.only(lock.suites.insert(key, state))?;
                }
                "package" => {
                    let (id, package) = read_package(&mut node)?;
                    node.only(lock.packages.insert(id, package))?;
                }
                "closure" => {
                    let (id, closure, holds) = read_closure(&mut node)?;
                    held.insert(id.clone(), holds);
                    node.only(lock.closures.insert(id, closure))?;
                }
                "source" => {
                    let (id, source) = read_source(&mut node)?;
                    node.only(lock.sources.insert(id, source))?;
                }
                "url" => {
                    let (url, sha256) = (Url::new(node.word()?), node.digest_property("sha256")?);
                    node.only(lock.urls.insert(url, sha256))?;
                }
                "tree" => {
                    let (component, word) = (node.word()?, node.word()?);
                    let kind = TreeKind::ALL.into_iter().find(|kind| kind.name() == word);
                    let kind = kind.ok_or_else(|| node.wrong(&format!("`{word}` is no kind of tree")))?;
                    let id = TreeId { component, kind, question: node.tree_property("question")? };
                    let tree = node.tree_property("digest")?;
                    node.only(lock.trees.insert(id, tree))?;
                }
                "user" => {
                    let name = node.word()?;
                    let (uid, gid) = (node.id_property("uid")?, node.id_property("gid")?);
                    let user = User { uid, gid, standing: standing(&mut node)? };
                    node.only(lock.users.insert(name, user))?;
                }
                "group" => {
                    let (name, gid) = (node.word()?, node.id_property("gid")?);
                    let group = Group { gid, standing: standing(&mut node)? };
                    node.only(lock.groups.insert(name, group))?;
                }
                _ => return Err(node.wrong("it is no word of a lock")),
            }
            node.end()?;
        }
        for (id, holds) in held {
            let members = read_members(&lock, &id, holds)?;
            if let Some(closure) = lock.closures.get_mut(&id) {
                closure.members = members;
            }
        }
        Ok(lock)
    }
}

fn read_version(mut first: Node<'_>) -> Result<(), ParseLockError> {
    if first.name != "lock" {
        return Err(first.wrong("a lock begins with `lock 2`"));
    }
    match first.number()? {
        OLDEST_VERSION..=VERSION => first.end(),
        other => {
            let reads = format!("this brc reads formats {OLDEST_VERSION} to {VERSION}");
            Err(first.wrong(&format!("this is format {other}, and {reads}; use a newer brc")))
        }
    }
}

fn write_set(writer: &mut Writer, name: &str, set: &LockedSet) {
    let mut node = writer.node("set").word(name);
    let (word, stated) = match &set.source {
        SetSource::Git { url, revision } => {
            node = node.property("git", url.as_str());
            match revision {
                Revision::Tag(tag) => ("commit", Some(("tag", tag.clone()))),
                Revision::Branch(branch) => ("commit", Some(("branch", branch.clone()))),
                Revision::Commit(_) => ("commit", None),
            }
        }
        SetSource::Oci { repository, reference } => {
            node = node.property("oci", repository);
            match reference {
                Reference::Tag(tag) => ("manifest", Some(("tag", tag.clone()))),
                Reference::Digest(_) => ("manifest", None),
            }
        }
    };
    if let Some((key, value)) = stated {
        node = node.property(key, &value);
    }
    node.property(word, &set.pin).property("tree", &set.tree.to_string()).end();
}

fn read_set(node: &mut Node<'_>) -> Result<LockedSet, ParseLockError> {
    let (tag, branch) = (node.optional("tag"), node.optional("branch"));
    let (source, pin) = match node.optional("git") {
        Some(url) => {
            let commit = node.property("commit")?;
            if commit.len() != COMMIT_DIGITS || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(node.wrong(&format!("`{commit}` is no commit")));
            }
            let revision = match (tag, branch) {
                (Some(tag), None) => Revision::Tag(tag),
                (None, Some(branch)) => Revision::Branch(branch),
                (None, None) => Revision::Commit(commit.clone()),
                (Some(_), Some(_)) => return Err(node.wrong("it has one of `tag=` and `branch=`")),
            };
            (SetSource::Git { url: Url::new(url), revision }, commit)
        }
        None => {
            let (repository, manifest) = (node.property("oci")?, node.digest_property("manifest")?);
            let reference = match (tag, branch) {
                (Some(tag), None) => Reference::Tag(tag),
                (None, None) => Reference::Digest(manifest),
                (_, Some(_)) => return Err(node.wrong("a registry has no `branch=`")),
            };
            (SetSource::Oci { repository, reference }, manifest.to_string())
        }
    };
    Ok(LockedSet { source, pin, tree: node.tree_property("tree")? })
}

fn standing(node: &mut Node<'_>) -> Result<Standing, ParseLockError> {
    Ok(if node.flag("retired")? { Standing::Retired } else { Standing::Active })
}

fn write_package(writer: &mut Writer, id: &PackageId, package: &Package) {
    writer.gap();
    let node = writer.node("package").word(&id.name).word(&id.version).word(id.built_for.debian());
    node.property("archive", &id.archive).open();
    let node = writer.node("file").word(&package.path).property("suite", &package.suite);
    node.property("mirror", &package.mirror).count("size", package.size).end();
    writer.node("sha256").word(&package.sha256.to_string()).end();
    match &package.built_from {
        BuiltFrom::Source { name, version } => writer.node("source").word(name).word(version).end(),
        BuiltFrom::Unlisted => writer.node("source").end(),
        BuiltFrom::Unasked => {}
    }
    let Relations { depends, provides, conflicts } = &package.relations;
    for (name, field) in [("depends", depends), ("provides", provides), ("conflicts", conflicts)] {
        if !field.is_empty() {
            writer.node(name).word(field).end();
        }
    }
    if let Some(contents) = &package.contents {
        writer.node("license").word(&contents.license).end();
        let mut node = writer.node("scripts");
        for script in &contents.scripts {
            node = node.word(script);
        }
        node.end();
        for one in &contents.identities {
            let kind = match one.kind {
                IdentityKind::Group => "group",
                IdentityKind::User => "user",
            };
            writer.node(kind).word(&one.name).word(&one.id).end();
        }
    }
    writer.close();
}

fn read_package(node: &mut Node<'_>) -> Result<(PackageId, Package), ParseLockError> {
    let (name, version, word) = (node.word()?, node.word()?, node.word()?);
    let built_for = BuiltFor::from_debian(&word).ok_or_else(|| node.wrong(&format!("`{word}` is no architecture")))?;
    let id = PackageId { name, built_for, version, archive: node.property("archive")? };
    let (mut file, mut sha256, mut relations) = (None, None, Relations::default());
    let mut built_from = None;
    let (mut license, mut scripts, mut identities) = (None, None, Vec::new());
    for mut child in node.children() {
        match child.name {
            "file" => {
                let parts = (child.word()?, child.property("suite")?, child.property("mirror")?, child.count("size")?);
                child.only(file.replace(parts))?;
            }
            "sha256" => {
                let digest = child.digest()?;
                child.only(sha256.replace(digest))?;
            }
            "source" => {
                let found = read_built_from(&mut child)?;
                child.only(built_from.replace(found))?;
            }
            "depends" => relations.depends = child.word()?,
            "provides" => relations.provides = child.word()?,
            "conflicts" => relations.conflicts = child.word()?,
            "license" => {
                let text = child.word()?;
                child.only(license.replace(text))?;
            }
            "scripts" => {
                let words = child.words();
                child.only(scripts.replace(words))?;
            }
            "user" | "group" => {
                let kind = if child.name == "user" { IdentityKind::User } else { IdentityKind::Group };
                identities.push(Identity { kind, name: child.word()?, id: child.word()? });
            }
            _ => return Err(child.wrong("it is no word of a package")),
        }
        child.end()?;
    }
    let (path, suite, mirror, size) = file.ok_or_else(|| node.wrong("it lacks `file`"))?;
    let sha256 = sha256.ok_or_else(|| node.wrong("it lacks `sha256`"))?;
    if crate::content::RelPath::new(&path).is_err() {
        return Err(node.wrong("its `file` leaves the mirror"));
    }
    let contents = match (license, scripts) {
        (Some(license), Some(scripts)) => Some(Contents {
            license,
            scripts: scripts.into_iter().collect(),
            identities: identities.into_iter().collect(),
        }),
        (None, None) if identities.is_empty() => None,
        _ => return Err(node.wrong("it has one of `license` and `scripts`, which come together")),
    };
    let built_from = built_from.unwrap_or(BuiltFrom::Unasked);
    Ok((id, Package { suite, mirror, path, size, sha256, built_from, relations, contents }))
}

fn read_built_from(node: &mut Node<'_>) -> Result<BuiltFrom, ParseLockError> {
    match &node.words()[..] {
        [] => Ok(BuiltFrom::Unlisted),
        [name, version] => Ok(BuiltFrom::Source { name: name.clone(), version: version.clone() }),
        _ => Err(node.wrong("a source has a name and a version")),
    }
}

fn write_closure(writer: &mut Writer, id: &ClosureId, closure: &LockedClosure, lock: &Lock) {
    writer.gap();
    let purpose = match closure.purpose {
        Purpose::Image => "image",
        Purpose::Tool => "tool",
        Purpose::Source => "source",
        Purpose::Kernel => "kernel",
    };
    writer.node("closure").word(&id.name).word(id.architecture.name()).property("for", purpose).open();
    for (name, want) in &closure.wants {
        let mut node = writer.node("want").word(name).property("archive", &want.archive);
        if let Some(suite) = &want.suite {
            node = node.property("suite", suite);
        }
        if let Some(version) = &want.version {
            node = node.property("version", version);
        }
        node.end();
        for pruned in &want.without {
            writer.node("without").word(pruned).property("of", name).end();
        }
    }
    for name in &closure.without {
        writer.node("without").word(name).end();
    }
    for (name, version) in &closure.satisfied {
        writer.node("satisfied").word(name).word(version).end();
    }
    for (member, parent) in &closure.members {
        let mut node = writer.node("hold").word(&member.name);
        if candidates(lock, id, &member.name).nth(1).is_some() {
            node = node.property("version", &member.version).property("arch", member.built_for.debian());
            node = node.property("archive", &member.archive);
        }
        if let Some(parent) = parent {
            node = node.property("by", parent);
        }
        node.end();
    }
    writer.close();
}

/// The locked packages that a closure's `hold` could mean.
fn candidates<'a>(lock: &'a Lock, closure: &ClosureId, name: &str) -> impl Iterator<Item = &'a PackageId> + use<'a> {
    let fits = [BuiltFor::All, BuiltFor::Only(closure.architecture)];
    let named =
        PackageId { name: name.to_owned(), built_for: BuiltFor::All, version: String::new(), archive: String::new() };
    let name = name.to_owned();
    let range = lock.packages.range(named..).map(|(id, _)| id).take_while(move |id| id.name == name);
    range.filter(move |id| fits.contains(&id.built_for))
}

fn read_closure<'a>(node: &mut Node<'a>) -> Result<(ClosureId, LockedClosure, Vec<Node<'a>>), ParseLockError> {
    let (name, word) = (node.word()?, node.word()?);
    let architecture =
        Architecture::from_name(&word).ok_or_else(|| node.wrong(&format!("`{word}` is no architecture")))?;
    let purpose = match node.property("for")?.as_str() {
        "image" => Purpose::Image,
        "tool" => Purpose::Tool,
        "source" => Purpose::Source,
        "kernel" => Purpose::Kernel,
        _ => return Err(node.wrong("`for` is `image`, `tool` or `source`")),
    };
    let mut closure = LockedClosure {
        purpose,
        wants: BTreeMap::new(),
        without: Default::default(),
        satisfied: BTreeMap::new(),
        members: BTreeMap::new(),
    };
    let mut holds = Vec::new();
    let mut pruned = Vec::new();
    for mut child in node.children() {
        match child.name {
            "want" => {
                let name = child.word()?;
                let archive = child.property("archive")?;
                let (suite, version) = (child.optional("suite"), child.optional("version"));
                let want = LockedWant { archive, suite, version, without: Default::default() };
                child.only(closure.wants.insert(name, want))?;
            }
            "without" => {
                let name = child.word()?;
                match child.optional("of") {
                    Some(of) => pruned.push((child.line, of, name)),
                    None => child.only((!closure.without.insert(name)).then_some(()))?,
                }
            }
            "satisfied" => {
                let (name, version) = (child.word()?, child.word()?);
                child.only(closure.satisfied.insert(name, version))?;
            }
            "hold" => {
                holds.push(child);
                continue;
            }
            _ => return Err(child.wrong("it is no word of a closure")),
        }
        child.end()?;
    }
    for (line, of, name) in pruned {
        let Some(want) = closure.wants.get_mut(&of) else {
            return Err(ParseLockError { line, reason: format!("`{of}` is not wanted by this closure") });
        };
        want.without.insert(name);
    }
    Ok((ClosureId { name, architecture }, closure, holds))
}

fn write_source(writer: &mut Writer, id: &SourceId, source: &LockedSource) {
    writer.gap();
    let mut node = writer.node("source").word(&id.name).property("archive", &id.archive).property("suite", &id.suite);
    if let Some(version) = &id.version {
        node = node.property("version", version);
    }
    node.open();
    let node = writer.node("chosen").word(&source.version).property("suite", &source.suite);
    node.property("mirror", &source.mirror).end();
    for (path, file) in &source.files {
        let node = writer.node("file").word(path).count("size", file.size);
        node.property("sha256", &file.sha256.to_string()).end();
    }
    writer.close();
}

fn read_source(node: &mut Node<'_>) -> Result<(SourceId, LockedSource), ParseLockError> {
    let name = node.word()?;
    let (archive, suite) = (node.property("archive")?, node.property("suite")?);
    let id = SourceId { name, archive, suite, version: node.optional("version") };
    let (mut chosen, mut files) = (None, BTreeMap::new());
    for mut child in node.children() {
        match child.name {
            "chosen" => {
                let parts = (child.word()?, child.property("suite")?, child.property("mirror")?);
                child.only(chosen.replace(parts))?;
            }
            "file" => {
                let path = child.word()?;
                if crate::content::RelPath::new(&path).is_err() {
                    return Err(child.wrong("its path leaves the mirror"));
                }
                let Some(at) = place_of(&path) else {
                    return Err(child.wrong(&format!("`{path}` is no archive of a source package")));
                };
                let file =
                    LockedSourceFile { size: child.count("size")?, sha256: child.digest_property("sha256")?, at };
                child.only(files.insert(path, file))?;
            }
            _ => return Err(child.wrong("it is no word of a source package")),
        }
        child.end()?;
    }
    let (version, suite, mirror) = chosen.ok_or_else(|| node.wrong("it lacks `chosen`"))?;
    Ok((id, LockedSource { version, suite, mirror, files }))
}

/// Finds the packages that a closure holds.
fn read_members(
    lock: &Lock,
    id: &ClosureId,
    holds: Vec<Node<'_>>,
) -> Result<BTreeMap<PackageId, Option<String>>, ParseLockError> {
    let mut members = BTreeMap::new();
    for mut hold in holds {
        let name = hold.word()?;
        let (version, word, archive) = (hold.optional("version"), hold.optional("arch"), hold.optional("archive"));
        let mut found = candidates(lock, id, &name).filter(|one| {
            version.as_ref().is_none_or(|version| *version == one.version)
                && word.as_ref().is_none_or(|word| *word == one.built_for.debian())
                && archive.as_ref().is_none_or(|archive| *archive == one.archive)
        });
        let member = match (found.next(), found.next()) {
            (Some(one), None) => one.clone(),
            (None, _) => return Err(hold.wrong(&format!("no package of the lock is `{name}`"))),
            (Some(_), Some(_)) => {
                return Err(hold.wrong(&format!("two packages of the lock are `{name}`: state its `version`")));
            }
        };
        let parent = hold.optional("by");
        hold.only(members.insert(member, parent))?;
        hold.end()?;
    }
    Ok(members)
}

/// What [`Node`]'s readers give for formats of this file.
impl Node<'_> {
    fn date(&mut self) -> Result<u64, ParseLockError> {
        let text = self.word()?;
        parse_date(&text).ok_or_else(|| self.wrong(&format!("`{text}` is no time like 2026-01-31T00:00:00Z")))
    }

    fn date_property(&mut self, key: &str) -> Result<u64, ParseLockError> {
        let text = self.property(key)?;
        parse_date(&text).ok_or_else(|| self.wrong(&format!("`{text}` is no time like 2026-01-31T00:00:00Z")))
    }

    fn digest(&mut self) -> Result<Sha256, ParseLockError> {
        let text = self.word()?;
        Sha256::parse(&text).map_err(|error| self.wrong(&error.to_string()))
    }

    fn digest_property(&mut self, key: &str) -> Result<Sha256, ParseLockError> {
        let text = self.property(key)?;
        Sha256::parse(&text).map_err(|error| self.wrong(&error.to_string()))
    }

    fn tree_property(&mut self, key: &str) -> Result<Digest, ParseLockError> {
        let text = self.property(key)?;
        Digest::parse(&text).map_err(|error| self.wrong(&error.to_string()))
    }

    fn id_property(&mut self, key: &str) -> Result<u32, ParseLockError> {
        let number = self.count(key)?;
        u32::try_from(number).map_err(|_| self.wrong(&format!("`{key}={number}` is no number of a user or group")))
    }
}
