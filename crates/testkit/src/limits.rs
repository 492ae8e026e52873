//! Every bound of the test parts, with its arithmetic and what happens when it is reached.

use std::time::Duration;

/// Largest message that the test upstream reads: twice what the gateway lets an agent send (4 MiB), so that the gateway's bound is met first.
/// Beyond it HTTP answers 413 and stdio stops reading.
pub const UPSTREAM_MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Sessions of one test upstream: 64 load sessions and their successors over a long soak. Beyond it `initialize` is answered 503.
pub const UPSTREAM_SESSIONS_MAX: usize = 1 << 16;

/// Streams of one session whose events are kept for resumption. The oldest is forgotten, and resuming at it is answered 404.
pub const STREAMS_KEPT_MAX: usize = 16;

/// Events that one stream keeps: a progress call of 1,000 steps and room. Beyond it the stream ends.
pub const STREAM_EVENTS_MAX: usize = 4_096;

/// Messages between the reader of standard input and the server, and frames between a stream and its socket: enough to keep both busy.
/// A full queue stops the sender.
pub const QUEUE_MESSAGES_MAX: usize = 64;

/// Progress notifications of one call. More is answered as invalid parameters.
pub const PROGRESS_STEPS_MAX: u32 = 1_000;

/// Longest wait that a call may ask of the test upstream. More is answered as invalid parameters.
pub const WAIT_MS_MAX: u64 = 60_000;

/// Longest key of an effect. A line of the effects file stays far below the 4,096 bytes of a page, and is written in one piece.
pub const EFFECT_KEY_BYTES_MAX: usize = 128;

/// Size of the oversize result: twice the largest message that the gateway takes from an upstream (32 MiB).
pub const OVERSIZE_RESULT_BYTES: usize = 64 << 20;

/// What the upstream that floods standard error writes at once: 128 times the 64 KiB of a pipe.
pub const STDERR_FLOOD_BYTES: usize = 8 << 20;

/// How long a test part waits for what must come, before it says that it did not: a cold start of a debug build on a busy machine of two cores takes
/// seconds, not a minute.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Largest answer that the load client reads: above the gateway's own bound of 32 MiB. Beyond it the call fails.
pub const ANSWER_BYTES_MAX: usize = 40 << 20;

/// Largest head of an answer that the load client reads. Beyond it the call fails.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// Lines of a child's standard output that wait to be read. Later lines are dropped, so that the child never blocks on them.
pub const OUTPUT_LINES_MAX: usize = 1_024;

/// Records that one `audit` is asked for: about 100 MB of JSON in its memory. More are asked for in further pages.
pub const AUDIT_PAGE_RECORDS: usize = 100_000;

/// How often the approver looks for questions: well below the 100 ms that a person notices, and 50 looks a second cost a gateway nothing that shows.
pub const ANSWER_EVERY: Duration = Duration::from_millis(20);
