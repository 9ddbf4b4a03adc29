//! Going through the fields of an action, once for everything that is to be known of it: its key, its inputs, what people
//! are told.

use brc_contract::Architecture;

use crate::content::{Digest, Glob, RelPath, Sha256};

/// A file inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileOf<T> {
    /// The tree.
    pub tree: T,
    /// The file.
    pub path: RelPath,
}

/// One kind of action. `T` says how it names the trees that it takes.
///
/// A field that [`Kind::walk`] leaves out does not compile, since it makes the whole kind anew.
pub trait Kind<T> {
    /// The same kind with other trees.
    type With<U>;

    /// What it is called in keys, and the version of what performs it: whoever would give other bytes for the same
    /// fields counts it up, and only this kind is performed again.
    fn kind(&self) -> (&'static str, u64);

    /// Goes through its fields in a fixed order, and gives it with the trees that the walk has in place of its own.
    ///
    /// # Errors
    /// The first error of the walk.
    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Self::With<U>, E>;

    /// The names of its outputs, sorted.
    fn outputs(&self) -> Vec<String>;
}

/// A walk through the fields of an action: every tree is replaced, and every field that can change the outcome is seen.
pub struct Walk<'a, T, U, E> {
    replace: &'a mut dyn FnMut(&T) -> Result<U, E>,
    see: Option<&'a mut dyn See<U>>,
}

/// Who sees the fields.
pub trait See<U> {
    /// One field.
    fn field(&mut self, name: &'static str, value: Value<'_, U>);

    /// A file in a tree.
    fn file(&mut self, name: &'static str, tree: &U, path: &RelPath);

    /// The next fields are about something of this kind and name, and the first of them is what it is.
    fn about(&mut self, kind: &'static str, name: &str);

    /// The next fields are about the whole action.
    fn about_all(&mut self);
}

/// The value of a field.
pub enum Value<'v, U> {
    /// A tree that the action takes.
    Tree(&'v U),
    /// A tree that it is known by.
    Digest(&'v Digest),
    /// Bytes that nobody reads as text.
    Bytes(&'v [u8]),
    /// A text.
    Text(&'v str),
    /// A number.
    Number(u64),
    /// The name of what the next fields are about.
    Name(&'v str),
}

impl<'a, T, U, E> Walk<'a, T, U, E> {
    /// A walk on which `replace` gives a tree for each, and `see` sees the fields, if anybody does.
    pub(super) fn new(
        replace: &'a mut dyn FnMut(&T) -> Result<U, E>,
        see: Option<&'a mut dyn See<U>>,
    ) -> Walk<'a, T, U, E> {
        Walk { replace, see }
    }

    /// The same walk, seen by nobody.
    pub(super) fn unseen(&mut self) -> Walk<'_, T, U, E> {
        Walk { replace: &mut *self.replace, see: None }
    }

    fn seen(&mut self, name: &'static str, value: Value<'_, U>) {
        if let Some(see) = &mut self.see {
            see.field(name, value);
        }
    }

    /// What enters no key: a label, or what other fields say already.
    pub(super) fn label<X: Clone>(&mut self, value: &X) -> X {
        value.clone()
    }

    pub(super) fn tree(&mut self, name: &'static str, tree: &T) -> Result<U, E> {
        let tree = (self.replace)(tree)?;
        self.seen(name, Value::Tree(&tree));
        Ok(tree)
    }

    pub(super) fn file(&mut self, name: &'static str, file: &FileOf<T>) -> Result<FileOf<U>, E> {
        let file = FileOf { tree: (self.replace)(&file.tree)?, path: file.path.clone() };
        if let Some(see) = &mut self.see {
            see.file(name, &file.tree, &file.path);
        }
        Ok(file)
    }

    pub(super) fn digest(&mut self, name: &'static str, digest: &Digest) {
        self.seen(name, Value::Digest(digest));
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) -> String {
        self.word(name, text);
        text.to_owned()
    }

    pub(super) fn texts(&mut self, name: &'static str, texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| self.text(name, text)).collect()
    }

    /// A word that stands for a value.
    pub(super) fn word(&mut self, name: &'static str, word: &str) {
        self.seen(name, Value::Text(word));
    }

    pub(super) fn number<N: Copy + Into<u64>>(&mut self, name: &'static str, number: N) -> N {
        self.seen(name, Value::Number(number.into()));
        number
    }

    pub(super) fn bytes<const N: usize>(&mut self, name: &'static str, bytes: &[u8; N]) -> [u8; N] {
        self.seen(name, Value::Bytes(bytes));
        *bytes
    }

    pub(super) fn sha256(&mut self, name: &'static str, sha256: Sha256) -> Sha256 {
        self.seen(name, Value::Bytes(sha256.as_bytes()));
        sha256
    }

    pub(super) fn path(&mut self, name: &'static str, path: &RelPath) -> RelPath {
        self.word(name, path.as_str());
        path.clone()
    }

    pub(super) fn paths(&mut self, name: &'static str, paths: &[RelPath]) -> Vec<RelPath> {
        paths.iter().map(|path| self.path(name, path)).collect()
    }

    pub(super) fn globs(&mut self, name: &'static str, globs: &[Glob]) -> Vec<Glob> {
        globs.iter().for_each(|glob| self.word(name, glob.as_str()));
        globs.to_vec()
    }

    pub(super) fn architecture(&mut self, architecture: Architecture) -> Architecture {
        self.word("architecture", architecture.name());
        architecture
    }

    /// Each of some parts, in their order.
    pub(super) fn each<A, B>(
        &mut self,
        parts: &[A],
        mut part: impl FnMut(&mut Self, &A) -> Result<B, E>,
    ) -> Result<Vec<B>, E> {
        let mut all = Vec::with_capacity(parts.len());
        for one in parts {
            all.push(part(self, one)?);
        }
        Ok(all)
    }

    /// The next fields are about something of this kind; its name enters no key.
    pub(super) fn about(&mut self, kind: &'static str, name: &str) {
        if let Some(see) = &mut self.see {
            see.about(kind, name);
        }
    }

    /// A name, which the next fields are about: something of this kind.
    pub(super) fn named(&mut self, field: &'static str, kind: &'static str, name: &str) -> String {
        self.seen(field, Value::Name(name));
        self.about(kind, name);
        name.to_owned()
    }

    /// A path, which the next fields are about.
    pub(super) fn named_path(&mut self, field: &'static str, path: &RelPath) -> RelPath {
        self.named(field, field, path.as_str());
        path.clone()
    }

    pub(super) fn about_all(&mut self) {
        if let Some(see) = &mut self.see {
            see.about_all();
        }
    }
}

/// The names of outputs.
pub(super) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
