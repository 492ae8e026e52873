//! `[data]`: what classes of data a mission expects, where each may go, and what becomes of it on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use evidence::record::{EffectClass, Origin};

use super::except::Except;
use super::gate::DEFAULT;
use super::rule::{ToolPattern, joined};

/// The classes that every mission knows, sorted.
pub const CLASSES: [&str; 10] =
    ["business_id", "export", "financial", "health", "labelled", "legal", ORG, "pii", "secret", UNCLASSIFIED];

/// The class of what the organisation has described itself: its kinds are its own classes.
pub const ORG: &str = "org";

/// The class of what could not be read, or took more work than a message may: nobody knows what it holds.
pub const UNCLASSIFIED: &str = "unclassified";

/// What becomes of a value that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Treatment {
    /// Its member goes, with its name; where it is no member's whole value, it is redacted.
    Drop,
    /// A keyed hash: equal values stay equal, and nobody without the key can try values.
    Hash,
    /// It stays.
    Keep,
    /// Its last four letters and digits stay, of an e-mail address the domain, of a secret nothing.
    Mask,
    /// It is replaced by a fixed text.
    Redact,
    /// It is replaced by its class and kind.
    Tag,
    /// A token stands for it, which becomes the value again towards a tool that may have it.
    Token,
}

impl Treatment {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Drop, Self::Hash, Self::Keep, Self::Mask, Self::Redact, Self::Tag, Self::Token];

    /// Its name in missions and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Hash => "hash",
            Self::Keep => "keep",
            Self::Mask => "mask",
            Self::Redact => "redact",
            Self::Tag => "tag",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a mission says of data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataRules {
    /// By class.
    pub(crate) classes: BTreeMap<Arc<str>, ClassRule>,
    /// Whether only its service writes what a tool returns, by place.
    pub(crate) trust: BTreeMap<Returning, TrustLine>,
    /// What becomes of calls with links in their content that nobody gave who may.
    pub(crate) untrusted_payload: Option<OriginRule>,
    /// What becomes of calls whose targets nobody named who may.
    pub(crate) untrusted_target: Option<OriginRule>,
    /// The classes that it expects, sorted; anything where it does not say.
    pub(crate) touches: Option<Touches>,
}

/// The classes that a mission expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Touches {
    pub(crate) classes: Vec<Arc<str>>,
    pub(crate) line: u32,
}

/// What a mission says of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassRule {
    /// What it does not hold for, for a time.
    pub(crate) excepts: Vec<Except>,
    pub(crate) line: u32,
    /// In the arguments of calls of other tools than those of `to`.
    pub(crate) otherwise: Otherwise,
    /// In what tools return, before the agent has it.
    pub(crate) result: OnResult,
    /// What becomes of calls of other tools than those of `to` that do more than read, once the run has met it.
    pub(crate) run: Otherwise,
    /// The tools that it may go to.
    pub(crate) to: Vec<ToolPattern>,
}

/// What becomes of a call whose arguments hold a class that may not go there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// People are asked, by the gate of that name.
    Ask(Arc<str>),
    Deny,
    /// It goes there too.
    Keep,
}

/// What becomes of a result that holds a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnResult {
    /// The agent does not get the result.
    Block,
    /// What was found is changed.
    Treat(Treatment),
}

/// What tools return, or a field of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Returning {
    /// The names of the members on the way, of which the last ones are enough; none where everything is meant.
    pub(crate) field: Vec<Arc<str>>,
    /// Which tools. A pattern for all of a server means its resources and prompts too.
    pub(crate) of: ToolPattern,
}

/// Whether only its service writes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrustLine {
    pub(crate) is_trusted: bool,
    pub(crate) line: u32,
}

/// What becomes of calls that act on what nobody named who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OriginRule {
    pub(crate) line: u32,
    /// For tools that do this the mission or the initiator must name it; sorted.
    pub(crate) named: Vec<EffectClass>,
    pub(crate) otherwise: Otherwise,
    /// For tools that do this the initiator must at least have selected it; sorted.
    pub(crate) selected: Vec<EffectClass>,
}

impl OriginRule {
    /// Which origins it objects to in a call of a tool that does `effect`; none where it lets everything be.
    pub(crate) fn objects_to(&self, effect: EffectClass) -> &'static [Origin] {
        const ALL: &[Origin] = &[Origin::Selected, Origin::Trusted, Origin::Untrusted, Origin::Sent, Origin::Unknown];
        match (effect, &self.otherwise) {
            (EffectClass::Read, _) | (_, Otherwise::Keep) => &[],
            (effect, _) if self.is_for(&self.named, effect) => ALL,
            (effect, _) if self.is_for(&self.selected, effect) => ALL.split_at(1).1,
            _ => ALL.split_at(2).1,
        }
    }

    /// What the call does then, or what becomes of it.
    fn verb(&self) -> String {
        match &self.otherwise {
            Otherwise::Ask(gate) => format!("asks gate `{gate}`"),
            Otherwise::Deny => "is denied".to_owned(),
            Otherwise::Keep => "runs, and that is recorded,".to_owned(),
        }
    }

    /// Of which tools more is demanded.
    fn rest(&self) -> String {
        let effects = |effects: &[EffectClass]| joined(effects.iter().map(|effect| format!("`{effect}`")), "or");
        let unsaid = ", or of which nobody has said what they do,";
        let named = match self.named.is_empty() {
            true => String::new(),
            false => format!("; for tools that {}{unsaid} such a field is not enough", effects(&self.named)),
        };
        let selected = match self.selected.is_empty() {
            true => String::new(),
            false => {
                let unsaid = if self.named.is_empty() { unsaid } else { "" };
                let effects = effects(&self.selected);
                format!("; for tools that {effects}{unsaid} it is enough where the initiator selected it")
            }
        };
        format!("{named}{selected}")
    }

    /// Whether what is demanded for `effects` is demanded for `effect`. What nobody has said is treated as the worst.
    fn is_for(&self, effects: &[EffectClass], effect: EffectClass) -> bool {
        effects.contains(&effect) || (effect == EffectClass::Unconfirmed && !effects.is_empty())
    }
}

impl Touches {
    /// Whether it has the class or kind, or the class of the kind.
    pub(crate) fn expects(&self, label: &str) -> bool {
        self.classes.iter().any(|class| **class == *label || class_of(label) == Some(class))
    }
}

/// The class that a kind belongs to, as in `pii.email`; `None` for a class.
pub(crate) fn class_of(label: &str) -> Option<&str> {
    label.split_once('.').map(|(class, _)| class)
}

impl ClassRule {
    /// What holds of a class that a mission does not speak of.
    pub(crate) const fn anywhere() -> Self {
        Self {
            excepts: Vec::new(),
            line: 0,
            otherwise: Otherwise::Keep,
            result: OnResult::Treat(Treatment::Keep),
            run: Otherwise::Keep,
            to: Vec::new(),
        }
    }
}

impl DataRules {
    pub(crate) fn is_empty(&self) -> bool {
        !self.names_classes() && self.trust.is_empty() && !self.traces()
    }

    /// What it says of the class or kind that `label` names: of the kind, else of its class.
    pub(crate) fn rule(&self, label: &str) -> Option<(&Arc<str>, &ClassRule)> {
        self.classes.get_key_value(label).or_else(|| self.classes.get_key_value(class_of(label)?))
    }

    /// Whether it speaks of kinds.
    pub(crate) fn has_kinds(&self) -> bool {
        let touches = self.touches.iter().flat_map(|touches| &touches.classes);
        self.classes.keys().chain(touches).any(|label| class_of(label).is_some())
    }

    /// Whether it speaks of exactly that class or kind.
    pub(crate) fn names(&self, label: &str) -> bool {
        self.classes.contains_key(label)
            || self.touches.as_ref().is_some_and(|touches| touches.classes.iter().any(|class| **class == *label))
    }

    /// What the rule of `label` is about: itself, and the kinds of it that have a name here and no rule.
    pub(crate) fn labels(&self, label: &Arc<str>) -> Vec<Arc<str>> {
        let kinds = self.touches.iter().flat_map(|touches| &touches.classes);
        let kinds = kinds.filter(|kind| class_of(kind) == Some(label) && !self.classes.contains_key(*kind));
        std::iter::once(label).chain(kinds).cloned().collect()
    }

    /// How it speaks of what `label` names: of a kind that it does not speak of, by the class.
    pub(crate) fn known<'l>(&self, label: &'l str) -> &'l str {
        class_of(label).filter(|_| !self.names(label)).unwrap_or(label)
    }

    /// The classes and kinds that it expects, with the kinds of these classes that it speaks of; `None` where it does not say.
    pub(crate) fn expected(&self) -> Option<BTreeSet<Arc<str>>> {
        let touches = self.touches.as_ref()?;
        let named = self.classes.keys().filter(|label| touches.expects(label));
        Some(touches.classes.iter().chain(named).cloned().collect())
    }

    /// Whether it says anything of what a run has met.
    pub(crate) fn follows_classes(&self) -> bool {
        self.classes.values().any(|rule| rule.run != Otherwise::Keep)
    }

    /// Whether it says anything of classes.
    pub(crate) fn names_classes(&self) -> bool {
        !self.classes.is_empty() || self.touches.is_some()
    }

    /// Whether it matters who named what calls act on.
    pub(crate) const fn traces(&self) -> bool {
        self.untrusted_target.is_some() || self.untrusted_payload.is_some()
    }

    /// Whether some call could ask the gate of that name.
    pub(crate) fn asks(&self, name: &str) -> bool {
        let asked = |otherwise: &Otherwise| matches!(otherwise, Otherwise::Ask(gate) if **gate == *name);
        let rules = [&self.untrusted_target, &self.untrusted_payload].into_iter().flatten();
        (name == DEFAULT && self.touches.is_some())
            || self.classes.values().any(|rule| asked(&rule.otherwise) || asked(&rule.run))
            || rules.map(|rule| &rule.otherwise).any(asked)
    }

    /// Everything that it says, a sentence each, by what it is about.
    pub(crate) fn sentences(&self) -> BTreeMap<String, String> {
        let mut sentences = BTreeMap::new();
        if let Some(touches) = &self.touches {
            let classes = joined(touches.classes.iter().map(|class| format!("`{class}`")), "and");
            let sentence =
                format!("of all classes of data it expects {classes} in arguments; people are asked about any other");
            sentences.insert("touches".to_owned(), sentence);
        }
        for (class, rule) in &self.classes {
            sentences.insert(format!("class `{class}`"), format!("`{class}` {rule}"));
            for except in &rule.excepts {
                let (tool, side, field) = except.place();
                let about = format!(
                    "the exception of class `{class}` for the {} of `{tool}` {}",
                    side.name(),
                    field.unwrap_or("*")
                );
                sentences.insert(about, format!("by exception, `{class}` {except}: {}", except.why));
            }
        }
        for (place, TrustLine { is_trusted, .. }) in &self.trust {
            let who = if *is_trusted { "only its service writes" } else { "anybody may write" };
            sentences.insert(format!("who writes {place}"), format!("{who} {place}"));
        }
        if let Some(rule) = &self.untrusted_target {
            let sentence = format!(
                "a call that does more than read {} where it acts on something that neither the mission nor the initiator named, and that stands in no field which only a service writes{}",
                rule.verb(),
                rule.rest()
            );
            sentences.insert("targets that nobody named".to_owned(), sentence);
        }
        if let Some(rule) = &self.untrusted_payload {
            let sentence = format!(
                "a call that does more than read {} where its content has a link that neither the mission nor the initiator gave, and that stands in no field which only a service writes",
                rule.verb()
            );
            sentences.insert("links that nobody gave".to_owned(), sentence);
        }
        sentences
    }
}

impl fmt::Display for Returning {
    /// To follow who writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "`{}` in ", self.field.join("."))?;
        }
        match (self.of.open, &*self.of.name) {
            (true, "") => write!(f, "what `{}:{}` returns", self.of.surface, self.of.upstream),
            _ => write!(f, "what `{}` returns", self.of),
        }
    }
}

impl fmt::Display for OriginRule {
    /// What becomes of the call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.verb(), self.rest())
    }
}

impl fmt::Display for ClassRule {
    /// What becomes of it, to follow its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = joined(self.to.iter().map(|pattern| format!("`{pattern}`")), "and");
        let elsewhere = if self.to.is_empty() { "any tool" } else { "any other" };
        match &self.otherwise {
            Otherwise::Keep if self.to.is_empty() => f.write_str("may go to any tool")?,
            Otherwise::Keep => write!(f, "may go to any tool, and belongs to {to}")?,
            otherwise => {
                match self.to.is_empty() {
                    true => f.write_str("may go nowhere: ")?,
                    false => write!(f, "may go to {to}; ")?,
                }
                match otherwise {
                    Otherwise::Ask(gate) => write!(f, "a call that brings it to {elsewhere} asks gate `{gate}`")?,
                    Otherwise::Deny | Otherwise::Keep => write!(f, "a call that brings it to {elsewhere} is denied")?,
                }
            }
        }
        let there = if self.to.is_empty() { "nowhere" } else { "only there" };
        match &self.run {
            Otherwise::Keep => {}
            Otherwise::Ask(gate) => write!(
                f,
                "; once the run has met it, a call that does more than read runs {there} without asking gate `{gate}`"
            )?,
            Otherwise::Deny => write!(f, "; once the run has met it, a call that does more than read runs {there}")?,
        }
        match self.result {
            OnResult::Block => f.write_str("; a result that holds it does not reach the agent"),
            OnResult::Treat(Treatment::Keep) => Ok(()),
            OnResult::Treat(treatment) => {
                let done = match treatment {
                    Treatment::Drop => "dropped with its field",
                    Treatment::Hash => "replaced by a keyed hash",
                    Treatment::Keep => "kept",
                    Treatment::Mask => "masked",
                    Treatment::Redact => "redacted",
                    Treatment::Tag => "replaced by its class",
                    Treatment::Token => {
                        "replaced by a token, which becomes the value again in calls of the tools that it may go to,"
                    }
                };
                write!(f, "; in results it is {done} before the agent has them")
            }
        }
    }
}
