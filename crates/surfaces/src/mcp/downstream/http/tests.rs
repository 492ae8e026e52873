mod asides;
mod challenge;
mod hostile;
mod requests;
mod revisions;
mod stateless;
mod tasks;
mod tasks_alone;

use std::convert::Infallible;
use std::net::SocketAddr;

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;
use crate::mcp::codec::{Raw, SseDecoder, SseEvent};
use crate::mcp::fixture::{self, Act, Allowing, Client, Seen, Server, chunk, end, result, stream, whole};
use crate::mcp::upstream::Upstream;
use crate::mcp::upstream::http::{HttpUpstream, HttpUpstreamConfig, HttpUpstreamLimits};

const LIMITS: HttpDownstreamLimits = HttpDownstreamLimits {
    body: Duration::from_millis(100),
    request: ReadLimits { bytes_max: 4096, ..ReadLimits::REQUEST },
    stream_after: Duration::from_secs(60),
    ..HttpDownstreamLimits::DEFAULT
};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}"#;

/// The handshake of a client that asks for another revision.
fn initialize(revision: &str) -> String {
    INITIALIZE.replace("2025-11-25", revision)
}

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Lets `token-a` and `token-b` in to the server `up`.
struct TestGate {
    session: Arc<Allowing>,
    randomness: std::sync::atomic::AtomicU8,
    upstream: HttpUpstreamConfig,
}

impl Gate for TestGate {
    type Session = Allowing;
    type Ticket = ();

    fn admit(&self, caller: Caller<'_>) -> Result<Admission<()>, AdmitError> {
        let holder = match caller.bearer {
            None => return Err(AdmitError::Unauthorized("send a run token".to_owned())),
            Some("token-a") => Holder([1; 32]),
            Some("token-b") => Holder([2; 32]),
            Some("token-c") => return Err(AdmitError::Forbidden("not this server".to_owned())),
            Some("token-d") => return Err(AdmitError::Unavailable("stopping".to_owned())),
            Some("token-s") => {
                let (scope, text) = ("pay read".to_owned(), "it lacks `pay`".to_owned());
                return Err(AdmitError::InsufficientScope { scope, text });
            }
            Some("token-w") => return Err(AdmitError::Unexamined),
            Some(_) => return Err(AdmitError::Unauthorized("no such run".to_owned())),
        };
        if caller.server != "up" {
            return Err(AdmitError::UnknownServer("no such server".to_owned()));
        }
        Ok(Admission { holder, ticket: () })
    }

    fn turned_away(&self, _: TurnedAway<'_>) {}

    /// `token-w` is as good as `token-a`, but that takes a look.
    async fn examine(&self, caller: Caller<'_>) -> Result<Admission<()>, AdmitError> {
        self.admit(Caller { bearer: Some("token-a"), ..caller })
    }

    fn protection(&self, caller: Caller<'_>) -> Option<Protection> {
        let metadata = format!("http://{}/.well-known/oauth-protected-resource/mcp/{}", caller.host, caller.server);
        Some(Protection { metadata, scope: "read".to_owned() })
    }

    async fn connect(&self, _: &str, (): ()) -> Result<Connected<Allowing>, ConnectError> {
        let (upstream, incoming) = HttpUpstream::connect(self.upstream.clone());
        Ok(Connected { incoming, session: self.session.clone(), upstream: Upstream::Http(upstream) })
    }

    fn randomness(&self) -> [u8; 32] {
        [self.randomness.fetch_add(1, std::sync::atomic::Ordering::Relaxed); 32]
    }
}

/// An endpoint on a real socket, between clients and a scripted upstream.
struct Gateway {
    addr: SocketAddr,
    endpoint: Arc<McpEndpoint<TestGate>>,
    session: Arc<Allowing>,
    upstream: Server,
}

impl Gateway {
    async fn start(limits: HttpDownstreamLimits, script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let upstream = Server::start(script).await;
        let session = Allowing::new();
        let config = HttpUpstreamConfig::parse(&upstream.url(), HeaderMap::new(), HttpUpstreamLimits::DEFAULT).unwrap();
        let gate = Arc::new(TestGate { session: session.clone(), randomness: 0.into(), upstream: config });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let hosts = vec![addr.to_string(), format!("localhost:{}", addr.port())];
        let peers = Peers::new(hosts, vec!["https://tools.example".to_owned()]);
        let config = EndpointConfig { limits, peers };
        let endpoint = Arc::new(McpEndpoint::new(gate, config));
        let serving = endpoint.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let endpoint = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<Incoming>| {
                        let endpoint = endpoint.clone();
                        async move {
                            let server = request.uri().path().trim_start_matches("/mcp/").to_owned();
                            Ok::<_, Infallible>(endpoint.serve(&server, request).await)
                        }
                    });
                    // How a client leaves is its own business.
                    let _left = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { addr, endpoint, session, upstream }
    }

    /// A client without a session.
    async fn stranger(&self) -> Agent {
        let mut agent = Agent { addr: self.addr, client: Client::connect(self.addr).await, headers: HeaderMap::new() };
        agent.set(HOST, &self.addr.to_string());
        agent.set(AUTHORIZATION, "Bearer token-a");
        agent.set(CONTENT_TYPE, "application/json");
        agent.set(ACCEPT, "application/json, text/event-stream");
        agent
    }

    /// A client whose session is open.
    async fn agent(&self) -> Agent {
        self.agent_of(Revision::V2025_11_25).await
    }

    /// A client whose session is open in `revision`; it sends the header only where it must.
    async fn agent_of(&self, revision: Revision) -> Agent {
        let mut agent = self.stranger().await;
        let response = agent.post(initialize(revision.name())).await;
        assert_eq!(response.status(), 200);
        let id = response.headers().get(SESSION_ID).unwrap().to_str().unwrap().to_owned();
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(text(response).await.contains(&format!(r#""protocolVersion":"{revision}""#)));
        agent.set(SESSION_ID, &id);
        if revision.needs_header() {
            agent.set(REVISION, revision.name());
        }
        let response = agent.post(INITIALIZED).await;
        assert_eq!((response.status().as_u16(), text(response).await.as_str()), (202, ""));
        agent
    }

    fn outcomes(&self) -> Vec<String> {
        self.session.outcomes.lock().unwrap().clone()
    }
}

struct Agent {
    addr: SocketAddr,
    client: Client,
    headers: HeaderMap,
}

impl Agent {
    fn set(&mut self, name: HeaderName, value: &str) {
        self.headers.insert(name, value.parse().unwrap());
    }

    /// The same client on another connection.
    async fn beside(&self) -> Self {
        Self { addr: self.addr, client: Client::connect(self.addr).await, headers: self.headers.clone() }
    }

    fn request(&self, method: Method, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = "/mcp/up".parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }

    async fn post(&mut self, body: impl Into<Bytes>) -> Response<Incoming> {
        self.client.send(self.request(Method::POST, body)).await
    }

    async fn get(&mut self, last_event_id: Option<&str>) -> Response<Incoming> {
        let mut request = self.request(Method::GET, "");
        if let Some(last) = last_event_id {
            request.headers_mut().insert(LAST_EVENT_ID, last.parse().unwrap());
        }
        self.client.send(request).await
    }

    async fn delete(&mut self) -> StatusCode {
        self.client.send(self.request(Method::DELETE, "")).await.status()
    }
}

/// The events of a response.
struct Events(Incoming, SseDecoder);

impl Events {
    fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), 200);
        assert!(is_media_type(response.headers().get(CONTENT_TYPE), &EVENT_STREAM));
        Self(response.into_body(), SseDecoder::new(1 << 20))
    }

    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.1.next_event() {
                return Some(event.unwrap());
            }
            let data = self.0.frame().await?.unwrap().into_data().unwrap();
            self.1.push(&data);
        }
    }

    /// `ID DATA` of the next event.
    async fn text(&mut self) -> String {
        match self.next().await {
            Some(event) => format!("{} {}", event.id().unwrap_or("-"), std::str::from_utf8(event.data()).unwrap()),
            None => "end".to_owned(),
        }
    }
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn call(id: u32, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{{"progressToken":{id}}}}}}}"#
    )
}

fn answer(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#)
}

fn progress(id: &str) -> String {
    let params = format!(r#"{{"progressToken":{id},"progress":1}}"#);
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
}

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

fn event(data: &str) -> Act {
    chunk(&format!("data: {data}\n\n"))
}

/// The revision that a handshake asks for.
fn asked_revision(seen: &Seen) -> String {
    let raw = Raw::parse(seen.body.as_bytes(), &ReadLimits::REQUEST).unwrap();
    raw.at(&["params", "protocolVersion"]).unwrap().text().unwrap().into_owned()
}

/// What the upstream does unless a test says otherwise: `echo` answers, `stream` answers with a stream, as a ping is answered, `talk` reports progress first, `hold`
/// answers when told.
fn usual(seen: &Seen, go_on: &Arc<Notify>) -> Vec<Act> {
    let done = || result(seen, r#"{"content":[]}"#);
    match (seen.method(), seen.body.as_str()) {
        ("GET", _) => vec![whole("405 Method Not Allowed", "", "")],
        ("DELETE", _) => vec![whole("204 No Content", "", "")],
        (_, body) if body.contains(r#""initialize""#) => {
            let opened = result(
                seen,
                &format!(
                    r#"{{"protocolVersion":"{}","capabilities":{{}},"serverInfo":{{"name":"s","version":"1"}}}}"#,
                    asked_revision(seen)
                ),
            );
            vec![whole("200 OK", "Content-Type: application/json\r\nMcp-Session-Id: up-1\r\n", &opened)]
        }
        (_, body) if body.contains(r#""name":"talk""#) => {
            vec![
                stream(),
                event(&progress(&seen.id())),
                Act::Await(go_on.clone()),
                event(&progress(&seen.id())),
                event(&done()),
                end(),
            ]
        }
        (_, body) if body.contains(r#""name":"stream""#) || body.contains(r#""method":"ping""#) => {
            vec![stream(), event(&done()), end()]
        }
        (_, body) if body.contains(r#""name":"hold""#) => vec![Act::Await(go_on.clone()), fixture::json(&done())],
        (_, body) if body.contains(r#""id""#) && body.contains(r#""method""#) => vec![fixture::json(&done())],
        _ => vec![whole("202 Accepted", "", "")],
    }
}

async fn gateway(limits: HttpDownstreamLimits) -> (Gateway, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
    let at_upstream = go_on.clone();
    (Gateway::start(limits, move |seen| usual(seen, &at_upstream)).await, go_on)
}

/// Waits until `is_so`.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

fn has_called(gateway: &Gateway, tool: &str) -> bool {
    gateway.upstream.seen().iter().any(|seen| seen.body.contains(&format!(r#""name":"{tool}""#)))
}

#[tokio::test]
async fn a_call_that_is_answered_at_once_is_one_json_message() {
    let (gateway, _) = gateway(LIMITS).await;
    let mut agent = gateway.agent().await;
    for id in 1..=3 {
        let response = agent.post(call(id, "echo")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get(CONTENT_TYPE), Some(&JSON));
        assert_eq!(text(response).await, answer(id));
    }
    assert_eq!(gateway.outcomes(), ["Done None"; 3]);
    let seen = gateway.upstream.seen();
    assert!(seen.iter().all(|seen| seen.header("authorization").is_none()), "the run token stays here");
    assert!(seen.iter().any(|seen| seen.body == call(2, "echo")), "the bytes pass as they are");
}

#[tokio::test]
async fn requests_that_should_not_come_in_do_not() {
    let (gateway, _) = gateway(LIMITS).await;
    let agent = gateway.agent().await;
    let before = gateway.upstream.seen().len();
    let ok = call(9, "echo");
    let large = call(9, &"x".repeat(5000));
    let own = format!("http://{}", gateway.addr);
    /// Status and text of the answer; method, body and headers of the request.
    type Check<'a> = (u16, &'a str, Method, &'a str, &'a [(HeaderName, &'a str)]);
    let checks: &[Check<'_>] = &[
        (403, "not called `evil.example`", Method::POST, &ok, &[(HOST, "evil.example")]),
        (403, "not called", Method::POST, &ok, &[(HOST, "127.0.0.1:1")]),
        (403, "of this origin", Method::POST, &ok, &[(ORIGIN, "https://evil.example")]),
        (403, "of this origin", Method::GET, "", &[(ORIGIN, "null")]),
        (403, "of this origin", Method::DELETE, "", &[(ORIGIN, "http://localhost")]),
        (200, "", Method::POST, &ok, &[(ORIGIN, &own)]),
        (200, "", Method::POST, &ok, &[(ORIGIN, "https://tools.example")]),
        (401, "send a run token", Method::POST, &ok, &[(AUTHORIZATION, "")]),
        (401, "send a run token", Method::POST, &ok, &[(AUTHORIZATION, "Basic token-a")]),
        (401, "no such run", Method::POST, &ok, &[(AUTHORIZATION, "Bearer token-x")]),
        (401, "no such run", Method::DELETE, "", &[(AUTHORIZATION, "Bearer token-x")]),
        (200, "", Method::POST, &ok, &[(AUTHORIZATION, "bearer  token-a")]),
        (403, "not this server", Method::POST, &ok, &[(AUTHORIZATION, "Bearer token-c")]),
        (503, "stopping", Method::POST, &ok, &[(AUTHORIZATION, "Bearer token-d")]),
        (403, "it lacks `pay`", Method::POST, &ok, &[(AUTHORIZATION, "Bearer token-s")]),
        (200, "", Method::POST, &ok, &[(AUTHORIZATION, "Bearer token-w")]),
        (404, "no such session", Method::POST, &ok, &[(AUTHORIZATION, "Bearer token-b")]),
        (404, "no such session", Method::GET, "", &[(AUTHORIZATION, "Bearer token-b")]),
        (404, "no such session", Method::DELETE, "", &[(AUTHORIZATION, "Bearer token-b")]),
        (404, "no such session", Method::POST, &ok, &[(SESSION_ID, "0")]),
        (400, "no `Mcp-Session-Id`", Method::POST, &ok, &[(SESSION_ID, "")]),
        (400, "HTTP+SSE transport of revision 2024-11-05 is not offered", Method::GET, "", &[(SESSION_ID, "")]),
        (400, "send one `Mcp-Session-Id`", Method::DELETE, "", &[(SESSION_ID, "")]),
        (
            400,
            "says 2025-06-18; send `MCP-Protocol-Version: 2025-11-25`",
            Method::POST,
            &ok,
            &[(REVISION, "2025-06-18")],
        ),
        (400, "says none, which stands for 2025-03-26", Method::POST, &ok, &[(REVISION, "")]),
        (400, "says none, which stands for 2025-03-26", Method::GET, "", &[(REVISION, "")]),
        (400, "says none, which stands for 2025-03-26", Method::DELETE, "", &[(REVISION, "")]),
        (406, "accept both", Method::POST, &ok, &[(ACCEPT, "application/json")]),
        (406, "accept both", Method::POST, &ok, &[(ACCEPT, "")]),
        (406, "accept `text/event-stream`", Method::GET, "", &[(ACCEPT, "application/json")]),
        (200, "", Method::POST, &ok, &[(ACCEPT, "text/*;q=0.5, */*")]),
        (415, "send one message as", Method::POST, &ok, &[(CONTENT_TYPE, "text/plain")]),
        (200, "", Method::POST, &ok, &[(CONTENT_TYPE, "Application/JSON; charset=utf-8")]),
        (400, "these are: 2024-11-05, ", Method::POST, &ok, &[(REVISION, "2024-01-01")]),
        (400, "these are: 2024-11-05, ", Method::GET, "", &[(REVISION, "2024-01-01")]),
        (413, "larger than 4096 bytes", Method::POST, &large, &[]),
        (400, "expected a key", Method::POST, "{]", &[]),
        (400, "an array of messages", Method::POST, "[]", &[]),
        (400, "names no event", Method::GET, "", &[(LAST_EVENT_ID, "no")]),
        (400, "names no event", Method::GET, "", &[(LAST_EVENT_ID, "7-1")]),
        (400, "names no event", Method::GET, "", &[(LAST_EVENT_ID, "0-99")]),
        (405, "use POST, GET or DELETE", Method::PUT, &ok, &[]),
    ];
    for (status, said, method, body, headers) in checks {
        let mut agent = agent.beside().await;
        for (name, value) in *headers {
            match *value {
                "" => drop(agent.headers.remove(name)),
                value => agent.set(name.clone(), value),
            }
        }
        let response = agent.client.send(agent.request(method.clone(), (*body).to_owned())).await;
        let shown = format!("{method} {headers:?}");
        assert_eq!(response.status().as_u16(), *status, "{shown}");
        let is_challenged = *status == 401 || said.contains("it lacks");
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), is_challenged, "{shown}");
        let answer = text(response).await;
        assert!(answer.contains(said), "{shown}: {answer}");
        let raw = Raw::parse(answer.as_bytes(), &ReadLimits::REQUEST).unwrap();
        assert_eq!(raw.at(&["error", "message"]).is_some(), *status != 200, "{shown}: {answer}");
    }
    let seen = gateway.upstream.seen();
    let is_silent = |seen: &Seen| !seen.headers.values().chain([&seen.body]).any(|text| text.contains("token-"));
    assert!(seen.iter().all(|seen| !seen.headers.contains_key("authorization") && is_silent(seen)));
    let reached = seen.len() - before;
    assert_eq!(reached, checks.iter().filter(|check| check.0 == 200).count());
    let misbehaved = gateway.session.misbehaviours.lock().unwrap().len();
    assert_eq!(misbehaved, 3, "a body that is too large and messages that cannot be read are noted");
}

#[tokio::test]
async fn repeated_headers_are_refused_where_two_readers_could_differ() {
    let (gateway, _) = gateway(LIMITS).await;
    let agent = gateway.agent().await;
    let checks = [(HOST, 403), (AUTHORIZATION, 400), (ORIGIN, 403), (SESSION_ID, 400), (REVISION, 400)];
    for (name, status) in checks {
        let mut agent = agent.beside().await;
        agent.headers.entry(&name).or_insert(format!("http://{}", gateway.addr).parse().unwrap());
        let again = agent.headers.get(&name).unwrap().clone();
        agent.headers.append(&name, again);
        assert_eq!(agent.post(call(1, "echo")).await.status().as_u16(), status, "{name}");
    }
}

#[tokio::test]
async fn progress_makes_the_answer_a_stream_that_ends_with_it() {
    let (gateway, go_on) = gateway(LIMITS).await;
    let mut agent = gateway.agent().await;
    for id in 5..7 {
        go_on.notify_one();
        let mut events = Events::of(agent.post(call(id, "talk")).await);
        let mut told = Vec::new();
        while let Some(event) = events.next().await {
            told.push((event.id().unwrap().to_owned(), event.data().clone()));
        }
        let data: Vec<_> = told.iter().map(|(_, data)| data.clone()).collect();
        let progress = progress(&id.to_string());
        assert_eq!(data, [String::new(), progress.clone(), progress, answer(id)]);
        let ids: Vec<_> = told.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, if id == 5 { ["1-0", "1-1", "1-2", "1-3"] } else { ["2-3", "2-4", "2-5", "2-6"] });
    }
}

#[tokio::test]
async fn a_broken_stream_is_resumed_and_the_call_runs_once() {
    let (gateway, go_on) = gateway(LIMITS).await;
    let mut agent = gateway.agent().await;
    let mut events = Events::of(agent.post(call(5, "talk")).await);
    assert_eq!(events.text().await, "1-0 ");
    assert_eq!(events.text().await, format!("1-1 {}", progress("5")));
    // The connection breaks, and the call goes on.
    drop((events, agent.client));
    agent.client = Client::connect(gateway.addr).await;
    let mut resumed = Events::of(agent.get(Some("1-1")).await);
    go_on.notify_one();
    for expected in
        ["1-1 ".to_owned(), format!("1-2 {}", progress("5")), format!("1-3 {}", answer(5)), "end".to_owned()]
    {
        assert_eq!(resumed.text().await, expected);
    }
    // After its end the stream can still be read from any event, but not beyond the last.
    let mut again = Events::of(agent.get(Some("1-2")).await);
    for expected in ["1-2 ".to_owned(), format!("1-3 {}", answer(5)), "end".to_owned()] {
        assert_eq!(again.text().await, expected);
    }
    assert_eq!(agent.get(Some("1-3")).await.status(), 410);
    assert_eq!(gateway.outcomes(), ["Done None"]);
    assert_eq!(gateway.upstream.seen().iter().filter(|seen| seen.body.contains("talk")).count(), 1);
}

#[tokio::test]
async fn a_call_goes_on_when_its_client_leaves() {
    let (gateway, go_on) = gateway(LIMITS).await;
    let agent = gateway.agent().await;
    let mut leaving = agent.beside().await;
    tokio::select! {
        _ = leaving.post(call(1, "hold")) => panic!("it is held"),
        () = until(|| has_called(&gateway, "hold")) => {}
    }
    drop(leaving);
    // The endpoint notices; the same id stays taken until the call is over.
    let mut agent = agent;
    assert_eq!(agent.post(call(1, "echo")).await.status(), 400);
    assert_eq!(gateway.outcomes(), [""; 0]);
    go_on.notify_one();
    until(|| gateway.outcomes() == ["Done None"]).await;
    loop {
        let response = agent.post(call(1, "echo")).await;
        if response.status() == 200 {
            assert_eq!(text(response).await, answer(1));
            break;
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_its_half_leaves_the_endpoint_well() {
    let (gateway, go_on) = gateway(LIMITS).await;
    let mut agent = gateway.agent().await;
    let body = call(1, "hold");
    let mut head = "POST /mcp/up HTTP/1.1\r\n".to_owned();
    for (name, value) in &agent.headers {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    until(|| has_called(&gateway, "hold")).await;
    stream.shutdown().await.unwrap();
    // No answer can be given on it any more, but the call has begun.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
    go_on.notify_one();
    until(|| gateway.outcomes() == ["Done None"]).await;
    assert_eq!(agent.post(call(2, "echo")).await.status(), 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let (gateway, _) = gateway(LIMITS).await;
    let agent = gateway.agent().await;
    let mut head = "POST /mcp/up HTTP/1.1\r\n".to_owned();
    for (name, value) in &agent.headers {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
    stream.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn ids_in_use_and_too_many_requests_are_refused() {
    let (gateway, go_on) = gateway(HttpDownstreamLimits { in_flight_max: 2, ..LIMITS }).await;
    let agent = gateway.agent().await;
    let mut held = Vec::new();
    for id in 1..=2 {
        let mut beside = agent.beside().await;
        held.push(tokio::spawn(async move { text(beside.post(call(id, "hold")).await).await }));
    }
    until(|| gateway.upstream.seen().iter().filter(|seen| seen.body.contains("hold")).count() == 2).await;
    let mut agent = agent;
    let response = agent.post(call(3, "echo")).await;
    assert_eq!(response.status(), 429);
    let response = agent.post(INITIALIZED).await;
    assert_eq!(response.status(), 202, "what asks for no answer passes");
    go_on.notify_one();
    go_on.notify_waiters();
    for (held, id) in held.into_iter().zip(1..) {
        go_on.notify_one();
        assert_eq!(held.await.unwrap(), answer(id));
    }
}

#[tokio::test]
async fn a_question_of_the_upstream_comes_along_with_the_call_and_its_answer_goes_back() {
    let question =
        r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}"#;
    let go_on = Arc::new(Notify::new());
    let answered = go_on.clone();
    let gateway = Gateway::start(LIMITS, move |seen| {
        if seen.body.contains(r#""name":"ask""#) {
            let done = result(seen, r#"{"content":[]}"#);
            return vec![stream(), event(question), Act::Await(go_on.clone()), event(&done), end()];
        }
        usual(seen, &go_on)
    })
    .await;
    let mut agent = gateway.agent().await;
    let mut beside = agent.beside().await;
    let mut events = Events::of(agent.post(call(1, "ask")).await);
    assert_eq!(events.text().await, "1-0 ");
    assert_eq!(events.text().await, format!("1-1 {question}"));
    let yes = r#"{"jsonrpc": "2.0", "id": "q", "result": {"action": "accept"}}"#;
    assert_eq!(beside.post(yes).await.status(), 202);
    until(|| gateway.upstream.seen().iter().any(|seen| seen.body == yes)).await;
    answered.notify_one();
    assert_eq!(events.text().await, format!("1-2 {}", answer(1)));
    assert_eq!(events.text().await, "end");
}

#[tokio::test]
async fn a_call_that_is_taken_back_gets_no_answer() {
    let (gateway, _) = gateway(LIMITS).await;
    let agent = gateway.agent().await;
    let (mut calling, mut cancelling) = (agent.beside().await, agent);
    let (response, ()) = tokio::join!(calling.post(call(1, "hold")), async {
        until(|| has_called(&gateway, "hold")).await;
        let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        assert_eq!(cancelling.post(cancelled).await.status(), 202);
    });
    assert_eq!(response.status(), 202);
    until(|| gateway.upstream.seen().iter().any(|seen| seen.body.contains("notifications/cancelled"))).await;
}

#[tokio::test]
async fn what_belongs_to_no_request_waits_for_the_standing_stream_and_goes_to_one() {
    let go_on = Arc::new(Notify::new());
    let changes = Arc::new(Notify::new());
    let at_upstream = changes.clone();
    let gateway = Gateway::start(LIMITS, move |seen| match seen.method() {
        "GET" => {
            let change = [Act::Await(at_upstream.clone()), event(CHANGED)];
            [stream()]
                .into_iter()
                .chain(change.clone())
                .chain(change.clone())
                .chain(change)
                .chain([Act::Park])
                .collect()
        }
        _ => usual(seen, &go_on),
    })
    .await;
    let mut agent = gateway.agent().await;
    until(|| gateway.upstream.count("GET") == 1).await;
    changes.notify_one();
    // Nobody reads yet: the message is kept.
    let mut first = agent.beside().await;
    let mut events = Events::of(first.get(None).await);
    assert_eq!(events.text().await, "0-0 ");
    assert_eq!(events.text().await, format!("0-1 {CHANGED}"));
    // The client is back on a new connection: the old one ends, and nothing is told twice.
    let mut newest = Events::of(agent.get(None).await);
    assert_eq!(events.text().await, "end");
    assert_eq!(newest.text().await, "0-1 ");
    changes.notify_one();
    assert_eq!(newest.text().await, format!("0-2 {CHANGED}"));
    drop((newest, agent.client));
    changes.notify_one();
    agent.client = Client::connect(gateway.addr).await;
    let mut resumed = Events::of(agent.get(Some("0-1")).await);
    for expected in ["0-1 ".to_owned(), format!("0-2 {CHANGED}"), format!("0-3 {CHANGED}")] {
        assert_eq!(resumed.text().await, expected);
    }
}

#[tokio::test]
async fn an_ended_session_is_gone_with_everything() {
    let (gateway, _) = gateway(LIMITS).await;
    let mut agent = gateway.agent().await;
    let mut standing = Events::of(agent.beside().await.get(None).await);
    assert_eq!(gateway.endpoint.sessions(), 1);
    assert_eq!(agent.delete().await, 204);
    assert_eq!(gateway.endpoint.sessions(), 0);
    assert_eq!(standing.text().await, "0-0 ");
    assert_eq!(standing.text().await, "end");
    until(|| gateway.upstream.count("DELETE") == 1).await;
    assert_eq!(agent.post(call(1, "echo")).await.status(), 404);
    assert_eq!(agent.delete().await, 404);
}

#[tokio::test]
async fn a_session_ends_with_its_upstream() {
    let go_on = Arc::new(Notify::new());
    let gateway = Gateway::start(LIMITS, move |seen| match seen.body.contains("echo") {
        true => vec![whole("404 Not Found", "", "")],
        false => usual(seen, &go_on),
    })
    .await;
    let mut agent = gateway.agent().await;
    let response = agent.post(call(1, "echo")).await;
    assert!(text(response).await.contains("upstream_unavailable"));
    until(|| gateway.endpoint.sessions() == 0).await;
    assert_eq!(agent.post(call(2, "echo")).await.status(), 404);
}

#[tokio::test]
async fn an_unused_session_ends() {
    let (gateway, _) = gateway(HttpDownstreamLimits { session_idle: Duration::from_millis(20), ..LIMITS }).await;
    let mut agent = gateway.agent().await;
    until(|| gateway.endpoint.sessions() == 0).await;
    assert_eq!(agent.post(call(1, "echo")).await.status(), 404);
    until(|| gateway.upstream.count("DELETE") == 1).await;
}

#[tokio::test]
async fn sessions_are_bounded_for_each_token_and_in_all() {
    let limits = HttpDownstreamLimits { sessions_max: 3, sessions_per_token_max: 2, ..LIMITS };
    let (gateway, _) = gateway(limits).await;
    let mut agents = [gateway.agent().await, gateway.agent().await];
    let mut another = agents[0].beside().await;
    another.headers.remove(SESSION_ID);
    assert_eq!(another.post(INITIALIZE).await.status(), 429);
    another.set(AUTHORIZATION, "Bearer token-b");
    assert_eq!(another.post(INITIALIZE).await.status(), 200);
    assert_eq!(another.post(INITIALIZE).await.status(), 503);
    // A session that has ended gives its place back, as soon as its upstream is closed.
    assert_eq!(agents[0].delete().await, 204);
    while another.post(INITIALIZE).await.status() != 200 {}
}

#[tokio::test]
async fn a_session_that_its_client_left_makes_room_for_a_new_one() {
    let limits = HttpDownstreamLimits { sessions_per_token_max: 2, session_spare: Duration::ZERO, ..LIMITS };
    let (gateway, go_on) = gateway(limits).await;
    let [busy, mut left] = [gateway.agent().await, gateway.agent().await];
    let mut calling = busy.beside().await;
    let (response, ()) = tokio::join!(calling.post(call(1, "hold")), async {
        until(|| has_called(&gateway, "hold")).await;
        let mut newest = gateway.agent().await;
        assert_eq!(left.post(call(1, "echo")).await.status(), 404);
        assert_eq!(newest.post(call(1, "echo")).await.status(), 200);
        go_on.notify_one();
    });
    assert_eq!(text(response).await, answer(1));
}

#[tokio::test]
async fn a_handshake_that_fails_leaves_nothing() {
    let refusing = |seen: &Seen| {
        let error = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32602,"message":"no"}}}}"#, seen.id());
        vec![fixture::json(&error)]
    };
    let gateway = Gateway::start(HttpDownstreamLimits { sessions_max: 1, ..LIMITS }, refusing).await;
    let mut agent = gateway.stranger().await;
    for _ in 0..2 {
        let response = loop {
            let response = agent.post(INITIALIZE).await;
            if response.status() != 503 {
                break response;
            }
        };
        assert_eq!(response.headers().get(SESSION_ID), None);
        assert!(text(response).await.contains(r#""message":"no""#));
    }
    assert_eq!(gateway.endpoint.sessions(), 0);
}

#[tokio::test]
async fn closing_lets_calls_in_flight_finish() {
    let (gateway, go_on) = gateway(LIMITS).await;
    let agent = gateway.agent().await;
    let (mut calling, mut late) = (agent.beside().await, agent);
    let (response, ()) = tokio::join!(calling.post(call(1, "hold")), async {
        until(|| has_called(&gateway, "hold")).await;
        tokio::join!(gateway.endpoint.close(), async {
            until(|| gateway.endpoint.sessions() == 0).await;
            assert_eq!(late.post(call(2, "echo")).await.status(), 404);
            late.headers.remove(SESSION_ID);
            assert_eq!(late.post(INITIALIZE).await.status(), 503);
            go_on.notify_one();
        });
    });
    assert_eq!(text(response).await, answer(1));
    assert_eq!(gateway.upstream.count("DELETE"), 1);
}

#[tokio::test]
async fn closing_does_not_wait_for_a_handshake_that_does_not_end() {
    let limits = HttpDownstreamLimits { drain: Duration::from_millis(20), ..LIMITS };
    let gateway = Gateway::start(limits, |_| vec![Act::Park]).await;
    let mut agent = gateway.stranger().await;
    let (response, ()) = tokio::join!(agent.post(INITIALIZE), async {
        until(|| gateway.upstream.count("POST") == 1).await;
        gateway.endpoint.close().await;
    });
    assert!(text(response).await.contains("the session was closed"));
    assert_eq!(gateway.endpoint.sessions(), 0);
}
