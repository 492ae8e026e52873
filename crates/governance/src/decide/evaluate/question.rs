//! What Cedar is asked about a call: who acts on what, and the facts as attributes of the context.
//!
//! Values are built as Cedar keeps them. Its own way in, expressions that it evaluates first, took more than a third of a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{Context, Request};
use cedar_policy_core::ast;
use evidence::decimal::Number;
use evidence::record::{EffectClass, Facet, FacetValue, Origin, TargetOrigin, Tool};
use evidence::time::Timestamp;

use crate::classify::{ANY, ELSEWHERE};
use crate::decide::compile::{Attribute, Permission, PolicySnapshot, Slice, SliceExcept, TextKind, scalar_text};
use crate::decide::facts::Facts;
use crate::mission::{is_plain, minute_of_week};

/// A call, and the slice that decides it.
#[derive(Clone)]
pub(super) struct Question<'a> {
    /// What would be used of each limit with the call, where that is known.
    pub(super) after: Vec<(Arc<str>, Number)>,
    pub(super) agent: &'a str,
    pub(super) at: Timestamp,
    /// The classes of data in the arguments.
    pub(super) classes: &'a [Arc<str>],
    /// In which arguments they stand, as far as exceptions ask.
    pub(super) data_fields: &'a [Arc<str>],
    pub(super) effect: EffectClass,
    pub(super) facets: &'a [Facet],
    /// The gates that approvals satisfy.
    pub(super) gates: &'a [Arc<str>],
    pub(super) initiator: &'a str,
    /// The classes of data that the run has met.
    pub(super) met: &'a [Arc<str>],
    /// Who named what it acts on.
    pub(super) origins: &'a [TargetOrigin],
    pub(super) policy: &'a PolicySnapshot,
    pub(super) slice: &'a Slice,
    pub(super) tool: &'a Tool,
}

/// An attribute's key and value.
type Pair = (Arc<str>, ast::Value);

impl<'a> Question<'a> {
    pub(super) fn new(
        facts: &Facts<'a>,
        policy: &'a PolicySnapshot,
        slice: &'a Slice,
        effect: EffectClass,
        at: Timestamp,
    ) -> Self {
        Self {
            after: facts.after.clone(),
            agent: facts.agent,
            at,
            classes: facts.data_classes,
            data_fields: facts.data_fields,
            effect,
            facets: facts.facets,
            gates: facts.gates,
            initiator: facts.initiator,
            met: facts.met,
            origins: facts.provenance,
            policy,
            slice,
            tool: facts.tool,
        }
    }

    /// How often it is asked: once for each element of the longest list.
    pub(super) fn rounds(&self) -> usize {
        let shape = &self.slice.context;
        let longs = shape.numbers.iter().chain(&shape.lengths).chain(&shape.times);
        let looked_at = longs.chain(shape.matches.keys()).chain(shape.texts.keys());
        looked_at.filter_map(|name| self.facet(name)).map(|facet| facet.values.len()).max().unwrap_or(1).max(1)
    }

    /// For the policies by themselves: the elements at `round`, a shorter list repeating its last.
    pub(super) fn for_each(&self, round: usize) -> Option<Request> {
        let shape = &self.slice.context;
        let mut pairs = self.who_and_when();
        let element = |name: &Arc<str>| self.element(name, round);
        if shape.gates {
            pairs.push((key("gates"), ast::Value::set(self.gates.iter().map(text), None)));
        }
        if shape.listed.is_some() && !shape.named {
            pairs.push((key("names"), self.names()));
        }
        if !shape.counters.is_empty() {
            let counters = self.after.iter().filter_map(|(id, after)| Some((id.clone(), record(*after)?)));
            pairs.push((key("counters"), values(counters)));
        }
        if !shape.numbers.is_empty() {
            let numbers = shape.numbers.iter();
            let numbers = numbers.filter_map(|name| Some((name.clone(), record(number(element(name)?)?)?)));
            pairs.push((key("numbers"), values(numbers)));
        }
        if !shape.lengths.is_empty() {
            let lengths = shape.lengths.iter();
            let lengths = lengths.filter_map(|name| Some((name.clone(), length(element(name)?)?.into())));
            pairs.push((key("lengths"), values(lengths)));
        }
        if !shape.matches.is_empty() {
            let matches = shape.matches.iter();
            let matches = matches.filter_map(|(name, of)| Some((name.clone(), of.matches(element(name)?)?.into())));
            pairs.push((key("matches"), values(matches)));
        }
        if !shape.texts.is_empty() {
            let texts = shape.texts.iter();
            let texts = texts.filter_map(|(name, kind)| Some((name.clone(), text_of(element(name)?, *kind)?)));
            pairs.push((key("texts"), values(texts)));
        }
        if !shape.times.is_empty() {
            let times = shape.times.iter();
            let times = times.filter_map(|name| Some((name.clone(), time(element(name)?)?.into())));
            pairs.push((key("times"), values(times)));
        }
        self.request(pairs)
    }

    /// Whether every argument is listed, and every one that is demanded is there: what the one policy does not look at.
    pub(super) fn is_complete(&self, whole: &Permission) -> bool {
        let is_there = |name: &str| self.facet(name).is_some();
        let is_listed = |facet: &Facet| match &self.slice.context.listed {
            Some(listed) => listed.binary_search(&facet.argument).is_ok(),
            None => true,
        };
        let is_met = |name: &str, of: Option<&str>| is_there(name) || of.is_some_and(|of| !is_there(of));
        self.facets.iter().all(is_listed)
            && whole.demanded.iter().all(|demand| is_met(&demand.name, demand.of.as_deref()))
    }

    /// For the one policy; `None` where something that is there cannot be read.
    pub(super) fn for_whole(&self, whole: &Permission, round: usize) -> Option<Request> {
        let mut pairs = self.who_and_when();
        for keyed in &whole.attributes {
            if let Attribute::Counter(id) = &keyed.attribute {
                let (_, after) = self.after.iter().find(|(known, _)| known == id)?;
                pairs.push((keyed.key.clone(), after.whole().into()));
                pairs.push((keyed.atto.clone(), i64::try_from(after.atto()).ok()?.into()));
                continue;
            }
            let Some(value) = self.element(keyed.attribute.name(), round) else { continue };
            let value = match &keyed.attribute {
                Attribute::Counter(_) => continue,
                Attribute::Length(_) => length(value)?.into(),
                Attribute::Match(name) => self.slice.context.matches.get(name)?.matches(value)?.into(),
                Attribute::Number(_) => {
                    let number = number(value)?;
                    pairs.push((keyed.atto.clone(), i64::try_from(number.atto()).ok()?.into()));
                    number.whole().into()
                }
                Attribute::Text(_, kind) => text_of(value, *kind)?,
                Attribute::Time(_) => time(value)?.into(),
            };
            pairs.push((keyed.key.clone(), value));
        }
        self.request(pairs)
    }

    fn who_and_when(&self) -> Vec<Pair> {
        let shape = &self.slice.context;
        let mut pairs = vec![(key("now"), self.at.micros().into())];
        if shape.initiator {
            pairs.push((key("initiator"), self.initiator.into()));
        }
        if shape.classes {
            let data = self.policy.mission().data();
            let classes = self.classes.iter().map(|label| data.known(label).into());
            pairs.push((key("classes"), ast::Value::set(classes, None)));
        }
        if shape.fields {
            let fields = self.fields().into_iter().map(|field| field.as_str().into());
            pairs.push((key("fields"), ast::Value::set(fields, None)));
        }
        if shape.met {
            // Who says that nobody knows means every class.
            let any = BTreeSet::from([Arc::from(ANY)]);
            let all = if self.met.iter().any(|class| **class == *ANY) { &self.policy.met(&any) } else { self.met };
            pairs.push((key("met"), ast::Value::set(all.iter().map(text), None)));
        }
        if shape.effect {
            pairs.push((key("effect"), self.effect.as_str().into()));
        }
        if shape.named {
            let named =
                self.origins.iter().filter(|traced| matches!(traced.origin, Origin::Mission | Origin::Initiator));
            pairs.push((key("named"), ast::Value::set(named.map(|traced| text(&traced.argument)), None)));
            // The one policy looks at what is there by its facts; here the name is the fact.
            pairs.push((key("names"), self.names()));
        }
        if shape.origins {
            let origins = self.origins.iter().map(|traced| format!("{}:{}", traced.role, traced.origin));
            pairs.push((key("origins"), ast::Value::set(origins.map(|origin| origin.as_str().into()), None)));
        }
        if shape.minute {
            let minute = minute_of_week(self.policy.mission().zone(), self.at);
            pairs.push((key("minute"), i64::from(minute).into()));
        }
        if shape.name {
            pairs.push((key("name"), text(&self.tool.name)));
        }
        if shape.plain {
            pairs.push((key("plain"), is_plain(&self.tool.name).into()));
        }
        pairs
    }

    /// In which arguments classes stand; what nobody has placed stands elsewhere.
    fn fields(&self) -> BTreeSet<String> {
        let data = self.policy.mission().data();
        let found = self.classes.iter().filter_map(|label| data.rule(label)).map(|(class, _)| class);
        let is_placed = |class: &&Arc<str>| {
            let is_of = |field: &Arc<str>| field.split_once(':').is_some_and(|(of, _)| *of == ***class);
            self.data_fields.iter().any(is_of)
        };
        let unplaced = found.filter(|class| !is_placed(class)).map(|class| format!("{class}:{ELSEWHERE}"));
        unplaced.chain(self.data_fields.iter().map(ToString::to_string)).collect()
    }

    /// The exceptions without which the call would be held more strictly.
    pub(super) fn excepts(&self) -> impl Iterator<Item = &'a SliceExcept> {
        let data = self.policy.mission().data();
        let holds = |labels: &[Arc<str>]| {
            self.classes.iter().any(|label| labels.iter().any(|known| **known == *data.known(label)))
        };
        let has_met = |labels: &[Arc<str>]| {
            let is_met = |met: &Arc<str>| **met == *ANY || labels.contains(met);
            !labels.is_empty() && self.effect != EffectClass::Read && self.met.iter().any(is_met)
        };
        let applies = move |one: &&SliceExcept| {
            let is_found = match &one.except.field {
                None => holds(&one.found),
                Some(field) => self.data_fields.iter().any(|known| **known == *format!("{}:{field}", one.class)),
            };
            one.except.is_alive(self.at) && one.except.is_of(self.tool) && (is_found || has_met(&one.met))
        };
        let applying: Vec<&'a SliceExcept> = self.slice.excepts().iter().filter(applies).collect();
        applying.into_iter()
    }

    fn names(&self) -> ast::Value {
        ast::Value::set(self.facets.iter().map(|facet| text(&facet.argument)), None)
    }

    fn request(&self, pairs: Vec<Pair>) -> Option<Request> {
        let vocabulary = &self.policy.vocabulary;
        let resource = vocabulary.resource(self.tool.endpoint, self.tool.to_string());
        let attributes: BTreeMap<_, _> = pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        let context = Context::from(ast::Context::Value(Arc::new(attributes)));
        Request::new(vocabulary.agent(self.agent), vocabulary.action.clone(), resource, context, None).ok()
    }

    fn element(&self, name: &str, round: usize) -> Option<&'a FacetValue> {
        let values = &self.facet(name)?.values;
        values.get(round).or(values.last())
    }

    fn facet(&self, name: &str) -> Option<&'a Facet> {
        facet(self.facets, name)
    }
}

/// The fact about the argument `name`. Facets are sorted by argument.
pub(super) fn facet<'a>(facets: &'a [Facet], name: &str) -> Option<&'a Facet> {
    let place = facets.binary_search_by(|facet| facet.argument.as_ref().cmp(name)).ok()?;
    facets.get(place)
}

fn key(name: &'static str) -> Arc<str> {
    Arc::from(name)
}

fn text(text: &Arc<str>) -> ast::Value {
    ast::Literal::String(text.clone().into()).into()
}

fn values(pairs: impl Iterator<Item = Pair>) -> ast::Value {
    ast::Value::record(pairs, None)
}

fn record(number: Number) -> Option<ast::Value> {
    let atto = i64::try_from(number.atto()).ok()?;
    Some(ast::Value::record([("atto", ast::Value::from(atto)), ("whole", number.whole().into())], None))
}

/// `None` where the value is no number: then the policy does not see it, which no rule accepts.
fn number(value: &FacetValue) -> Option<Number> {
    if *value.kind == *"number" { Number::parse(&value.text).ok() } else { None }
}

/// The number of characters of a text.
fn length(value: &FacetValue) -> Option<i64> {
    if *value.kind == *"length" { value.text.parse().ok() } else { None }
}

/// Microseconds since 1970.
fn time(value: &FacetValue) -> Option<i64> {
    let at: Timestamp = if *value.kind == *"time" { value.text.parse().ok()? } else { return None };
    Some(at.micros())
}

fn text_of(value: &FacetValue, kind: TextKind) -> Option<ast::Value> {
    match (kind, &*value.kind) {
        (TextKind::Domain, "domain")
        | (TextKind::Email, "email")
        | (TextKind::Identifier, "identifier")
        | (TextKind::Path, "path")
        | (TextKind::Returned, "returned")
        | (TextKind::Sql, "sql") => Some(text(&value.text)),
        (TextKind::Scalar, "bool" | "number" | "text") => Some(scalar_text(&value.kind, &value.text).as_str().into()),
        _ => None,
    }
}
