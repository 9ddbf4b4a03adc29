//! What can only be seen between recipes: cycles, changes that change nothing, layouts that cannot be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use brc_contract::partition::MAX_ESP_BYTES;
use petgraph::{
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};

use super::{
    Bytes, Change, Clause, Code, Component, ComponentItem, Diagnostic, Guarded, Kernel, KernelItem, Name, Override,
    Recipes, Span, Spanned, Target, Variant, VariantItem, Versioned as _, condition::can_hold, no_version,
};

/// The smallest ESP: FAT32 has at least 65,525 clusters of 512 bytes, two tables and what comes before them.
const SMALLEST_ESP: u64 = 33 << 20;
/// Slots are cut in blocks of dm-verity.
const BLOCK: u64 = 4096;

/// One thing that leans on another.
struct Edge<'r> {
    from: &'r Name,
    to: &'r Name,
    /// How: `needs`, `is built with`.
    verb: &'static str,
    span: Span,
    when: &'r [Clause],
}

/// Checks what no single recipe shows.
pub(super) fn check(recipes: &Recipes, problems: &mut Vec<Diagnostic>) {
    problems.extend(cycles(&component_edges(recipes)));
    problems.extend(cycles(&variant_edges(recipes)));
    let inside = recipes.variants.values().flat_map(|variant| &variant.items);
    let inside = inside.filter_map(|guarded| match &guarded.item {
        VariantItem::Override(change) => Some(change),
        _ => None,
    });
    problems.extend(recipes.overrides.iter().chain(inside).filter_map(|change| without_change(recipes, change)));
    problems.extend(recipes.components.values().flat_map(unfilled_version));
    problems.extend(recipes.kernels.values().filter_map(kernel_without_version));
    problems.extend(recipes.kernels.values().flat_map(unfilled_kernel_version));
    problems.extend(recipes.targets.values().filter_map(|target| pods_without_metadata(recipes, target)));
    for variant in recipes.variants.values() {
        check_layout(recipes, variant, problems);
    }
}

fn component_edges(recipes: &Recipes) -> Vec<Edge<'_>> {
    let mut edges = Vec::new();
    for component in recipes.components.values() {
        edges_of_component(&component.name, &component.items, &mut edges);
    }
    for kernel in recipes.kernels.values() {
        edges_of_kernel(&kernel.name, &kernel.items, &mut edges);
    }
    for change in &recipes.overrides {
        match &change.change {
            Change::Component(items) => edges_of_component(&change.target, items, &mut edges),
            Change::Kernel(items) => edges_of_kernel(&change.target, items, &mut edges),
            Change::Packages(_) => {}
        }
    }
    edges
}

fn edges_of_component<'r>(from: &'r Name, items: &'r [Guarded<ComponentItem>], edges: &mut Vec<Edge<'r>>) {
    for guarded in items {
        let (verb, names) = match &guarded.item {
            ComponentItem::Needs(names) => ("needs", names),
            ComponentItem::BuildWith(names) => ("is built with", names),
            ComponentItem::LinkWith(names) => ("is linked with", names),
            _ => continue,
        };
        add_edges(from, verb, names, &guarded.when, edges);
    }
}

fn edges_of_kernel<'r>(from: &'r Name, items: &'r [Guarded<KernelItem>], edges: &mut Vec<Edge<'r>>) {
    for guarded in items {
        if let KernelItem::BuildWith(names) = &guarded.item {
            add_edges(from, "is built with", names, &guarded.when, edges);
        }
    }
}

fn add_edges<'r>(
    from: &'r Name,
    verb: &'static str,
    names: &'r [Spanned<Name>],
    when: &'r [Clause],
    edges: &mut Vec<Edge<'r>>,
) {
    edges.extend(names.iter().map(|to| Edge { from, to, verb, span: to.span, when }));
}

fn variant_edges(recipes: &Recipes) -> Vec<Edge<'_>> {
    let mut edges = Vec::new();
    for variant in recipes.variants.values() {
        add_edges(&variant.name, "extends", &variant.extends, &[], &mut edges);
    }
    edges
}

/// One sentence for each knot of things that lean on each other.
fn cycles(edges: &[Edge<'_>]) -> Vec<Diagnostic> {
    let mut graph: DiGraph<&Name, usize> = DiGraph::new();
    let mut nodes = BTreeMap::new();
    for (at, edge) in edges.iter().enumerate() {
        let from = *nodes.entry(edge.from).or_insert_with(|| graph.add_node(edge.from));
        let to = *nodes.entry(edge.to).or_insert_with(|| graph.add_node(edge.to));
        graph.add_edge(from, to, at);
    }
    let mut problems = Vec::new();
    for knot in kosaraju_scc(&graph) {
        let members: BTreeSet<NodeIndex> = knot.into_iter().collect();
        let cycle = shortest_cycle(&graph, &members).unwrap_or_default();
        let cycle: Vec<&Edge<'_>> = cycle.into_iter().filter_map(|at| edges.get(at)).collect();
        problems.extend(tell(&cycle));
    }
    problems
}

/// The shortest way from the first of `members` back to itself: the edges in order. There is none when it is alone
/// and does not lean on itself.
fn shortest_cycle(graph: &DiGraph<&Name, usize>, members: &BTreeSet<NodeIndex>) -> Option<Vec<usize>> {
    let start = *members.first()?;
    let mut came: BTreeMap<NodeIndex, (NodeIndex, usize)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for edge in graph.edges(at).filter(|edge| members.contains(&edge.target())) {
            let to = edge.target();
            if came.contains_key(&to) {
                continue;
            }
            came.insert(to, (at, *edge.weight()));
            queue.push_back(to);
        }
        if let Some((mut from, edge)) = came.get(&start).copied() {
            let mut way = vec![edge];
            while from != start {
                let (before, edge) = *came.get(&from)?;
                way.push(edge);
                from = before;
            }
            way.reverse();
            return Some(way);
        }
    }
    None
}

fn tell(cycle: &[&Edge<'_>]) -> Option<Diagnostic> {
    let when: Vec<Clause> = cycle.iter().flat_map(|edge| edge.when.iter().cloned()).collect();
    if !can_hold(&when) {
        return None;
    }
    let steps: Vec<String> =
        cycle.iter().map(|edge| format!("`{}` {} `{}`", edge.from.name, edge.verb, edge.to.name)).collect();
    let first = cycle.first()?;
    let mut problem = Diagnostic::error(Code::Cycle, first.span, format!("{}: a circle", steps.join(", ")));
    for edge in cycle.iter().skip(1) {
        problem = problem.also(edge.span, format!("`{}` {} it", edge.from.name, edge.verb));
    }
    Some(problem.help("one of them must go without the other"))
}

/// Every `{version}` of a component that has no version.
fn unfilled_version(component: &Component) -> Vec<Diagnostic> {
    if component.items.iter().any(|guarded| matches!(guarded.item, ComponentItem::Version(_))) {
        return Vec::new();
    }
    let spans = component.items.iter().flat_map(|guarded| match &guarded.item {
        ComponentItem::Upstream(upstream) => upstream.versioned(),
        ComponentItem::Patch(paths) => paths.versioned(),
        ComponentItem::Install(install) => install.versioned(),
        ComponentItem::Common(item) => item.versioned(),
        _ => Vec::new(),
    });
    spans.map(|span| no_version(&component.name.name, span)).collect()
}

/// Every `{version}` of a kernel that has no version, or that nobody fills.
fn unfilled_kernel_version(kernel: &Kernel) -> Vec<Diagnostic> {
    let has_version = kernel.items.iter().any(|guarded| matches!(guarded.item, KernelItem::Version(_)));
    let problems = kernel.items.iter().flat_map(|guarded| {
        let spans = match &guarded.item {
            KernelItem::Common(item) => {
                let told = |span| {
                    let message = "what a kernel brings besides itself does not know the kernel's version";
                    Diagnostic::error(Code::BracesNotFilled, span, message).help("write it out")
                };
                return item.versioned().into_iter().map(told).collect();
            }
            KernelItem::Upstream(upstream) => upstream.versioned(),
            KernelItem::Config(paths) | KernelItem::Patch(paths) => paths.versioned(),
            KernelItem::ModuleCertificate(path) => path.versioned(),
            KernelItem::Package(package) => package.name.versioned(),
            _ => Vec::new(),
        };
        let spans = spans.into_iter().filter(|_| !has_version);
        spans.map(|span| no_version(&kernel.name.name, span)).collect::<Vec<_>>()
    });
    problems.collect()
}

/// A kernel package says its version; an archive does not.
fn kernel_without_version(kernel: &Kernel) -> Option<Diagnostic> {
    let has = |wanted: fn(&KernelItem) -> bool| kernel.items.iter().any(|guarded| wanted(&guarded.item));
    let is_wanted = has(|item| matches!(item, KernelItem::Upstream(_)));
    let is_there = has(|item| matches!(item, KernelItem::Version(_) | KernelItem::Debian(_)));
    (is_wanted && !is_there).then(|| {
        let message = format!("kernel `{}` has an `upstream` and no version", kernel.name.name);
        Diagnostic::error(Code::MissingNode, kernel.name.span, message).help("write `version \"…\"`")
    })
}

/// A warning for an override after which everything is as before.
fn without_change(recipes: &Recipes, change: &Override) -> Option<Diagnostic> {
    let same = match &change.change {
        Change::Packages(items) => items.is_empty(),
        Change::Kernel(items) => items.is_empty(),
        Change::Component(items) => {
            let target = recipes.components.get(&change.target)?;
            items.iter().all(|guarded| {
                target.items.iter().any(|old| old.when.is_empty() && says_the_same(&old.item, &guarded.item))
            })
        }
    };
    same.then(|| {
        let message = format!("this override of `{}` changes nothing", change.target.name);
        Diagnostic::warning(Code::OverrideWithoutChange, change.target.span, message).help("leave it out")
    })
}

fn says_the_same(old: &ComponentItem, new: &ComponentItem) -> bool {
    match (old, new) {
        (ComponentItem::Version(old), ComponentItem::Version(new)) => old.value == new.value,
        (ComponentItem::License(old), ComponentItem::License(new)) => old.value == new.value,
        (ComponentItem::Upstream(old), ComponentItem::Upstream(new)) => {
            new.source.is_none()
                && new.unpack.is_none()
                && new.languages.is_none()
                && old.commit.as_ref().map(|commit| &commit.value) == new.commit.as_ref().map(|commit| &commit.value)
                && old.sha256.as_ref().map(|digest| digest.value) == new.sha256.as_ref().map(|digest| digest.value)
        }
        _ => false,
    }
}

/// What a variant or the nearest of those it extends says without a condition.
fn effective<T>(recipes: &Recipes, variant: &Variant, pick: impl Fn(&VariantItem) -> Option<T>) -> Option<T> {
    let mut queue = VecDeque::from([variant]);
    let mut seen = BTreeSet::new();
    while let Some(variant) = queue.pop_front() {
        if !seen.insert(&variant.name.value) {
            continue;
        }
        let own = variant.items.iter().rev().filter(|guarded| guarded.when.is_empty());
        if let Some(found) = own.filter_map(|guarded| pick(&guarded.item)).next() {
            return Some(found);
        }
        queue.extend(variant.extends.iter().filter_map(|name| recipes.variants.get(&name.value)));
    }
    None
}

/// A warning for a target whose instances answer no pod, where a variant beside it runs pods: one may want just that.
fn pods_without_metadata(recipes: &Recipes, target: &Target) -> Option<Diagnostic> {
    let hops = target.aws.hop_limit.filter(|hops| hops.value == 1)?;
    let is_own = |variant: &&Variant| variant.name.set == target.name.set;
    let variant = recipes.variants.values().filter(is_own).find(|variant| runs_pods(recipes, variant))?;
    let message =
        format!("pods of `{}` that are not in the host's network cannot ask the metadata service", variant.name.name);
    let problem = Diagnostic::warning(Code::OneHop, hops.span, message).label("one hop ends on the machine");
    let problem = problem.also(variant.name.span, "runs pods");
    Some(
        problem.help("write `hop-limit 2` where pods have to; with 1 they cannot take the node's role, which is safer"),
    )
}

/// Whether a variant, as it extends others and includes what needs others, has a kubelet.
fn runs_pods(recipes: &Recipes, variant: &Variant) -> bool {
    let edges = component_edges(recipes);
    let mut names: Vec<&Name> = Vec::new();
    let (mut variants, mut seen) = (vec![variant], BTreeSet::new());
    while let Some(variant) = variants.pop() {
        if !seen.insert(&variant.name.value) {
            continue;
        }
        variants.extend(variant.extends.iter().filter_map(|parent| recipes.variants.get(&parent.value)));
        for guarded in &variant.items {
            if let VariantItem::Include(included) = &guarded.item {
                names.extend(included.iter().map(|name| &name.value));
            }
        }
    }
    let mut known = BTreeSet::new();
    while let Some(name) = names.pop() {
        if name.name.starts_with("kubelet") {
            return true;
        }
        if known.insert(name) {
            names.extend(edges.iter().filter(|edge| edge.from == name && edge.verb == "needs").map(|edge| edge.to));
        }
    }
    false
}

fn check_layout(recipes: &Recipes, variant: &Variant, problems: &mut Vec<Diagnostic>) {
    for guarded in &variant.items {
        let VariantItem::Layout(layout) = &guarded.item else { continue };
        if let Some(slot) = layout.slot.filter(|slot| slot.0 % BLOCK != 0) {
            let message = "a slot is a whole number of 4 KiB blocks";
            problems.push(Diagnostic::error(Code::ImpossibleLayout, slot.span, message));
        }
        let fits = |esp: u64| (SMALLEST_ESP..=MAX_ESP_BYTES).contains(&esp) && esp.is_multiple_of(BLOCK);
        if let Some(esp) = layout.esp.filter(|esp| !fits(esp.0)) {
            let message = "an ESP is FAT32: from 33 MiB to 4 GiB, in whole blocks of 4 KiB";
            problems.push(Diagnostic::error(Code::ImpossibleLayout, esp.span, message));
        }
    }
    let slot: Option<Spanned<Bytes>> = effective(recipes, variant, |item| match item {
        VariantItem::Layout(layout) => layout.slot,
        _ => None,
    });
    let budget = effective(recipes, variant, |item| match item {
        VariantItem::Budget(budget) => Some(*budget),
        _ => None,
    });
    if let (Some(slot), Some(budget)) = (slot, budget)
        && budget.value > slot.value
    {
        let message = format!("the budget of `{}` is larger than its slot", variant.name.name);
        let problem = Diagnostic::error(Code::ImpossibleLayout, budget.span, message);
        problems.push(problem.also(slot.span, "the slot").help("a root has to fit its slot: raise `slot max=`"));
    }
}
