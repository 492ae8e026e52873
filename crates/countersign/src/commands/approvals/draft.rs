//! The draft of a standing grant: the one call of a question, as narrow as it is, for a person to widen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::exit_code::Failure;

/// The file that covers calls exactly like the one that is shown.
pub(super) fn standing(shown: &Value) -> Result<String, Failure> {
    let text = |name: &str| shown.get(name).and_then(Value::as_str);
    let (Some(arguments), Some(tool), Some(agent), Some(mission)) =
        (text("arguments"), text("tool"), text("agent"), text("mission"))
    else {
        return Err(Failure::no("it asks about no call: only calls are covered by standing grants"));
    };
    let (surface, place) = tool.split_once(':').unwrap_or(("mcp", tool));
    let (server, name) = place.split_once('/').unwrap_or((place, ""));
    let gates = shown.get("gates").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let gates = gates.filter_map(|gate| gate.split_once(':')).map(|(name, _)| quoted(name)).collect::<Vec<_>>();
    let arguments: BTreeMap<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
    let mut draft = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(
        draft,
        "# A standing grant: calls of one tool that need no answer of their own. Drafted from one call; widen what you mean to.\n\
         grant   = \"NAME\"\n\
         mission = {}\n\
         gates   = [{}]\n\
         agents  = [{}]\n\
         uses    = 1\n\
         until   = 2000-01-01 # when it lapses at the latest\n\
         why     = \"Why its calls need no answer of their own.\"\n\n\
         [allow.{surface}.{}.{}]",
        quoted(mission),
        gates.join(", "),
        quoted(agent),
        key(server),
        key(name),
    );
    for (name, value) in arguments {
        let rule = match &value {
            Value::String(text) => format!("{{ in = [{}] }}", quoted(text)),
            Value::Number(number) => format!("{{ min = {number}, max = {number} }}"),
            Value::Bool(bool) => format!("{{ in = [{bool}] }}"),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                "{ free = true } # anything at all: say what it may be".to_owned()
            }
        };
        let _ = writeln!(draft, "{} = {rule}", key(&name));
    }
    Ok(draft)
}

/// A key in TOML, without quotes where it needs none.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A text in TOML, which has the escapes of JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use governance::mission::parse_standing;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_draft_is_a_standing_grant_once_it_is_named() {
        let shown = json!({
            "agent": "bot", "arguments": r#"{"amount": 12.5, "memo \"x\"": "it's the rent", "tags": ["a"], "urgent": false}"#,
            "gates": ["payments: 1 of `leads`"], "mission": "payer", "tool": "mcp:bank.eu/send money",
        });
        let draft = standing(&shown).unwrap();
        let named = draft.replace("NAME", "rent").replace("2000-01-01", "2099-01-01");
        let standing = parse_standing(&named).unwrap_or_else(|error| panic!("{}\n{draft}", error.render("draft")));
        assert_eq!((&**standing.name(), &**standing.mission()), ("rent", "payer"));
        assert_eq!(standing.tool().to_string(), "mcp:bank.eu/send money");
        assert!(
            draft.contains("\namount = { min") && draft.contains("[allow.mcp.\"bank.eu\".\"send money\"]"),
            "{draft}"
        );
        assert!(standing.to_string().contains("a number from 12.5 to 12.5"), "{standing}");
        assert!(super::standing(&json!({ "kind": "mission" })).is_err());
    }
}
