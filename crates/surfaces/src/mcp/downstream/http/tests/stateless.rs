use super::*;

pub(super) const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{},"x":{}}"#;

/// A request that stands alone; `params` are members, each with a comma after it.
pub(super) fn alone(id: &str, method: &str, params: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}"_meta":{{{META},"progressToken":{id}}}}}}}"#
    )
}

impl Agent {
    /// The same client, with the headers that repeat a request.
    pub(super) fn repeat(&mut self, method: &str, name: Option<&str>) {
        self.set(REVISION, "2026-07-28");
        self.set(HeaderName::from_static("mcp-method"), method);
        match name {
            Some(name) => self.set(HeaderName::from_static("mcp-name"), name),
            None => drop(self.headers.remove("mcp-name")),
        }
    }

    async fn ask(&mut self, id: &str, method: &str, params: &str, name: Option<&str>) -> Response<Incoming> {
        self.repeat(method, name);
        self.post(alone(id, method, params)).await
    }

    pub(super) async fn call_tool(&mut self, id: &str, tool: &str, more: &str) -> Response<Incoming> {
        self.ask(id, "tools/call", &format!(r#""name":"{tool}","arguments":{{}},{more}"#), Some(tool)).await
    }
}

/// A server of the stateless era.
fn modern(seen: &Seen, go_on: &Arc<Notify>) -> Vec<Act> {
    let has = |text: &str| seen.body.contains(text);
    let told = |what: &str| {
        let id = seen.id();
        event(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{what},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        ))
    };
    match seen.header("mcp-method") {
        Some("server/discover") => vec![fixture::json(&result(
            seen,
            r#"{"resultType":"complete","supportedVersions":["2026-07-28","2031-01-01"],"capabilities":{"extensions":{"io.modelcontextprotocol/tasks":{},"x":{}}},"ttlMs":5,"cacheScope":"public"}"#,
        ))],
        Some("tools/list") => {
            vec![fixture::json(&result(seen, r#"{"tools":[{"name":"echo"}],"ttlMs":5,"cacheScope":"public"}"#))]
        }
        Some("prompts/list") => vec![fixture::json(&result(seen, r#"{"prompts":[{"name":"secret"}],"ttlMs":5}"#))],
        Some("subscriptions/listen") => vec![
            stream(),
            told(r#"subscriptions/acknowledged","params":{"notifications":{}"#),
            told(r#"resources/updated","params":{"uri":"file:///hidden""#),
            told(r#"tools/list_changed","params":{"n":1"#),
            Act::Await(go_on.clone()),
        ],
        Some("tools/call") if has(r#""inputResponses""#) => {
            let state = if has(r#""requestState":"up\u0073tream""#) { "brought back" } else { "lost" };
            vec![fixture::json(&result(
                seen,
                &format!(r#"{{"resultType":"complete","content":[],"state":"{state}"}}"#),
            ))]
        }
        Some("tools/call") if has(r#""name":"form""#) => vec![fixture::json(&result(
            seen,
            r#"{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":{}}},"requestState":"up\u0073tream"}"#,
        ))],
        Some("tools/call") if has(r#""name":"stateless-form""#) => vec![fixture::json(&result(
            seen,
            r#"{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":{}}}}"#,
        ))],
        Some("tools/call") if has(r#""name":"model""#) => vec![fixture::json(&result(
            seen,
            r#"{"resultType":"input_required","inputRequests":{"q":{"method":"sampling/createMessage","params":{}}},"requestState":"s"}"#,
        ))],
        Some("tools/call") if has(r#""name":"fail""#) => vec![whole(
            "400 Bad Request",
            "Content-Type: application/json\r\n",
            &format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32021,"message":"sampling"}}}}"#, seen.id()),
        )],
        Some(_) => usual(seen, go_on),
        None => vec![whole("400 Bad Request", "", "")],
    }
}

async fn modern_gateway() -> (Gateway, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
    let told = go_on.clone();
    (Gateway::start(LIMITS, move |seen| modern(seen, &told)).await, go_on)
}

#[tokio::test]
async fn requests_stand_alone_and_their_headers_are_written_from_the_body() {
    let (gateway, _) = modern_gateway().await;
    let mut agent = gateway.stranger().await;
    agent.set(HeaderName::from_static("mcp-param-region"), "us-west1");
    agent.set(HeaderName::from_static("x-other"), "stays here");
    agent.set(SESSION_ID, "left over");
    let discovered = agent.ask("1", "server/discover", "", None).await;
    assert_eq!((discovered.status().as_u16(), discovered.headers().get(SESSION_ID)), (200, None));
    assert_eq!(
        text(discovered).await,
        r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"extensions":{"io.modelcontextprotocol/tasks":{},"x":{}}},"ttlMs":0,"cacheScope":"private"}}"#
    );
    assert_eq!(
        text(agent.call_tool("\"a\"", "echo", "").await).await,
        r#"{"jsonrpc":"2.0","id":"a","result":{"content":[]}}"#
    );
    let seen = gateway.upstream.seen();
    let call = &seen[1];
    assert_eq!(call.header("mcp-method"), Some("tools/call"));
    assert_eq!(call.header("mcp-name"), Some("echo"));
    assert_eq!(call.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(call.header("mcp-param-region"), Some("us-west1"));
    assert_eq!(
        (call.header("x-other"), call.header("mcp-session-id"), call.header("authorization")),
        (None, None, None)
    );
    assert!(
        call.body.contains(r#""io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"x":{}}"#),
        "{}",
        call.body
    );
    assert_eq!(*gateway.session.opened.lock().unwrap(), ["c 2026-07-28"], "one client is recorded once");
    assert_eq!(gateway.outcomes(), ["Done None"]);
    assert_eq!((gateway.endpoint.sessions(), gateway.upstream.count("GET")), (0, 0));
    gateway.endpoint.close().await;
    assert_eq!(gateway.upstream.count("DELETE"), 0);
}

#[tokio::test]
async fn what_a_mission_hides_makes_an_answer_private() {
    let (gateway, _) = modern_gateway().await;
    let mut agent = gateway.stranger().await;
    let whole = text(agent.ask("1", "tools/list", "", None).await).await;
    assert!(whole.ends_with(r#""result":{"tools":[{"name":"echo"}],"ttlMs":5,"cacheScope":"public"}}"#), "{whole}");
    let thinned = text(agent.ask("2", "prompts/list", "", None).await).await;
    assert!(thinned.ends_with(r#""result":{"prompts":[],"ttlMs":0,"cacheScope":"private"}}"#), "{thinned}");
}

#[tokio::test]
async fn requests_that_do_not_fit_the_revision_are_told_how() {
    let (gateway, _) = modern_gateway().await;
    let mut agent = gateway.stranger().await;
    agent.repeat("tools/list", None);
    let list = alone("1", "tools/list", "");
    let call = alone("1", "tools/call", r#""name":"echo","#);
    let unclaimed = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let method = HeaderName::from_static("mcp-method");
    let cases = [
        (200, r#""tools""#, list.clone(), vec![]),
        (400, "-32602", unclaimed.to_owned(), vec![]),
        (400, "-32602", list.replace("clientCapabilities\":{", "clientThings\":{"), vec![]),
        (400, "-32020", list.clone(), vec![(REVISION, "")]),
        (400, "-32020", list.clone(), vec![(REVISION, "2025-11-25")]),
        (400, "-32020", list.clone(), vec![(REVISION, "2031-01-01")]),
        (400, "-32020", list.replace("2026-07-28", "2031-01-01"), vec![]),
        (400, r#"-32022,"message":"#, list.replace("2026-07-28", "2031-01-01"), vec![(REVISION, "2031-01-01")]),
        (400, "these are: 2024-11-05", unclaimed.to_owned(), vec![(REVISION, "2031-01-01")]),
        (400, "-32020", list.clone(), vec![(method.clone(), "")]),
        (400, "-32020", list.clone(), vec![(method.clone(), "tools/call")]),
        (400, "-32020", call.clone(), vec![(method.clone(), "tools/call")]),
        (404, "-32601", alone("1", "initialize", ""), vec![(method.clone(), "initialize")]),
        (404, "-32601", alone("1", "ping", ""), vec![(method.clone(), "ping")]),
        (404, "-32601", alone("1", "logging/setLevel", ""), vec![(method.clone(), "logging/setLevel")]),
        (404, "request_not_allowed", alone("1", "x/y", ""), vec![(method.clone(), "x/y")]),
        (404, "-32601", alone("1", "x/y", ""), vec![(method.clone(), "x/y")]),
        (404, "-32601", alone("1", "elicitation/create", ""), vec![(method.clone(), "elicitation/create")]),
        (202, "", r#"{"jsonrpc":"2.0","method":"notifications/x"}"#.to_owned(), vec![]),
        (400, "send no answers", answer(1), vec![]),
        (400, "expected a key", "{]".to_owned(), vec![]),
    ];
    for (status, said, body, lines) in cases {
        let mut request = agent.request(Method::POST, body.clone());
        for (name, value) in lines {
            match value {
                "" => drop(request.headers_mut().remove(name)),
                value => drop(request.headers_mut().insert(name, value.parse().unwrap())),
            }
        }
        let response = agent.client.send(request).await;
        let found = response.status().as_u16();
        let answer = text(response).await;
        assert!(found == status && answer.contains(said), "{body}: {found} {answer}");
    }
    for method in [Method::GET, Method::DELETE] {
        let response = agent.client.send(agent.request(method, "")).await;
        assert_eq!(
            (response.status().as_u16(), response.headers().get(ALLOW).unwrap().to_str().unwrap()),
            (405, "POST")
        );
    }
}

#[tokio::test]
async fn errors_of_the_upstream_keep_their_status() {
    let (gateway, _) = modern_gateway().await;
    let mut agent = gateway.stranger().await;
    let response = agent.call_tool("1", "fail", "").await;
    assert_eq!(response.status(), 400);
    assert!(text(response).await.contains("-32021"));
    assert_eq!(gateway.outcomes(), ["ToolError Some(UpstreamError)"]);
}

#[tokio::test]
async fn a_server_of_the_other_era_says_so_itself() {
    // What servers of the era of handshakes say to a request without a session.
    let says = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}"#;
    for (answer, expected) in [
        (whole("400 Bad Request", "Content-Type: application/json\r\n", says), (400, "Server not initialized")),
        (whole("404 Not Found", "", "nothing here"), (404, "404 Not Found")),
    ] {
        let gateway = Gateway::start(LIMITS, move |_| vec![answer.clone()]).await;
        let mut agent = gateway.stranger().await;
        let response = agent.ask("1", "server/discover", "", None).await;
        let status = response.status().as_u16();
        let said = text(response).await;
        assert!(status == expected.0 && said.contains(expected.1) && said.contains(r#""id":1"#), "{status} {said}");
        assert!(gateway.session.opened.lock().unwrap().is_empty(), "nobody was there yet");
    }
}

#[tokio::test]
async fn progress_makes_a_stream_that_cannot_be_resumed() {
    let (gateway, go_on) = modern_gateway().await;
    let mut agent = gateway.stranger().await;
    let response = agent.call_tool("7", "talk", "").await;
    assert_eq!(response.headers().get("x-accel-buffering").unwrap(), "no");
    let mut events = Events::of(response);
    assert!(events.text().await.starts_with("- "), "no event has a number");
    go_on.notify_one();
    events.next().await.unwrap();
    assert_eq!(events.text().await, r#"- {"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#);
    assert_eq!(events.text().await, "end");
}

#[tokio::test]
async fn two_clients_of_a_run_may_choose_the_same_id() {
    let (gateway, go_on) = modern_gateway().await;
    let (mut one, mut other) = (gateway.stranger().await, gateway.stranger().await);
    let (first, second, ()) = tokio::join!(one.call_tool("1", "hold", ""), other.call_tool("1", "hold", ""), async {
        while gateway.upstream.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        go_on.notify_one();
    });
    assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_back() {
    let (gateway, _go_on) = modern_gateway().await;
    let cancelled = async |count| {
        while gateway.session.cancelled.load(std::sync::atomic::Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    };
    let mut agent = gateway.stranger().await;
    tokio::select! {
        response = agent.call_tool("1", "hold", "") => panic!("{response:?}"),
        () = async { while gateway.upstream.seen().is_empty() { tokio::task::yield_now().await } } => {}
    }
    drop(agent);
    cancelled(1).await;
    let mut agent = gateway.stranger().await;
    drop(agent.call_tool("2", "talk", "").await);
    drop(agent);
    cancelled(2).await;
    assert_eq!(gateway.outcomes(), [""; 0], "no answer came");
}

#[tokio::test]
async fn a_call_goes_on_in_rounds_with_a_state_of_ours_round_the_upstreams() {
    let (gateway, _) = modern_gateway().await;
    for (tool, state) in [("form", "brought back"), ("stateless-form", "lost")] {
        let mut agent = gateway.stranger().await;
        let asked = text(agent.call_tool("1", tool, "").await).await;
        assert!(asked.contains(r#""inputRequests":{"q":{"method":"elicitation/create","params":{}}}"#), "{asked}");
        let sealed = Raw::parse(asked.as_bytes(), &ReadLimits::RESPONSE).unwrap();
        let sealed = sealed.at(&["result", "requestState"]).unwrap().text().unwrap().into_owned();
        let more =
            |sealed: &str| format!(r#""inputResponses":{{"q":{{"action":"accept"}}}},"requestState":"{sealed}","#);
        let refused = [
            ("another tool", agent.call_tool("2", "echo", &more(&sealed)).await),
            ("a forged state", agent.call_tool("3", tool, &more(&format!("zz{sealed}"))).await),
            ("the upstream's own state", agent.call_tool("4", tool, &more(r"upstream")).await),
        ];
        for (what, response) in refused {
            let said = text(response).await;
            assert!(said.contains("-32602") && said.contains("state_refused"), "{what}: {said}");
        }
        let done = text(agent.call_tool("6", tool, &more(&sealed)).await).await;
        assert!(done.contains(&format!(r#""state":"{state}""#)), "{done}");
        let again = text(agent.call_tool("7", tool, &more(&sealed)).await).await;
        assert!(again.contains("state_refused"), "{again}");
    }
    let sent: Vec<_> =
        gateway.upstream.seen().into_iter().filter(|seen| seen.body.contains("inputResponses")).collect();
    assert_eq!(sent.len(), 2, "nothing that was refused was sent");
    assert!(sent[0].body.contains(r#""requestState":"up\u0073tream""#), "{}", sent[0].body);
    assert!(!sent[1].body.contains("requestState"), "{}", sent[1].body);
    assert_eq!(
        gateway.outcomes(),
        ["Pending Some(InputRequired)", "Done None", "Pending Some(InputRequired)", "Done None"]
    );
}

#[tokio::test]
async fn answers_that_nobody_asked_for_go_on_only_if_the_mission_lets_the_upstream_ask() {
    for (input, goes_on) in [
        (r#"{"q":{"action":"accept"},"more":{"action":"decline"}}"#, true),
        (r#"{"q":{"role":"assistant","content":{},"model":"m"}}"#, false),
        (r#"{"q":{"action":"accept"},"r":{"roots":[]}}"#, false),
        (r#"{"q":{"action":"accept","roots":[]}}"#, false),
        (r#"{"q":{}}"#, false),
        (r#"{"q":1}"#, false),
        ("null", false),
    ] {
        let (gateway, _) = modern_gateway().await;
        let mut agent = gateway.stranger().await;
        let said = text(agent.call_tool("1", "stateless-form", &format!(r#""inputResponses":{input},"#)).await).await;
        let sent = gateway.upstream.seen();
        assert_eq!(sent.len(), 1, "{input}");
        assert_eq!(sent[0].body.contains(&format!(r#""inputResponses":{input}"#)), goes_on, "{input}");
        assert_eq!(said.contains("inputRequests"), !goes_on, "the upstream asks what it needs: {said}");
        let digest = governance::evidence::leaf::sha256_hex(input.as_bytes());
        let inputs = gateway.session.inputs.lock().unwrap().clone();
        assert_eq!(inputs, if goes_on { vec![format!("1 {digest}")] } else { vec![] }, "{input}");
    }
}

#[tokio::test]
async fn an_upstream_asks_only_what_the_mission_lets_it_ask() {
    let (gateway, _) = modern_gateway().await;
    let mut agent = gateway.stranger().await;
    let said = text(agent.call_tool("1", "model", "").await).await;
    assert!(said.contains("input_not_allowed") && !said.contains("sampling/createMessage"), "{said}");
    assert!(said.contains(r#""resultType":"complete""#), "every result says its kind: {said}");
    assert_eq!(gateway.outcomes(), ["Pending Some(InputNotAllowed)"]);
    assert_eq!(gateway.session.misbehaviours.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_subscription_brings_what_the_mission_shows_until_its_client_leaves() {
    let (gateway, _go_on) = modern_gateway().await;
    let mut agent = gateway.stranger().await;
    let filter = r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///hidden"]},"#;
    let mut events = Events::of(agent.ask("\"s\"", "subscriptions/listen", filter, None).await);
    assert!(events.text().await.contains("subscriptions/acknowledged"));
    assert!(events.text().await.contains("tools/list_changed"), "a hidden resource is not told of");
    assert!(gateway.upstream.seen()[0].body.contains(r#""resourceSubscriptions":[]"#));
    drop(events);
    drop(agent);
    // The gateway would wait for what is open.
    gateway.endpoint.close().await;
    assert_eq!(gateway.outcomes(), ["Cancelled Some(SubscriptionEnded)"]);
    let asked = gateway.session.facets.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["resourceSubscriptions an empty list", "toolsListChanged true"],
        "what is hidden was not subscribed"
    );
}
