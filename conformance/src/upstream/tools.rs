//! What each tool does. Answers are data; what the protocol wants of a call is here in one place, [`call`].

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateMessageRequestParams, ElicitRequestParams, InputRequest, InputRequests, InputRequiredResult, InputResponses,
    JsonObject, LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::server::{Change, Server};
use crate::tasks;

/// One red pixel.
pub(crate) const IMAGE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// No samples at all.
const SOUND: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
/// Between two notifications of one call, so that they arrive as they are sent.
const PAUSE: Duration = Duration::from_millis(50);

/// A call, with what is known about who makes it.
struct Call<'s> {
    server: &'s Server,
    context: RequestContext<RoleServer>,
    client: Option<ClientCapabilities>,
    args: JsonObject,
    answers: InputResponses,
    state: Option<String>,
}

/// Runs the tool that `request` names.
pub(crate) async fn call(
    server: &Server,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let call = Call {
        server,
        client: context.client_capabilities(),
        context,
        args: request.arguments.unwrap_or_default(),
        answers: request.input_responses.unwrap_or_default(),
        state: request.request_state,
    };
    match request.name.as_ref() {
        name if name.starts_with("test_input_required_result_") => call.with_input(name),
        "test_streaming_elicitation" => {
            call.progress().await;
            Ok(needs([("user_name", asks_user("What is your name?", "name", "string")?)], None))
        }
        "test_tool_with_task" => match accepted(&call.answers, "user_name", "name") {
            Some(name) => Ok(tasks::done_later(&server.tasks, said(&format!("{name} was here")))),
            None => Ok(needs([("user_name", asks_user("What is your name?", "name", "string")?)], None)),
        },
        "slow_compute" => Ok(tasks::slow_compute(&server.tasks, call.client.as_ref(), &call.args).await),
        name @ ("failing_job" | "protocol_error_job" | "confirm_delete" | "multi_input") => {
            tasks::job(&server.tasks, call.client.as_ref(), name)
        }
        name => call.at_once(name).await.map(CallToolResponse::Complete),
    }
}

impl Call<'_> {
    /// The tools that answer in the same request.
    async fn at_once(&self, tool: &str) -> Result<CallToolResult, ErrorData> {
        match tool {
            "test_simple_text" => Ok(said("This is a simple text response for testing.")),
            "test_image_content" => content(json!([{ "type": "image", "data": IMAGE, "mimeType": "image/png" }])),
            "test_audio_content" => content(json!([{ "type": "audio", "data": SOUND, "mimeType": "audio/wav" }])),
            "test_embedded_resource" => {
                content(json!([embedded("test://embedded-resource", "text/plain", "A resource in full.")]))
            }
            "test_multiple_content_types" => content(json!([
                { "type": "text", "text": "Multiple content types test:" },
                { "type": "image", "data": IMAGE, "mimeType": "image/png" },
                embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
            ])),
            "test_error_handling" => {
                Ok(CallToolResult::error(vec![text("This tool intentionally returns an error for testing")]))
            }
            "test_tool_with_logging" => {
                for line in ["started", "at work", "ended"] {
                    self.log(line).await;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(said("logged"))
            }
            "test_logging_tool" => {
                if self.context.meta.log_level().is_some() {
                    self.log("at work").await;
                }
                Ok(said("logged"))
            }
            "test_tool_with_progress" => {
                self.progress().await;
                Ok(said("done"))
            }
            "test_reconnection" => {
                tokio::time::sleep(PAUSE).await;
                Ok(said("done"))
            }
            "test_sampling" => self.samples().await,
            "test_elicitation" => {
                let message = self.word("message");
                self.asks(json!({ "message": message, "requestedSchema": {
                    "type": "object",
                    "properties": {
                        "username": { "type": "string", "description": "User's response" },
                        "email": { "type": "string", "description": "User's email address" },
                    },
                    "required": ["username", "email"],
                }}))
                .await
            }
            "test_elicitation_sep1034_defaults" => self.asks(defaults()).await,
            "test_elicitation_sep1330_enums" => self.asks(choices()).await,
            "json_schema_2020_12_tool" | "test_header_parameter" => {
                Ok(said(&Value::from(self.args.clone()).to_string()))
            }
            "greet" => Ok(said(&format!("Hello, {}!", self.word("name")))),
            "test_missing_capability" => match self.client.as_ref().is_some_and(|client| client.sampling.is_some()) {
                true => Ok(said("the client samples")),
                false => Err(ErrorData::missing_required_client_capability(
                    ClientCapabilities::builder().enable_sampling().build(),
                )),
            },
            "test_trigger_tool_change" => Ok(self.tells(Change::Tools)),
            "test_trigger_prompt_change" => Ok(self.tells(Change::Prompts)),
            unknown => Err(ErrorData::invalid_params(format!("no tool is called `{unknown}`"), None)),
        }
    }

    /// The tools that need more input, which the client sends with a second request.
    fn with_input(&self, tool: &str) -> Result<CallToolResponse, ErrorData> {
        let answered = |key: &str| self.answers.get(key).is_some_and(Value::is_object);
        let name = || asks_user("What is your name?", "name", "string");
        match tool {
            "test_input_required_result_elicitation" => match accepted(&self.answers, "user_name", "name") {
                Some(name) => Ok(said(&format!("Hello, {name}!")).into()),
                None => Ok(needs([("user_name", name()?)], None)),
            },
            "test_input_required_result_sampling" if answered("capital_question") => Ok(said("sampled").into()),
            "test_input_required_result_sampling" => {
                Ok(needs([("capital_question", asks_model("What is the capital of France?")?)], None))
            }
            "test_input_required_result_list_roots" if answered("client_roots") => Ok(said("rooted").into()),
            "test_input_required_result_list_roots" => Ok(needs([("client_roots", asks_roots()?)], None)),
            "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
                match self.opened()?.as_deref() {
                    Some("confirm") if answered("confirm") => Ok(said("state-ok").into()),
                    _ => Ok(needs(
                        [("confirm", asks_user("Please confirm", "ok", "boolean")?)],
                        Some(self.sealed("confirm")),
                    )),
                }
            }
            "test_input_required_result_multiple_inputs" => match self.opened()?.as_deref() {
                Some("all") if ["user_name", "greeting", "client_roots"].into_iter().all(answered) => {
                    Ok(said("all in").into())
                }
                _ => Ok(needs(
                    [
                        ("user_name", name()?),
                        ("greeting", asks_model("Generate a greeting")?),
                        ("client_roots", asks_roots()?),
                    ],
                    Some(self.sealed("all")),
                )),
            },
            "test_input_required_result_multi_round" => match self.opened()?.as_deref() {
                Some("step2") if answered("step2") => Ok(said("both in").into()),
                Some("step1") if answered("step1") => {
                    let colour = asks_user("Step 2: What is your favorite color?", "color", "string")?;
                    Ok(needs([("step2", colour)], Some(self.sealed("step2"))))
                }
                _ => Ok(needs([("step1", name()?)], Some(self.sealed("step1")))),
            },
            "test_input_required_result_capabilities" => {
                let client = self.client.clone().unwrap_or_default();
                let mut asked = Vec::new();
                if client.sampling.is_some() {
                    asked.push(("greeting", asks_model("Generate a greeting")?));
                }
                if client.elicitation.is_some() {
                    asked.push(("user_name", name()?));
                }
                Ok(needs(asked, Some(self.sealed("capabilities"))))
            }
            unknown => Err(ErrorData::invalid_params(format!("no tool is called `{unknown}`"), None)),
        }
    }

    /// The state that came back, if it is ours.
    fn opened(&self) -> Result<Option<String>, ErrorData> {
        let Some(state) = &self.state else { return Ok(None) };
        let opened =
            self.server.states.open(state).map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        String::from_utf8(opened).map(Some).map_err(|error| ErrorData::invalid_params(error.to_string(), None))
    }

    fn sealed(&self, state: &str) -> String {
        self.server.states.seal(state.as_bytes())
    }

    fn word(&self, name: &str) -> &str {
        self.args.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    async fn samples(&self) -> Result<CallToolResult, ErrorData> {
        let question: CreateMessageRequestParams = typed(message(self.word("prompt")))?;
        Ok(reply(self.context.peer.create_message(question).await))
    }

    async fn asks(&self, question: Value) -> Result<CallToolResult, ErrorData> {
        let question: ElicitRequestParams = typed(question)?;
        Ok(reply(self.context.peer.create_elicitation(question).await))
    }

    async fn log(&self, line: &str) {
        let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line)).with_logger("conformance");
        // A client that has gone misses the line, and nothing else.
        let _gone = self.context.peer.notify_logging_message(message).await;
    }

    async fn progress(&self) {
        let Some(token) = self.context.meta.get_progress_token() else { return };
        for done in [0.0, 50.0, 100.0] {
            let report = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
            let _gone = self.context.peer.notify_progress(report).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn tells(&self, change: Change) -> CallToolResult {
        // With no subscriber there is nobody to tell.
        let _nobody = self.server.changes.send(change);
        said("changed")
    }
}

pub(crate) fn said(words: &str) -> CallToolResult {
    CallToolResult::success(vec![text(words)])
}

pub(crate) fn text(words: &str) -> ContentBlock {
    ContentBlock::text(words)
}

pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn content(blocks: Value) -> Result<CallToolResult, ErrorData> {
    Ok(CallToolResult::success(typed(blocks)?))
}

pub(crate) fn embedded(uri: &str, mime_type: &str, words: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime_type, "text": words } })
}

/// What the client answered, as a text.
fn reply<T: Serialize, E: ToString>(answer: Result<T, E>) -> CallToolResult {
    match answer {
        Ok(answer) => said(&serde_json::to_string(&answer).unwrap_or_default()),
        Err(error) => CallToolResult::error(vec![text(&error.to_string())]),
    }
}

fn needs<'k>(asked: impl IntoIterator<Item = (&'k str, InputRequest)>, state: Option<String>) -> CallToolResponse {
    input_required(asked, state).into()
}

pub(crate) fn input_required<'k>(
    asked: impl IntoIterator<Item = (&'k str, InputRequest)>,
    state: Option<String>,
) -> InputRequiredResult {
    let asked: InputRequests = asked.into_iter().map(|(key, request)| (key.to_owned(), request)).collect();
    InputRequiredResult::new(Some(asked), state)
}

pub(crate) fn asks_user(question: &str, field: &str, kind: &str) -> Result<InputRequest, ErrorData> {
    typed(json!({ "method": "elicitation/create", "params": { "mode": "form", "message": question, "requestedSchema": {
        "type": "object", "properties": { field: { "type": kind } }, "required": [field],
    }}}))
}

fn asks_model(question: &str) -> Result<InputRequest, ErrorData> {
    typed(json!({ "method": "sampling/createMessage", "params": message(question) }))
}

fn asks_roots() -> Result<InputRequest, ErrorData> {
    typed(json!({ "method": "roots/list", "params": {} }))
}

fn message(question: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": question } }], "maxTokens": 100 })
}

/// The word that the user gave for `field`, if they accepted the question.
pub(crate) fn accepted<'a>(answers: &'a InputResponses, key: &str, field: &str) -> Option<&'a str> {
    let answer = answers.get(key)?;
    let accepts = answer.get("action")?.as_str()? == "accept";
    accepts.then(|| answer.pointer(&format!("/content/{field}"))?.as_str()).flatten()
}

fn defaults() -> Value {
    json!({ "message": "All of these have defaults", "requestedSchema": { "type": "object", "properties": {
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true },
    }}})
}

fn choices() -> Value {
    let titled = |values: [(&str, &str); 2]| values.map(|(value, title)| json!({ "const": value, "title": title }));
    json!({ "message": "Choose", "requestedSchema": { "type": "object", "properties": {
        "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
        "titledSingle": { "type": "string", "oneOf": titled([("value1", "First"), ("value2", "Second")]) },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2"], "enumNames": ["One", "Two"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": ["option1", "option2", "option3"] } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled([("value1", "First"), ("value2", "Second")]) } },
    }}})
}
