//! What answers a machine at an address of its network: brc itself, behind a socket that QEMU's sandbox shows.
//!
//! For each connection of the machine's QEMU starts a program that connects to the socket. So QEMU needs no network of
//! the host's, and its command line names no address outside.

use std::{
    fs, io,
    net::SocketAddrV4,
    os::{
        fd::AsRawFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    ec2,
    ending::Ending,
    forward::Reach,
    notice::{Notice, Tell},
    proxy::Proxy,
    subnet::Subnet,
};

/// So many connections of one service are open at once; more are closed as they come.
const MAX_CONNECTIONS: usize = 64;

/// Something that answers at an address of the machine's network.
#[derive(Debug)]
pub(super) struct Service {
    /// Where the machine finds it.
    pub at: SocketAddrV4,
    answering: Answering,
}

/// What answers.
#[derive(Debug)]
enum Answering {
    /// A port of the host.
    Host(Proxy),
    /// The metadata service of EC2.
    Metadata(Box<ec2::Server>),
}

/// A service and the socket at which it is found.
#[derive(Debug)]
pub(super) struct Door {
    service: Service,
    listener: UnixListener,
    /// The socket.
    pub path: PathBuf,
}

impl Service {
    /// A port of the host, as a machine in this network reaches it.
    pub(super) fn host(reach: Reach, subnet: &Subnet) -> Self {
        Self { at: SocketAddrV4::new(subnet.host, reach.guest), answering: Answering::Host(Proxy::new(reach.host)) }
    }

    /// The metadata service of EC2.
    pub(super) fn metadata(server: ec2::Server) -> Self {
        Self { at: ec2::SERVICE, answering: Answering::Metadata(Box::new(server)) }
    }

    /// The metadata service of EC2, as a program at a port of the host.
    pub(super) fn metadata_of(port: u16) -> Self {
        Self { at: ec2::SERVICE, answering: Answering::Host(Proxy::new(port)) }
    }

    /// Opens the socket `name` in `folder`.
    ///
    /// # Errors
    /// The file system refuses.
    pub(super) fn open(self, folder: &Path, name: &str) -> io::Result<Door> {
        // The path of a socket has at most 107 bytes, so it is named by a way that is always short.
        let opened = fs::File::open(folder)?;
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()))?;
        let path = folder.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Door { service: self, listener, path })
    }

    fn answer(&self, stream: &UnixStream, ending: &Ending, tell: Tell<'_>) {
        match &self.answering {
            Answering::Host(proxy) => proxy.answer(stream, ending, tell),
            // A client that goes away is no matter of ours.
            Answering::Metadata(server) => server.answer_all(stream, ending).unwrap_or_default(),
        }
    }
}

impl Door {
    /// Answers every connection until the door is closed.
    fn answer_all(&self, ending: &Ending, tell: Tell<'_>) {
        let open = AtomicUsize::new(0);
        thread::scope(|scope| {
            loop {
                let stream = match self.listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(_) if ending.is_over() => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                    Err(source) => {
                        tell(&Notice::Closed { at: self.service.at, source });
                        break;
                    }
                };
                if ending.is_over() {
                    break;
                }
                if open.load(Ordering::Relaxed) == MAX_CONNECTIONS {
                    continue;
                }
                open.fetch_add(1, Ordering::Relaxed);
                let open = &open;
                let one = move || {
                    self.service.answer(&stream, ending, tell);
                    open.fetch_sub(1, Ordering::Relaxed);
                };
                // Where the host has no thread for it, it is closed like one that is too many.
                if thread::Builder::new().spawn_scoped(scope, one).is_err() {
                    open.fetch_sub(1, Ordering::Relaxed);
                }
            }
        });
    }
}

/// Closes doors when it goes, however that happens.
struct Closing<'a> {
    doors: &'a [Door],
    ending: &'a Ending,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.ending.end();
        for door in self.doors {
            // What waits for a connection is woken; a socket that is shut down already wakes nobody.
            rustix::net::shutdown(&door.listener, rustix::net::Shutdown::Both).unwrap_or_default();
        }
    }
}

/// Answers at all doors while `work` is done, and no longer.
pub(super) fn while_open<T>(doors: &[Door], tell: Tell<'_>, work: impl FnOnce() -> T) -> T {
    let ending = Ending::default();
    thread::scope(|scope| {
        let _closing = Closing { doors, ending: &ending };
        for door in doors {
            scope.spawn(|| door.answer_all(&ending, tell));
        }
        work()
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        time::{Duration, Instant},
    };

    use super::{super::subnet::PRIVATE, *};

    /// A door to a port of the host, in a folder whose path is longer than that of a socket may be.
    fn door(folder: &Path, host: u16) -> Door {
        let folder = folder.join("x".repeat(120));
        fs::create_dir_all(&folder).unwrap();
        let service = Service::host(Reach { host, guest: 80 }, &PRIVATE);
        assert_eq!(service.at.to_string(), "10.0.2.100:80");
        service.open(&folder, "service-0").unwrap()
    }

    fn connect(door: &Door) -> io::Result<UnixStream> {
        let folder = fs::File::open(door.path.parent().unwrap()).unwrap();
        UnixStream::connect(format!("/proc/self/fd/{}/service-0", folder.as_raw_fd()))
    }

    #[test]
    fn a_door_is_open_while_the_work_is_done_and_no_longer() {
        let (folder, host) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let doors = [door(folder.path(), host.local_addr().unwrap().port())];
        assert_eq!(fs::metadata(&doors[0].path).unwrap().permissions().mode() & 0o777, 0o600);
        let left = while_open(&doors, &|notice| panic!("{notice}"), || {
            let mut machine = connect(&doors[0]).unwrap();
            let (mut host, _) = host.accept().unwrap();
            let mut heard = [0; 5];
            machine.write_all(b"hello").unwrap();
            host.read_exact(&mut heard).unwrap();
            host.write_all(&heard).unwrap();
            machine.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"hello");
            // Both ends are held open: it is the machine that goes.
            (machine, host)
        });
        drop(left);
        assert!(connect(&doors[0]).is_err());
    }

    #[test]
    fn work_that_panics_closes_the_doors() {
        let folder = tempfile::tempdir().unwrap();
        let doors = [door(folder.path(), 1)];
        let work = || while_open(&doors, &|_| (), || panic!("as it must"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    }

    #[test]
    fn a_machine_that_opens_many_connections_gets_so_many() {
        let (folder, host) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let doors = [door(folder.path(), host.local_addr().unwrap().port())];
        while_open(&doors, &|notice| panic!("{notice}"), || {
            let held: Vec<_> = (0..MAX_CONNECTIONS)
                .map(|_| {
                    let machine = connect(&doors[0]).unwrap();
                    (machine, host.accept().unwrap().0)
                })
                .collect();
            // One more is closed, and none of the others suffers.
            assert_eq!(connect(&doors[0]).unwrap().read(&mut [0]).unwrap(), 0);
            drop(held);
            let started = Instant::now();
            while host.set_nonblocking(true).is_ok() && host.accept().is_err() {
                assert!(started.elapsed() < Duration::from_secs(10), "a place is free again");
                let machine = connect(&doors[0]).unwrap();
                thread::sleep(Duration::from_millis(100));
                drop(machine);
            }
        });
    }
}
