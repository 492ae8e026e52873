use super::*;

#[tokio::test]
async fn what_an_upstream_sends_that_is_no_message_is_noted_and_changes_nothing() {
    let go_on = Arc::new(Notify::new());
    let noise =
        ["{]", "7", "[]", r#"{"jsonrpc":"2.0","method":"m","method":"n"}"#, "\u{feff}{}", "Listening on port 3000"];
    let gateway = Gateway::start(LIMITS, move |seen| match seen.body.contains(r#""name":"noise""#) {
        true => {
            let events = noise.iter().map(|text| event(text));
            let answer = event(&result(seen, r#"{"content":[]}"#));
            [stream()].into_iter().chain(events).chain([answer, end()]).collect()
        }
        false => usual(seen, &go_on),
    })
    .await;
    let mut agent = gateway.agent().await;
    let mut events = Events::of(agent.post(call(1, "noise")).await);
    assert_eq!(events.text().await, "1-0 ");
    assert_eq!(events.text().await, format!("1-1 {}", answer(1)));
    let noted = gateway.session.misbehaviours.lock().unwrap().clone();
    assert!(
        noted.len() == noise.len() && noted.iter().all(|noted| noted.starts_with("sent what is no message: ")),
        "{noted:?}"
    );
    assert_eq!(gateway.outcomes(), ["Done None"]);
    assert_eq!(text(agent.post(call(2, "echo")).await).await, answer(2));
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_not_waited_for_without_end() {
    let go_on = Arc::new(Notify::new());
    let patience = Patience { handshake: Duration::from_millis(50), housekeeping: Duration::from_millis(50) };
    let is_mute = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mute = is_mute.clone();
    let gateway = Gateway::start(HttpDownstreamLimits { patience, ..LIMITS }, move |seen| {
        let is_request = seen.body.contains(r#""id""#);
        match is_request && mute.load(std::sync::atomic::Ordering::Relaxed) {
            true => vec![Act::Park],
            false => usual(seen, &go_on),
        }
    })
    .await;
    let mut agent = gateway.agent().await;
    is_mute.store(true, std::sync::atomic::Ordering::Relaxed);
    for (id, method) in (1..).zip(["ping", "tools/list", "resources/list", "prompts/list", "tasks/list"]) {
        let asked = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
        let answer = text(agent.post(asked).await).await;
        assert!(answer.contains("-32011") && answer.contains("did not answer in time"), "{answer}");
    }
    let taken_back = |seen: &Seen| seen.body.contains("notifications/cancelled");
    assert_eq!(gateway.upstream.seen().iter().filter(|seen| taken_back(seen)).count(), 5, "the upstream hears of it");
    let answer = text(gateway.stranger().await.post(INITIALIZE).await).await;
    assert!(answer.contains("did not answer in time"), "{answer}");
    is_mute.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(text(agent.post(call(9, "echo")).await).await, super::answer(9));
    assert_eq!(gateway.session.misbehaviours.lock().unwrap().len(), 5);
}
