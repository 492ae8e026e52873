//! `countersign approvals`: what people are asked, and what they answer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use evidence::approvals::statement;
use evidence::ids::ApprovalId;
use evidence::record::approval::{Answer as Answered, Assurance, Resolution, Review};
use evidence::record::{Body, Status};
use evidence::time::Timestamp;
use gateway::approvals::{ApprovalState, ApprovalView, Page, Reviewed, Wanted};
use gateway::attachments::Attachments;
use gateway::clock;
use gateway::control::{Answer, Ask};
use gateway::device::DeviceKey;
use gateway::home::Home;
use gateway::limits::PAGE_MAX;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use store::{Order, Reader};

use super::tools::shown as spelt;
use super::{Format, ask, table};
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
  countersign approvals break-glass 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --ticket INC-4711 --why 'the account is being emptied' \\
      --key ~/otto.key
  countersign approvals release 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'the order is cancelled'
  countersign approvals revoke 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'paid by hand'

An ID may be cut short, as long as only one approval begins so. The passphrase of a key is asked for, or read from
COUNTERSIGN_PASSPHRASE.")]
pub(crate) enum Approvals {
    /// List what is open, identical questions of several runs in one line; everything with --all
    List(List),
    /// Show one: what would happen, why it is asked, who answered
    Show(Show),
    /// Write a line for each question as it is asked, and again as it is reminded of, until you stop it
    Watch,
    /// Say yes
    Approve(Say),
    /// Say no: the call does not run
    Deny(Say),
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
    },
    /// Take back what was granted and is not used yet
    Revoke {
        /// Which
        #[arg(value_name = "ID")]
        approval: String,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT")]
        why: String,
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
}

#[derive(Args)]
pub(crate) struct Show {
    /// Which
    #[arg(value_name = "ID")]
    approval: String,
    /// How to write it [default: text in a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
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
    /// The file of your key; without one you answer as the operating system knows you, which most gates do not take
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEY")]
    key: Option<PathBuf>,
    /// For whom you stand in while they are away
    #[arg(long, value_name = "PERSON")]
    on_behalf_of: Option<String>,
}

impl Approvals {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let (answer, say) = match self {
            Self::List(list) => return list.run(home),
            Self::Show(show) => return show.run(home),
            Self::Watch => return watch(home),
            Self::Release { approval, why } => {
                let approval = find(home, &approval)?.approval;
                let Answer::Released(is) = ask(home, Ask::ReleaseApproval { approval, why })? else {
                    return Err(Failure::could_not("the gateway answered with something else"));
                };
                println!("{approval} {is}");
                return Ok(Exit::Done);
            }
            Self::Revoke { approval, why } => {
                let approval = find(home, &approval)?.approval;
                ask(home, Ask::RevokeApproval { approval, why })?;
                println!("{approval} revoked");
                return Ok(Exit::Done);
            }
            Self::Approve(say) => (Answered::Approve, say),
            Self::Deny(say) => (Answered::Deny, say),
            Self::Ask(say) => (Answered::Ask, say),
            Self::BreakGlass { say, ticket } => return say.run(home, Answered::BreakGlass, Some(ticket)),
            Self::Recuse(say) => (Answered::Recuse, say),
            Self::Withdraw(say) => (Answered::Withdraw, say),
        };
        say.run(home, answer, None)
    }
}

/// One page of the approvals of the home.
fn page(home: &Home, wanted: Wanted) -> Result<Page, Failure> {
    match ask(home, Ask::Approvals(wanted))? {
        Answer::Approvals(page) => Ok(page),
        answer => Err(Failure::could_not(format!("the gateway answered with something else: {answer:?}"))),
    }
}

/// Every approval that is wanted, page after page.
fn pages(home: &Home, mut wanted: Wanted, mut each: impl FnMut(ApprovalView)) -> Result<(), Failure> {
    wanted.limit = PAGE_MAX;
    loop {
        let page = page(home, wanted.clone())?;
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
fn watch(home: &Home) -> Result<Exit, Failure> {
    let mut seen: BTreeMap<ApprovalId, Timestamp> = BTreeMap::new();
    let (mut after, mut reminded, mut round) = (None, BTreeMap::new(), 0_u64);
    loop {
        let wanted = Wanted { after, state: Some(ApprovalState::Open), ..Wanted::default() };
        pages(home, wanted, |view| {
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
            pages(home, Wanted { state: Some(ApprovalState::Open), ..Wanted::default() }, |view| {
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
fn find(home: &Home, start: &str) -> Result<ApprovalView, Failure> {
    let wanted = Wanted { begins: Some(start.to_owned()), limit: 2, ..Wanted::default() };
    let mut found = page(home, wanted)?.approvals;
    match (found.pop(), found.pop()) {
        (Some(view), None) => Ok(view),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("more than one approval begins with `{start}`; write more of it")))
        }
        (None, _) => {
            Err(Failure::no(format!("there is no approval `{start}`; `countersign approvals list --all` shows them")))
        }
    }
}

/// What reviewers are shown, in the bytes of its digest.
fn shown(home: &Home, view: &ApprovalView) -> Result<Vec<u8>, Failure> {
    let kept = Attachments::of(home).read(&view.shown_sha256).map_err(Failure::could_not)?;
    kept.ok_or_else(|| Failure::could_not(format!("what `{}` shows is not in this home", view.approval)))
}

/// What makes questions of several runs the same.
fn identity(view: &ApprovalView) -> [String; 5] {
    let ApprovalView { agent, args_sha256, initiator, mission, tool, .. } = view;
    [tool, args_sha256, mission, agent, initiator].map(Clone::clone)
}

impl List {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let state = if self.all { None } else { Some(ApprovalState::Open) };
        let wanted = Wanted { state, ..Wanted::default() };
        match Format::or_fitting(self.format) {
            Format::Json => pages(home, wanted, |view| println!("{}", serde_json::json!(view)))?,
            Format::Csv | Format::Table => {
                // Of questions that are identical but for their run, the oldest stands for all.
                let (mut rows, mut places) = (Vec::<(ApprovalView, u64)>::new(), BTreeMap::new());
                pages(home, wanted, |view| {
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
                        visible(view.agent),
                        visible(view.initiator),
                        until(view.respond_by),
                        view.standing.join("; "),
                    ]);
                }
                println!("{table}");
            }
        }
        Ok(Exit::Done)
    }
}

/// Something that the run executed before.
#[derive(Serialize)]
struct Before {
    at: Timestamp,
    /// Whether it was the same tool with the same arguments.
    is_same: bool,
    status: Status,
    tool: String,
}

/// What the run of a question executed before, the last ones.
fn before(home: &Home, shown: &Value) -> Result<Vec<Before>, Failure> {
    const SHOWN: usize = 10;
    let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default();
    let args_sha256 = evidence::leaf::sha256_hex(text("arguments").as_bytes());
    let filter = format!("type:action_record run:{}", text("run")).parse().map_err(Failure::could_not)?;
    let mut before = Vec::new();
    let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
    let visited = reader.visit(&filter, Order::NewestFirst, |record| {
        if let Body::Action(action) = &record.body
            && let Some(status) = action.status.filter(|status| *status != Status::NotExecuted)
        {
            let tool = action.tool.to_string();
            let is_same = action.args_sha256 == args_sha256 && tool == text("tool");
            before.push(Before { at: record.recorded_at, is_same, status, tool });
        }
        if before.len() < SHOWN { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    visited.map_err(Failure::could_not)?;
    before.reverse();
    Ok(before)
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

impl Show {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let view = find(home, &self.approval)?;
        let shown: Value = serde_json::from_slice(&shown(home, &view)?).map_err(Failure::could_not)?;
        let before = before(home, &shown)?;
        if Format::or_fitting(self.format) == Format::Json {
            println!("{}", serde_json::json!({ "approval": view, "before": before, "shown": shown }));
            return Ok(Exit::Done);
        }
        let text = |name: &str| spelt(shown.get(name).and_then(Value::as_str).unwrap_or_default());
        println!("{} is {}", view.approval, view.state.as_str());
        println!();
        println!("  {} would call {}", text("agent"), text("tool"));
        println!("  for {}, in mission {} ({})", text("initiator"), text("mission"), text("goal"));
        println!();
        println!("  with");
        let arguments = shown.get("arguments").and_then(Value::as_str).unwrap_or_default();
        for (name, value) in serde_json::from_str::<BTreeMap<String, &RawValue>>(arguments).unwrap_or_default() {
            println!("    {} = {}", spelt(&name), as_sent(value));
        }
        println!();
        println!("  asked because {}", text("why"));
        println!("  asked at {}, answer by {}", until(view.asked_at), until(view.respond_by));
        println!();
        for gate in shown.get("gates").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            println!("  gate {}", spelt(gate));
        }
        for standing in &view.standing {
            println!("  {standing}");
        }
        for review in &view.reviews {
            println!("  {}: {} ({})", review.reviewer, review.answer, spelt(&review.reason));
        }
        println!();
        if before.is_empty() {
            println!("  this run has executed nothing yet");
        }
        for ran in before {
            let same = if ran.is_same { ", with the very same arguments" } else { "" };
            println!("  {} {}: {}{same}", until(ran.at), visible(ran.tool), ran.status);
        }
        Ok(Exit::Done)
    }
}

impl Say {
    fn run(self, home: &Home, answer: Answered, ticket: Option<String>) -> Result<Exit, Failure> {
        let mut views = Vec::new();
        for start in &self.approvals {
            views.push(find(home, start)?);
        }
        if self.same {
            let wanted: BTreeSet<_> = views.iter().map(identity).collect();
            let known: BTreeSet<ApprovalId> = views.iter().map(|view| view.approval).collect();
            pages(home, Wanted { state: Some(ApprovalState::Open), ..Wanted::default() }, |view| {
                if wanted.contains(&identity(&view)) && !known.contains(&view.approval) {
                    views.push(view);
                }
            })?;
        }
        let key = self.key.as_deref().map(super::people::open).transpose()?;
        let mut said = Ok(Exit::Done);
        for view in &views {
            match self.say(home, view, key.as_ref(), answer, ticket.clone()) {
                Ok(()) => {}
                Err(failure) if views.len() == 1 => return Err(failure),
                Err(failure) => {
                    eprintln!("{} is as it was", view.approval);
                    let _code = failure.tell();
                    said = Err(Failure::no("not all of them took the answer"));
                }
            }
        }
        said
    }

    fn say(
        &self,
        home: &Home,
        view: &ApprovalView,
        key: Option<&DeviceKey>,
        answer: Answered,
        ticket: Option<String>,
    ) -> Result<(), Failure> {
        // What is signed is what is here, and not what the gateway says is here.
        let shown_sha256 = evidence::leaf::sha256_hex(&shown(home, view)?);
        let mut reviewed = Reviewed {
            answer,
            approval: view.approval,
            key: key.map(DeviceKey::id),
            nonce: clock::nonce(),
            on_behalf_of: self.on_behalf_of.clone(),
            reason: self.why.clone(),
            reviewer: key.map(|key| key.person().to_owned()),
            shown_sha256,
            signature: None,
            signed_at: clock::now(),
            ticket,
        };
        if let Some(key) = key {
            let review = Review {
                answer,
                assurance: Assurance::DeviceKey,
                channel: String::new(),
                groups: Vec::new(),
                key: None,
                nonce: reviewed.nonce.clone(),
                on_behalf_of: reviewed.on_behalf_of.clone().map(Into::into),
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
        let counted = match ask(home, Ask::Review(Box::new(reviewed)))? {
            Answer::Counted(counted) => counted,
            answer => return Err(Failure::could_not(format!("the gateway answered with something else: {answer:?}"))),
        };
        match counted.resolution {
            Some(resolution @ (Resolution::Approved | Resolution::Denied | Resolution::Withdrawn)) => {
                println!("{} is {resolution}", view.approval);
            }
            None => println!("{} is open", view.approval),
        }
        for standing in counted.standing {
            println!("  {standing}");
        }
        Ok(())
    }
}
