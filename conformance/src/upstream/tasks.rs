//! The tools that become tasks where the client declares the extension, and run at once, or not at all, where it does not.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult, InputRequest, JsonObject};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use serde_json::Value;

use crate::tools::{asks_user, said, text};

/// Long enough that a client sees the task at work.
const JOB: Duration = Duration::from_millis(300);
const POLL_INTERVAL_MS: u64 = 100;

/// Whether a task may be made of the call.
pub(crate) fn declared(client: Option<&ClientCapabilities>) -> bool {
    client.is_some_and(ClientCapabilities::supports_tasks)
}

pub(crate) async fn slow_compute(
    tasks: &TaskManager,
    client: Option<&ClientCapabilities>,
    args: &JsonObject,
) -> CallToolResponse {
    let seconds = args.get("seconds").and_then(Value::as_u64).unwrap_or_default();
    let duration = Duration::from_secs(seconds);
    if seconds == 0 || !declared(client) {
        tokio::time::sleep(duration).await;
        return said("computed").into();
    }
    spawn(tasks, move |context| {
        Box::pin(async move {
            tokio::select! {
                () = tokio::time::sleep(duration) => Ok(said("computed")),
                () = context.cancelled() => Err(TaskExit::Cancelled),
            }
        })
    })
}

/// The tools that cannot do without a task.
pub(crate) fn job(
    tasks: &TaskManager,
    client: Option<&ClientCapabilities>,
    tool: &str,
) -> Result<CallToolResponse, ErrorData> {
    if !declared(client) {
        let needed = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(needed));
    }
    match tool {
        "failing_job" => Ok(spawn(tasks, |_| {
            Box::pin(async {
                tokio::time::sleep(JOB).await;
                Ok(CallToolResult::error(vec![text("the job failed")]))
            })
        })),
        "protocol_error_job" => Ok(spawn(tasks, |_| {
            Box::pin(async {
                tokio::time::sleep(JOB).await;
                Err(TaskExit::Error(ErrorData::internal_error("the server failed", None)))
            })
        })),
        "confirm_delete" => asking(tasks, &["confirm"]),
        "multi_input" => asking(tasks, &["first", "second"]),
        _ => Err(ErrorData::invalid_params(format!("`{tool}` is no job"), None)),
    }
}

/// A task whose result is known.
pub(crate) fn done_later(tasks: &TaskManager, result: CallToolResult) -> CallToolResponse {
    spawn(tasks, move |_| {
        Box::pin(async move {
            tokio::time::sleep(JOB).await;
            Ok(result)
        })
    })
}

/// A task that needs all of these answers, in any order.
fn asking(tasks: &TaskManager, keys: &'static [&'static str]) -> Result<CallToolResponse, ErrorData> {
    let question = asks_user("Go on?", "confirm", "boolean")?;
    Ok(spawn(tasks, move |context| {
        Box::pin(async move {
            let asked: Vec<_> =
                keys.iter().map(|key| tokio::spawn(ask(context.clone(), key, question.clone()))).collect();
            for answer in asked {
                answer.await.map_err(|error| ErrorData::internal_error(error.to_string(), None))??;
            }
            Ok(said("every answer is in"))
        })
    }))
}

async fn ask(context: TaskContext, key: &'static str, question: InputRequest) -> Result<Value, TaskExit> {
    context.request_input(key, question).await
}

fn spawn(tasks: &TaskManager, work: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
    let options = TaskOptions::new().with_poll_interval_ms(POLL_INTERVAL_MS);
    CreateTaskResult::new(tasks.spawn(options, work)).into()
}
