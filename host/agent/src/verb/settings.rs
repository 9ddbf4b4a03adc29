//! `brc-agent settings`.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use brc_agent::settings::{
    self, CHANGES, Effective, Given, INSTANCE, Imds, ImdsError, Instance, Made, Patience, UserDataError, assignment,
    at_hand, effective, guestinfo, key, named_url, parse,
};
use brc_contract::{
    error_chain, os_release,
    settings::{ImageSettings, KEYS, MAX_SETTINGS, OnUnknown, Source, Value, check},
    well_known,
};
use brc_linux::Files;
use rustix::fs::FlockOperation;

use super::{CANNOT, NOT_SO, Said, USAGE};

/// So long the metadata service is waited for: the network may still be coming up.
const SERVICE: Duration = Duration::from_secs(300);

pub(super) const MAX_OS_RELEASE: usize = 64 << 10;
/// Held by one who changes settings.
const LOCK: &str = "/run/brc/settings/lock";

/// What is asked of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Those at hand are taken, and everything is made of what counts: once at each start.
    Load,
    /// The platform is asked, so many seconds for what it has not yet.
    UserData { wait: u64 },
    /// What counts is shown.
    Get { path: Option<String> },
    /// Some are changed.
    Set { assignments: Vec<String> },
    /// Those of a document are changed.
    Apply { file: String },
}

/// Does it. What is to be said of values belongs on standard error, and so into the journal.
pub fn run(order: &Order) -> Said {
    let mut told = Vec::new();
    let (text, code) = perform(order, &mut told).unwrap_or_else(|failed| {
        told.push(format!("error: {}", failed.message));
        (String::new(), failed.code)
    });
    Said { text, told, code }
}

/// What comes out, and the exit code.
type Done = (String, u8);

/// Something is not done.
pub(super) struct Failed {
    /// Why.
    pub message: String,
    /// The exit code.
    pub code: u8,
}

fn cannot(error: &(dyn std::error::Error + 'static)) -> Failed {
    Failed { message: error_chain(error), code: CANNOT }
}

fn perform(order: &Order, told: &mut Vec<String>) -> Result<Done, Failed> {
    match order {
        Order::Load => Machine::change(told)?.load(),
        Order::UserData { wait } => {
            let mut done = (String::new(), 0);
            for answer in answers(Duration::from_secs(*wait))? {
                let (said, code) = Machine::change(told)?.hear(answer)?;
                done = (done.0 + &said, done.1.max(code));
            }
            Ok(done)
        }
        Order::Get { path } => Machine::open(told)?.get(path.as_deref()),
        Order::Set { assignments } => {
            let wrong = |error| Failed { message: error_chain(&error), code: USAGE };
            let values = assignments
                .iter()
                .try_fold(Value::none(), |all, text| Ok(all.overlaid(assignment(text).map_err(wrong)?)))?;
            Machine::change(told)?.set(values)
        }
        Order::Apply { file } => {
            let bytes = document(file)?;
            let wrong =
                |error: UserDataError| Failed { message: format!("`{file}`: {}", error_chain(&error)), code: USAGE };
            Machine::change(told)?.set(parse(&bytes).map_err(wrong)?)
        }
    }
}

/// What was answered by somebody who had to be asked.
struct Answer {
    source: Source,
    /// Who it was, for messages.
    place: String,
    /// The user data; nothing when there are none.
    user_data: Option<Vec<u8>>,
    /// What the platform says of the machine, if it does.
    instance: Option<Result<Instance, ImdsError>>,
}

/// The answers of all who can be asked and have not answered before. One that fails leaves what others said.
fn answers(wait: Duration) -> Result<Vec<Answer>, Failed> {
    let mut told = Vec::new();
    let machine = Machine::open(&mut told)?;
    let is_wanted = |source| machine.image.sources.contains(&source) && !machine.given.has(source);
    let mut answers = Vec::new();
    if is_wanted(Source::Ec2) && Imds::is_here(&machine.files) {
        let imds = Imds::of_this_machine();
        let user_data =
            imds.user_data(Patience { service: SERVICE, user_data: wait }).map_err(|error| cannot(&error))?;
        let instance = Some(imds.instance());
        answers.push(Answer { source: Source::Ec2, place: "EC2's user data".to_owned(), user_data, instance });
    }
    if is_wanted(Source::Url) {
        let urls = named_url::named_urls(&machine.files).map_err(|error| cannot(&error))?;
        if !urls.is_empty() {
            let found = named_url::user_data(&urls, SERVICE).map_err(|error| cannot(&error))?;
            let place = found.as_ref().map_or_else(|| urls.join(", "), |(url, _)| url.clone());
            let user_data = found.map(|(_, bytes)| bytes);
            answers.push(Answer { source: Source::Url, place, user_data, instance: None });
        }
    }
    Ok(answers)
}

/// The machine that runs, with its settings.
pub(super) struct Machine<'a> {
    /// What is to be said.
    told: &'a mut Vec<String>,
    files: Files,
    image: ImageSettings,
    given: Given,
    /// Held by one who changes something.
    _lock: Option<File>,
}

impl<'a> Machine<'a> {
    /// To look at.
    pub fn open(told: &'a mut Vec<String>) -> Result<Self, Failed> {
        let files = Files::below("/");
        let image = settings::image(&files).map_err(|error| cannot(&error))?;
        let given = Given::of(&files).map_err(|error| cannot(&error))?;
        Ok(Machine { told, files, image, given, _lock: None })
    }

    /// To change: one after the other, so that nothing is lost that two change at once.
    pub fn change(told: &'a mut Vec<String>) -> Result<Self, Failed> {
        let failed = |error: io::Error| Failed { message: format!("`{LOCK}` cannot be locked: {error}"), code: CANNOT };
        if let Some(folder) = Path::new(LOCK).parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = File::create(LOCK).map_err(failed)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Machine { _lock: Some(lock), ..Machine::open(told)? })
    }

    /// Takes what is at hand and was not taken before.
    fn load(&mut self) -> Result<Done, Failed> {
        let mut code = 0;
        // Whoever looks at the journal of an earlier start finds out which version that was.
        if let Ok(text) = self.files.text(&format!("/{}", well_known::OS_RELEASE), MAX_OS_RELEASE) {
            let value = |key| os_release::value(&text, key).unwrap_or("unknown");
            self.told.push(format!("{} {} runs", value(os_release::IMAGE_ID), value(os_release::IMAGE_VERSION)));
        }
        for source in self.image.sources.clone() {
            if self.given.has(source) {
                continue;
            }
            match self.at_hand(source) {
                Ok(None) => {}
                Ok(Some((place, bytes))) => code = code.max(self.take(source, &place, &bytes)?),
                Err(message) => {
                    self.told.push(format!("error: {message}"));
                    code = NOT_SO;
                }
            }
        }
        // What cannot be read is looked for again; once all could, the machine is not new any more.
        if self.given.is_new && code == 0 {
            self.keep()?;
        }
        let (said, made) = self.make(&self.effective())?;
        Ok((said, code.max(made)))
    }

    /// What a source has at hand without the network, and where that lies.
    fn at_hand(&self, source: Source) -> Result<Option<(String, Vec<u8>)>, String> {
        if source == Source::Vmware && guestinfo::is_here(&self.files) {
            let found = guestinfo::user_data(guestinfo::PROGRAM).map_err(|error| error_chain(&error))?;
            return Ok(found.map(|bytes| ("`guestinfo.userdata`".to_owned(), bytes)));
        }
        at_hand(source, &self.files, self.given.is_new).map_err(|error| error_chain(&error))
    }

    /// Takes what somebody has answered, be it nothing.
    fn hear(&mut self, answer: Answer) -> Result<Done, Failed> {
        let code = match answer.user_data {
            Some(bytes) => self.take(answer.source, &answer.place, &bytes)?,
            None => {
                let place = answer.place;
                self.told.push(format!("{place}: there are none for this machine; asked again at the next start"));
                0
            }
        };
        match answer.instance.map(|instance| instance.map(|instance| instance.settings(&self.values()))).transpose() {
            Ok(None) => {}
            Ok(Some(values)) if values.is_none() => {}
            Ok(Some(values)) => {
                self.given.kept.given.insert(INSTANCE.to_owned(), values);
                self.keep()?;
            }
            Err(error) => self.told.push(format!("warning: {}", error_chain(&error))),
        }
        let (said, made) = self.make(&self.effective())?;
        Ok((said, code.max(made)))
    }

    /// Keeps what a source gave, unless it does not count: then it is asked again at the next start, when somebody may have
    /// mended it.
    fn take(&mut self, source: Source, place: &str, bytes: &[u8]) -> Result<u8, Failed> {
        let values = match parse(bytes) {
            Ok(values) => values,
            Err(error) => {
                self.told.push(format!("error: {place}: {}", error_chain(&error)));
                return Ok(NOT_SO);
            }
        };
        self.given.kept.given.insert(source.name().to_owned(), values);
        let refused = self.effective().refused(source.name(), self.image.unknown);
        if !refused.is_empty() {
            self.given.kept.given.remove(source.name());
            self.told.extend(refused.iter().map(|line| format!("error: {line}")));
            return Ok(NOT_SO);
        }
        self.keep()?;
        self.told.push(format!("settings taken from {place}"));
        Ok(0)
    }

    /// The values that count.
    pub fn values(&self) -> Value {
        self.effective().values
    }

    fn get(&self, path: Option<&str>) -> Result<Done, Failed> {
        let values = self.values();
        let names = path.map(key).unwrap_or_default();
        let Some(found) = values.at(names.iter().map(String::as_str)) else {
            return Err(Failed { message: format!("`{}` is not set", path.unwrap_or_default()), code: NOT_SO });
        };
        let text = serde_json::to_string_pretty(found).map_err(|error| cannot(&error))?;
        Ok((format!("{text}\n"), 0))
    }

    /// Changes settings, or nothing: a value that is wrong, or of a key that there is not, changes none.
    pub fn set(&mut self, values: Value) -> Result<Done, Failed> {
        let before = self.given.kept.changes.clone();
        let unknown = check(KEYS, &values).unknown;
        self.given.kept.changes = before.overlaid(values);
        let found = self.effective();
        let refused = match unknown.is_empty() {
            // Keys that another version has kept are no mistake of whoever changes something now.
            true => found.refused(CHANGES, OnUnknown::Warn),
            false => unknown.iter().map(ToString::to_string).collect(),
        };
        if !refused.is_empty() {
            return Err(Failed { message: refused.join("\nerror: "), code: USAGE });
        }
        // What follows from them is tried before they are kept.
        Made::of(&self.image, &found.values, &self.files).map_err(|error| cannot(&error))?;
        self.keep()?;
        self.make(&found)
    }

    fn effective(&self) -> Effective {
        effective(&self.image, &self.given.layers(&self.image.sources))
    }

    fn keep(&self) -> Result<(), Failed> {
        let (path, bytes) = self.given.file().map_err(|error| cannot(&error))?;
        let kept = settings::Files::write(&mut Changing, path, &bytes, 0o600);
        kept.map_err(|error| Failed { message: format!("`{path}` cannot be written: {error}"), code: CANNOT })
    }

    /// Makes the files of the values that count anew where they are not as they should be.
    pub fn apply(&mut self) -> Result<Done, Failed> {
        self.make(&self.effective())
    }

    /// Makes the files of the values that count, and starts anew what reads them.
    fn make(&mut self, found: &Effective) -> Result<Done, Failed> {
        self.told.extend(found.told().iter().map(|line| format!("warning: {line}")));
        let made = Made::of(&self.image, &found.values, &self.files).map_err(|error| cannot(&error))?;
        if made.is_change() {
            made.make(&mut Changing).map_err(|error| cannot(&error))?;
            restart(&made)?;
        }
        Ok((String::new(), if found.is_whole { 0 } else { NOT_SO }))
    }
}

/// Starts anew what reads files that changed, if it runs. Whoever starts later reads them then.
fn restart(made: &Made) -> Result<(), Failed> {
    if made.is_of_systemd() {
        systemctl(&["daemon-reload"])?;
    }
    if made.restart.is_empty() {
        return Ok(());
    }
    let mut words = vec!["--no-block", "try-restart"];
    words.extend(made.restart.iter().map(String::as_str));
    systemctl(&words)
}

/// Asks systemd, by its own program.
pub(super) fn systemctl(words: &[&str]) -> Result<(), Failed> {
    let words: Vec<&str> = std::iter::once("/usr/bin/systemctl").chain(words.iter().copied()).collect();
    super::ends_well(&words).map_err(|message| Failed { message, code: CANNOT })
}

/// A document, or standard input for `-`.
fn document(file: &str) -> Result<Vec<u8>, Failed> {
    let failed = |error: io::Error| Failed { message: format!("`{file}` cannot be read: {error}"), code: USAGE };
    let mut bytes = Vec::new();
    let limit = MAX_SETTINGS as u64 + 1;
    let read = match file {
        "-" => io::stdin().take(limit).read_to_end(&mut bytes),
        path => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.map(|_| bytes).map_err(failed)
}

/// Changes on the machine that runs.
pub(super) struct Changing;

impl settings::Files for Changing {
    fn write(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        brc_linux::write_whole(Path::new(path), bytes, mode)
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}
