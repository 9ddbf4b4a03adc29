//! The kernel command line: its words, and those that find the verified root.
//!
//! Source: Linux, `Documentation/admin-guide/kernel-parameters.rst`, `device-mapper/dm-init.rst`, `verity.rst`.

/// The longest command line, in bytes without the NUL: the smallest limit of the architectures (x86, arm64: 2048).
pub const MAX_BYTES: usize = 2047;

/// What stands for the root partition: `PARTUUID=…`.
pub const ROOT_PARTITION: &str = "{root-partition}";
/// What stands for the hash partition: `PARTUUID=…`.
pub const HASH_PARTITION: &str = "{hash-partition}";
/// What stands for the size of the verified data in 512-byte sectors.
pub const SECTORS: &str = "{sectors}";
/// What stands for the size of the verified data in 4096-byte blocks.
pub const BLOCKS: &str = "{blocks}";
/// What stands for the root hash, 64 hexadecimal digits.
pub const ROOT_HASH: &str = "{root-hash}";
/// What stands for the salt, in hexadecimal digits.
pub const SALT: &str = "{salt}";

/// The words that make the kernel find both partitions by identity, verify the root and restart when it is
/// damaged; an image without an initramfs needs no more. The backup partition table is tried only with `gpt`.
pub const VERIFIED_ROOT: &str = concat!(
    "root=/dev/dm-0 rootfstype=erofs ro rootwait gpt panic=10 ",
    "dm-mod.create=\"root,,,ro,0 {sectors} verity 1 {root-partition} {hash-partition} 4096 4096 {blocks} 1 sha256 ",
    "{root-hash} {salt} 1 restart_on_corruption\" ",
    "dm-mod.waitfor={root-partition},{hash-partition}"
);

/// The words of a command line: separated by blanks, which a pair of `"` protects; the quotes are dropped.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut in_quotes = false;
    for character in line.chars() {
        match character {
            '"' => {
                in_quotes = !in_quotes;
                word.get_or_insert_default();
            }
            blank if blank.is_ascii_whitespace() && !in_quotes => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The value of the last word `NAME=VALUE`; in names `-` and `_` are the same to the kernel.
pub fn value<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let same = |a: &str, b: &str| a.replace('-', "_") == b.replace('-', "_");
    words.iter().rev().filter_map(|word| word.split_once('=')).find(|(key, _)| same(key, name)).map(|(_, value)| value)
}

/// The device that a `dm-mod.create=` word makes: read-only, over one dm-verity table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerityDevice {
    /// Its name for device-mapper.
    pub name: String,
    /// What it is made of.
    pub table: VerityTable,
}

impl VerityDevice {
    /// Reads the value of `dm-mod.create=`: `NAME,,,ro,TABLE`, as [`VERIFIED_ROOT`] has it; `None` for anything else.
    pub fn parse(create: &str) -> Option<Self> {
        let fields: Vec<&str> = create.splitn(5, ',').collect();
        let [name, "", "", "ro", _] = fields[..] else {
            return None;
        };
        let fits = !name.is_empty() && !name.contains('/');
        VerityTable::parse(create).filter(|_| fits).map(|table| VerityDevice { name: name.to_owned(), table })
    }
}

/// The dm-verity table of a `dm-mod.create=` word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerityTable {
    /// The size of the device in 512-byte sectors.
    pub sectors: u64,
    /// The device with the data: `PARTUUID=…`.
    pub data_device: String,
    /// The device with the hash tree.
    pub hash_device: String,
    /// The size of the data in blocks of 4096 bytes.
    pub data_blocks: u64,
    /// The block of the hash device at which the tree starts.
    pub hash_start: u64,
    /// The root hash in hexadecimal digits.
    pub root_hash: String,
    /// The salt in hexadecimal digits, or `-`.
    pub salt: String,
    /// What follows the number of optional words.
    pub options: Vec<String>,
}

impl VerityTable {
    /// Reads the table of a `dm-mod.create=` value `NAME,UUID,MINOR,FLAGS,TABLE` with a single `verity` target over
    /// SHA-256 and blocks of 4096 bytes; `None` for anything else.
    pub fn parse(create: &str) -> Option<Self> {
        let table = create.splitn(5, ',').nth(4)?;
        let (start, rest) = table.trim_start().split_once(' ')?;
        let (sectors, rest) = rest.trim_start().split_once(' ')?;
        let (target, parameters) = rest.trim_start().split_once(' ')?;
        let is_verity = (start, target) == ("0", "verity");
        Self::of_target(sectors.parse().ok()?, parameters).filter(|_| is_verity)
    }

    /// Reads the parameters of a `verity` target that begins at sector 0, as the kernel takes them and gives them
    /// back: with numbers `MAJOR:MINOR` in place of names.
    pub fn of_target(sectors: u64, parameters: &str) -> Option<Self> {
        let mut fields = parameters.split_ascii_whitespace();
        let mut next = || fields.next();
        let version = next()?;
        let (data_device, hash_device) = (next()?.to_owned(), next()?.to_owned());
        let (data_block, hash_block) = (next()?, next()?);
        let (data_blocks, hash_start) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let (algorithm, root_hash, salt) = (next()?, next()?.to_owned(), next()?.to_owned());
        if [version, data_block, hash_block, algorithm] != ["1", "4096", "4096", "sha256"] {
            return None;
        }
        let announced: usize = next().map_or(Some(0), |count| count.parse().ok())?;
        let options: Vec<String> = fields.map(str::to_owned).collect();
        (options.len() == announced).then_some(VerityTable {
            sectors,
            data_device,
            hash_device,
            data_blocks,
            hash_start,
            root_hash,
            salt,
            options,
        })
    }

    /// The parameters of the `verity` target: what [`VerityTable::of_target`] reads.
    pub fn parameters(&self) -> String {
        let VerityTable { data_device, hash_device, data_blocks, hash_start, root_hash, salt, options, .. } = self;
        let fixed = format!(
            "1 {data_device} {hash_device} 4096 4096 {data_blocks} {hash_start} sha256 {root_hash} {salt} {}",
            options.len()
        );
        options.iter().fold(fixed, |text, option| text + " " + option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_protect_blanks_and_are_dropped() {
        assert_eq!(words(" a  b=\"c d\" \"e f\" "), ["a", "b=c d", "e f"]);
        let line = words("dm_mod.create=1 dm-mod.create=\"2 3\"");
        assert_eq!(value(&line, "dm-mod.create"), Some("2 3"));
        assert_eq!(value(&line, "root"), None);
    }

    #[test]
    fn the_verified_root_is_read_back() {
        let filled = VERIFIED_ROOT
            .replace(ROOT_PARTITION, "PARTUUID=a")
            .replace(HASH_PARTITION, "PARTUUID=b")
            .replace(SECTORS, "80")
            .replace(BLOCKS, "10")
            .replace(ROOT_HASH, "ff")
            .replace(SALT, "00");
        assert!(!filled.contains('{'));
        let words = words(&filled);
        let table = VerityTable::parse(value(&words, "dm-mod.create").unwrap()).unwrap();
        assert_eq!((table.sectors, table.data_blocks, table.hash_start), (80, 10, 1));
        assert_eq!((table.data_device.as_str(), table.hash_device.as_str()), ("PARTUUID=a", "PARTUUID=b"));
        assert_eq!((table.root_hash.as_str(), table.salt.as_str()), ("ff", "00"));
        assert_eq!(table.options, ["restart_on_corruption"]);
        assert_eq!(VerityTable::parse("root,,,ro,0 8 linear 1 2 3"), None);
        assert_eq!(VerityTable::of_target(80, &table.parameters()), Some(table.clone()));
        let device = VerityDevice::parse(value(&words, "dm-mod.create").unwrap());
        assert_eq!(device, Some(VerityDevice { name: "root".to_owned(), table }));
    }

    #[test]
    fn only_a_read_only_device_with_a_name_is_one_for_the_root() {
        let table = "0 80 verity 1 a b 4096 4096 10 1 sha256 ff 00";
        for (head, expected) in [
            ("root,,,ro", true),
            (",,,ro", false),
            ("a/b,,,ro", false),
            ("root,,,rw", false),
            ("root,,,", false),
            ("root,,3,ro", false),
            ("root,uuid,,ro", false),
            ("root,ro", false),
        ] {
            assert_eq!(VerityDevice::parse(&format!("{head},{table}")).is_some(), expected, "{head}");
        }
        assert_eq!(VerityDevice::parse("root,,,ro,0 8 linear 1 2 3"), None);
    }
}
