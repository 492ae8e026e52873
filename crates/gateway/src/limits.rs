//! Every bound of the gateway, with its arithmetic.

use std::time::Duration;

/// How long an upstream may take to answer a call where nothing else is configured. Clients give up after 60 s to 4 minutes; slow reports take longer, and a call
/// that is given up here is `unknown` for a person to look at.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a run lasts where nothing else is said: a working day.
pub const RUN_US: i64 = 12 * 60 * 60 * 1_000_000;

/// The longest run: a month.
pub const RUN_US_MAX: i64 = 31 * 24 * 60 * 60 * 1_000_000;

/// Runs that are open at one time. Each keeps about 500 bytes: 50 MB at most.
pub const OPEN_RUNS_MAX: usize = 100_000;

/// Runs whose results are kept for rules that say `from`, the newest ones: 512 KiB each at most, 128 MiB.
pub const RECALLED_RUNS_MAX: usize = 256;

/// Runs whose seen values are held in memory, those used last; the others are read again from their files. 3 MiB each at most, 768 MiB.
pub const SEEN_RUNS_MAX: usize = 256;

/// The largest message that is looked into where its call is driven: under a millisecond. A larger one is on a thread that may block, so that other calls do not wait.
pub const EXAMINED_IN_PLACE_BYTES_MAX: usize = 64 * 1024;

/// The largest result that is taken in where its call is driven: some milliseconds. A larger one is on a thread that may block, so that other calls do not wait.
pub const SEEN_IN_PLACE_BYTES_MAX: usize = 64 * 1024;

/// The largest file of what one run has seen: 65,536 hashes of 20 bytes, the initiator's words and the names of places.
pub const SEEN_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long a gateway that was started on demand stays without a bridge. Clients restart their servers within seconds.
pub const IDLE: Duration = Duration::from_secs(10);

/// How long a bridge waits for the gateway that it started. Recovery of a large ledger's tail takes seconds.
pub const START_WAIT: Duration = Duration::from_secs(30);

/// The first message on the local socket: a command line, an environment and a working directory.
pub const HELLO_BYTES_MAX: u64 = 256 << 10;

/// How long the first message on the local socket may take.
pub const HELLO_WAIT: Duration = Duration::from_secs(10);

/// Protocol faults of one session that are recorded; further ones are counted in the log only, so that a hostile peer cannot fill the ledger.
pub const MISBEHAVIOURS_MAX: u32 = 16;

/// How often mission files are looked at for changes.
pub const WATCH_EVERY: Duration = Duration::from_secs(1);

/// How long shutdown waits for sessions to drain: the sessions' own drain of 5 s and their children's three waits of 2 s.
pub const SHUTDOWN_WAIT: Duration = Duration::from_secs(15);

/// The largest configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// What an initiator asked for in words.
pub const WORDS_BYTES_MAX: usize = 64 << 10;

/// Names of agents and initiators.
pub const NAME_BYTES_MAX: usize = 256;

/// How long the door waits after a connection could not be taken.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Open network connections. Each costs about 20 KiB of buffers: 80 MiB. More wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 4_096;

/// How long a client may take to send the headers of a request, so that slow ones do not hold connections.
pub const HEADERS_WAIT: Duration = Duration::from_secs(30);

/// The most mission files in a folder.
pub const MISSION_FILES_MAX: usize = 10_000;

/// How many gateways a bridge asks in turn. One may be on its way down when the bridge comes; two in a row are a fault.
pub const TRIES_MAX: u32 = 3;

/// How long to wait before a gateway that starts or ends is looked for again.
pub const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Audiences of one access token: a token for more services than this is for anybody.
pub const AUDIENCES_MAX: usize = 32;

/// Scopes of one access token.
pub const SCOPES_MAX: usize = 256;

/// Bytes of a claim that names somebody: subject, client, issuer.
pub const CLAIM_NAME_BYTES_MAX: usize = 512;

/// Keys of an authorization server. Common ones have 2 to 6, those of many tenants about 50; verification tries one at most.
pub const KEYS_MAX: usize = 100;

/// How long a key set is good without asking for it again: a key that the authorization server withdraws is out after this time.
pub const KEYS_FRESH: Duration = Duration::from_secs(10 * 60);

/// How long a key set is used while the authorization server cannot be asked: its restart is bridged, its loss is not. Then no signed token is let in.
pub const KEYS_STALE_MAX: Duration = Duration::from_secs(60 * 60);

/// The least time between two requests for keys, whatever agents send: two a minute at most from invented key ids.
pub const KEYS_AGAIN: Duration = Duration::from_secs(30);

/// Access tokens that are known to be good and not verified anew. 2 KiB each: 8 MiB. Beyond it all are forgotten and verified again, some 50 microseconds each.
pub const SEEN_TOKENS_MAX: usize = 4_096;

/// How far the clocks of issuer and gateway may be apart where nothing else is configured.
pub const CLOCK_SKEW_S: u32 = 30;

/// The most that can be configured: tokens live minutes, and each is good for this much longer.
pub const CLOCK_SKEW_S_MAX: u32 = 300;

/// Grants of the configuration. Each is compared with the claims of a new token.
pub const GRANTS_MAX: usize = 1_000;

/// How long before its end a token of an upstream is replaced: a call that waits for its turn takes seconds.
pub const TOKEN_EARLY_US: i64 = 30 * 1_000_000;

/// How long after a failure no other token is asked for, whatever agents send.
pub const TOKEN_AGAIN_US: i64 = 5 * 1_000_000;

/// Digests of programs that are kept by how their files look: 150 bytes each.
pub const DIGESTS_MAX: usize = 256;

/// What is read of a program at one time.
pub const READ_BYTES: usize = 256 << 10;

/// The largest file that is attached to a record. Scans of contracts are some 10 MiB; it is sealed in memory.
pub const ATTACHMENT_BYTES_MAX: u64 = 64 << 20;

/// What is kept of a login: two tokens of 16 KiB at most, a client and addresses.
pub const SEALED_BYTES_MAX: u64 = 64 << 10;

/// How long `countersign upstream login` waits for a person.
pub const LOGIN_WAIT: Duration = Duration::from_secs(10 * 60);

/// How long one request of the browser that comes back may take.
pub const CALLBACK_WAIT: Duration = Duration::from_secs(10);

/// The head of such a request: a code of 2 KiB, cookies of other programs on this machine.
pub const CALLBACK_BYTES_MAX: usize = 64 << 10;

/// Tools that are pinned: the largest catalogues that agents are given have some hundreds. Each keeps about 500 bytes, and a file: 5 MB and 10,000 files.
pub const PINS_MAX: usize = 10_000;

/// The largest definition of a tool that is pinned. Long ones have 20 KiB of schema.
pub const DEFINITION_BYTES_MAX: usize = 256 << 10;

/// What is kept of the words with which a request was refused: they say where it was wrong, and may repeat a piece of it.
pub const REFUSAL_CHARS_MAX: usize = 300;

/// Sorts of refusals at the door that are told apart in one window: each server, run and subject counts by itself. Each costs up to 2 KiB: 512 KiB at most. All beyond
/// are counted as one.
pub const REFUSALS_MAX: usize = 256;

/// How long refusals are counted before the count is recorded. At most 2 records for each sort: 514 in a window, 49,344 a day, whatever is sent.
pub const REFUSALS_WINDOW: Duration = Duration::from_secs(15 * 60);

/// Approvals that may be open at once. Each keeps some 3 KiB: 150 MiB at most.
pub const APPROVALS_OPEN_MAX: usize = 50_000;

/// How long a call whose client takes tasks is held before it is one: an answer by a program or by somebody who watches comes in that time, and the call is then like any other.
pub const PARKS_AFTER: Duration = Duration::from_secs(1);

/// Standing grants that may be in force or asked for at once. Each has compiled conditions, some 140 KiB: 36 MiB at most; a call that asks looks at those of its tool.
pub const STANDING_MAX: usize = 256;

/// Approvals that are kept in memory, open or not; the oldest that are over are forgotten first, and stay in the ledger.
pub const APPROVALS_KEPT_MAX: usize = 100_000;

/// Approvals on one page of a list. Each is some 3 KiB as JSON: 600 KiB at most.
pub const PAGE_MAX: usize = 200;

/// How many open approvals are looked at in one second, whether those who are left could satisfy their gates: a millisecond each where there are thousands of persons.
pub const APPROVALS_LOOKED_AT_MAX: usize = 64;

/// How long what was found then holds: somebody may go away meanwhile.
pub const LOOK_AGAIN_US: i64 = 60 * 1_000_000;

/// The largest result of an approved call that is kept for an agent that has not got it: twice what an agent's context window holds.
pub const OUTCOME_BYTES_MAX: u64 = 8 << 20;

/// All results that are kept so, on disk; beyond it only what became of a call is kept. Ordinary results have 4 KiB: 65,000 of them.
pub const OUTCOMES_BYTES_MAX: u64 = 256 << 20;

/// How long a result is kept after a client was handed it, for calls that waited for it at the same time: they are woken at once, and read it within milliseconds.
pub const OUTCOME_GRACE_US: i64 = 60 * 1_000_000;

/// All calls that wait for people as tasks, in memory and on disk: 16,000 of 4 KiB, or 16 of the largest requests. A call beyond it is held, and told to come again.
pub const PARKED_BYTES_MAX: u64 = 64 << 20;

/// How long it is known how a task ended whose call was not executed. Then what the approval says is told.
pub const PARKED_TOLD_US: i64 = 60 * 60 * 1_000_000;

/// Approvals that are looked at for one page of those that a person may answer: some 5 microseconds each. A page may be short for it, and the next one goes on.
pub const LOOKED_AT_MAX: usize = 1_000;

/// What is told of the calls that a run executed before a question: the last ones.
pub const BEFORE_MAX: usize = 10;

/// Changes of approvals that somebody who listens may be behind; who is further behind is told so, and lists again.
pub const NEWS_MAX: usize = 1_024;

/// How often a client hears that its call is held open: several times in the 60 seconds after which clients give up.
pub const HOLD_NEWS: std::time::Duration = std::time::Duration::from_secs(10);

/// Runs with their engines whose sessions are kept, so that each is recorded once. Each keeps some 300 bytes. Beyond it all are forgotten, and recorded anew when they ask again.
pub const AUTOMATIONS_MAX: usize = 4_096;

/// How long an invitation to enrol a key holds: a day.
pub const INVITATION_US: i64 = 86_400_000_000;

/// Notifiers of one configuration. Each reads the ledger once a second at most, and only where it has grown.
pub const NOTIFIERS_MAX: usize = 16;

/// Records that a notifier reads at one time: some 2 KiB each.
pub const NOTIFY_PAGE: usize = 256;

/// Programs that a configuration lets follow the ledger.
pub const STREAM_READERS_MAX: usize = 32;

/// After so many bytes a batch of records is given to its follower: some thirty records of 2 KiB. A record has at most 64 KiB, so a batch has less than 128 KiB.
pub const STREAM_BATCH_BYTES: usize = 64 << 10;

/// Records that go to a collector of OpenTelemetry at one time: some 2 KiB each, three times that as its JSON, 400 KiB in all; 64 of the largest, of 64 KiB, are 12 MiB.
pub const OTEL_BATCH_RECORDS: usize = 64;

/// The pauses before a message is sent again; then every ten minutes.
pub const NOTIFY_PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(3 * 60),
    Duration::from_secs(5 * 60),
];

/// The pause once all of these were made.
pub const NOTIFY_PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// After what time a receiver that takes nothing is an exception: people have hours to answer, and somebody must see to it before those are over.
pub const NOTIFY_TROUBLE_US: i64 = 5 * 60 * 1_000_000;

/// After what time a message is given up: whatever it told of has ended by its clock.
pub const NOTIFY_GIVE_UP_US: i64 = 24 * 60 * 60 * 1_000_000;

/// The shortest value, in bytes, that is looked for as it is in the result of a call for which its token turned back. A shorter one stands in many texts by chance, and is only
/// found as what it is.
pub const ECHO_BYTES_MIN: usize = 6;

/// How long it is not said again that content of calls cannot be kept: records say it of each call.
pub const UNKEPT_NOTED_US: i64 = 15 * 60 * 1_000_000;

/// What is opened of the content of a call at once: one of the largest, and some more. As JSON it is twice that, and what a command takes as an answer is 16 MiB.
pub const OPENED_BYTES_MAX: u64 = 6 << 20;

/// Entries of each list in the picture of one run: some 200 bytes each. The ledger has all.
pub const PICTURED_MAX: usize = 256;

/// Decisions that are shown which came out otherwise when they were decided again. All are counted.
pub const REDERIVED_SHOWN_MAX: usize = 64;

/// Bytes of the name of a file of audit tests, or of a test in it: they go into exceptions and links.
pub const AUDIT_WORD_BYTES_MAX: usize = 64;

/// Audit tests in one file; the largest that comes with the program has 14.
pub const AUDIT_TESTS_MAX: usize = 256;

/// Records that one audit test compares with others at a time, some 100 bytes each: 200 MB at most.
pub const AUDIT_HELD_MAX: usize = 2_000_000;

/// How far back a running gateway asks audit tests: 90 days, in which what fails has long been an exception.
pub const AUDIT_WATCHED_US: i64 = 90 * 24 * 60 * 60 * 1_000_000;

/// How often it asks them where nothing else is configured: ten minutes.
pub const AUDIT_EVERY: Duration = Duration::from_secs(10 * 60);

/// The least time between two rounds: one of the tests that come with the program takes some seconds over millions of records.
pub const AUDIT_EVERY_MIN: Duration = Duration::from_secs(1);

/// How long a log may take to send a checkpoint to a witness: some 5 KiB.
pub const SUBMISSION_WAIT: Duration = Duration::from_secs(10);

/// Keys of logs that one witness knows. Each keeps some 300 bytes, and a file of less than 128 KiB.
pub const WITNESSED_LOGS_MAX: usize = 1_000;

/// The time between two rounds of asking witnesses where nothing else is configured: what a split view could gain on whoever looks at cosignatures.
pub const COSIGN_EVERY: Duration = Duration::from_secs(10);

/// The longest that can be configured: a day.
pub const COSIGN_EVERY_S_MAX: u64 = 24 * 60 * 60;

/// After what time without a cosignature a witness is an exception where nothing else is configured: its restart is bridged, its loss is not.
pub const COSIGN_AWAY: Duration = Duration::from_secs(60 * 60);

/// How often a witness is asked about one checkpoint at one time: first from the size that it is thought to know, then from the one that it says; once more where another asked in
/// between.
pub const COSIGN_TRIES_MAX: u32 = 3;

/// How long an export waits for cosignatures: three rounds as they are made where nothing else is configured, and time for each to end.
pub const COSIGN_WAIT: Duration = Duration::from_secs(60);
