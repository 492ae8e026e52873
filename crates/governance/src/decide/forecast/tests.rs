//! That versions are compared call by call, and what cannot be known is said.

use evidence::ids::RecordId;
use evidence::record::{Body, Place, read, write};

use super::*;
use crate::classify::Standing;
use crate::decide::decide;
use crate::decide::evaluate::tests::{classified, parse_tool, snapshot};
use crate::record;

const HEADER: &str = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n";

/// What `new` would have said of a call of `tool` that `old` decided.
fn said(old: &str, new: &str, tool: &str, arguments: &str, standing: Standing) -> Option<Forecast> {
    let (old, new) = (snapshot(&format!("{HEADER}{old}")), snapshot(&format!("{HEADER}{new}")));
    let at = "2026-11-23T12:00:00Z".parse().unwrap();
    let call = classified(&old, "bot", parse_tool(tool), arguments, standing);
    let draft = record::decision(&call, &decide(&call, &old, at), DecisionPoint::Call, None, at);
    let place = Place { emitter: "cs-0123456789abcdef", id: RecordId::from_bytes([3; 16]), recorded_at: at, seq: 7 };
    let mut bytes = Vec::new();
    write(&draft, place, &mut bytes).unwrap();
    let record = read(&bytes).unwrap();
    let Body::Decision(decision) = &record.body else { panic!("{record:?}") };
    forecast(&record, decision, &old, &new)
}

#[test]
fn a_call_that_is_on_record_is_decided_by_another_version() {
    use Effect::{Allow, Ask, Deny};
    let any = "[allow.mcp.s]\nlook = {}\npay = {}\n";
    let paid = "[allow.mcp.s.pay]\namount = { min = 0, max = 100 }\nto = { free = true }\n";
    let less = "[allow.mcp.s.pay]\namount = { min = 0, max = 10 }\nto = { free = true }\n";
    let asked = "[allow.mcp.s.pay]\namount = { min = 0, max = 100 }\nto = { free = true }\n[danger.pays]\nwhen = 'mcp:s/pay'\nover = { amount = 10 }\ngate = 'two'\n[gate.two]\ngroup = 'leads'\n";
    let shape = "[allow.mcp.s.pay]\namount = { min = 0, max = 100 }\nto = { pattern = 'a*' }\n";
    let limited = "[allow.mcp.s.pay]\namount = { min = 0, max = 100, per_day = 500 }\nto = { free = true }\n";
    let fifty = r#"{"amount":50,"to":"a"}"#;
    let five = r#"{"amount":5,"to":"a"}"#;
    for (old, new, tool, arguments, was, now, unseen) in [
        (paid, paid, "mcp:s/pay", fifty, Allow, Some(Allow), vec![]),
        (paid, less, "mcp:s/pay", fifty, Allow, Some(Deny), vec![]),
        (paid, less, "mcp:s/pay", five, Allow, Some(Allow), vec![]),
        (less, paid, "mcp:s/pay", fifty, Deny, Some(Allow), vec![]),
        (paid, asked, "mcp:s/pay", fifty, Allow, Some(Ask), vec![]),
        (asked, paid, "mcp:s/pay", fifty, Ask, Some(Allow), vec![]),
        (any, paid, "mcp:s/look", "{}", Allow, Some(Deny), vec![]),
        (paid, any, "mcp:s/look", "{}", Deny, Some(Allow), vec![]),
        // Nobody looked at the arguments, and it would be denied for what they are not known to be.
        (
            any,
            paid,
            "mcp:s/pay",
            fifty,
            Allow,
            None,
            vec!["argument `amount`", "argument `to`", "arguments that no rule names"],
        ),
        (paid, any, "mcp:s/pay", fifty, Allow, Some(Allow), vec![]),
        (paid, shape, "mcp:s/pay", fifty, Allow, None, vec!["argument `to`"]),
        (paid, limited, "mcp:s/pay", fifty, Allow, None, vec!["how far `allow.mcp.s.pay.amount.per_day` was used up"]),
    ] {
        let found = said(old, new, tool, arguments, Standing::Good).unwrap();
        assert_eq!((found.was, found.now), (was, now), "{old}\n{new}\n{tool} {arguments}: {}", found.sentence);
        assert_eq!(found.unseen, unseen, "{old}\n{new}\n{tool} {arguments}");
    }
    assert_eq!(said(paid, any, "mcp:s/pay", fifty, Standing::Halted), None);
}
