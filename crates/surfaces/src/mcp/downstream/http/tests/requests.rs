use super::*;

#[tokio::test]
async fn a_request_that_the_mission_names_goes_to_the_server_and_never_to_the_client() {
    let go_on = Arc::new(Notify::new());
    let answered = go_on.clone();
    let gateway = Gateway::start(LIMITS, move |seen| {
        if seen.body.contains(r#""name":"ask""#) {
            let question = r#"{"jsonrpc":"2.0","id":"q","method":"x/known"}"#;
            return vec![stream(), event(question), Act::Await(go_on.clone()), event(&answer(1)), end()];
        }
        usual(seen, &go_on)
    })
    .await;
    let mut agent = gateway.agent().await;
    let mut beside = agent.beside().await;
    for (method, said) in [
        ("x/known", r#""content":[]"#),
        ("x/unknown", "-32601"),
        ("x/unknown", "request_not_allowed"),
        ("elicitation/create", "request_not_allowed"),
    ] {
        let response = beside.post(format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"}}"#)).await;
        assert_eq!(response.status(), 200);
        let response = text(response).await;
        assert!(response.contains(said), "{method}: {response}");
    }
    let refused = |seen: &Seen| seen.body.contains(r#""id":"q""#) && seen.body.contains("request_not_allowed");
    let (response, ()) = tokio::join!(agent.post(call(1, "ask")), async {
        until(|| gateway.upstream.seen().iter().any(refused)).await;
        answered.notify_one();
    });
    let mut events = Events::of(response);
    assert_eq!(events.text().await, "1-0 ");
    assert_eq!(events.text().await, format!("1-1 {}", answer(1)), "the client was not asked");
}

#[tokio::test]
async fn a_question_of_the_server_is_no_task() {
    let asked =
        r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","task":{"ttl":1},"x":1.0}}"#;
    let go_on = Arc::new(Notify::new());
    let answered = go_on.clone();
    let gateway = Gateway::start(LIMITS, move |seen| {
        if seen.body.contains(r#""name":"ask""#) {
            return vec![stream(), event(asked), Act::Await(go_on.clone()), event(&answer(1)), end()];
        }
        usual(seen, &go_on)
    })
    .await;
    let mut agent = gateway.agent().await;
    let mut beside = agent.beside().await;
    let mut events = Events::of(agent.post(call(1, "ask")).await);
    assert_eq!(events.text().await, "1-0 ");
    assert_eq!(events.text().await, format!("1-1 {}", asked.replace(r#""task":{"ttl":1},"#, "")));
    let yes = r#"{"jsonrpc":"2.0","id":"q","result":{"action":"accept"}}"#;
    assert_eq!(beside.post(yes).await.status(), 202);
    until(|| gateway.upstream.seen().iter().any(|seen| seen.body == yes)).await;
    answered.notify_one();
    assert_eq!(events.text().await, format!("1-2 {}", answer(1)));
}
