//! Build systems as one word: `autotools "--disable-static"`.

use super::{
    Diagnostic, Span, Spanned, code,
    decode::{Cursor, Reader},
    parse::Node,
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
    /// All of them.
    pub const ALL: [BuildSystem; 6] = [
        BuildSystem::Autotools,
        BuildSystem::Cargo,
        BuildSystem::Cmake,
        BuildSystem::Go,
        BuildSystem::Kbuild,
        BuildSystem::Meson,
    ];

    /// The word that recipes write.
    pub const fn name(self) -> &'static str {
        match self {
            BuildSystem::Autotools => "autotools",
            BuildSystem::Cargo => "cargo",
            BuildSystem::Cmake => "cmake",
            BuildSystem::Go => "go",
            BuildSystem::Kbuild => "kbuild",
            BuildSystem::Meson => "meson",
        }
    }

    /// The build system that recipes call so.
    pub fn from_name(name: &str) -> Option<Self> {
        BuildSystem::ALL.into_iter().find(|system| system.name() == name)
    }
}

impl BuildSystemStep {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>, system: BuildSystem) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node);
        let arguments = cursor.any_texts(reader, "an argument");
        cursor.finish(reader);
        for argument in &arguments {
            reader.no_braces(argument, &format!("`{}`", node.name));
            if argument.contains(['\0', '\n']) {
                let message = format!("an argument of `{}` has a line break in it", node.name);
                reader.problems.push(Diagnostic::error(code::BAD_VALUE, argument.span, message));
                return None;
            }
        }
        Some(BuildSystemStep { system, arguments, span: node.span })
    }
}
