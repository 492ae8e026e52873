use super::*;
use crate::limits::TASKS_OPEN_MAX;

fn task_call(id: u32, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","task":{{"ttl":60000}},"_meta":{{"progressToken":"p-{id}"}}}}}}"#
    )
}

fn about(id: u32, method: &str, task: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"taskId":"{task}"}}}}"#)
}

fn task(id: &str, status: &str) -> String {
    format!(r#"{{"taskId":"{id}","status":"{status}","createdAt":"2026-01-01T00:00:00Z","ttl":60000,"x":1.0}}"#)
}

/// A server whose calls become tasks: `work` works for ever, `done` is done at once, `broken` has failed; `odd NAME` gives the task the id NAME; `direct` is answered
/// without a task; `fickle` gives another result each time.
async fn server() -> Gateway {
    let usually = Arc::new(Notify::new());
    let count = std::sync::atomic::AtomicU32::new(0);
    Gateway::start(LIMITS, move |seen| {
        let raw = Raw::parse(seen.body.as_bytes(), &ReadLimits::REQUEST).ok();
        let text = |path: &[&str]| raw.and_then(|raw| raw.at(path)?.text()).unwrap_or_default().into_owned();
        let (method, id) = (text(&["method"]), text(&["params", "taskId"]));
        let status = match id.split_once('-').map_or("", |(kind, _)| kind) {
            "done" | "fickle" => "completed",
            "broken" => "failed",
            _ => "working",
        };
        let answer = match (&*method, text(&["params", "name"]).split_once(' ')) {
            ("tools/call", None) if seen.body.contains(r#""name":"direct""#) => r#"{"content":[]}"#.to_owned(),
            ("tools/call", None) => {
                format!(r#"{{"task":{}}}"#, task(&format!("{}-{}", text(&["params", "name"]), seen.id()), "working"))
            }
            ("tools/call", Some((_, odd))) => format!(r#"{{"task":{}}}"#, task(odd, "working")),
            ("tasks/get", _) => task(&id, status),
            ("tasks/cancel", _) => task(&id, "cancelled"),
            ("tasks/list", _) => {
                format!(r#"{{"tasks":[{},{}]}}"#, task("done-1", "completed"), task("of-another", "working"))
            }
            ("tasks/result", _) if status == "failed" => {
                let error = r#"{"code":-32000,"message":"it broke"}"#;
                return vec![fixture::json(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, seen.id()))];
            }
            ("tasks/result", _) if id.starts_with("fickle") => {
                let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                format!(r#"{{"content":[],"n":{n}}}"#)
            }
            ("tasks/result", _) => format!(r#"{{"content":[],"of":"{id}"}}"#),
            _ => return usual(seen, &usually),
        };
        vec![fixture::json(&result(seen, &answer))]
    })
    .await
}

#[tokio::test]
async fn a_call_that_became_a_task_stays_open_until_its_task_ends() {
    // The tool, what the client asks then, what it hears, and what is recorded: before and after the session ends.
    type Step<'a> = (&'a str, &'a str);
    type Check<'a> = (&'a str, &'a [Step<'a>], &'a [&'a str], &'a [&'a str]);
    let checks: &[Check<'_>] = &[
        ("work", &[("tasks/get", "\"working\"")], &[], &["Unknown Some(ConnectionLost) work-1"]),
        ("work", &[("tasks/result", "\"of\":\"work-1\"")], &["Done None work-1"], &["Done None work-1"]),
        ("done", &[("tasks/get", "\"completed\"")], &[], &["Done None done-1"]),
        ("done", &[("tasks/list", "[{\"taskId\":\"done-1\"")], &[], &["Done None done-1"]),
        (
            "done",
            &[("tasks/get", "\"completed\""), ("tasks/result", "\"of\""), ("tasks/result", "\"of\"")],
            &["Done None done-1"],
            &["Done None done-1"],
        ),
        ("broken", &[("tasks/result", "it broke")], &[], &["Unknown Some(ConnectionLost) broken-1"]),
        (
            "broken",
            &[("tasks/get", "\"failed\""), ("tasks/result", "it broke")],
            &["ToolError Some(UpstreamError) broken-1"],
            &["ToolError Some(UpstreamError) broken-1"],
        ),
        (
            "work",
            &[("tasks/cancel", "\"cancelled\""), ("tasks/result", "\"of\"")],
            &["Cancelled Some(TaskCancelled) work-1"],
            &["Cancelled Some(TaskCancelled) work-1"],
        ),
        (
            "fickle",
            &[("tasks/result", "\"n\":0"), ("tasks/result", "gave another result")],
            &["Done None fickle-1"],
            &["Done None fickle-1"],
        ),
    ];
    for (tool, steps, before, after) in checks {
        let gateway = server().await;
        let mut agent = gateway.agent().await;
        let id = format!("{tool}-1");
        let created = text(agent.post(task_call(1, tool)).await).await;
        assert_eq!(created, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"task":{}}}}}"#, task(&id, "working")));
        for (step, (method, said)) in (2..).zip(*steps) {
            let answer = text(agent.post(about(step, method, &id)).await).await;
            assert!(answer.contains(said) && !answer.contains("of-another"), "{tool} {method}: {answer}");
        }
        assert_eq!(gateway.outcomes(), *before, "{tool} {steps:?}");
        assert_eq!(agent.delete().await, 204);
        gateway.endpoint.close().await;
        assert_eq!(gateway.outcomes(), *after, "{tool} {steps:?}");
        let noted = gateway.session.misbehaviours.lock().unwrap().len();
        assert_eq!(noted, usize::from(*tool == "fickle"));
    }
}

#[tokio::test]
async fn a_task_that_no_call_of_the_session_became_is_nobodys_business() {
    let gateway = server().await;
    let mut agent = gateway.agent().await;
    agent.post(task_call(1, "work")).await;
    let mut other = gateway.agent().await;
    let before = gateway.upstream.seen().len();
    for (id, method) in (2..).zip(["tasks/get", "tasks/result", "tasks/cancel"]) {
        let answer = text(other.post(about(id, method, "work-1")).await).await;
        assert!(answer.contains("-32602") && answer.contains("task_not_allowed"), "{answer}");
    }
    let answer = text(agent.post(r#"{"jsonrpc":"2.0","id":9,"method":"tasks/get","params":{}}"#).await).await;
    assert!(answer.contains("`tasks/get` needs `taskId`"), "{answer}");
    assert_eq!(gateway.upstream.seen().len(), before);
}

#[tokio::test]
async fn a_call_that_becomes_no_task_or_an_impossible_one_ends_at_once() {
    let gateway = server().await;
    let mut agent = gateway.agent().await;
    let long = format!("odd {}", "x".repeat(513));
    for (id, tool, said, outcome) in [
        (1, "direct", "\"content\":[]", Some("Done None")),
        (2, "odd ", "answer breaks the protocol", Some("Unknown Some(Malformed)")),
        (3, &long, "answer breaks the protocol", Some("Unknown Some(Malformed)")),
        (4, "odd a", "\"taskId\":\"a\"", None),
        (5, "odd a", "answer breaks the protocol", Some("Unknown Some(Malformed)")),
    ] {
        let answer = text(agent.post(task_call(id, tool)).await).await;
        assert!(answer.contains(said), "{answer}");
        assert_eq!(gateway.session.outcomes.lock().unwrap().pop().as_deref(), outcome);
    }
    let unfit = task_call(6, "work").replace(r#"{"ttl":60000}"#, "7");
    assert!(text(agent.post(unfit).await).await.contains("`task` must be an object"));
    let mut older = gateway.agent_of(Revision::V2025_06_18).await;
    let answer = text(older.post(task_call(1, "work")).await).await;
    assert!(answer.contains("only a session of revision 2025-11-25 has tasks"), "{answer}");
}

#[tokio::test]
async fn only_so_many_tasks_of_a_session_may_be_open() {
    let gateway = server().await;
    let mut agent = gateway.agent().await;
    let last = u32::try_from(TASKS_OPEN_MAX).unwrap();
    for id in 1..=last {
        assert!(text(agent.post(task_call(id, "work")).await).await.contains("\"task\""));
    }
    let before = gateway.upstream.seen().len();
    let refused = text(agent.post(task_call(last + 1, "work")).await).await;
    assert!(refused.contains(&format!("{TASKS_OPEN_MAX} tasks of this session have not ended")), "{refused}");
    assert_eq!(gateway.upstream.seen().len(), before);
    text(agent.post(about(last + 2, "tasks/result", "work-1")).await).await;
    // The call's own task ends a moment after its answer.
    while !text(agent.post(task_call(last + 3, "work")).await).await.contains("\"task\"") {}
}

#[tokio::test]
async fn what_the_server_says_of_a_task_passes_until_the_task_ends() {
    let usually = Arc::new(Notify::new());
    let say = Arc::new(Notify::new());
    let told = say.clone();
    let notice = |params: &str, method: &str| format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
    let own = notice(&task("work-1", "working"), "notifications/tasks/status");
    let cancelled = notice(&task("work-1", "cancelled"), "notifications/tasks/status");
    let foreign = notice(&task("work-9", "working"), "notifications/tasks/status");
    let progress = notice(r#"{"progressToken":"p-1","progress":1}"#, "notifications/progress");
    let events = [&progress, &foreign, &own, &cancelled, &progress].map(|notice| event(notice));
    let gateway = Gateway::start(LIMITS, move |seen| match seen.method() {
        "GET" => [vec![stream(), Act::Await(told.clone())], events.to_vec(), vec![Act::Park]].concat(),
        _ if seen.body.contains("\"task\"") => {
            vec![fixture::json(&result(seen, &format!(r#"{{"task":{}}}"#, task("work-1", "working"))))]
        }
        _ => usual(seen, &usually),
    })
    .await;
    let mut agent = gateway.agent().await;
    let mut standing = Events::of(agent.beside().await.get(None).await);
    assert_eq!(standing.text().await, "0-0 ");
    agent.post(task_call(1, "work")).await;
    say.notify_one();
    for expected in [progress, own, cancelled] {
        assert!(standing.text().await.ends_with(&expected));
    }
    assert_eq!(agent.delete().await, 204);
    gateway.endpoint.close().await;
    assert_eq!(gateway.outcomes(), ["Cancelled Some(TaskCancelled) work-1"]);
    let noted = gateway.session.misbehaviours.lock().unwrap().clone();
    assert_eq!(noted, ["reported progress on a request that is not in flight"], "its token ended with the task");
}
