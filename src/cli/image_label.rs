//! Which image something is about, as lines of JSON say it.

use super::json;
use crate::release::Label;

/// The label of an image as an object.
pub fn label_object(label: &Label) -> json::ImageLabel {
    let Label { image, version, architecture } = label.clone();
    json::ImageLabel { image, version, architecture }
}
