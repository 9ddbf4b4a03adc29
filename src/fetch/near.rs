//! Names like one that is not there.

use std::cmp::Reverse;

/// So many are told.
const MOST: usize = 3;

/// Those of some names that are most like one. They come from a server, and people read them.
pub(super) fn nearest(wanted: &str, mut names: Vec<&str>) -> Vec<String> {
    // Of equally near ones those that sort last: the newest of versions.
    names.sort_by_cached_key(|name| (strsim::osa_distance(wanted, name), Reverse((*name).to_owned())));
    names.into_iter().take(MOST).map(|name| name.escape_debug().to_string()).collect()
}
