//! `countersign classify`: what a text holds that is somebody's business.

use std::io::{BufRead, IsTerminal, Read, Write};

use clap::Args;
use gateway::home::Home;
use governance::classify::detect::{Detector, Finding, Stream, THRESHOLD};
use serde_json::{Value, json};

use super::classes::own_classes;
use super::table;
use crate::exit_code::{Exit, Failure};

/// The longest line of JSON: the largest text that a tool returns, escaped.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How much is read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// How much of a text a terminal is shown.
const SHOWN_BYTES_MAX: usize = 64 * 1024;

/// The most findings in a table for people.
const ROWS_MAX: usize = 200;

/// Find secrets, personal and payment data in a text
#[derive(Args)]
#[command(after_help = "Examples:
  countersign classify < answer.json
  kubectl get configmap app -o yaml | countersign classify
  countersign classify --jsonl < texts.jsonl > findings.jsonl
  countersign classify --threshold 0.8 < export.csv
  echo 'Project Falcon is late' | countersign --home /srv/countersign classify

Reads standard input. With --jsonl each line is {\"id\": ..., \"text\": \"...\"} and gives one line
{\"id\": ..., \"findings\": [{\"class\", \"kind\", \"start\", \"end\", \"confidence\"}], \"complete\": true}; without it all of the input is one text of
any length, and `id` is null. `start` and `end` are bytes of the text. Where `complete` is false, the text took more work than it may, and what was not found
may be there. The organisation's own classes of classes.toml in the home are looked for too: class `org`, and what is of one may be of
another as well. In a terminal the text is shown with the findings marked.")]
pub(crate) struct Classify {
    /// Read lines of JSON with an `id` and a `text` each
    #[arg(long)]
    jsonl: bool,
    /// How sure a finding is at least, from 0.01 to 1
    #[arg(long, value_name = "CONFIDENCE", default_value_t = f64::from(THRESHOLD) / 100.0)]
    threshold: f64,
}

impl Classify {
    pub(crate) fn run(self, home: Option<&Home>) -> Result<Exit, Failure> {
        if !(0.01..=1.0).contains(&self.threshold) {
            return Err(Failure::usage(format!("a threshold is from 0.01 to 1, not `{}`", self.threshold)));
        }
        // Between 1 and 100 by the check above.
        let mut detector = Detector::with_threshold((self.threshold * 100.0).round() as u8);
        if let Some(own) = own_classes(home)? {
            detector = detector.with_own(own);
        }
        let mut input = std::io::stdin().lock();
        let found = if self.jsonl {
            lines(&detector, &mut input)
        } else if std::io::stdout().is_terminal() {
            shown(&detector, &mut input)
        } else {
            whole(&detector, &mut input)
        };
        match found {
            // Who reads us has read enough.
            Err(Stop::Written(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            Err(Stop::Written(error)) => Err(error.into()),
            Err(Stop::Told(failure)) => Err(failure),
            Ok(()) => Ok(Exit::Done),
        }
    }
}

/// Why it ended early.
enum Stop {
    Told(Failure),
    Written(std::io::Error),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Written(error)
    }
}

fn could_not_read(error: std::io::Error) -> Stop {
    Stop::Told(Failure::could_not(format!("cannot read standard input: {error}")))
}

fn lines(detector: &Detector, input: &mut impl BufRead) -> Result<(), Stop> {
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line).map_err(could_not_read)?;
        if line.is_empty() {
            break;
        }
        let told = |what: &str| Stop::Told(Failure::usage(format!("line {number}: {what}")));
        if line.len() as u64 > LINE_BYTES_MAX {
            return Err(told(&format!("longer than {LINE_BYTES_MAX} bytes; give long texts without --jsonl")));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let item: Value = serde_json::from_slice(&line).map_err(|error| told(&format!("not JSON: {error}")))?;
        let text = item
            .get("text")
            .and_then(Value::as_str)
            .ok_or_else(|| told("no `text` that is a string; a line is {\"id\": ..., \"text\": \"...\"}"))?;
        let scan = detector.scan(text.as_bytes());
        let findings: Vec<Value> = scan.findings().iter().map(told_of).collect();
        writeln!(output, "{}", json!({"id": item.get("id"), "findings": findings, "complete": scan.is_complete()}))?;
    }
    output.flush()?;
    Ok(())
}

fn told_of(found: &Finding) -> Value {
    json!({
        "class": found.kind.class.name(),
        "kind": found.kind.name,
        "start": found.start,
        "end": found.end,
        "confidence": f64::from(found.confidence) / 100.0,
    })
}

/// One text of any length, in constant memory: each finding is written when it is known.
fn whole(detector: &Detector, input: &mut impl Read) -> Result<(), Stop> {
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    write!(output, "{{\"id\":null,\"findings\":[")?;
    let mut count = 0;
    let complete = streamed(
        detector,
        input,
        |_| {},
        |found| {
            write!(output, "{}{}", if count == 0 { "" } else { "," }, told_of(found))?;
            count += 1;
            Ok(())
        },
    )?;
    writeln!(output, "],\"complete\":{complete}}}")?;
    output.flush()?;
    Ok(())
}

/// Reads all of `input`; `seen` gets its bytes, `told` the findings. Says whether all was looked at.
fn streamed(
    detector: &Detector,
    input: &mut impl Read,
    mut seen: impl FnMut(&[u8]),
    mut told: impl FnMut(&Finding) -> std::io::Result<()>,
) -> Result<bool, Stop> {
    let mut stream = Stream::new(detector);
    let mut piece = vec![0; PIECE_BYTES];
    let mut findings = Vec::new();
    loop {
        let length = match input.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(could_not_read(error)),
        };
        let bytes = piece.get(..length).unwrap_or_default();
        seen(bytes);
        stream.push(bytes, &mut findings);
        findings.drain(..).try_for_each(|found| told(&found))?;
    }
    let complete = stream.finish(&mut findings);
    findings.iter().try_for_each(told)?;
    Ok(complete)
}

/// For people: the text with its findings marked, and a table of them.
fn shown(detector: &Detector, input: &mut impl Read) -> Result<(), Stop> {
    let mut text = Vec::new();
    let mut length = 0;
    let mut findings = Vec::new();
    let mut count = 0;
    let complete = streamed(
        detector,
        input,
        |bytes| {
            length += bytes.len();
            let room = SHOWN_BYTES_MAX.saturating_sub(text.len()).min(bytes.len());
            text.extend_from_slice(bytes.get(..room).unwrap_or_default());
        },
        |found| {
            count += 1;
            if findings.len() < ROWS_MAX {
                findings.push(*found);
            }
            Ok(())
        },
    )?;
    let mut output = std::io::stdout().lock();
    let mut done = 0;
    let plain = |from: usize, to: usize| visible(text.get(from..to.min(text.len())).unwrap_or_default());
    for found in findings.iter().take_while(|found| found.end <= text.len()) {
        // What is of an own class may be of another too.
        let start = found.start.max(done);
        if start < found.end {
            write!(output, "{}{}", plain(done, start), marked(&plain(start, found.end), "30;43"))?;
            done = found.end;
        }
    }
    writeln!(output, "{}", plain(done, text.len()))?;
    if length > text.len() {
        writeln!(output, "... and {} bytes more", length - text.len())?;
    }
    if count == 0 {
        writeln!(output, "\nnothing found")?;
    } else {
        let mut table = table(&["class", "kind", "bytes", "confidence", "what counted"]);
        for found in &findings {
            table.add_row([
                found.kind.class.name().to_owned(),
                found.kind.name.to_owned(),
                format!("{}..{}", found.start, found.end),
                format!("{:.2}", f64::from(found.confidence) / 100.0),
                found.evidence.reasons().collect::<Vec<_>>().join(", "),
            ]);
        }
        writeln!(output, "\n{table}")?;
        if count > findings.len() {
            writeln!(output, "... and {} findings more", count - findings.len())?;
        }
    }
    if !complete {
        writeln!(output, "{}", marked("not all of the text was looked at: it took more work than it may", "31"))?;
    }
    Ok(())
}

/// Text as a terminal may have it: control characters do nothing there.
fn visible(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(
            |character| {
                if character.is_control() && character != '\n' && character != '\t' { '\u{fffd}' } else { character }
            },
        )
        .collect()
}

/// Text in the colours of this code (ECMA-48), unless the user wants none.
fn marked(text: &str, code: &str) -> String {
    match std::env::var_os("NO_COLOR") {
        Some(_) => format!("[{text}]"),
        None => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
    }
}
