//! What brc itself needs done, and which tool set does it.

/// What brc needs a tool set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `mkfs.erofs`.
    RootFilesystem,
    /// Runs the finish steps.
    Finish,
    /// The EFI stub and boot loader of the target.
    BootLoader,
    /// QEMU and its firmware.
    Machine,
    /// Tools that check what brc wrote.
    Oracle,
    /// Programs that look at a running image from inside.
    Probe,
}

impl Role {
    /// Every part that a tool can play.
    pub const ALL: [Role; 6] =
        [Role::RootFilesystem, Role::Finish, Role::BootLoader, Role::Machine, Role::Oracle, Role::Probe];

    /// Whether its content is for the target: nothing of it runs while composing.
    pub const fn is_of_the_target(self) -> bool {
        matches!(self, Role::BootLoader | Role::Probe)
    }

    /// The word that recipes write.
    pub const fn name(self) -> &'static str {
        match self {
            Role::RootFilesystem => "root-filesystem",
            Role::Finish => "finish",
            Role::BootLoader => "boot-loader",
            Role::Machine => "machine",
            Role::Oracle => "oracle",
            Role::Probe => "probe",
        }
    }

    /// The part that recipes call so.
    pub fn from_name(name: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}
