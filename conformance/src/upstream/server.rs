//! The server that the SDK drives: lists from `offer.json`, and one shared state for all its sessions.

use std::sync::Arc;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CompletionInfo, GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetSkillRequestParams, GetSkillResult,
    GetTaskParams, GetTaskResult, Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListSkillsResult, ListToolsResult, PaginatedRequestParams, Prompt, ReadResourceDirectoryRequestParams,
    ReadResourceDirectoryResult, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    RequestStateCodec, Resource, ResourceContents, ResourceTemplate, ServerCapabilities, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::tools::{IMAGE, accepted, asks_user, embedded, input_required, typed};
use crate::{skills, tools};

/// How long a list stays fresh; the runner wants a number and never waits for it.
const FRESH_MS: u64 = 60_000;
/// Changes that a subscriber may have waiting; more than one call makes.
const CHANGES_QUEUED_MAX: usize = 16;
/// The states of one process are worth nothing to the next, and nobody is kept from forging them: both ends are tests.
const STATE_KEY: &[u8; 32] = b"conformance conformance conforma";

/// What subscribers hear of.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Tools,
    Prompts,
}

#[derive(Deserialize)]
struct Offer {
    tools: Vec<Tool>,
    resources: Vec<Resource>,
    templates: Vec<ResourceTemplate>,
    prompts: Vec<Prompt>,
}

/// One server for all sessions.
#[derive(Clone)]
pub(crate) struct Server {
    offer: Arc<Offer>,
    pub(crate) tasks: TaskManager,
    pub(crate) states: Arc<RequestStateCodec>,
    pub(crate) changes: broadcast::Sender<Change>,
}

impl Server {
    pub(crate) fn new() -> anyhow::Result<Server> {
        Ok(Server {
            offer: Arc::new(serde_json::from_str(include_str!("../offer.json"))?),
            tasks: TaskManager::new(),
            states: Arc::new(RequestStateCodec::try_new(STATE_KEY.as_slice())?),
            changes: broadcast::channel(CHANGES_QUEUED_MAX).0,
        })
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .enable_skills_with_directory_read()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("conformance-upstream", "1.0.0"))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.offer.tools.clone())
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.offer.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        tools::call(self, request, context).await
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(self.offer.resources.clone())
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(self.offer.templates.clone())
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let content = read(&request.uri).ok_or_else(|| {
            let data = Some(json!({ "uri": request.uri }));
            ErrorData::resource_not_found(format!("no resource at `{}`", request.uri), data)
        })?;
        Ok(ReadResourceResult::new(vec![content]).with_ttl_ms(FRESH_MS).with_cache_scope(CacheScope::Public).into())
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(self.offer.prompts.clone())
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompt(request)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = vec![format!("{}-one", request.argument.value), format!("{}-two", request.argument.value)];
        let info = CompletionInfo::with_all_values(values).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(info))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // The sink keeps to what this subscriber asked for, and says so with an error.
            let _not_asked_for = match change {
                Ok(Change::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(Change::Prompts) => context.sink().notify_prompt_list_changed().await,
                Err(_) => return Ok(()),
            };
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }

    async fn list_skills(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        Ok(ListSkillsResult::with_all_items(vec![skills::the_skill()])
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        match request.uri == skills::MANIFEST_URI {
            true => {
                Ok(GetSkillResult::new(skills::the_skill()).with_ttl_ms(FRESH_MS).with_cache_scope(CacheScope::Public))
            }
            false => Err(ErrorData::invalid_params(format!("no skill at `{}`", request.uri), None)),
        }
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceDirectoryResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(skills::children(&request.uri)?)
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }
}

fn read(uri: &str) -> Option<ResourceContents> {
    let of = |mime_type: &str, words: &str| ResourceContents::text(words, uri).with_mime_type(mime_type);
    match uri {
        "test://static-text" | "test://watched-resource" => Some(of("text/plain", "This is a text.")),
        "test://static-binary" => Some(ResourceContents::blob(IMAGE, uri).with_mime_type("image/png")),
        skills::MANIFEST_URI => Some(of("text/markdown", skills::MANIFEST)),
        skills::FORMS_URI => Some(of("text/markdown", skills::FORMS)),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            Some(of("application/json", &json!({ "id": id, "data": format!("Data for ID: {id}") }).to_string()))
        }
    }
}

fn prompt(request: GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let words = |words: &str| json!({ "role": "user", "content": { "type": "text", "text": words } });
    let argument = |name: &str| {
        request.arguments.as_ref().and_then(|given| given.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    let messages = match request.name.as_str() {
        "test_simple_prompt" => json!([words("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => {
            json!([words(&format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2")))])
        }
        "test_prompt_with_embedded_resource" => json!([
            { "role": "user", "content": embedded(argument("resourceUri"), "text/plain", "A resource in full.") },
            words("Please process the embedded resource above."),
        ]),
        "test_prompt_with_image" => json!([
            { "role": "user", "content": { "type": "image", "data": IMAGE, "mimeType": "image/png" } },
            words("Please analyze the image above."),
        ]),
        "test_input_required_result_prompt" => {
            let answers = request.input_responses.clone().unwrap_or_default();
            let Some(context) = accepted(&answers, "user_context", "context") else {
                let question = asks_user("What context should the prompt use?", "context", "string")?;
                return Ok(input_required([("user_context", question)], None).into());
            };
            json!([words(&format!("In the context of {context}."))])
        }
        unknown => return Err(ErrorData::invalid_params(format!("no prompt is called `{unknown}`"), None)),
    };
    Ok(GetPromptResult::new(typed(messages)?).into())
}
