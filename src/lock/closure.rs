//! Which packages a closure needs: dependencies followed, alternatives and versions chosen, nothing searched.
//!
//! 1. What recipes name is in, with the version that they state, or else the highest of its suites; a locked version
//!    stays while it will do.
//! 2. `Pre-Depends` and `Depends` are followed; `Essential` is not implied. What names one package that exists brings
//!    that package in. What leaves a choice (alternatives, virtual packages) waits until no other dependency is open,
//!    so that "already in" counts most; then the first alternative that can be met is taken, and of several that
//!    provide a virtual package the one with the highest priority, then the first by name.
//! 3. A package that is in with a version that a later dependency refuses starts the walk again with that bound known
//!    from the beginning. Bounds only grow, so this ends; a bound that no version meets is a problem, told with both
//!    sides.
//! 4. A dependency whose alternative in turn is named by `without` ends there; so does one that a component satisfies.
//!
//! Everything is sorted: the order of recipes and indices changes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    document::LockedClosure,
    document::Purpose,
    index::{Catalogue, Entry, Odd},
    relation::{Bound, Operator, Relation, compare, groups, own},
    report::Problem,
    wanted::{Archive, Closure, Want},
};

/// How often a walk may start again before it is given up: far more than any real closure needs.
const MAX_ROUNDS: usize = 2000;

/// What packages are chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stock {
    /// The lists of all archives, and what is pinned.
    Archives,
    /// What is pinned and nothing else. Where the lists might have an alternative that comes first, nothing is chosen,
    /// so that the closure is not solved. Of several that provide a name, one that is pinned will do.
    Pins,
}

/// A closure as it came out.
pub(super) struct Solved<'a> {
    /// Its packages by name, each with the member that brought it in.
    pub(super) members: BTreeMap<&'a str, (&'a Entry<'a>, Option<&'a str>)>,
    /// Names in `without` that nothing depended on.
    pub(super) idle: Vec<String>,
    /// What is listed of its packages' names and cannot be chosen.
    pub(super) odd: Vec<&'a Odd<'a>>,
}

/// Solves a closure, or gives every reason why it cannot be.
pub(super) fn solve<'a>(
    closure: &'a Closure,
    archives: &[Archive],
    (catalogue, stock): (&Catalogue<'a>, Stock),
    old: Option<&LockedClosure>,
) -> Result<Solved<'a>, Vec<Problem>> {
    let mut bounds = stated(closure);
    for _ in 0..MAX_ROUNDS {
        let mut walk = Walk::new(closure, archives, (catalogue, stock), old, &bounds);
        match walk.run() {
            None => {
                if walk.problems.is_empty() {
                    let idle = walk.idle();
                    let members = walk.members.into_iter();
                    let members = members.map(|(name, member)| (name, (member.entry, member.parent)));
                    let members: BTreeMap<_, _> = members.collect();
                    let odd = members.keys().flat_map(|name| catalogue.odd(name)).copied().collect();
                    return Ok(Solved { members, idle, odd });
                }
                walk.problems.sort();
                walk.problems.dedup();
                return Err(walk.problems);
            }
            Some(Clash { by, relation }) => {
                bounds.entry(relation.name).or_default().push((Asker::Package(by), relation));
            }
        }
    }
    let message = format!("the packages of `{}` ask for each other's versions without end", closure.name);
    Err(vec![Problem { origin: String::new(), message }])
}

/// Whether a package of Debian holds a kernel or its modules; from Linux 6.13 on they may come apart.
fn is_kernel(relation: &Relation<'_>) -> bool {
    ["linux-image-", "linux-binary-", "linux-modules-"].iter().any(|begin| relation.name.starts_with(begin))
}

/// What is asked of the versions of packages, by their names.
type Bounds<'a> = BTreeMap<&'a str, Vec<(Asker<'a>, Relation<'a>)>>;

/// Who asks for a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker<'a> {
    /// The recipe at this `FILE:LINE`.
    Recipe(&'a str),
    /// A package that depends on it.
    Package(&'a str),
}

/// The versions that recipes state.
fn stated(closure: &Closure) -> Bounds<'_> {
    let mut bounds = Bounds::new();
    for want in &closure.packages {
        let Some(version) = &want.version else { continue };
        let relation =
            Relation { name: &want.name, foreign: None, bound: Some(Bound { operator: Operator::Equal, version }) };
        bounds.entry(&want.name).or_default().push((Asker::Recipe(&want.origin), relation));
    }
    bounds
}

/// A package is in with a version that another refuses.
struct Clash<'a> {
    by: &'a str,
    relation: Relation<'a>,
}

/// An archive and one of its suites.
type Place = (String, String);

/// The suites that packages may come from: the first tier that has a fitting version decides.
struct Tiers {
    /// For the package that the recipe names.
    own: Vec<BTreeSet<Place>>,
    /// For what it depends on.
    dependencies: Vec<BTreeSet<Place>>,
}

/// A package that is in.
struct Member<'a> {
    entry: &'a Entry<'a>,
    parent: Option<&'a str>,
    /// The want that it came in with, for its tiers.
    want: usize,
}

struct Walk<'a, 'b> {
    closure: &'a Closure,
    catalogue: &'b Catalogue<'a>,
    stock: Stock,
    bounds: &'b Bounds<'a>,
    /// What the closure held before: whatever of it still fits stays.
    before: Option<&'b LockedClosure>,
    wants: Vec<&'a Want>,
    tiers: Vec<Tiers>,
    without: BTreeSet<&'a str>,
    satisfied: BTreeMap<&'a str, &'a str>,
    members: BTreeMap<&'a str, Member<'a>>,
    provided: BTreeMap<&'a str, Vec<Option<&'a str>>>,
    open: VecDeque<&'a str>,
    /// Dependencies that leave a choice, by the member that has them and their place there.
    choices: BTreeMap<(&'a str, usize), Vec<Relation<'a>>>,
    pruned: BTreeSet<&'a str>,
    problems: Vec<Problem>,
}

/// What became of one alternative.
enum Alternative<'a> {
    /// It is in, or a component stands in for it.
    Met,
    /// It is in with another version, and there is one that would do.
    Clash(Relation<'a>),
    /// It can be brought in.
    Candidate(&'a Entry<'a>),
    /// It cannot be had.
    Missing,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(
        closure: &'a Closure,
        archives: &[Archive],
        (catalogue, stock): (&'b Catalogue<'a>, Stock),
        before: Option<&'b LockedClosure>,
        bounds: &'b Bounds<'a>,
    ) -> Self {
        let mut wants: Vec<&Want> = closure.packages.iter().collect();
        // One that names a suite comes before one of the same package that does not.
        wants.sort_by_key(|want| (&want.name, want.suite.is_none(), &want.suite, &want.archive, &want.origin));
        let mut walk = Self {
            closure,
            catalogue,
            stock,
            bounds,
            before,
            tiers: Vec::new(),
            without: closure.without.iter().map(|pruned| pruned.name.as_str()).collect(),
            satisfied: closure.satisfied.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect(),
            members: BTreeMap::new(),
            provided: BTreeMap::new(),
            open: VecDeque::new(),
            choices: BTreeMap::new(),
            pruned: BTreeSet::new(),
            problems: Vec::new(),
            wants: Vec::new(),
        };
        for want in wants {
            match tiers(want, archives) {
                Ok(tiers) => {
                    walk.tiers.push(tiers);
                    walk.wants.push(want);
                }
                Err(message) => walk.problems.push(Problem { origin: want.origin.clone(), message }),
            }
        }
        walk
    }

    /// Walks to the end, or to the first version that has to be another.
    fn run(&mut self) -> Option<Clash<'a>> {
        self.take_wanted();
        loop {
            while let Some(name) = self.open.pop_front() {
                if let Some(clash) = self.follow(name) {
                    return Some(clash);
                }
            }
            let ((by, _), alternatives) = self.choices.pop_first()?;
            if let Some(clash) = self.settle(by, &alternatives) {
                return Some(clash);
            }
        }
    }

    fn take_wanted(&mut self) {
        for (index, want) in self.wants.clone().into_iter().enumerate() {
            let problem = |message| Problem { origin: want.origin.clone(), message };
            let name = want.name.as_str();
            if self.without.contains(name) {
                self.problems.push(problem(format!("`{name}` is both wanted and left out by `without`")));
            } else if self.satisfied.contains_key(name) {
                let message = format!("`{name}` is both wanted and satisfied by a component");
                self.problems.push(problem(message));
            } else if !self.members.contains_key(name) {
                let relation = Relation { name, foreign: None, bound: None };
                match self.pick(&relation, index, Depth::Wanted) {
                    Some(entry) => self.take(entry, None, index),
                    None => {
                        let version = want.version.as_ref().map(|version| format!(" in version {version}"));
                        let version = version.unwrap_or_default();
                        let message = format!("`{name}` is wanted{version}, but {}", self.why_missing(&relation));
                        self.problems.push(problem(message));
                    }
                }
            }
        }
    }

    fn take(&mut self, entry: &'a Entry<'a>, parent: Option<&'a str>, want: usize) {
        self.members.insert(entry.name, Member { entry, parent, want });
        for relation in own(&entry.provides, self.closure.architecture) {
            self.provided.entry(relation.name).or_default().push(relation.bound.map(|bound| bound.version));
        }
        if self.closure.purpose != Purpose::Source {
            self.open.push_back(entry.name);
        }
    }

    /// Follows the dependencies of a member; those that leave a choice are put off.
    fn follow(&mut self, name: &'a str) -> Option<Clash<'a>> {
        let entry = self.members.get(name)?.entry;
        for (place, field) in entry.depends.iter().enumerate() {
            let found = match groups(field, self.closure.architecture) {
                Ok(found) => found,
                Err(error) => {
                    let message = format!("{} has a dependency that cannot be read: {error}", self.chain(name));
                    self.problems.push(Problem { origin: self.origin(name), message });
                    continue;
                }
            };
            for (index, alternatives) in found.into_iter().enumerate() {
                if self.closure.purpose == Purpose::Kernel && !alternatives.iter().any(is_kernel) {
                    continue;
                }
                let plain = matches!(&alternatives[..], [one] if self.is_real(one, name));
                if !plain {
                    // Pre-Depends come before Depends; no field of 256 KiB has 100,000 groups.
                    self.choices.insert((name, place * 1_000_000 + index), alternatives);
                } else if let Some(clash) = self.settle(name, &alternatives) {
                    return Some(clash);
                }
            }
        }
        None
    }

    /// Whether a relation names a package that exists, so that there is nothing to choose.
    fn is_real(&self, relation: &Relation<'a>, by: &str) -> bool {
        let Some(want) = self.members.get(by).map(|member| member.want) else { return false };
        relation.foreign.is_none()
            && (self.members.contains_key(relation.name) || self.pick(relation, want, Depth::Dependency).is_some())
    }

    /// Meets one dependency: by what is in, by ending it, or by bringing something in.
    fn settle(&mut self, by: &'a str, alternatives: &[Relation<'a>]) -> Option<Clash<'a>> {
        let want = self.members.get(by)?.want;
        let judged: Vec<_> = alternatives.iter().map(|relation| (relation, self.judge(relation, want))).collect();
        if judged.iter().any(|(_, verdict)| matches!(verdict, Alternative::Met)) {
            return None;
        }
        for (relation, verdict) in &judged {
            if self.is_pruned(by, relation.name) {
                self.pruned.insert(relation.name);
                return None;
            }
            match verdict {
                Alternative::Candidate(entry) => {
                    self.take(entry, Some(by), want);
                    return None;
                }
                Alternative::Clash(relation) => return Some(Clash { by, relation: *relation }),
                Alternative::Missing if self.stock == Stock::Pins => break,
                Alternative::Met | Alternative::Missing => {}
            }
        }
        let text: Vec<String> = alternatives.iter().map(|relation| format!("`{relation}`")).collect();
        let whys: Vec<String> = alternatives.iter().map(|relation| self.why_missing(relation)).collect();
        let message = format!("{} needs {}, but {}", self.chain(by), text.join(" or "), whys.join(", and "));
        self.problems.push(Problem { origin: self.origin(by), message });
        None
    }

    fn judge(&self, relation: &Relation<'a>, want: usize) -> Alternative<'a> {
        if relation.foreign.is_some() {
            return Alternative::Missing;
        }
        if let Some(version) = self.satisfied.get(relation.name) {
            return if relation.admits(version) { Alternative::Met } else { Alternative::Missing };
        }
        let member = self.members.get(relation.name);
        if member.is_some_and(|member| relation.admits(member.entry.version)) {
            return Alternative::Met;
        }
        let provided = self.provided.get(relation.name).map(Vec::as_slice).unwrap_or_default();
        if provided.iter().any(|version| provides(relation, *version)) {
            return Alternative::Met;
        }
        match (self.pick(relation, want, Depth::Dependency), member) {
            (Some(_), Some(_)) => Alternative::Clash(*relation),
            (Some(entry), None) => Alternative::Candidate(entry),
            (None, _) => self.pick_provider(relation, want).map_or(Alternative::Missing, Alternative::Candidate),
        }
    }

    fn is_pruned(&self, by: &str, name: &str) -> bool {
        let own = |want: &&Want| want.name == by && want.without.iter().any(|pruned| pruned == name);
        self.without.contains(name) || self.wants.iter().any(own)
    }

    /// The version of the named package that is taken: of the first tier that has one that fits all bounds, what
    /// this closure held before, then what is locked elsewhere, then the highest.
    fn pick(&self, relation: &Relation<'a>, want: usize, depth: Depth) -> Option<&'a Entry<'a>> {
        let bounds = self.bounds.get(relation.name).map(Vec::as_slice).unwrap_or_default();
        let fits = |entry: &&Entry<'_>| {
            relation.admits(entry.version) && bounds.iter().all(|(_, bound)| bound.admits(entry.version))
        };
        let tiers = match self.stock {
            Stock::Archives => usize::MAX,
            Stock::Pins => 1,
        };
        self.tiers(want, depth).iter().take(tiers).find_map(|tier| {
            let entries = self.catalogue.named(relation.name).filter(|entry| in_tier(entry, tier)).filter(fits);
            entries.reduce(|best, next| if self.rank(next, best).is_gt() { next } else { best })
        })
    }

    fn rank(&self, left: &Entry<'_>, right: &Entry<'_>) -> std::cmp::Ordering {
        let held = |entry: &Entry<'_>| {
            entry.locked && self.before.is_some_and(|closure| closure.members.contains_key(&entry.id()))
        };
        (held(left), left.locked).cmp(&(held(right), right.locked)).then_with(|| compare(left.version, right.version))
    }

    /// The package that is taken for a name that others provide.
    fn pick_provider(&self, relation: &Relation<'a>, want: usize) -> Option<&'a Entry<'a>> {
        let fits = |(entry, version): (&'a Entry<'a>, Option<&'a str>)| {
            let bounds = self.bounds.get(entry.name).map(Vec::as_slice).unwrap_or_default();
            let possible = provides(relation, version)
                && !self.without.contains(entry.name)
                && !self.satisfied.contains_key(entry.name)
                && !self.members.contains_key(entry.name)
                && bounds.iter().all(|(_, bound)| bound.admits(entry.version));
            possible.then_some(entry)
        };
        self.tiers(want, Depth::Dependency).iter().find_map(|tier| {
            let entries = self.catalogue.providing(relation.name).filter_map(fits);
            let entries = entries.filter(|entry| in_tier(entry, tier));
            let first = |left: &&Entry<'_>, right: &&Entry<'_>| {
                let held = |entry: &Entry<'_>| !self.before.is_some_and(|closure| holds(closure, entry.name));
                (held(left), left.priority, left.name)
                    .cmp(&(held(right), right.priority, right.name))
                    .then_with(|| self.rank(right, left))
            };
            entries.min_by(first)
        })
    }

    fn tiers(&self, want: usize, depth: Depth) -> &[BTreeSet<Place>] {
        let tiers = self.tiers.get(want);
        tiers.map_or(&[], |tiers| match depth {
            Depth::Wanted => &tiers.own,
            Depth::Dependency => &tiers.dependencies,
        })
    }

    /// Names in `without` that ended nothing.
    fn idle(&self) -> Vec<String> {
        let names = self.without.iter().filter(|name| !self.pruned.contains(*name));
        names.map(|name| (*name).to_owned()).collect()
    }

    /// The way from what a recipe names to `name`, as a sentence: "`a` needs `b`, which needs `c`, which".
    fn chain(&self, name: &str) -> String {
        let mut names = self.ancestry(name);
        names.reverse();
        let mut names = names.into_iter();
        let first = names.next().unwrap_or_default();
        let rest: Vec<String> = names.map(|name| format!(" needs `{name}`, which")).collect();
        format!("`{first}`{}", rest.concat())
    }

    fn origin(&self, name: &str) -> String {
        let want = self.members.get(name).and_then(|member| self.wants.get(member.want));
        want.map(|want| want.origin.clone()).unwrap_or_default()
    }

    /// A member and those that brought it in, up to the one that a recipe names.
    fn ancestry(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let mut next = self.members.get(name).and_then(|member| member.parent);
        while let Some(parent) = next {
            names.push(parent.to_owned());
            next = self.members.get(parent).and_then(|member| member.parent);
        }
        names
    }

    /// Why a relation cannot be met, as the end of a sentence.
    fn why_missing(&self, relation: &Relation<'_>) -> String {
        let name = relation.name;
        if let Some(foreign) = relation.foreign {
            let own = self.closure.architecture.debian();
            return format!(
                "a package for {foreign} cannot be among those for {own}; where it is not needed, `without \"{name}\"`"
            );
        }
        if let Some(version) = self.satisfied.get(name) {
            return format!("the component that satisfies `{name}` has version {version}");
        }
        let bounds = self.bounds.get(name).map(Vec::as_slice).unwrap_or_default();
        if bounds.len() + usize::from(relation.bound.is_some()) > 1 && !bounds.is_empty() {
            let side = |(by, bound): &(Asker<'_>, Relation<'_>)| match by {
                Asker::Recipe(origin) => format!("{origin} wants `{bound}`"),
                Asker::Package(name) => format!("`{name}` needs `{bound}`"),
            };
            let sides: Vec<String> = bounds.iter().map(side).collect();
            return format!("no version of `{name}` is right for all: {}", sides.join(", "));
        }
        let found: BTreeSet<String> = self.catalogue.named(name).map(version_and_place).collect();
        if let (true, [odd, ..]) = (found.is_empty(), self.catalogue.odd(name)) {
            return format!("{odd}; report it to the archive");
        }
        if found.is_empty() {
            let word = self.closure.architecture.debian();
            return format!("no archive has `{name}` for {word}, and nothing that may be chosen provides it");
        }
        let found: Vec<String> = found.into_iter().collect();
        format!("of `{name}` there is only {}", found.join(", "))
    }
}

/// Whether a package was named by a recipe, or came in by a dependency.
#[derive(Clone, Copy)]
enum Depth {
    Wanted,
    Dependency,
}

fn version_and_place(entry: &Entry<'_>) -> String {
    format!("{} in `{}`", entry.version, entry.suite)
}

fn holds(closure: &LockedClosure, name: &str) -> bool {
    closure.members.keys().any(|id| id.name == name)
}

fn in_tier(entry: &Entry<'_>, tier: &BTreeSet<Place>) -> bool {
    tier.iter().any(|(archive, suite)| archive == entry.archive && suite == entry.suite)
}

/// Whether providing a name, perhaps with a version, meets a relation (Debian Policy, section 7.5).
fn provides(relation: &Relation<'_>, version: Option<&str>) -> bool {
    match (relation.bound, version) {
        (None, _) => true,
        (Some(bound), Some(version)) => bound.admits(version),
        (Some(_), None) => false,
    }
}

/// The suites that a wanted package and its dependencies may come from.
///
/// Without a suite named: all that need no naming. With one: it with its `-updates` and `-security`; what the
/// package depends on comes from the usual suites first when the named one is for naming only. Other archives' usual
/// suites come last.
fn tiers(want: &Want, archives: &[Archive]) -> Result<Tiers, String> {
    let places = |archive: &Archive, keep: &dyn Fn(&super::wanted::Suite) -> bool| -> BTreeSet<Place> {
        let suites = archive.suites.iter().filter(|suite| keep(suite));
        suites.map(|suite| (archive.name.clone(), suite.name.clone())).collect()
    };
    let Some(archive) = archives.iter().find(|archive| archive.name == want.archive) else {
        return Err(format!("`{}` is wanted from the archive `{}`, which is not declared", want.name, want.archive));
    };
    let usual = places(archive, &|suite| !suite.only_when_named);
    let others = archives.iter().filter(|other| other.name != archive.name);
    let others: BTreeSet<Place> = others.flat_map(|other| places(other, &|suite| !suite.only_when_named)).collect();
    let Some(named) = &want.suite else {
        return Ok(Tiers { own: vec![usual.clone()], dependencies: vec![usual, others] });
    };
    let Some(suite) = archive.suites.iter().find(|suite| suite.name == *named) else {
        let name = &want.name;
        return Err(format!("`{name}` is wanted from the suite `{named}`, which the archive `{}` lacks", archive.name));
    };
    let family = archive.family(named).map(|suite| (archive.name.clone(), suite.name.clone()));
    let family: BTreeSet<Place> = family.collect();
    let dependencies =
        if suite.only_when_named { vec![usual, family.clone(), others] } else { vec![family.clone(), usual, others] };
    Ok(Tiers { own: vec![family], dependencies })
}
