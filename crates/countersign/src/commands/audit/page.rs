//! The control report as one page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! Everything in it that comes from records is text to the template, so that nothing of it is obeyed.

use evidence::record::Record;
use gateway::audits::{Failing, Report, TestReport, Verdict};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::test::why;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #16191d; --soft: #59626e; --line: #d9dee4; --paper: #fff; --sheet: #f5f7f9;
  --held: #14713d; --held-on: #e2f4e9; --failed: #b3261e; --failed-on: #fbe6e4; --unknown: #8a5a00; --unknown-on: #fdf0d5; --nothing: #59626e; --nothing-on: #eceff2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --soft: #9aa5b1; --line: #333b44; --paper: #14171a; --sheet: #1c2126;
  --held: #7fd6a3; --held-on: #16351f; --failed: #ff9c94; --failed-on: #45191a; --unknown: #f2c268; --unknown-on: #3d2c0b; --nothing: #9aa5b1; --nothing-on: #262d34; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .2rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .2rem 0; }
code, pre { font: .86em/1.5 ui-monospace, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--sheet); border-radius: .4rem; overflow-x: auto; padding: .8rem 1rem; margin: .6rem 0 0; }
a { color: inherit; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 1rem 0 0; color: var(--soft); }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin-top: .8rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; font-size: .86rem; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.soft { color: var(--soft); }
.sum { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1.4rem 0 0; padding: 0; list-style: none; }
.sum li { flex: 1 1 8rem; background: var(--sheet); border-radius: .6rem; padding: .7rem 1rem; } .sum strong { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tag { display: inline-block; border-radius: 1rem; padding: .05rem .65rem; font-size: .82rem; font-weight: 650; white-space: nowrap; text-decoration: none; }
.held { color: var(--held); background: var(--held-on); } .failed { color: var(--failed); background: var(--failed-on); }
.unknown { color: var(--unknown); background: var(--unknown-on); } .nothing { color: var(--nothing); background: var(--nothing-on); }
article { border-top: 1px solid var(--line); padding: 1rem 0; } article header { display: flex; gap: .8rem; align-items: baseline; justify-content: space-between; }
details { margin-top: .5rem; } summary { cursor: pointer; }
@media print { body { max-width: none; padding: 0; } article, tr { break-inside: avoid; } }
";

/// The page. `record` gives the record with a number.
pub(super) fn page(report: &Report, record: impl Fn(u64) -> Option<Record>) -> String {
    let names: Vec<&str> = report.files.iter().map(|file| file.audit.as_str()).collect();
    let title = format!("Control report: {}", names.join(", "));
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.soft { "What the records of the ledger say of these controls. Each answer is a filter that anybody can ask again." }
                    (head(report))
                    (sums(report))
                }
                main {
                    (controls(report))
                    @for file in &report.files {
                        h2 { (file.audit) }
                        p.soft { (file.about) " Seen to by " (file.owner) "; text " code { (short(&file.sha256)) } "." }
                        @for test in &file.tests { (tested(&file.audit, test)) }
                    }
                    (records(report, record))
                }
            }
        }
    };
    body.into_string()
}

/// The start of a digest.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// Text in which filters stand between backticks.
fn ticked(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn head(report: &Report) -> Markup {
    html! {
        dl {
            dt { "Made at" } dd { (report.made_at) }
            dt { "Records" } dd { (report.records) @if !report.narrowed.is_empty() { ", of which those that match " code { (report.narrowed) } } }
            @if let Some(head) = &report.checkpoint {
                dt { "Log" } dd { code { (head.origin) } }
                dt { "Signed up to" } dd { "record " (head.size) ", root " code { (head.root) } }
            }
        }
    }
}

fn sums(report: &Report) -> Markup {
    let count = |verdict| report.count(verdict);
    html! {
        ul.sum {
            li { strong { (report.tests().count()) } "tests" }
            li { strong { (count(Verdict::Held)) } "held" }
            li { strong { (count(Verdict::Failed)) } "failed" }
            @if count(Verdict::Unknown) > 0 { li { strong { (count(Verdict::Unknown)) } "could not be asked" } }
            li { strong { (count(Verdict::Nothing)) } "had nothing to look at" }
        }
    }
}

fn tag(verdict: Verdict) -> Markup {
    let told = match verdict {
        Verdict::Nothing => "nothing to look at",
        other => other.as_str(),
    };
    html! { span class={ "tag " (verdict.as_str()) } { (told) } }
}

fn controls(report: &Report) -> Markup {
    html! {
        h2 { "Controls" }
        table {
            thead { tr { th { "Control" } th { "Tests" } th { "Stands" } } }
            tbody {
                @for (control, tests) in &report.controls {
                    tr {
                        td { (control) }
                        td {
                            @for (at, test) in tests.iter().enumerate() {
                                @if at > 0 { ", " }
                                a href={ "#" (test.audit) "/" (test.test) } { (test.test) }
                            }
                        }
                        td { @if let Some(worst) = tests.iter().map(|test| test.verdict).max() { (tag(worst)) } }
                    }
                }
            }
        }
    }
}

fn tested(audit: &str, test: &TestReport) -> Markup {
    let judged = &test.judged;
    html! {
        article id={ (audit) "/" (test.name) } {
            header { h3 { (test.title) } (tag(test.verdict)) }
            p.soft { (test.name) @for control in &test.controls { " · " (control) } }
            p {
                "Of " (judged.population) " records " code { (test.filter) } ": " (ticked(&test.asks)) "."
                @if judged.waiting > 0 { " " (judged.waiting) " have time left." }
                @if judged.failures > 0 { " " strong { (judged.failures) " fail." } }
            }
            @if test.why.is_some() { p { (ticked(&why(test))) } }
            @if !judged.first.is_empty() {
                table {
                    thead { tr { th.n { "Record" } th { "Taken" } th { "On behalf of" } th { "Mission" } th { "Why it fails" } } }
                    tbody { @for failing in &judged.first { (row(failing)) } }
                }
                @if judged.failures > judged.first.len() as u64 {
                    p.soft { "The first " (judged.first.len()) " of " (judged.failures) "." }
                }
            }
        }
    }
}

fn row(failing: &Failing) -> Markup {
    html! {
        tr {
            td.n { a href={ "#record-" (failing.seq) } { (failing.seq) } }
            td { (failing.recorded_at) }
            td { (failing.initiator) }
            td { (failing.mission.as_deref().unwrap_or("-")) }
            td { (ticked(&failing.why)) }
        }
    }
}

fn records(report: &Report, record: impl Fn(u64) -> Option<Record>) -> Markup {
    let failing = report.failing();
    html! {
        @if !failing.is_empty() {
            h2 { "Records" }
            p.soft { "Those that fail, as they are in the log." }
            @for failing in failing {
                details id={ "record-" (failing.seq) } {
                    summary { "Record " (failing.seq) " · " code { "countersign audit " (failing.story()) } }
                    @if let Some(record) = record(failing.seq) {
                        pre { (serde_json::to_string_pretty(&record).unwrap_or_default()) }
                    }
                }
            }
        }
    }
}
