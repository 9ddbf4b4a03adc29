//! The source among the inputs of a command.

use super::target::BUILD_FOLDER;
use crate::{
    content::rel_path,
    plan::{Input, Source},
};

/// The same inputs with another source; it is the last one, so that nothing else tells where it came from.
pub(super) fn with_source(inputs: &[Input<Source>], tree: Source) -> Vec<Input<Source>> {
    let source = Input { owner: "source".to_owned(), tree, at: rel_path!(BUILD_FOLDER) };
    inputs.iter().filter(|input| input.at != source.at).cloned().chain([source.clone()]).collect()
}
