//! The settings of a machine: which there are, what each may be, and how they come together.
//!
//! *Takes* values as somebody wrote them: a recipe, user data, a call. *Gives* the values that count, with every mistake
//! at once. *Promises*: [`KEYS`] is the one place where a setting is stated; the composer, the machine and the reference
//! page read it. *Does not know* TOML or JSON, where values come from, nor what is done with them.

mod check;
mod container;
mod form;
#[cfg(feature = "serde")]
mod image;
mod keys;
mod kubernetes;
mod schema;
#[cfg(feature = "templates")]
pub mod template;
mod value;
mod view;

pub use check::{Checked, Hint, Mistake, UnknownKey, check, incomplete};
pub use form::Form;
#[cfg(feature = "serde")]
pub use image::{IMAGE_SETTINGS_VERSION, ImageSettings, OnUnknown, Source, TemplateEntry};
pub use keys::{KEYS, LATER, Later};
pub use schema::{Key, Kind, Need, find};
pub use value::{MAX_DEPTH, Value};
pub use view::{sample, sparse, view};

/// The version of the settings as a machine keeps them.
pub const SETTINGS_VERSION: u32 = 1;
/// The most bytes of settings that are read at once: TOML or JSON, unpacked.
pub const MAX_SETTINGS: usize = 1 << 20;
