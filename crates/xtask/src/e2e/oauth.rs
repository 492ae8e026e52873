//! Signed tokens end to end: a real authorization server, the real client's OAuth flow, and a recorder that shows what reached the upstream.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Gateway, START_PATIENCE, Scenarios};
use crate::count::Count;
use crate::process::Service;

/// The authorization server and the recorder in front of an upstream.
struct Authority {
    issuer: String,
    recorder: String,
    _service: Service,
}

impl Authority {
    fn start(scenarios: &Scenarios<'_>, upstream: &str) -> Result<Self> {
        let mut server = scenarios.node("authority.mjs");
        server.args(["--upstream", upstream]);
        let mut service = Service::start(&mut server, &scenarios.scratch.join("authority.log"))?;
        let told = service.wait_for("the authorization server", START_PATIENCE, |said| {
            said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok())
        })?;
        let at = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        let told = (at("issuer"), at("recorder"));
        let (Some(issuer), Some(recorder)) = told else { anyhow::bail!("the authorization server told {told:?}") };
        Ok(Self { issuer, recorder, _service: service })
    }
}

/// Agents that come in with signed tokens.
pub(super) fn run(scenarios: &mut Scenarios<'_>) -> Result<()> {
    scenarios.allow_everything()?;
    let home = scenarios.scratch.join("home-oauth");
    let (upstream, direct) = scenarios.everything_over_http()?;
    let authority = Authority::start(scenarios, &direct)?;
    let config = scenarios.scratch.join("oauth.toml");
    let http = scenarios.http_config(&format!("{}/mcp", authority.recorder))?;
    std::fs::write(&config, format!("{http}\n{}", section(&authority.issuer))).context("write a configuration")?;
    let gateway = Gateway::start(scenarios.place, &home, &config, &scenarios.scratch.join("oauth.log"))?;
    scenarios.script("signed tokens over HTTP, TypeScript client", |scenarios| {
        let mut script = scenarios.node("oauth.mjs");
        let endpoint = |name: &str| format!("http://{}/mcp/{name}", gateway.address);
        script.args(["--url", &endpoint("everything"), "--gated", &endpoint("memory")]);
        script.args(["--issuer", &authority.issuer, "--recorder", &authority.recorder]);
        Ok(script)
    })?;
    gateway.stop()?;
    drop(upstream);
    recorded(scenarios, &home)?;
    scenarios.verified(&home, 3)
}

fn section(issuer: &str) -> String {
    format!(
        "[auth]\nissuer = \"{issuer}\"\nscopes = [\"mcp:use\"]\n\n\
         [[auth.grant]]\nclient = \"ap-bot\"\nservers = [\"memory\"]\nscopes = [\"pay\"]\nmission = \"allow-everything\"\nagent = \"e2e\"\n\n\
         [[auth.grant]]\nclient = \"ap-bot\"\nmission = \"allow-everything\"\nagent = \"e2e\"\n"
    )
}

/// Who signed in is in the evidence, and no token is.
fn recorded(scenarios: &mut Scenarios<'_>, home: &std::path::Path) -> Result<()> {
    let mut audit = Command::new(scenarios.place.built("countersign"));
    audit.args(["audit", "type:request_context", "--format", "json", "--limit", "0", "--home"]).arg(home);
    let lines = scenarios.place.must(&mut audit)?.lines;
    let records: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let is_signed = |record: &&Value| {
        let at = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        at("/body/authenticated") == "oidc"
            && at("/body/token/client") == "ap-bot"
            && at("/initiator/authenticated") == "oidc"
    };
    let subjects: std::collections::BTreeSet<_> =
        records.iter().filter(is_signed).filter_map(|record| record.pointer("/initiator/name")?.as_str()).collect();
    let text = lines.join("\n");
    // What every signed token begins with.
    let holds = subjects.into_iter().eq(["ana", "bob"]) && !text.contains("eyJ");
    let count = Count { passed: u64::from(holds), failed: u64::from(!holds) };
    scenarios.take("the evidence says who signed in, and holds no token", count, holds, &text);
    Ok(())
}
