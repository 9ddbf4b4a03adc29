//! A graph of components as a picture.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use petgraph::{algo::toposort, graph::DiGraph};

/// Who needs whom, and as what.
pub(super) type Edges = BTreeMap<String, BTreeSet<(String, &'static str)>>;

/// A picture in columns: what needs nothing stands on the right.
pub(super) fn svg(edges: &Edges) -> String {
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
