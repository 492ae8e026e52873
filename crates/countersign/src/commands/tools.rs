//! `countersign tools`: the definitions of tools that were accepted, and those that were not.

use std::collections::BTreeMap;

use clap::Subcommand;
use evidence::record::EffectClass;
use gateway::control::{Answer, Ask};
use gateway::home::Home;
use gateway::pins::{Pin, Pins, is_server};
use governance::mission::suggested;
use serde_json::{Value, json};
use store::Reader;

use super::{Format, ask, table};
use crate::exit_code::{Exit, Failure};

/// Compare, accept and confirm the definitions of tools
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign tools list
  countersign tools diff mcp:bank/send_money
  countersign tools pin mcp:bank --why 'upgraded to 2.1'
  countersign tools pin mcp:bank/send_money --why 'new argument `reference`, checked with the bank'
  countersign tools confirm mcp:bank/send_money pay --why 'it moves money'")]
pub(crate) enum Tools {
    /// List the tools that were seen: what is accepted, what is refused, and what each does
    List {
        /// How to write them [default: a table in a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
    },
    /// Show how a definition that is refused differs from the accepted one; exits with 1 where it does
    Diff {
        /// The tool
        #[arg(value_name = "TOOL")]
        tool: String,
    },
    /// Accept what the server of a tool lists
    Pin {
        /// The tool
        #[arg(value_name = "TOOL")]
        tool: String,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Confirm what a tool does, as long as its definition stays as it is
    Confirm {
        /// The tool
        #[arg(value_name = "TOOL")]
        tool: String,
        /// What it does: admin, destroy, pay, read, send, write, or unconfirmed to take it back
        #[arg(value_name = "EFFECT")]
        effect: EffectClass,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

impl Tools {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        match self {
            Self::List { format } => list(home, Format::or_fitting(format)),
            Self::Diff { tool } => diff(home, &tool),
            Self::Pin { tool, why } => {
                ask(home, Ask::PinTool { tool: tool.clone(), why })?;
                println!("{tool} is pinned as its server lists it; its effect class is to be confirmed");
                Ok(Exit::Done)
            }
            Self::Confirm { tool, effect, why } => {
                ask(home, Ask::ConfirmTool { effect, tool: tool.clone(), why })?;
                println!("{tool} is confirmed to be {effect}");
                Ok(Exit::Done)
            }
        }
    }
}

fn pins(home: &Home) -> Result<Vec<(String, Pin)>, Failure> {
    match ask(home, Ask::Pins)? {
        Answer::Pins(pins) => Ok(pins.into_iter().collect()),
        answer => Err(Failure::could_not(format!("the gateway answered with something else: {answer:?}"))),
    }
}

/// The definition with this digest, read; nothing where it is not there.
fn definition(home: &Home, sha256: Option<&String>) -> Value {
    let text = sha256.and_then(|sha256| home.definition(sha256)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn list(home: &Home, format: Format) -> Result<Exit, Failure> {
    let rows = pins(home)?.into_iter().map(|(tool, pin)| {
        let accepted = definition(home, pin.pinned.as_ref());
        let effect = match (pin.effect, suggested(&tool, &accepted)) {
            _ if is_server(&tool) => "-".to_owned(),
            (Some(effect), _) => effect.to_string(),
            (None, EffectClass::Unconfirmed) => "unconfirmed".to_owned(),
            (None, suggested) => format!("unconfirmed ({suggested}?)"),
        };
        (tool, pin, effect)
    });
    match format {
        Format::Json => {
            for (tool, pin, _) in rows {
                println!("{}", json!({ "tool": tool, "pin": pin, "state": pin.to_string() }));
            }
        }
        Format::Csv | Format::Table => {
            let mut table = table(&["tool", "state", "effect", "pinned"]);
            for (tool, pin, effect) in rows {
                let digest: String = pin.pinned.as_deref().unwrap_or("-").chars().take(12).collect();
                table.add_row([shown(&tool), shown(&pin.to_string()), effect, digest]);
            }
            println!("{table}");
        }
    }
    Ok(Exit::Done)
}

fn diff(home: &Home, tool: &str) -> Result<Exit, Failure> {
    let found = pins(home)?.into_iter().find(|(name, _)| name == tool);
    let Some((_, pin)) = found else {
        return Err(Failure::no(format!(
            "no list had a tool `{tool}`; `countersign tools list` shows those that were seen"
        )));
    };
    let Some((_, why)) = &pin.refused else {
        println!("{tool} is listed as it was accepted");
        return Ok(Exit::Done);
    };
    let listed = home.refused_definition(tool).unwrap_or_default();
    let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
    println!("{tool} is refused: {why}");
    let mut lines = Vec::new();
    differences("", &definition(home, pin.pinned.as_ref()), &listed, &mut lines);
    lines.iter().for_each(|line| println!("{line}"));
    Ok(Exit::No)
}

/// What changed, member by member.
fn differences(path: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(before), Value::Object(after)) => {
            let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                let of = |members: &serde_json::Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                differences(&format!("{path}/{name}"), &of(before), &of(after), lines);
            }
        }
        (old, new) => {
            for (sign, value) in [('-', old), ('+', new)] {
                if !value.is_null() {
                    lines.push(format!("{sign} {}: {}", shown(path), shown(&value.to_string())));
                }
            }
        }
    }
}

/// What terminals and people do not see, spelt out.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .map(|letter| {
            let alone = letter.to_string();
            if governance::mission::hides(&alone) { format!("\\u{{{:x}}}", u32::from(letter)) } else { alone }
        })
        .collect()
}

/// The accepted definitions of tools in a home, by server and name; none where there is no ledger. Reads, and asks nobody.
pub(super) fn definitions(home: &Home) -> Result<BTreeMap<(String, String), Value>, Failure> {
    if !home.path().join("ledger").is_dir() {
        return Ok(BTreeMap::new());
    }
    let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
    let pins = Pins::restore(&reader).map_err(Failure::could_not)?.list();
    let known = pins.into_iter().filter_map(|(name, pin)| {
        let (server, tool) = name.strip_prefix("mcp:")?.split_once('/')?;
        Some(((server.to_owned(), tool.to_owned()), definition(home, Some(&pin.pinned?))))
    });
    Ok(known.collect())
}
