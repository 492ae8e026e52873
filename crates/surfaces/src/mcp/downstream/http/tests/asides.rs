use super::*;

fn about(id: u32, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// A server that says `secret` wherever it can, and `hush` in its second report of progress.
async fn server() -> Gateway {
    let usually = Arc::new(Notify::new());
    let progress = |n: u32, message: &str| {
        let params = format!(r#"{{"progressToken":"secret","progress":{n},"message":"{message}"}}"#);
        event(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#))
    };
    let working = r#"{"taskId":"secret-1","status":"working","statusMessage":"secret","createdAt":"2026-01-01T00:00:00Z","ttl":60000}"#;
    Gateway::start(LIMITS, move |seen| {
        let done = r#"{"content":[{"type":"text","text":"secret"}]}"#;
        let answer = match Raw::parse(seen.body.as_bytes(), &ReadLimits::REQUEST)
            .ok()
            .and_then(|raw| raw.at(&["method"])?.text())
        {
            Some(method) => match &*method {
                "tools/call" if seen.body.contains("\"task\"") => format!(r#"{{"task":{working}}}"#),
                "tools/call" => {
                    let steps = [progress(1, "secret"), progress(2, "hush"), progress(3, "open")];
                    return [vec![stream()], steps.to_vec(), vec![event(&result(seen, done)), end()]].concat();
                }
                "tasks/get" => working.to_owned(),
                "tasks/result" => done.to_owned(),
                "prompts/list" => r#"{"prompts":[],"note":"secret","nextCursor":"secret"}"#.to_owned(),
                "tools/list" => r#"{"tools":[{"name":"a","description":"secret","inputSchema":{}}]}"#.to_owned(),
                "logging/setLevel" => r#"{"hush":1}"#.to_owned(),
                _ => return usual(seen, &usually),
            },
            None => return usual(seen, &usually),
        };
        vec![fixture::json(&result(seen, &answer))]
    })
    .await
}

#[tokio::test]
async fn what_is_told_beside_answers_is_looked_into() {
    let gateway = server().await;
    let mut agent = gateway.agent().await;
    let call = call(1, "a").replace(r#""progressToken":1"#, r#""progressToken":"secret""#);
    let mut events = Events::of(agent.post(call).await);
    let mut told = String::new();
    while let Some(event) = events.next().await {
        told.push_str(std::str::from_utf8(event.data()).unwrap());
    }
    assert!(told.contains(r#""progressToken":"secret","progress":1,"message":"[secret]""#), "{told}");
    assert!(told.contains(r#""message":"open""#) && !told.contains("hush"), "{told}");
    assert!(told.contains(r#""text":"secret""#), "results are the release's: {told}");
    let prompts = text(agent.post(about(2, "prompts/list", "{}")).await).await;
    assert!(prompts.contains(r#""note":"[secret]","nextCursor":"secret""#), "{prompts}");
    let tools = text(agent.post(about(3, "tools/list", "{}")).await).await;
    assert!(tools.contains(r#""description":"secret""#), "a definition is as it was accepted: {tools}");
    let refused = text(agent.post(about(4, "logging/setLevel", r#"{"level":"info"}"#)).await).await;
    assert!(refused.contains("denied (data_withheld)"), "{refused}");
}

#[tokio::test]
async fn a_result_that_is_told_again_is_looked_into_again() {
    let gateway = server().await;
    let mut agent = gateway.agent().await;
    let created = text(agent.post(about(1, "tools/call", r#"{"name":"work","task":{"ttl":60000}}"#)).await).await;
    assert!(
        created.contains(r#""taskId":"secret-1""#) && created.contains(r#""statusMessage":"[secret]""#),
        "{created}"
    );
    let state = text(agent.post(about(2, "tasks/get", r#"{"taskId":"secret-1"}"#)).await).await;
    assert!(state.contains(r#""taskId":"secret-1""#) && state.contains(r#""statusMessage":"[secret]""#), "{state}");
    let released = text(agent.post(about(3, "tasks/result", r#"{"taskId":"secret-1"}"#)).await).await;
    assert!(released.contains(r#""text":"secret""#), "{released}");
    let again = text(agent.post(about(4, "tasks/result", r#"{"taskId":"secret-1"}"#)).await).await;
    assert!(again.contains(r#""text":"[secret]""#), "{again}");
}
