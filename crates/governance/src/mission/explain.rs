//! A mission in plain sentences, in the order in which somebody reads who has never seen it: what for, who, until when, what may be done, what needs a person.

use std::fmt::Write as _;

use evidence::record::Surface;

use super::gate::lasting;
use super::rule::{Danger, Limit, Spent, ToolRules, Upstream, joined, server_of, tool_of};
use super::{Feature, Mission, Mode, PinPolicy};

/// What `mission` allows, for its owner, an approver or an auditor. Ends in a line break; nothing that it allows is left out.
#[must_use]
pub fn explain(mission: &Mission) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}, of {}\n{}\n", mission.name, mission.owner, mission.goal);
    let agents = joined(mission.agents.iter().map(|agent| format!("`{agent}`")), "or");
    let is_day = !mission.until_text.contains(':');
    let until = if is_day {
        format!("through {}, {}", mission.until_text, mission.zone.name())
    } else {
        format!("until {}", mission.until_text)
    };
    let _ = writeln!(text, "{agents} may act {until}.");
    if !mission.initiators.is_empty() {
        let names = joined(mission.initiators.iter().map(|name| format!("`{name}`")), "or");
        let _ = writeln!(text, "On behalf of {names}, and nobody else.");
    }
    if !mission.hours.is_empty() {
        let _ = writeln!(text, "On {}, {}.", joined(&mission.hours, "and"), mission.zone.name());
    }
    let _ = writeln!(text, "Reason for this version: {}\n", mission.why);
    if mission.pins == PinPolicy::Strict {
        text.push_str("A person must accept each tool's definition before it is shown or called.\n\n");
    }
    if mission.mode == Mode::Observe {
        text.push_str(
            "ONLY OBSERVED: what is not allowed here runs all the same where its tool is said to read, write or send, and the record\nsays what would have been. What pays, destroys, administers or is unconfirmed is held to the mission.\n\n",
        );
    }
    for (name, upstream) in &mission.upstreams {
        let _ = writeln!(text, "At {} `{name}`:", server_of(upstream.surface));
        tools(&mut text, upstream);
        others(&mut text, upstream);
        effects(&mut text, upstream);
        text.push('\n');
    }
    if !mission.dangers.is_empty() {
        let (asked, denied): (Vec<_>, Vec<_>) =
            mission.dangers.iter().partition(|(_, danger)| mission.gate_of(danger).is_some());
        if !asked.is_empty() {
            text.push_str("People must approve:\n");
        }
        for (name, danger) in asked {
            let gate = mission.gate_of(danger).map(|gate| format!(": {gate}")).unwrap_or_default();
            let _ = writeln!(text, "  {} (danger zone `{name}`){gate}", zone(danger));
        }
        if !denied.is_empty() {
            text.push_str(
                "People would have to approve, no gate says whose approval is needed, and so it is denied:\n",
            );
        }
        for (name, danger) in denied {
            let _ = writeln!(text, "  {} (danger zone `{name}`)", zone(danger));
        }
        text.push('\n');
    }
    data(&mut text, mission);
    budget(&mut text, mission);
    text.push_str("Everything else is hidden from the agent, and denied when it is called anyway.\n");
    text
}

fn tools(text: &mut String, upstream: &Upstream) {
    for (tool, ToolRules { arguments, .. }) in &upstream.tools {
        if arguments.is_empty() {
            let _ = writeln!(text, "  call `{tool}` with any arguments");
            continue;
        }
        let _ = writeln!(text, "  call `{tool}` with");
        let width = arguments.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        // What belongs to an argument stands below it.
        let mut arguments: Vec<_> = arguments.iter().collect();
        arguments.sort_by_key(|(path, _)| path.trim_start_matches('/').split('/').collect::<Vec<_>>());
        for (argument, rule) in arguments {
            let _ = writeln!(text, "    {argument:width$}  {}", rule.in_full());
        }
    }
    if upstream.every_tool.is_some() {
        let besides = if upstream.tools.is_empty() { "every" } else { "every other" };
        let _ = writeln!(text, "  call {besides} {} with any arguments", tool_of(upstream.surface));
    }
    if upstream.surface == Surface::Workflow {
        let within = lasting(upstream.report_within_s());
        let _ = writeln!(text, "  and report what became of each within {within}, or it is closed as unknown");
    }
}

fn others(text: &mut String, upstream: &Upstream) {
    for (uri, _) in &upstream.resources {
        let _ = writeln!(text, "  read resources `{}`", uri.as_str());
    }
    for (prompt, _) in &upstream.prompts {
        let _ = match &**prompt {
            "*" => writeln!(text, "  use every prompt"),
            prompt => writeln!(text, "  use prompt `{prompt}`"),
        };
    }
    for (request, _) in &upstream.requests {
        let _ = match &**request {
            "*" => writeln!(text, "  send every request that the protocol does not define"),
            request => writeln!(text, "  send request `{request}`"),
        };
    }
    if upstream.surface == Surface::Mcp {
        let _ = writeln!(text, "  be told when what it may see changes");
    }
    for feature in upstream.features.keys() {
        let what = match feature {
            Feature::Elicitation => "ask the user for input",
            Feature::Roots => "ask for the client's folders",
            Feature::Sampling => "ask the client's model",
        };
        let _ = writeln!(text, "  and the server may {what} (`{}`)", feature.key());
    }
}

fn effects(text: &mut String, upstream: &Upstream) {
    if upstream.tools.is_empty() && upstream.every_tool.is_none() {
        return;
    }
    let said = upstream.effects.iter().map(|(tool, (class, _))| format!("`{tool}` {class}"));
    let unsaid = upstream.tools.keys().filter(|tool| !upstream.effects.contains_key(*tool)).count()
        + usize::from(upstream.every_tool.is_some());
    let said = said.collect::<Vec<_>>().join(", ");
    let tools = format!("{}s", tool_of(upstream.surface));
    let _ = match (said.is_empty(), unsaid) {
        (true, _) => writeln!(text, "  what its {tools} do is not said: each is treated as the worst"),
        (false, 0) => writeln!(text, "  what its {tools} do: {said}"),
        (false, _) => writeln!(text, "  what its {tools} do: {said}; what is not said is treated as the worst"),
    };
}

fn zone(danger: &Danger) -> String {
    let calls = joined(danger.when.iter().map(|pattern| format!("`{pattern}`")), "and");
    let sizes = danger.sizes();
    if sizes.is_empty() { format!("calls of {calls}") } else { format!("calls of {calls} with {}", sizes.join(" or ")) }
}

/// Where classes of data may go.
fn data(text: &mut String, mission: &Mission) {
    if mission.data.is_empty() {
        return;
    }
    text.push_str("Data:\n");
    for sentence in mission.data.sentences().values() {
        let _ = writeln!(text, "  {sentence}");
    }
    text.push('\n');
}

/// What may be used in all.
fn budget(text: &mut String, mission: &Mission) {
    for (spent, limits) in &mission.budget {
        let _ = writeln!(
            text,
            "All calls together may use at most {}.",
            joined(limits.iter().map(|limit| spent_of(spent, limit)), "and")
        );
    }
    if !mission.budget.is_empty() {
        text.push('\n');
    }
}

/// `200 calls in a run`.
pub(super) fn spent_of(spent: &Spent, limit: &Limit) -> String {
    let of = if matches!(spent, Spent::Sum { .. }) { " of" } else { "" };
    format!("{}{of} {spent} in {}", limit.most, limit.period.within())
}
