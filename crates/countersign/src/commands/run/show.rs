//! `countersign run show`: one run as a picture of the whole.

use comfy_table::Table;
use evidence::ids::RunId;
use evidence::time::Timestamp;
use gateway::home::Home;
use gateway::runs::picture::{Picture, picture};
use store::{ReadError, Reader};

use crate::commands::audit::visible;
use crate::commands::{Format, table};
use crate::exit_code::{Exit, Failure};

/// Shows `run` as the ledger has it, whether it is open or over.
pub(super) fn show(home: &Home, run: RunId, format: Format) -> Result<Exit, Failure> {
    let unknown = || Failure::no(format!("no run {run}; `countersign run list` shows those that are open"));
    let reader = match Reader::open(home.path()) {
        Err(ReadError::Absent) => return Err(unknown()),
        reader => reader.map_err(Failure::could_not)?,
    };
    let picture = picture(&reader, run).map_err(Failure::could_not)?.ok_or_else(unknown)?;
    match format {
        Format::Json => println!("{}", serde_json::to_string(&picture).map_err(Failure::could_not)?),
        Format::Csv => return Err(Failure::usage("a run is no list; write `--format json` or `--format table`")),
        Format::Table => print(&picture),
    }
    Ok(Exit::Done)
}

/// Whole seconds read better; exact times are in the JSON.
fn moment(at: Timestamp) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ")
}

fn print(picture: &Picture) {
    let Picture { agent, initiator, .. } = picture;
    let joined = |parts: Vec<String>| if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
    let version = agent.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let authenticated = serde_json::to_value(initiator.authenticated).unwrap_or_default();
    let (ends, how) = match (picture.ended_at, &picture.why) {
        (Some(at), Some(why)) => (moment(at), why.clone()),
        _ => (moment(picture.expires_at), picture.standing.as_str().to_owned()),
    };
    let versions = picture.versions.iter().map(|version| {
        let sha256: String = version.sha256.chars().take(12).collect();
        format!("{sha256} from {} ({} decisions)", moment(version.first_at), version.decisions)
    });
    let calls = picture.calls.iter().map(|(what, count)| format!("{count} {what}"));
    let servers = picture.servers.iter().map(|(server, count)| format!("{server} ({count})"));
    let rows = [
        ("run", picture.run.to_string()),
        ("mission", picture.mission.to_string()),
        ("versions", joined(versions.collect())),
        ("agent", format!("{}{version}", agent.name)),
        ("initiator", format!("{} ({})", initiator.name, authenticated.as_str().unwrap_or_default())),
        ("began", format!("{} by {}", moment(picture.opened_at), picture.started_by)),
        (if picture.ended_at.is_some() { "ended" } else { "until" }, format!("{ends}: {how}")),
        ("servers", joined(servers.collect())),
        ("calls", joined(calls.collect())),
        ("content opened", format!("{} times", picture.contents_opened)),
    ];
    for (name, value) in rows {
        println!(" {name:<14}  {}", visible(value));
    }
    let classes = picture.classes.iter().map(|(class, first)| {
        [class.to_string(), moment(first.at), first.content.to_string(), first.tool.clone(), first.call.to_string()]
    });
    list("Classes of data that it met", &["class", "first met", "in", "tool", "call"], classes);
    let approvals = picture
        .approvals
        .iter()
        .map(|asked| [asked.approval.to_string(), moment(asked.asked_at), asked.tool.clone(), asked.state.to_owned()]);
    list("Approvals", &["approval", "asked", "tool", "state"], approvals);
    let exceptions = picture.exceptions.iter().map(|known| {
        let state = if known.is_closed { "closed" } else { "open" };
        [known.exception.to_string(), known.kind.to_string(), state.to_owned(), known.reason.clone()]
    });
    list("Exceptions", &["exception", "kind", "state", "reason"], exceptions);
    let of = |what: &str, ids: Vec<String>| ids.into_iter().map(move |id| [what.to_owned(), id]).collect::<Vec<_>>();
    let waits = [
        of("people have not answered", picture.open.approvals.iter().map(ToString::to_string).collect()),
        of("the call is under way", picture.open.calls.iter().map(ToString::to_string).collect()),
        of("the exception is not closed", picture.open.exceptions.iter().map(ToString::to_string).collect()),
    ];
    list("Open", &["what", "id"], waits.into_iter().flatten());
    if picture.left_out > 0 {
        println!(
            "\n{} further entries are left out; `countersign audit run:{}` has all",
            picture.left_out, picture.run
        );
    }
}

/// A table with a heading, where there is anything in it.
fn list<const COLUMNS: usize>(heading: &str, columns: &[&str; COLUMNS], rows: impl Iterator<Item = [String; COLUMNS]>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let mut table: Table = table(columns);
    table.add_rows(rows.map(|row| row.map(visible)));
    println!("\n{heading}\n{table}");
}
