//! `countersign mission init`: a first draft of a mission, from what a server lists or from what was accepted of it.

use std::ffi::OsString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use evidence::time::Timestamp;
use gateway::config::CHILD_ENV;
use gateway::home::Home;
use governance::mission::{Heading, Listed, draft};
use serde_json::{Value, json};
use surfaces::mcp::codec::RawId;
use surfaces::mcp::upstream::Upstream;
use surfaces::mcp::upstream::stdio::{StdioConfig, StdioUpstream};
use tokio::time::timeout;

use super::block_on;
use super::tools::definitions;
use crate::exit_code::{Exit, Failure};

/// Start a server, ask for its tools, and print a mission that allows nothing yet
#[derive(Args)]
#[command(after_help = "Examples:
  countersign mission init --server files -- npx -y @modelcontextprotocol/server-filesystem /srv/docs > reader.toml
  countersign mission init --from files > reader.toml")]
pub(crate) struct Init {
    /// Draft from the tools of this server that the home has accepted, instead of starting one
    #[arg(long, value_name = "SERVER", conflicts_with_all = ["command", "server"])]
    from: Option<String>,
    /// What the mission calls the server
    #[arg(long, value_name = "NAME", default_value = "server")]
    server: String,
    /// The mission's name
    #[arg(long, value_name = "NAME", default_value = "new-mission")]
    mission: String,
    /// Who acts
    #[arg(long, value_name = "NAME", default_value = "my-agent")]
    agent: String,
    /// Who answers for it
    #[arg(long, value_name = "WHO", default_value = "owner@corp.example")]
    owner: String,
    /// The server's command
    #[arg(last = true, required_unless_present = "from", value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How long the server may take for each answer: first starts install what they need.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pages of a list of tools: a hundred times what servers send.
const PAGES_MAX: i64 = 100;

/// How long a draft holds where nobody has said.
const DRAFT_US: i64 = 90 * 24 * 60 * 60 * 1_000_000;

impl Init {
    pub(crate) fn run(self, home: impl Fn() -> Result<Home, Failure>) -> Result<Exit, Failure> {
        let tools = match &self.from {
            Some(server) => accepted(&home()?, server)?,
            None => block_on(self.listed())??,
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or_default());
        let until: String = now.plus_micros(DRAFT_US).to_string().chars().take(10).collect();
        let heading = Heading {
            agent: &self.agent,
            mission: &self.mission,
            owner: &self.owner,
            server: self.from.as_deref().unwrap_or(&self.server),
            until: &until,
        };
        print!("{}", draft(heading, &tools));
        Ok(Exit::Done)
    }

    /// What the server lists.
    async fn listed(&self) -> Result<Vec<Listed>, Failure> {
        let [program, args @ ..] = self.command.as_slice() else { return Err(Failure::usage("no command")) };
        let config = StdioConfig {
            program: program.clone(),
            args: args.to_vec(),
            cwd: None,
            // As for a governed server: nothing that is not named passes.
            env: CHILD_ENV.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?))).collect(),
        };
        let (upstream, _incoming) = StdioUpstream::start(&config).map_err(Failure::could_not)?;
        let upstream = Upstream::Stdio(upstream);
        let tools = all(&upstream).await;
        upstream.close().await;
        tools
    }
}

/// The tools of `server` whose definitions were accepted.
fn accepted(home: &Home, server: &str) -> Result<Vec<Listed>, Failure> {
    let known = definitions(home)?.into_iter().filter(|((of, _), _)| of == server);
    let tools: Vec<Listed> = known.map(|((_, name), definition)| Listed { definition, name }).collect();
    if tools.is_empty() {
        let text = format!(
            "no tool of `{server}` was ever accepted here; `countersign tools list` shows those that were, and `mission init -- COMMAND` asks a server"
        );
        return Err(Failure::no(text));
    }
    Ok(tools)
}

async fn all(upstream: &Upstream) -> Result<Vec<Listed>, Failure> {
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "countersign", "version": env!("CARGO_PKG_VERSION") },
    });
    ask(upstream, 0, "initialize", hello).await?;
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    upstream.send(ready.into()).await.map_err(Failure::could_not)?;
    let (mut tools, mut params) = (Vec::new(), json!({}));
    for page in 1..=PAGES_MAX {
        let mut result = ask(upstream, page, "tools/list", params).await?;
        let listed = result.get_mut("tools").map(Value::take).unwrap_or_default();
        let Value::Array(listed) = listed else { return Err(Failure::could_not("the server's list has no `tools`")) };
        tools.extend(listed.into_iter().filter_map(|definition| {
            let name = definition.get("name")?.as_str()?.to_owned();
            Some(Listed { definition, name })
        }));
        match result.get("nextCursor").and_then(Value::as_str) {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => return Ok(tools),
        }
    }
    Err(Failure::could_not(format!("the server's list has more than {PAGES_MAX} pages")))
}

async fn ask(upstream: &Upstream, id: i64, method: &str, params: Value) -> Result<Value, Failure> {
    let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
    let answered = timeout(PATIENCE, upstream.request(&RawId::integer(id), message.into())).await;
    let answer = answered
        .map_err(|_| Failure::could_not(format!("the server did not answer `{method}` in {PATIENCE:?}")))?
        .map_err(Failure::could_not)?;
    let answer: Value = serde_json::from_slice(answer.bytes()).map_err(Failure::could_not)?;
    match answer.get("result") {
        Some(result) => Ok(result.clone()),
        None => Err(Failure::could_not(format!("the server refused `{method}`: {answer}"))),
    }
}
