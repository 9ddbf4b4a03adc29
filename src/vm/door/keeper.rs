//! Keeps the door while a machine runs: the port of the machine on one side, those who look in on the other.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    thread,
};

use brc_contract::door::{Decoder, Frame, Message};

use super::{
    super::{
        BootError,
        ending::Ending,
        proxy::{TICK, is_tick, write_all},
    },
    PORT,
    place::Place,
    sessions::Sessions,
};

/// Bytes that are read at once.
const READ: usize = 32 << 10;

/// A door that is kept.
#[derive(Debug)]
pub(in crate::vm) struct Keeper {
    place: Place,
    port: UnixListener,
    /// The socket that QEMU connects to.
    pub path: PathBuf,
}

/// Ends everything when it goes, however that happens.
struct Closing<'a> {
    keeper: &'a Keeper,
    sessions: &'a Sessions,
    ending: &'a Ending,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.ending.end();
        self.sessions.end();
        for listener in [&self.keeper.place.listener, &self.keeper.port] {
            // What waits for a connection is woken; a socket that is shut down already wakes nobody.
            rustix::net::shutdown(listener, rustix::net::Shutdown::Both).unwrap_or_default();
        }
    }
}

impl Keeper {
    /// A door that is found in `folder`, with its port in `workplace`.
    ///
    /// # Errors
    /// A machine runs there, or the file system refuses.
    pub fn open(folder: &Path, workplace: &Path) -> Result<Self, BootError> {
        let place = Place::claim(folder)?;
        let path = workplace.join(PORT);
        let failed = |source| BootError::Door { path: path.clone(), source };
        let opened = fs::File::open(workplace).map_err(failed)?;
        let port = UnixListener::bind(format!("/proc/self/fd/{}/{PORT}", opened.as_raw_fd())).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { place, port, path })
    }

    /// Keeps the door while `work` is done, and no longer.
    pub fn while_open<T>(&self, work: impl FnOnce() -> T) -> T {
        let (sessions, ending) = (Sessions::default(), Ending::default());
        thread::scope(|scope| {
            let closing = Closing { keeper: self, sessions: &sessions, ending: &ending };
            scope.spawn(|| {
                // QEMU connects once; without it nobody is greeted.
                if let Ok((port, _)) = self.port.accept() {
                    serve_port(&port, &sessions, &ending);
                }
            });
            scope.spawn(|| {
                while let Ok((stream, _)) = self.place.listener.accept() {
                    if ending.is_over() {
                        break;
                    }
                    let (sessions, ending) = (&sessions, &ending);
                    // Where the host has no thread for them, their connection is closed.
                    let _ = thread::Builder::new().spawn_scoped(scope, move || receive(&stream, sessions, ending));
                }
            });
            let done = work();
            drop(closing);
            done
        })
    }
}

/// Carries frames to and from the machine until it is gone.
fn serve_port(port: &UnixStream, sessions: &Sessions, ending: &Ending) {
    if port.set_read_timeout(Some(TICK)).and_then(|()| port.set_write_timeout(Some(TICK))).is_err() {
        return sessions.end();
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(frame) = sessions.next_for_machine() {
                if write_all(&mut &*port, &frame.encode(), ending).is_err() {
                    break;
                }
            }
        });
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; READ];
        loop {
            match (&*port).read(&mut buffer) {
                Err(error) if is_tick(&error) && !ending.is_over() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    for frame in decoder.feed(buffer.get(..length).unwrap_or_default()) {
                        frame.map_or_else(|_| sessions.lose(), |frame| sessions.hear(frame));
                    }
                }
            }
        }
        // Without its port the machine says nothing more, whatever becomes of it.
        sessions.end();
    });
}

/// Looks after one who looks in.
fn receive(stream: &UnixStream, sessions: &Sessions, ending: &Ending) {
    let Some(number) = sessions.enter() else {
        let message = Message::Refused { message: "too many look into this machine at once".to_owned() };
        // Who does not wait for the answer needs none.
        (&*stream).write_all(&Frame { session: 0, message }.encode()).unwrap_or_default();
        return;
    };
    // Without a limit only a connection would be left behind that its other end has to close.
    let limited = stream.set_read_timeout(Some(TICK)).and_then(|()| stream.set_write_timeout(Some(TICK)));
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(message) = sessions.next_for(number) {
                let frame = Frame { session: 0, message };
                if write_all(&mut &*stream, &frame.encode(), ending).is_err() {
                    break;
                }
            }
            // Its other half may have been closed by whoever is there.
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        });
        if limited.is_ok() {
            listen(stream, number, sessions, ending);
        }
        sessions.leave(number);
    });
}

/// Hears what one who looks in says, until they go or there is nothing more to say.
fn listen(mut stream: &UnixStream, number: u32, sessions: &Sessions, ending: &Ending) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; READ];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                for frame in decoder.feed(buffer.get(..length).unwrap_or_default()) {
                    let Ok(frame) = frame else { return };
                    // What they say after the last word has crossed with it.
                    sessions.say(number, frame.message);
                }
            }
            Err(error) if is_tick(&error) && ending.is_over() => return,
            Err(error) if is_tick(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
