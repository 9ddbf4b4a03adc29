//! What a fact of an image is about.

/// What a fact of an image is about, in the order in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The image itself: its name and what stands for its bytes.
    Image,
    /// Packages, components, kernel and boot loader.
    Components,
    /// The kernel, and the files that start it.
    Kernel,
    /// The kernel's options.
    Options,
    /// The kernel's modules, built in or not.
    Modules,
    /// The words that the kernel is started with.
    CommandLine,
    /// Users.
    Users,
    /// Groups.
    Groups,
    /// Units of systemd that are enabled, and those that are masked.
    Units,
    /// Files that run with other rights than those of who starts them.
    Privileges,
    /// What settings are at first.
    Settings,
    /// Files that are made of settings.
    Templates,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 12] = [
        Topic::Image,
        Topic::Components,
        Topic::Kernel,
        Topic::Options,
        Topic::Modules,
        Topic::CommandLine,
        Topic::Users,
        Topic::Groups,
        Topic::Units,
        Topic::Privileges,
        Topic::Settings,
        Topic::Templates,
    ];

    /// Its name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Image => "image",
            Topic::Components => "components",
            Topic::Kernel => "kernel",
            Topic::Options => "kernel-options",
            Topic::Modules => "kernel-modules",
            Topic::CommandLine => "command-line",
            Topic::Users => "users",
            Topic::Groups => "groups",
            Topic::Units => "units",
            Topic::Privileges => "privileges",
            Topic::Settings => "settings",
            Topic::Templates => "templates",
        }
    }

    /// Its title for people.
    pub const fn title(self) -> &'static str {
        match self {
            Topic::Image => "Image",
            Topic::Components => "Packages and components",
            Topic::Kernel => "Kernel and boot files",
            Topic::Options => "Kernel options",
            Topic::Modules => "Kernel modules",
            Topic::CommandLine => "Kernel command line",
            Topic::Users => "Users",
            Topic::Groups => "Groups",
            Topic::Units => "Enabled and masked units",
            Topic::Privileges => "Files with privileges (setuid, setgid, capabilities)",
            Topic::Settings => "Defaults of settings",
            Topic::Templates => "Templates of settings",
        }
    }
}
