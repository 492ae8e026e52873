//! `countersign mission`: what an owner writes, checked before it counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use evidence::record::{Direction, Effect};
use gateway::changes::Waits;
use gateway::classes::undefined_class;
use gateway::clock;
use gateway::control::{Answer, Ask};
use gateway::home::Home;
use gateway::missions::{Taken, Tried};
use gateway::organisation::{self, compile_within, read_organisation};
use gateway::rederive::{Forecasts, forecast_all};
use governance::classify::detect::Detector;
use governance::classify::own::OwnClasses;
use governance::decide::{Bounds, Cases, Example, PolicySnapshot, Proved, Versions, parse_cases};
use governance::limits::{CASES_BYTES_MAX, MISSION_BYTES_MAX};
use governance::mission::{self, Mission as Parsed};
use serde_json::json;
use store::Reader;

use super::audit::{harmless, visible};
use super::classes::own_classes;
use super::init::Init;
use super::tools::definitions;
use super::{Format, ask, counting, table};
use crate::exit_code::{Exit, Failure};

/// What missions are held to beside their own words.
#[derive(Args)]
pub(crate) struct Within {
    /// The organisation file whose groups, invariants and policies hold for the mission
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_ORGANISATION")]
    organisation: Option<PathBuf>,
}

impl Within {
    /// The organisation file of `home`, where another is not said.
    fn or_of(self, home: &Home) -> Self {
        let of_home = home.path().join(organisation::FILE);
        Self { organisation: self.organisation.or_else(|| of_home.exists().then_some(of_home)) }
    }

    fn bounds(&self) -> Result<Option<Arc<Bounds>>, Failure> {
        let read = self.organisation.as_deref().map(|file| read_organisation(file).map_err(Failure::no));
        Ok(read.transpose()?.map(Arc::new))
    }
}

/// Check and explain mission files
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign mission check missions/document-reader.toml
  countersign mission explain missions/document-reader.toml
  countersign mission test missions/document-reader.cases.toml
  countersign mission init --server files -- npx -y @modelcontextprotocol/server-filesystem /srv/docs > reader.toml
  countersign mission apply reader.toml
  countersign mission revoke pay-suppliers --why 'supplier list is being checked'
  countersign mission diff /etc/countersign/missions/reader.toml reader.toml
  countersign mission replay reader.toml --since 14d
  countersign mission compile missions/document-reader.toml")]
pub(crate) enum Mission {
    /// Take a mission file up in your name: what it changes is told and recorded
    Apply {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only say what would change; exits with 1 where it is wider
        #[arg(long)]
        dry_run: bool,
    },
    /// Check mission files: every problem with line, reason and suggestion
    ///
    /// Rules are compared with the accepted definitions of their tools, as far as the home knows them, and the organisation's own classes with its classes.toml.
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        within: Within,
    },
    /// Print the Cedar policies that a mission compiles to
    Compile {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        within: Within,
    },
    /// Say what a mission allows beyond another, with a call that shows it; exits with 1 where it is wider
    Diff {
        /// The file of the version in force
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The file of the version that would follow
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// How to write the changes [default: a table in a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
        #[command(flatten)]
        within: Within,
    },
    /// Say in plain sentences what a mission allows
    Explain {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        within: Within,
    },
    /// Start a server, ask for its tools, and print a mission that allows nothing yet
    Init(Init),
    /// Say what a mission file would have decided on the calls that are on record
    ///
    /// Each call of the mission is decided again by the file's rules, from what its record says was looked at then. Where the file's rules look at something else, it cannot
    /// be known, and that is said. What the home's organisation file demands holds for it too.
    Replay {
        /// The file of the version that would follow
        #[arg(value_name = "NEW")]
        file: PathBuf,
        /// How far back: a number of `m`inutes, `h`ours, `d`ays or `w`eeks
        #[arg(long, value_name = "AGE", default_value = "30d", value_parser = age)]
        since: i64,
        /// How to write it [default: a table in a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
        #[command(flatten)]
        within: Within,
    },
    /// Withdraw a mission's authority now, in every run, until another version is taken up
    Revoke {
        /// The mission
        #[arg(value_name = "NAME")]
        mission: String,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Decide the calls of files with cases, and compare with what they expect; nothing is executed
    ///
    /// The organisation's own classes are found as the home's classes.toml describes them.
    Test {
        /// The files with cases; each names its mission
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        within: Within,
    },
}

impl Mission {
    pub(crate) fn run(self, home: impl Fn() -> Result<Home, Failure>) -> Result<Exit, Failure> {
        match self {
            Self::Apply { file, dry_run } => apply(&home()?, &file, if dry_run { Tried::Only } else { Tried::ForGood }),
            Self::Revoke { mission, why } => {
                ask(&home()?, Ask::RevokeMission { mission: mission.clone(), why })?;
                println!("mission {mission} is revoked");
                Ok(Exit::Done)
            }
            Self::Replay { file, since, format, within } => {
                let home = home()?;
                let bounds = within.or_of(&home).bounds()?;
                replay(&home, &file, since, bounds.as_ref(), Format::or_fitting(format))
            }
            Self::Check { files, within } => {
                let bounds = within.bounds()?;
                let home = home().ok();
                let known = home.as_ref().map_or_else(|| Ok(BTreeMap::new()), definitions)?;
                let own = own_classes(home.as_ref())?;
                let sound = |file: &PathBuf| {
                    let (mission, _) = compiled(file, bounds.as_ref())?;
                    are_defined(begins(fits(mission, file, &known)?, file)?, file, own.as_deref())
                };
                let mut exit = Exit::Done;
                for file in &files {
                    match sound(file) {
                        Ok(mission) => {
                            println!(
                                "{}: mission `{}` is sound (sha256 {})",
                                file.display(),
                                mission.name(),
                                mission.sha256()
                            );
                            if let Some(warning) = mission::trifecta(&mission) {
                                println!("{}: warning: {warning}", file.display());
                            }
                            for (line, warning) in mission.ending_exceptions(clock::now()) {
                                println!("{}:{line}: warning: {warning}", file.display());
                            }
                        }
                        Err(Fault::Unsound(text)) => {
                            println!("{}", text.trim_end());
                            exit = Exit::No;
                        }
                        Err(Fault::Unread(failure)) => return Err(failure),
                    }
                }
                Ok(exit)
            }
            Self::Compile { file, within } => match compiled(&file, within.bounds()?.as_ref()) {
                Ok((_, snapshot)) => {
                    println!("{}", snapshot.cedar_all());
                    Ok(Exit::Done)
                }
                Err(fault) => Err(fault.into()),
            },
            Self::Diff { old, new, format, within } => {
                let bounds = within.bounds()?;
                let ((_, old), (_, new)) = (compiled(&old, bounds.as_ref())?, compiled(&new, bounds.as_ref())?);
                diff(&Versions { old: &old, new: &new }.changes(), Format::or_fitting(format))
            }
            Self::Explain { file, within } => {
                let (mission, _) = compiled(&file, within.bounds()?.as_ref())?;
                print!("{}", mission::explain(&mission));
                Ok(Exit::Done)
            }
            Self::Init(init) => init.run(home),
            Self::Test { files, within } => test(&files, within.bounds()?.as_ref(), own_classes(home().ok().as_ref())?),
        }
    }
}

/// Takes a mission file up, or says what that would change.
fn apply(home: &Home, file: &Path, tried: Tried) -> Result<Exit, Failure> {
    let path = std::path::absolute(file).map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
    let Answer::Taken(taken) = ask(home, Ask::ApplyMission { file: path, tried })? else {
        return Err(Failure::could_not("the gateway gave another answer"));
    };
    let Taken { difference, direction, from, mission, to, waits, would_ask } = taken;
    if from.as_ref() == Some(&to) {
        println!("mission {mission} is in force as it stands in the file (sha256 {to})");
        return Ok(Exit::Done);
    }
    for sentence in &difference {
        println!("{sentence}");
    }
    let way = direction.map_or("the same", Direction::as_str);
    if let Some(Waits { approval, until }) = waits {
        println!("mission {mission} waits for approval {approval} until {until} ({way}, sha256 {to})");
        println!("what was in force stays; `countersign approvals show {approval}` says what is asked");
        return Ok(Exit::No);
    }
    match tried {
        Tried::Only if would_ask.is_some() => {
            println!("mission {mission} would wait for {} ({way}, sha256 {to})", would_ask.unwrap_or_default());
            return Ok(Exit::No);
        }
        Tried::ForGood => println!("mission {mission} is taken up ({way}, sha256 {to})"),
        Tried::Only => println!("mission {mission} would be taken up ({way}, sha256 {to})"),
    }
    let is_wider = direction.is_some_and(Direction::is_wider);
    Ok(if tried == Tried::Only && is_wider { Exit::No } else { Exit::Done })
}

/// Writes the changes; the answer is no where one of them is wider.
fn diff(changes: &[Proved], format: Format) -> Result<Exit, Failure> {
    let example = |example: &Option<Example>| {
        example.as_ref().map(|Example { agent, arguments, at, call, words }| {
            let mut shown = json!({ "agent": agent, "arguments": arguments, "at": at, "call": call.to_string() });
            if let (Some(words), Some(members)) = (words, shown.as_object_mut()) {
                members.insert("words".to_owned(), words.as_str().into());
            }
            shown
        })
    };
    let short = |example: &Option<Example>| {
        let named = |example: &Example| if example.words.is_some() { ", as the initiator named it" } else { "" };
        let shown = |example: &Example| format!("{} {}{}", example.call, example.arguments, named(example));
        example.as_ref().map(shown).unwrap_or_default()
    };
    match format {
        Format::Json => {
            for Proved { change, newly_allowed, newly_denied } in changes {
                println!(
                    "{}",
                    json!({
                        "change": change.sentence,
                        "direction": change.direction,
                        "newly_allowed": example(newly_allowed),
                        "newly_denied": example(newly_denied),
                    })
                );
            }
        }
        Format::Csv => {
            let mut out = csv::Writer::from_writer(std::io::stdout().lock());
            out.write_record(DIFF_COLUMNS).map_err(Failure::could_not)?;
            for Proved { change, newly_allowed, newly_denied } in changes {
                let row =
                    [change.direction.to_string(), change.sentence.clone(), short(newly_allowed), short(newly_denied)];
                out.write_record(row).map_err(Failure::could_not)?;
            }
            out.flush().map_err(Failure::could_not)?;
        }
        Format::Table if changes.is_empty() => println!("The new version allows the same."),
        Format::Table => {
            let mut table = table(&DIFF_COLUMNS);
            for Proved { change, newly_allowed, newly_denied } in changes {
                let row =
                    [change.direction.to_string(), change.sentence.clone(), short(newly_allowed), short(newly_denied)];
                table.add_row(row);
            }
            println!("{table}");
        }
    }
    let is_wider = changes.iter().any(|proved| proved.change.direction.is_wider());
    Ok(if is_wider { Exit::No } else { Exit::Done })
}

const DIFF_COLUMNS: [&str; 4] = ["direction", "change", "newly allowed", "newly denied"];

/// An age in microseconds, as `90m`, `12h`, `30d` or `2w`.
fn age(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no age; write a number and `m`, `h`, `d` or `w`, as in `30d`");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let minutes: i64 = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        'w' => 7 * 24 * 60,
        _ => return Err(wrong()),
    };
    let number: u32 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| wrong())?;
    i64::from(number).checked_mul(minutes * 60_000_000).ok_or_else(wrong)
}

/// Says what the version in `file` would have decided on what is on record.
fn replay(home: &Home, file: &Path, since: i64, bounds: Option<&Arc<Bounds>>, format: Format) -> Result<Exit, Failure> {
    let (mission, new) = compiled(file, bounds)?;
    let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
    let progress = counting("calls");
    let since = clock::now().plus_micros(-since);
    let (found, lost) =
        forecast_all(home, &reader, &new, since, |done| progress.set_position(done)).map_err(Failure::could_not)?;
    progress.finish_and_clear();
    let word = |effect: Option<Effect>| effect.map_or_else(|| "unknown".to_owned(), |effect| effect.to_string());
    let newest = |forecasts: &Forecasts| match forecasts.newest {
        (_, Some(call)) => format!("call:{call}"),
        (seq, None) => format!("seq:{seq}"),
    };
    match format {
        Format::Json => {
            for it in &found {
                println!(
                    "{}",
                    json!({
                        "calls": it.calls,
                        "change": it.change(),
                        "newest": newest(it),
                        "now": word(it.now),
                        "tool": it.tool,
                        "was": it.was,
                        "why": it.sentence,
                    })
                );
            }
        }
        Format::Csv => {
            let mut out = csv::Writer::from_writer(std::io::stdout().lock());
            out.write_record(REPLAY_COLUMNS).map_err(Failure::could_not)?;
            for it in &found {
                out.write_record(replay_row(it, &word(it.now), newest(it)).map(harmless))
                    .map_err(Failure::could_not)?;
            }
            out.flush().map_err(Failure::could_not)?;
        }
        Format::Table => {
            let mut table = table(&REPLAY_COLUMNS);
            for it in &found {
                // A number fits into a line, and finds the same.
                let (seq, _) = it.newest;
                table.add_row(replay_row(it, &word(it.now), format!("seq:{seq}")).map(visible));
            }
            if !found.is_empty() {
                println!("{table}");
            }
        }
    }
    for (why, calls) in &lost {
        eprintln!("{calls} calls could not be compared: {why}");
    }
    let of = |change: &str| found.iter().filter(|it| it.change() == change).map(|it| it.calls).sum::<u64>();
    let all: u64 = found.iter().map(|it| it.calls).sum();
    eprintln!(
        "mission {}: {all} calls since {since}: {} the same, {} newly denied, {} newly asked, {} newly allowed, {} unknown",
        mission.name(),
        of("same"),
        of("newly denied"),
        of("newly asked"),
        of("newly allowed"),
        of("unknown"),
    );
    Ok(Exit::Done)
}

const REPLAY_COLUMNS: [&str; 7] = ["change", "calls", "tool", "was", "now", "why", "newest"];

fn replay_row(it: &Forecasts, now: &str, newest: String) -> [String; 7] {
    let Forecasts { calls, sentence, tool, was, .. } = it;
    [it.change().to_owned(), calls.to_string(), tool.clone(), was.to_string(), now.to_owned(), sentence.clone(), newest]
}

/// Decides all cases of all files: one line for each that is not decided as expected, and one for each file.
fn test(files: &[PathBuf], bounds: Option<&Arc<Bounds>>, own: Option<Arc<OwnClasses>>) -> Result<Exit, Failure> {
    let mut detector = Detector::default();
    if let Some(own) = &own {
        detector = detector.with_own(own.clone());
    }
    let mut exit = Exit::Done;
    for file in files {
        let shown = file.display();
        let source = read(file, CASES_BYTES_MAX)?;
        let Cases { cases, mission } =
            parse_cases(&source).map_err(|error| Failure::usage(format!("{shown}:{error}")))?;
        let mission = file.parent().unwrap_or(Path::new("")).join(mission);
        let (parsed, policy) = compiled(&mission, bounds)?;
        are_defined(parsed, &mission, own.as_deref())?;
        let mut met = 0;
        for case in &cases {
            if let Some(unknown) = case.unknown(&policy) {
                println!("{shown}:{}: {}: {unknown}", case.line, case.name);
                continue;
            }
            let decision = case.decide(&policy, &detector);
            if case.expect.is_met(&decision) {
                met += 1;
                continue;
            }
            let reasons: Vec<&str> = decision.reasons.iter().map(|reason| reason.code()).collect();
            let with = if reasons.is_empty() { String::new() } else { format!(" with `{}`", reasons.join("`, `")) };
            println!(
                "{shown}:{}: {}: {}{with} ({}), and {} is expected",
                case.line, case.name, decision.effect, decision.sentence, case.expect
            );
        }
        println!("{shown}: {met} of {} cases are decided as expected", cases.len());
        if met < cases.len() {
            exit = Exit::No;
        }
    }
    Ok(exit)
}

/// The mission, where what servers say of its tools does not contradict it.
fn fits(
    mission: Arc<Parsed>,
    file: &Path,
    known: &BTreeMap<(String, String), serde_json::Value>,
) -> Result<Arc<Parsed>, Fault> {
    match mission::misfits(&mission, known) {
        None => Ok(mission),
        Some(error) => Err(Fault::Unsound(error.render(&file.display().to_string()))),
    }
}

/// The mission, where the own classes that it speaks of are there; nothing is said against it where nobody here has described any, but that.
fn are_defined(mission: Arc<Parsed>, file: &Path, own: Option<&OwnClasses>) -> Result<Arc<Parsed>, Fault> {
    let shown = file.display().to_string();
    match (undefined_class(mission.own_classes(), &shown, own), own) {
        (None, _) => {}
        (Some(error), Some(_)) => return Err(Fault::Unsound(error)),
        (Some(_), None) => {
            println!(
                "{shown}: warning: its own classes are not looked for here: the home has no classes.toml (--home DIR)"
            );
        }
    }
    Ok(mission)
}

/// The mission, where its exceptions are ones that could begin now, or began before.
fn begins(mission: Arc<Parsed>, file: &Path) -> Result<Arc<Parsed>, Fault> {
    let unfit = mission.unfit_exceptions(Some(&mission), clock::now());
    let lines = unfit.iter().map(|(line, sentence)| format!("{}:{line}:1: {sentence}\n", file.display()));
    if unfit.is_empty() { Ok(mission) } else { Err(Fault::Unsound(lines.collect())) }
}

pub(super) enum Fault {
    Unread(Failure),
    Unsound(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unread(failure) => failure,
            Fault::Unsound(text) => Self::no(text),
        }
    }
}

/// The text of a file of at most `bytes_max`.
fn read(file: &Path, bytes_max: usize) -> Result<String, Failure> {
    let unread = |why: &dyn std::fmt::Display| Failure::usage(format!("read `{}`: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| unread(&error))?.len();
    if size > bytes_max as u64 {
        return Err(unread(&format!("it is larger than {bytes_max} bytes")));
    }
    std::fs::read_to_string(file).map_err(|error| unread(&error))
}

pub(super) fn compiled(file: &Path, bounds: Option<&Arc<Bounds>>) -> Result<(Arc<Parsed>, PolicySnapshot), Fault> {
    let source = read(file, MISSION_BYTES_MAX).map_err(Fault::Unread)?;
    let shown = file.display().to_string();
    let mission = mission::parse(&source).map_err(|error| Fault::Unsound(error.render(&shown)))?;
    let snapshot = compile_within(&mission, bounds, &shown).map_err(Fault::Unsound)?;
    Ok((snapshot.mission().clone(), snapshot))
}
