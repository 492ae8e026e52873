use super::stateless::{META, alone};
use super::*;

/// A request whose client declares the extension.
fn declared(id: u32, method: &str, params: &str) -> String {
    let capabilities = r#"clientCapabilities":{"#;
    assert!(META.contains(capabilities));
    let declaring = format!(r#"{capabilities}"extensions":{{"io.modelcontextprotocol/tasks":{{}}}},"#);
    alone(&id.to_string(), method, params).replace(capabilities, &declaring)
}

fn task(id: &str, status: &str, more: &str) -> String {
    format!(r#""taskId":"{id}","status":"{status}","createdAt":"2026-01-01T00:00:00Z","ttlMs":60000,"x":1.0{more}"#)
}

/// A server whose calls become tasks where their client declares the extension: `work` works for ever, `done` is done, `wrong` is done with an error of its tool, `broken`
/// has failed, `gone` is cancelled, `asks` asks its user and `model` a model; `fickle` gives another result each time, `foreign` speaks of another task.
async fn server(go_on: Arc<Notify>) -> Gateway {
    let count = std::sync::atomic::AtomicU32::new(0);
    Gateway::start(LIMITS, move |seen| {
        let raw = Raw::parse(seen.body.as_bytes(), &ReadLimits::REQUEST).unwrap();
        let text = |path: &[&str]| raw.at(path).and_then(Raw::text).unwrap_or_default().into_owned();
        let (name, id) = (text(&["params", "name"]), text(&["params", "taskId"]));
        let may = seen.body.contains("io.modelcontextprotocol/tasks");
        let state = |id: &str| match id.split_once('-').map_or("", |(kind, _)| kind) {
            "done" => task(id, "completed", r#","result":{"content":[],"y":1.0}"#),
            "wrong" => task(id, "completed", r#","result":{"content":[],"isError":true}"#),
            "broken" => task(id, "failed", r#","error":{"code":-32000,"message":"it broke"}"#),
            "gone" => task(id, "cancelled", ""),
            "asks" => {
                task(id, "input_required", r#","inputRequests":{"q":{"method":"elicitation/create","params":{}}}"#)
            }
            "model" => {
                task(id, "input_required", r#","inputRequests":{"q":{"method":"sampling/createMessage","params":{}}}"#)
            }
            "fickle" => {
                let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                task(id, "completed", &format!(r#","result":{{"n":{n}}}"#))
            }
            "foreign" => task("other-1", "working", ""),
            _ => task(id, "working", ""),
        };
        let answer = match text(&["method"]).as_str() {
            "tools/call" if may => {
                format!(r#"{{"resultType":"task",{}}}"#, task(&format!("{name}-{}", seen.id()), "working", ""))
            }
            "tools/call" if name == "rash" => format!(r#"{{"resultType":"task",{}}}"#, task("rash-1", "working", "")),
            "tasks/get" => format!(r#"{{"resultType":"complete",{}}}"#, state(&id)),
            "tasks/update" | "tasks/cancel" => r#"{"resultType":"complete"}"#.to_owned(),
            "subscriptions/listen" => {
                let told = |id: &str| {
                    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}"#, seen.id());
                    event(&format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/tasks","params":{{{},{meta}}}}}"#,
                        state(id)
                    ))
                };
                return vec![stream(), told("other-1"), told("work-1"), told("done-2"), Act::Await(go_on.clone())];
            }
            _ => return usual(seen, &go_on),
        };
        vec![fixture::json(&result(seen, &answer))]
    })
    .await
}

impl Agent {
    async fn of_task(&mut self, id: u32, method: &str, task: &str, more: &str) -> String {
        self.repeat(method, Some(task));
        text(self.post(declared(id, method, &format!(r#""taskId":"{task}",{more}"#))).await).await
    }

    async fn begin(&mut self, id: u32, tool: &str) -> String {
        self.repeat("tools/call", Some(tool));
        text(self.post(declared(id, "tools/call", &format!(r#""name":"{tool}","arguments":{{"a":1}},"#))).await).await
    }
}

#[tokio::test]
async fn a_call_stays_open_until_its_task_is_over() {
    // The tool, what the client asks then and what it hears, and what is recorded: before and after the end.
    type Step<'a> = (&'a str, &'a str);
    type Check<'a> = (&'a str, &'a [Step<'a>], &'a [&'a str], &'a [&'a str]);
    let get = "tasks/get";
    let checks: &[Check<'_>] = &[
        ("work", &[(get, r#""working""#)], &[], &["Unknown Some(ConnectionLost) work-1"]),
        ("work", &[("tasks/cancel", "complete")], &[], &["Cancelled Some(CancelledByClient) work-1"]),
        ("done", &[(get, r#""y":1.0"#), (get, r#""y":1.0"#)], &["Done None done-1"], &["Done None done-1"]),
        ("wrong", &[(get, "isError")], &["ToolError None wrong-1"], &["ToolError None wrong-1"]),
        (
            "broken",
            &[(get, "it broke"), (get, "it broke")],
            &["ToolError Some(UpstreamError) broken-1"],
            &["ToolError Some(UpstreamError) broken-1"],
        ),
        (
            "gone",
            &[("tasks/cancel", "complete"), (get, r#""cancelled""#)],
            &["Cancelled Some(TaskCancelled) gone-1"],
            &["Cancelled Some(TaskCancelled) gone-1"],
        ),
        (
            "fickle",
            &[(get, r#""n":0"#), (get, "gave another result")],
            &["Done None fickle-1"],
            &["Done None fickle-1"],
        ),
        ("foreign", &[(get, "another task")], &[], &["Unknown Some(ConnectionLost) foreign-1"]),
        ("model", &[(get, "input_not_allowed")], &[], &["Unknown Some(ConnectionLost) model-1"]),
    ];
    for (tool, steps, before, after) in checks {
        let gateway = server(Arc::default()).await;
        let mut agent = gateway.stranger().await;
        let id = format!("{tool}-1");
        let created = agent.begin(1, tool).await;
        assert!(created.contains(r#""resultType":"task""#) && created.contains(&task(&id, "working", "")), "{created}");
        for (step, (method, said)) in (2..).zip(*steps) {
            let answer = agent.of_task(step, method, &id, "").await;
            assert!(answer.contains(said) && !answer.contains("createMessage"), "{tool} {method}: {answer}");
        }
        assert_eq!(gateway.outcomes(), *before, "{tool} {steps:?}");
        gateway.endpoint.close().await;
        assert_eq!(gateway.outcomes(), *after, "{tool} {steps:?}");
        let noted = gateway.session.misbehaviours.lock().unwrap().len();
        assert_eq!(noted, usize::from(matches!(*tool, "fickle" | "foreign" | "model")), "{tool}");
    }
}

#[tokio::test]
async fn a_task_is_its_own_runs_business() {
    let gateway = server(Arc::default()).await;
    let mut agent = gateway.stranger().await;
    agent.begin(1, "done").await;
    let mut other = gateway.stranger().await;
    other.set(AUTHORIZATION, "Bearer token-b");
    let before = gateway.upstream.seen().len();
    for (id, method) in (2..).zip(["tasks/get", "tasks/update", "tasks/cancel"]) {
        let refused = other.of_task(id, method, "done-1", "").await;
        assert!(refused.contains("-32602") && refused.contains("task_not_allowed"), "{method}: {refused}");
        other.repeat(method, Some("done-1"));
        let response = other.post(alone("9", method, r#""taskId":"done-1","#)).await;
        assert_eq!(response.status(), 400);
        let undeclared = text(response).await;
        assert!(undeclared.contains("-32021") && undeclared.contains("requiredCapabilities"), "{undeclared}");
    }
    for method in ["tasks/list", "tasks/result"] {
        other.repeat(method, None);
        assert_eq!(other.post(declared(5, method, r#""taskId":"done-1","#)).await.status(), 404, "{method}");
    }
    assert_eq!(gateway.upstream.seen().len(), before, "nothing of that was sent");
    // The same run on another connection.
    let mut beside = gateway.stranger().await;
    assert!(beside.of_task(6, "tasks/get", "done-1", "").await.contains("completed"));
}

#[tokio::test]
async fn a_call_that_declared_nothing_becomes_no_task() {
    let gateway = server(Arc::default()).await;
    let mut agent = gateway.stranger().await;
    let said = text(agent.call_tool("1", "rash", "").await).await;
    assert!(said.contains("malformed") && !said.contains("rash-1"), "{said}");
    assert_eq!(gateway.outcomes(), ["Unknown Some(Malformed)"]);
    // The parameter of the revision before means nothing here.
    let said = text(agent.call_tool("2", "echo", r#""task":{"ttl":1},"#).await).await;
    assert!(said.contains(r#""content":[]"#), "{said}");
}

#[tokio::test]
async fn input_for_a_task_is_a_further_attempt_at_its_call() {
    let gateway = server(Arc::default()).await;
    let mut agent = gateway.stranger().await;
    agent.begin(1, "asks").await;
    assert!(agent.of_task(2, "tasks/get", "asks-1", "").await.contains("elicitation/create"));
    let input = r#""inputResponses":{"q":{"action":"accept","content":{ }}},"#;
    for id in [3, 4] {
        let taken = agent.of_task(id, "tasks/update", "asks-1", input).await;
        assert!(taken.ends_with(r#""result":{"resultType":"complete"}}"#), "{taken}");
    }
    assert_eq!(gateway.outcomes(), ["Pending Some(InputGiven) asks-1", "Pending Some(InputGiven) asks-1"]);
    let inputs = gateway.session.inputs.lock().unwrap().clone();
    let digest = governance::evidence::leaf::sha256_hex(br#"{"q":{"action":"accept","content":{ }}}"#);
    assert_eq!(inputs, [format!("2 {digest}"), format!("3 {digest}")]);
    gateway.endpoint.close().await;
    assert_eq!(gateway.outcomes().len(), 3);
}

#[tokio::test]
async fn a_subscription_tells_of_the_tasks_of_its_run() {
    let go_on = Arc::new(Notify::new());
    let gateway = server(go_on).await;
    let mut agent = gateway.stranger().await;
    agent.begin(1, "work").await;
    agent.begin(2, "done").await;
    agent.repeat("subscriptions/listen", None);
    let filter = r#""notifications":{"taskIds":["other-1","work-1","done-2"]},"#;
    let mut events = Events::of(agent.post(declared(3, "subscriptions/listen", filter)).await);
    assert!(events.text().await.contains("work-1"), "a task of another run is not told of");
    assert!(events.text().await.contains(r#""y":1.0"#));
    assert_eq!(gateway.outcomes(), ["Done None done-2"], "it was recorded before it was told");
    assert!(gateway.upstream.seen()[2].body.contains(r#""taskIds":["work-1","done-2"]"#));
    drop(events);
    drop(agent);
    gateway.endpoint.close().await;
}
