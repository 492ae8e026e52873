//! Clients without a handshake (MCP revision 2026-07-28) that bring foreign states, or headers that disagree with the body, and several that share one child of the
//! gateway: against the real gateway over HTTP.

use evidence::record::{Body, Effect, Record, Status};
use serde_json::{Value, json};

use super::bridges::binary;
use super::clients::{Http, noted, statuses};
use super::oddities::{STATE, json as in_json, start};

/// A request of its own: status and answer.
struct Told {
    status: String,
    body: Value,
}

/// What the headers of a call repeat of its body.
const HEADERS: [&str; 3] = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"];

/// Calls with `params` beside the name, by a client that is called `client`.
fn call(http: &Http, headers: &[&str], id: u32, client: &str, params: Value) -> Told {
    let mut params = params;
    params["name"] = json!("echo");
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": client, "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
    });
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string();
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("{}{lines}Content-Length: {}\r\n\r\n", http.head(None), body.len());
    let mut raw = http.connect();
    raw.send(&[head.as_bytes(), body.as_bytes()].concat());
    let answer = raw.answer();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    Told { status, body: serde_json::from_str(body).unwrap_or_else(|_| json!(body)) }
}

fn text(told: &Told) -> &str {
    told.body["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{}", told.body))
}

/// Reason codes of all decisions that denied, in order.
fn denied(records: &[Record]) -> Vec<String> {
    let reasons = records.iter().filter_map(|record| match &record.body {
        Body::Decision(decision) if decision.effect == Effect::Deny => Some(decision.reasons.iter()),
        _ => None,
    });
    reasons.flatten().map(ToString::to_string).collect()
}

#[test]
fn a_state_is_good_for_its_call_once_and_no_other_is_taken() {
    let mut http = Http::before("states", &format!("url = {:?}", start(|_, _| Ok(()))), "elicitation = true");
    let ask = || json!({ "arguments": { "text": "ask" } });
    let first = call(&http, &HEADERS, 1, "c", ask());
    let state = first.body["result"]["requestState"].as_str().unwrap().to_owned();
    assert_ne!(state, STATE, "the client is given the server's own state");
    let answered = |state: &str, arguments: Value| json!({ "arguments": arguments, "inputResponses": { "q": { "action": "accept" } }, "requestState": state });
    let good = json!({ "text": "ask" });
    let own = std::mem::replace(&mut http.token, http.home.token().unwrap());
    let mut refused = vec![call(&http, &HEADERS, 2, "c", answered(&state, good.clone()))];
    http.token = own;
    for (state, arguments) in [
        (format!("x{state}"), good.clone()),
        (state.chars().skip(1).collect(), good.clone()),
        (STATE.to_owned(), good.clone()),
        (String::new(), good.clone()),
        ("A".repeat(100_000), good.clone()),
        (state.clone(), json!({ "text": "ask", "more": 1 })),
    ] {
        refused.push(call(&http, &HEADERS, 3, "c", answered(&state, arguments)));
    }
    // The right one, and then once more.
    let done = call(&http, &HEADERS, 4, "c", answered(&state, good.clone()));
    assert_eq!(text(&done), format!("back came {STATE}"));
    refused.push(call(&http, &HEADERS, 5, "c", answered(&state, good)));
    for told in &refused {
        assert_eq!(told.body["error"]["data"]["reason"], "state_refused", "{}", told.body);
    }
    let count = refused.len();
    let records = http.end();
    assert_eq!(denied(&records), vec!["state_refused"; count]);
    assert_eq!(statuses(&records), [Status::Pending, Status::Done], "nothing else was executed");
}

#[test]
fn headers_that_disagree_with_the_body_run_nothing_and_are_recorded() {
    let http = Http::before("headers", &format!("url = {:?}", start(|_, _| Ok(()))), "");
    let [revision, method, name] = HEADERS;
    let cases: [(&[&str], &str); 6] = [
        (&[revision, "Mcp-Method: tools/list", name], "`mcp-method` is not what the body says"),
        (&[revision, method, "Mcp-Name: record_4k"], "`mcp-name` is not what the body says"),
        (&[revision, name], "`mcp-method` is missing"),
        (&[revision, method], "`mcp-name` is missing"),
        (&[revision, method, name, "Mcp-Name: record_4k"], "send one `mcp-name`"),
        (&["MCP-Protocol-Version: 2025-11-25", method, name], "`mcp-protocol-version` is not what the body says"),
    ];
    for (headers, why) in cases {
        let told = call(&http, headers, 1, "c", json!({ "arguments": { "text": "good" } }));
        assert_eq!((told.status.as_str(), told.body["error"]["message"].as_str()), ("400", Some(why)));
    }
    assert_eq!(text(&call(&http, &HEADERS, 2, "c", json!({ "arguments": { "text": "good" } }))), "good");
    let records = http.end();
    assert_eq!(statuses(&records), [Status::Done]);
    let noted = noted(&records);
    assert_eq!(
        noted,
        vec!["a request was refused: `mcp-method` is not what the body says"; 2],
        "the first, and how many"
    );
}

#[test]
fn a_header_that_repeats_an_argument_says_what_the_tool_gets() {
    let data = "[data]\npii = { to = [\"mcp:upstream/echo\"], else = \"deny\", result = \"token\" }\n";
    let url = format!("url = {:?}", start(|stream, right| in_json(stream, "", right)));
    let http = Http::with("param-tokens", &url, "", data);
    let said = |id, argument: &str, header: &str| {
        let header = format!("Mcp-Param-Text: {header}");
        let [revision, method, name] = HEADERS;
        call(&http, &[revision, method, name, &header], id, "c", json!({ "arguments": { "text": argument } }))
    };
    let value = "ann@corp.example";
    let told = said(1, value, value);
    let token = text(&told).to_owned();
    assert!(token.starts_with("tok_pii_email_"), "{}", told.body);
    // The server compares the header with the argument, which is the value by now.
    assert_eq!(text(&said(2, &token, &token)), token);
    // What repeats nothing stays as it is, and is the server's to refuse.
    for (argument, header) in [(token.as_str(), value), ("good", token.as_str())] {
        let told = said(3, argument, header);
        let is_refused = told.body["error"]["code"] == -32020;
        assert_eq!(is_refused, argument == "good", "{argument} {header}: {}", told.body);
    }
    let records = http.end();
    assert_eq!(statuses(&records), [Status::Done, Status::Done, Status::Done, Status::ToolError]);
}

#[test]
fn clients_that_share_a_child_get_their_own_answers_and_survive_its_death() {
    let child = binary("countersign-upstream").display().to_string();
    let command = |more: &[&str]| format!("command = {:?}", [&[child.as_str(), "--stdio"], more].concat());
    let http = Http::before("share", &command(&[]), "");
    std::thread::scope(|scope| {
        let ask = |client: usize| {
            let http = &http;
            scope.spawn(move || {
                for round in 0..16 {
                    let mine = format!("{round} of {client}");
                    let told =
                        call(http, &HEADERS, 7, &format!("client {client}"), json!({ "arguments": { "text": mine } }));
                    assert_eq!((text(&told), &told.body["id"]), (mine.as_str(), &json!(7)));
                }
            })
        };
        let asking: Vec<_> = (0..8).map(ask).collect();
        asking.into_iter().for_each(|client| client.join().unwrap());
    });
    assert_eq!(statuses(&http.end()), vec![Status::Done; 8 * 16]);

    let http = Http::before("share-death", &command(&["--hostile", "dies-mid-call"]), "");
    for id in 0..3 {
        // Each call finds a child, and loses it.
        let told = call(&http, &HEADERS, id, "c", json!({ "arguments": { "text": "hi" } }));
        assert!(text(&told).contains("do not repeat it before a person has looked"), "{}", told.body);
    }
    let records = http.end();
    assert_eq!(statuses(&records), vec![Status::Unknown; 3]);
    assert_eq!(noted(&records).len(), 3);
}
