//! The clock and the randomness of this machine.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use evidence::time::Timestamp;

use crate::ports::{Clock, Entropy};

/// The system's clock, in UTC.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) -> io::Result<()> {
        getrandom::fill(out).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Lets others go first: whatever else wants to run on this machine takes the processor from the calling thread, which has what is left and a tenth where all of it
/// is wanted (nice value 10). On Linux that is a property of each thread; elsewhere it would be one of the whole process, so nothing is done there.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    {
        const NICE: i32 = 10;
        let stepped = rustix::process::getpriority_process(None)
            .and_then(|nice| rustix::process::setpriority_process(None, nice.max(NICE)));
        if let Err(error) = stepped {
            tracing::debug!(%error, "a background thread keeps its priority");
        }
    }
}
