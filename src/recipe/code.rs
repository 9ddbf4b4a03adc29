//! The kinds of mistakes, each with a bad recipe in `tests/data/bad`.

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        $($(#[doc = $doc])* pub(super) const $name: &str = $text;)*

        /// Every code of this room.
        #[cfg(test)]
        pub(super) const ALL: &[&str] = &[$($text),*];
    };
}

codes! {
    // What the text itself has wrong.
    SYNTAX = "syntax";
    UNTERMINATED_STRING = "unterminated-string";
    UNTERMINATED_COMMENT = "unterminated-comment";
    UNCLOSED_BLOCK = "unclosed-block";
    STRAY_BRACE = "stray-brace";
    UNKNOWN_ESCAPE = "unknown-escape";
    OLD_RAW_STRING = "old-raw-string";
    BARE_BOOLEAN = "bare-boolean";
    NOT_EQUALS = "not-equals";
    LEADING_ZERO = "leading-zero";
    UNQUOTED_VALUE = "unquoted-value";
    UNQUOTED_PATH = "unquoted-path";
    UNQUOTED_BRACES = "unquoted-braces";
    NOT_UTF8 = "not-utf8";
    TOO_LARGE = "too-large";
    TOO_DEEP = "too-deep";
    TOO_MANY_NODES = "too-many-nodes";
    TYPE_ANNOTATION = "type-annotation";

    // Words and values of nodes.
    UNKNOWN_NODE = "unknown-node";
    MISPLACED_NODE = "misplaced-node";
    NOT_YET = "not-yet";
    UNKNOWN_PROPERTY = "unknown-property";
    REPEATED_PROPERTY = "repeated-property";
    REPEATED_NODE = "repeated-node";
    SEVERAL_SOURCES = "several-sources";
    PROPERTY_FOR_ARGUMENT = "property-for-argument";
    MISSING_ARGUMENT = "missing-argument";
    MISSING_PROPERTY = "missing-property";
    MISSING_NODE = "missing-node";
    EXTRA_ARGUMENT = "extra-argument";
    UNEXPECTED_BLOCK = "unexpected-block";
    WRONG_TYPE = "wrong-type";
    NUMBER_FOR_TEXT = "number-for-text";
    DECIMAL_MODE = "decimal-mode";
    BAD_VALUE = "bad-value";
    BAD_NAME = "bad-name";
    BAD_VERSION = "bad-version";
    BAD_LICENSE = "bad-license";
    BAD_PATH = "bad-path";
    BAD_GLOB = "bad-glob";
    BAD_URL = "bad-url";
    BAD_DIGEST = "bad-digest";
    BAD_SIZE = "bad-size";
    BAD_TEMPLATE = "bad-template";
    BRACES_NOT_FILLED = "braces-not-filled";
    CONTENT_TWICE = "content-twice";
    HIDDEN_PATH = "hidden-path";
    RESERVED_ARGUMENT = "reserved-argument";

    // Conditions.
    BAD_CONDITION = "bad-condition";
    OTHERWISE_WITHOUT_WHEN = "otherwise-without-when";
    UNCONDITIONAL = "unconditional";
    UNKNOWN_FEATURE = "unknown-feature";
    UNREACHABLE = "unreachable";

    // Between recipes.
    DUPLICATE_NAME = "duplicate-name";
    UNKNOWN_NAME = "unknown-name";
    AMBIGUOUS_NAME = "ambiguous-name";
    WRONG_KIND = "wrong-kind";
    CYCLE = "cycle";
    OVERRIDE_WITHOUT_CHANGE = "override-without-change";
    IMPOSSIBLE_LAYOUT = "impossible-layout";

    // Files and sets.
    MISSING_FILE = "missing-file";
    OUTSIDE_PROJECT = "outside-project";
    GLOB_WITHOUT_MATCH = "glob-without-match";
    FILE_IN_TWO_SETS = "file-in-two-sets";
    SET_NAME = "set-name";
    SET_IMPORTS = "set-imports";
    NEWER_BRC = "newer-brc";
}
