//! `countersign doctor`: what is wrong here and how to mend it.

use clap::Args;
use gateway::bridge::Connection;
use gateway::control::{Answer, Ask, Status};
use gateway::cosigning::{CosigningView, WitnessView};
use gateway::halts::Halts;
use gateway::home::Home;
use store::{Reader, fsck};

use super::block_on;
use crate::exit_code::{Exit, Failure};

/// Say what is wrong here and how to mend it
#[derive(Args)]
#[command(after_help = "Examples:
  countersign doctor
  countersign doctor --home /var/lib/countersign")]
pub(crate) struct Doctor {}

/// One thing that was looked at.
struct Finding {
    mend: Option<String>,
    what: &'static str,
    state: String,
}

impl Finding {
    fn well(what: &'static str, state: impl ToString) -> Self {
        Self { mend: None, what, state: state.to_string() }
    }

    fn ill(what: &'static str, state: impl ToString, mend: impl ToString) -> Self {
        Self { mend: Some(mend.to_string()), what, state: state.to_string() }
    }
}

impl Doctor {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let mut findings = vec![look_at_home(home)];
        let status = block_on(status(home))?;
        findings.extend(look_at_gateway(home, &status));
        if home.path().join("ledger").is_dir() {
            findings.push(look_at_ledger(home));
        } else {
            findings.push(Finding::well("ledger", "none yet; the first call begins it"));
        }
        let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or_default();
        let mut exit = Exit::Done;
        for finding in &findings {
            let mark = if finding.mend.is_some() { "!!" } else { "ok" };
            println!("{mark}  {:width$}  {}", finding.what, finding.state);
            if let Some(mend) = &finding.mend {
                println!("    {:width$}  mend: {mend}", "");
                exit = Exit::No;
            }
        }
        Ok(exit)
    }
}

fn look_at_home(home: &Home) -> Finding {
    let path = home.path().display();
    if !home.path().exists() {
        return Finding::well("home", format!("{path} does not exist yet; the first command that needs it makes it"));
    }
    match home.prepare() {
        Ok(()) => Finding::well("home", format!("{path} is yours alone")),
        Err(error) => Finding::ill("home", &error, "see above"),
    }
}

async fn status(home: &Home) -> Result<Option<Status>, String> {
    let connection = Connection::find(home).await.map_err(|error| error.to_string())?;
    let Some(mut connection) = connection else { return Ok(None) };
    match connection.ask(&Ask::Status).await.map_err(|error| error.to_string())? {
        Answer::Status(status) => Ok(Some(status)),
        answer => Err(format!("it answered with something else: {answer:?}")),
    }
}

fn look_at_gateway(home: &Home, status: &Result<Option<Status>, String>) -> Vec<Finding> {
    let status = match status {
        Ok(Some(status)) => status,
        Ok(None) => {
            let mut findings =
                vec![Finding::well("gateway", "none runs on this home; bridges start one when they need it")];
            // Where the ledger cannot be read, its own finding says so.
            let halts = Reader::open(home.path()).ok().and_then(|reader| Halts::restore(&reader).ok());
            findings.extend(halts.iter().flat_map(Halts::list).map(|halt| halted(&halt)));
            return findings;
        }
        Err(error) => {
            return vec![Finding::ill("gateway", error, "stop the gateway process of this home and start it again")];
        }
    };
    let mut findings = Vec::new();
    let state = format!(
        "process {} is {}, {} runs open, missions: {}",
        status.pid,
        status.readiness,
        status.runs,
        status.missions.join(", ")
    );
    findings.push(if status.readiness == "ready" {
        Finding::well("gateway", state)
    } else {
        Finding::ill(
            "gateway",
            state,
            "make room on the disk or mend it, then restart the gateway; nothing executes until then",
        )
    });
    let ours = env!("CARGO_PKG_VERSION");
    if status.version != ours {
        findings.push(Finding::ill(
            "version",
            format!("the gateway is {}, this command is {ours}", status.version),
            "restart the gateway",
        ));
    }
    findings.extend(status.halts.iter().map(halted));
    findings.extend(status.cosigning.iter().flat_map(look_at_witnesses));
    findings
}

fn look_at_witnesses(view: &CosigningView) -> Vec<Finding> {
    let CosigningView { cosigned, need, signed, witnesses } = view;
    let state =
        format!("record {cosigned} of {signed} is cosigned; {need} of {} witnesses are needed", witnesses.len());
    let well = witnesses.iter().filter(|witness| witness.trouble.is_none()).count();
    let mend = "see below; the log goes on, and what is not cosigned says so";
    let mut findings =
        vec![if well >= *need { Finding::well("witnesses", state) } else { Finding::ill("witnesses", state, mend) }];
    for WitnessView { at, cosigned, name, trouble } in witnesses {
        let last = at.map_or_else(|| "never cosigned".to_owned(), |at| format!("cosigned record {cosigned} at {at}"));
        findings.push(match trouble {
            None => Finding::well("witness", format!("{name}: {last}")),
            Some(trouble) => Finding::ill("witness", format!("{name}: {last}"), trouble),
        });
    }
    findings
}

fn halted((scope, why): &(String, String)) -> Finding {
    let mend = format!("when it is over: countersign resume {} --why '...'", flags(scope));
    Finding::ill("halt", format!("{scope} is halted: {why}"), mend)
}

fn flags(scope: &str) -> String {
    scope.split_once(':').map_or_else(|| "--all".to_owned(), |(kind, name)| format!("--{kind} {name}"))
}

fn look_at_ledger(home: &Home) -> Finding {
    match fsck(home.path()) {
        Ok(report) if report.is_sound() => Finding::well("ledger", format!("{} records verify", report.records())),
        Ok(report) => {
            Finding::ill("ledger", report.to_string(), "keep a copy of the home, then see docs/operations/recovery.md")
        }
        Err(error) => Finding::ill("ledger", error, "see docs/operations/recovery.md"),
    }
}
