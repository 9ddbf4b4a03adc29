//! Words of the kernel's command line that recipes may add.

use brc_contract::command_line::{self, VERIFIED_ROOT};

use super::{
    Code, Spanned,
    decode::{Cursor, Reader},
};

/// What brc itself says, or what would lead past it: another root, another first program, another identity. The words
/// of [`VERIFIED_ROOT`] are brc's too.
const RESERVED: [&str; 11] = [
    "rootflags",
    "rootdelay",
    "rw",
    "init",
    "rdinit",
    "initrd",
    "noinitrd",
    "systemd.machine-id",
    "systemd.firstboot",
    // What follows it is for the first program alone.
    "--",
    "roothash",
];
/// What begins the words of the device mapper, with which the root is verified.
const DEVICE_MAPPER: [&str; 2] = ["dm-mod.", "dm-verity."];
/// What keeps parts of the kernel from starting, and the parts that the root rests on.
const BLACKLISTS: [&str; 2] = ["module-blacklist", "initcall-blacklist"];
const NEEDED: [&str; 4] = ["dm-mod", "dm-verity", "dm-bufio", "erofs"];

/// One word that is added to the kernel's command line.
pub(super) fn kernel_argument(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Spanned<String>> {
    let word = one_word(reader, cursor)?;
    if is_reserved(&word) {
        let message = format!("`{}` is brc's own to say: that the image boots rests on it", written(&word));
        reader.error(Code::ReservedArgument, word.span, message, "leave it out");
        return None;
    }
    Some(word)
}

/// A word, or its name, that is taken away again.
pub(super) fn removed_argument(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Spanned<String>> {
    let word = one_word(reader, cursor)?;
    if is_reserved(&word) {
        let message = format!("`{}` is brc's own to say, and stays: that the image boots rests on it", written(&word));
        reader.error(Code::ReservedArgument, word.span, message, "leave it out");
        return None;
    }
    Some(word)
}

fn one_word(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Spanned<String>> {
    let word = cursor.text(reader, "a word of the kernel's command line")?;
    if reader.no_braces(&word, "`kernel-arg`") || reader.has_control_character(&word, "a word of a command line") {
        return None;
    }
    let quoted_right = word.matches('"').count() % 2 == 0;
    let spaces = word.split('"').step_by(2).any(|part| part.contains(char::is_whitespace));
    if word.is_empty() || spaces || !quoted_right {
        let message = format!("`{}` is not one word of a command line", word.value);
        reader.error(Code::BadValue, word.span, message, "write one `kernel-arg` for each word");
        return None;
    }
    if !word.is_ascii() {
        let message =
            format!("`{}` has a letter outside of ASCII, of whose bytes the kernel takes some for a space", word.value);
        reader.error(Code::BadValue, word.span, message, "write ASCII");
        return None;
    }
    if word.contains(['{', '}']) {
        let message = format!("`{}` has a brace, which brc fills with what it knows of the root", word.value);
        reader.error(Code::BadValue, word.span, message, "leave it out");
        return None;
    }
    Some(word)
}

/// What stands before the `=` of a word, without quotes.
fn written(word: &str) -> String {
    word.split('=').next().unwrap_or_default().replace('"', "")
}

/// What a word is about, as the kernel compares it: in names `_` is `-`.
fn name(word: &str) -> String {
    written(word).replace('_', "-")
}

fn is_reserved(word: &str) -> bool {
    let name = name(word);
    let own = command_line::words(VERIFIED_ROOT);
    let stops_what_is_needed = || {
        let value = word.split_once('=').map(|(_, value)| value.replace('_', "-")).unwrap_or_default();
        value.split(',').any(|part| NEEDED.iter().any(|needed| part.starts_with(needed)))
    };
    DEVICE_MAPPER.iter().any(|prefix| name.starts_with(prefix))
        || (BLACKLISTS.contains(&name.as_str()) && stops_what_is_needed())
        || RESERVED.contains(&name.as_str())
        || own.iter().any(|own| self::name(own) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_the_verified_root_is_taken_from_a_recipe_however_it_is_written() {
        for word in [
            "root=/dev/sda",
            "\"root=/dev/sda\"",
            "rootfstype=ext4",
            "ro",
            "rw",
            "rootwait",
            "gpt",
            "panic=0",
            "panic",
            "dm-mod.create=x",
            "dm_mod.create=x",
            "dm-mod.waitfor=x",
            "init=/bin/sh",
            "systemd.machine_id=1",
            "--",
            "dm_verity.require_signatures=1",
            "module_blacklist=nouveau,dm_verity",
            "initcall_blacklist=erofs_module_init",
        ] {
            assert!(is_reserved(word), "{word}");
        }
        for word in [
            "console=ttyS0",
            "rootless",
            "panic_on_warn=1",
            "systemd.unit=x",
            "quiet",
            "module_blacklist=nouveau,my_erofs",
        ] {
            assert!(!is_reserved(word), "{word}");
        }
    }
}
