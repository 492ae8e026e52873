//! Looks into what calls bring and tools return: which classes of data are there, and what the mission makes of them.
//!
//! What is found and what becomes of it is said in `governance`; here are the detector, which is built once, and the home's keys of hashes and tokens.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use evidence::ids::RunId;
use evidence::record::{Captured, Content, ExceptionKind, Surface, Tool};
use governance::classify::capture::capture;
use governance::classify::deidentify::{HashKey, Keys};
use governance::classify::detect::Detector;
use governance::classify::own::OwnClasses;
use governance::classify::token::{Token, TokenKey, TurnedBack, turn_back};
use governance::classify::{Found, Place};
use governance::decide::{Arrival, PolicySnapshot};
use governance::execute::{Examined, Outcome, Release, examine, examine_aside, reaching};
use governance::intercept::Intercepted;
use governance::mission::Mission;
use memchr::memmem;

use crate::Gateway;
use crate::blocking::blocking;
use crate::classes::undefined_class;
use crate::clock::now;
use crate::home::Home;
use crate::limits::{ECHO_BYTES_MIN, EXAMINED_IN_PLACE_BYTES_MAX};
use crate::missions::LoadError;
use crate::refusals::Sort;
use crate::seal::{SealError, key_or_new, key_or_new_of};

/// What looks into messages.
#[derive(Debug)]
pub(crate) struct Examiner {
    detector: ArcSwap<Detector>,
    own: ArcSwapOption<OwnClasses>,
    keys: Keys,
}

impl Examiner {
    /// With the home's keys of hashes and tokens, which are made where there are none.
    pub(crate) fn open(home: &Home) -> Result<Self, SealError> {
        let path = home.path().join("keys/data.hmac");
        let hash = key_or_new(&path)?.try_into().map_err(|_| SealError::Unsealed(path))?;
        let path = home.path().join("keys/data.siv");
        let token = key_or_new_of(&path, 64)?.try_into().map_err(|_| SealError::Unsealed(path))?;
        let keys = Keys { hash: HashKey::new(hash), token: TokenKey::new(token) };
        Ok(Self { detector: ArcSwap::default(), own: ArcSwapOption::empty(), keys })
    }

    /// From now on these own classes are found too.
    pub(crate) fn put(&self, own: Arc<OwnClasses>) {
        self.detector.store(Arc::new(Detector::default().with_own(own.clone())));
        self.own.store(Some(own));
    }

    /// The own classes that are found.
    pub(crate) fn own(&self) -> Option<Arc<OwnClasses>> {
        self.own.load_full()
    }

    /// That the own classes that `mission` speaks of are there: a rule about one that is not would never hold.
    pub(crate) fn knows_classes_of(&self, mission: &Mission, file: &str) -> Result<(), LoadError> {
        match undefined_class(mission.own_classes(), file, self.own.load().as_deref()) {
            None => Ok(()),
            Some(error) => Err(LoadError::Invalid(error)),
        }
    }

    /// What is in `message`, and where values of `echoed` stand in it. A token of `mission` is not its value, and no secret either, however random it looks.
    fn found(&self, mission: &str, message: &[u8], echoed: &[Token]) -> Found {
        let scan = self.detector.load().scan(message);
        let tokens = self.keys.token.tokens(mission, message);
        let is_token = |place: &Place| {
            let range = &place.range;
            let before = tokens.partition_point(|token| token.range.start <= range.start);
            tokens.get(..before).and_then(<[_]>::last).is_some_and(|token| range.end <= token.range.end)
        };
        let places = scan.findings().iter().map(Place::from);
        let mut places: Vec<Place> = places.filter(|place| !is_token(place)).collect();
        if !echoed.is_empty() {
            places.extend(echoes(message, echoed, &places, ECHO_BYTES_MIN));
            places.sort_by_key(|place| (place.range.start, place.range.end));
        }
        Found::new(places, scan.is_complete())
    }

    /// What the organisation has kept of a content of a call in which `tokens` turned back, with what is to be kept.
    pub(crate) fn captured(
        &self,
        policy: &PolicySnapshot,
        content: Content,
        text: &Bytes,
        tokens: &[Token],
    ) -> Option<(Captured, Option<Bytes>)> {
        let rules = policy.capture()?;
        let mut found = self.found(policy.mission().name(), text, tokens);
        if content == Content::Arguments && !tokens.is_empty() {
            // However short they are: they are there for sure.
            let mut places = found.places().to_vec();
            places.extend(echoes(text, tokens, &places, 1));
            places.sort_by_key(|place| (place.range.start, place.range.end));
            found = Found::new(places, !found.is_unread());
        }
        Some(capture(text, content, &found, rules, &self.keys))
    }
}

/// Where `message` has values for which tokens turned back in the call that it answers, and which were not found there as what they are: a tool that returns what it was sent,
/// with letters around it, tells the agent nothing by that. Shorter ones than `bytes_min` are not looked for.
fn echoes(message: &[u8], echoed: &[Token], known: &[Place], bytes_min: usize) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for (nth, token) in echoed.iter().enumerate() {
        let value = token.value.as_bytes();
        let is_repeated =
            echoed.iter().take(nth).any(|before| before.value == token.value && before.class == token.class);
        if is_repeated || value.len() < bytes_min {
            continue;
        }
        for start in memmem::find_iter(message, value) {
            let range = start..start + value.len();
            let holds = |place: &Place| {
                place.class == token.class && place.range.start <= range.start && range.end <= place.range.end
            };
            if !known.iter().any(holds) {
                places.push(Place { class: token.class, kind: token.kind.clone().into(), range });
            }
        }
    }
    places
}

impl Gateway {
    /// `intercepted` with the arguments that its tool gets: tokens are values again where the tool may have them. With the tokens that turned back.
    ///
    /// INVARIANT (tokens-turn-back-once): the one place where they do, before anything judges the call; what is kept of a call that waits has the tokens.
    pub(crate) fn turned_back(&self, policy: &PolicySnapshot, intercepted: Intercepted) -> (Intercepted, Vec<Token>) {
        let may_have = |token: &Token| policy.turns_back(token.class, &token.kind, intercepted.tool());
        let (mission, key) = (policy.mission().name(), &self.examiner.keys.token);
        match turn_back(intercepted.arguments(), mission, key, may_have) {
            Some(TurnedBack { arguments, tokens }) => (intercepted.turned_back(Some(Bytes::from(arguments))), tokens),
            None => (intercepted.turned_back(None), Vec::new()),
        }
    }

    /// The classes of data in the arguments of a call, as its tool gets them, sorted, and in which arguments they stand, as far as exceptions ask; what `tokens` stand for is of their class, whatever it looks like where it stands
    /// now. Its run has met those in what its agent sent, wherever it has them from.
    pub(crate) async fn classes(
        self: &Arc<Self>,
        policy: &PolicySnapshot,
        run: Option<RunId>,
        call: &Intercepted,
        tokens: &[Token],
    ) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let mission = policy.mission().name();
        let found = self.found(mission, call.sent(), &[]).await;
        match call.sent_sha256() {
            None => self.met.add(run, found.kinds()),
            // The agent has the tokens, and the tool the values.
            Some(_) => {
                self.met.add(run, self.found(mission, &Bytes::copy_from_slice(call.arguments()), &[]).await.kinds())
            }
        }
        let mut labels = policy.labels(&found);
        labels.extend(tokens.iter().map(|token| policy.label(token.class, &token.kind)));
        labels.sort_unstable();
        labels.dedup();
        self.note_unexpected(policy, call.tool(), &labels, "its arguments hold");
        let fields = policy.fields(call.tool(), &found, call.sent());
        (labels, fields)
    }

    /// `outcome`, looked into; `tokens` are those that turned back in its call. Its run has met what its agent gets of it.
    pub(crate) async fn looked_into(
        self: &Arc<Self>,
        policy: &PolicySnapshot,
        (run, tool): (Option<RunId>, &Tool),
        tokens: &[Token],
        outcome: Outcome,
    ) -> Outcome {
        let Some(result) = &outcome.result else { return outcome };
        let found = self.found(policy.mission().name(), result, tokens).await;
        let of = Arrival { at: now(), tool };
        let outcome = match tool.surface {
            Surface::Change | Surface::Mcp => examine(outcome, policy, &found, &self.examiner.keys, of),
            // What its automation reports of a step does not go on to anybody.
            Surface::Workflow => {
                let (classes, excepted, kept) = (policy.labels(&found), Vec::new(), Vec::new());
                let examined = Examined { at: of.at, classes, excepted, kept, release: Release::Pass };
                Outcome { examined: Some(Box::new(examined)), ..outcome }
            }
        };
        if let Some(examined) = &outcome.examined {
            self.met.add(run.filter(|_| tool.surface != Surface::Workflow), reaching(examined, &found, policy, tool));
            self.note_unexpected(policy, tool, &examined.classes, "its result holds");
        }
        outcome
    }

    /// What an upstream `said` beside the outcomes of calls, looked into. Its run has met what its agent gets of it.
    pub(crate) async fn aside_looked_into(
        self: &Arc<Self>,
        policy: &PolicySnapshot,
        (run, tool): (Option<RunId>, &Tool),
        said: &Bytes,
    ) -> Examined {
        let found = self.found(policy.mission().name(), said, &[]).await;
        let of = Arrival { at: now(), tool };
        let examined = examine_aside(said, policy, &found, &self.examiner.keys, of);
        self.met.add(run, reaching(&examined, &found, policy, tool));
        self.note_unexpected(policy, tool, &examined.classes, "what was told beside answers holds");
        examined
    }

    /// What is found in `message`; a large one is looked into beside other calls.
    async fn found(self: &Arc<Self>, mission: &Arc<str>, message: &Bytes, echoed: &[Token]) -> Found {
        if message.len() <= EXAMINED_IN_PLACE_BYTES_MAX {
            return self.examiner.found(mission, message, echoed);
        }
        let (gateway, mission, message, echoed) = (self.clone(), mission.clone(), message.clone(), echoed.to_vec());
        // Boxed: every call would carry the room for it.
        Box::pin(blocking(move || gateway.examiner.found(&mission, &message, &echoed))).await
    }

    /// Opens an exception for each class that the mission does not expect: one for a class at a tool in a window, however often it is met.
    fn note_unexpected(self: &Arc<Self>, policy: &PolicySnapshot, tool: &Tool, found: &[Arc<str>], holds: &str) {
        for class in policy.unexpected(found) {
            let scope = format!("mission:{}", policy.mission().name());
            let sort = Sort { kind: ExceptionKind::Data, name: format!("{class} {tool}"), scope };
            let reason = format!("`{tool}`: {holds} data of class `{class}`, which the mission does not expect");
            self.note_refusal(sort, &reason);
        }
    }
}
