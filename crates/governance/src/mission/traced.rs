//! Whose word counts for what calls act on, by what a mission says: which results only a service writes, and which arguments name something.

use std::collections::BTreeSet;
use std::sync::Arc;

use evidence::record::{Endpoint, Surface, Tool};

use super::Mission;
use super::data::{Returning, TrustLine};
use super::rule::{ArgumentRule, Constraint, DomainPattern, Naming, Scalar, ToolPattern, ToolRules};
use super::source::Source;
use super::trust::{Role, Targets, Trust};

/// How much a line that says whether results are trusted is about one tool: patterns by their length, then what `from` names, then the tool by its name.
type Aim = (u8, usize);

impl Mission {
    /// Which parts of what `tool` returns only its service writes.
    pub(crate) fn trust(&self, tool: &Tool) -> Trust {
        self.trust_by(tool, &self.sources())
    }

    /// The same, where the fields of `sources` are trusted besides: an owner who lets an agent take values from there trusts them.
    pub(super) fn trust_by(&self, tool: &Tool, sources: &[Source]) -> Trust {
        let covers = |pattern: &ToolPattern| match tool.endpoint {
            Endpoint::Tool => pattern.covers(tool.surface, &tool.upstream, &tool.name),
            // Lines for all of a server are the only ones that are about more than its tools.
            Endpoint::Prompt | Endpoint::Request | Endpoint::Resource => {
                pattern.is_of(tool.surface, &tool.upstream) && pattern.open && pattern.name.is_empty()
            }
        };
        let is_named = |source: &Source| {
            let is_tool = tool.endpoint == Endpoint::Tool && tool.surface == Surface::Mcp;
            is_tool && source.upstream == tool.upstream && source.tool == tool.name
        };
        let said = self.data.trust.iter().filter(|(place, _)| covers(&place.of));
        let said = said.map(|(Returning { field, of }, TrustLine { is_trusted, .. })| (aim(of), field, *is_trusted));
        let named = sources.iter().filter(|source| is_named(source)).map(|source| ((1, 0), &source.field, true));
        let mut lines: Vec<(Aim, &Vec<Arc<str>>, bool)> = said.chain(named).collect();
        lines.sort_by_key(|(aim, ..)| *aim);
        let mut trust = Trust::none();
        for (_, field, is_trusted) in lines {
            if field.is_empty() {
                trust.whole = is_trusted;
            } else {
                trust.fields.insert(field.clone(), is_trusted);
            }
        }
        trust
    }

    /// Which arguments of a tool name something that it acts on, by its rules; `None` where it does not matter who named it.
    pub(crate) fn targets(&self, rules: &ToolRules) -> Option<Targets> {
        let is_named = rules.arguments.values().any(|rule| rule.naming == Naming::Named);
        if !self.data.traces() && !is_named {
            return None;
        }
        let mut targets = if rules.arguments.is_empty() { Targets::unruled() } else { Targets::ruled() };
        if self.data.untrusted_payload.is_some() {
            targets.watch_payload();
        }
        for (name, rule) in &rules.arguments {
            let Some(role) = rule.role() else { continue };
            targets.set(name.clone(), role);
            for value in rule.listed() {
                targets.list(name.clone(), value);
            }
        }
        (!targets.is_empty()).then_some(targets)
    }

    /// Whether it matters in any call who named what it acts on.
    pub(crate) fn traces(&self) -> bool {
        let mut rules = self.upstreams.values().flat_map(|upstream| upstream.tools.values());
        self.data.traces() || rules.any(|rules| rules.arguments.values().any(|rule| rule.naming == Naming::Named))
    }
}

fn aim(of: &ToolPattern) -> Aim {
    if of.open { (0, of.name.len()) } else { (2, 0) }
}

impl ArgumentRule {
    /// What the argument is for its tool; `None` where its fields say.
    pub(crate) fn role(&self) -> Option<Role> {
        let by_rule = match &self.constraint {
            Constraint::Fields => return None,
            Constraint::Free
            | Constraint::Length { .. }
            | Constraint::Range { .. }
            | Constraint::Sql(_)
            | Constraint::Time { .. } => Role::Content,
            Constraint::In(values) if values.iter().all(|value| matches!(value, Scalar::Bool(_))) => Role::Content,
            Constraint::Command(_)
            | Constraint::Domain(_)
            | Constraint::Email(_)
            | Constraint::From(_)
            | Constraint::Identifier(_)
            | Constraint::In(_)
            | Constraint::Path(_)
            | Constraint::Pattern(_)
            | Constraint::Url(_) => Role::Target,
        };
        Some(match self.naming {
            Naming::Named => Role::Target,
            Naming::Anybody => self.said.unwrap_or(by_rule),
        })
    }

    /// The values that it lists exactly, in their one spelling.
    pub(crate) fn listed(&self) -> BTreeSet<Arc<str>> {
        let exact = |text: String| (!text.contains('*')).then(|| Arc::from(text));
        match &self.constraint {
            Constraint::In(values) => values.iter().map(text_of).collect(),
            Constraint::Identifier(names) => names.iter().cloned().collect(),
            Constraint::Path(roots) => roots.iter().cloned().collect(),
            Constraint::Email(emails) => emails.iter().filter_map(|email| exact(email.to_string())).collect(),
            Constraint::Url(urls) => urls.iter().filter_map(|url| exact(url.to_string())).collect(),
            Constraint::Command(commands) => commands.iter().filter_map(|command| exact(command.to_string())).collect(),
            Constraint::Domain(domains) => {
                let exact = domains.iter().filter_map(|domain| match domain {
                    DomainPattern::Exact(domain) => Some(domain.clone()),
                    DomainPattern::Subdomains(_) => None,
                });
                exact.collect()
            }
            Constraint::Fields
            | Constraint::Free
            | Constraint::From(_)
            | Constraint::Length { .. }
            | Constraint::Pattern(_)
            | Constraint::Range { .. }
            | Constraint::Sql(_)
            | Constraint::Time { .. } => BTreeSet::new(),
        }
    }
}

fn text_of(value: &Scalar) -> Arc<str> {
    match value {
        Scalar::Bool(value) => value.to_string().into(),
        Scalar::Number(value) => value.to_string().into(),
        Scalar::Text(value) => value.clone(),
    }
}
