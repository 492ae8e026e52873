//! The three things that make a leak together: private data, text that anybody may have written, and a way out that the text can choose.
//!
//! Each alone is what missions are for. A mission that has all of them, and nothing between the text and the way out, is told so when it is checked; it is no error.

use evidence::record::{EffectClass, Endpoint, Surface, Tool};

use super::Mission;
use super::data::Otherwise;
use super::except::Side;
use super::rule::{ArgumentRule, Constraint, Naming, ToolPattern, ToolRules, list};
use super::source::name_of;
use super::trust::Role;

/// Classes of data that somebody would want to have out.
const PRIVATE: [&str; 4] = ["financial", "health", "pii", "secret"];

/// The three, each with what has it, and the mend; `None` where one is missing or something stands between them.
#[must_use]
pub fn trifecta(mission: &Mission) -> Option<String> {
    let is_watched = |otherwise: &Otherwise| matches!(otherwise, Otherwise::Ask(_) | Otherwise::Deny);
    if mission.data.untrusted_target.as_ref().is_some_and(|rule| is_watched(&rule.otherwise)) {
        return None;
    }
    let private = private(mission);
    let ways_in = ways_in(mission);
    let ways_out: Vec<String> =
        tools(mission).filter(|one| is_way_out(mission, one, &private)).map(|one| one.named()).collect();
    if private.is_empty() || ways_in.is_empty() || ways_out.is_empty() {
        return None;
    }
    let ticked = |names: &[&str]| list(names.iter().map(|name| format!("`{name}`")), "and");
    Some(format!(
        "it has private data ({}), text that anybody may have written (what {} return) and a way out ({}), and nothing between them: a text that the agent reads could have it send the data away; write `untrusted-target = \"ask\"` in `[data]`, trust what only its service writes, or put the way out into a danger zone with a gate",
        ticked(&private),
        list(ways_in, "and"),
        list(&ways_out, "and"),
    ))
}

/// A tool of a mission; one that stands for all that are not named has the name `*`.
struct One<'m> {
    name: &'m str,
    rules: Option<&'m ToolRules>,
    surface: Surface,
    upstream: &'m str,
}

impl One<'_> {
    fn named(&self) -> String {
        format!("`{}:{}/{}`", self.surface, self.upstream, self.name)
    }

    /// Whether the pattern covers it, or all that it stands for.
    fn is_in(&self, pattern: &ToolPattern) -> bool {
        match self.rules {
            Some(_) => pattern.covers(self.surface, self.upstream, self.name),
            None => pattern.is_of(self.surface, self.upstream) && pattern.open && pattern.name.is_empty(),
        }
    }

    fn does(&self, mission: &Mission) -> EffectClass {
        match self.rules {
            Some(_) => mission.effect_class(self.surface, self.upstream, self.name),
            None => EffectClass::Unconfirmed,
        }
    }
}

fn tools(mission: &Mission) -> impl Iterator<Item = One<'_>> {
    mission.upstreams.iter().flat_map(|(upstream, rules)| {
        let named = rules.tools.iter().map(|(name, rules)| (&**name, Some(rules)));
        let every = rules.every_tool.map(|_| ("*", None));
        let surface = rules.surface;
        named.chain(every).map(move |(name, rules)| One { name, rules, surface, upstream })
    })
}

/// The private classes that the mission speaks of and does not keep from its tools.
fn private(mission: &Mission) -> Vec<&'static str> {
    let touches = mission.data.touches.iter().flat_map(|touches| &touches.classes);
    let said: Vec<&str> = touches.chain(mission.data.classes.keys()).map(AsRef::as_ref).collect();
    PRIVATE.into_iter().filter(|class| said.contains(class)).collect()
}

/// What is read that anybody may have written: results of tools, resources.
fn ways_in(mission: &Mission) -> Vec<String> {
    let is_read = |one: &One<'_>| {
        let tool = Tool {
            endpoint: Endpoint::Tool,
            name: one.name.into(),
            surface: one.surface,
            upstream: one.upstream.into(),
        };
        let does = one.does(mission);
        let is_looked_at = matches!(does, EffectClass::Read | EffectClass::Unconfirmed);
        one.surface == Surface::Mcp && is_looked_at && !mission.trust(&tool).whole
    };
    let tools = tools(mission).filter(is_read).map(|one| one.named());
    let resources = mission.upstreams.iter().filter(|(_, upstream)| !upstream.resources.is_empty());
    let resources = resources.filter(|(name, upstream)| {
        let tool = Tool {
            endpoint: Endpoint::Resource,
            name: "".into(),
            surface: upstream.surface,
            upstream: (*name).clone(),
        };
        !mission.trust(&tool).whole
    });
    tools.chain(resources.map(|(name, _)| format!("resources of `mcp:{name}`"))).collect()
}

/// Whether a private class may leave by the tool, to where the call says, without a person.
fn is_way_out(mission: &Mission, one: &One<'_>, private: &[&str]) -> bool {
    let is_outward = matches!(one.does(mission), EffectClass::Pay | EffectClass::Send | EffectClass::Unconfirmed);
    let is_gated = mission.dangers.values().any(|zone| {
        zone.over.is_empty() && mission.gate_of(zone).is_some() && zone.when.iter().any(|pattern| one.is_in(pattern))
    });
    let may_leave = |class: &&str| match mission.data.classes.get(*class) {
        None => true,
        Some(rule) => {
            let excepted = rule.excepts.iter().filter(|except| except.side == Side::Arguments);
            let may_go = rule.to.iter().chain(excepted.map(|except| &except.tool));
            rule.otherwise == Otherwise::Keep || { may_go }.any(|pattern| one.is_in(pattern))
        }
    };
    is_outward && !is_gated && chooses(one) && private.iter().any(may_leave)
}

/// Whether the call says where it goes, beyond what the mission lists.
fn chooses(one: &One<'_>) -> bool {
    match one.rules {
        None => true,
        Some(rules) => rules.arguments.is_empty() || rules.arguments.iter().any(|(path, rule)| is_open(path, rule)),
    }
}

fn is_open(path: &str, rule: &ArgumentRule) -> bool {
    let is_unbounded = matches!(
        rule.constraint,
        Constraint::Free | Constraint::Length { .. } | Constraint::Pattern(_) | Constraint::Sql(_)
    );
    let is_target = match rule.said {
        Some(role) => role == Role::Target,
        None => Role::of_text(&name_of(path)) == Role::Target,
    };
    is_unbounded && is_target && rule.naming == Naming::Anybody
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mission::parse;

    fn told(of: &str) -> Option<String> {
        let source = format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['a']\nuntil = 2026-12-31\nwhy = 'w'\n{of}\n[danger.z]\nwhen = 'mcp:erp/close'\n[gate.default]\ngroup = 'g'\n"
        );
        trifecta(&parse(&source).unwrap_or_else(|error| panic!("{}", error.render("m"))))
    }

    #[test]
    fn a_mission_with_all_three_is_told() {
        let all = |mail: &str, effect: &str, data: &str| {
            format!(
                "[allow.mcp.erp]\nclose = {{}}\nget = {{}}\n[allow.mcp.mail]\nsend = {mail}\n[effect.mcp.erp]\nclose = 'destroy'\nget = 'read'\n[effect.mcp.mail]\nsend = '{effect}'\n[data]\n{data}"
            )
        };
        let said = told(&all("{}", "send", "touches = ['pii', 'legal']")).unwrap();
        assert!(
            said.contains("(`pii`)")
                && said.contains("(what `mcp:erp/get` return)")
                && said.contains("(`mcp:mail/send`)"),
            "{said}"
        );
        for (mail, effect, data, is_told) in [
            ("{}", "send", "touches = ['pii']\nuntrusted-target = 'ask'", false),
            ("{}", "send", "touches = ['pii']\nuntrusted-target = 'deny'", false),
            ("{}", "send", "touches = ['pii']\nuntrusted-target = 'keep'", true),
            ("{}", "send", "touches = ['legal']", false),
            ("{}", "send", "touches = ['pii']\n'mcp:erp' = 'trusted'", false),
            ("{}", "send", "touches = ['pii']\n'mcp:erp' = 'trusted'\n'mcp:erp/get' = 'untrusted'", true),
            ("{}", "write", "touches = ['pii']", false),
            ("{}", "pay", "touches = ['pii']", true),
            ("{}", "send", "pii = { to = ['mcp:erp'] }", false),
            ("{}", "send", "pii = { to = ['mcp:mail/s*'] }", true),
            ("{}", "send", "pii = { to = ['mcp:erp'], else = 'ask' }", false),
            ("{}", "send", "pii = { result = 'tag' }", true),
            ("{ to = { email = ['*@corp.example'] }, body = { free = true } }", "send", "touches = ['pii']", false),
            ("{ to = { free = true }, body = { free = true } }", "send", "touches = ['pii']", true),
            ("{ to = { free = true, named = true }, body = { free = true } }", "send", "touches = ['pii']", false),
            ("{ to = { free = true, target = false } }", "send", "touches = ['pii']", false),
        ] {
            assert_eq!(told(&all(mail, effect, data)).is_some(), is_told, "{mail} {effect} {data}");
        }
        let zone = all("{}", "send", "touches = ['pii']") + "\n[danger.out]\nwhen = 'mcp:mail/*'\n";
        assert_eq!(told(&zone), None);
        let every = "[allow.mcp.all]\n'*' = {}\n[allow.mcp.erp]\nclose = {}\n[data]\ntouches = ['secret']\n";
        assert!(told(every).unwrap().contains("`mcp:all/*`"));
    }
}
