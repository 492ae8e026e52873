//! Records as OpenTelemetry has them: each a log record, and each outcome of a call a span. The JSON of OTLP 1.x: identifiers in hexadecimal, integers of 64 bits as text.
//!
//! Names of `gen_ai.*` and `mcp.*` are those of its semantic conventions; the others are ours. The same record always gives the same identifiers, so that what is sent twice can
//! be told by them.

use evidence::record::{ActionEvent, ActionRecord, Body, Effect, Endpoint, Record, Status, Surface};
use evidence::time::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Severities of OpenTelemetry's data model for logs.
const INFO: (u32, &str) = (9, "INFO");
const WARN: (u32, &str) = (13, "WARN");

/// Kind of a span: we ask somebody else.
const CLIENT: u32 = 3;

/// Status of a span: it failed.
const ERROR: u32 = 2;

/// A request that brings these records as log records.
pub(crate) fn logs(records: &[Record]) -> Value {
    let logs: Vec<Value> = records.iter().map(log).collect();
    json!({ "resourceLogs": [{ "resource": resource(records), "scopeLogs": [{ "scope": scope(), "logRecords": logs }] }] })
}

/// A request that brings the outcomes among these records as spans; `None` where there are none.
pub(crate) fn traces(records: &[Record]) -> Option<Value> {
    let spans: Vec<Value> = records.iter().filter_map(span).collect();
    let scoped = json!([{ "scope": scope(), "spans": spans }]);
    (!spans.is_empty()).then(|| json!({ "resourceSpans": [{ "resource": resource(records), "scopeSpans": scoped }] }))
}

fn resource(records: &[Record]) -> Value {
    let mut attributes = Attributes::default();
    attributes.text("service.name", "countersign");
    attributes.text("service.version", env!("CARGO_PKG_VERSION"));
    // One feed tells of one log.
    attributes.some("service.instance.id", records.first().map(|record| record.emitter.as_str()));
    json!({ "attributes": attributes.0 })
}

fn scope() -> Value {
    json!({ "name": "countersign", "version": env!("CARGO_PKG_VERSION") })
}

fn log(record: &Record) -> Value {
    let (number, text) = severity(&record.body);
    let body = serde_json::to_value(&record.body).unwrap_or_default();
    let mut log = json!({
        "timeUnixNano": nanos(record.occurred_at),
        "observedTimeUnixNano": nanos(record.recorded_at),
        "severityNumber": number,
        "severityText": text,
        "eventName": format!("countersign.{}", record.record_type),
        "body": any(&body),
        "attributes": common(record).0,
    });
    if let (Some(log), Some(trace)) = (log.as_object_mut(), trace_id(record)) {
        log.insert("traceId".to_owned(), trace.into());
        if let Some(span) = span_id(record) {
            log.insert("spanId".to_owned(), span.into());
        }
    }
    log
}

/// The outcome of an attempt at a call, from intent to outcome.
fn span(record: &Record) -> Option<Value> {
    let Body::Action(action) = &record.body else { return None };
    let status = action.status.filter(|_| action.event == ActionEvent::Outcome)?;
    let micros = i64::try_from(action.duration_us.unwrap_or_default()).unwrap_or_default();
    let method = method(action);
    let mut attributes = common(record);
    attributes.some("mcp.method.name", method.filter(|_| action.tool.surface == Surface::Mcp));
    if action.tool.endpoint == Endpoint::Tool {
        attributes.text("gen_ai.operation.name", "execute_tool");
        attributes.text("gen_ai.tool.name", &action.tool.name);
    }
    if action.tool.endpoint == Endpoint::Resource {
        attributes.text("mcp.resource.uri", &action.tool.name);
    }
    attributes.text("countersign.status", status.as_str());
    let mut span = json!({
        "traceId": trace_id(record)?,
        "spanId": span_id(record)?,
        "name": method.map_or_else(|| action.tool.to_string(), |method| format!("{method} {}", action.tool.name)),
        "kind": CLIENT,
        "startTimeUnixNano": nanos(record.occurred_at.plus_micros(-micros)),
        "endTimeUnixNano": nanos(record.occurred_at),
    });
    if !matches!(status, Status::Done | Status::Pending) {
        attributes.text("error.type", action.reason.as_deref().unwrap_or(status.as_str()));
        span.as_object_mut()?.insert("status".to_owned(), json!({ "code": ERROR, "message": status.as_str() }));
    }
    span.as_object_mut()?.insert("attributes".to_owned(), attributes.0.into());
    Some(span)
}

fn method(action: &ActionRecord) -> Option<&str> {
    match action.tool.endpoint {
        Endpoint::Prompt => Some("prompts/get"),
        Endpoint::Request => Some(&action.tool.name),
        Endpoint::Resource => Some("resources/read"),
        Endpoint::Tool => (action.tool.surface == Surface::Mcp).then_some("tools/call"),
    }
}

fn severity(body: &Body) -> (u32, &'static str) {
    match body {
        Body::Exception(_) => WARN,
        Body::Decision(decision) if decision.effect == Effect::Deny => WARN,
        Body::Action(action) if matches!(action.status, Some(Status::ToolError | Status::Unknown)) => WARN,
        Body::Access(_)
        | Body::Action(_)
        | Body::Approval(_)
        | Body::Decision(_)
        | Body::Ledger(_)
        | Body::Request(_)
        | Body::Version(_) => INFO,
    }
}

/// What spans and logs say alike.
fn common(record: &Record) -> Attributes {
    let Record { agent, correlation, initiator, .. } = record;
    let mut attributes = Attributes::default();
    attributes.text("countersign.record.id", &record.id.to_string());
    attributes.number("countersign.record.seq", record.seq);
    attributes.text("countersign.initiator.name", &initiator.name);
    attributes.some("countersign.mission", correlation.mission.as_deref());
    attributes.some("countersign.run.id", correlation.run.map(|run| run.to_string()).as_deref());
    attributes.some("countersign.call.id", correlation.call.map(|call| call.to_string()).as_deref());
    attributes.text("gen_ai.agent.name", &agent.name);
    attributes.some("gen_ai.agent.version", agent.version.as_deref());
    if !record.data_classes.is_empty() {
        let classes: Vec<Value> = record.data_classes.iter().map(|class| json!({ "stringValue": **class })).collect();
        attributes.push("countersign.data_classes", json!({ "arrayValue": { "values": classes } }));
    }
    if let Body::Action(action) = &record.body {
        attributes.text("countersign.tool", &action.tool.to_string());
        attributes.text("countersign.effect_class", action.effect_class.as_str());
        attributes.number("countersign.attempt", action.attempt.into());
    }
    attributes
}

/// The trace that the agent sent, or one that its run stands for.
fn trace_id(record: &Record) -> Option<String> {
    let correlation = &record.correlation;
    let sent = correlation.trace.as_deref().map(str::to_owned);
    sent.or_else(|| correlation.run.map(|run| hex::encode(run.as_bytes())))
}

/// One for each attempt at a call; what belongs to no attempt is with the first.
fn span_id(record: &Record) -> Option<String> {
    let call = record.correlation.call?;
    let attempt = if let Body::Action(action) = &record.body { action.attempt } else { 1 };
    let digest = Sha256::new().chain_update(call.as_bytes()).chain_update(attempt.to_be_bytes()).finalize();
    Some(hex::encode(digest.iter().copied().take(8).collect::<Vec<u8>>()))
}

fn nanos(at: Timestamp) -> String {
    (i128::from(at.micros()).max(0) * 1_000).to_string()
}

#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn push(&mut self, key: &str, value: Value) {
        self.0.push(json!({ "key": key, "value": value }));
    }

    fn number(&mut self, key: &str, number: u64) {
        self.push(key, json!({ "intValue": number.to_string() }));
    }

    fn some(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.push(key, json!({ "stringValue": text }));
    }
}

/// JSON as a value of OpenTelemetry.
fn any(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(is_so) => json!({ "boolValue": is_so }),
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(values) => json!({ "arrayValue": { "values": values.iter().map(any).collect::<Vec<_>>() } }),
        Value::Object(fields) => json!({ "kvlistValue": { "values": listed(fields) } }),
    }
}

fn listed(fields: &Map<String, Value>) -> Vec<Value> {
    fields.iter().map(|(key, value)| json!({ "key": key, "value": any(value) })).collect()
}
