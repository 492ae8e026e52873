//! What tests of the HTTP transports talk to: a server that answers byte for byte as told, a client, and a session that allows everything.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use governance::approve::Consulted;
use governance::call::{Call, Effect, Input, Refusal};
use governance::classify::{Returned, Standing, classify};
use governance::decide::{PolicySnapshot, compile};
use governance::evidence::ids::{ApprovalId, CallId, RecordId};
use governance::evidence::record::{ActionRecord, Body, Channel, Context, Receipt};
use governance::evidence::time::Timestamp;
use governance::execute::{Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};

use crate::govern::{Answered, Aside, Execute, Misbehaviour, Session};
use crate::limits::ReadLimits;
use crate::mcp::codec::{Raw, RawId};
use crate::mcp::rounds::Rounds;
use crate::parked::{Kept, Parked, ParkedId, Parking, TakeBack, Task};

/// A request as it arrived at a [`Server`].
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) body: String,
    /// Which connection it came on.
    pub(super) connection: usize,
    pub(super) headers: HashMap<String, String>,
    pub(super) line: String,
}

impl Seen {
    pub(super) fn method(&self) -> &str {
        self.line.split(' ').next().unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The id of the JSON-RPC message in the body, as it is written.
    pub(super) fn id(&self) -> String {
        let raw = Raw::parse(self.body.as_bytes(), &ReadLimits::REQUEST).unwrap();
        RawId::read(raw.at(&["id"]).unwrap()).unwrap().json().into_owned()
    }
}

/// What a [`Server`] does about a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Goes on when the test says so.
    Await(Arc<Notify>),
    Close,
    /// Leaves the connection open and does nothing more on it.
    Park,
    Send(String),
}

/// A server that does what its script says, on real sockets.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    /// Requests about which there is nothing left to do.
    finished: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts a server; `script` says what to do about each request.
    pub(super) async fn start(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let finished = Arc::new(AtomicUsize::new(0));
        let (script, log, done) = (Arc::new(script), seen.clone(), finished.clone());
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (script, log, done) = (script.clone(), log.clone(), done.clone());
                tokio::spawn(async move { attend(stream, connection, &log, &done, &*script).await });
            }
        });
        Self { addr, finished, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp?x=1", self.addr)
    }

    /// Waits until the server has done everything about the requests that it has seen, and our sockets have noticed.
    pub(super) async fn rest(&self) {
        while self.finished.load(Ordering::Relaxed) < self.seen.lock().unwrap().len() {
            tokio::task::yield_now().await;
        }
        // A task that yields goes on after the reactor has looked at the sockets.
        tokio::task::yield_now().await;
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method() == method).count()
    }
}

async fn attend(
    mut stream: TcpStream,
    connection: usize,
    log: &Mutex<Vec<Seen>>,
    done: &AtomicUsize,
    script: &(dyn Fn(&Seen) -> Vec<Act> + Send + Sync),
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: HashMap<_, _> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while buffer.len() < length {
            assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
        }
        let body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
        let seen = Seen { body, connection, headers, line };
        log.lock().unwrap().push(seen.clone());
        for act in script(&seen) {
            match act {
                Act::Await(go_on) => go_on.notified().await,
                Act::Close => {
                    drop(stream);
                    done.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Act::Park => std::future::pending().await,
                Act::Send(text) => {
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// A response with a body of one piece.
pub(super) fn whole(status: &str, headers: &str, body: &str) -> Act {
    Act::Send(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// A response that is one JSON message.
pub(super) fn json(body: &str) -> Act {
    whole("200 OK", "Content-Type: application/json\r\n", body)
}

/// The head of a response that is a stream.
pub(super) fn stream() -> Act {
    Act::Send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned())
}

/// One chunk of a stream.
pub(super) fn chunk(text: &str) -> Act {
    Act::Send(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// The end of a stream.
pub(super) fn end() -> Act {
    Act::Send("0\r\n\r\n".to_owned())
}

/// A result for the request in `seen`.
pub(super) fn result(seen: &Seen, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, seen.id())
}

/// A client's connection, with a task of its own.
pub(super) struct Client(http1::SendRequest<Full<Bytes>>);

impl Client {
    pub(super) async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move {
            // How it ends shows in the answers.
            let _ended = connection.await;
        });
        Self(sender)
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.0.ready().await.unwrap();
        self.0.send_request(request).await.unwrap()
    }
}

/// A session whose mission allows everything; records are counted, not written.
pub(super) struct Allowing {
    /// Calls that were taken back at the upstream.
    pub(super) cancelled: AtomicUsize,
    /// Argument and values of each fact that was decided on.
    pub(super) facets: Mutex<Vec<String>>,
    /// `ATTEMPT SHA-256` of each call that was to run and brings answers.
    pub(super) inputs: Mutex<Vec<String>>,
    pub(super) misbehaviours: Mutex<Vec<String>>,
    pub(super) opened: Mutex<Vec<String>>,
    pub(super) outcomes: Mutex<Vec<String>>,
    policy: Arc<PolicySnapshot>,
    rounds: Rounds,
}

const MISSION: &str = r#"
mission = "fixture"
goal = "Test the transports."
owner = "owner@corp.example"
agents = ["bot"]
until = 2999-12-31
why = "Tests need one."

[allow.mcp.up]
"*" = {}
elicitation = true
requests = ["x/known"]
"#;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

impl Allowing {
    pub(super) fn new() -> Arc<Self> {
        let mission = governance::mission::parse(MISSION).unwrap_or_else(|error| panic!("{}", error.render("fixture")));
        let policy = Arc::new(compile(Arc::new(mission)).unwrap());
        Arc::new(Self {
            cancelled: AtomicUsize::new(0),
            facets: Mutex::default(),
            inputs: Mutex::default(),
            misbehaviours: Mutex::default(),
            opened: Mutex::default(),
            outcomes: Mutex::default(),
            policy,
            rounds: Rounds::new([5; 32]),
        })
    }

    fn ended(&self, outcome: Outcome) -> Input {
        let reference = outcome.external_reference.as_ref().map(|task| format!(" {task}")).unwrap_or_default();
        self.outcomes.lock().unwrap().push(format!("{:?} {:?}{reference}", outcome.status, outcome.reason));
        Input::Ended(Box::new(outcome))
    }
}

/// Nobody is asked anything here, so nothing waits.
impl Parking for Allowing {
    fn changes(&self, _: ApprovalId) -> Option<watch::Receiver<u64>> {
        None
    }

    fn is_parked(&self, _: ParkedId) -> bool {
        false
    }

    fn leave(&self, _: ParkedId, _: &TakeBack) {}

    async fn park(&self, _: ParkedId, _: Kept, _: &TakeBack) -> Parked {
        Parked::Not
    }

    async fn resume(&self, _: ParkedId, _: &TakeBack) -> Option<Kept> {
        None
    }

    async fn take_back(&self, _: ParkedId) {}

    async fn task(&self, _: ParkedId) -> Option<Task> {
        None
    }

    async fn unparked(&self, _: ParkedId, _: &TakeBack, _: Option<Answered>) {}
}

impl Session for Allowing {
    /// What says `hush` stays here, and of the rest `secret` is taken out.
    async fn aside(&self, _: &str, said: Bytes) -> Aside {
        match std::str::from_utf8(&said) {
            Ok(text) if text.contains("hush") => Aside::Withheld,
            Ok(text) if text.contains("secret") => Aside::Changed(text.replace("secret", "[secret]").into()),
            _ => Aside::Passed,
        }
    }

    fn approval_status(&self, _: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
        None
    }

    fn sighted(&self, _: &governance::evidence::record::Tool, _: &[u8], _: crate::govern::Place) -> bool {
        true
    }

    fn call_id(&self) -> CallId {
        CallId::at(NOW, [7; 10])
    }

    fn context(&self) -> Arc<Context> {
        let mut context = Context::system();
        context.agent.name = Arc::from("bot");
        Arc::new(context)
    }

    async fn govern<E: Execute>(
        &self,
        intercepted: Intercepted,
        mut execute: E,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Option<Answered> {
        let (mut call, effects) = Call::begin(intercepted);
        let mut effects = VecDeque::from(effects);
        let mut reply = None;
        while let Some(effect) = effects.pop_front() {
            let input = match effect {
                Effect::Append(drafts) => {
                    for draft in &drafts {
                        if let Body::Action(ActionRecord { attempt, input_sha256: Some(input), .. }) = &draft.body {
                            self.inputs.lock().unwrap().push(format!("{attempt} {input}"));
                        }
                    }
                    let receipt = |seq| Receipt { id: RecordId::at(NOW, [1; 10]), recorded_at: NOW, seq };
                    Input::Recorded((0..).map(receipt).take(drafts.len()).collect())
                }
                Effect::CancelUpstream => {
                    self.cancelled.fetch_add(1, Ordering::Relaxed);
                    execute.cancel().await;
                    continue;
                }
                Effect::Classify(intercepted) => {
                    let plan = self.policy.plan(intercepted.tool());
                    let classified = classify(intercepted, plan, Standing::Good, &Returned::default());
                    for facet in &classified.facets {
                        let values = facet.values.iter().map(|value| format!(" {}", value.text));
                        self.facets.lock().unwrap().push(format!("{}{}", facet.argument, values.collect::<String>()));
                    }
                    Input::Classified(Box::new(classified), self.policy.clone())
                }
                // Nobody can be asked here.
                Effect::Consult(_) => Input::Consulted(Box::new(Consulted::Refused {
                    approval: None,
                    ended: None,
                    proposed: None,
                    reason: Reason::ApprovalUnavailable,
                    said_to_agent: "nobody can be asked".to_owned(),
                    sentence: "nobody can be asked".to_owned(),
                })),
                Effect::GiveBack(..) | Effect::Keep(_) | Effect::Replay(_) | Effect::Retain(..) | Effect::Wait(..) => {
                    continue;
                }
                Effect::Execute(warrant) => tokio::select! {
                    biased;
                    execution = execute.execute(warrant) => match execution {
                        Execution::Ended(outcome) => self.ended(outcome),
                        Execution::Task(created) => Input::TaskCreated(created),
                    },
                    Ok(()) = &mut *cancelled => Input::Cancelled,
                },
                Effect::Follow(answer) => self.ended(execute.follow(answer).await),
                Effect::Note(_) => continue,
                Effect::Reply(answer) => {
                    reply = Some(answer);
                    continue;
                }
            };
            let (next, more) = call.handle(input, NOW);
            call = next;
            effects.extend(more);
        }
        reply.map(|reply| Answered { receipt: None, reply })
    }

    fn misbehaved(&self, misbehaviour: Misbehaviour) {
        self.misbehaviours.lock().unwrap().push(misbehaviour.what);
    }

    async fn opened(&self, channel: Channel) -> Result<Arc<Context>, Refusal> {
        let client = channel.client.map(|client| client.name).unwrap_or_default();
        self.opened.lock().unwrap().push(format!("{client} {}", channel.protocol.unwrap_or_default()));
        Ok(self.context())
    }

    fn rounds(&self) -> &Rounds {
        &self.rounds
    }

    fn policy(&self) -> Arc<PolicySnapshot> {
        self.policy.clone()
    }

    fn upstream(&self) -> Arc<str> {
        Arc::from("up")
    }
}
