//! A first draft of a mission, from what a server lists: everything off, each argument with a rule to narrow, danger zones suggested. What a server says of itself is shown
//! in comments and trusted for nothing.

use std::fmt::Write as _;

use evidence::record::EffectClass;
use serde_json::Value;

use super::read::RESERVED;
use super::spelling::hides;

/// A tool as its server lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The definition, as it came.
    pub definition: Value,
    /// Its name.
    pub name: String,
}

/// What the draft is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading<'a> {
    /// Who acts.
    pub agent: &'a str,
    /// The mission's name.
    pub mission: &'a str,
    /// Who answers for it.
    pub owner: &'a str,
    /// The server's name.
    pub server: &'a str,
    /// The last day.
    pub until: &'a str,
}

/// The text of a mission file that allows nothing yet.
#[must_use]
pub fn draft(heading: Heading<'_>, tools: &[Listed]) -> String {
    let Heading { agent, mission, owner, server, until } = heading;
    let mut text = format!(
        "# A draft, from what the server `{server}` lists. Nothing is allowed yet: take the `# ` away from what the workflow needs, and narrow it.\n\
         # Then: countersign mission check FILE, and countersign mission explain FILE.\n\n\
         mission = {}\ngoal    = \"Say in a sentence what the workflow is for.\"\nowner   = {}\nagents  = [{}]\nuntil   = {until}\npins    = \"strict\"\nwhy     = \"First version.\"\n\n\
         [allow.mcp.{}]\n",
        quoted(mission),
        quoted(owner),
        quoted(agent),
        key(server)
    );
    for Listed { definition, name } in tools {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "\n# {}:{}", one_line(name), spaced(" ", said(definition)));
        let _ = writeln!(text, "# [allow.mcp.{}.{}]", key(server), tool_key(name));
        arguments(&mut text, definition);
    }
    let suggestions: Vec<(&str, EffectClass)> =
        tools.iter().map(|tool| (tool.name.as_str(), suggested(&tool.name, &tool.definition))).collect();
    for (zone, class) in [("pays", EffectClass::Pay), ("removes", EffectClass::Destroy), ("rights", EffectClass::Admin)]
    {
        let of_class: Vec<String> = suggestions
            .iter()
            .filter(|(_, suggested)| *suggested == class)
            .map(|(name, _)| quoted(&format!("mcp:{server}/{name}")))
            .collect();
        if !of_class.is_empty() {
            let _ = writeln!(text, "\n# [danger.{zone}]\n# when = [{}]", of_class.join(", "));
        }
    }
    let _ = writeln!(
        text,
        "\n# What tools do, by their names and by what their server says: a suggestion, for you to confirm."
    );
    let _ = writeln!(text, "# [effect.mcp.{}]", key(server));
    for (name, class) in suggestions.iter().filter(|(_, class)| *class != EffectClass::Unconfirmed) {
        let _ = writeln!(text, "# {} = \"{class}\"", tool_key(name));
    }
    text
}

fn said(definition: &Value) -> &str {
    definition.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn arguments(text: &mut String, definition: &Value) {
    let schema = definition.get("inputSchema");
    let Some(properties) = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object) else {
        return;
    };
    let required = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    for (name, property) in properties {
        let rule = rule(name, property);
        let optional = if is_required(name) { "" } else { ", optional = true" };
        let _ = writeln!(text, "# {} = {{ {rule}{optional} }}{}", key(name), spaced("  # ", said(property)));
    }
}

/// A rule to begin with, as narrow as the schema lets one guess.
fn rule(name: &str, property: &Value) -> String {
    let kind = |property: &Value| property.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let values = property.get("enum").and_then(Value::as_array);
    if let Some(values) = values.filter(|values| !values.is_empty() && values.iter().all(Value::is_string)) {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(quoted).collect();
        return format!("in = [{}]", values.join(", "));
    }
    match kind(property).as_str() {
        "array" => property.get("items").map_or_else(|| "free = true".to_owned(), |items| rule(name, items)),
        "boolean" => "in = [true, false]".to_owned(),
        "integer" | "number" => "min = 0, max = 100".to_owned(),
        "string" => {
            let (name, format) = (name.to_ascii_lowercase(), property.get("format").and_then(Value::as_str));
            let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
            match format {
                Some("uri" | "url") => "url = [\"https://corp.example/*\"]".to_owned(),
                Some("email") => "domain = [\"corp.example\"]".to_owned(),
                _ if has(&["url", "uri", "link"]) => "url = [\"https://corp.example/*\"]".to_owned(),
                _ if has(&["path", "file", "dir", "folder"]) => "path = [\"/srv/docs\"]".to_owned(),
                _ if has(&["mail", "recipient"]) || matches!(name.as_str(), "to" | "cc" | "bcc") => {
                    "domain = [\"corp.example\"]".to_owned()
                }
                _ => "length = 200".to_owned(),
            }
        }
        _ => "free = true".to_owned(),
    }
}

/// A text of a server as the end of a comment: no line breaks, nothing hidden, not long.
fn one_line(text: &str) -> String {
    const SHOWN: usize = 120;
    let plain: String = text
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| !hides(&letter.to_string()))
        .take(SHOWN)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of a server after `before`; nothing where it says nothing.
fn spaced(before: &str, text: &str) -> String {
    let line = one_line(text);
    if line.is_empty() { line } else { format!("{before}{line}") }
}

/// The key of a tool: one that is called like a key of its server has a prefix.
fn tool_key(name: &str) -> String {
    if RESERVED.contains(&name) { quoted(&format!("tool:{name}")) } else { key(name) }
}

/// A text as TOML writes it, which escapes what JSON does, and one character more.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A suggestion for a person, from what a tool is called and what its server says: never taken without one.
#[must_use]
pub fn suggested(tool: &str, definition: &Value) -> EffectClass {
    const VERBS: [(EffectClass, &[&str]); 5] = [
        (EffectClass::Admin, &["grant", "revoke", "permission", "role", "admin", "invite"]),
        (EffectClass::Pay, &["pay", "transfer", "charge", "refund", "payout", "purchase", "send_money"]),
        (EffectClass::Destroy, &["delete", "remove", "drop", "destroy", "purge", "truncate", "kill"]),
        (EffectClass::Send, &["send", "post", "publish", "email", "mail", "notify", "share", "upload"]),
        (EffectClass::Write, &["create", "update", "write", "edit", "set", "add", "move", "insert", "put", "rename"]),
    ];
    const LOOKS: [&str; 8] = ["get", "list", "read", "search", "find", "show", "query", "fetch"];
    let name = tool.rsplit('/').next().unwrap_or(tool).to_ascii_lowercase();
    let by_name = VERBS.iter().find(|(_, verbs)| verbs.iter().any(|verb| name.contains(verb)));
    let says = |hint: &str| definition.pointer(&format!("/annotations/{hint}")).and_then(Value::as_bool);
    match (by_name, says("destructiveHint"), says("readOnlyHint")) {
        (Some((class, _)), _, _) => *class,
        (None, Some(true), _) => EffectClass::Destroy,
        (None, _, Some(true)) => EffectClass::Read,
        (None, _, _) if LOOKS.iter().any(|verb| name.contains(verb)) => EffectClass::Read,
        (None, _, _) => EffectClass::Unconfirmed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mission::parse;

    fn tools() -> Vec<Listed> {
        let listed = |name: &str, description: &str, properties: Value, required: Value| Listed {
            definition: json!({ "name": name, "description": description, "inputSchema": { "type": "object", "properties": properties, "required": required } }),
            name: name.to_owned(),
        };
        vec![
            listed(
                "read_file",
                "Reads.\nAll\u{200b} of it.",
                json!({ "path": { "type": "string" }, "head": { "type": "integer" } }),
                json!(["path"]),
            ),
            listed(
                "delete_file",
                "Removes.",
                json!({ "paths": { "type": "array", "items": { "type": "string" } }, "sure": { "type": "boolean" } }),
                json!([]),
            ),
            listed(
                "odd name\"]",
                "\" = {}\n[allow.mcp.evil]",
                json!({ "a\"b": { "enum": ["x", "y\"z"] }, "o": { "type": "object" } }),
                json!([]),
            ),
            listed(
                "send_mail",
                "",
                json!({ "to": { "type": "string", "format": "email" }, "link": { "type": "string" }, "text": { "type": "string", "description": "What to say." } }),
                json!(["to"]),
            ),
            Listed { definition: json!({ "name": "prompts" }), name: "prompts".to_owned() },
        ]
    }

    #[test]
    fn a_draft_allows_nothing_and_is_a_mission_once_its_lines_are_taken() {
        let heading =
            Heading { agent: "bot", mission: "draft", owner: "o@corp.example", server: "files", until: "2027-12-31" };
        let text = draft(heading, &tools());
        insta::with_settings!({ snapshot_path => "../../../../corpus/missions", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("draft", text);
        });
        let mission = parse(&text).unwrap_or_else(|error| panic!("{}", error.render("draft")));
        assert!(mission.rules().values().all(|upstream| upstream.tools.is_empty() && upstream.every_tool.is_none()));
        // Comments of the server stay comments; the draft's own lines are TOML.
        let taken: Vec<&str> = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with('[') || rest.contains(" = ") && !rest.contains(": ") => rest,
                _ => line,
            })
            .collect();
        let taken = taken.join("\n");
        let mission = parse(&taken).unwrap_or_else(|error| panic!("{}\n{taken}", error.render("taken")));
        let upstream = mission.rules().get("files").unwrap();
        assert_eq!(upstream.tools.len(), 5);
        assert_eq!(mission.rules().len(), 1, "no server but the one");
    }
}
