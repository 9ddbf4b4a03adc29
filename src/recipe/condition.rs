//! When something holds: `when arch="x86_64|aarch64" { … } otherwise { … }`. Not decided here, only read.

use std::{collections::BTreeSet, fmt};

use brc_contract::Architecture;

use super::{
    Code, Diagnostic, PLATFORMS, Span,
    decode::{Reader, Seen},
    names::Space,
    parse::{Node, Value},
    suggestion::nearest,
    word::{GuardWord, Word},
};

/// Names that are listed at most where none of them is near.
const MAX_LISTED: usize = 20;

/// What a condition asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `arch="x86_64"`: the architecture of the image.
    Arch,
    /// `execution="aarch64"`: the architecture of the machine that composes. Only what builds may ask: tool sets,
    /// `build-with` and steps, never what is in an image, which is the same whoever composes it.
    Execution,
    /// `platform="aws"`: the platform of the variant.
    Platform,
    /// `feature="debug"`: the features that are on: holds when at least one of the values is.
    Feature,
    /// `variant="acme-node"`: the name of the variant that is composed, not of those it extends.
    Variant,
}

/// Whether a condition wants its values or anything but them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sense {
    /// One of the values.
    Is,
    /// None of the values.
    IsNot,
}

/// One question: `arch="x86_64|aarch64"`, `feature="!debug"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// What is asked about.
    pub key: Key,
    /// The values, at least one.
    pub values: BTreeSet<String>,
    /// Whether they are wanted or not.
    pub sense: Sense,
    /// Where it stands.
    pub span: Span,
}

/// Conditions of which one must hold. A `when` gives a clause for each of its properties; its `otherwise` gives
/// one clause with all of them turned round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clause {
    /// At least one condition.
    pub any: Vec<Condition>,
}

/// Around any node in the block of a component, package group, kernel or variant may stand conditions, but for the nodes
/// they ask about. One that can never hold is an error.
///
/// `when arch="x86_64" platform="aws|vmware" { … }`: what is in the block counts where every property holds: `|` is
/// "or", one `!` before a single value is "not".
///
/// `otherwise { … }`: right after a `when`: what is in the block counts where that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded<T> {
    /// Every one must hold, outermost first; empty for a thing that always counts.
    pub when: Vec<Clause>,
    /// The thing.
    pub item: T,
    /// The node that states it.
    pub span: Span,
}

impl Key {
    pub(super) const ALL: [Key; 5] = [Key::Arch, Key::Execution, Key::Platform, Key::Feature, Key::Variant];

    /// The word that recipes write.
    pub fn name(self) -> &'static str {
        match self {
            Key::Arch => "arch",
            Key::Execution => "execution",
            Key::Platform => "platform",
            Key::Feature => "feature",
            Key::Variant => "variant",
        }
    }
}

impl Condition {
    /// The opposite question.
    #[must_use]
    pub fn negated(&self) -> Self {
        let sense = match self.sense {
            Sense::Is => Sense::IsNot,
            Sense::IsNot => Sense::Is,
        };
        Condition { sense, ..self.clone() }
    }
}

impl fmt::Display for Condition {
    /// Writes the condition as recipes do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        let not = if self.sense == Sense::IsNot { "!" } else { "" };
        write!(f, "{}=\"{not}{}\"", self.key.name(), values.join("|"))
    }
}

/// What reads one node of a block: the node, its word where the block has it, and the clauses around it.
type ReadNode<'r, W, T> = &'r mut dyn FnMut(&mut Reader<'_>, &Node<'_>, Option<W>, &[Clause]) -> Vec<T>;

/// Reads a block of the words `W`, whose nodes may stand in `when` and `otherwise`: every other node goes to `read`.
/// Nesting is bounded by `token`.
pub(super) fn read_block<W: Word, T>(
    reader: &mut Reader<'_>,
    nodes: &[Node<'_>],
    when: &[Clause],
    read: ReadNode<'_, W, T>,
) -> Vec<Guarded<T>> {
    let mut items = Vec::new();
    // The conditions of the `when` right before, for an `otherwise`.
    let mut before: Option<Vec<Condition>> = None;
    let mut singles = Seen::new();
    for node in nodes {
        let earlier = before.take();
        match GuardWord::of(&node.name) {
            Some(GuardWord::When) => {
                let conditions = read_conditions(reader, node);
                let clauses = conditions.iter().map(|condition| Clause { any: vec![condition.clone()] });
                let inner: Vec<Clause> = when.iter().cloned().chain(clauses).collect();
                report_unreachable(reader, when, &inner, node.name_span);
                let children = children(reader, node);
                items.extend(read_block(reader, children, &inner, read));
                before = Some(conditions);
            }
            Some(GuardWord::Otherwise) => {
                for entry in &node.entries {
                    let message = "`otherwise` takes no condition; it is whatever its `when` is not";
                    reader.problems.push(Diagnostic::error(Code::BadCondition, entry.span, message));
                }
                let mut inner = when.to_vec();
                match earlier {
                    Some(conditions) if conditions.is_empty() => {}
                    Some(conditions) => inner.push(Clause { any: conditions.iter().map(Condition::negated).collect() }),
                    None => {
                        let message = "this `otherwise` does not follow a `when`";
                        reader.problems.push(Diagnostic::error(Code::OtherwiseWithoutWhen, node.name_span, message));
                    }
                }
                report_unreachable(reader, when, &inner, node.name_span);
                let children = children(reader, node);
                items.extend(read_block(reader, children, &inner, read));
            }
            None => {
                let word = W::of(&node.name);
                if word.is_some_and(W::is_single) {
                    reader.only_one(&mut singles, node);
                }
                let found = read(reader, node, word, when);
                items.extend(found.into_iter().map(|item| Guarded { when: when.to_vec(), item, span: node.span }));
            }
        }
    }
    // There may be many thousands of blocks.
    items.shrink_to_fit();
    items
}

fn children<'n>(reader: &mut Reader<'_>, node: &'n Node<'n>) -> &'n [Node<'n>] {
    match &node.children {
        Some(children) => children,
        None => {
            let message = format!("`{}` wants a block", node.name);
            reader.error(Code::MissingNode, node.name_span, message, format!("write `{} … {{ … }}`", node.name));
            &[]
        }
    }
}

fn read_conditions(reader: &mut Reader<'_>, node: &Node<'_>) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = Vec::new();
    for entry in &node.entries {
        let wrong = |reader: &mut Reader<'_>, span, message: String, help: &str| {
            reader.error(Code::BadCondition, span, message, help);
        };
        let Some((name, span)) = &entry.name else {
            wrong(reader, entry.span, "a condition is a property".into(), "write `when arch=\"x86_64\" { … }`");
            continue;
        };
        let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) else {
            let meant = nearest(name, Key::ALL.map(Key::name)).map_or_else(
                || "a condition asks about `arch`, `execution`, `platform`, `feature` or `variant`".to_owned(),
                |meant| format!("did you mean `{meant}=`?"),
            );
            wrong(reader, *span, format!("`{name}` is nothing that a condition can ask about"), &meant);
            continue;
        };
        if let Some(earlier) = conditions.iter().find(|earlier| earlier.key == key) {
            let (one, other) = (
                earlier.values.iter().next().cloned().unwrap_or_default(),
                match &entry.value {
                    Value::Text(text) => text.clone().into_owned(),
                    _ => "…".to_owned(),
                },
            );
            let message = format!("`{name}` stands here twice; KDL would forget the first");
            let help = format!("either of two values is written `{name}=\"{one}|{other}\"`");
            reader.error(Code::RepeatedProperty, *span, message, help);
            continue;
        }
        let Some(text) = reader.text_of(entry, "a text") else { continue };
        let (sense, values) = match text.strip_prefix('!') {
            Some(rest) => (Sense::IsNot, rest),
            None => (Sense::Is, text.as_str()),
        };
        let values: Vec<&str> = values.split('|').collect();
        if sense == Sense::IsNot && values.len() > 1 {
            let message = "`!` stands before one value, not before several".to_owned();
            wrong(reader, text.span, message, "write `when …=\"a|b\" { } otherwise { … }`");
            continue;
        }
        let values = values.into_iter().filter(|value| is_known(reader, key, value, text.span));
        let values: BTreeSet<String> = values.map(str::to_owned).collect();
        if !values.is_empty() {
            conditions.push(Condition { key, values, sense, span: text.span });
        }
    }
    if node.entries.is_empty() {
        let message = "`when` wants a condition";
        reader.error(Code::BadCondition, node.name_span, message, "write `when arch=\"x86_64\" { … }`");
    }
    conditions
}

/// Reports a value that nothing can ever have.
fn is_known(reader: &mut Reader<'_>, key: Key, value: &str, span: Span) -> bool {
    let names = reader.names;
    let is_one = match key {
        Key::Arch | Key::Execution => Architecture::from_name(value).is_some(),
        Key::Platform => PLATFORMS.contains(&value),
        Key::Feature => names.features.contains_key(value),
        Key::Variant => names.has(Space::Variant, value),
    };
    if is_one || names.unread.contains(value) {
        return true;
    }
    let (code, message) = match key {
        Key::Feature => (Code::UnknownFeature, format!("no recipe declares a feature `{value}`")),
        Key::Arch | Key::Execution | Key::Platform => {
            (Code::Unreachable, format!("nothing ever has {}=\"{value}\"", key.name()))
        }
        Key::Variant => (Code::Unreachable, format!("there is no variant `{value}`")),
    };
    let known: Vec<&str> = match key {
        Key::Arch | Key::Execution => Architecture::ALL.map(Architecture::name).to_vec(),
        Key::Platform => PLATFORMS.to_vec(),
        Key::Feature => Vec::new(),
        Key::Variant => names.all(Space::Variant).take(MAX_LISTED + 1).collect(),
    };
    let meant = match key {
        Key::Feature => reader.patience.nearest(value, names.features.keys().map(String::as_str)),
        Key::Variant => reader.patience.nearest(value, names.all(Space::Variant)),
        Key::Arch | Key::Execution | Key::Platform => nearest(value, known.iter().copied()),
    };
    let help = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if key == Key::Feature => format!("declare it: `feature \"{value}\" \"what it does\"`"),
        None => {
            let shown: Vec<String> = known.iter().take(MAX_LISTED).map(|known| format!("`{known}`")).collect();
            format!("there is {}{}", shown.join(", "), if known.len() > MAX_LISTED { ", …" } else { "" })
        }
    };
    reader.error(code, span, message, help);
    false
}

fn report_unreachable(reader: &mut Reader<'_>, outer: &[Clause], inner: &[Clause], span: Span) {
    if inner.len() > outer.len() && can_hold(outer) && !can_hold(inner) {
        let message = "this can never hold, given the conditions around and before it";
        let mut problem = Diagnostic::error(Code::Unreachable, span, message);
        for condition in inner.iter().flat_map(|clause| &clause.any) {
            problem = problem.also(condition.span, "this has a part in it");
        }
        reader.problems.push(problem.help("leave the block out"));
    }
}

/// Whether some image fits all clauses. Tries all there are; with very many features it says yes.
pub(super) fn can_hold(clauses: &[Clause]) -> bool {
    let conditions = || clauses.iter().flat_map(|clause| &clause.any);
    let values = |key: Key| -> Vec<&str> {
        let of_key = conditions().filter(|condition| condition.key == key);
        let all: BTreeSet<&str> = of_key.flat_map(|condition| condition.values.iter().map(String::as_str)).collect();
        all.into_iter().collect()
    };
    let asks = |key: Key| conditions().any(|condition| condition.key == key);
    let pick = |key: Key, all: Vec<&'static str>| if asks(key) { all } else { vec![""] };
    let arches = pick(Key::Arch, Architecture::ALL.map(Architecture::name).to_vec());
    let executions = pick(Key::Execution, Architecture::ALL.map(Architecture::name).to_vec());
    let platforms = pick(Key::Platform, PLATFORMS.to_vec());
    // The empty name stands for every variant that is not named.
    let variants: Vec<&str> = values(Key::Variant).into_iter().chain([""]).collect();
    let features = values(Key::Feature);
    if features.len() > 6 || variants.len() > 64 {
        return true;
    }
    let machines: Vec<(&str, &str)> =
        arches.iter().flat_map(|arch| executions.iter().map(|execution| (*arch, *execution))).collect();
    let holds = |condition: &Condition, (arch, execution): (&str, &str), platform: &str, variant: &str, on: usize| {
        let has = match condition.key {
            Key::Arch => condition.values.contains(arch),
            Key::Execution => condition.values.contains(execution),
            Key::Platform => condition.values.contains(platform),
            Key::Variant => condition.values.contains(variant),
            Key::Feature => {
                features.iter().enumerate().any(|(at, name)| on >> at & 1 == 1 && condition.values.contains(*name))
            }
        };
        has == (condition.sense == Sense::Is)
    };
    machines.iter().any(|machine| {
        platforms.iter().any(|platform| {
            variants.iter().any(|variant| {
                (0..1usize << features.len()).any(|on| {
                    let is_met = |clause: &Clause| {
                        clause.any.iter().any(|condition| holds(condition, *machine, platform, variant, on))
                    };
                    clauses.iter().all(is_met)
                })
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::FileId;

    fn condition(key: Key, values: &[&str], sense: Sense) -> Condition {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Condition { key, values, sense, span: Span::start_of(FileId(0)) }
    }

    #[test]
    fn a_when_has_a_property_for_all_that_a_condition_asks_about() {
        assert_eq!(GuardWord::When.properties(), Key::ALL.map(Key::name));
    }

    #[test]
    fn what_can_never_hold_is_known() {
        use Key::{Arch, Execution, Feature, Platform, Variant};
        use Sense::{Is, IsNot};
        let both = ["x86_64", "aarch64"];
        for (clauses, possible) in [
            (vec![], true),
            (vec![vec![condition(Arch, &both, Is)]], true),
            (vec![vec![condition(Arch, &both, IsNot)]], false),
            (vec![vec![condition(Execution, &both, IsNot)]], false),
            (vec![vec![condition(Arch, &["x86_64"], Is)], vec![condition(Execution, &["aarch64"], Is)]], true),
            (vec![vec![condition(Arch, &["x86_64"], Is)], vec![condition(Arch, &["aarch64"], Is)]], false),
            (vec![vec![condition(Arch, &["x86_64"], IsNot), condition(Platform, &["aws"], Is)]], true),
            (vec![vec![condition(Platform, &PLATFORMS, IsNot)]], false),
            (vec![vec![condition(Variant, &["a"], IsNot)]], true),
            (vec![vec![condition(Variant, &["a"], Is)], vec![condition(Variant, &["b"], Is)]], false),
            (vec![vec![condition(Feature, &["a"], Is)], vec![condition(Feature, &["b"], Is)]], true),
            (vec![vec![condition(Feature, &["a"], Is)], vec![condition(Feature, &["a"], IsNot)]], false),
        ] {
            let clauses: Vec<Clause> = clauses.into_iter().map(|any| Clause { any }).collect();
            assert_eq!(can_hold(&clauses), possible, "{clauses:?}");
        }
    }
}
