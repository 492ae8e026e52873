//! A round's state comes back once, for its own call, with the upstream's own bytes; no other text is one.
#![no_main]

use std::sync::LazyLock;

use governance::evidence::ids::CallId;
use governance::evidence::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use surfaces::limits::ReadLimits;
use surfaces::mcp::codec::Raw;
use surfaces::mcp::rounds::{Bound, OpenError, Rounds, StateError};
use tokio::time::Instant;

static ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::new([7; 32]));
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

fuzz_target!(|bytes: &[u8]| {
    let mine = Bound::new(None, "server", "tools/call", "tool", "digest");
    // As it is, it is nobody's.
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(ROUNDS.take(&mine, text, *NOW), Err(StateError::Foreign));
    }
    let Some((place, state)) = bytes.split_first() else { return };
    let state = Raw::parse(state, &ReadLimits::RESPONSE).ok();
    let call = CallId::at(Timestamp::EPOCH, [3; 10]);
    let sealed = match ROUNDS.open(&mine, call, 1, state, *NOW) {
        Ok(sealed) => sealed,
        Err(OpenError::TooLarge) => return,
        Err(error) => panic!("{error}"),
    };
    let other = Bound::new(None, "server", "tools/call", "tool", "other");
    assert_eq!(ROUNDS.take(&other, &sealed, *NOW), Err(StateError::Foreign));
    let at = usize::from(*place) % sealed.len();
    let mut forged = sealed.clone().into_bytes();
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("ASCII");
    assert_eq!(ROUNDS.take(&mine, &forged, *NOW), Err(StateError::Foreign));
    let round = ROUNDS.take(&mine, &sealed, *NOW).expect("it was given out and not used");
    assert_eq!((round.call, round.attempt), (call, 2));
    assert_eq!(round.state.as_deref(), state.map(Raw::bytes));
    assert_eq!(ROUNDS.take(&mine, &sealed, *NOW), Err(StateError::Spent));
});
