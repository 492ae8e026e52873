//! The client of the conformance runner's client mode: does what the scenario in `MCP_CONFORMANCE_SCENARIO` wants of a client, against the server at its last argument.
//!
//! With `COUNTERSIGN_RUN_TOKEN` it shows that token, as a client does that talks to a gateway. In scenarios about OAuth it is the gateway that logs in.
#![expect(deprecated, reason = "the revisions before 2026-07-28 have what the SDK deprecates")]

use std::env::{self, VarError};

use anyhow::{Context, bail, ensure};
use rmcp::model::{
    CallToolRequestParams, ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationCapability, FormElicitationCapability, JsonObject, ProtocolVersion,
    ReadResourceRequestParams, ResourceContents, SamplingMessage, Skill, SkillResources, Tool,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the runner wants called, where it matters.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wanted {
    tool_calls: Vec<ToolCall>,
}

#[derive(Deserialize)]
struct ToolCall {
    name: String,
    #[serde(default)]
    arguments: Option<JsonObject>,
}

type Session = RunningService<RoleClient, User>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let scenario = env::var("MCP_CONFORMANCE_SCENARIO").context("the runner names the scenario")?;
    let url = env::args().next_back().context("the runner gives the URL of its server")?;
    let wanted: Wanted = match env::var("MCP_CONFORMANCE_CONTEXT") {
        Ok(context) => serde_json::from_str(&context)?,
        Err(VarError::NotPresent) => Wanted::default(),
        Err(error) => return Err(error.into()),
    };
    let session = connect(&url, &scenario).await?;
    match scenario.as_str() {
        "initialize" | "json-schema-ref-no-deref" => {
            session.list_all_tools().await?;
        }
        "json-schema-2020-12-preservation" => echo_schema(&session).await?,
        "sep-2640-client-no-prefetch" => {
            session.list_all_skills().await?;
        }
        "sep-2640-client-verify-digest" | "sep-2640-client-verify-size" | "sep-2640-client-verify-frontmatter" => {
            for skill in session.list_all_skills().await? {
                load(&session, &skill).await?;
            }
        }
        "tools_call"
        | "elicitation-sep1034-client-defaults"
        | "sse-retry"
        | "request-metadata"
        | "sep-2322-client-request-state"
        | "http-standard-headers"
        | "http-custom-headers"
        | "http-invalid-tool-headers" => drop(call_tools(&session, wanted).await?),
        oauth if oauth.starts_with("auth/") => {
            ensure!(call_tools(&session, wanted).await? == 0, "the server wants more than the gateway's token has")
        }
        unknown => bail!("this client cannot do `{unknown}`"),
    }
    session.cancel().await?;
    Ok(())
}

async fn connect(url: &str, scenario: &str) -> anyhow::Result<Session> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Ok(token) = env::var("COUNTERSIGN_RUN_TOKEN") {
        config = config.auth_header(token);
    }
    let transport = StreamableHttpClientTransport::from_config(config);
    let version = env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").context("the runner names the revision")?;
    let version: ProtocolVersion = serde_json::from_value(Value::from(version))?;
    // The one server of the runner that has no `server/discover`, whatever the revision.
    let handshake = version.as_str() < ProtocolVersion::V_2026_07_28.as_str() || scenario == "json-schema-ref-no-deref";
    let lifecycle = match handshake {
        true => ClientLifecycleMode::Initialize,
        false => ClientLifecycleMode::Discover { preferred_versions: vec![version] },
    };
    Ok(User.serve_with_lifecycle(transport, lifecycle).await?)
}

/// Calls what the runner wants called, or else every tool once; gives how many calls failed.
async fn call_tools(session: &Session, wanted: Wanted) -> anyhow::Result<usize> {
    let mut failed = 0;
    let tools = session.list_all_tools().await?;
    let mut calls: Vec<_> = wanted.tool_calls.into_iter().map(|call| (call.name, call.arguments)).collect();
    if calls.is_empty() {
        calls = tools.iter().map(|tool| (tool.name.clone().into_owned(), Some(arguments(tool)))).collect();
    }
    for (name, arguments) in calls {
        let mut call = CallToolRequestParams::new(name.clone());
        call.arguments = arguments;
        // Some tools of the runner fail on purpose, and the next one is wanted all the same.
        if let Err(error) = session.call_tool(call).await {
            eprintln!("{name}: {error}");
            failed += 1;
        }
    }
    Ok(failed)
}

/// A value for each argument that the tool cannot do without.
fn arguments(tool: &Tool) -> JsonObject {
    let required = tool.input_schema.get("required").and_then(Value::as_array).into_iter().flatten();
    required
        .filter_map(Value::as_str)
        .map(|name| {
            let kind = tool.input_schema.get("properties").and_then(|all| all.get(name)?.get("type")?.as_str());
            let value = match kind {
                Some("boolean") => json!(true),
                Some("integer" | "number") => json!(1),
                Some("object") => json!({}),
                Some("array") => json!([]),
                _ => json!("word"),
            };
            (name.to_owned(), value)
        })
        .collect()
}

/// Sends the schema of one tool back with the other.
async fn echo_schema(session: &Session) -> anyhow::Result<()> {
    let tools = session.list_all_tools().await?;
    let found = |name: &str| tools.iter().find(|tool| tool.name == name).with_context(|| format!("no tool `{name}`"));
    let schema = Value::from(found("json_schema_2020_12_tool")?.input_schema.as_ref().clone());
    let echo = found("json_schema_echo")?.name.clone();
    let arguments = [("schema".to_owned(), schema)].into_iter().collect();
    session.call_tool(CallToolRequestParams::new(echo).with_arguments(arguments)).await?;
    Ok(())
}

/// Reads a skill file by file, and no further than the first that is not what its entry says.
async fn load(session: &Session, skill: &Skill) -> anyhow::Result<()> {
    let SkillResources::Files(files) = &skill.resources else { return Ok(()) };
    for file in files {
        let read = session.read_resource(ReadResourceRequestParams::new(&file.uri)).await?;
        let Some(ResourceContents::TextResourceContents { text, .. }) = read.contents.first() else {
            bail!("`{}` is no text", file.uri);
        };
        file.verify(text.as_bytes())?;
        if file.uri == skill.uri {
            for (key, value) in [("name", &skill.frontmatter.name), ("description", &skill.frontmatter.description)] {
                ensure!(
                    text.lines().any(|line| line == format!("{key}: {value}")),
                    "`{key}` of `{}` differs",
                    file.uri
                );
            }
        }
    }
    Ok(())
}

/// Who answers what a server asks.
struct User;

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let mut config = ClientConfig::default();
        let form = FormElicitationCapability::new().with_schema_validation(true);
        config.capabilities.elicitation = Some(ElicitationCapability::new().with_form(form));
        config.capabilities.sampling = Some(Default::default());
        config
    }

    /// Accepts, with the default of each field that has one.
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { requested_schema, .. } = request else {
            return Ok(ElicitResult::new(ElicitationAction::Decline));
        };
        let schema = serde_json::to_value(requested_schema)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let content: JsonObject =
            fields.filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone()))).collect();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::from(content)))
    }

    async fn create_message(
        &self,
        _request: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text("A sampled text."), "none".to_owned()))
    }
}
