//! Time and randomness in the hands of a test: nothing passes by itself, and the same test draws the same numbers.
//!
//! They hold for the thread that holds them, so whatever is tried so runs on that thread alone.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use evidence::time::Timestamp;
use tokio::time::Instant;

thread_local! {
    static HELD: RefCell<Option<Hands>> = const { RefCell::new(None) };
}

struct Hands {
    base: (Instant, i64),
    drawn: u64,
    now_us: Arc<AtomicI64>,
    sleepers: Vec<(Instant, Waker)>,
}

impl Hands {
    fn instant(&self) -> Instant {
        let (instant, at_us) = self.base;
        let passed = self.now_us.load(Ordering::Relaxed) - at_us;
        instant + Duration::from_micros(u64::try_from(passed).unwrap_or_default())
    }
}

/// The clock, while it is held.
pub(crate) struct Held(Arc<AtomicI64>);

impl Held {
    /// Takes the thread's time, which is `at` from now on.
    pub(crate) fn at(at: Timestamp) -> Self {
        let now_us = Arc::new(AtomicI64::new(at.micros()));
        let hands =
            Hands { base: (Instant::now(), at.micros()), drawn: 0, now_us: now_us.clone(), sleepers: Vec::new() };
        HELD.set(Some(hands));
        Self(now_us)
    }

    /// It is `at` now: whoever waited for that wakes.
    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.micros(), Ordering::Relaxed);
        let due = HELD.with_borrow_mut(|held| {
            let Some(hands) = held else { return Vec::new() };
            let now = hands.instant();
            let (due, later) = std::mem::take(&mut hands.sleepers).into_iter().partition(|(until, _)| *until <= now);
            hands.sleepers = later;
            due
        });
        Vec::<(Instant, Waker)>::into_iter(due).for_each(|(_, waker)| waker.wake());
    }

    /// The same time, for a thread-safe clock.
    pub(crate) fn clock(&self) -> impl Fn() -> Timestamp + Send + Sync + 'static {
        let now_us = self.0.clone();
        move || Timestamp::from_micros(now_us.load(Ordering::Relaxed))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(None);
    }
}

pub(crate) fn is_held() -> bool {
    HELD.with_borrow(Option::is_some)
}

pub(super) fn now() -> Option<Timestamp> {
    HELD.with_borrow(|held| held.as_ref().map(|hands| Timestamp::from_micros(hands.now_us.load(Ordering::Relaxed))))
}

pub(super) fn instant() -> Option<Instant> {
    HELD.with_borrow(|held| held.as_ref().map(Hands::instant))
}

pub(super) async fn reached(at: Instant) {
    poll_fn(|context| {
        HELD.with_borrow_mut(|held| match held {
            Some(hands) if hands.instant() < at => {
                hands.sleepers.push((at, context.waker().clone()));
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
    })
    .await;
}

/// SplitMix64: whether it has filled `out`.
pub(crate) fn random(out: &mut [u8]) -> bool {
    HELD.with_borrow_mut(|held| {
        let Some(hands) = held else { return false };
        for bytes in out.chunks_mut(8) {
            hands.drawn = hands.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (hands.drawn ^ (hands.drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..bytes.len()]);
        }
        true
    })
}
