use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderName;

use super::*;
use crate::mcp::era::Revision;
use crate::mcp::fixture::{Act, Seen, Server, chunk, end, json, result, stream, whole};
use crate::mcp::upstream::{Arrived, Upstream};

const LIMITS: HttpUpstreamLimits = HttpUpstreamLimits {
    connect: Duration::from_secs(5),
    response: ReadLimits { bytes_max: 4096, ..ReadLimits::RESPONSE },
    resume_wait: Duration::from_millis(10),
    standing_wait: Duration::from_millis(10),
};

fn connect(server: &Server) -> (Upstream, IncomingQueue) {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer of-the-operator"));
    let config = HttpUpstreamConfig::parse(&server.url(), headers, LIMITS).unwrap();
    let (upstream, queue) = HttpUpstream::connect(config);
    (Upstream::Http(upstream), queue)
}

fn message(id: i64) -> Bytes {
    format!(r#"{{"jsonrpc": "2.0", "id": {id}, "method": "ping"}}"#).into()
}

async fn request(upstream: &Upstream, id: i64) -> Result<String, UpstreamFault> {
    let answer = upstream.request(&RawId::integer(id), message(id)).await?;
    Ok(std::str::from_utf8(answer.bytes()).unwrap().to_owned())
}

/// What one request comes to at a server that answers every request with `acts`.
async fn outcome(acts: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> String {
    let server = Server::start(acts).await;
    let (upstream, mut queue) = connect(&server);
    // An answer waits until what came before it has been dealt with.
    tokio::spawn(async move { while queue.recv().await.is_some() {} });
    match request(&upstream, 1).await {
        Ok(answer) => answer,
        Err(fault) => format!("{fault:?}"),
    }
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

fn progress(number: u32) -> String {
    let params = format!(r#"{{"progressToken":1,"progress":{number}}}"#);
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
}

/// Waits until the server has seen `count` requests with `method`.
async fn until_seen(server: &Server, method: &str, count: usize) {
    while server.count(method) < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn messages_go_as_they_are_with_the_headers_of_their_time() {
    let server = Server::start(|seen| match seen.method() {
        "POST" if seen.body.contains("notifications") => vec![whole("202 Accepted", "", "")],
        "POST" => vec![whole(
            "200 OK",
            "content-type: Application/JSON; charset=utf-8\r\nmcp-session-id: s-1\r\n",
            &result(seen, "{}"),
        )],
        "GET" => vec![whole("405 Method Not Allowed", "", "")],
        _ => vec![whole("204 No Content", "", "")],
    })
    .await;
    let (upstream, mut queue) = connect(&server);
    request(&upstream, 1).await.unwrap();
    upstream.opened(Revision::V2025_11_25);
    upstream.send(Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)).await.unwrap();
    until_seen(&server, "GET", 1).await;
    request(&upstream, 2).await.unwrap();
    upstream.close().await;

    let [first, initialized, .., last] = &server.seen()[..] else { panic!() };
    assert_eq!(first.line, "POST /mcp?x=1 HTTP/1.1");
    assert_eq!(first.body.as_bytes(), message(1));
    assert_eq!(first.header("host"), Some(server.addr.to_string().as_str()));
    assert_eq!(first.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("authorization"), Some("Bearer of-the-operator"));
    assert_eq!((first.header("mcp-session-id"), first.header("mcp-protocol-version")), (None, None));
    for later in [initialized, last] {
        let of_session = (later.header("mcp-session-id"), later.header("mcp-protocol-version"));
        assert_eq!(of_session, (Some("s-1"), Some("2025-11-25")), "{}", later.line);
    }
    assert_eq!(last.method(), "DELETE");
    assert_eq!(server.count("GET"), 1, "a server without a standing stream is not asked again");
    assert!(queue.recv().await.is_none(), "the queue ends with the session");
}

#[tokio::test]
async fn answers_are_taken_or_refused_for_what_they_are() {
    let ok = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#;
    let anonymous = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"log\\u0007 in\"}}";
    let kind = "Content-Type: application/json\r\n";
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":"{}"}}}}"#, "x".repeat(5000));
    let checks: Vec<(&str, Vec<Act>, &str)> = vec![
        ("json", vec![json(ok)], ok),
        ("an error is an answer", vec![json(error)], error),
        ("an error under any status is an answer", vec![whole("400 Bad Request", kind, error)], error),
        ("in pieces", vec![stream(), chunk("da"), chunk("ta: "), chunk(ok), chunk("\r"), chunk("\n\r\n"), end()], ok),
        (
            "other events",
            vec![stream(), chunk("event: x\ndata: 1\n\n:c\n\nid: 1\ndata:\n\n"), chunk(&event(ok)), end()],
            ok,
        ),
        ("garbage before the answer", vec![stream(), chunk("data: {]\n\n"), chunk(&event(ok)), end()], ok),
        ("not JSON", vec![json("{]")], "Unreadable(\"expected a key in quotes at byte 1"),
        ("duplicate keys", vec![json(r#"{"jsonrpc":"2.0","id":1,"id":1,"result":{}}"#)], "Unreadable("),
        (
            "another id",
            vec![json(&ok.replace('1', "2"))],
            "Unreadable(\"its message is not the answer to the request\")",
        ),
        ("text for number", vec![json(&ok.replace('1', "\"1\""))], "Unreadable(\"its message is not"),
        ("a request", vec![json(r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#)], "Unreadable(\"its message is not"),
        ("a batch", vec![json(&format!("[{ok}]"))], "Unreadable(\"an array of messages"),
        ("too large", vec![json(&large)], "Unreadable(\"the body is larger than 4096 bytes\")"),
        (
            "too large in chunks",
            vec![
                Act::Send(format!("HTTP/1.1 200 OK\r\n{kind}Transfer-Encoding: chunked\r\n\r\n")),
                chunk(large.split_at(3000).0),
                chunk(large.split_at(3000).1),
            ],
            "Unreadable(\"the body is larger than 4096 bytes\")",
        ),
        (
            "too large an event",
            vec![stream(), chunk(&event(&large)), Act::Park],
            "Unreadable(\"event larger than 4352 bytes",
        ),
        (
            "broken answer in a stream",
            vec![stream(), chunk(&event(&ok.replace("{}", "[]"))), Act::Park],
            "Unreadable(\"`result` at",
        ),
        (
            "html",
            vec![whole("200 OK", "Content-Type: text/html\r\n", ok)],
            "Unreadable(\"it is neither JSON nor an event stream\")",
        ),
        ("nothing", vec![whole("202 Accepted", "", "")], "Unreadable(\"its status is 202 Accepted\")"),
        (
            "redirect",
            vec![whole("307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n", "")],
            "Unreadable(\"it is a redirect (307",
        ),
        (
            "unauthorized",
            vec![whole("401 Unauthorized", kind, anonymous)],
            "NotSent(\"the server refused the message (401 Unauthorized): `log in`\")",
        ),
        (
            "not found",
            vec![whole("404 Not Found", "", "")],
            "NotSent(\"the server refused the message (404 Not Found)\")",
        ),
        ("bad request", vec![whole("400 Bad Request", "", "no")], "Unreadable(\"its status is 400 Bad Request\")"),
        (
            "server error",
            vec![whole("500 Internal Server Error", "", "")],
            "Unreadable(\"its status is 500 Internal Server Error\")",
        ),
        ("not HTTP", vec![Act::Send("SSH-2.0-OpenSSH\r\n\r\n".to_owned())], "Lost(\"invalid HTTP version parsed"),
        ("gone before the head", vec![Act::Close], "Lost(\"connection closed before message completed"),
        (
            "gone in the head",
            vec![Act::Send("HTTP/1.1 200 OK\r\n".to_owned()), Act::Close],
            "Lost(\"connection closed before message completed",
        ),
        (
            "gone in the body",
            vec![Act::Send(format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: 99\r\n\r\n{{\"json")), Act::Close],
            "Lost(\"error reading a body from connection: end of file before message length reached",
        ),
        ("gone in a stream", vec![stream(), chunk(&event(&progress(1))), Act::Close], "Lost(\"the stream broke off"),
        (
            "a stream without an answer",
            vec![stream(), chunk(&event(&progress(1))), end()],
            "Lost(\"the server ended the stream\")",
        ),
        (
            "a stream with garbage only",
            vec![stream(), chunk("data: {]\n\n"), end()],
            "Unreadable(\"expected a key in quotes at byte 1",
        ),
        (
            "a session id that is no header",
            vec![whole("200 OK", &format!("{kind}Mcp-Session-Id: a b\r\n"), ok)],
            "Unreadable(\"its session id is too long or not visible ASCII\")",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, acts, expected) in checks {
        let came_to = outcome(move |_| acts.clone()).await;
        if !came_to.starts_with(expected) {
            wrong.push(format!("{name}: {came_to}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_could_not_connect_was_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let config = HttpUpstreamConfig::parse(&url, HeaderMap::new(), LIMITS).unwrap();
    let (upstream, _queue) = HttpUpstream::connect(config);
    let fault = upstream.request(&RawId::integer(1), message(1)).await.unwrap_err();
    assert!(matches!(&fault, UpstreamFault::NotSent(why) if why.contains("refused")), "{fault:?}");
}

#[tokio::test]
async fn connections_are_used_again_after_either_form_of_answer() {
    let server = Server::start(|seen| {
        let answer = result(seen, "{}");
        match seen.id().as_str() {
            "1" => vec![json(&answer)],
            // The end of the stream comes after the answer was taken.
            _ => vec![stream(), chunk(&event(&answer)), end()],
        }
    })
    .await;
    let (upstream, _queue) = connect(&server);
    for id in [1, 2, 3, 1] {
        request(&upstream, id).await.unwrap();
        server.rest().await;
    }
    assert_eq!(server.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0; 4]);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_unused_costs_nothing() {
    let server = Server::start(|seen| vec![json(&result(seen, "{}")), Act::Close]).await;
    let (upstream, _queue) = connect(&server);
    for id in 1..=3 {
        request(&upstream, id).await.unwrap();
        server.rest().await;
    }
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
}

#[tokio::test]
async fn a_request_that_was_written_is_never_sent_again() {
    // The second request on a connection meets its end.
    let server = Server::start(|seen| match seen.id().as_str() {
        "1" => vec![json(&result(seen, "{}"))],
        _ => vec![Act::Close],
    })
    .await;
    let (upstream, _queue) = connect(&server);
    request(&upstream, 1).await.unwrap();
    let fault = request(&upstream, 2).await.unwrap_err();
    assert!(matches!(fault, UpstreamFault::Lost(_)), "{fault:?}");
    assert_eq!(server.count("POST"), 2);
}

#[tokio::test]
async fn what_comes_before_an_answer_is_dealt_with_before_it() {
    let question = r#"{"jsonrpc":"2.0","id":"up-1","method":"ping"}"#;
    let server = Server::start(move |seen| {
        let told = [progress(1), question.to_owned(), progress(2), result(seen, "{}")];
        let told: String = told.iter().map(|data| event(data)).collect();
        vec![stream(), chunk(&told), end()]
    })
    .await;
    let (upstream, mut queue) = connect(&server);
    let order = Arc::new(Mutex::new(Vec::new()));
    let dealt = order.clone();
    let listener = tokio::spawn(async move {
        while let Some(Arrived::Message(incoming)) = queue.recv().await {
            // Dealing with a message takes time.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(incoming.related, Some(RawId::integer(1)));
            dealt.lock().unwrap().push(incoming.envelope.method().unwrap().to_owned());
        }
    });
    request(&upstream, 1).await.unwrap();
    order.lock().unwrap().push("answer".to_owned());
    drop(upstream);
    listener.await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["notifications/progress", "ping", "notifications/progress", "answer"]);
}

#[tokio::test]
async fn arrays_of_messages_are_taken_apart_in_the_one_revision_that_has_them() {
    let array = |seen: &Seen| format!("[{},{},7]", progress(1), result(seen, "{}"));
    let none = format!("[{}]", progress(1));
    for (revision, form, expected) in [
        (Revision::V2025_03_26, "stream", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        (Revision::V2025_03_26, "json", r#"Unreadable("the message is not an object"#),
        (Revision::V2025_03_26, "none", r#"Unreadable("none of its messages is the answer to the request")"#),
        (Revision::V2025_06_18, "stream", r#"Unreadable("an array of messages"#),
        (Revision::V2025_06_18, "json", r#"Unreadable("an array of messages"#),
    ] {
        let none = none.clone();
        let server = Server::start(move |seen| match form {
            "stream" => vec![stream(), chunk(&event(&array(seen))), end()],
            "json" => vec![json(&array(seen))],
            _ => vec![json(&none)],
        })
        .await;
        let (upstream, mut queue) = connect(&server);
        upstream.opened(revision);
        let told = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(arrived) = queue.recv().await {
                told.push(match arrived {
                    Arrived::Message(incoming) => incoming.envelope.method().unwrap().to_owned(),
                    Arrived::Unreadable(why) => why,
                });
            }
            told
        });
        let came_to = match request(&upstream, 1).await {
            Ok(answer) => answer,
            Err(fault) => format!("{fault:?}"),
        };
        assert!(came_to.starts_with(expected), "{revision} {form}: {came_to}");
        drop(upstream);
        let told = told.await.unwrap();
        match (form, revision.has_batches()) {
            ("stream", true) => {
                assert!(told[0] == "notifications/progress" && told[1].starts_with("the message is not"), "{told:?}");
            }
            (_, true) => assert_eq!(told, ["notifications/progress"]),
            (_, false) => assert!(told.iter().all(|why| why.starts_with("an array of messages")), "{told:?}"),
        }
    }
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_handed_on_as_such() {
    let server = Server::start(move |seen| {
        let answer = result(seen, "{}");
        let told = [event(&answer.replace('1', "77")), event(&answer), event(&answer)].concat();
        vec![stream(), chunk(&told), end()]
    })
    .await;
    let (upstream, mut queue) = connect(&server);
    let listener = tokio::spawn(async move {
        let mut ids = Vec::new();
        while let Some(Arrived::Message(incoming)) = queue.recv().await {
            assert!(matches!(incoming.envelope.kind(), EnvelopeKind::Response { .. }));
            ids.push(incoming.envelope.id().unwrap().to_string());
        }
        ids
    });
    assert_eq!(request(&upstream, 1).await.unwrap(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    drop(upstream);
    assert_eq!(listener.await.unwrap(), ["77", "1"]);
}

#[tokio::test]
async fn a_broken_stream_is_resumed_where_it_broke_and_the_call_is_not_repeated() {
    let gets = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"n":1}}"#;
        match seen.method() {
            "POST" => vec![
                stream(),
                chunk("id: a-0\nretry: 30\ndata:\n\n"),
                chunk("id: a-1\n"),
                chunk(&event(&progress(1))),
                Act::Close,
            ],
            _ => match gets.fetch_add(1, Ordering::Relaxed) {
                0 => vec![whole("503 Service Unavailable", "", "")],
                // A server that wants to be polled ends the stream in order.
                1 => vec![stream(), chunk("id: a-2\n"), chunk(&event(&progress(2))), end()],
                2 => vec![stream(), Act::Close],
                _ => vec![stream(), chunk(&event(answer)), end()],
            },
        }
    })
    .await;
    let (upstream, mut queue) = connect(&server);
    let listener = tokio::spawn(async move {
        let mut count = 0;
        while queue.recv().await.is_some() {
            count += 1;
        }
        count
    });
    let began = std::time::Instant::now();
    assert_eq!(request(&upstream, 1).await.unwrap(), r#"{"jsonrpc":"2.0","id":1,"result":{"n":1}}"#);
    assert!(
        began.elapsed() >= Duration::from_millis(30 + 60 + 30 + 30),
        "the server said how long to wait: {:?}",
        began.elapsed()
    );
    drop(upstream);
    assert_eq!(listener.await.unwrap(), 2);
    let asked: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| (seen.method().to_owned(), seen.header("last-event-id").map(str::to_owned)))
        .collect();
    let asked: Vec<_> = asked.iter().map(|(method, last)| (method.as_str(), last.as_deref())).collect();
    assert_eq!(
        asked,
        [("POST", None), ("GET", Some("a-1")), ("GET", Some("a-1")), ("GET", Some("a-2")), ("GET", Some("a-2"))]
    );
}

#[tokio::test]
async fn resuming_is_given_up_when_the_server_does_not_know_how() {
    for status in ["404 Not Found", "405 Method Not Allowed"] {
        let came_to = outcome(move |seen| match seen.method() {
            "POST" => vec![stream(), chunk("id: 1\ndata:\n\n"), Act::Close],
            _ => vec![whole(status, "", "")],
        })
        .await;
        assert!(came_to.contains(&format!("resuming it was refused ({status})")), "{came_to}");
    }
}

#[tokio::test]
async fn an_ended_session_stays_ended() {
    let server = Server::start(|seen| match seen.id().as_str() {
        "1" => vec![whole("200 OK", "Content-Type: application/json\r\nMcp-Session-Id: s\r\n", &result(seen, "{}"))],
        _ => vec![whole("404 Not Found", "", "")],
    })
    .await;
    let (upstream, mut queue) = connect(&server);
    request(&upstream, 1).await.unwrap();
    upstream.opened(Revision::V2025_11_25);
    let fault = request(&upstream, 2).await.unwrap_err();
    assert!(matches!(&fault, UpstreamFault::NotSent(why) if why.contains("ended the session")), "{fault:?}");
    assert!(queue.recv().await.is_none());
    let fault = request(&upstream, 3).await.unwrap_err();
    assert!(matches!(fault, UpstreamFault::NotSent(_)), "{fault:?}");
    upstream.close().await;
    assert_eq!(server.seen().len(), 2, "nothing more is sent");
}

#[tokio::test]
async fn the_standing_stream_goes_on_where_it_broke() {
    let gets = AtomicUsize::new(0);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let server = Server::start(move |seen| match seen.method() {
        "POST" => vec![whole("202 Accepted", "", "")],
        _ => match gets.fetch_add(1, Ordering::Relaxed) {
            0 => vec![stream(), chunk("id: 9\n"), chunk(&event(changed)), Act::Close],
            1 => vec![whole("502 Bad Gateway", "", "")],
            _ => vec![stream(), chunk(&event(changed)), Act::Park],
        },
    })
    .await;
    let (upstream, mut queue) = connect(&server);
    upstream.opened(Revision::V2025_11_25);
    assert_eq!(server.count("GET"), 0, "not before the client has said that it is ready");
    upstream.send(Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)).await.unwrap();
    for _ in 0..2 {
        let Some(Arrived::Message(incoming)) = queue.recv().await else { panic!("no message") };
        assert_eq!((incoming.envelope.method(), incoming.related), (Some("notifications/tools/list_changed"), None));
    }
    let asked: Vec<_> =
        server.seen().iter().skip(1).map(|seen| seen.header("last-event-id").map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("9".to_owned()), Some("9".to_owned())]);
    upstream.close().await;
    assert!(queue.recv().await.is_none());
}

#[tokio::test]
async fn closing_fails_what_still_waits() {
    let server = Server::start(|_| vec![Act::Park]).await;
    let (upstream, _queue) = connect(&server);
    let (answer, ()) = tokio::join!(request(&upstream, 1), async {
        until_seen(&server, "POST", 1).await;
        upstream.close().await;
    });
    assert_eq!(answer, Err(UpstreamFault::Lost("the session was closed".to_owned())));
}

#[tokio::test]
async fn a_caller_that_gives_up_frees_everything() {
    let server = Server::start(|seen| match seen.id().as_str() {
        "1" => vec![stream(), chunk(&event(&progress(1))), Act::Park],
        _ => vec![json(&result(seen, "{}"))],
    })
    .await;
    let (upstream, _queue) = connect(&server);
    tokio::select! {
        answer = request(&upstream, 1) => panic!("{answer:?}"),
        () = until_seen(&server, "POST", 1) => {}
    }
    request(&upstream, 2).await.unwrap();
}

#[test]
fn addresses_and_headers_that_cannot_work_are_refused() {
    let parse = |url: &str, header: Option<HeaderName>| {
        let headers = header.into_iter().map(|name| (name, HeaderValue::from_static("x"))).collect();
        HttpUpstreamConfig::parse(url, headers, LIMITS).map(|_| ()).map_err(|error| error.to_string())
    };
    let form = "is not an address of an HTTP server";
    let checks = [
        ("", None, form),
        ("/mcp", None, "it has no host"),
        ("ftp://host/", None, "only http and https are spoken"),
        (
            "https://user:secret@host/mcp",
            None,
            "`host` is not an address of an HTTP server: put credentials into a header",
        ),
        ("http://host/mcp?token=secret y", None, "`http://host/mcp` is not"),
        ("http://host/mcp", Some(SESSION_ID), "header `mcp-session-id` is set by the protocol"),
        ("http://host/mcp", Some(HOST), "header `host` is set by the protocol"),
    ];
    for (url, header, expected) in checks {
        let error = parse(url, header).unwrap_err();
        assert!(error.contains(expected) && !error.contains("secret"), "{url}: {error}");
    }
    assert_eq!(parse("http://host", None), Ok(()));
}

#[test]
fn credentials_do_not_show() {
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"))]);
    let config = HttpUpstreamConfig::parse("http://host/", headers, LIMITS).unwrap();
    let (upstream, _queue) = HttpUpstream::connect(config.clone());
    assert!(!format!("{config:?}{upstream:?}").contains("secret"));
}
