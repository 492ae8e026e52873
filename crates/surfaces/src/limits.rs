//! Every bound that a surface puts on what it reads, with its arithmetic and what happens when it is reached.
//!
//! These are the values in force where nothing else is configured.

/// Largest JSON-RPC message that an agent may send: 4 MiB, about a thousand pages of arguments. Beyond it the message
/// is refused, and on a stream the reader goes on with the next one.
pub const REQUEST_BODY_BYTES_MAX: usize = 4 << 20;

/// Largest JSON-RPC message that an upstream may send: 32 MiB, a 24 MB file once it is base64 (4/3). Refused beyond.
pub const RESPONSE_BODY_BYTES_MAX: usize = 32 << 20;

/// Deepest nesting of arrays and objects; the outermost value counts as one. Common parsers stop at 128 (`serde_json`)
/// to 1,000; half of the smallest means that whatever we let through, everybody behind us can read. Refused beyond.
pub const JSON_DEPTH_MAX: usize = 64;

/// Members of all objects that are open at one point of a message. The strict reader keeps 24 bytes for each to find
/// duplicate keys: 24 x 262,144 = 6 MiB at most while one message is read. Refused beyond.
pub const JSON_OPEN_MEMBERS_MAX: usize = 1 << 18;

/// Longest number literal. A binary64 never needs more than 767 significant digits, and Python refuses integers of more
/// than 4,300; longer ones exist only to make two readers disagree. Refused beyond.
pub const JSON_NUMBER_BYTES_MAX: usize = 1024;

/// Longest JSON-RPC id or progress token, as written, quotes included. UUIDs need 38; ids are kept for every call in
/// flight and written to records. Refused beyond.
pub const RPC_ID_BYTES_MAX: usize = 512;

/// Longest JSON-RPC method name, decoded. The longest in the protocol is below 50. Refused beyond.
pub const RPC_METHOD_BYTES_MAX: usize = 256;

/// Calls of one session that have become tasks, or may yet, and have not ended: as many as [`IN_FLIGHT_MAX`], because a client that declares the extension for tasks says that
/// any call may become one. Each keeps its arguments. One more is refused before it is sent.
pub const TASKS_OPEN_MAX: usize = IN_FLIGHT_MAX;

/// Tasks of one session that may be asked about, those included whose calls have ended; then the oldest of these is forgotten, and questions about it are denied.
pub const TASKS_KEPT_MAX: usize = 2 * TASKS_OPEN_MAX;

/// How often a client may ask about a call that waits for people: they take minutes. While it is executed, five times as often.
pub const PARKED_POLL_MS: u64 = 5_000;

/// How long a task of ours is good after the clocks of its approval: the call is executed then, which takes at most five minutes where nothing else is configured, and its
/// client asks once more.
pub const PARKED_TTL_MS: i64 = 15 * 60 * 1_000;

/// How often the gateway asks an upstream about a task that it made of a call whose client may have left, where the upstream does not say.
pub const FOLLOW_MS: u64 = 5_000;

/// The most often that it asks, whatever the upstream says.
pub const FOLLOW_MS_MIN: u64 = 250;

/// The least often.
pub const FOLLOW_MS_MAX: u64 = 60_000;

/// How many questions in a row may fail before nobody knows what became of the task.
pub const FOLLOW_FAILURES_MAX: u32 = 5;

/// Longest id of a task; UUIDs have 36, and some servers put a signed token there. A call that became a task with a longer one ends as unknown.
pub const TASK_ID_BYTES_MAX: usize = 512;

/// Arguments of a call whose task is over that are kept, so that input for the task can still be decided on and recorded: 512 tasks then keep 32 MiB at most. Input for a
/// task of a call with longer ones is denied once the task is over.
pub const TASK_ARGUMENTS_KEPT_BYTES_MAX: usize = 64 << 10;

/// Messages of one batch (revision 2025-03-26). Clients that batch send a handful; a batch takes at most a quarter of [`IN_FLIGHT_MAX`] places at once. A longer one
/// is refused as a whole.
pub const BATCH_ELEMENTS_MAX: usize = 64;

/// Answers to one batch that are kept until the last of it is there. Once they are more, they are told as an array of their own: what one answer may be is the
/// most that waits beside the next one.
pub const BATCH_ANSWERS_BYTES_MAX: usize = RESPONSE_BODY_BYTES_MAX;

/// Longest id of a server-sent event that is kept: it comes back as the `Last-Event-ID` header, and header fields of
/// 4 KiB are the least that every HTTP server takes. A longer id is ignored: the event counts, resuming at it does not.
pub const SSE_ID_BYTES_MAX: usize = 4 << 10;

/// What the framing of a server-sent event may add to the message inside: `data: ` before each line of a message that
/// was pretty-printed, one part in sixteen of the largest response. An event beyond the sum is dropped and reported.
pub const SSE_EVENT_BYTES_MAX: usize = RESPONSE_BODY_BYTES_MAX + RESPONSE_BODY_BYTES_MAX / 16;

/// Largest body that an automation sends: arguments of a step are names, versions and amounts. With [`STEPS_OPEN_MAX`] open steps 64 MiB are kept. Refused beyond.
pub const STEP_BODY_BYTES_MAX: usize = 64 << 10;

/// Steps of all runs that are being decided or open at one time. One more is refused until one is reported.
pub const STEPS_OPEN_MAX: usize = 1_024;

/// Steps of one run that are being decided or open at one time: one run must not keep all others from going ahead.
pub const STEPS_OPEN_PER_RUN_MAX: usize = 64;

/// For how long an automation may wait for people in one request, in seconds: what a call is held for at most. It may ask again.
pub const STEP_WAIT_S_MAX: u64 = 45;

/// After how many seconds an automation that waits for people, or for the gateway, is told to come back.
pub const STEP_RETRY_S: u32 = 10;

/// Longest name of an engine, as missions have it.
pub const ENGINE_BYTES_MAX: usize = 63;

/// Longest name of an action that is looked up; missions have shorter ones.
pub const ACTION_BYTES_MAX: usize = 512;

/// Longest note of a report: what somebody reads at a glance. It is kept in the record.
pub const NOTE_CHARS_MAX: usize = 500;

/// Longest reference of a report: addresses of build logs have some 200 characters.
pub const REFERENCE_CHARS_MAX: usize = 300;

/// The bounds under which one JSON text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Largest text in bytes; never more than [`ReadLimits::BYTES_CEILING`], whatever is set here.
    pub bytes_max: usize,
    /// Deepest nesting; the outermost value counts as one.
    pub depth_max: usize,
    /// Most members of all objects open at one point.
    pub open_members_max: usize,
}

impl ReadLimits {
    /// Positions inside a text are kept in 32 bits; 1 GiB leaves room for arithmetic on them.
    pub const BYTES_CEILING: usize = 1 << 30;

    /// What an agent sends.
    pub const REQUEST: Self =
        Self { bytes_max: REQUEST_BODY_BYTES_MAX, depth_max: JSON_DEPTH_MAX, open_members_max: JSON_OPEN_MEMBERS_MAX };

    /// What an automation sends about a step.
    pub const STEP: Self = Self { bytes_max: STEP_BODY_BYTES_MAX, ..Self::REQUEST };

    /// What an upstream sends.
    pub const RESPONSE: Self = Self { bytes_max: RESPONSE_BODY_BYTES_MAX, ..Self::REQUEST };
}

/// Requests of one session that are unanswered at one time. Clients run a handful at once; each keeps its arguments, up to 4 MiB, until it is answered. One
/// more is answered with an error.
pub const IN_FLIGHT_MAX: usize = 256;

/// Requests of one upstream that are being dealt with at one time: [`ASKED_MAX`] that wait for a person, and [`OUTGOING_MAX`] whose answers wait for an upstream that reads
/// slowly. Beyond it nothing more is taken from the upstream, which then has to read first.
pub const UPSTREAM_REQUESTS_MAX: usize = ASKED_MAX + OUTGOING_MAX;

/// How long an upstream may take to accept that a request is taken back. The one who waits for the request has waited long enough by then, and a pipe that has room takes
/// it at once. It is a courtesy, and given up beyond.
pub const TAKE_BACK_MS: u64 = 1_000;

/// Requests of an upstream to the agent's client that are unanswered at one time. A person answers one at a time. One more is answered with an error.
pub const ASKED_MAX: usize = 16;

/// Characters of a revision's name that are repeated to whoever asked for it. Real ones have ten.
pub const REVISION_CHARS_MAX: usize = 32;

/// Characters of a client's name and version that are recorded.
pub const CLIENT_NAME_BYTES_MAX: usize = 128;

/// Messages that wait for a slow reader before the sender waits too. Each is at most one message; with 64 of 4 KiB a queue holds 256 KiB in practice.
pub const OUTGOING_MAX: usize = 64;

/// Messages of an upstream that wait for the session. A full queue stops reading from the upstream.
pub const INCOMING_MAX: usize = 64;

/// What one read takes from a pipe: Linux pipes hold 64 KiB.
pub const READ_CHUNK_BYTES: usize = 64 << 10;

/// How long a child has to end after its input closed, and again after each signal. Node and Python servers need about 100 ms.
pub const CHILD_EXIT_MS: u64 = 2_000;

/// How long calls in flight may finish after their client is gone or the gateway was told to stop; then they are recorded as unknown.
pub const DRAIN_MS: u64 = 5_000;

/// How much of a child's error output is logged; the rest is read and dropped.
pub const STDERR_BYTES_MAX: usize = 1 << 20;

/// What one read takes from a child's error output.
pub const STDERR_CHUNK_BYTES: usize = 4 << 10;

/// How long a connection to an upstream may take to open, names resolved and TLS included: two lost packets (1 s and 3 s) and a slow handshake. Then the message
/// was not sent.
pub const CONNECT_MS: u64 = 10_000;

/// How long an upstream may take to accept a notification or response, which it only has to note.
pub const SEND_MS: u64 = 30_000;

/// How long an upstream may take to answer `initialize`: a package that its command installs first is there by then.
pub const HANDSHAKE_MS: u64 = 300_000;

/// How long an upstream may take to answer the protocol's own requests: lists, `ping`, `logging/setLevel`, questions about tasks. Clients give up after 60 s; what nobody
/// answers must not keep its place among those in flight.
pub const HOUSEKEEPING_MS: u64 = 60_000;

/// How long ending the session at the server may take; it is a courtesy.
pub const GOODBYE_MS: u64 = 2_000;

/// Header fields of one HTTP message. Servers behind a few proxies send about 30. A message with more is refused.
pub const HTTP_FIELDS_MAX: usize = 100;

/// Connections that one session keeps open unused: what a client with a handful of calls at once needs. Each costs a socket and 16 KiB; more are closed.
pub const IDLE_CONNECTIONS_MAX: usize = 8;

/// How long an unused connection is trusted where the server does not say: common servers (Node, uvicorn) close theirs after five seconds, and a request that
/// meets the closing has an unknown outcome.
pub const CONNECTION_IDLE_MS: u64 = 4_000;

/// How long an unused connection is kept whatever the server says, so that sockets are not held for nothing.
pub const CONNECTION_IDLE_MAX_MS: u64 = 60_000;

/// What is read of the end of an answer to free its connection; the end is five bytes. A connection with more left is closed.
pub const CONNECTION_REST_BYTES_MAX: usize = 64 << 10;

/// Longest session id of an upstream; it travels in every request, and some servers put a signed token there. Longer ones are refused.
pub const SESSION_ID_BYTES_MAX: usize = 4 << 10;

/// What is read of the body of an HTTP error, to say what the server said.
pub const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// Characters of an upstream's own error text that we repeat.
pub const ERROR_TEXT_CHARS_MAX: usize = 200;

/// The wait before a broken stream is resumed, where the server does not say.
pub const RESUME_WAIT_MS: u64 = 200;

/// The wait before a client opens a broken stream again, as the first event of each stream tells it: a restart of the gateway is over by then, and a thousand
/// clients that come back at once are a thousand GETs in a second, fewer than one session's calls.
pub const RETRY_MS: u64 = 1_000;

/// The least wait, whatever the server says: a hundred requests a second at most from one call.
pub const RESUME_WAIT_MIN_MS: u64 = 10;

/// The longest wait, whatever the server says.
pub const RESUME_WAIT_MAX_MS: u64 = 3_600_000;

/// Attempts to resume a stream once; the wait doubles each time, 200 ms to 6.4 s, together 12.6 s. Then the answer is lost.
pub const RESUME_ATTEMPTS_MAX: u32 = 6;

/// How often one answer may be resumed. Servers that want to be polled close the stream each time: at one second, this is a quarter of an hour.
pub const RESUMES_MAX: u32 = 1_000;

/// The wait before the standing stream is opened again, where the server does not say.
pub const STANDING_WAIT_MS: u64 = 1_000;

/// Failures in a row to open the standing stream; the wait doubles up to 64 s, so this is about a quarter of an hour. Then notifications no longer arrive.
pub const STANDING_FAILURES_MAX: u32 = 20;

/// How long an agent may take to send the body of one request. 4 MiB at 1.2 Mbit/s.
pub const REQUEST_BODY_MS: u64 = 30_000;

/// How long an agent waits for one JSON answer before its request becomes a stream, which can be kept alive and resumed. Most calls take less.
pub const STREAM_AFTER_MS: u64 = 1_000;

/// How often a silent stream gets a comment, so that neither side nor anything between takes it for dead; common proxies give up after 30 to 60 s.
pub const KEEP_ALIVE_MS: u64 = 15_000;

/// Agents' sessions over HTTP at one time. With a standing stream and two connections each, 4,096 sockets. One more is refused with 503.
pub const HTTP_SESSIONS_MAX: usize = 1_024;

/// Sessions of one run token at one time: a quarter of all, so that one run cannot shut the others out. A run of 16 processes with 16 servers each has 256. One more
/// is refused with 429.
pub const HTTP_SESSIONS_PER_TOKEN_MAX: usize = 256;

/// How long a session may be without requests and streams before it is ended. A client then gets 404 and opens a new one.
pub const HTTP_SESSION_IDLE_MS: u64 = 30 * 60 * 1_000;

/// After how long without requests and streams a session makes room for a new one of its token, where the token has no place left: many clients leave without
/// ending theirs. Longer than a model thinks between two calls.
pub const HTTP_SESSION_SPARE_MS: u64 = 5 * 60 * 1_000;

/// Events that wait for one connection to read them before the sender waits too.
pub const UNREAD_EVENTS_MAX: usize = 64;

/// Bytes that wait for one connection to read them; a single larger event waits alone.
pub const UNREAD_BYTES_MAX: usize = 1 << 20;

/// How long a connection may read nothing while events wait for it. It is then cut off; its client may resume.
pub const SLOW_READER_MS: u64 = 30_000;

/// Events that one session keeps for clients that resume, the oldest dropped first: a progress report a second for a quarter of an hour.
pub const REPLAY_EVENTS_MAX: usize = 1_024;

/// Bytes that one session keeps for clients that resume, the oldest dropped first.
pub const REPLAY_BYTES_MAX: usize = 4 << 20;

/// Bytes that all sessions together keep for clients that resume. 1,024 sessions could keep 4 GiB; beyond this, a session that adds drops its own oldest.
pub const REPLAY_TOTAL_BYTES_MAX: usize = 256 << 20;

/// Requests of one session whose late answers are still recognised, so that a slow upstream is not blamed for answering what was taken back. Older ones are
/// forgotten, and their answers count as answers that nobody asked for.
pub const GIVEN_UP_MAX: usize = 256;

/// Largest document or token answer of an authorization server: metadata is about 4 KiB, a key set of 50 RSA keys with certificates about 150 KiB. Refused beyond.
pub const WEB_ANSWER_BYTES_MAX: usize = 256 << 10;

/// How long such an answer may take, the connection included. Agents wait for it at most once for a new token.
pub const WEB_ANSWER_MS: u64 = 10_000;

/// Longest address that the gateway asks: what common servers take.
pub const WEB_URL_BYTES_MAX: usize = 2 << 10;

/// Longest bearer token of an agent. Access tokens with 200 group names have about 10 KiB; proxies stop at 16 to 32. Refused with 401 beyond.
pub const BEARER_BYTES_MAX: usize = 16 << 10;
/// How long the next round of a call may take: a person fills in what the upstream asked for, after lunch. A later one is refused.
pub const ROUND_MS: u64 = 60 * 60 * 1_000;

/// Calls of one run that wait for their next round at one time. One more, and the oldest of the run can no longer go on.
pub const ROUNDS_OF_RUN_MAX: usize = 256;

/// Calls that wait for their next round at one time. Each is kept as 24 bytes: 2 MiB with what holds them. One more is refused, unless its run gives up an older one.
pub const ROUNDS_OPEN_MAX: usize = 65_536;

/// An upstream's own state between two rounds, as written. The agent sends it back in ours, by a third longer, and arguments must still have room in a request of
/// 4 MiB. A call with a larger one fails.
pub const ROUND_STATE_BYTES_MAX: usize = 1 << 20;

/// Characters of a client's name and version as JSON that tell one client of the stateless era from another.
pub const CLIENT_INFO_BYTES_MAX: usize = 4 << 10;

/// Clients of the stateless era that are remembered for one run and upstream, so that each is recorded once. A client beyond it is recorded again when it comes back.
pub const CLIENTS_MAX: usize = 64;
