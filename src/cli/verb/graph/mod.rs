//! `brc graph`: the components of an image, and who needs whom.

mod svg;

use std::{fmt::Write as _, process::ExitCode};

use crate::{
    cli::{
        CliError,
        arguments::{self, GraphFormat},
        context::Context,
        json::{self, Object},
        output::{print, print_json},
    },
    compose::Locked,
    graph::{Flat, FlatComponent},
};
use svg::Edges;

/// Draws the components.
pub fn run(context: &Context, arguments: &arguments::Graph) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target, Locked::AsItIs)?;
    for flat in project.flats(&order.variant, &order.architectures)? {
        let edges = edges(&flat);
        match arguments.format {
            Some(GraphFormat::Json) => print_json(&graph_object(&flat, edges)),
            None if context.is_json() => print_json(&graph_object(&flat, edges)),
            Some(GraphFormat::Dot) | None => print(dot(&edges).trim_end()),
            Some(GraphFormat::Svg) => print(svg::svg(&edges).trim_end()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

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
