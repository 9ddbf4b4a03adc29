//! A connection of the machine's, carried on to a port of the host's loopback.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{
    ending::Ending,
    notice::{Notice, Tell},
};

/// How long the host may take to answer a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a connection on which nothing comes is looked at.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Bytes that are carried at once.
const PIECE_BYTES: usize = 64 << 10;

/// The way to one port.
#[derive(Debug)]
pub(super) struct Proxy {
    port: u16,
    has_told: AtomicBool,
}

impl Proxy {
    /// The way to this port of 127.0.0.1.
    pub(super) fn new(port: u16) -> Self {
        Self { port, has_told: AtomicBool::new(false) }
    }

    /// Carries one connection until both ends are closed, or the machine is gone.
    pub(super) fn answer(&self, near: &UnixStream, ending: &Ending, tell: Tell<'_>) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let failed = match TcpStream::connect_timeout(&address, PATIENCE) {
            // What breaks off while it is carried breaks off for both ends, which is what they are told.
            Ok(far) => return join(near, &far, ending).unwrap_or_default(),
            Err(source) => Notice::Unanswered { port: self.port, source },
        };
        if !self.has_told.swap(true, Ordering::Relaxed) {
            tell(&failed);
        }
    }
}

/// Carries both directions.
///
/// The program between QEMU and us tells the machine that the host has said all only when the connection is closed as
/// a whole. So it is closed when the host has said all and nothing more comes from the machine for one [`TICK`].
fn join(near: &UnixStream, far: &TcpStream, ending: &Ending) -> io::Result<()> {
    for time in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
        time(near, Some(TICK))?;
    }
    for time in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        time(far, Some(TICK))?;
    }
    far.set_nodelay(true)?;
    // Whoever has closed already need not be told.
    let close = |how| {
        near.shutdown(how).unwrap_or_default();
        far.shutdown(how).unwrap_or_default();
    };
    let host_is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let to_machine = || {
            let carried = carry(far, near, ending, &|| false);
            match carried {
                Ok(()) => near.shutdown(Shutdown::Write).unwrap_or_default(),
                Err(_) => close(Shutdown::Both),
            }
            host_is_done.store(true, Ordering::Relaxed);
        };
        thread::Builder::new().spawn_scoped(scope, to_machine)?;
        let carried = carry(near, far, ending, &|| host_is_done.load(Ordering::Relaxed));
        match &carried {
            Ok(()) => far.shutdown(Shutdown::Write).unwrap_or_default(),
            Err(_) => close(Shutdown::Both),
        }
        carried
    })
}

/// Carries what `from` says to `to`, until there is no more, the machine is gone, or nothing comes and `is_enough`.
fn carry(mut from: impl Read, mut to: impl Write, ending: &Ending, is_enough: &dyn Fn() -> bool) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => write_all(&mut to, buffer.get(..length).unwrap_or_default(), ending)?,
            Err(error) if is_tick(&error) && (ending.is_over() || is_enough()) => return Ok(()),
            Err(error) if is_tick(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes everything, however long that takes, unless the machine is gone.
pub(super) fn write_all(to: &mut impl Write, mut bytes: &[u8], ending: &Ending) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(error) if is_tick(&error) && !ending.is_over() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether nothing happened for a [`TICK`].
pub(super) fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::Mutex, time::Instant};

    use super::*;

    /// Proxies one connection between what `machine` and `host` do with their ends; how long it took.
    fn between(machine: impl FnOnce(UnixStream) + Send, host: impl FnOnce(TcpStream) + Send) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::new(listener.local_addr().unwrap().port());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let started = Instant::now();
        thread::scope(|scope| {
            scope.spawn(move || host(listener.accept().unwrap().0));
            scope.spawn(move || machine(theirs));
            proxy.answer(&ours, &Ending::default(), &|notice| panic!("{notice}"));
            drop(ours);
        });
        started.elapsed()
    }

    #[test]
    fn both_directions_are_carried_to_their_ends() {
        let large: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let machine = |mut stream: UnixStream| {
            thread::scope(|scope| {
                let mut reading = stream.try_clone().unwrap();
                let read = scope.spawn(move || {
                    let mut got = Vec::new();
                    reading.read_to_end(&mut got).unwrap();
                    got
                });
                stream.write_all(&large).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                assert!(read.join().unwrap() == large);
            });
        };
        // It says back what it hears, up to the end of that.
        let host = |mut stream: TcpStream| {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            assert!(got == large);
            stream.write_all(&got).unwrap();
        };
        between(machine, host);
    }

    #[test]
    fn a_host_that_closes_first_closes_the_machines_end_soon() {
        let machine = |mut stream: UnixStream| {
            let mut got = String::new();
            stream.read_to_string(&mut got).unwrap();
            assert_eq!(got, "all that there is");
            // The machine still holds its end open: the proxy closes it.
            let refused = (0..100).any(|_| {
                thread::sleep(Duration::from_millis(20));
                stream.write(b"more").is_err()
            });
            assert!(refused);
        };
        let host = |mut stream: TcpStream| stream.write_all(b"all that there is").unwrap();
        assert!(between(machine, host) < Duration::from_secs(5));
    }

    #[test]
    fn a_connection_that_one_end_breaks_off_is_over_for_both() {
        let machine = |mut stream: UnixStream| {
            stream.write_all(b"asked").unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
        };
        // With something unread it is a reset.
        assert!(between(machine, drop) < Duration::from_secs(5));
        let host = |mut stream: TcpStream| {
            let ended = stream.write_all(&vec![0; 32 << 20]).is_err();
            assert!(ended, "the other end had gone");
        };
        assert!(between(drop, host) < Duration::from_secs(5));
    }

    #[test]
    fn where_nobody_listens_the_connection_is_closed_and_it_is_told_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let (proxy, told) = (Proxy::new(port), Mutex::new(Vec::new()));
        for _ in 0..3 {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            proxy.answer(&ours, &Ending::default(), &|notice| told.lock().unwrap().push(notice.to_string()));
            drop(ours);
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        }
        let told = told.into_inner().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("the machine asked for port {port} of this host")), "{told:?}");
    }

    #[test]
    fn a_connection_on_which_nothing_comes_ends_with_the_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::new(listener.local_addr().unwrap().port());
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let ending = Ending::default();
        thread::scope(|scope| {
            let answering = scope.spawn(|| proxy.answer(&ours, &ending, &|_| ()));
            let held = listener.accept().unwrap();
            ending.end();
            answering.join().unwrap();
            drop(held);
        });
    }
}
