//! The processor architectures that images are made for.

/// A processor architecture that images are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Architecture {
    /// 64-bit x86; `amd64` to Debian, `x64` to EFI.
    X86_64,
    /// 64-bit ARM; `arm64` to Debian, `aa64` to EFI.
    Aarch64,
}

impl Architecture {
    /// Every one of them.
    pub const ALL: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];

    /// That of the machine that this program was compiled for.
    pub const fn of_this_program() -> Self {
        if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 }
    }

    /// The name that the kernel and recipes use.
    pub const fn name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Aarch64 => "aarch64",
        }
    }

    /// The name that Debian uses.
    pub const fn debian(self) -> &'static str {
        match self {
            Architecture::X86_64 => "amd64",
            Architecture::Aarch64 => "arm64",
        }
    }

    /// The GNU triplet of its compilers and library folders: `x86_64-linux-gnu`.
    pub const fn gnu(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64-linux-gnu",
            Architecture::Aarch64 => "aarch64-linux-gnu",
        }
    }

    /// The name that EFI's default boot path uses: `x64` in `BOOTX64.EFI` (UEFI 2.10, section 3.5.1.1).
    pub const fn efi(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x64",
            Architecture::Aarch64 => "aa64",
        }
    }

    /// The `Machine` field of its PE files (PE format, "Machine Types").
    pub const fn pe_machine(self) -> u16 {
        match self {
            Architecture::X86_64 => 0x8664,
            Architecture::Aarch64 => 0xaa64,
        }
    }

    /// The architecture with this name, as recipes write it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|architecture| architecture.name() == name)
    }
}
