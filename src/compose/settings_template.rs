//! Templates for settings, tried before anything is built.

use brc_contract::settings::{KEYS, template};

use super::{ComposeError, Project, beneath::is_missing};
use crate::{
    graph::{Flat, made_files},
    recipe::{Code, Content, Diagnostic, MadeFile, Span},
};

impl Project {
    /// What is wrong with the templates of an image: each is tried with all settings there are, and with none.
    ///
    /// # Errors
    /// A template that cannot be read.
    pub(super) fn wrong_templates(&self, flat: &Flat) -> Result<Vec<Diagnostic>, ComposeError> {
        let mut found = Vec::new();
        for (version, made) in made_files(flat) {
            let Some((name, bytes, span)) = self.template(flat, version, made)? else { continue };
            let problem = |what: String| {
                let message = format!("{name} cannot make `{}`: {what}", made.to.value);
                let help = "docs/reference/settings.md has all settings; a template writes `_` for their `-`";
                Diagnostic::error(Code::BadSettingsTemplate, span, message).help(help)
            };
            match String::from_utf8(bytes) {
                Ok(text) => {
                    let errors = template::try_out(&text, KEYS, made.is_folder()).err().unwrap_or_default();
                    found.extend(errors.iter().map(|error| problem(error.to_string())));
                }
                Err(_) => found.push(problem("it is not UTF-8".to_owned())),
            }
        }
        Ok(found)
    }

    /// What a template is called, what it holds, and where it is stated. One whose file is not there is told elsewhere.
    fn template(
        &self,
        flat: &Flat,
        version: Option<&str>,
        made: &MadeFile,
    ) -> Result<Option<(String, Vec<u8>, Span)>, ComposeError> {
        let local = match &made.content {
            Content::Text(text) => {
                return Ok(Some(("this template".to_owned(), text.value.clone().into_bytes(), text.span)));
            }
            Content::From(local) => local,
        };
        let Some(path) = local.fill(|brace| flat.brace(version, brace)) else { return Ok(None) };
        match self.read_file(path.as_str(), template::MAX_TEMPLATE as u64) {
            Ok(bytes) => Ok(Some((format!("template `{path}`"), bytes, local.span))),
            Err(ComposeError::Read { source, .. }) if is_missing(&source) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
