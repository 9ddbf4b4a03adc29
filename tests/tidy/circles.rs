//! The files of a room can be read one after the other: none of them lean on each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::{algo::tarjan_scc, graph::DiGraph};

use crate::{
    holds, root,
    source::{Token, after_bracket, paths, rust_files, starts},
};

/// The circles that there are, each with the page of `docs/design/` that defends it. A circle may only get smaller.
const CIRCLES: &[(&[&str], &str)] = &[
    (&["compose::checkout", "compose::project"], "docs/design/circles.md"),
    (
        &[
            "store",
            "store::check",
            "store::flush",
            "store::lock",
            "store::object_id",
            "store::private",
            "store::shard",
            "store::tree",
        ],
        "docs/design/circles.md",
    ),
];

/// A file by the module that it holds.
type Module = Vec<String>;

/// What the files of `src` name of each other.
#[derive(Default)]
struct Files {
    /// Every path that a file names, from the root of the crate.
    named: BTreeMap<Module, Vec<Module>>,
    /// What a file gives on that another one has: where that is.
    given_on: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Files {
    fn read() -> Files {
        let mut files = Files::default();
        let sources: Vec<_> =
            rust_files(root(), &["src"]).into_iter().filter(|source| source.path != "src/lib.rs").collect();
        let modules: BTreeSet<Module> = sources.iter().map(|source| source.module()).collect();
        for source in sources {
            let (module, tokens) = (source.module(), source.program());
            let absolute = |(_, path): (usize, Vec<String>)| match path.split_first() {
                // `pub(super)` names nothing.
                Some((first, rest)) if first == "crate" => Some(rest.to_vec()).filter(|rest| !module.starts_with(rest)),
                Some((first, rest)) if !rest.is_empty() => {
                    let inside = [module.as_slice(), std::slice::from_ref(first)].concat();
                    modules.contains(&inside).then(|| [module.as_slice(), &path].concat())
                }
                _ => None,
            };
            let (mut given_on, mut named) = (BTreeMap::new(), Vec::new());
            for (is_given_on, part) in parts(&tokens) {
                for path in paths(part, &module).into_iter().filter_map(absolute) {
                    match path.last() {
                        Some(last) if is_given_on => drop(given_on.insert(last.clone(), path)),
                        _ => named.push(path),
                    }
                }
            }
            files.given_on.insert(module.clone(), given_on);
            files.named.insert(module, named);
        }
        files
    }

    /// The file in which what `path` names stands.
    fn home(&self, path: &[String]) -> Option<&Module> {
        let length = (1..=path.len()).rev().find(|length| self.named.contains_key(&path[..*length]))?;
        let (module, _) = self.named.get_key_value(&path[..length])?;
        let further = path.get(length).and_then(|name| self.given_on[module].get(name));
        match further {
            Some(further) if further.as_slice() != path => self.home(&[further, &path[length + 1..]].concat()),
            _ => Some(module),
        }
    }

    /// Every circle of files of one room, as the names of their modules.
    fn circles(&self) -> Vec<BTreeSet<String>> {
        let mut graph = DiGraph::new();
        let nodes: BTreeMap<_, _> = self.named.keys().map(|module| (module, graph.add_node(module))).collect();
        for (module, paths) in &self.named {
            for home in paths.iter().filter_map(|path| self.home(path)) {
                if home != module && home[0] == module[0] {
                    graph.add_edge(nodes[module], nodes[home], ());
                }
            }
        }
        let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
        circles.map(|circle| circle.into_iter().map(|node| graph[node].join("::")).collect()).collect()
    }
}

/// The tokens of a file in pieces: `pub use …;`, and what stands between them.
fn parts(tokens: &[Token]) -> Vec<(bool, &[Token])> {
    let (mut found, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        let mut behind = at + 1;
        if tokens[at].is("pub") && starts(&tokens[behind..], &["("]) {
            behind = after_bracket(tokens, behind);
        }
        if tokens[at].is("pub") && starts(&tokens[behind..], &["use"]) {
            let end = tokens[behind..].iter().position(|token| token.is(";")).map_or(tokens.len(), |end| behind + end);
            found.push((false, &tokens[start..at]));
            found.push((true, &tokens[behind + 1..end]));
            start = end;
            at = end;
        }
        at += 1;
    }
    found.push((false, &tokens[start..]));
    found
}

#[test]
fn the_files_of_a_room_lean_on_each_other_in_no_circle() {
    let circles = Files::read().circles();
    let mut broken = Vec::new();
    for circle in &circles {
        if !CIRCLES.iter().any(|(known, _)| circle.iter().all(|file| known.contains(&file.as_str()))) {
            broken.push(format!("a circle: {}", circle.iter().cloned().collect::<Vec<_>>().join(", ")));
        }
    }
    for (known, reason) in CIRCLES {
        if !circles.iter().any(|circle| circle.iter().all(|file| known.contains(&file.as_str()))) {
            broken.push(format!("{} is untied: take it out of CIRCLES", known.join(", ")));
        }
        if !reason.starts_with("docs/design/") || !root().join(reason).is_file() {
            broken.push(format!("{}: `{reason}` is no page of docs/design/", known.join(", ")));
        }
    }
    holds(
        "Files of a room lean on each other in no circle; see CIRCLES in tests/tidy/circles.rs. What both want gets a file \
         of its own.",
        broken,
    );
}
