//! What the command line asks for.

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt as _,
};

/// Where the machine listens.
const SOCKET: &str = "/run/api.sock";

/// What is asked for, and whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The socket.
    pub socket: String,
    /// What.
    pub order: Order,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Settings and what runs, at these keys.
    Get { keys: Vec<String> },
    /// Settings are changed: pairs of a key and a text, or JSON.
    Set { pairs: Vec<(String, String)>, json: Option<String> },
    /// Settings of these documents are changed; none is standard input.
    Apply { places: Vec<String> },
    /// The repository is asked.
    UpdateCheck,
    /// An update is written, and started when that is wanted.
    UpdateApply { checks: bool, reboots: bool },
    /// An update that was written is given up.
    UpdateCancel,
    /// The machine starts again.
    Reboot,
    /// A program is run in a container of the host.
    Exec { container: String, words: Vec<String> },
    /// Disks that live no longer than the machine become one file system.
    Init { file_system: Option<String>, disks: Vec<String> },
    /// Folders lie on it from now on.
    Bind { folders: Vec<String> },
    /// What there is: `list-disks` or `list-dirs`.
    List { what: String },
    /// One call.
    Raw { uri: String, method: String, data: Option<String> },
    /// The text that helps.
    Help,
    /// The version.
    Version,
}

const VERBS: &str = "`get`, `set`, `apply`, `update`, `reboot`, `exec`, `ephemeral-storage` or `raw`";

/// Reads a command line.
///
/// # Errors
/// One that asks for nothing there is.
pub fn read(mut arguments: lexopt::Parser) -> Result<Asked, lexopt::Error> {
    let mut socket = SOCKET.to_owned();
    let order = loop {
        match arguments.next()? {
            Some(Short('h') | Long("help")) => break Order::Help,
            Some(Short('V') | Long("version")) => break Order::Version,
            Some(Short('s') | Long("socket-path")) => socket = arguments.value()?.string()?,
            // Others are more or less talkative; this one says what there is to say.
            Some(Short('v' | 'q') | Long("verbose" | "quiet")) => {}
            Some(Long("log-level")) => drop(arguments.value()?),
            Some(Value(verb)) => break of_verb(&verb.string()?, &mut arguments)?,
            Some(other) => return Err(other.unexpected()),
            None => return Err(format!("no verb: expected {VERBS}").into()),
        }
    };
    Ok(Asked { socket, order })
}

fn of_verb(verb: &str, arguments: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    match verb {
        "get" => words(arguments).map(|keys| Order::Get { keys }),
        "apply" => words(arguments).map(|places| Order::Apply { places }),
        "set" => set(arguments),
        "reboot" => match words(arguments)?.first() {
            Some(word) => Err(format!("`{word}` is one word too many").into()),
            None => Ok(Order::Reboot),
        },
        "update" => update(arguments),
        "exec" => exec(arguments),
        "ephemeral-storage" => ephemeral(arguments),
        "raw" => raw(arguments),
        verb => Err(format!("`{verb}` is no verb: expected {VERBS}").into()),
    }
}

/// The rest of the command line, without options.
fn words(arguments: &mut lexopt::Parser) -> Result<Vec<String>, lexopt::Error> {
    let mut words = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(words)
}

fn set(arguments: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    let (mut pairs, mut json) = (Vec::new(), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('j') | Long("json") => json = Some(arguments.value()?.string()?),
            Value(word) => {
                let word = word.string()?;
                let Some((key, value)) = divided(&word) else {
                    return Err(format!("`{word}` sets nothing: expected KEY=VALUE").into());
                };
                pairs.push((key.to_owned(), value.to_owned()));
            }
            other => return Err(other.unexpected()),
        }
    }
    match (pairs.is_empty(), &json) {
        (true, None) => Err("nothing is set: expected KEY=VALUE or `--json`".into()),
        (false, Some(_)) => Err("settings come as KEY=VALUE or as `--json`, not as both".into()),
        _ => Ok(Order::Set { pairs, json }),
    }
}

/// A key, whose names may stand in quotes and have `=` there, and what it is set to.
fn divided(word: &str) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let at = word.find(|letter| {
        is_quoted ^= letter == '"';
        letter == '=' && !is_quoted
    })?;
    Some((&word[..at], &word[at + 1..]))
}

fn update(arguments: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    let (mut verb, mut checks, mut reboots) = (None, false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('c') | Long("check") => checks = true,
            Short('r') | Long("reboot") => reboots = true,
            Value(word) if verb.is_none() => verb = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match (verb.as_deref(), checks || reboots) {
        (Some("check"), false) => Ok(Order::UpdateCheck),
        (Some("cancel"), false) => Ok(Order::UpdateCancel),
        (Some("apply"), _) => Ok(Order::UpdateApply { checks, reboots }),
        (Some("check" | "cancel"), true) => Err("`--check` and `--reboot` are for `update apply`".into()),
        _ => Err("expected `update` with `check`, `apply` or `cancel`".into()),
    }
}

fn exec(arguments: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    let container = loop {
        match arguments.next()? {
            // There is no terminal on the way, whether one is asked for or not.
            Some(Short('t' | 'T') | Long("tty" | "no-tty")) => {}
            Some(Value(word)) => break word.string()?,
            Some(other) => return Err(other.unexpected()),
            None => return Err("expected `exec` with a container and a program".into()),
        }
    };
    let words = arguments.raw_args()?.map(|word| word.string()).collect::<Result<Vec<_>, _>>()?;
    let words: Vec<String> = match words.split_first() {
        Some((first, rest)) if first == "--" => rest.to_vec(),
        _ => words,
    };
    if words.is_empty() {
        Err("expected a program after the container".into())
    } else {
        Ok(Order::Exec { container, words })
    }
}

fn ephemeral(arguments: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    let (mut verb, mut file_system, mut disks, mut folders) = (None, None, Vec::new(), Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('t') | Long("filesystem") => file_system = Some(arguments.value()?.string()?),
            Long("disks") => disks.extend(values(arguments)?),
            Long("dirs") => folders.extend(values(arguments)?),
            Value(word) if verb.is_none() => verb = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match verb.as_deref() {
        Some("init") if folders.is_empty() => Ok(Order::Init { file_system, disks }),
        Some("bind") if file_system.is_none() && disks.is_empty() => Ok(Order::Bind { folders }),
        Some(what @ ("list-disks" | "list-dirs")) => Ok(Order::List { what: what.to_owned() }),
        _ => Err("expected `ephemeral-storage` with `init [-t FILESYSTEM] [--disks DISK…]`, `bind [--dirs FOLDER…]`, \
                  `list-disks` or `list-dirs`"
            .into()),
    }
}

fn values(arguments: &mut lexopt::Parser) -> Result<Vec<String>, lexopt::Error> {
    arguments.values()?.map(|value| value.string()).collect()
}

fn raw(arguments: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    let (mut uri, mut method, mut data) = (None, "GET".to_owned(), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('u') | Long("uri") => uri = Some(arguments.value()?.string()?),
            Short('m' | 'X') | Long("method") => method = arguments.value()?.string()?,
            Short('d') | Long("data") => data = Some(arguments.value()?.string()?),
            Short('v') | Long("verbose") => {}
            other => return Err(other.unexpected()),
        }
    }
    match uri {
        Some(uri) => Ok(Order::Raw { uri, method, data }),
        None => Err("expected `raw` with `--uri`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order, String> {
        let words = line.split_whitespace();
        read(lexopt::Parser::from_args(words)).map(|asked| asked.order).map_err(|error| error.to_string())
    }

    fn texts(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_others_write_is_understood() {
        let text = |text: &str| text.to_owned();
        for (line, expected) in [
            ("get settings.motd os", Order::Get { keys: texts("settings.motd os") }),
            ("set motd=a=b", Order::Set { pairs: vec![(text("motd"), text("a=b"))], json: None }),
            (
                "set kubernetes.node-labels.\"a=b\"=c",
                Order::Set { pairs: vec![(text("kubernetes.node-labels.\"a=b\""), text("c"))], json: None },
            ),
            ("set --json {}", Order::Set { pairs: vec![], json: Some(text("{}")) }),
            ("apply", Order::Apply { places: vec![] }),
            ("apply - file:///a", Order::Apply { places: texts("- file:///a") }),
            ("update check", Order::UpdateCheck),
            ("update apply --check --reboot", Order::UpdateApply { checks: true, reboots: true }),
            ("update cancel", Order::UpdateCancel),
            ("reboot", Order::Reboot),
            ("exec -t admin bash -c ls", Order::Exec { container: text("admin"), words: texts("bash -c ls") }),
            ("exec admin -- ls -l", Order::Exec { container: text("admin"), words: texts("ls -l") }),
            // As Karpenter writes it, before and since Bottlerocket 1.46.
            ("ephemeral-storage init", Order::Init { file_system: None, disks: vec![] }),
            (
                "ephemeral-storage bind --dirs /var/lib/containerd /var/lib/kubelet /var/log/pods",
                Order::Bind { folders: texts("/var/lib/containerd /var/lib/kubelet /var/log/pods") },
            ),
            ("ephemeral-storage bind", Order::Bind { folders: vec![] }),
            (
                "ephemeral-storage init -t ext4 --disks /dev/a /dev/b",
                Order::Init { file_system: Some(text("ext4")), disks: texts("/dev/a /dev/b") },
            ),
            ("ephemeral-storage list-disks", Order::List { what: text("list-disks") }),
            (
                "--log-level warn raw -m POST -u /actions/reboot",
                Order::Raw { uri: text("/actions/reboot"), method: text("POST"), data: None },
            ),
        ] {
            assert_eq!(order(line), Ok(expected), "{line}");
        }
        let asked = read(lexopt::Parser::from_args(["--socket-path", "/a", "reboot"])).unwrap();
        assert_eq!(asked.socket, "/a");
    }

    #[test]
    fn what_asks_for_nothing_there_is_is_told() {
        for (line, why) in [
            ("", "no verb"),
            ("report cis", "`report` is no verb"),
            ("set motd", "`motd` sets nothing"),
            ("set", "nothing is set"),
            ("set a=b --json {}", "settings come as KEY=VALUE or as `--json`"),
            ("update", "expected `update` with"),
            ("update check --reboot", "`--check` and `--reboot` are for"),
            ("reboot now", "`now` is one word too many"),
            ("exec admin", "expected a program"),
            ("ephemeral-storage bind -t ext4", "expected `ephemeral-storage` with"),
            ("raw -m GET", "expected `raw` with `--uri`"),
            ("get --all", "invalid option '--all'"),
        ] {
            let told = order(line).unwrap_err();
            assert!(told.starts_with(why), "{line}: {told}");
        }
    }
}
