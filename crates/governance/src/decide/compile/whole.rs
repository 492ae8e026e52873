//! All policies of a slice in one that permits what they permit together: one is evaluated several times as fast as they are, and most calls are allowed.
//!
//! It sees each fact as an attribute of its own, not in records by kind, and only facts that could be read; that arguments are listed and there is looked at before. Where it
//! does not permit, for whatever reason, the policies themselves decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Policy, PolicySet};
use evidence::decimal::Number;

use super::CompileError;
use super::slice::{ACTION, TextKind};
use super::text::{all_of, literal, within};

/// Conditions of a slice that are also compiled as one. A tree of them is some eight deep, which Cedar is far from refusing.
const CONDITIONS_MAX: usize = 512;

/// A slice's policies as one, while it is written: what must hold so that its one permit applies and none of its `forbid`s.
#[derive(Default)]
pub(super) struct Whole {
    attributes: BTreeMap<String, Attribute>,
    pub(super) demanded: Vec<Demand>,
    pub(super) holds: Vec<String>,
    /// Whether something is forbidden whatever holds.
    pub(super) is_never: bool,
    /// Places and scopes of the permits.
    pub(super) permits: Vec<(usize, String)>,
}

/// What an attribute of the context is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::decide) enum Attribute {
    /// What is used of a limit, by its id: two attributes, as of a number.
    Counter(Arc<str>),
    Length(Arc<str>),
    Match(Arc<str>),
    /// The whole of an argument's number; what is beyond, in 10^-18, has the key of [`Keyed::atto`].
    Number(Arc<str>),
    Text(Arc<str>, TextKind),
    Time(Arc<str>),
}

/// An attribute under its key.
pub(in crate::decide) struct Keyed {
    /// Of the rest of a number.
    pub(in crate::decide) atto: Arc<str>,
    pub(in crate::decide) attribute: Attribute,
    pub(in crate::decide) key: Arc<str>,
}

/// An argument that must be there.
pub(in crate::decide) struct Demand {
    pub(in crate::decide) name: Arc<str>,
    /// Only where the object that it is a field of is there.
    pub(in crate::decide) of: Option<Arc<str>>,
}

/// The one policy.
pub(in crate::decide) struct Permission {
    pub(in crate::decide) attributes: Vec<Keyed>,
    pub(in crate::decide) demanded: Vec<Demand>,
    /// The place of the permit that it stands for.
    pub(in crate::decide) permit: usize,
    pub(in crate::decide) policies: PolicySet,
}

impl Attribute {
    /// The key, and that of the rest of a number. Names of arguments and ids of limits have nothing in common but these letters.
    fn keys(&self) -> (String, String) {
        match self {
            Self::Counter(id) => (format!("c:{id}"), format!("d:{id}")),
            Self::Length(name) => (format!("l:{name}"), String::new()),
            Self::Match(name) => (format!("m:{name}"), String::new()),
            Self::Number(name) => (format!("n:{name}"), format!("a:{name}")),
            Self::Text(name, _) => (format!("t:{name}"), String::new()),
            Self::Time(name) => (format!("w:{name}"), String::new()),
        }
    }

    /// The name of the argument, or the id of the limit.
    pub(in crate::decide) const fn name(&self) -> &Arc<str> {
        match self {
            Self::Counter(name)
            | Self::Length(name)
            | Self::Match(name)
            | Self::Number(name)
            | Self::Text(name, _)
            | Self::Time(name) => name,
        }
    }

    /// That the number is from `min` to `max`.
    pub(super) fn number_within(&self, min: Number, max: Number) -> String {
        let (whole, atto) = self.keys();
        within(&format!("context[{}]", literal(&whole)), &format!("context[{}]", literal(&atto)), min, max)
    }
}

impl Whole {
    /// Has the context hold `attribute`; gives its key.
    pub(super) fn attribute(&mut self, attribute: Attribute) -> String {
        let key = attribute.keys().0;
        self.attributes.insert(key.clone(), attribute);
        key
    }

    /// The one policy; `None` where one would not say it. Not validated: where its evaluation fails, it does not permit.
    pub(super) fn permission(self, slice: &str) -> Result<Option<Permission>, CompileError> {
        let [(permit, resource)] = self.permits.as_slice() else { return Ok(None) };
        if self.is_never || self.holds.len() > CONDITIONS_MAX {
            return Ok(None);
        }
        let policy =
            format!("permit (principal, action == {ACTION}, {resource})\nwhen {{ {} }};\n", all_of(&self.holds));
        let rule = || format!("{slice} in one");
        let parsed = Policy::parse(None, policy)
            .map_err(|source| CompileError::Policy { rule: rule(), source: Box::new(source) })?;
        let policies = PolicySet::from_policies([parsed])
            .map_err(|source| CompileError::Set { slice: rule(), source: Box::new(source) })?;
        let keyed = self.attributes.into_values().map(|attribute| {
            let (key, atto) = attribute.keys();
            Keyed { atto: atto.into(), attribute, key: key.into() }
        });
        Ok(Some(Permission { attributes: keyed.collect(), demanded: self.demanded, permit: *permit, policies }))
    }
}
