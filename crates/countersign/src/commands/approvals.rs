//! `countersign approvals`: what people are asked, and what they answer, here or at a gateway elsewhere.

mod draft;
mod endorse;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use console::wire::{Approval, Waiting};
use evidence::approvals::statement;
use evidence::ids::ApprovalId;
use evidence::leaf::sha256_hex;
use evidence::record::approval::{Answer as Answered, Assurance, Resolution, Review};
use evidence::time::Timestamp;
use gateway::approvals::{ApprovalState, Reviewed, Wanted};
use gateway::clock;
use gateway::device::DeviceKey;
use gateway::home::Home;
use gateway::limits::PAGE_MAX;
use governance::limits::EDIT_BYTES_MAX;
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use self::endorse::{Endorse, Endorsements};
use self::place::{At, Place, Seen, Use};
use super::tools::shown as spelt;
use super::{Format, table};
use crate::commands::audit::visible;
use crate::exit_code::{Exit, Failure};

/// See what people are asked, and answer
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign approvals list
  countersign approvals show 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f
  countersign approvals approve 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'matches invoice 2026-118' --key ~/ana.key
  countersign approvals approve 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --same --why 'all eight are the one invoice' --key ~/ana.key
  countersign approvals deny 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'not our supplier' --key ~/ana.key
  countersign approvals edit 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --arguments '{\"amount\":500}' \\
      --why 'at most 500 without a contract' --key ~/ana.key
  countersign approvals break-glass 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --ticket INC-4711 --why 'the account is being emptied' \\
      --key ~/otto.key
  countersign approvals draft 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f > rent.toml
  countersign approvals grant rent.toml
  countersign approvals release 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'the order is cancelled'
  countersign approvals revoke 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'paid by hand'
  countersign approvals list --at https://approvals.corp.example --as ana --key ~/ana.key

With --at, nothing of the gateway's home is needed here: your key opens a session there. COUNTERSIGN_AT, COUNTERSIGN_PERSON and
COUNTERSIGN_KEY stand for --at, --as and --key.

An ID may be cut short, as long as only one approval begins so. The passphrase of a key is asked for, or read from
COUNTERSIGN_PASSPHRASE.")]
pub(crate) enum Approvals {
    /// List what is open, identical questions of several runs in one line; everything with --all
    List(List),
    /// Show one: what would happen, why it is asked, who answered
    Show(Show),
    /// Write a line for each question as it is asked, and again as it is reminded of, until you stop it
    Watch {
        #[command(flatten)]
        at: At,
    },
    /// Say yes
    Approve(Say),
    /// Say no: the call does not run
    Deny(Say),
    /// Propose other arguments: the call does not run, and its agent is told what you would have instead
    Edit {
        #[command(flatten)]
        say: Say,
        /// The arguments that you propose: one JSON object, or - to read it from standard input
        #[arg(long, value_name = "JSON")]
        arguments: String,
    },
    /// Ask for something before you answer; the clock goes on
    Ask(Say),
    /// In an emergency, let the call through without those whom the gate asks
    BreakGlass {
        #[command(flatten)]
        say: Say,
        /// Where the emergency is written down, such as INC-4711
        #[arg(long, value_name = "TICKET")]
        ticket: String,
    },
    /// Draft a standing grant from a question: a file that says under which conditions such calls need no answer of their own
    Draft {
        /// Which
        #[arg(value_name = "ID")]
        approval: String,
        #[command(flatten)]
        at: At,
    },
    /// Ask people for a standing grant, with limits, instead of an answer to each call
    Grant {
        /// The file that says which calls, how many and until when
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Leave the answer to others, for good
    Recuse(Say),
    /// Take back what you answered
    Withdraw(Say),
    /// Take back what your agent asked, or give back what was granted and is not needed any more
    Release {
        /// Which
        #[arg(value_name = "ID")]
        approval: String,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT")]
        why: String,
        #[command(flatten)]
        at: At,
    },
    /// Take back what was granted and is not used yet
    Revoke {
        /// Which
        #[arg(value_name = "ID")]
        approval: String,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT")]
        why: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args)]
pub(crate) struct List {
    /// Those that are over, too
    #[arg(long)]
    all: bool,
    /// How to write them [default: a table in a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(crate) struct Show {
    /// Which
    #[arg(value_name = "ID")]
    approval: String,
    /// How to write it [default: text in a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(crate) struct Say {
    /// Which; several are answered one by one, each with a signature of its own
    #[arg(value_name = "ID", required = true)]
    approvals: Vec<String>,
    /// Also every open one that is identical: same tool, arguments, mission, agent and initiator, in other runs
    #[arg(long)]
    same: bool,
    /// Why, in your words: it is recorded and signed
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// For whom you stand in while they are away
    #[arg(long, value_name = "PERSON")]
    on_behalf_of: Option<String>,
    #[command(flatten)]
    at: At,
}

impl Approvals {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let (answer, proposed, ticket, say) = match self {
            Self::List(List { all, format, at }) => {
                return visit(at, home, Use::Read, |place| list(place, all, format));
            }
            Self::Show(Show { approval, format, at }) => {
                return visit(at, home, Use::Read, |place| show(place, &approval, format));
            }
            Self::Watch { at } => return visit(at, home, Use::Read, watch),
            Self::Draft { approval, at } => {
                return visit(at, home, Use::Read, |place| {
                    let Seen { view, .. } = place.show(&find(place, &approval)?)?;
                    print!("{}", draft::standing(&view)?);
                    Ok(Exit::Done)
                });
            }
            Self::Grant { file, at } => {
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| Failure::usage(format!("read `{}`: {error}", file.display())))?;
                return visit(at, home, Use::Read, |place| {
                    let Waiting { approval, respond_by } = place.grant(text)?;
                    println!("{approval} is asked, answer by {}", until(respond_by));
                    Ok(Exit::Done)
                });
            }
            Self::Release { approval, why, at } => {
                return visit(at, home, Use::Read, |place| {
                    let approval = find(place, &approval)?.approval;
                    println!("{approval} {}", place.release(approval, why)?);
                    Ok(Exit::Done)
                });
            }
            Self::Revoke { approval, why, at } => {
                return visit(at, home, Use::Read, |place| {
                    let approval = find(place, &approval)?.approval;
                    place.revoke(approval, why)?;
                    println!("{approval} revoked");
                    Ok(Exit::Done)
                });
            }
            Self::Approve(say) => (Answered::Approve, None, None, say),
            Self::Deny(say) => (Answered::Deny, None, None, say),
            Self::Edit { say, arguments } => (Answered::Edit, Some(proposal(arguments)?), None, say),
            Self::Ask(say) => (Answered::Ask, None, None, say),
            Self::BreakGlass { say, ticket } => (Answered::BreakGlass, None, Some(ticket), say),
            Self::Recuse(say) => (Answered::Recuse, None, None, say),
            Self::Withdraw(say) => (Answered::Withdraw, None, None, say),
        };
        let Say { approvals, same, why, on_behalf_of, at } = say;
        let said = Said { answer, on_behalf_of, proposed, reason: why, ticket };
        visit(at, home, Use::Sign, |place| give(place, &approvals, same, &said))
    }
}

/// The arguments that are proposed.
fn proposal(arguments: String) -> Result<String, Failure> {
    if arguments != "-" {
        return Ok(arguments);
    }
    let mut read = String::new();
    std::io::stdin().take(EDIT_BYTES_MAX as u64 + 1).read_to_string(&mut read).map_err(Failure::could_not)?;
    Ok(read.trim().to_owned())
}

/// Does something where the approvals are.
fn visit(
    at: At,
    home: &Home,
    wanted: Use,
    what: impl FnOnce(&Place<'_>) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let place = at.go(home, wanted)?;
    let done = what(&place);
    place.leave();
    done
}

/// Every approval that is wanted, page after page.
fn pages(place: &Place<'_>, mut wanted: Wanted, mut each: impl FnMut(Approval)) -> Result<(), Failure> {
    wanted.limit = PAGE_MAX;
    loop {
        let page = place.page(&wanted)?;
        page.approvals.into_iter().for_each(&mut each);
        match page.next {
            Some(next) => wanted.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// How often it is looked for new questions.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far behind the latest question that was seen it is looked for others.
const LOOK_AGAIN_US: i64 = 10_000_000;

/// In which rounds it is looked for reminders, in all that is open.
const REMINDERS_EVERY: u64 = 10;

/// Writes new questions, and old ones of which people are reminded, for ever.
fn watch(place: &Place<'_>) -> Result<Exit, Failure> {
    let mut seen: BTreeMap<ApprovalId, Timestamp> = BTreeMap::new();
    let (mut after, mut reminded, mut round) = (None, BTreeMap::new(), 0_u64);
    loop {
        let wanted = Wanted { after, state: Some(ApprovalState::Open), ..Wanted::default() };
        pages(place, wanted, |view| {
            if seen.insert(view.approval, view.asked_at).is_none() {
                let (tool, agent) = (visible(view.tool), visible(view.agent));
                println!("{} {tool}, asked by {agent}, answer by {}", view.approval, until(view.respond_by));
            }
        })?;
        // Questions of one moment come in any order: it is looked again at the last ones.
        if let Some(latest) = seen.values().max().copied() {
            let again = ApprovalId::at(latest.plus_micros(-LOOK_AGAIN_US), [0; 10]);
            seen.retain(|approval, _| *approval > again);
            after = Some(again);
        }
        if round.is_multiple_of(REMINDERS_EVERY) {
            let mut open = BTreeMap::new();
            pages(place, Wanted { state: Some(ApprovalState::Open), ..Wanted::default() }, |view| {
                if reminded.get(&view.approval).is_some_and(|often| *often < view.reminded) {
                    let (tool, agent) = (visible(view.tool), visible(view.agent));
                    println!("again: {} {tool}, asked by {agent}, answer by {}", view.approval, until(view.respond_by));
                }
                open.insert(view.approval, view.reminded);
            })?;
            reminded = open;
        }
        round += 1;
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The one approval whose id begins so.
fn find(place: &Place<'_>, start: &str) -> Result<Approval, Failure> {
    let wanted = Wanted { begins: Some(start.to_owned()), limit: 2, ..Wanted::default() };
    let mut found = place.page(&wanted)?.approvals;
    match (found.pop(), found.pop()) {
        (Some(approval), None) => Ok(approval),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("more than one approval begins with `{start}`; write more of it")))
        }
        (None, _) => {
            Err(Failure::no(format!("there is no approval `{start}`; `countersign approvals list --all` shows them")))
        }
    }
}

/// What makes questions of several runs the same.
fn identity(view: &Approval) -> [String; 5] {
    let Approval { agent, args_sha256, initiator, mission, tool, .. } = view;
    [tool, args_sha256, mission, agent, initiator].map(Clone::clone)
}

fn list(place: &Place<'_>, all: bool, format: Option<Format>) -> Result<Exit, Failure> {
    let state = if all { None } else { Some(ApprovalState::Open) };
    let wanted = Wanted { state, ..Wanted::default() };
    match Format::or_fitting(format) {
        Format::Json => pages(place, wanted, |view| println!("{}", serde_json::json!(view)))?,
        Format::Csv | Format::Table => {
            // Of questions that are identical but for their run, the oldest stands for all.
            let (mut rows, mut places) = (Vec::<(Approval, u64)>::new(), BTreeMap::new());
            pages(place, wanted, |view| {
                let place = *places.entry((identity(&view), view.state.as_str())).or_insert(rows.len());
                match rows.get_mut(place) {
                    Some((_, count)) => *count += 1,
                    None => rows.push((view, 1)),
                }
            })?;
            let mut table = table(&["approval", "count", "state", "tool", "agent", "for", "answer by", "standing"]);
            for (view, count) in rows {
                table.add_row([
                    view.approval.to_string(),
                    count.to_string(),
                    view.state.as_str().to_owned(),
                    visible(view.tool),
                    view.standing_grant.map_or_else(|| visible(view.agent), |name| visible(format!("grant `{name}`"))),
                    visible(view.initiator),
                    until(view.respond_by),
                    spelt(&view.standing.join("; ")),
                ]);
            }
            println!("{table}");
        }
    }
    Ok(Exit::Done)
}

/// A value as it was sent, to the last digit; escapes are undone, so that nothing hides behind them.
fn as_sent(value: &RawValue) -> String {
    let raw = value.get();
    let plain: Option<Value> = if raw.contains('\\') { serde_json::from_str(raw).ok() } else { None };
    spelt(&plain.map_or_else(|| raw.to_owned(), |plain| plain.to_string()))
}

/// A time to the minute, as tables show it.
fn until(at: Timestamp) -> String {
    at.to_string().chars().take(16).collect::<String>().replace('T', " ")
}

/// A text of what is shown, with nothing hidden.
fn text(shown: &Value, name: &str) -> String {
    spelt(shown.get(name).and_then(Value::as_str).unwrap_or_default())
}

/// Writes what a call would do.
fn call(shown: &Value) {
    let text = |name| text(shown, name);
    println!("  {} would call {}", text("agent"), text("tool"));
    println!("  for {}, in mission {} ({})", text("initiator"), text("mission"), text("goal"));
    println!();
    println!("  with");
    let of_call = |name: &str| shown.get(name).and_then(Value::as_str);
    arguments(of_call("arguments").unwrap_or_default());
    println!();
    if let Some(sent) = of_call("sent") {
        println!("  where tokens become values, so that the tool gets");
        arguments(sent);
        println!();
    }
    println!("  asked because {}", text("why"));
    if let Some(edited) = shown.get("follows") {
        let editors = edited.get("editors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let editors = editors.map(spelt).collect::<Vec<_>>().join(" and ");
        println!("  its arguments were proposed by {editors} ({})", self::text(edited, "reason"));
    }
}

/// Writes arguments, a line for each.
fn arguments(arguments: &str) {
    for (name, value) in serde_json::from_str::<BTreeMap<String, &RawValue>>(arguments).unwrap_or_default() {
        println!("    {} = {}", spelt(&name), as_sent(value));
    }
}

/// Writes what would change, or be granted.
fn change(shown: &Value) {
    let text = |name| text(shown, name);
    if matches!(shown.get("kind").and_then(Value::as_str), Some("endorsement" | "standing")) {
        println!("  {}", text("sentence"));
        println!();
        println!("  the text");
        lines(shown);
        return;
    }
    let way = shown.get("direction").and_then(Value::as_str).map(|way| format!(", {way}")).unwrap_or_default();
    println!("  {} would change {} {} ({}{way})", text("proposed_by"), text("kind"), text("name"), text("why"));
    if shown.get("note").is_some_and(|note| !note.is_null()) {
        println!("  {}", text("note"));
    }
    println!();
    for sentence in shown.get("difference").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        println!("  - {}", spelt(sentence));
    }
    println!();
    println!("  the new text");
    lines(shown);
}

/// Writes the text of a change or grant.
fn lines(shown: &Value) {
    for line in shown.get("text").and_then(Value::as_str).unwrap_or_default().lines() {
        println!("    {}", spelt(line));
    }
    println!();
}

fn show(place: &Place<'_>, approval: &str, format: Option<Format>) -> Result<Exit, Failure> {
    let Seen { approval: view, before, proposed, view: shown, .. } = place.show(&find(place, approval)?)?;
    if Format::or_fitting(format) == Format::Json {
        println!("{}", serde_json::json!({ "approval": view, "before": before, "proposed": proposed, "shown": shown }));
        return Ok(Exit::Done);
    }
    let is_change = shown.get("kind").is_some();
    println!("{} is {}", view.approval, view.state.as_str());
    println!();
    if is_change {
        change(&shown);
    } else {
        call(&shown);
    }
    println!("  asked at {}, answer by {}", until(view.asked_at), until(view.respond_by));
    println!();
    for gate in shown.get("gates").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        println!("  gate {}", spelt(gate));
    }
    for standing in view.standing {
        println!("  {}", spelt(&standing));
    }
    for review in &view.reviews {
        println!("  {}: {} ({})", spelt(&review.reviewer), review.answer, spelt(&review.reason));
    }
    if let Some(proposed) = proposed {
        println!("  instead, with");
        arguments(&proposed);
    }
    if is_change {
        return Ok(Exit::Done);
    }
    println!();
    if before.is_empty() {
        println!("  this run has executed nothing yet");
    }
    for ran in before {
        let same = if ran.is_same { ", with the very same arguments" } else { "" };
        println!("  {} {}: {}{same}", until(ran.at), visible(ran.tool), visible(ran.status));
    }
    Ok(Exit::Done)
}

/// What a person says about one or several approvals.
struct Said {
    answer: Answered,
    on_behalf_of: Option<String>,
    proposed: Option<String>,
    reason: String,
    ticket: Option<String>,
}

/// Gives an answer to each approval, and to those that are the same where that is wanted.
fn give(place: &Place<'_>, approvals: &[String], same: bool, said: &Said) -> Result<Exit, Failure> {
    let mut views = Vec::new();
    for start in approvals {
        views.push(find(place, start)?);
    }
    if same {
        let wanted: BTreeSet<_> = views.iter().map(identity).collect();
        let known: BTreeSet<ApprovalId> = views.iter().map(|view| view.approval).collect();
        pages(place, Wanted { state: Some(ApprovalState::Open), ..Wanted::default() }, |view| {
            if wanted.contains(&identity(&view)) && !known.contains(&view.approval) {
                views.push(view);
            }
        })?;
    }
    let mut done = Ok(Exit::Done);
    for view in &views {
        match give_one(place, view, said) {
            Ok(()) => {}
            Err(failure) if views.len() == 1 => return Err(failure),
            Err(failure) => {
                eprintln!("{} is as it was", view.approval);
                let _code = failure.tell();
                done = Err(Failure::no("not all of them took the answer"));
            }
        }
    }
    done
}

/// Gives one answer, signed where there is a key.
fn give_one(place: &Place<'_>, listed: &Approval, said: &Said) -> Result<(), Failure> {
    let Seen { approval: view, sha256, .. } = place.show(listed)?;
    let key = place.key();
    let mut reviewed = Reviewed {
        answer: said.answer,
        approval: view.approval,
        key: key.map(DeviceKey::id),
        nonce: clock::nonce(),
        on_behalf_of: said.on_behalf_of.clone(),
        proposed: said.proposed.clone(),
        reason: said.reason.clone(),
        reviewer: key.map(|key| key.person().to_owned()),
        shown_sha256: sha256,
        signature: None,
        signed_at: clock::now(),
        ticket: said.ticket.clone(),
    };
    if let Some(key) = key {
        let review = Review {
            answer: said.answer,
            assurance: Assurance::DeviceKey,
            channel: String::new(),
            groups: Vec::new(),
            key: None,
            nonce: reviewed.nonce.clone(),
            on_behalf_of: reviewed.on_behalf_of.clone().map(Into::into),
            proposed_sha256: reviewed.proposed.as_deref().map(|proposed| sha256_hex(proposed.as_bytes())),
            reason: reviewed.reason.clone(),
            reviewer: key.person().into(),
            shown_sha256: reviewed.shown_sha256.clone(),
            signature: None,
            signed_at: reviewed.signed_at,
            ticket: reviewed.ticket.clone(),
        };
        let statement = statement(view.approval, &view.call_sha256, &view.gates_sha256, &review);
        reviewed.signature = Some(key.sign(&statement));
    }
    let counted = place.answer(reviewed)?;
    match counted.resolution {
        Some(resolution @ (Resolution::Approved | Resolution::Denied | Resolution::Edited | Resolution::Withdrawn)) => {
            println!("{} is {resolution}", view.approval);
        }
        None => println!("{} is open", view.approval),
    }
    for standing in counted.standing {
        println!("  {}", spelt(&standing));
    }
    Ok(())
}
