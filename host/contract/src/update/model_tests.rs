//! A machine in a table: every sequence of boots and updates, and every cut between two writes of an update.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Again, EspStep, Judgement, NewImage, Part, Rollback, Seen, Step, UpdateRefused, bless, give_up_unreadable, judge,
    reconcile, roll_back, steps,
};
use crate::{
    BootEntry, EntryName, Guid, ImageName, SlotName, Slots, boot_order, compare_versions,
    gpt::{
        self, Label, Partition,
        tests::{Disk, SIZE},
    },
    partition::{self, hash_guid, root_guid},
};

const VARIANT: &str = "a";
/// The blocks of a partition in the model.
const BLOCKS: usize = 2;
/// Versions in ascending order; that of the new disk first.
const VERSIONS: [&str; 3] = ["1.9.0", "1.10.0", "1.11.0"];

/// A file on the ESP: the version that it starts, and whether all of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    version: usize,
    is_whole: bool,
}

/// All that survives a loss of power.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Machine {
    disk: Disk,
    /// Of what version each block of a partition is, by the partition's number.
    content: BTreeMap<u32, [Option<usize>; BLOCKS]>,
    esp: BTreeMap<String, File>,
}

/// A write that may or may not have reached the disk.
#[derive(Debug, Clone)]
enum Write {
    Sector(gpt::Step),
    Block(u32, usize, usize),
    Remove(String),
    File(String, File),
}

fn root_hash(version: usize) -> [u8; 32] {
    std::array::from_fn(|at| (version + 1) as u8 ^ (at as u8 / 16 * 0x80))
}

fn empty() -> [[Guid; 2]; 2] {
    [[101, 102], [103, 104]].map(|slot| slot.map(Guid::from_number))
}

fn name(version: usize) -> ImageName {
    ImageName::new(VARIANT, VERSIONS[version])
}

fn image(version: usize) -> NewImage {
    NewImage { name: name(version), root_hash: root_hash(version), bytes: [1000, 9000], empty: empty() }
}

impl Machine {
    /// A new disk, never started.
    fn new() -> Machine {
        let [hash_identity, root_identity] = [hash_guid(&root_hash(0)), root_guid(&root_hash(0))];
        let label = name(0).to_string();
        let part = |number: u32, identity: Guid, label: &str| Partition {
            number,
            kind: Guid::from_number(u128::from(number)),
            identity,
            first: u64::from(number) * 100,
            last: u64::from(number) * 100 + 99,
            attributes: partition::READ_ONLY,
            label: Label::new(label).unwrap(),
        };
        let [_, [hash, root]] = empty();
        let disk = Disk::with(&[
            part(1, Guid::from_number(100), "esp"),
            part(2, hash_identity, &label),
            part(3, root_identity, &label),
            part(4, hash, partition::EMPTY_LABEL),
            part(5, root, partition::EMPTY_LABEL),
        ]);
        let content = (2..=5).map(|number| (number, [(number < 4).then_some(0); BLOCKS])).collect();
        let file = File { version: 0, is_whole: true };
        Machine { disk, content, esp: BTreeMap::from([(EntryName::new(&name(0)).to_string(), file)]) }
    }

    fn slots(&self, running: SlotName) -> Slots {
        Slots::read(VARIANT, self.disk.copies().table().unwrap(), self.esp.keys().map(String::as_str), running).unwrap()
    }

    /// Firmware, loader and kernel do their part; the slot and the version that run then, `None` when nothing does.
    fn start(&mut self) -> Option<(SlotName, usize)> {
        // What is not whole the loader cannot read, and passes over.
        let entries = self.esp.iter().filter(|(_, content)| content.is_whole).filter_map(|(file, content)| {
            let name = EntryName::parse(file).ok()?;
            let version = VERSIONS[content.version].to_owned();
            Some((BootEntry { name, sort_key: VARIANT.to_owned(), version }, *content))
        });
        let (chosen, file) = entries.min_by(|(a, _), (b, _)| boot_order(a, b))?;
        self.esp.remove(&chosen.name.to_string());
        self.esp.insert(chosen.name.started().to_string(), file);
        let copies = self.disk.copies();
        let hash = root_hash(file.version);
        let find = |identity: Guid| copies.table().ok()?.partitions().find(|one| one.identity == identity);
        let (hash, root) = (find(hash_guid(&hash))?.number, find(root_guid(&hash))?.number);
        let is_it = |number: u32| self.content[&number].iter().all(|block| *block == Some(file.version));
        (is_it(hash) && is_it(root)).then(|| (SlotName::of_partitions(hash, root).unwrap(), file.version))
    }

    /// What a step writes, one write at a time.
    fn writes(&self, step: &Step, slot: SlotName, version: usize) -> Vec<Write> {
        let file = |is_whole| File { version, is_whole };
        match step {
            Step::Table(step @ gpt::Step::Write { .. }) => vec![Write::Sector(step.clone())],
            Step::Fill(part) => (0..BLOCKS).map(|block| Write::Block(part.number(slot), block, version)).collect(),
            Step::Esp(EspStep::Remove(name)) => vec![Write::Remove(name.clone())],
            Step::Esp(EspStep::Stage(name)) => [false, true].map(|whole| Write::File(name.clone(), file(whole))).into(),
            // The kernel's FAT writes the new name before it takes away the old one.
            Step::Esp(EspStep::Rename { from, to }) => {
                let moved = self.esp.get(from).copied().unwrap_or(file(true));
                vec![Write::File(to.clone(), moved), Write::Remove(from.clone())]
            }
            Step::Check | Step::ForgetChoice | Step::Table(gpt::Step::Flush) | Step::Esp(EspStep::Sync) => Vec::new(),
        }
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Sector(step) => self.disk.perform(step),
            Write::Block(number, block, version) => self.content.get_mut(number).unwrap()[*block] = Some(*version),
            Write::Remove(name) => drop(self.esp.remove(name)),
            Write::File(name, file) => drop(self.esp.insert(name.clone(), *file)),
        }
    }

    /// Performs steps; every machine that a cut of them may leave, that which is whole last. Of what was written since
    /// the last flush any part may be there, but that names on the ESP change in order.
    fn perform(&self, steps: &[Step], slot: SlotName, version: usize) -> Vec<Machine> {
        let (mut machines, mut durable) = (BTreeSet::new(), self.clone());
        let is_flush = |step: &Step| matches!(step, Step::Table(gpt::Step::Flush) | Step::Esp(EspStep::Sync));
        for group in steps.split_inclusive(is_flush) {
            let mut now = durable.clone();
            let mut writes = Vec::new();
            for step in group {
                for write in now.writes(step, slot, version) {
                    now.write(&write);
                    writes.push(write);
                }
            }
            assert!(writes.len() < 12, "few enough that each part of them can be tried: {writes:?}");
            let is_file = |write: &Write| matches!(write, Write::Remove(_) | Write::File(..));
            for part in 0..1_u32 << writes.len() {
                let there = |at: usize| part >> at & 1 == 1;
                let files: Vec<bool> =
                    writes.iter().enumerate().filter(|(_, write)| is_file(write)).map(|(at, _)| there(at)).collect();
                if files.windows(2).any(|pair| !pair[0] && pair[1]) {
                    continue;
                }
                let mut machine = durable.clone();
                writes.iter().enumerate().filter(|(at, _)| there(*at)).for_each(|(_, write)| machine.write(write));
                machines.insert(machine);
            }
            durable = now;
        }
        machines.remove(&durable);
        machines.into_iter().chain([durable]).collect()
    }

    /// What the agent does at each start before anything else: the table is mended, what stands twice is taken away.
    fn look_after(&mut self, running: SlotName) {
        let copies = self.disk.copies();
        copies.mend().unwrap().iter().for_each(|step| self.disk.perform(step));
        let steps: Vec<Step> = reconcile(&self.slots(running)).into_iter().map(Step::Esp).collect();
        *self = self.perform(&steps, running, 0).pop().unwrap();
    }

    fn esp_steps(&mut self, running: SlotName, steps: Vec<EspStep>) {
        let steps: Vec<Step> = steps.into_iter().map(Step::Esp).collect();
        *self = self.perform(&steps, running, 0).pop().unwrap();
    }

    /// Starts until something is healthy, as whatever watches over the machine does; those of `sick` never are. What
    /// runs in the end, and how many starts it took.
    fn until_healthy(&mut self, sick: &[usize]) -> Option<(SlotName, usize, usize)> {
        (1..=9).find_map(|starts| {
            let (slot, version) = self.start()?;
            self.look_after(slot);
            if sick.contains(&version) {
                return None;
            }
            self.esp_steps(slot, bless(&self.slots(slot)));
            assert_eq!(judge(&self.slots(slot), Seen::Healthy), Judgement::Good);
            Some((slot, version, starts))
        })
    }
}

/// Every cut of an update from a machine on which `running` was blessed: it can be started when everything else is sick, the same update can be begun again from there, and it ends.
fn every_cut_leaves_a_way(machine: &Machine, slot: SlotName, running: usize, version: usize) -> Vec<Machine> {
    let (slots, copies) = (machine.slots(slot), machine.disk.copies());
    let before =
        slots.slot(slot.other()).image().and_then(|image| VERSIONS.iter().position(|one| *one == image.version));
    let (target, list) = steps(&slots, &copies, SIZE.sector as u64, &image(version), Again::Asked).unwrap();
    let cuts = machine.perform(&list, target, version);
    for cut in &cuts {
        let others: Vec<usize> = (0..VERSIONS.len()).filter(|one| *one != running).collect();
        let found = cut.clone().until_healthy(&others);
        let (_, back, starts) = found.unwrap_or_else(|| panic!("nothing starts: {cut:?}"));
        assert_eq!(back, running, "what ran before is what is fallen back to");
        assert!(starts <= 4, "after three tries: {starts}");
        let mut healthy = cut.clone();
        let (slot, found, _) = healthy.until_healthy(&[]).unwrap();
        // Or, as long as it is not begun, what was in the other slot.
        assert!(found == running || found == version || found == before.unwrap());
        if found == running {
            let (target, list) =
                steps(&healthy.slots(slot), &healthy.disk.copies(), SIZE.sector as u64, &image(version), Again::Asked)
                    .unwrap();
            let mut again = healthy.perform(&list, target, version).pop().unwrap();
            assert_eq!(again.until_healthy(&[]).map(|(_, version, _)| version), Some(version));
            assert_eq!(again.esp.len(), 2, "nothing is left over: {:?}", again.esp);
        }
    }
    cuts
}

/// A machine together with what its past promises.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    machine: Machine,
    running: Option<(SlotName, usize)>,
    /// The version that was found healthy last and has not been given up.
    proven: Option<usize>,
}

/// Every sequence of healthy starts, failed starts, rollbacks and updates, cut off anywhere or not: no state without a
/// slot that starts, and what was healthy last is still there until something newer is.
#[test]
fn no_sequence_of_boots_updates_and_cuts_leaves_nothing_that_starts() {
    let first = State { machine: Machine::new(), running: None, proven: None };
    let (mut seen, mut open) = (BTreeSet::from([first.clone()]), vec![first]);
    let mut cuts = 0;
    while let Some(state) = open.pop() {
        let mut next = Vec::new();
        for is_healthy in [true, false] {
            let mut machine = state.machine.clone();
            let started = machine.start();
            if let Some((slot, version)) = started {
                machine.look_after(slot);
                if is_healthy {
                    machine.esp_steps(slot, bless(&machine.slots(slot)));
                }
                let proven = if is_healthy { Some(version) } else { state.proven };
                next.push(State { machine, running: Some((slot, version)), proven });
            } else {
                next.push(State { machine, running: None, proven: state.proven });
            }
        }
        if let Some((slot, version)) = state.running {
            let slots = state.machine.slots(slot);
            if let Ok(Rollback { steps: list, given_up }) = roll_back(&slots) {
                let mut machine = state.machine.clone();
                machine.esp_steps(slot, list);
                let starts = given_up.other();
                let started = slots.slot(starts).image().unwrap().version;
                let proven = VERSIONS
                    .iter()
                    .position(|version| *version == started)
                    .filter(|_| slots.slot(starts).entry().is_some_and(EntryName::is_good));
                next.push(State { machine, running: state.running, proven });
            }
            for (new, text) in VERSIONS.iter().enumerate() {
                let is_newer = compare_versions(VERSIONS[version], text).is_lt();
                let is_good = slots.slot(slot).entry().is_some_and(EntryName::is_good);
                let copies = state.machine.disk.copies();
                match steps(&slots, &copies, SIZE.sector as u64, &image(new), Again::Asked) {
                    Ok(_) => {
                        assert!(is_newer && is_good);
                        let left = every_cut_leaves_a_way(&state.machine, slot, version, new);
                        cuts += left.len();
                        next.extend(left.into_iter().map(|machine| State { machine, ..state.clone() }));
                    }
                    Err(_) => assert!(!is_newer || !is_good),
                }
            }
        }
        for state in next {
            if !seen.insert(state.clone()) {
                continue;
            }
            if let Some(proven) = state.proven {
                let sick: Vec<usize> = (0..VERSIONS.len()).filter(|version| *version != proven).collect();
                let found = state.machine.clone().until_healthy(&sick).map(|(_, version, _)| version);
                assert_eq!(found, Some(proven), "what was healthy last is lost: {state:?}");
            }
            assert!(state.machine.clone().until_healthy(&[]).is_some(), "nothing starts: {state:?}");
            open.push(state);
        }
    }
    println!("{} states, {cuts} cuts, none without a slot that starts", seen.len());
    assert!(seen.len() > 100, "{}", seen.len());
}

#[test]
fn an_update_is_refused_with_its_reason() {
    let mut machine = Machine::new();
    let (slot, _) = machine.start().unwrap();
    let refused = |machine: &Machine, image: &NewImage| {
        let found = steps(&machine.slots(slot), &machine.disk.copies(), 512, image, Again::Never);
        found.map(|(slot, _)| slot.name().to_owned()).map_err(|refused| refused.to_string())
    };
    let unproven =
        "the running image has not been found healthy: an update would overwrite the only one to fall back to";
    assert_eq!(refused(&machine, &image(1)), Err(unproven.to_owned()));
    machine.esp_steps(slot, bless(&machine.slots(slot)));
    assert_eq!(refused(&machine, &image(1)), Ok("B".to_owned()));
    let other = NewImage { name: ImageName::new("b", "2"), ..image(1) };
    let same = NewImage { root_hash: root_hash(0), ..image(1) };
    let old = NewImage { name: ImageName::new(VARIANT, "1.8.0"), ..image(1) };
    let large = NewImage { bytes: [1000, 52000], ..image(1) };
    let long = NewImage { name: ImageName::new(VARIANT, &"9".repeat(40)), ..image(1) };
    for (image, text) in [
        (other, "it is an image of `b`, and this machine runs `a`".to_owned()),
        (same, "it has the root that runs, under another version".to_owned()),
        (old, "version `1.8.0` is not newer than `1.9.0`, which runs: the loader would not start it".to_owned()),
        (large, "its root has 52000 bytes, and the slot has room for 51200".to_owned()),
        (long, format!("`a_{}` is no label of a partition: expected at most 36 UTF-16 units", "9".repeat(40))),
    ] {
        assert_eq!(refused(&machine, &image), Err(text));
    }
    let (target, list) = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never).unwrap();
    machine = machine.perform(&list, target, 1).pop().unwrap();
    assert_eq!(machine.until_healthy(&[1]), Some((slot, 0, 4)));
    assert_eq!(refused(&machine, &image(1)), Err("version `1.10.0` was started here and given up".to_owned()));
    assert_eq!(refused(&machine, &image(2)), Ok("B".to_owned()));
}

#[test]
fn of_two_files_of_one_version_the_good_one_stays() {
    let mut machine = Machine::new();
    let file = File { version: 0, is_whole: true };
    machine.esp.insert("A_1.9.0+1-2.efi".to_owned(), file);
    machine.esp.insert("a_1.9.0.efi".to_owned(), file);
    machine.look_after(SlotName::A);
    assert_eq!(machine.esp.keys().collect::<Vec<_>>(), ["a_1.9.0.efi"]);
}

#[test]
fn the_steps_of_an_update_are_these() {
    let mut machine = Machine::new();
    let (slot, _, _) = machine.until_healthy(&[]).unwrap();
    let (_, list) = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never).unwrap();
    let short = |step: &Step| match step {
        Step::Esp(EspStep::Remove(name)) => format!("remove {name}"),
        Step::Esp(EspStep::Stage(name)) => format!("write {name}"),
        Step::Esp(EspStep::Rename { from, to }) => format!("rename {from} {to}"),
        Step::Esp(EspStep::Sync) => "sync".to_owned(),
        Step::Table(gpt::Step::Write { sector, .. }) => format!("sector {sector}"),
        Step::Table(gpt::Step::Flush) => "flush".to_owned(),
        Step::Fill(part) => format!("fill {}", part.name()),
        Step::Check => "check".to_owned(),
        Step::ForgetChoice => "forget choice".to_owned(),
    };
    // Slot B is empty already, so its table is changed once.
    let expected = "fill hash tree, fill root, flush, check, sector 4093, sector 4094, \
                    sector 4095, flush, sector 2, sector 3, sector 1, flush, forget choice, write a_1.10.0.part, sync, \
                    rename a_1.10.0.part a_1.10.0+3-0.efi, sync";
    assert_eq!(list.iter().map(short).collect::<Vec<_>>().join(", "), expected);
    assert_eq!(Part::Hash.number(SlotName::B), 4);
}

#[test]
fn an_update_that_was_not_started_yet_is_given_up_and_what_runs_stays() {
    let mut machine = Machine::new();
    let (slot, _) = machine.start().unwrap();
    machine.esp_steps(slot, bless(&machine.slots(slot)));
    let (target, list) = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never).unwrap();
    machine = machine.perform(&list, target, 1).pop().unwrap();
    let rollback = roll_back(&machine.slots(slot)).unwrap();
    assert_eq!(rollback.given_up, SlotName::B);
    machine.esp_steps(slot, rollback.steps);
    assert_eq!(machine.start(), Some((SlotName::A, 0)));
    let again = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never);
    assert!(matches!(again, Err(UpdateRefused::FailedHere { .. })), "{again:?}");
}

#[test]
fn an_update_that_the_loader_cannot_read_is_given_up_by_what_runs_instead() {
    let mut machine = Machine::new();
    let (slot, _) = machine.start().unwrap();
    machine.esp_steps(slot, bless(&machine.slots(slot)));
    let (target, list) = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never).unwrap();
    machine = machine.perform(&list, target, 1).pop().unwrap();
    let (running, update) = (EntryName::new(&name(0)).good(), EntryName::new(&name(1)));
    assert_eq!(give_up_unreadable(&machine.slots(slot), &[running.clone(), update.good()]), [], "it was offered");
    machine.esp.get_mut(&update.to_string()).unwrap().is_whole = false;
    assert_eq!(machine.start(), Some((SlotName::A, 0)));
    let offered = [running];
    machine.esp_steps(slot, give_up_unreadable(&machine.slots(slot), &offered));
    assert!(machine.esp.contains_key(&update.bad().to_string()), "{:?}", machine.esp);
    assert_eq!(give_up_unreadable(&machine.slots(slot), &offered), [], "once is enough");
    let again = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never);
    assert!(matches!(again, Err(UpdateRefused::FailedHere { .. })), "{again:?}");
}

#[test]
fn a_machine_restarts_when_what_runs_has_not_proven_itself_and_something_else_starts() {
    let mut machine = Machine::new();
    let (slot, _) = machine.start().unwrap();
    assert_eq!(
        judge(&machine.slots(slot), SICK),
        Judgement::NothingElse,
        "a fresh machine has nothing to fall back to"
    );
    machine.esp_steps(slot, bless(&machine.slots(slot)));
    let (target, list) = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never).unwrap();
    machine = machine.perform(&list, target, 1).pop().unwrap();
    for left in [2, 1, 0] {
        assert_eq!(machine.start(), Some((SlotName::B, 1)));
        assert_eq!(judge(&machine.slots(SlotName::B), SICK), Judgement::Restart { left });
    }
    assert_eq!(machine.start(), Some((SlotName::A, 0)));
    assert_eq!(judge(&machine.slots(SlotName::A), Seen::Healthy), Judgement::Good);
}

/// The first start of three that was not found healthy.
const SICK: Seen = Seen::NotHealthy { starts: 1, limit: 3 };

#[test]
fn a_version_that_was_found_healthy_and_breaks_later_is_given_up_after_so_many_starts() {
    let mut machine = Machine::new();
    let (slot, _) = machine.start().unwrap();
    machine.esp_steps(slot, bless(&machine.slots(slot)));
    assert_eq!(judge(&machine.slots(slot), SICK), Judgement::NothingElse, "there is nothing else");
    let (target, list) = steps(&machine.slots(slot), &machine.disk.copies(), 512, &image(1), Again::Never).unwrap();
    machine = machine.perform(&list, target, 1).pop().unwrap();
    let (slot, version, _) = machine.until_healthy(&[]).unwrap();
    assert_eq!(version, 1);
    let seen = |starts, limit| judge(&machine.slots(slot), Seen::NotHealthy { starts, limit });
    assert_eq!(seen(9, 0), Judgement::GoOn, "nobody wants it");
    assert_eq!((seen(1, 3), seen(2, 3)), (Judgement::Restart { left: 2 }, Judgement::Restart { left: 1 }));
    assert_eq!((seen(3, 3), seen(4, 3)), (Judgement::GiveUp, Judgement::GiveUp));
    machine.esp_steps(slot, roll_back(&machine.slots(slot)).unwrap().steps);
    assert_eq!(machine.start(), Some((SlotName::A, 0)));
    // And there it ends: nothing else is left.
    assert_eq!(judge(&machine.slots(SlotName::A), Seen::NotHealthy { starts: 9, limit: 3 }), Judgement::NothingElse);
}
