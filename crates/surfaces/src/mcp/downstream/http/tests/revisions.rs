use super::*;
use crate::limits::RETRY_MS;

#[tokio::test]
async fn a_session_speaks_what_the_upstream_answers_and_holds_its_requests_to_it() {
    // What the client asks for, what is offered to the upstream, what that answers, and what the client hears.
    let checks = [
        ("2025-11-25", "2025-11-25", "2025-11-25", None),
        ("2025-11-25", "2025-11-25", "2024-11-05", None),
        ("2025-06-18", "2025-06-18", "2025-06-18", None),
        ("2025-06-18", "2025-06-18", "2025-03-26", None),
        ("2025-03-26", "2025-03-26", "2025-03-26", None),
        ("2024-11-05", "2024-11-05", "2024-11-05", None),
        ("2024-11-05", "2024-11-05", "2025-11-25", None),
        ("1999-01-01", "2025-11-25", "2025-11-25", None),
        ("2025-06-18", "2025-06-18", "2024-10-07", Some("revision `2024-10-07`, which this gateway does not")),
        ("2025-06-18", "2025-06-18", "", Some("revision ``, which this gateway does not")),
    ];
    for (asked, offered, answered, refusal) in checks {
        let go_on = Arc::new(Notify::new());
        let gateway = Gateway::start(LIMITS, move |seen| {
            let acts = usual(seen, &go_on);
            match seen.body.contains(r#""initialize""#) {
                true => acts.into_iter().map(|act| answering(act, offered, answered)).collect(),
                false => acts,
            }
        })
        .await;
        let mut agent = gateway.stranger().await;
        let response = agent.post(initialize(asked)).await;
        let session = response.headers().get(SESSION_ID).map(|id| id.to_str().unwrap().to_owned());
        let said = text(response).await;
        assert_eq!(asked_revision(&gateway.upstream.seen()[0]), offered);
        let Some(session) = session else {
            assert!(said.contains(refusal.unwrap()), "{said}");
            continue;
        };
        assert_eq!((refusal, said.contains(answered)), (None, true), "{said}");
        agent.set(SESSION_ID, &session);
        let settled = Revision::parse(answered).unwrap();
        for said in Revision::ALL.map(Some).into_iter().chain([None]) {
            match said {
                Some(said) => agent.set(REVISION, said.name()),
                None => drop(agent.headers.remove(REVISION)),
            }
            let may = said.map_or(!settled.needs_header(), |said| said == settled);
            let status = agent.post(call(1, "echo")).await.status();
            assert_eq!(status, if may { 200 } else { 400 }, "{settled} {said:?}");
        }
    }
}

/// The same act, with another revision.
fn answering(act: Act, offered: &str, answered: &str) -> Act {
    match act {
        Act::Send(text) => {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let body = body.replace(offered, answered);
            let head = head.rsplit_once(": ").unwrap().0;
            Act::Send(format!("{head}: {}\r\n\r\n{body}", body.len()))
        }
        act => act,
    }
}

fn array(elements: &[&str]) -> String {
    format!("[{}]", elements.join(","))
}

/// What each message of an array says, in order of their ids.
fn said(answer: &str) -> Vec<String> {
    let raw = Raw::parse(answer.as_bytes(), &ReadLimits::RESPONSE).unwrap();
    let mut said: Vec<String> = raw
        .array()
        .unwrap_or_else(|| panic!("{answer}"))
        .elements()
        .map(|message| {
            let id = String::from_utf8(message.at(&["id"]).unwrap().bytes().to_vec()).unwrap();
            match message.at(&["error", "message"]).and_then(Raw::text) {
                Some(error) => format!("{id} {error}"),
                None => format!("{id} answered"),
            }
        })
        .collect();
    said.sort();
    said
}

#[tokio::test]
async fn each_message_of_a_batch_is_its_own_call_and_the_answers_come_as_one_array() {
    let (gateway, _) = gateway(LIMITS).await;
    let mut agent = gateway.agent_of(Revision::V2025_03_26).await;
    let (one, two, three) = (call(1, "echo"), call(2, "echo"), call(3, "echo"));
    let set = r#"{"jsonrpc":"2.0","id":"s","method":"logging/setLevel","params":{"level":"debug"}}"#;
    let begin = initialize("2025-03-26").replace(r#""id":0"#, r#""id":9"#);
    let twice = "9 `initialize` is never part of a batch";
    // The batch, the status, what each answer begins with, and how many messages reach the upstream.
    type Check<'a> = (Vec<&'a str>, u16, Vec<&'a str>, usize);
    let checks: Vec<Check<'_>> = vec![
        (vec![&one, &two, set], 200, vec!["\"s\" answered", "1 answered", "2 answered"], 3),
        (vec![&one], 200, vec!["1 answered"], 1),
        (vec![INITIALIZED, INITIALIZED], 202, vec![], 2),
        (vec![&one, INITIALIZED, &two], 200, vec!["1 answered", "2 answered"], 3),
        (vec![&one, &begin], 200, vec!["1 answered", twice], 1),
        (vec![&begin], 200, vec![twice], 0),
        (vec![&one, &two, &one], 200, vec!["1 id 1 is used twice", "1 id 1 is used twice", "2 answered"], 1),
        (vec![&one, "7", &three], 200, vec!["1 answered", "3 answered", "null the message is not an object"], 2),
        (vec!["{}"], 400, vec!["null `jsonrpc` is missing"], 0),
        (vec![INITIALIZED, "[]"], 400, vec!["null an array of messages"], 1),
        (vec![&one, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#], 200, vec!["1 answered"], 1),
        (
            vec![&one, r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","name":"rm"}}"#],
            200,
            vec!["1 answered", "5 duplicate object key"],
            1,
        ),
    ];
    for (batch, status, expected, reached) in checks {
        let before = gateway.upstream.seen().len();
        let response = agent.post(array(&batch)).await;
        assert_eq!(response.status(), status, "{batch:?}");
        let answer = text(response).await;
        let said = if answer.is_empty() { Vec::new() } else { said(&answer) };
        let as_expected = said.len() == expected.len() && said.iter().zip(&expected).all(|(a, b)| a.starts_with(b));
        assert!(as_expected, "{batch:?}: {said:?}");
        let seen = gateway.upstream.seen();
        assert_eq!(seen.len() - before, reached, "{batch:?}");
        assert!(seen.iter().all(|seen| !seen.body.starts_with('[')), "an array never goes on as one");
    }
    let outcomes = gateway.outcomes();
    assert_eq!((outcomes.len(), outcomes.iter().all(|outcome| outcome == "Done None")), (11, true), "{outcomes:?}");
    let noted = gateway.session.misbehaviours.lock().unwrap().clone();
    assert_eq!(noted.len(), 5, "what cannot be read and what nobody asked is noted: {noted:?}");
}

#[tokio::test]
async fn a_batch_is_refused_as_a_whole_where_it_is_none_or_may_not_be() {
    let (gateway, _) = gateway(LIMITS).await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let long = array(&vec![r#"{"id":1}"#; crate::limits::BATCH_ELEMENTS_MAX + 1]);
    let checks = [
        (Revision::V2025_03_26, "[]".to_owned(), "the array is empty"),
        (Revision::V2025_03_26, long, "an array of more than 64 messages"),
        (Revision::V2025_03_26, format!("[{ping},]"), "expected"),
        (Revision::V2025_03_26, format!("[{ping}"), "ends early"),
        (Revision::V2024_11_05, array(&[ping]), "only a session of revision 2025-03-26 has batches"),
        (Revision::V2025_06_18, array(&[ping]), "only a session of revision 2025-03-26 has batches"),
        (Revision::V2025_11_25, array(&[ping]), "only a session of revision 2025-03-26 has batches"),
    ];
    for (revision, batch, expected) in checks {
        let mut agent = gateway.agent_of(revision).await;
        let before = gateway.upstream.seen().len();
        let response = agent.post(batch).await;
        assert_eq!(response.status(), 400);
        let answer = text(response).await;
        assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":null,"error""#) && answer.contains(expected), "{answer}");
        assert_eq!(gateway.upstream.seen().len(), before);
    }
    assert_eq!(gateway.session.misbehaviours.lock().unwrap().len(), 7);
    let response = gateway.stranger().await.post(array(&[&initialize("2025-03-26")])).await;
    assert_eq!(response.status(), 400, "a session does not begin with a batch");
}

#[tokio::test]
async fn progress_within_a_batch_comes_on_the_stream_that_ends_with_its_answers() {
    let (gateway, go_on) = gateway(LIMITS).await;
    let mut agent = gateway.agent_of(Revision::V2025_03_26).await;
    let mut events = Events::of(agent.post(array(&[&call(1, "echo"), &call(2, "talk")])).await);
    assert!(events.text().await.ends_with(&progress("2")));
    go_on.notify_one();
    assert!(events.text().await.ends_with(&progress("2")));
    let answers = events.next().await.unwrap();
    assert_eq!(said(std::str::from_utf8(answers.data()).unwrap()), ["1 answered", "2 answered"]);
    assert_eq!(events.text().await, "end");
    assert_eq!(agent.post(call(1, "echo")).await.status(), 200, "its ids are free again");
    let mut events = Events::of(agent.post(array(&[&call(1, "stream"), &call(2, "echo")])).await);
    let answers = events.next().await.unwrap();
    assert_eq!(said(std::str::from_utf8(answers.data()).unwrap()), ["1 answered", "2 answered"]);
}

#[tokio::test]
async fn a_request_is_taken_back_within_its_batch() {
    let (gateway, _) = gateway(LIMITS).await;
    let mut agent = gateway.agent_of(Revision::V2025_03_26).await;
    let back = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let response = agent.post(array(&[&call(1, "hold"), back, &call(2, "echo")])).await;
    assert_eq!(said(&text(response).await), ["2 answered"]);
    let response = agent.post(array(&[&call(1, "hold"), back])).await;
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (202, ""));
    assert_eq!(gateway.outcomes().len(), 1, "what was taken back has no answer");
}

#[tokio::test]
async fn a_slow_answer_becomes_a_stream_that_is_kept_alive() {
    let limits =
        HttpDownstreamLimits { stream_after: Duration::from_millis(5), keep_alive: Duration::from_millis(5), ..LIMITS };
    let (gateway, go_on) = gateway(limits).await;
    for (id, revision, first) in [
        (1, Revision::V2025_11_25, "id: 1-0\nretry: 1000\ndata: \n\n"),
        (2, Revision::V2025_03_26, ":\n\n"),
        (3, Revision::V2025_06_18, ":\n\n"),
    ] {
        let mut agent = gateway.agent_of(revision).await;
        let response = agent.post(call(id, "hold")).await;
        assert!(is_media_type(response.headers().get(CONTENT_TYPE), &EVENT_STREAM));
        let mut body = response.into_body();
        let mut frame =
            async || String::from_utf8(body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap();
        assert_eq!(frame().await, first, "a client is told where to resume only if it understands");
        assert_eq!(frame().await, ":\n\n");
        go_on.notify_one();
        let last = loop {
            let frame = frame().await;
            if frame != ":\n\n" {
                break frame;
            }
        };
        assert!(last.ends_with(&format!("data: {}\n\n", answer(id))), "{last}");
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn an_answer_that_came_as_a_stream_goes_on_as_one() {
    let (gateway, _) = gateway(LIMITS).await;
    let ping = |id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    for (revision, request, primed) in [
        (Revision::V2025_11_25, call(1, "stream"), true),
        (Revision::V2025_11_25, ping(1), true),
        (Revision::V2025_06_18, call(1, "stream"), false),
    ] {
        let mut agent = gateway.agent_of(revision).await;
        let response = agent.post(request).await;
        assert!(is_media_type(response.headers().get(CONTENT_TYPE), &EVENT_STREAM));
        let mut events = Events::of(response);
        if primed {
            let first = events.next().await.unwrap();
            assert_eq!((first.id(), first.retry_ms()), (Some("1-0"), Some(RETRY_MS)));
            assert!(first.data().is_empty());
        }
        assert_eq!(events.text().await, format!("1-1 {}", answer(1)));
        assert_eq!(events.text().await, "end");
        assert_eq!(
            text(agent.post(call(4, "echo")).await).await,
            answer(4),
            "each answer has the form in which it came"
        );
    }
}
