//! What an organisation forbids, as its own Cedar policies: they see who acts, on whose behalf, when, and what kind of tool is called, and no arguments. Arguments are
//! bounded by invariants, where no mission can leave out the fact that a policy would need.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Effect, Entities, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use evidence::leaf::sha256_hex;
use evidence::record::{EffectClass, Rule, Tool};
use evidence::time::{Timestamp, Zone};

use super::slice::Vocabulary;
use crate::mission::{Organisation, minute_of_week};

/// What the organisation's policies see.
const SCHEMA: &str = r#"namespace Countersign {
  entity Agent;
  entity Prompt;
  entity Request;
  entity Resource;
  entity Tool;
  action "call" appliesTo {
    principal: [Agent],
    resource: [Prompt, Request, Resource, Tool],
    context: {
      "effect": String,
      "initiator": String,
      "minute": Long,
      "mission": String,
      "name": String,
      "now": Long,
      "server": String,
    },
  };
}
"#;

/// Why policies of an organisation are not taken.
#[derive(Debug, thiserror::Error)]
pub enum BoundsError {
    /// The file is not Cedar.
    #[error("`{file}` is not Cedar: {reason}")]
    Form {
        /// The file.
        file: String,
        /// What Cedar says.
        reason: String,
    },
    /// A policy that allows, or a template.
    #[error("`{file}`: `{policy}` {what}; an organisation's policies forbid, and missions allow")]
    NotAForbid {
        /// The file.
        file: String,
        /// Which.
        policy: String,
        /// What it is instead.
        what: &'static str,
    },
    /// Two policies have one name.
    #[error("`{file}`: `{policy}` is there twice; give each its own `@id`")]
    Twice {
        /// The file.
        file: String,
        /// Which.
        policy: String,
    },
    /// A policy looks at what calls do not have.
    #[error(
        "{problems}; policies see context.effect, initiator, minute (of the week, from Monday), mission, name, now (microseconds) and server; bound arguments with `[invariant.NAME.at_most]`"
    )]
    Strict {
        /// What Cedar says.
        problems: String,
    },
    /// The schema, or a name in it, is not one to Cedar: a defect of this program or of the policy engine.
    #[error("the schema of the organisation's policies: {0}")]
    Schema(String),
}

/// An organisation with its policies, ready to be asked.
pub struct Bounds {
    authorizer: Authorizer,
    organisation: Arc<Organisation>,
    policies: PolicySet,
    rules: HashMap<PolicyId, Rule>,
    sha256: Arc<str>,
    vocabulary: Vocabulary,
}

/// The only policy that allows: what is left is for missions.
const REST: &str = "permit (principal, action, resource);";

/// Compiles `organisation` with the texts of the files that it names, in their order.
///
/// # Errors
/// [`BoundsError`] names the first policy that cannot be taken.
pub fn bounds(organisation: Arc<Organisation>, files: &[(Arc<str>, String)]) -> Result<Bounds, BoundsError> {
    let schema = |error: &dyn fmt::Display| BoundsError::Schema(error.to_string());
    let mut policies = PolicySet::from_str(REST).map_err(|error| schema(&error))?;
    let mut rules = HashMap::new();
    for (file, text) in files {
        let form = |error: &dyn fmt::Display| BoundsError::Form { file: file.to_string(), reason: error.to_string() };
        let set = PolicySet::from_str(text).map_err(|error| form(&error))?;
        let refused = |policy: &PolicyId, what| BoundsError::NotAForbid {
            file: file.to_string(),
            policy: policy.to_string(),
            what,
        };
        if let Some(template) = set.templates().next() {
            return Err(refused(template.id(), "is a template"));
        }
        let line = organisation.forbids.iter().find(|(path, _)| path == file).map_or(1, |(_, line)| *line);
        // Sorted, so that the same files always give the same names.
        let mut found: Vec<&Policy> = set.policies().collect();
        found.sort_by_key(|policy| policy.id().to_string());
        for policy in found {
            if policy.effect() != Effect::Forbid {
                return Err(refused(policy.id(), "allows"));
            }
            let name = policy.annotation("id").map_or_else(|| policy.id().to_string(), ToOwned::to_owned);
            let id = PolicyId::new(format!("organisation.{file}.{name}"));
            rules.insert(id.clone(), Rule { id: id.to_string().into(), line });
            policies.add(policy.new_id(id)).map_err(|_| BoundsError::Twice { file: file.to_string(), policy: name })?;
        }
    }
    let (parsed, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| schema(&error))?;
    let result = Validator::new(parsed).validate(&policies, ValidationMode::Strict);
    if !result.validation_passed() {
        let problems: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
        return Err(BoundsError::Strict { problems: problems.join("; ") });
    }
    let vocabulary = Vocabulary::new().map_err(|error| schema(&error))?;
    let sha256 = digest(&organisation, files).into();
    Ok(Bounds { authorizer: Authorizer::new(), organisation, policies, rules, sha256, vocabulary })
}

/// The digest of the file and of all that it names: SHA-256 of what `sha256sum organisation.toml FILE...` prints.
fn digest(organisation: &Organisation, files: &[(Arc<str>, String)]) -> String {
    let line = |name: &str, text: &str| format!("{}  {name}\n", sha256_hex(text.as_bytes()));
    let mut lines = line("organisation.toml", organisation.source());
    files.iter().for_each(|(file, text)| lines.push_str(&line(file, text)));
    sha256_hex(lines.as_bytes())
}

/// A call as the organisation's policies see it.
pub(in crate::decide) struct Seen<'a> {
    pub(in crate::decide) agent: &'a str,
    pub(in crate::decide) at: Timestamp,
    pub(in crate::decide) effect: EffectClass,
    pub(in crate::decide) initiator: &'a str,
    pub(in crate::decide) mission: &'a str,
    pub(in crate::decide) tool: &'a Tool,
}

impl Bounds {
    /// The organisation.
    #[must_use]
    pub const fn organisation(&self) -> &Arc<Organisation> {
        &self.organisation
    }

    /// SHA-256 of what `sha256sum organisation.toml FILE...` prints, of the file and every file of policies in its order.
    #[must_use]
    pub const fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// The rules that forbid a call, mostly none; `None` where the policy engine could not say.
    pub(in crate::decide) fn forbidding(&self, seen: &Seen<'_>) -> Option<Vec<Rule>> {
        if self.rules.is_empty() {
            return Some(Vec::new());
        }
        let text = |name: &str, value: &str| (name.to_owned(), RestrictedExpression::new_string(value.to_owned()));
        let long = |name: &str, value| (name.to_owned(), RestrictedExpression::new_long(value));
        let context = Context::from_pairs([
            text("effect", seen.effect.as_str()),
            text("initiator", seen.initiator),
            long("minute", i64::from(minute_of_week(&Zone::utc(), seen.at))),
            text("mission", seen.mission),
            text("name", &seen.tool.name),
            long("now", seen.at.micros()),
            text("server", &seen.tool.upstream),
        ])
        .ok()?;
        let resource = self.vocabulary.resource(seen.tool.endpoint, seen.tool.to_string());
        let action = self.vocabulary.action.clone();
        let request = Request::new(self.vocabulary.agent(seen.agent), action, resource, context, None).ok()?;
        let response = self.authorizer.is_authorized(&request, &self.policies, &Entities::empty());
        let diagnostics = response.diagnostics();
        if diagnostics.errors().next().is_some() {
            return None;
        }
        if response.decision() == CedarDecision::Allow {
            return Some(Vec::new());
        }
        let mut rules: Vec<Rule> = diagnostics.reason().map(|id| self.rules.get(id).cloned()).collect::<Option<_>>()?;
        rules.sort_by(|one, other| one.id.cmp(&other.id));
        (!rules.is_empty()).then_some(rules)
    }
}

impl fmt::Debug for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounds")
            .field("organisation", self.organisation.name())
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}
