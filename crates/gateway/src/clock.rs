//! Time and randomness: the only places where the gateway takes them from the operating system.

#[cfg(test)]
pub(crate) mod by_hand;

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use evidence::ids::Entropy as Bits;
use evidence::time::Timestamp;
use tokio::time::Instant;

/// The wall clock's time.
#[must_use]
pub fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(now) = by_hand::now() {
        return now;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The time of the clock that waiting goes by, which nobody sets.
pub(crate) fn instant() -> Instant {
    #[cfg(test)]
    if let Some(instant) = by_hand::instant() {
        return instant;
    }
    Instant::now()
}

/// Waits until `at`.
pub(crate) async fn sleep_until(at: Instant) {
    #[cfg(test)]
    if by_hand::is_held() {
        return by_hand::reached(at).await;
    }
    tokio::time::sleep_until(at).await;
}

/// A random number that serves once, in 32 hexadecimal digits.
#[must_use]
pub fn nonce() -> String {
    let mut nonce = [0; 16];
    random(&mut nonce);
    hex::encode(nonce)
}

/// Random bits for identifiers, taken from the operating system in larger pieces.
#[derive(Debug)]
pub struct Entropy(Mutex<Pool>);

#[derive(Debug)]
struct Pool {
    bytes: [u8; POOL_BYTES],
    left: usize,
}

/// 400 identifiers to one system call.
const POOL_BYTES: usize = 4_000;

impl Default for Entropy {
    fn default() -> Self {
        Self(Mutex::new(Pool { bytes: [0; POOL_BYTES], left: 0 }))
    }
}

impl Entropy {
    /// 80 bits that were never given out before.
    ///
    /// # Panics
    /// Never; where the operating system gives no randomness the process ends, because identifiers that repeat would mix up calls.
    pub fn bits(&self) -> Bits {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bits = Bits::default();
        if pool.left < bits.len() {
            random(&mut pool.bytes);
            pool.left = POOL_BYTES;
        }
        let start = pool.left - bits.len();
        if let Some(fresh) = pool.bytes.get_mut(start..start + bits.len()) {
            bits.copy_from_slice(fresh);
            fresh.fill(0);
        }
        pool.left = start;
        bits
    }
}

/// Fills `bytes` from the operating system.
pub fn random(bytes: &mut [u8]) {
    #[cfg(test)]
    if by_hand::random(bytes) {
        return;
    }
    if let Err(error) = getrandom::fill(bytes) {
        tracing::error!(%error, "the operating system gives no randomness");
        std::process::abort();
    }
}
