//! Waiting for whichever of several things happens first.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags};

/// Waits until one of the descriptors has something to say; what each has.
pub(super) fn wait_for<const N: usize>(fds: [BorrowedFd<'_>; N]) -> [PollFlags; N] {
    let mut polls = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    loop {
        match rustix::event::poll(&mut polls, None) {
            Ok(_) => return polls.map(|poll| poll.revents()),
            Err(rustix::io::Errno::INTR) => {}
            // Polling valid descriptors cannot fail otherwise; all of them are then looked at.
            Err(_) => return [PollFlags::IN; N],
        }
    }
}
