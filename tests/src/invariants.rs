//! The comparison of rules, against a judge that shares nothing with it: the symbolic compiler of the policy language and the solver cvc5. For each pair of rules both
//! say whether one allows what the other does; they must agree, in every direction.

use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet};
use evidence::record::{Endpoint, Surface, Tool};
use evidence::time::Timestamp;
use governance::decide::compile;
use governance::mission::{compare, parse, parse_organisation};

/// Rules that look at the same fact, by the fact: numbers, lists, and so on.
const KINDS: [&[&str]; 10] = [
    &[
        "min = 0, max = 10",
        "min = 0, max = 10.5",
        "min = -1, max = 10",
        "min = 0.000000000000000001, max = 9",
        "min = 10, max = 10",
        "min = -0.5, max = -0.25",
    ],
    &["in = ['a']", "in = ['a', 'b']", "in = [1]", "in = ['1', 1]", "in = [true, 'true']", "in = [1.5, 'b', 'a']"],
    &[
        "path = ['/']",
        "path = ['/srv']",
        "path = ['/srv/docs']",
        "path = ['/srvx', '/srv/docs']",
        "path = ['/srv/docs/a', '/srv/b']",
    ],
    &[
        "domain = ['corp.example']",
        "domain = ['*.corp.example']",
        "domain = ['*.a.corp.example']",
        "domain = ['b.corp.example', 'corp.example']",
        "domain = ['xcorp.example']",
    ],
    &["length = 10", "length = { min = 1, max = 10 }", "length = { min = 0, max = 0 }", "length = 200"],
    &[
        "email = ['*@corp.example']",
        "email = ['ann@corp.example']",
        "email = ['*@*.corp.example']",
        "email = ['ann@it.corp.example', 'ann@corp.example']",
        "email = ['*@*.it.corp.example']",
    ],
    &["sql = ['select']", "sql = ['select', 'insert']", "sql = ['delete']", "sql = ['insert']"],
    &["identifier = ['DE 89']", "identifier = ['de-89', 'AT61']", "identifier = ['AT 61']"],
    &[
        "min = 2026-01-01, max = 2026-12-31",
        "min = 2026-06-01, max = 2026-06-30",
        "min = 2026-01-01T00:00:00Z, max = 2026-12-31T23:59:59Z",
        "min = 2025-01-01, max = 2026-06-01",
    ],
    &["free = true", "free = true, optional = true"],
];

fn source(rule: &str) -> String {
    format!(
        "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n[allow.mcp.s.t]\nn = {{ {rule} }}\n"
    )
}

/// The schema and the policies of the one tool, from what `mission compile` shows.
fn cedar(rule: &str) -> (String, PolicySet) {
    let policy = compile(Arc::new(parse(&source(rule)).unwrap_or_else(|error| panic!("{rule}: {error}")))).unwrap();
    let tool = Tool { endpoint: Endpoint::Tool, name: "t".into(), surface: Surface::Mcp, upstream: "s".into() };
    let text = policy.cedar(&tool);
    let schema: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("// ")).collect();
    (schema.join("\n"), PolicySet::from_str(&text).unwrap())
}

fn compiled(rule: &str) -> (String, CompiledPolicySet) {
    let (schema_text, policies) = cedar(rule);
    let (schema, _) = Schema::from_cedarschema_str(&schema_text).unwrap();
    let name = |name: &str| name.parse().unwrap();
    let env = RequestEnv::new(
        name("Countersign::Agent"),
        "Countersign::Action::\"call\"".parse().unwrap(),
        name("Countersign::Tool"),
    );
    (schema_text, CompiledPolicySet::compile(&policies, &env, &schema).unwrap())
}

/// Whether a mission with `rule` keeps an invariant with `bound`, as our own comparison has it.
fn keeps(bound: &str, rule: &str) -> bool {
    let organisation = parse_organisation(&format!(
        "organisation = 'o'\nwhy = 'w'\n[invariant.i.at_most.mcp.s.t]\nn = {{ {bound} }}\n"
    ));
    let at: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    organisation.unwrap().breaches(&parse(&source(rule)).unwrap(), at).is_empty()
}

/// Whether `new` is called wider than `old`.
fn is_wider(old: &str, new: &str) -> bool {
    let [old, new] = [old, new].map(|rule| parse(&source(rule)).unwrap());
    compare(&old, &new).iter().any(|change| change.direction.is_wider())
}

#[test]
fn rules_are_compared_as_a_solver_compares_them() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut pairs, mut within) = (0, 0);
    runtime.block_on(async {
        let solver = LocalSolver::cvc5().expect("cvc5 is not here: install Debian's package `cvc5`");
        let mut judge = CedarSymCompiler::new(solver).unwrap();
        for kind in KINDS {
            let mut rules: Vec<String> = kind.iter().map(|rule| (*rule).to_owned()).collect();
            rules.extend(
                kind.iter()
                    .take(2)
                    .filter(|rule| !rule.contains("optional"))
                    .map(|rule| format!("{rule}, optional = true")),
            );
            let compiled: Vec<_> = rules.iter().map(|rule| compiled(rule)).collect();
            for (bound, (schema, wide)) in rules.iter().zip(&compiled) {
                for (rule, (other, narrow)) in rules.iter().zip(&compiled) {
                    assert_eq!(schema, other, "{bound} and {rule} look at different facts");
                    let implies = judge.check_implies_opt(narrow, wide).await.unwrap();
                    assert_eq!(keeps(bound, rule), implies, "`{rule}` within `{bound}`");
                    assert_eq!(is_wider(bound, rule), !implies, "from `{bound}` to `{rule}`");
                    (pairs, within) = (pairs + 1, within + usize::from(implies));
                }
            }
        }
    });
    assert!(pairs > 300 && within > 100 && pairs - within > 100, "{within} of {pairs} pairs are within");
}
