//! Whose fault it is when something is not done: every room says it, and it decides the exit code.

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The build's: a command failed, two owners, over budget.
    Build,
    /// This machine's: no user namespaces, disk full.
    Machine,
    /// The outside's: network, signature, a file that is gone.
    Outside,
    /// Nobody's: the user stopped it.
    Cancelled,
    /// The store's: an input of the action is damaged and must be made again.
    Damaged,
}
