//! What a stored thing *is*: digests, relative paths, trees and their canonical archive; and what it comes in.
//!
//! *Takes* bytes and names. *Gives* `Digest`, `RelPath`, `Url`, `Tree`, decompressed streams, and whether a text
//! is a name at AWS. *Promises*: equal
//! content has equal digests on every machine; a `RelPath` cannot leave the folder it is joined to; no tree is larger
//! or deeper than one that can be read back; a stranger's archive is read within limits. *Does not know*
//! where anything is kept (`store`) or what it is for (`plan`).

pub mod ar;
mod archive;
pub mod aws_name;
mod compression;
mod count;
mod date;
mod difference;
mod digest;
mod encoding;
mod fault;
mod glob;
mod limits;
mod links;
mod merge;
mod path;
mod pax;
pub mod tar_reader;
mod tree;
mod url;

pub use archive::{ArchiveError, write_archive};
pub use compression::Compression;
pub use count::{bytes, counted};
pub use date::{DAY_SECONDS, FIXED_TIME, MONTHS, civil_date, date_text, days_since_1970, parse_date, parse_rfc5322};
pub use difference::{Difference, Differs, differences};
pub use digest::{Digest, DigestHasher, ParseDigestError, Sha256, Sha256Hasher};
pub use encoding::{DecodeError, EncodedTree};
pub use fault::Fault;
pub use glob::{Glob, GlobError};
pub use links::{Endless, FolderLinks};
pub use merge::{Conflict, Disagreement, Layer, merge};
pub(crate) use path::rel_path;
pub use path::{OneLine, RelPath, RelPathError};
pub use tree::{Entry, Metadata, Tree, TreeError};
pub use url::Url;
