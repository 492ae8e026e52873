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
    secret: String,
    _service: Service,
}

impl Authority {
    fn start(scenarios: &Scenarios<'_>, upstream: &str, ttl_s: &str) -> Result<Self> {
        let mut server = scenarios.node("authority.mjs");
        server.args(["--upstream", upstream, "--ttl", ttl_s]);
        let mut service = Service::start(&mut server, &scenarios.scratch.join(format!("authority-{ttl_s}.log")))?;
        let told = service.wait_for("the authorization server", START_PATIENCE, |said| {
            said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok())
        })?;
        let at = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        let told = (at("issuer"), at("recorder"), at("secret"));
        let (Some(issuer), Some(recorder), Some(secret)) = told else {
            anyhow::bail!("the authorization server told {told:?}")
        };
        Ok(Self { issuer, recorder, secret, _service: service })
    }
}

/// Agents that come in with signed tokens.
pub(super) fn run(scenarios: &mut Scenarios<'_>) -> Result<()> {
    scenarios.allow_everything()?;
    let home = scenarios.scratch.join("home-oauth");
    let (upstream, direct) = scenarios.everything_over_http()?;
    let authority = Authority::start(scenarios, &direct, "300")?;
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
    scenarios.verified(&home, 3)?;
    upstreams_that_want_tokens(scenarios)
}

/// A gateway whose upstreams want tokens: they are another gateway, which takes signed ones only.
fn upstreams_that_want_tokens(scenarios: &mut Scenarios<'_>) -> Result<()> {
    let home = |name: &str| scenarios.scratch.join(format!("home-oauth-{name}"));
    let (inner_home, outer_home) = (home("inner"), home("outer"));
    let (upstream, direct) = scenarios.everything_over_http()?;
    let authority = Authority::start(scenarios, &direct, "4")?;
    let config = scenarios.scratch.join("inner.toml");
    let grants = "[auth]\nscopes = [\"mcp:use\"]\nclock_skew_s = 0\n".to_owned()
        + &format!("issuer = \"{}\"\n\n", authority.issuer)
        + "[[auth.grant]]\nclaims = { email = \"ana@corp.example\" }\nmission = \"allow-everything\"\nagent = \"e2e\"\n\n"
        + "[[auth.grant]]\nclient = \"service\"\nmission = \"allow-everything\"\nagent = \"e2e\"\n";
    std::fs::write(&config, format!("{}\n{grants}", scenarios.http_config(&direct)?))?;
    let inner = Gateway::start(scenarios.place, &inner_home, &config, &scenarios.scratch.join("inner.log"))?;

    let secret = scenarios.scratch.join("client-secret");
    std::fs::write(&secret, &authority.secret)?;
    let config = scenarios.scratch.join("outer.toml");
    let service = format!(
        "{{ grant = \"client_credentials\", client_id = \"service\", client_secret = {{ file = {secret:?} }}, issuer = \"{}\" }}",
        authority.issuer
    );
    let address = &inner.address;
    std::fs::write(
        &config,
        format!(
            "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n\n\
             [upstream.mcp.everything]\nurl = \"http://{address}/mcp/everything\"\noauth = {{}}\n\n\
             [upstream.mcp.memory]\nurl = \"http://{address}/mcp/memory\"\noauth = {service}\n"
        ),
    )?;
    let outer = Gateway::start(scenarios.place, &outer_home, &config, &scenarios.scratch.join("outer.log"))?;
    let token = outer.token(scenarios.place, "allow-everything", "e2e")?;
    scenarios.script("upstreams that want tokens", |scenarios| {
        let mut script = scenarios.node("outbound.mjs");
        let login = serde_json::json!([
            scenarios.place.built("countersign"),
            "upstream",
            "login",
            "everything",
            "--config",
            config,
            "--home",
            outer_home
        ]);
        let endpoint = |name: &str| format!("http://{}/mcp/{name}", outer.address);
        script.args(["--login", &login.to_string(), "--token", &token]);
        script.args(["--person", &endpoint("everything"), "--service", &endpoint("memory")]);
        Ok(script)
    })?;
    outer.stop()?;
    inner.stop()?;
    drop(upstream);
    scenarios.verified(&outer_home, 3)?;
    scenarios.verified(&inner_home, 3)
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
