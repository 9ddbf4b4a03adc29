//! The target of a project's recipes that a command line names, and what it says together with options.

use std::path::Path;

use super::{CliError, context::Context};
use crate::{
    compose::{Project, SetGoal},
    publish::ami::{Encryption, Placement, Recipient, Target, fill},
    recipe::{AwsTarget, nearest},
};

/// The word for the newest version in the names of parameters.
const LATEST: &str = "latest";

/// A target of recipes.
pub struct PublishTarget {
    /// Its name.
    pub name: String,
    /// What it says.
    pub aws: AwsTarget,
}

impl PublishTarget {
    /// The target that is named, of the project of `recipe` or of this folder; none when none is named.
    ///
    /// # Errors
    /// Mistakes in recipes, or no such target.
    pub fn find(context: &Context, recipe: Option<&Path>, named: Option<&str>) -> Result<Option<Self>, CliError> {
        let Some(named) = named else { return Ok(None) };
        Self::of(&context.project(recipe, &SetGoal::AsLocked)?, named).map(Some)
    }

    /// The target of a project.
    ///
    /// # Errors
    /// No such target.
    pub fn of(project: &Project, named: &str) -> Result<Self, CliError> {
        let all = &project.recipes.targets;
        let own = project.recipes.sets.first().map(|set| set.name.as_str()).unwrap_or_default();
        let fits = |name: &crate::recipe::Name| name.name == named || name.to_string() == named;
        let found: Vec<_> = all.values().filter(|target| fits(&target.name)).collect();
        let found = found.iter().find(|target| target.name.set == own).or(found.first());
        if let Some(target) = found {
            return Ok(PublishTarget { name: target.name.name.clone(), aws: target.aws.clone() });
        }
        let names: Vec<String> = all.keys().map(|name| format!("`{}`", name.name)).collect();
        let known = match nearest(named, all.keys().map(|name| name.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "write `target \"…\" { aws { regions \"…\" } }` into a recipe".to_owned(),
            None => format!("there is {}", names.join(", ")),
        };
        Err(CliError::Usage(format!("there is no target `{named}` in these recipes: {known}")))
    }

    /// The regions, the first one apart.
    pub fn regions(&self) -> Vec<String> {
        self.aws.regions.iter().map(|region| region.value.clone()).collect()
    }

    /// The role that publishes.
    pub fn role(&self) -> Option<&str> {
        self.aws.role.as_ref().map(|role| role.value.as_str())
    }

    /// Where an image of these regions goes, the first of which is home.
    ///
    /// # Errors
    /// A parameter that would have a name which cannot be.
    pub fn placement(&self, image: &Target) -> Result<Placement, CliError> {
        let mut parameters: Vec<String> = Vec::new();
        for pattern in &self.aws.ssm {
            let newest = pattern.value.replace("{version}", LATEST);
            let patterns = [Some(&pattern.value), Some(&newest).filter(|newest| **newest != pattern.value)];
            for text in patterns.into_iter().flatten() {
                let wrong = |problem| CliError::Usage(format!("`ssm \"{text}\"` of `{}`: {problem}", self.name));
                parameters.push(fill(text, image).map_err(wrong)?);
            }
        }
        let key = |key: &crate::recipe::Encrypt| key.kms_key.as_ref().map(|key| key.value.clone());
        let share = self.aws.share.iter().flat_map(|share| {
            let of = |text: &Option<crate::recipe::Spanned<String>>, kind: fn(String) -> Recipient| {
                text.as_ref().map(|text| kind(text.value.clone()))
            };
            let account = of(&share.account, Recipient::Account);
            let organization = of(&share.organization, Recipient::Organization);
            [account, organization, of(&share.unit, Recipient::Unit)].into_iter().flatten()
        });
        Ok(Placement {
            label: Some(self.name.clone()),
            copies: self.regions().split_off(1),
            encryption: self.aws.encrypt.as_ref().map(|encrypt| Encryption { key: key(encrypt) }),
            share: share.collect(),
            parameters,
            deprecate_days: self.aws.deprecate_after.map(|after| after.days.value),
        })
    }

    /// What no AMI can say of this target.
    pub fn note(&self) -> Option<String> {
        let hops = self.aws.hop_limit.filter(|hops| hops.value != 2)?.value;
        Some(format!(
            "note: an AMI cannot carry `hop-limit {hops}`: instances have 2 unless whoever starts them says \
             `httpPutResponseHopLimit: {hops}` (metadata options of a launch template, Karpenter's EC2NodeClass)"
        ))
    }
}
