//! `brc show`, `brc plan`, `brc graph`, `brc why`: what is there and why, without building.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    process::ExitCode,
};

use petgraph::{algo::toposort, graph::DiGraph};

use super::{
    CliError,
    arguments::{self, GraphFormat, Target},
    context::Context,
    json::{self, Object},
    output::{print, print_json},
};
use crate::{
    build::{AfterFailure, Known},
    compose::{Locked, Project, Session},
    content::{Digest, FolderLinks, RelPath, Tree, rel_path},
    graph::{Component, Flat, FlatComponent, Image, image_closure, origin},
    image::build_root,
    plan::{Action, Assemble, Goal, HOST_FILES_OWNER, Lowered, Plan, Root, RootLayer, Source, Step, StepId},
    recipe::{Item, Spanned},
};

/// Prints a variant with nothing left open.
pub fn show(context: &Context, arguments: &arguments::Show) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target)?;
    for flat in project.flats(&order.variant, &order.architectures)? {
        let lines = flat_lines(&project, &flat);
        if context.json {
            let values = lines.into_iter().map(|(what, value, at)| json::Value { what, value, at }).collect();
            print_json(&Object::Resolved(json::Resolved { image: flat.title(), values }));
            continue;
        }
        print(&format!("// {}", flat.title()));
        let width = lines.iter().map(|(what, value, _)| what.len() + value.len() + 1).max().unwrap_or(0).min(72);
        for (what, value, place) in lines {
            print(&format!("{:<width$}  // {place}", format!("{what} {value}")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Every value of a flat variant, with its place, and what it replaced.
fn flat_lines(project: &Project, flat: &Flat) -> Vec<(String, String, String)> {
    let at = |span| origin(&project.sources, span);
    let mut lines = Vec::new();
    let mut line = |what: &str, value: String, place: String| {
        let replaced = flat.replaced.iter().filter(|old| old.what == what);
        let replaced: Vec<String> = replaced.map(|old| format!("replaces {} of {}", old.value, at(old.old))).collect();
        let place = if replaced.is_empty() { place } else { format!("{place}, {}", replaced.join(", ")) };
        lines.push((what.to_owned(), value, place));
    };
    let text = |value: &Spanned<String>| format!("{:?}", value.value);
    line("variant", format!("{:?}", flat.name.value.to_string()), at(flat.name.span));
    line("version", text(&flat.version), at(flat.version.span));
    line("arch", format!("{:?}", flat.situation.architecture.name()), at(flat.name.span));
    line("platform", format!("{:?}", flat.situation.platform), at(flat.name.span));
    for feature in &flat.situation.features {
        line("feature", format!("{feature:?} on=#true"), at(flat.name.span));
    }
    line("layout slot", format!("max={}", flat.slot.value.0), at(flat.slot.span));
    if let Some(esp) = &flat.esp {
        line("layout esp", format!("size={}", esp.value.0), at(esp.span));
    }
    if let Some(budget) = &flat.budget {
        line("budget", format!("root={}", budget.value.0), at(budget.span));
    }
    line("kernel", format!("{:?}", flat.kernel.name.to_string()), at(flat.kernel.span));
    for (role, name) in &flat.roles {
        line(&format!("tool {}", role.name()), format!("{:?}", name.value.to_string()), at(name.span));
    }
    for word in &flat.kernel_arguments {
        line("kernel-arg", text(word), at(word.span));
    }
    for component in &flat.components {
        line("component", format!("{:?}", component.name.to_string()), at(component.span));
        if let Some(version) = &component.version {
            line("  version", text(version), at(version.span));
        }
        if let Some(local) = project.checkouts.get(&component.name) {
            line("  source", format!("{:?}", local.folder.display().to_string()), "a local checkout".to_owned());
        }
        for package in &component.packages {
            line("  package", text(&package.package.name), at(package.package.name.span));
        }
        for (item, span) in &component.items {
            line(&format!("  {}", item_name(item)), item_value(item), at(*span));
        }
    }
    lines
}

const fn item_name(item: &Item) -> &'static str {
    match item {
        Item::File(_) => "file",
        Item::Tree(_) => "tree",
        Item::Link(_) => "link",
        Item::Directory(_) => "dir",
        Item::User(_) => "user",
        Item::Group(_) => "group",
        Item::Setuid(_) => "setuid",
        Item::Unit(_) => "unit",
        Item::Mask(_) => "mask",
        Item::KernelArgument(_) => "kernel-arg",
        Item::KernelModule(_) => "kernel-module",
        Item::Finish(_) => "finish",
    }
}

fn item_value(item: &Item) -> String {
    match item {
        Item::File(file) => format!("{:?}", file.to.value.to_string()),
        Item::Tree(tree) => format!("{:?} to={:?}", tree.from.path.to_string(), tree.to.value.to_string()),
        Item::Link(link) => format!("{:?} to={:?}", link.at.value.to_string(), link.to.value.to_string()),
        Item::Directory(folder) => format!("{:?}", folder.at.value.to_string()),
        Item::User(user) => format!("{:?}", user.name.value),
        Item::Unit(unit) => format!("{:?}", unit.name.value),
        Item::Setuid(setuid) => {
            let paths: Vec<String> = setuid.paths.iter().map(|path| format!("{:?}", path.value.to_string())).collect();
            format!("{} reason={:?}", paths.join(" "), setuid.reason.value)
        }
        Item::Group(name) | Item::Mask(name) | Item::KernelArgument(name) | Item::KernelModule(name) => {
            format!("{:?}", name.value)
        }
        Item::Finish(finish) => format!("{:?}", finish.name.value),
    }
}

/// Prints the actions and which of them are done.
pub fn plan(context: &Context, arguments: &arguments::Plan) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target)?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::AsItIs)?;
    let lowered = session.lower(&project, &images)?;
    let mut states = Vec::with_capacity(lowered.plan.steps.len());
    session.look_each(&lowered, |known| {
        states.push(match known {
            Known::Waiting => "waiting",
            Known::Ready(..) => "ready",
            Known::Done(..) => "done",
        });
    })?;
    let mut lines = Vec::new();
    for (index, (step, state)) in lowered.plan.steps.iter().zip(states).enumerate() {
        let needs = step.action.needs();
        let last = session.store.last_duration(&format!("{} {}", step.component, step.stage));
        if context.json {
            print_json(&Object::Planned(json::PlannedAction {
                step: index,
                component: step.component.clone(),
                stage: step.stage.clone(),
                needs: needs.iter().map(|need| need.0).collect(),
                state: state.to_owned(),
                last_seconds: last.map(|last| last.as_secs_f64()),
            }));
        } else {
            let needs: Vec<String> = needs.iter().take(6).map(|need| need.0.to_string()).collect();
            let last = last.map_or(String::new(), |last| format!(", took {}", super::progress::seconds(last)));
            lines.push(format!(
                "{index:>4}  {state:<8} {} {}  (after {}{last})",
                step.component,
                step.stage,
                needs.join(" ")
            ));
        }
    }
    // At once: a plan may have thousands of lines.
    if !lines.is_empty() {
        print(&lines.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The last steps of a component: those that no other step of it needs.
pub fn steps_of(plan: &Plan, component: &str) -> Result<Vec<StepId>, CliError> {
    let own = (0..plan.steps.len()).map(StepId).filter(|id| is_called(&plan.steps[id.0].component, component));
    let own: Vec<StepId> = own.collect();
    let needed: BTreeSet<StepId> = own.iter().flat_map(|id| plan.steps[id.0].action.needs()).collect();
    let last: Vec<StepId> = own.into_iter().filter(|id| !needed.contains(id)).collect();
    if last.is_empty() {
        // Not the hundreds of packages, which are only fetched.
        let made = plan.steps.iter().filter(|step| step.stage != "fetch");
        let made: BTreeSet<&str> = made.map(|step| step.component.as_str()).collect();
        let made: Vec<&str> = made.into_iter().collect();
        let message = format!(
            "no action belongs to `{component}`: expected a package, or what is made here: {}",
            made.join(", ")
        );
        return Err(CliError::Usage(message));
    }
    Ok(last)
}

/// Whether a component is meant by this name, with or without its set.
pub fn is_called(component: &str, name: &str) -> bool {
    component == name || component.rsplit('/').next() == Some(name)
}

/// Goals that have the last steps of a component done: asking for one output has all of a step's made.
pub fn goals_of(plan: &Plan, component: &str) -> Result<Vec<(Goal, Source)>, CliError> {
    let goals = steps_of(plan, component)?.into_iter().filter_map(|id| {
        let step = plan.steps.get(id.0)?;
        Some(Goal::output(id, step.action.output_names().first()?))
    });
    Ok(goals.collect())
}

/// Draws the components.
pub fn graph(context: &Context, arguments: &arguments::Graph) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target)?;
    for flat in project.flats(&order.variant, &order.architectures)? {
        let edges = edges(&flat);
        match arguments.format {
            Some(GraphFormat::Json) => print_json(&graph_object(&flat, edges)),
            None if context.json => print_json(&graph_object(&flat, edges)),
            Some(GraphFormat::Dot) | None => print(dot(&edges).trim_end()),
            Some(GraphFormat::Svg) => print(svg(&edges).trim_end()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who needs whom, and as what.
type Edges = BTreeMap<String, BTreeSet<(String, &'static str)>>;

fn edges(flat: &Flat) -> Edges {
    let mut edges = Edges::new();
    let mut add = |component: &FlatComponent| {
        let from = edges.entry(component.name.to_string()).or_default();
        let kinds =
            [(&component.needs, "needs"), (&component.build_with, "build-with"), (&component.link_with, "link-with")];
        for (names, kind) in kinds {
            from.extend(names.iter().map(|name| (name.value.to_string(), kind)));
        }
    };
    flat.every_component().for_each(&mut add);
    let kernel = edges.entry(flat.kernel.name.to_string()).or_default();
    kernel.extend(flat.kernel.build_with.iter().map(|name| (name.value.to_string(), "build-with")));
    let image = edges.entry(flat.name.value.to_string()).or_default();
    image.extend(flat.roles.values().map(|name| (name.value.to_string(), "tool")));
    edges
}

fn dot(edges: &Edges) -> String {
    let mut text = "digraph brc {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (from, to) in edges {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {from:?};");
        for (to, kind) in to {
            let style = if *kind == "needs" { "" } else { " [style=dashed]" };
            let _ = writeln!(text, "  {from:?} -> {to:?}{style};");
        }
    }
    text.push_str("}\n");
    text
}

fn graph_object(flat: &Flat, edges: Edges) -> Object {
    let nodes = edges.keys().cloned().collect();
    let edge = |from: &String, (to, kind): (String, &str)| json::Edge { from: from.clone(), to, kind: kind.to_owned() };
    let edges = edges.into_iter().flat_map(|(from, to)| to.into_iter().map(move |to| edge(&from, to))).collect();
    Object::Graph(json::Graph { image: flat.title(), nodes, edges })
}

/// A picture in columns: what needs nothing stands on the right.
fn svg(edges: &Edges) -> String {
    const COLUMN: usize = 240;
    const ROW: usize = 36;
    let mut graph = DiGraph::<&str, &str>::new();
    let nodes: BTreeMap<&str, _> = edges.keys().map(|name| (name.as_str(), graph.add_node(name.as_str()))).collect();
    for (from, to) in edges {
        for (to, kind) in to {
            if let (Some(from), Some(to)) = (nodes.get(from.as_str()), nodes.get(to.as_str())) {
                graph.add_edge(*from, *to, kind);
            }
        }
    }
    // Recipes have no cycles: reading refused them.
    let order = toposort(&graph, None).unwrap_or_default();
    let mut column: BTreeMap<usize, usize> = BTreeMap::new();
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut place: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for node in &order {
        let above = graph.neighbors_directed(*node, petgraph::Direction::Incoming);
        let at = above.filter_map(|above| column.get(&above.index())).max().map_or(0, |above| above + 1);
        column.insert(node.index(), at);
        let row = rows.entry(at).or_default();
        place.insert(node.index(), (20 + at * COLUMN, 30 + *row * ROW));
        *row += 1;
    }
    let width = (rows.len() + 1) * COLUMN;
    let height = 40 + rows.values().max().copied().unwrap_or(1) * ROW;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    for edge in graph.edge_indices() {
        if let Some((from, to)) = graph.edge_endpoints(edge)
            && let (Some((x1, y1)), Some((x2, y2))) = (place.get(&from.index()), place.get(&to.index()))
        {
            let dash = if graph[edge] == "needs" { "" } else { " stroke-dasharray=\"4\"" };
            let _ =
                writeln!(text, "<line x1=\"{}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"#999\"{dash}/>", x1 + 200);
        }
    }
    for (index, (x, y)) in &place {
        let name = graph.node_weight(petgraph::graph::NodeIndex::new(*index)).copied().unwrap_or("");
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{}\" width=\"200\" height=\"24\" fill=\"#eef\" stroke=\"#66a\"/>",
            y - 12
        );
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{name}</text>", x + 8, y + 5);
    }
    text.push_str("</svg>\n");
    text
}

/// Tells how something came into the image.
pub fn why(context: &Context, arguments: &arguments::Why) -> Result<ExitCode, CliError> {
    if let Some(component) = &arguments.rebuilt {
        let file = match arguments.words.as_slice() {
            [] => None,
            [file] => Some(file.into()),
            _ => {
                return Err(CliError::Usage(
                    "`--rebuilt` names the component: expected only `[FILE]` besides".to_owned(),
                ));
            }
        };
        return super::history::rebuilt(context, &Target { file, choice: arguments.choice.clone() }, component);
    }
    let (file, what) = arguments::last_word(&arguments.words, "WHAT")?;
    let what = what.to_str().ok_or_else(|| CliError::Usage(format!("`{}` is no name", what.display())))?;
    let (project, order) = context.order(&Target { file, choice: arguments.choice.clone() })?;
    let mut found = Vec::new();
    for flat in project.flats(&order.variant, &order.architectures)? {
        let chain = if what.starts_with('/') {
            let owner = owner_of(context, &project, &order, &flat, what)?;
            owner.map(|(owner, path)| path_chain(&project, &flat, &owner, &path))
        } else {
            chain(&project, &flat, what)
        };
        found.extend(chain.map(|chain| (flat.title(), chain)));
    }
    if found.is_empty() {
        return Err(CliError::Found(format!("`{what}` is not in the image")));
    }
    for (title, chain) in found {
        if context.json {
            print_json(&Object::Provenance(json::Provenance { image: title, chain }));
        } else {
            print(&chain.join("\n  -> "));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// From the variant to a component or package, each link with file and line.
fn chain(project: &Project, flat: &Flat, what: &str) -> Option<Vec<String>> {
    let at = |span| origin(&project.sources, span);
    let fits = |name: &crate::recipe::Name| name.to_string() == what || name.name == what;
    if fits(&flat.kernel.name) {
        let head = format!("{} ({})", flat.name.value, at(flat.name.span));
        return Some(vec![head, format!("{} ({})", flat.kernel.name, at(flat.kernel.span))]);
    }
    if let Some(component) = flat.components.iter().find(|component| fits(&component.name)) {
        return Some(component_chain(project, flat, component));
    }
    package_chain(project, flat, what)
}

/// From the variant to a path, over who brings it.
fn path_chain(project: &Project, flat: &Flat, owner: &Owner, path: &str) -> Vec<String> {
    let at = |span| origin(&project.sources, span);
    let head = || vec![format!("{} ({})", flat.name.value, at(flat.name.span))];
    let mut chain = match owner {
        Owner::Named(name) => {
            let mut components = flat.components.iter().map(|component| &component.name).chain([&flat.kernel.name]);
            let is_component = components.any(|component| component.to_string() == *name);
            let found = if is_component { chain(project, flat, name) } else { package_chain(project, flat, name) };
            found.unwrap_or_else(|| [head(), vec![name.clone()]].concat())
        }
        Owner::Brc => [head(), vec!["brc itself: what every image has".to_owned()]].concat(),
        Owner::Finish => {
            let finish = |(item, span): &(Item, _)| match item {
                Item::Finish(finish) => Some(format!("{} ({})", finish.name.value, at(*span))),
                _ => None,
            };
            let steps: Vec<String> =
                flat.components.iter().flat_map(|component| &component.items).filter_map(finish).collect();
            [head(), vec![format!("finish steps: {}", steps.join(", "))]].concat()
        }
    };
    chain.push(path.to_owned());
    chain
}

/// From the variant to a package: over the one that a recipe names down to this one.
fn package_chain(project: &Project, flat: &Flat, what: &str) -> Option<Vec<String>> {
    let at = |span| origin(&project.sources, span);
    let lock = project.lock().ok()?;
    let closure = lock.closure(&image_closure(flat), flat.situation.architecture)?;
    let packages = closure.chain(what);
    let named = packages.first()?;
    let component = flat
        .components
        .iter()
        .find(|component| component.packages.iter().any(|package| package.package.name.value == *named))?;
    let place = component.packages.iter().find(|package| package.package.name.value == *named)?;
    let mut chain = component_chain(project, flat, component);
    chain.push(format!("package {named} ({})", at(place.package.name.span)));
    chain.extend(packages.iter().skip(1).map(|package| format!("package {package}, on which it depends")));
    Some(chain)
}

fn component_chain(project: &Project, flat: &Flat, component: &FlatComponent) -> Vec<String> {
    let at = |span| origin(&project.sources, span);
    let mut chain = vec![format!("{} ({})", component.name, at(component.span))];
    let mut current = component.name.clone();
    while current != flat.name.value {
        let user = flat.components.iter().find_map(|user| {
            let need = user.needs.iter().find(|need| need.value == current)?;
            Some((user.name.clone(), need.span))
        });
        let Some((name, span)) = user else { break };
        chain.push(format!("{name} ({})", at(span)));
        current = name;
    }
    chain.reverse();
    chain
}

/// Who brings a path into an image.
enum Owner {
    /// A component, a kernel or a package.
    Named(String),
    /// What brc adds to every root.
    Brc,
    /// What runs over the merged root.
    Finish,
}

/// Who brings a path into the image, and where the path really is: `/bin/sh` is `/usr/bin/sh` where `/bin` is a link.
/// Packages and recipes say so where they decide it; else it is looked up in the root as it is built.
fn owner_of(
    context: &Context,
    project: &Project,
    order: &crate::compose::Order,
    flat: &Flat,
    what: &str,
) -> Result<Option<(Owner, String)>, CliError> {
    let path = RelPath::from_absolute(what).map_err(|error| CliError::Usage(error.to_string()))?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let mut images = session.images(project, order, Locked::AsItIs)?;
    images.retain(|image| image.architecture == flat.situation.architecture);
    let mut lowered = session.lower(project, &images)?;
    if let Some((owner, path)) = stated_owner(&session, &mut lowered, &images, &path)? {
        return Ok(Some((named_owner(flat, owner), path.to_string())));
    }
    let goal = |stage: &str, output: &str| {
        let is_it = |step: &Step| step.stage == stage && step.component == flat.name.value.name;
        let step = StepId(lowered.plan.steps.iter().position(is_it)?);
        Some(Goal::output(step, output))
    };
    let goals = [goal("root", "owners"), goal("root", "root"), goal("finish", "root")];
    lowered.plan.goals = goals.iter().flatten().cloned().collect();
    let built = session.build(&lowered)?;
    let [owners, root, finished] = goals.map(|goal| built.goals.get(&goal?.0).copied());
    let (Some(root), Some(owners)) = (root, owners) else { return Ok(None) };
    let links = FolderLinks::of([&*session.store.tree(root)?]);
    let path =
        links.real(&path).map_err(|error| CliError::Found(format!("`{}` leads around in a circle", error.link)))?;
    let (blob, _) = session.store.file_in(owners, &rel_path!("owners"))?;
    let text = String::from_utf8_lossy(&session.store.read(blob)?).into_owned();
    let mut owners = text.lines().filter_map(|line| line.split_once('\t'));
    if let Some((owner, _)) = owners.find(|(_, owned)| owned.trim_start_matches('/') == path.as_str()) {
        return Ok(Some((named_owner(flat, owner.to_owned()), path.to_string())));
    }
    let Some(finished) = finished else { return Ok(None) };
    Ok(session.store.tree(finished)?.entry(&path).map(|_| (Owner::Finish, path.to_string())))
}

/// The owner as the root names it.
fn named_owner(flat: &Flat, owner: String) -> Owner {
    let is_component = flat.components.iter().any(|component| component.name.to_string() == owner);
    if owner == HOST_FILES_OWNER && !is_component { Owner::Brc } else { Owner::Named(owner) }
}

/// Who brings a path and where it really is, where the locked packages and what recipes place decide it: for that
/// packages are fetched and nothing is built.
fn stated_owner(
    session: &Session<'_>,
    lowered: &mut Lowered,
    images: &[Image],
    path: &RelPath,
) -> Result<Option<(String, RelPath)>, CliError> {
    let installs = |component: &&Component| {
        component.recipe.as_ref().is_some_and(|recipe| recipe.installs.iter().any(|install| install.to == *path))
    };
    if let Some(component) = images.iter().flat_map(|image| &image.components).find(installs) {
        return Ok(Some((component.name.clone(), path.clone())));
    }
    let is_root = |step: &&Step| step.stage == "root" && images.iter().any(|image| image.variant == step.component);
    let root = lowered.plan.steps.iter().find(is_root).map(|step| step.action.clone());
    let Some(Action::Assemble(Assemble::Root(Root { layers }))) = root else { return Ok(None) };
    let is_stated = |source: &Source| match source {
        Source::Tree(_) => true,
        Source::Output { step, .. } => {
            lowered.plan.steps.get(step.0).is_some_and(|step| matches!(step.action, Action::Fetch(_)))
        }
    };
    let (stated, built): (Vec<_>, Vec<_>) = layers.into_iter().partition(|layer| is_stated(&layer.tree));
    let Some((layers, trees)) = fetched_layers(session, lowered, stated)? else { return Ok(None) };
    let Ok(path) = FolderLinks::of(&trees).real(path) else { return Ok(None) };
    // What a build makes may take the path from a package; two owners are told by the build of the root itself.
    let is_taken = built.iter().any(|layer| layer.replaces.contains(&path));
    let Some(root) = build_root(&layers, trees).ok().filter(|_| !is_taken) else { return Ok(None) };
    let mut owners = root.owners.lines().filter_map(|line| line.split_once('\t'));
    let owner = owners.find(|(_, owned)| owned.trim_start_matches('/') == path.as_str());
    Ok(owner.map(|(owner, _)| (owner.to_owned(), path)))
}

/// Layers whose trees are stated or fetched, and those trees; none where one cannot be had.
fn fetched_layers(
    session: &Session<'_>,
    lowered: &mut Lowered,
    stated: Vec<RootLayer<Source>>,
) -> Result<Option<(Vec<RootLayer<Digest>>, Vec<Tree>)>, CliError> {
    let goal = |source: &Source| match source {
        Source::Tree(_) => None,
        Source::Output { step, output } => Some(Goal::output(*step, output)),
    };
    lowered.plan.goals = stated.iter().filter_map(|layer| goal(&layer.tree)).collect();
    let fetched = session.build(lowered)?;
    let (mut layers, mut trees) = (Vec::with_capacity(stated.len()), Vec::with_capacity(stated.len()));
    for layer in stated {
        let digest = match &layer.tree {
            Source::Tree(digest) => Some(*digest),
            source => goal(source).and_then(|(goal, _)| fetched.goals.get(&goal).copied()),
        };
        let Some(tree) = digest else { return Ok(None) };
        trees.push((*session.store.tree(tree)?).clone());
        let RootLayer { owner, drop, replaces, users, .. } = layer;
        layers.push(RootLayer { owner, tree, drop, replaces, users });
    }
    Ok(Some((layers, trees)))
}
