//! From nodes to checked values: a cursor over one node's arguments and properties, which in the end reports
//! everything that nobody asked for.

use std::collections::BTreeMap;

use brc_contract::well_known::{COVERED, EMPTY_AT_BOOT, LINKED};

use super::{
    Code, Diagnostic, LocalPath, Name, Origin, Presence, SourcePath, Span, Spanned, Switch, Template,
    names::{Kind, Names, Space, Unresolved},
    parse::{Entry, Node, Value},
    suggestion::{Patience, nearest},
    word::{self, Word},
};
use crate::content::{Glob, RelPath, Sha256};

/// The highest mode: setuid, setgid, sticky, then rwx three times.
const MAX_MODE: u16 = 0o7777;

/// What is known while the nodes of one file are read, and what was found.
pub(super) struct Reader<'a> {
    pub(super) names: &'a Names,
    pub(super) set: &'a str,
    /// The folder of the file.
    pub(super) folder: SourcePath,
    /// The folder of the set.
    pub(super) root: &'a SourcePath,
    pub(super) origin: Origin,
    /// Whether the file is the set's `brc.kdl`, which was read before.
    pub(super) is_project_file: bool,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) patience: Patience,
    /// Paths beside the recipes that must be there, and as what.
    pub(super) locals: Vec<(LocalPath, Presence)>,
    /// Folders of a developer's own, which must be there, wherever that is.
    pub(super) anywhere: Vec<LocalPath>,
}

/// The nodes of a block of which it has one, with their places.
pub(super) type Seen<'n> = BTreeMap<&'n str, Span>;

/// One node while it is read.
pub(super) struct Cursor<'n> {
    pub(super) node: &'n Node<'n>,
    taken: Vec<bool>,
    /// The entry from which on the next argument is looked for.
    next: usize,
    /// What the node may have.
    properties: &'static [&'static str],
    children: Children,
}

#[derive(PartialEq, Eq)]
enum Children {
    Unread,
    Read,
}

impl<'n> Cursor<'n> {
    pub(super) fn new(reader: &mut Reader<'_>, node: &'n Node<'n>, word: impl Word) -> Self {
        Self::with(reader, node, word.properties())
    }

    /// For a node that has other properties than its word says.
    pub(super) fn with(reader: &mut Reader<'_>, node: &'n Node<'n>, known: &'static [&'static str]) -> Self {
        let mut properties: BTreeMap<&str, Span> = BTreeMap::new();
        for (name, span) in node.entries.iter().filter_map(|entry| entry.name.as_ref()) {
            if let Some(earlier) = properties.insert(name, *span) {
                let message = format!("`{name}` stands here twice; KDL would forget the first");
                let problem = Diagnostic::error(Code::RepeatedProperty, *span, message).help("leave one out");
                reader.problems.push(problem.also(earlier, "first here"));
            }
        }
        Cursor { node, taken: vec![false; node.entries.len()], next: 0, properties: known, children: Children::Unread }
    }

    /// The place of the node's name, for what the node lacks.
    pub(super) fn place(&self) -> Span {
        self.node.name_span
    }

    pub(super) fn next_argument(&mut self) -> Option<&'n Entry<'n>> {
        let (at, entry) =
            self.node.entries.iter().enumerate().skip(self.next).find(|(_, entry)| entry.name.is_none())?;
        self.next = at + 1;
        *self.taken.get_mut(at)? = true;
        Some(entry)
    }

    pub(super) fn property(&mut self, name: &'static str) -> Option<&'n Entry<'n>> {
        debug_assert!(self.properties.contains(&name), "src/recipe/word.rs: `{}` has no `{name}=`", self.node.name);
        let mut found = None;
        for (entry, taken) in self.node.entries.iter().zip(&mut self.taken) {
            if entry.name.as_ref().is_some_and(|(own, _)| own == name) {
                *taken = true;
                found = Some(entry);
            }
        }
        found
    }

    /// One text argument; `what` says what it is, for the message when it is not there.
    pub(super) fn text(&mut self, reader: &mut Reader<'_>, what: &str) -> Option<Spanned<String>> {
        match self.next_argument() {
            Some(entry) => reader.text_of(entry, what),
            None => {
                self.missing_argument(reader, what);
                None
            }
        }
    }

    pub(super) fn missing_argument(&mut self, reader: &mut Reader<'_>, what: &str) {
        let name = &self.node.name;
        // `kernel-arg console=ttyS0`: the argument was swallowed as a property.
        let swallowed = self
            .node
            .entries
            .iter()
            .zip(&mut self.taken)
            .find(|(entry, taken)| entry.name.as_ref().is_some_and(|(own, _)| !**taken && !word::is_property(own)));
        if let Some((Entry { name: Some((key, span)), value, span: value_span }, taken)) = swallowed {
            *taken = true;
            let value = match value {
                Value::Text(text) | Value::Integer(_, text) | Value::Float(text) => text.as_ref(),
                _ => "…",
            };
            let span = Span { end: value_span.end, ..*span };
            let message = format!("`{name}` wants {what}, but `{key}=` makes this a property");
            let problem = Diagnostic::error(Code::PropertyForArgument, span, message);
            reader.problems.push(problem.help(format!("write `{name} \"{key}={value}\"`")));
            return;
        }
        let message = format!("`{name}` wants {what}");
        reader.problems.push(Diagnostic::error(Code::MissingArgument, self.place(), message));
    }

    /// One text argument, if there is one more.
    pub(super) fn optional_text(&mut self, reader: &mut Reader<'_>, what: &str) -> Option<Spanned<String>> {
        self.next_argument().and_then(|entry| reader.text_of(entry, what))
    }

    /// One `#true` or `#false` argument.
    pub(super) fn switch(&mut self, reader: &mut Reader<'_>, what: &str) -> Option<Spanned<Switch>> {
        match self.next_argument() {
            Some(entry) => reader.switch_of(entry, what),
            None => {
                self.missing_argument(reader, what);
                None
            }
        }
    }

    /// Every argument; at least one.
    pub(super) fn texts(&mut self, reader: &mut Reader<'_>, what: &str) -> Vec<Spanned<String>> {
        let mut texts: Vec<_> = self.text(reader, what).into_iter().collect();
        texts.extend(self.any_texts(reader, what));
        texts
    }

    /// All arguments that are left; there need not be any.
    pub(super) fn any_texts(&mut self, reader: &mut Reader<'_>, what: &str) -> Vec<Spanned<String>> {
        let mut texts = Vec::new();
        while let Some(entry) = self.next_argument() {
            texts.extend(reader.text_of(entry, what));
        }
        texts
    }

    pub(super) fn text_property(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Option<Spanned<String>> {
        self.property(name).and_then(|entry| reader.text_of(entry, &format!("a text for `{name}=`")))
    }

    pub(super) fn required_property(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Option<Spanned<String>> {
        match self.property(name) {
            Some(entry) => reader.text_of(entry, &format!("a text for `{name}=`")),
            None => {
                let message = format!("`{}` wants `{name}=`", self.node.name);
                let problem = Diagnostic::error(Code::MissingProperty, self.place(), message);
                reader.problems.push(problem.help(format!("write `{name}=\"…\"`")));
                None
            }
        }
    }

    pub(super) fn switch_property(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Option<Spanned<Switch>> {
        self.property(name).and_then(|entry| reader.switch_of(entry, &format!("`{name}=`")))
    }

    /// The children, which somebody reads from here on.
    pub(super) fn block(&mut self) -> &'n [Node<'n>] {
        self.children = Children::Read;
        self.node.children.as_deref().unwrap_or(&[])
    }

    /// Reports whatever nobody asked for.
    pub(super) fn finish(&self, reader: &mut Reader<'_>) {
        let name = &self.node.name;
        for (entry, _) in self.node.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken) {
            let Some((property, span)) = &entry.name else {
                let message = format!("`{name}` takes no more arguments");
                reader.problems.push(Diagnostic::error(Code::ExtraArgument, entry.span, message));
                continue;
            };
            let mut problem = Diagnostic::error(Code::UnknownProperty, *span, format!("`{name}` has no `{property}=`"));
            if let Some(sentence) = word::later_property(name, property) {
                problem = Diagnostic::error(Code::NotYet, *span, sentence);
            } else if let Some(meant) = nearest(property, self.properties.iter().copied()) {
                problem = problem.help(format!("did you mean `{meant}=`?"));
            } else if !self.properties.is_empty() {
                let known: Vec<String> = self.properties.iter().map(|name| format!("`{name}=`")).collect();
                problem = problem.help(format!("it has {}", known.join(", ")));
            }
            reader.problems.push(problem);
        }
        if self.children == Children::Unread
            && let Some(first) = self.node.children.as_ref().and_then(|children| children.first())
        {
            let message = format!("`{name}` has no block");
            reader.problems.push(Diagnostic::error(Code::UnexpectedBlock, first.span, message));
        }
    }
}

impl Reader<'_> {
    pub(super) fn error(&mut self, code: Code, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Diagnostic::error(code, span, message).help(help));
    }

    pub(super) fn text_of(&mut self, entry: &Entry<'_>, what: &str) -> Option<Spanned<String>> {
        match &entry.value {
            Value::Text(text) => return Some(Spanned::new(text.clone().into_owned(), entry.span)),
            Value::Integer(_, raw) | Value::Float(raw) => {
                let message = format!("{raw} is a number here and loses how it is written");
                self.error(Code::NumberForText, entry.span, message, format!("write `\"{raw}\"`"));
            }
            Value::Switch(_) | Value::Null => {
                let message = format!("wanted here is {what}");
                self.problems.push(Diagnostic::error(Code::WrongType, entry.span, message));
            }
        }
        None
    }

    pub(super) fn switch_of(&mut self, entry: &Entry<'_>, what: &str) -> Option<Spanned<Switch>> {
        let switch = match entry.value {
            Value::Switch(true) => Switch::On,
            Value::Switch(false) => Switch::Off,
            _ => {
                let message = format!("{what} is `#true` or `#false`, without quotes");
                self.problems.push(Diagnostic::error(Code::WrongType, entry.span, message));
                return None;
            }
        };
        Some(Spanned::new(switch, entry.span))
    }

    /// A mode: an octal number of 12 bits.
    pub(super) fn mode(&mut self, cursor: &mut Cursor<'_>) -> Option<Spanned<u16>> {
        let entry = cursor.property("mode")?;
        let Value::Integer(number, raw) = &entry.value else {
            self.error(Code::WrongType, entry.span, "a mode is a number", "write it as `0o755`");
            return None;
        };
        let mode = u16::try_from(*number).ok().filter(|mode| *mode <= MAX_MODE);
        let is_decimal = raw.bytes().all(|byte| byte.is_ascii_digit());
        if raw.starts_with("0o") {
            match mode {
                Some(mode) => return Some(Spanned::new(mode, entry.span)),
                None => {
                    self.error(Code::BadValue, entry.span, format!("a mode is at most 0o7777, not {raw}"), "0o755?");
                }
            }
        } else if !is_decimal {
            let message = format!("a mode is an octal number without a sign, not {raw}");
            let help = mode.map_or("write it as `0o755`".to_owned(), |mode| format!("write `0o{mode:o}`"));
            self.error(Code::BadValue, entry.span, message, help);
        } else if raw.len() == 1 || !raw.starts_with('0') {
            // A leading zero was told where the words were read.
            let message = format!("{raw} is a decimal number, and a mode is an octal one");
            // The digits as they stand, where they are octal ones; else what they come to.
            let octal = u16::from_str_radix(raw, 8).ok().filter(|octal| *octal <= MAX_MODE);
            let help = octal.or(mode).map_or("write it as `0o755`".to_owned(), |mode| format!("write `0o{mode:o}`"));
            self.error(Code::DecimalMode, entry.span, message, help);
        }
        None
    }

    pub(super) fn template(&mut self, text: Spanned<String>) -> Option<Spanned<Template>> {
        match Template::new(&text) {
            Ok(template) => Some(Spanned::new(template, text.span)),
            Err(error) => {
                self.problems.push(Diagnostic::error(Code::BadTemplate, text.span, error.to_string()));
                None
            }
        }
    }

    /// An absolute path of the image, braces allowed.
    pub(super) fn image_path(&mut self, text: Spanned<String>) -> Option<Spanned<Template>> {
        let template = self.template(text)?;
        let filled = template.fill(|_| Some("x")).unwrap_or_default();
        let path = self.rel_path(Spanned::new(filled, template.span), &template.to_string())?;
        if path.is_root() {
            self.problems.push(Diagnostic::error(Code::BadPath, template.span, "`/` itself is nobody's"));
            return None;
        }
        let top = path.ancestors().last();
        let is_top = |folder: &&&str| top.as_ref().is_some_and(|top| top.as_str() == **folder);
        if let Some(folder) = COVERED.iter().chain(&EMPTY_AT_BOOT).find(is_top) {
            let message =
                format!("nobody would see `{}`: the running machine mounts something over `/{folder}`", *template);
            let help = "have it made at each boot: a line of a file in `/usr/lib/tmpfiles.d` (tmpfiles.d(5))";
            self.error(Code::HiddenPath, template.span, message, help);
            return None;
        }
        let is_above = |link: &&&str| path.ancestors().any(|above| above.as_str() == **link);
        if let Some(link) = LINKED.iter().find(is_above) {
            let message =
                format!("nobody would see `{}`: `/{link}` is a link to what is empty at each boot", *template);
            let help = "have it made at each boot: a line of a file in `/usr/lib/tmpfiles.d` (tmpfiles.d(5))";
            self.error(Code::HiddenPath, template.span, message, help);
            return None;
        }
        Some(template)
    }

    /// An absolute path of the image, as it is.
    pub(super) fn plain_path(&mut self, text: Spanned<String>) -> Option<Spanned<RelPath>> {
        let shown = text.value.clone();
        self.rel_path(text, &shown)
    }

    fn rel_path(&mut self, path: Spanned<String>, shown: &str) -> Option<Spanned<RelPath>> {
        if self.has_control_character(&path, "a path") {
            return None;
        }
        match RelPath::from_absolute(&path) {
            Ok(ok) => Some(Spanned::new(ok, path.span)),
            Err(_) if !shown.starts_with('/') => {
                let message = format!("`{shown}` is no path of the image: it does not start with `/`");
                self.error(Code::BadPath, path.span, message, format!("`/{shown}`?"));
                None
            }
            Err(_) => {
                let message =
                    format!("`{shown}` is no path: it has an empty name, `.`, `..` or a name that is too long");
                self.problems.push(Diagnostic::error(Code::BadPath, path.span, message));
                None
            }
        }
    }

    /// Reports a character that no list of files, no configuration and no terminal holds as it is.
    pub(super) fn has_control_character(&mut self, text: &Spanned<String>, what: &str) -> bool {
        let found = text.chars().find(|character| character.is_control());
        if let Some(character) = found {
            let message = format!("{what} has no control character; here is `{}`", character.escape_default());
            self.error(Code::BadValue, text.span, message, "leave it out");
        }
        found.is_some()
    }

    /// What a node of a block without conditions is; reports one that the block does not have, and a second one where
    /// it has one.
    pub(super) fn word<'n, W: Word>(&mut self, node: &'n Node<'_>, seen: &mut Seen<'n>) -> Option<W> {
        let word = W::of(&node.name);
        match word {
            Some(word) if word.is_single() => self.only_one(seen, node),
            Some(_) => {}
            None => self.unknown_node(node, W::PLACE, &[W::TEXTS]),
        }
        word
    }

    /// Notes a node of which a block has one: a second one would silently win.
    pub(super) fn only_one<'n>(&mut self, seen: &mut Seen<'n>, node: &'n Node<'_>) {
        if let Some(earlier) = seen.insert(&node.name, node.name_span) {
            let message = format!("`{}` stands here twice", node.name);
            let problem = Diagnostic::error(Code::RepeatedNode, node.name_span, message);
            self.problems.push(problem.also(earlier, "first here"));
        }
    }

    /// The absolute path that a property states.
    pub(super) fn path_property(&mut self, cursor: &mut Cursor<'_>, name: &'static str) -> Option<Spanned<RelPath>> {
        cursor.text_property(self, name).and_then(|text| self.plain_path(text))
    }

    pub(super) fn glob(&mut self, text: Spanned<String>) -> Option<Spanned<Glob>> {
        match Glob::new(&text) {
            Ok(glob) => Some(Spanned::new(glob, text.span)),
            Err(error) => {
                self.problems.push(Diagnostic::error(Code::BadGlob, text.span, error.to_string()));
                None
            }
        }
    }

    /// The globs of `drop`; `None` when it has none at all, which the cursor tells.
    pub(super) fn globs(&mut self, cursor: &mut Cursor<'_>) -> Option<Vec<Spanned<Glob>>> {
        let texts = cursor.texts(self, "a glob");
        (!texts.is_empty()).then(|| texts.into_iter().filter_map(|text| self.glob(text)).collect())
    }

    pub(super) fn sha256(&mut self, text: Spanned<String>) -> Option<Spanned<Sha256>> {
        match Sha256::parse(&text) {
            Ok(digest) => Some(Spanned::new(digest, text.span)),
            Err(error) => {
                self.problems.push(Diagnostic::error(Code::BadDigest, text.span, error.to_string()));
                None
            }
        }
    }

    /// A file or folder beside the recipe, which must be there.
    pub(super) fn local(&mut self, text: Spanned<String>, presence: Presence) -> Option<LocalPath> {
        let path = self.template(text)?;
        let shown = path.to_string();
        let filled = self.folder.join(&path.fill(|_| Some("x")).unwrap_or_default());
        if shown.starts_with('/') || filled.below(self.root).is_none() {
            let message = format!("`{shown}` lies outside the folder of the recipes");
            let help = format!("a recipe set is self-contained: copy it below `{}`", self.root);
            self.error(Code::OutsideProject, path.span, message, help);
            return None;
        }
        let local = LocalPath { folder: self.folder.clone(), span: path.span, path: path.value };
        self.locals.push((local.clone(), presence));
        Some(local)
    }

    /// The components and package groups that all arguments name; a kernel is no part of anything but an image.
    pub(super) fn parts(&mut self, cursor: &mut Cursor<'_>) -> Vec<Spanned<Name>> {
        let mut names = self.references(cursor, Space::Component);
        names.retain(|name| self.is_part(name, &cursor.node.name));
        names
    }

    pub(super) fn is_part(&mut self, name: &Spanned<Name>, node: &str) -> bool {
        let is_kernel = self.names.kind(Space::Component, name) == Some(Kind::Kernel);
        if is_kernel {
            let message = format!("`{}` is a kernel; `{node}` wants a component or a package group", name.name);
            self.error(Code::WrongKind, name.span, message, "a variant brings its kernel: `include`");
        }
        !is_kernel
    }

    /// Reports braces where they are not filled: the shell has `$version` and `$arch`. Says whether there are any.
    pub(super) fn no_braces(&mut self, text: &Spanned<String>, place: &str) -> bool {
        let mut found = false;
        for name in ["version", "arch", "platform"] {
            let braced = format!("{{{name}}}");
            // `${version}` is the shell's own.
            let filled = text.match_indices(&braced).any(|(at, _)| !text.get(..at).unwrap_or("").ends_with('$'));
            found |= filled;
            if filled {
                let message = format!("`{braced}` is not filled in {place}");
                let help =
                    "braces are filled in `url`, `to`, `from` and names of files; a step has `$version` and `$arch`";
                self.error(Code::BracesNotFilled, text.span, message, help);
            }
        }
        found
    }

    /// What a reference means.
    pub(super) fn reference(&mut self, text: &Spanned<String>, space: Space) -> Option<Spanned<Name>> {
        match self.names.resolve(self.set, space, text) {
            Ok(name) => return Some(Spanned::new(name, text.span)),
            Err(Unresolved::Unread) => {}
            Err(Unresolved::Ambiguous(full)) => {
                let message = format!("several recipe sets have a {} `{}`", space.noun(), text.value);
                let full: Vec<String> = full.iter().map(|name| format!("`{name}`")).collect();
                self.error(Code::AmbiguousName, text.span, message, format!("write {}", full.join(" or ")));
            }
            Err(Unresolved::Unknown) => {
                let problem = Diagnostic::error(Code::UnknownName, text.span, self.unknown(text, space));
                let near = self.names.near(space, text, &mut self.patience);
                self.problems.push(match near {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
        None
    }

    fn unknown(&self, text: &str, space: Space) -> String {
        match text.split_once('/') {
            Some((set, _)) if !self.names.sets().any(|known| known == set) => {
                format!("there is no recipe set `{set}`; `recipes \"{set}\" {{ path \"…\" }}` in `brc.kdl` brings one")
            }
            _ => format!("there is no {} `{text}`", space.noun()),
        }
    }

    /// What all arguments of the node mean.
    pub(super) fn references(&mut self, cursor: &mut Cursor<'_>, space: Space) -> Vec<Spanned<Name>> {
        let texts = cursor.texts(self, "the name of a component");
        texts.iter().filter_map(|text| self.reference(text, space)).collect()
    }

    /// The version of a component, kernel or package: what file names and package versions may have.
    pub(super) fn version(&mut self, text: Spanned<String>) -> Option<Spanned<String>> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '~' | '^' | '+' | '-' | '_' | ':');
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) || text.contains("..") {
            if self.no_braces(&text, "`version`") {
                return None;
            }
            let message = format!("`{}` is not a version", text.value);
            self.error(Code::BadVersion, text.span, message, "versions are `[0-9A-Za-z.~^+_:-]{1,64}`");
            return None;
        }
        Some(text)
    }

    /// An SPDX licence expression.
    pub(super) fn license(&mut self, text: Spanned<String>) -> Option<Spanned<String>> {
        match spdx::Expression::parse(&text) {
            Ok(_) => Some(text),
            Err(error) => {
                let message = format!("`{}` is not an SPDX licence expression: {}", text.value, error.reason);
                self.error(
                    Code::BadLicense,
                    text.span,
                    message,
                    "such as `Apache-2.0 OR MIT`; `LicenseRef-…` for others",
                );
                None
            }
        }
    }

    /// The name of a suite, area or mirror, which becomes a part of a URL.
    pub(super) fn suite_name(&mut self, text: Spanned<String>, what: &str) -> Option<Spanned<String>> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
        let parts = text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        if !parts || text.len() > 64 || !text.chars().all(fits) {
            let message = format!("`{}` cannot be the name of {what}", text.value);
            self.problems.push(Diagnostic::error(Code::BadName, text.span, message));
            return None;
        }
        Some(text)
    }

    /// The name of a package of an archive (Debian Policy 5.6.1).
    pub(super) fn package(&mut self, text: Spanned<String>) -> Option<Spanned<String>> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
        let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !first || text.len() < 2 || text.len() > 128 || !text.chars().all(fits) {
            let message = format!("`{}` cannot be the name of a package", text.value);
            self.error(Code::BadName, text.span, message, "names of packages are `[a-z0-9][a-z0-9+.-]{1,127}`");
            return None;
        }
        Some(text)
    }

    /// The name that a top-level node gives its recipe.
    pub(super) fn own_name(&mut self, text: Spanned<String>) -> Option<Spanned<Name>> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '_');
        let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !first || text.len() > 64 || !text.chars().all(fits) {
            let message = format!("`{}` cannot be a name", text.value);
            self.error(Code::BadName, text.span, message, "names are `[a-z0-9][a-z0-9+._-]{0,63}`");
            return None;
        }
        Some(text.map(|name| Name::new(self.set, name)))
    }

    /// Files beside the recipe that all arguments name.
    pub(super) fn locals(&mut self, cursor: &mut Cursor<'_>) -> Vec<LocalPath> {
        let texts = cursor.texts(self, "a file");
        texts.into_iter().filter_map(|text| self.local(text, Presence::File)).collect()
    }

    /// Reports a node whose name is not in one of the lists of `known`.
    pub(super) fn unknown_node(&mut self, node: &Node<'_>, place: &str, known: &[&[&str]]) {
        let (name, span) = (node.name.as_ref(), node.name_span);
        if let Some(sentence) = word::later(name) {
            self.problems.push(Diagnostic::error(Code::NotYet, span, sentence));
        } else if let Some(belongs) = word::belongs(name) {
            let message = format!("`{name}` does not belong into {place}");
            self.error(Code::MisplacedNode, span, message, format!("it belongs into {belongs}"));
        } else {
            let problem = Diagnostic::error(Code::UnknownNode, span, format!("{place} has no `{name}`"));
            self.problems.push(match nearest(name, known.iter().copied().flatten().copied()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
    }
}
