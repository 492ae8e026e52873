//! Pins: the accepted definition of each tool. What an agent's model reads of a tool is what somebody accepted, or nothing.
//!
//! Definitions are looked at where they pass: in lists. One that is seen for the first time is pinned, or waits for a person where the mission says `pins = "strict"`.
//! One that differs from its pin, is listed twice or hides characters is not shown, and calls of its tool are denied until a person accepts it or it is what it was. What
//! holds is in the ledger (`version_log` of kind `pin`); the definitions themselves are in the home, so that people can compare them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use evidence::record::{
    Context, Direction, Draft, EffectClass, Endpoint, ExceptionKind, Tool, VersionLog, VersionedKind, VersionedObject,
};
use governance::mission::{PinPolicy, gravity, hides};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Reader;
use surfaces::govern::Place;

use crate::changes::{Asks, ChangeError, Kept, Proposal, is_wider};
use crate::clock::now;
use crate::driver::append_beside;
use crate::home::Durability;
use crate::limits::{DEFINITION_BYTES_MAX, PINS_MAX};
use crate::refusals::Sort;
use crate::{Gateway, OpenError, versions};

/// The pins of all tools, by their names as the mission language writes them.
#[derive(Debug, Default)]
pub struct Pins {
    /// How many have an effect class, and how many are refused: mostly none, which is quickly told.
    confirmed: AtomicUsize,
    pins: RwLock<HashMap<Arc<str>, Pin>>,
    refused: AtomicUsize,
}

/// What is known of a tool's definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// What a person says that the tool of this definition does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectClass>,
    /// Digest of the accepted definition; `None` where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// Digest of what the server lists instead, and why that is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<(String, String)>,
}

/// What becomes of a definition that was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Refused,
    Shown,
}

/// Why a pin could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It waits for people, or they said no.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// No list had such a tool.
    #[error(
        "no list of an upstream had a tool `{0}` that a mission allows; `countersign tools list` shows those that had"
    )]
    Unknown(String),
    /// There is nothing to accept.
    #[error("what `{0}` lists is what is pinned; there is nothing to accept")]
    Same(String),
    /// It is no tool.
    #[error("`{0}` is a server, and effect classes are of tools: `countersign tools confirm mcp:SERVER/TOOL`")]
    Server(String),
    /// It is pinned to nothing.
    #[error("`{0}` has no accepted definition; `countersign tools pin` accepts what its server lists")]
    Unpinned(String),
    /// The change could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

/// What a digest is taken of: the members that a model or a client acts on.
const MEMBERS: [&str; 6] = ["annotations", "description", "inputSchema", "name", "outputSchema", "title"];

/// A definition in one spelling (RFC 8785), with its digest.
struct Definition {
    hides: bool,
    sha256: String,
    text: String,
}

impl Definition {
    fn read(raw: &[u8]) -> Result<Self, &'static str> {
        if raw.len() > DEFINITION_BYTES_MAX {
            return Err("its definition is larger than any that is pinned");
        }
        let value: Value = serde_json::from_slice(raw).map_err(|_| "its definition cannot be read")?;
        let Value::Object(members) = value else { return Err("its definition is no object") };
        let kept: BTreeMap<String, Value> =
            members.into_iter().filter(|(name, _)| MEMBERS.contains(&name.as_str())).collect();
        let text = serde_json_canonicalizer::to_string(&kept).map_err(|_| "its definition cannot be read")?;
        let hides = kept.values().any(hidden);
        Ok(Self { hides, sha256: hex::encode(Sha256::digest(text.as_bytes())), text })
    }
}

/// Whether some text in a value hides characters.
fn hidden(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(hidden),
        Value::Object(members) => members.iter().any(|(name, value)| hides(name) || hidden(value)),
        Value::String(text) => hides(text),
        Value::Bool(_) | Value::Null | Value::Number(_) => false,
    }
}

impl Pins {
    /// Takes up what the ledger says; for whoever only reads it, too.
    ///
    /// # Errors
    /// When the ledger cannot be read, or holds a pin that this version does not understand.
    pub fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let pins = Self::default();
        for version in versions(reader, VersionedKind::Pin)? {
            let name = version.object.name;
            let state = version.state.as_deref().unwrap_or_default();
            let pin = serde_json::from_str(state).map_err(|error| OpenError::State {
                kind: "pin",
                name: name.to_string(),
                reason: error.to_string(),
            })?;
            pins.put(&name, pin);
        }
        Ok(pins)
    }

    /// All tools that were seen, sorted.
    #[must_use]
    pub fn list(&self) -> BTreeMap<String, Pin> {
        let pins = self.pins.read().unwrap_or_else(PoisonError::into_inner);
        pins.iter().map(|(tool, pin)| (tool.to_string(), pin.clone())).collect()
    }

    /// Whether anything was ever accepted under `name`.
    pub(crate) fn is_pinned(&self, name: &str) -> bool {
        let pins = self.pins.read().unwrap_or_else(PoisonError::into_inner);
        pins.get(name).is_some_and(|pin| pin.pinned.is_some())
    }

    /// Whether `name` is pinned to the digest `sha256`.
    pub(crate) fn is_pinned_as(&self, name: &str, sha256: &str) -> bool {
        let pins = self.pins.read().unwrap_or_else(PoisonError::into_inner);
        pins.get(name).is_some_and(|pin| pin.pinned.as_deref() == Some(sha256))
    }

    /// The digest of the accepted definition of `tool`.
    pub(crate) fn pinned(&self, tool: &Tool) -> Option<Arc<str>> {
        self.of(&tool.to_string())?.pinned.map(Into::into)
    }

    fn of(&self, tool: &str) -> Option<Pin> {
        self.pins.read().unwrap_or_else(PoisonError::into_inner).get(tool).cloned()
    }

    /// Whether calls of `tool` are denied for its definition.
    pub(crate) fn refuses(&self, tool: &Tool, policy: PinPolicy) -> bool {
        // The common case: nothing is refused, and nothing is allocated to find out.
        if tool.endpoint != Endpoint::Tool
            || (policy == PinPolicy::FirstSight && self.refused.load(Ordering::Relaxed) == 0)
        {
            return false;
        }
        match (self.of(&tool.to_string()), policy) {
            (Some(pin), _) => pin.refused.is_some() || (pin.pinned.is_none() && policy == PinPolicy::Strict),
            (None, PinPolicy::Strict) => true,
            (None, PinPolicy::FirstSight) => false,
        }
    }

    /// What a person says that `tool` does, by its accepted definition.
    pub(crate) fn confirmed(&self, tool: &Tool) -> Option<EffectClass> {
        if tool.endpoint != Endpoint::Tool || self.confirmed.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.of(&tool.to_string())?.effect
    }

    fn put(&self, tool: &str, pin: Pin) {
        let adjust = |count: &AtomicUsize, before: bool, after: bool| match (before, after) {
            (false, true) => drop(count.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(count.fetch_sub(1, Ordering::Relaxed)),
            (true, true) | (false, false) => {}
        };
        let (is_refused, is_confirmed) = (pin.refused.is_some(), pin.effect.is_some());
        let before = self.pins.write().unwrap_or_else(PoisonError::into_inner).insert(tool.into(), pin);
        let before = before.unwrap_or_default();
        adjust(&self.refused, before.refused.is_some(), is_refused);
        adjust(&self.confirmed, before.effect.is_some(), is_confirmed);
    }

    fn count(&self) -> usize {
        self.pins.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What was done to a pin, for its `version_log`.
struct Deed<'a> {
    difference: String,
    direction: Option<Direction>,
    who: &'a str,
    why: &'a str,
}

impl Gateway {
    /// Takes note of the definition of `tool` in a list.
    pub(crate) fn sighted(self: &Arc<Self>, tool: &str, raw: &[u8], policy: PinPolicy, place: Place) -> Sight {
        let known = self.pins.of(tool);
        let definition = match Definition::read(raw) {
            Ok(definition) => definition,
            Err(why) => return self.refuse_definition(tool, known, None, why),
        };
        if place == Place::Again {
            return self.refuse_definition(tool, known, Some(definition), "a list has it twice");
        }
        self.compared(tool, known, definition, policy)
    }

    /// Takes note of who the server of this name is now; gives the identity's digest.
    pub(crate) fn identified(self: &Arc<Self>, server: &str, text: String, policy: PinPolicy) -> String {
        let known = self.pins.of(server);
        let sha256 = hex::encode(Sha256::digest(text.as_bytes()));
        let definition = Definition { hides: false, sha256: sha256.clone(), text };
        let _sight = self.compared(server, known, definition, policy);
        sha256
    }

    /// Holds a definition against its pin.
    fn compared(self: &Arc<Self>, tool: &str, known: Option<Pin>, definition: Definition, policy: PinPolicy) -> Sight {
        let pinned = known.as_ref().and_then(|pin| pin.pinned.clone());
        match pinned {
            Some(pinned) if pinned == definition.sha256 => self.seen_as_pinned(tool, known.unwrap_or_default()),
            Some(_) => self.refuse_definition(tool, known, Some(definition), "it is not what was accepted"),
            None if definition.hides => self.refuse_definition(
                tool,
                known,
                Some(definition),
                "it hides characters that a model reads and a person does not see",
            ),
            None if policy == PinPolicy::Strict || known.is_some() => {
                self.refuse_definition(tool, known, Some(definition), "nobody has accepted it yet")
            }
            None if self.pins.count() >= PINS_MAX => {
                self.refuse_definition(tool, known, Some(definition), "there are more tools than are pinned")
            }
            None => self.pin_at_first_sight(tool, &definition),
        }
    }

    fn pin_at_first_sight(self: &Arc<Self>, tool: &str, definition: &Definition) -> Sight {
        if let Err(error) = self.home.keep_definition(&definition.sha256, &definition.text, Durability::Lost) {
            tracing::error!(%error, tool, "a tool's definition could not be kept; the tool is not shown");
            return Sight::Refused;
        }
        let pin = Pin { pinned: Some(definition.sha256.clone()), ..Pin::default() };
        let deed = Deed {
            difference: format!("{} is pinned as it was first seen", named(tool)),
            direction: Some(Direction::Wider),
            who: "countersign",
            why: "first sight",
        };
        append_beside(self, vec![draft(tool, None, &pin, deed)]);
        self.pins.put(tool, pin);
        Sight::Shown
    }

    /// The definition is the accepted one; where another was refused meanwhile, that is over.
    fn seen_as_pinned(self: &Arc<Self>, tool: &str, known: Pin) -> Sight {
        if let Some((refused, _)) = &known.refused {
            let pin = Pin { refused: None, ..known.clone() };
            let deed = Deed {
                difference: format!("{} is what was accepted again", named(tool)),
                direction: Some(Direction::Wider),
                who: "countersign",
                why: "it is what was accepted",
            };
            append_beside(self, vec![draft(tool, Some(refused), &pin, deed)]);
            self.pins.put(tool, pin);
        }
        Sight::Shown
    }

    /// Hides the tool, and denies its calls. Recorded when it begins; what a server lists instead after that changes nothing more.
    fn refuse_definition(
        self: &Arc<Self>,
        tool: &str,
        known: Option<Pin>,
        definition: Option<Definition>,
        why: &str,
    ) -> Sight {
        let known = known.unwrap_or_default();
        let sha256 = definition.as_ref().map_or("unreadable", |definition| &definition.sha256).to_owned();
        if let Some(definition) = &definition
            && known.refused.as_ref().is_none_or(|(before, _)| *before != sha256)
            && let Err(error) = self.home.keep_refused_definition(tool, &definition.text)
        {
            tracing::error!(%error, tool, "a refused definition could not be kept");
        }
        let sort = Sort { kind: ExceptionKind::Drift, name: tool.to_owned(), scope: format!("tool:{tool}") };
        let told = if is_server(tool) {
            format!("calls of {} are denied and its tools are not shown: {why}", named(tool))
        } else {
            format!("the definition of `{tool}` is not shown and its calls are denied: {why}")
        };
        self.note_refusal(sort, &told);
        if known.refused.is_none() && self.pins.count() < 2 * PINS_MAX {
            let pin = Pin { refused: Some((sha256, why.to_owned())), ..known.clone() };
            let deed = Deed {
                difference: format!("{} is hidden, and its calls are denied: {why}", named(tool)),
                direction: Some(Direction::Narrower),
                who: "countersign",
                why,
            };
            append_beside(self, vec![draft(tool, known.pinned.as_deref(), &pin, deed)]);
            self.pins.put(tool, pin);
        }
        Sight::Refused
    }

    /// Accepts what the server of `tool` lists now.
    ///
    /// # Errors
    /// [`PinError`].
    pub async fn pin(&self, tool: &str, who: &str, why: &str) -> Result<(), PinError> {
        let known = self.pins.of(tool).ok_or_else(|| PinError::Unknown(tool.to_owned()))?;
        if known.refused.is_none() {
            return Err(PinError::Same(tool.to_owned()));
        }
        // What is accepted is what people can read, not what the server may list by now.
        let text = self.home.refused_definition(tool).ok_or_else(|| PinError::Unknown(tool.to_owned()))?;
        let sha256 = hex::encode(Sha256::digest(text.as_bytes()));
        if let Err(error) = self.home.keep_definition(&sha256, &text, Durability::Durable) {
            tracing::error!(%error, tool, "the accepted definition could not be kept");
            return Err(PinError::Unknown(tool.to_owned()));
        }
        // Whoever confirmed what the tool does confirmed another definition.
        let pin = Pin { pinned: Some(sha256), ..Pin::default() };
        let difference = format!("{} is pinned as it is now", named(tool));
        let deed = Deed { difference, direction: Some(Direction::Unclear), who, why };
        let version = version_of(tool, known.pinned.as_deref(), &pin, deed);
        self.change_pin(tool, version, pin, &text, Asks::Anew).await
    }

    /// Has `pin` in force, once nobody has to be asked about that any more.
    async fn change_pin(
        &self,
        tool: &str,
        mut version: VersionLog,
        pin: Pin,
        text: &str,
        asks: Asks,
    ) -> Result<(), PinError> {
        let consumed = if asks == Asks::Nothing || is_wider(version.direction) {
            self.settle(&mut version, Proposal { asks, involved: &[], path: None, text }).await?
        } else {
            None
        };
        self.note_version(Context::system(), version, consumed).await?;
        self.pins.put(tool, pin);
        Ok(())
    }

    /// Takes up a pin that people approved, as long as everything else about the tool is as it was.
    pub(crate) async fn take_up_pin(&self, kept: Kept) -> Result<(), PinError> {
        let version = kept.version;
        let tool = version.object.name.to_string();
        let stale = || ChangeError::Unreachable("the tool is not what it was any more; look at it again".to_owned());
        let known = self.pins.of(&tool).ok_or_else(|| PinError::Unknown(tool.clone()))?;
        let pin: Option<Pin> = version.state.as_deref().and_then(|state| serde_json::from_str(state).ok());
        let pin = pin.ok_or_else(stale)?;
        // What is confirmed is of the definition that is accepted; what is accepted is what the server lists.
        let is_confirmed = Pin { effect: pin.effect, ..known.clone() } == pin;
        let is_listed = pin.effect.is_none() && known.refused.map(|(sha256, _)| sha256) == pin.pinned;
        if !(is_confirmed || is_listed) || known.pinned.as_deref() != version.from.as_deref() {
            return Err(stale().into());
        }
        let text = pin.pinned.as_deref().and_then(|sha256| self.home.definition(sha256)).ok_or_else(stale)?;
        self.change_pin(&tool, version, pin, &text, Asks::Nothing).await
    }

    /// Confirms what `tool` does, as long as its definition is the accepted one.
    ///
    /// # Errors
    /// [`PinError`].
    pub async fn confirm(&self, tool: &str, effect: EffectClass, who: &str, why: &str) -> Result<(), PinError> {
        let known = self.pins.of(tool).ok_or_else(|| PinError::Unknown(tool.to_owned()))?;
        if is_server(tool) {
            return Err(PinError::Server(tool.to_owned()));
        }
        let Some(pinned) = known.pinned.clone() else { return Err(PinError::Unpinned(tool.to_owned())) };
        let was = known.effect.unwrap_or(EffectClass::Unconfirmed);
        let pin = Pin { effect: Some(effect).filter(|effect| *effect != EffectClass::Unconfirmed), ..known };
        let difference = format!("tool `{tool}` is confirmed to be `{effect}` (was `{was}`)");
        let deed = Deed { difference, direction: bolder(was, effect), who, why };
        let version = version_of(tool, Some(&pinned), &pin, deed);
        let text = self.home.definition(&pinned).unwrap_or_default();
        self.change_pin(tool, version, pin, &text, Asks::Anew).await
    }
}

/// Which way a confirmation changes what is allowed: danger zones and observed missions go by the class, and only a `read` is answered before its record.
fn bolder(was: EffectClass, now: EffectClass) -> Option<Direction> {
    match gravity(now).cmp(&gravity(was)) {
        std::cmp::Ordering::Less => Some(Direction::Wider),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(Direction::Narrower),
    }
}

/// Whether a pin is of a server's identity (`mcp:bank`, `pay-suppliers/mcp:bank#3f2a9c01d4e7`), and not of a tool (`mcp:bank/send_money`).
#[must_use]
pub fn is_server(name: &str) -> bool {
    name.rsplit_once("mcp:")
        .is_some_and(|(before, server)| !server.contains('/') && (before.is_empty() || before.ends_with('/')))
}

/// What a pin is of, for sentences.
fn named(name: &str) -> String {
    if is_server(name) { format!("server `{name}`") } else { format!("tool `{name}`") }
}

fn draft(tool: &str, from: Option<&str>, pin: &Pin, deed: Deed<'_>) -> Draft {
    Draft::new(Context::system().into(), None, now(), version_of(tool, from, pin, deed))
}

fn version_of(tool: &str, from: Option<&str>, pin: &Pin, deed: Deed<'_>) -> VersionLog {
    let Deed { difference, direction, who, why } = deed;
    let to = match (&pin.refused, &pin.pinned) {
        (Some((refused, _)), _) => format!("refused:{refused}"),
        (None, Some(pinned)) => pinned.clone(),
        (None, None) => "nothing".to_owned(),
    };
    VersionLog {
        approval: None,
        difference: vec![difference],
        direction,
        from: from.map(Into::into),
        object: VersionedObject { kind: VersionedKind::Pin, name: tool.into() },
        state: serde_json::to_string(pin).ok(),
        to: to.into(),
        who: who.to_owned(),
        why: why.to_owned(),
    }
}

impl fmt::Display for Pin {
    /// How it stands, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.refused, &self.pinned) {
            (Some((_, why)), _) => write!(f, "refused: {why}"),
            (None, Some(_)) => f.write_str("pinned"),
            (None, None) => f.write_str("unknown"),
        }
    }
}
