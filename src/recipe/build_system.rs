//! Build systems as one word: `autotools "--disable-static"`.

use super::{
    Code, Diagnostic, Span, Spanned,
    decode::{Cursor, Reader},
    word::{ComponentWord, Word as _},
};

/// Each is called for the target, with its prefix, compilers, flags and sysroot, in a shell of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildSystem {
    /// `autotools "--disable-static" …`: `./configure` (made by `autoreconf` where it is missing), `make`, `make install`
    /// into `$out`; arguments go to `./configure`.
    Autotools,
    /// `cargo "--bin" "a" …`: `cargo build --release --frozen`; arguments go to it. `install` the program from
    /// `target/TRIPLE/release`.
    Cargo,
    /// `cmake "-DA=1" …`: configures, builds, installs into `$out`; arguments go to the first call.
    Cmake,
    /// `go "-o" "a" "./cmd/a" …`: `go build` with `$GOFLAGS`; arguments go to it. `install` the program.
    Go,
    /// `kbuild "A=1" …`: modules for the kernel of the image, whose build tree is at `/kernel`; arguments go to `make`.
    Kbuild,
    /// `meson "-Da=false" …`: sets up, compiles, installs into `$out`; arguments go to `meson setup`.
    Meson,
}

/// A build system as one word, instead of steps: `autotools "--disable-static"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSystemStep {
    /// Which.
    pub system: BuildSystem,
    /// What it is told besides what follows from the target, without line breaks.
    pub arguments: Vec<Spanned<String>>,
    /// The node.
    pub span: Span,
}

impl BuildSystem {
    /// The word that recipes write.
    pub fn name(self) -> &'static str {
        let word = match self {
            BuildSystem::Autotools => ComponentWord::Autotools,
            BuildSystem::Cargo => ComponentWord::Cargo,
            BuildSystem::Cmake => ComponentWord::Cmake,
            BuildSystem::Go => ComponentWord::Go,
            BuildSystem::Kbuild => ComponentWord::Kbuild,
            BuildSystem::Meson => ComponentWord::Meson,
        };
        word.text()
    }
}

impl BuildSystemStep {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, system: BuildSystem) -> Option<Self> {
        let arguments = cursor.any_texts(reader, "an argument");
        for argument in &arguments {
            reader.no_braces(argument, &format!("`{}`", system.name()));
            if argument.contains(['\0', '\n']) {
                let message = format!("an argument of `{}` has a line break in it", system.name());
                reader.problems.push(Diagnostic::error(Code::BadValue, argument.span, message));
                return None;
            }
        }
        Some(BuildSystemStep { system, arguments, span: cursor.node.span })
    }
}
