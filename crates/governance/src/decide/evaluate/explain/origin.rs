//! Says of what a call acts on where it stands, and who would have had to name it. Never a value.

use std::sync::Arc;

use evidence::record::{EffectClass, Origin, TargetOrigin, TargetRole};

use super::Finding;
use crate::mission::{OriginRule, brief, list};
use crate::reason::Reason;

/// What the rule objects to in a call of a tool that does `effect`.
pub(super) fn of_origin(
    role: TargetRole,
    rule: &OriginRule,
    effect: EffectClass,
    provenance: &[TargetOrigin],
    gate: Option<&Arc<str>>,
) -> Finding {
    let objects = |traced: &&TargetOrigin| traced.role == role && rule.objects_to(effect).contains(&traced.origin);
    let traced: Vec<&TargetOrigin> = provenance.iter().filter(objects).collect();
    let what = list(traced.iter().map(|traced| standing(traced)), "and");
    let names = list(traced.iter().map(|traced| format!("`{}`", brief(&traced.argument))), "and");
    let (reason, agent, mend) = match role {
        TargetRole::Target => (
            Reason::UntrustedTarget,
            format!("argument {names}: nobody who may has named this value"),
            "use one that the person you work for named, or tell them",
        ),
        TargetRole::Payload => (
            Reason::UntrustedPayload,
            format!("argument {names}: nobody who may has given a link in it"),
            "leave the link out, or tell the person you work for",
        ),
    };
    let (said_to_agent, sentence) = match gate {
        Some(gate) => {
            (format!("{agent}, and a person must approve that"), format!("{what}, and gate `{gate}` must be satisfied"))
        }
        None => (format!("{agent}; {mend}"), what),
    };
    Finding { gate: gate.cloned(), reason, rule: None, said_to_agent, sentence }
}

/// An argument that the mission or the initiator must name.
pub(super) fn of_named(argument: &str, provenance: &[TargetOrigin]) -> Finding {
    let name = brief(argument);
    let stands = match provenance.iter().find(|traced| *traced.argument == *argument) {
        Some(traced) => standing(traced),
        None => format!("nobody named argument `{name}`"),
    };
    Finding {
        gate: None,
        reason: Reason::ArgumentNotNamed,
        rule: None,
        said_to_agent: format!(
            "argument `{name}` must be a value that the person you work for named; send that, or tell them"
        ),
        sentence: format!("{stands}, and the mission or the initiator must name it"),
    }
}

/// What people have endorsed of what a call acts on; nothing where they have not.
pub(in crate::decide::evaluate) fn endorsed(provenance: &[TargetOrigin]) -> impl Iterator<Item = String> {
    provenance.iter().filter(|traced| traced.origin == Origin::Endorsed).map(standing)
}

/// Where the worst value of an argument stands.
fn standing(traced: &TargetOrigin) -> String {
    let name = brief(&traced.argument);
    let what = match traced.role {
        // Arguments that cannot be read, or are too many.
        _ if name.is_empty() => "what the arguments hold".to_owned(),
        TargetRole::Payload => format!("a link in argument `{name}`"),
        TargetRole::Target => format!("argument `{name}`"),
    };
    match (traced.origin, traced.source.as_deref().map(place)) {
        (Origin::Mission, _) => format!("{what} is what the mission lists"),
        (Origin::Initiator, _) => format!("{what} is what the initiator named"),
        (Origin::Endorsed, _) => format!("{what} is endorsed by {}", traced.source.as_deref().unwrap_or("people")),
        (Origin::Selected, place) => {
            let place = place.unwrap_or_else(|| "a field that only a service writes".to_owned());
            format!("{what} was selected by the initiator in {place}, and not named")
        }
        (Origin::Trusted, Some(place)) => format!("{what} was named by nobody but {place}"),
        (Origin::Trusted, None) => format!("{what} was named by nobody but a field that only a service writes"),
        (Origin::Untrusted, Some(place)) => format!("{what} stands only in {place}"),
        (Origin::Untrusted, None) => format!("{what} stands only in what tools returned"),
        (Origin::Sent, _) => format!("{what} was first sent by the agent itself"),
        (Origin::Unknown, _) => format!("{what} was named by nobody, and stands in nothing that was returned"),
    }
}

/// `mcp:mail/read_mail:body` in words. What follows the name of a resource is part of its URI.
fn place(source: &str) -> String {
    let tool_and_field = source
        .split_once('/')
        .filter(|(_, rest)| !["prompt:", "request:", "resource:"].iter().any(|kind| rest.starts_with(kind)));
    match tool_and_field.and_then(|(server, rest)| Some((server, rest.rsplit_once(':')?))) {
        Some((server, (tool, field))) if !tool.is_empty() && !field.is_empty() => {
            format!("what `{}` returned in `{}`", brief(&format!("{server}/{tool}")), brief(field))
        }
        _ => format!("what `{}` returned", brief(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_value_stands_is_told_in_words() {
        let traced = |origin, role, source: Option<&str>| {
            standing(&TargetOrigin { argument: "recipient".into(), origin, role, source: source.map(Into::into) })
        };
        for (origin, role, source, said) in [
            (
                Origin::Untrusted,
                TargetRole::Target,
                Some("mcp:mail/read_mail:body"),
                "argument `recipient` stands only in what `mcp:mail/read_mail` returned in `body`",
            ),
            (
                Origin::Untrusted,
                TargetRole::Payload,
                Some("mcp:mail/read_mail:mails.body"),
                "a link in argument `recipient` stands only in what `mcp:mail/read_mail` returned in `mails.body`",
            ),
            (
                Origin::Untrusted,
                TargetRole::Target,
                Some("mcp:web/resource:https://a.example/b:c"),
                "argument `recipient` stands only in what `mcp:web/resource:https://a.example/b:c` returned",
            ),
            (
                Origin::Untrusted,
                TargetRole::Target,
                Some("mcp:web/fetch"),
                "argument `recipient` stands only in what `mcp:web/fetch` returned",
            ),
            (
                Origin::Trusted,
                TargetRole::Target,
                Some("mcp:erp/list:iban"),
                "argument `recipient` was named by nobody but what `mcp:erp/list` returned in `iban`",
            ),
            (Origin::Sent, TargetRole::Target, None, "argument `recipient` was first sent by the agent itself"),
            (
                Origin::Unknown,
                TargetRole::Target,
                None,
                "argument `recipient` was named by nobody, and stands in nothing that was returned",
            ),
        ] {
            assert_eq!(traced(origin, role, source), said);
        }
    }
}
