//! Calls in several rounds: the state that an agent carries between them (MCP revision 2026-07-28, Multi Round-Trip Requests, `requestState`).
//!
//! An upstream that needs input answers with a state of its own, which the agent sends back with the next round. Ours is wrapped round it: sealed with a key of this
//! process (HMAC-SHA-256), bound to the run, the upstream, and the call in its exact arguments, and good for one use within a time. What is not ours is refused, so a
//! state neither forges nor repeats a round, and one from before a restart begins anew. The upstream's own comes back to it byte for byte. Pure state: time is an input.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use governance::evidence::ids::{CallId, RunId};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::codec::Raw;
use crate::limits::{ROUND_MS, ROUND_STATE_BYTES_MAX, ROUNDS_OF_RUN_MAX, ROUNDS_OPEN_MAX, ReadLimits};

const VERSION: u8 = 1;
const TAG_BYTES: usize = 32;
/// Version, call, attempt, number, and whether the upstream gave a state.
const HEAD_BYTES: usize = 1 + 16 + 4 + 8 + 1;

/// The rounds that wait for their next request.
pub struct Rounds {
    key: hmac::Key,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The number of the next state.
    next: u64,
    /// The states of each run that were given out and not used, oldest first, with their ends.
    of_runs: HashMap<Owner, VecDeque<(u64, Instant)>>,
    total: usize,
}

/// Whose rounds they are: a run, or, for what belongs to none, all that belongs to none.
type Owner = Option<RunId>;

/// What a state is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    digest: [u8; 32],
    run: Owner,
}

impl Bound {
    /// Binds to a call of `run` at `upstream`: its method, what it names, and the digest of its exact arguments.
    #[must_use]
    pub fn new(run: Option<RunId>, upstream: &str, method: &str, name: &str, args_sha256: &str) -> Self {
        let mut digest = Sha256::new_with_prefix(b"countersign round v1\0");
        let run_text = run.map(|run| run.to_string()).unwrap_or_default();
        for part in [run_text.as_str(), upstream, method, name, args_sha256] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        Self { digest: digest.finalize().into(), run }
    }
}

/// A round that was asked for: the call goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Which attempt at the call this is, from 2.
    pub attempt: u32,
    /// The call.
    pub call: CallId,
    /// The upstream's own state, as it wrote it: the JSON text with its quotes. `None` where it gave none.
    pub state: Option<Box<[u8]>>,
}

/// Why a state is not accepted. Whoever sent it is not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not made here, or for another call.
    #[error("the state was not made for this call by this process")]
    Foreign,
    /// Made here, for this call, and used or too old.
    #[error("the state was used already, or is too old")]
    Spent,
}

/// Why no state is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Other runs have all the places.
    #[error("{ROUNDS_OPEN_MAX} calls wait for input")]
    Full,
    /// The upstream's own is too large to be carried.
    #[error("the upstream's state is larger than {ROUND_STATE_BYTES_MAX} bytes")]
    TooLarge,
}

impl Rounds {
    /// No rounds. `key` is fresh randomness: states live as long as this process.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), open: Mutex::default() }
    }

    /// Gives out the state with which `call` goes on after `attempt`; `state` is the upstream's own, as it wrote it.
    ///
    /// # Errors
    /// [`OpenError`]; the call cannot go on.
    pub fn open(
        &self,
        bound: &Bound,
        call: CallId,
        attempt: u32,
        state: Option<Raw<'_>>,
        now: Instant,
    ) -> Result<String, OpenError> {
        let state = state.map(Raw::bytes);
        if state.is_some_and(|state| state.len() > ROUND_STATE_BYTES_MAX) {
            return Err(OpenError::TooLarge);
        }
        let number = self.lock().add(bound.run, now)?;
        let mut sealed = Vec::with_capacity(HEAD_BYTES + state.map_or(0, <[u8]>::len) + TAG_BYTES);
        sealed.push(VERSION);
        sealed.extend_from_slice(call.as_bytes());
        sealed.extend_from_slice(&attempt.to_be_bytes());
        sealed.extend_from_slice(&number.to_be_bytes());
        sealed.push(u8::from(state.is_some()));
        sealed.extend_from_slice(state.unwrap_or_default());
        let tag = self.tag(bound, &sealed);
        sealed.extend_from_slice(tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Takes a state back, once.
    ///
    /// # Errors
    /// [`StateError`]; the round must not run.
    pub fn take(&self, bound: &Bound, sealed: &str, now: Instant) -> Result<Round, StateError> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| StateError::Foreign)?;
        let (body, tag) = sealed
            .len()
            .checked_sub(TAG_BYTES)
            .and_then(|at| sealed.split_at_checked(at))
            .ok_or(StateError::Foreign)?;
        let mut signed = bound.digest.to_vec();
        signed.extend_from_slice(body);
        hmac::verify(&self.key, &signed, tag).map_err(|_| StateError::Foreign)?;
        let (number, round) = read(body).ok_or(StateError::Foreign)?;
        if self.lock().remove(bound.run, number, now) { Ok(round) } else { Err(StateError::Spent) }
    }

    fn tag(&self, bound: &Bound, body: &[u8]) -> hmac::Tag {
        let mut signing = hmac::Context::with_key(&self.key);
        signing.update(&bound.digest);
        signing.update(body);
        signing.sign()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing that changes it can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rounds").field("open", &self.lock().total).finish_non_exhaustive()
    }
}

/// Reads what a seal covers. Ours, so that it is well formed; what is not says that it is not.
fn read(body: &[u8]) -> Option<(u64, Round)> {
    let (version, rest) = body.split_first()?;
    let (call, rest) = rest.split_first_chunk::<16>()?;
    let (attempt, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (has_state, state) = rest.split_first()?;
    let state = match has_state {
        0 if state.is_empty() => None,
        1 => Some(Raw::parse(state, &ReadLimits::RESPONSE).ok()?.bytes().into()),
        _ => return None,
    };
    let attempt = u32::from_be_bytes(*attempt).checked_add(1)?;
    (*version == VERSION)
        .then_some((u64::from_be_bytes(*number), Round { attempt, call: CallId::from_bytes(*call), state }))
}

impl Open {
    /// A place for one state more. A run that has all of its places gives up its oldest, which is then refused.
    fn add(&mut self, run: Owner, now: Instant) -> Result<u64, OpenError> {
        if self.total >= ROUNDS_OPEN_MAX {
            self.sweep(now);
        }
        let is_full = self.total >= ROUNDS_OPEN_MAX;
        let of_run = self.of_runs.entry(run).or_default();
        if (is_full || of_run.len() >= ROUNDS_OF_RUN_MAX) && of_run.pop_front().is_some() {
            self.total -= 1;
        } else if is_full {
            self.of_runs.remove(&run);
            return Err(OpenError::Full);
        }
        let number = self.next;
        self.next += 1;
        of_run.push_back((number, now + Duration::from_millis(ROUND_MS)));
        self.total += 1;
        Ok(number)
    }

    /// Takes a state's place away; false where it has none any more.
    fn remove(&mut self, run: Owner, number: u64, now: Instant) -> bool {
        let Some(of_run) = self.of_runs.get_mut(&run) else { return false };
        // Numbers only grow, so the places are in their order.
        let Ok(at) = of_run.binary_search_by_key(&number, |(number, _)| *number) else { return false };
        let Some((_, until)) = of_run.remove(at) else { return false };
        self.total -= 1;
        if of_run.is_empty() {
            self.of_runs.remove(&run);
        }
        now < until
    }

    fn sweep(&mut self, now: Instant) {
        self.of_runs.retain(|_, of_run| {
            while of_run.front().is_some_and(|(_, until)| *until <= now) {
                of_run.pop_front();
                self.total -= 1;
            }
            !of_run.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use governance::evidence::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn run(n: u8) -> Option<RunId> {
        Some(RunId::at(AT, [n; 10]))
    }

    fn call() -> CallId {
        CallId::at(AT, [9; 10])
    }

    fn bound(n: u8) -> Bound {
        Bound::new(run(n), "bank", "tools/call", "send_money", "aa")
    }

    #[test]
    fn a_state_comes_back_once_with_what_the_upstream_wrote() {
        let (rounds, now) = (Rounds::new([1; 32]), Instant::now());
        for written in [Some(r#""opaque\u0061\/""#), None] {
            let raw = written.map(|text| Raw::parse(text.as_bytes(), &ReadLimits::RESPONSE).unwrap());
            let sealed = rounds.open(&bound(1), call(), 1, raw, now).unwrap();
            let round = rounds.take(&bound(1), &sealed, now).unwrap();
            assert_eq!(round, Round { attempt: 2, call: call(), state: written.map(|text| text.as_bytes().into()) });
            assert_eq!(rounds.take(&bound(1), &sealed, now), Err(StateError::Spent));
        }
    }

    #[test]
    fn another_run_server_method_name_argument_or_process_is_refused() {
        let (rounds, now) = (Rounds::new([1; 32]), Instant::now());
        let sealed = rounds.open(&bound(1), call(), 1, None, now).unwrap();
        for other in [
            bound(2),
            Bound::new(None, "bank", "tools/call", "send_money", "aa"),
            Bound::new(run(1), "bank2", "tools/call", "send_money", "aa"),
            Bound::new(run(1), "bank", "prompts/get", "send_money", "aa"),
            Bound::new(run(1), "bank", "tools/call", "send_mone", "yaa"),
            Bound::new(run(1), "bank", "tools/call", "send_money", "ab"),
        ] {
            assert_eq!(rounds.take(&other, &sealed, now), Err(StateError::Foreign), "{other:?}");
        }
        assert_eq!(Rounds::new([2; 32]).take(&bound(1), &sealed, now), Err(StateError::Foreign));
        assert!(rounds.take(&bound(1), &sealed, now).is_ok(), "a refused attempt uses nothing up");
    }

    #[test]
    fn a_state_has_an_end() {
        let (rounds, now) = (Rounds::new([1; 32]), Instant::now());
        let sealed = rounds.open(&bound(1), call(), 1, None, now).unwrap();
        let late = now + Duration::from_millis(ROUND_MS);
        assert_eq!(rounds.take(&bound(1), &sealed, late), Err(StateError::Spent));
    }

    #[test]
    fn a_run_that_asks_for_more_than_its_places_loses_its_own_oldest() {
        let (rounds, now) = (Rounds::new([1; 32]), Instant::now());
        let other = rounds.open(&bound(2), call(), 1, None, now).unwrap();
        let states: Vec<_> =
            (0..=ROUNDS_OF_RUN_MAX).map(|_| rounds.open(&bound(1), call(), 1, None, now).unwrap()).collect();
        assert_eq!(rounds.take(&bound(1), &states[0], now), Err(StateError::Spent));
        assert!(rounds.take(&bound(1), &states[1], now).is_ok());
        assert!(rounds.take(&bound(2), &other, now).is_ok());
    }

    #[test]
    fn all_places_together_are_bounded_and_those_of_the_past_are_free() {
        let (rounds, now) = (Rounds::new([1; 32]), Instant::now());
        for n in 0..ROUNDS_OPEN_MAX {
            let run = Some(RunId::at(AT.plus_micros(i64::try_from(n).unwrap() * 1_000), [0; 10]));
            let bound = Bound::new(run, "bank", "tools/call", "send_money", "aa");
            rounds.open(&bound, call(), 1, None, now).unwrap();
        }
        let newcomer = Bound::new(None, "bank", "tools/call", "send_money", "aa");
        assert_eq!(rounds.open(&newcomer, call(), 1, None, now), Err(OpenError::Full));
        let late = now + Duration::from_millis(ROUND_MS);
        assert!(rounds.open(&newcomer, call(), 1, None, late).is_ok());
        assert_eq!(rounds.lock().total, 1);
    }

    #[test]
    fn a_state_that_is_too_large_is_not_carried() {
        let (rounds, now) = (Rounds::new([1; 32]), Instant::now());
        let large = format!("\"{}\"", "x".repeat(ROUND_STATE_BYTES_MAX));
        let raw = Raw::parse(large.as_bytes(), &ReadLimits::RESPONSE).unwrap();
        assert_eq!(rounds.open(&bound(1), call(), 1, Some(raw), now), Err(OpenError::TooLarge));
    }

    proptest! {
        #[test]
        fn no_altered_state_is_accepted(at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in any::<prop::sample::Index>()) {
            let (rounds, now) = (Rounds::new([1; 32]), Instant::now());
            let raw = Raw::parse(br#""state""#, &ReadLimits::RESPONSE).unwrap();
            let sealed = rounds.open(&bound(1), call(), 1, Some(raw), now).unwrap();
            let mut altered = sealed.clone().into_bytes();
            let at = at.index(altered.len());
            altered[at] ^= 1 << bit;
            if let Ok(altered) = String::from_utf8(altered) {
                prop_assert_eq!(rounds.take(&bound(1), &altered, now), Err(StateError::Foreign));
            }
            let cut = cut.index(sealed.len());
            let cut: String = sealed.chars().take(cut).collect();
            prop_assert_eq!(rounds.take(&bound(1), &cut, now), Err(StateError::Foreign));
        }
    }
}
