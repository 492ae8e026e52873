//! A person's part, played by a program: each question is answered with a yes as soon as it is asked, and signed with the person's own key.
//!
//! For runs that show what waiting for people changes for clients: nothing. It asks over the home's socket and signs as the command line does. Start at [`run`].

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use evidence::approvals::statement;
use evidence::ids::ApprovalId;
use evidence::record::approval::{Answer as Says, Assurance, Review};
use gateway::approvals::{ApprovalState, ApprovalView, Reviewed, Wanted};
use gateway::bridge::Connection;
use gateway::clock;
use gateway::control::{Answer, Ask};
use gateway::device::DeviceKey;
use gateway::home::Home;
use gateway::limits::PAGE_MAX;
use tokio::time::sleep;

use crate::limits::ANSWER_EVERY;

/// Answer every question with a yes, as soon as it is asked
#[derive(Debug, Parser)]
pub struct Options {
    /// The gateway's home
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The file of the person's key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What opens the key
    #[arg(long, env = "COUNTERSIGN_PASSPHRASE", hide_env_values = true, value_name = "TEXT")]
    passphrase: String,
}

/// Answers until the gateway is gone. Says `ready` once it looks for questions.
///
/// # Errors
/// When the key does not open, or an answer is refused.
pub async fn run(options: &Options) -> Result<()> {
    let home = Home::find(Some(options.home.clone()))?;
    let key = DeviceKey::open(&options.key, &options.passphrase)?;
    println!("ready");
    let mut after: Option<ApprovalId> = None;
    loop {
        let wanted = Wanted { after, limit: PAGE_MAX, state: Some(ApprovalState::Open), ..Wanted::default() };
        let Some(answer) = ask(&home, &Ask::Approvals(wanted)).await? else { return Ok(()) };
        let Answer::Approvals(page) = answer else { bail!("asked for what is open, the gateway said {answer:?}") };
        for approval in &page.approvals {
            let Some(answer) = ask(&home, &Ask::Review(Box::new(yes(&key, approval)))).await? else { return Ok(()) };
            // Whoever asked may have taken it back meanwhile.
            if !matches!(answer, Answer::Counted(_) | Answer::Refused(_)) {
                bail!("answered about {}, the gateway said {answer:?}", approval.approval);
            }
        }
        after = page.next;
        sleep(ANSWER_EVERY).await;
    }
}

/// What the gateway says; `None` where none runs any more.
async fn ask(home: &Home, ask: &Ask) -> Result<Option<Answer>> {
    let Some(mut connection) = Connection::find(home).await? else { return Ok(None) };
    Ok(Some(connection.ask(ask).await.context("ask the gateway")?))
}

/// A signed yes.
fn yes(key: &DeviceKey, approval: &ApprovalView) -> Reviewed {
    let mut review = Review {
        answer: Says::Approve,
        assurance: Assurance::DeviceKey,
        channel: String::new(),
        groups: Vec::new(),
        key: None,
        nonce: clock::nonce(),
        on_behalf_of: None,
        proposed_sha256: None,
        reason: "as every call of this run".to_owned(),
        reviewer: key.person().into(),
        shown_sha256: approval.shown_sha256.clone(),
        signature: None,
        signed_at: clock::now(),
        ticket: None,
    };
    let signed = key.sign(&statement(approval.approval, &approval.call_sha256, &approval.gates_sha256, &review));
    review.signature = Some(signed);
    Reviewed {
        answer: review.answer,
        approval: approval.approval,
        key: Some(key.id()),
        nonce: review.nonce,
        on_behalf_of: None,
        proposed: None,
        reason: review.reason,
        reviewer: Some(key.person().to_owned()),
        shown_sha256: review.shown_sha256,
        signature: review.signature,
        signed_at: review.signed_at,
        ticket: None,
    }
}
