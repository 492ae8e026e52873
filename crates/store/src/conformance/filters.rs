//! Filters over the whole ledger, whatever of it the index knows, held to what reading every record gives.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use evidence::filter::{Field, Filter, Join};
use evidence::ids::{CallId, RunId};
use evidence::record::{ActionEvent, Context, Draft, Effect, Record, Status};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::Group;

#[test]
fn every_filter_gives_what_reading_the_whole_log_gives() {
    for home in homes() {
        let ledger = home.open();
        for n in 0..30 {
            let name = if n % 3 == 0 { "send_money" } else { "list\u{0}accounts" };
            let effect = if n % 5 == 0 { Effect::Deny } else { Effect::Allow };
            let mut drafts = vec![decision(n, effect, name)];
            if effect == Effect::Allow {
                drafts.push(action(n, ActionEvent::Intent, None, name));
            }
            ledger.append_blocking(drafts).unwrap();
            if effect == Effect::Allow && n % 7 != 0 {
                let status = if n % 2 == 0 { Status::Done } else { Status::ToolError };
                ledger.append_blocking(vec![action(n, ActionEvent::Outcome, Some(status), name)]).unwrap();
            }
            // A later decision on the same call, and an outcome that should not be: both must be found.
            if n % 11 == 0 {
                ledger.append_blocking(vec![decision(n, Effect::Deny, "other")]).unwrap();
                ledger.append_blocking(ended(n, Status::Cancelled)).unwrap();
            }
            ledger.append_blocking(vec![version("run", "x")]).unwrap();
        }
        let records = ledger.reader().unwrap();
        let log = all(&records);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ledger.indexed(log.len() as u64));
        let (first, last) = (call(0), call(7));
        for text in [
            "",
            "type:action_record",
            "type:decision_record,version_log",
            "not type:action_record",
            "decision:deny",
            "not decision:deny",
            "status:done",
            "not status:done,tool_error",
            "status:cancelled or decision:allow",
            "reason:tool_not_allowed",
            "reason:late",
            "not reason:late",
            "reason:tool*",
            "class:fin* type:action_record",
            "class:pii or not class:secret,financial",
            "tool:mcp:bank/*",
            "because",
            "not \"BECAUSE.\"",
            "\"because\",created type:*",
            "caus* or \"e d\"",
            "version:22 or object:run:*",
            "event:intent,started",
            "effect_class:write not event:intent",
            "person:ana",
            "approver:* or gate:* or session:*",
            "call(status:done) decision:allow",
            "event:intent not call(event:outcome)",
            "call(call:* not status:*) type:action_record",
            "run(type:version_log) not call:*",
            "not run(reason:late) or call(reason:late) status:cancelled",
            "call(run(because) status:tool_error) decision:*",
            "on:2026-11-23T09:30:00.010Z..2026-11-23T09:30:00.020Z",
            "on:2026-11-22,2026-11-24",
            "tool:mcp:bank/send_money",
            "tool:*accounts",
            "tool:mcp*ban*money",
            "not tool:*",
            "mission:pay",
            "not mission:pay",
            "not mission:other",
            "agent:ap-bot initiator:ana",
            "agent:countersign",
            "run:* not type:action_record",
            "seq:5..17",
            "not seq:3..",
            "after:2026-11-23T09:30:00.020000Z",
            "before:2026-11-23T09:30:00.020000Z type:action_record",
            "not (after:2026-11-23T09:30:00.020000Z or status:done)",
            &format!("call:{first}"),
            &format!("call:{last} or call:{first}"),
            &format!("not call:{last}"),
        ] {
            let Ok(filter) = text.parse::<Filter>() else { panic!("`{text}` is no filter") };
            let want: Vec<u64> =
                log.iter().filter(|record| filter.matches_among(record, &log)).map(|record| record.seq).collect();
            assert_eq!(records.count(&filter).unwrap(), want.len() as u64, "`{text}`");
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let mut expected = want.clone();
                if order == Order::NewestFirst {
                    expected.reverse();
                }
                for limit in [None, Some(3), Some(0)] {
                    let found = records.query(&filter, order, limit).unwrap();
                    let found: Vec<u64> = found.iter().map(|record| record.seq).collect();
                    assert_eq!(
                        found,
                        expected[..limit.unwrap_or(usize::MAX).min(expected.len())],
                        "`{text}` {order:?} {limit:?}"
                    );
                }
            }
        }
        for n in 0..30 {
            let want: Vec<u64> =
                log.iter().filter(|record| record.correlation.call == Some(call(n))).map(|record| record.seq).collect();
            let found: Vec<u64> = records.call(call(n)).unwrap().iter().map(|record| record.seq).collect();
            assert_eq!(found, want);
        }
        ledger.close_blocking().unwrap();
    }
}

/// One draft of every example of a record, with the fields that records of all types have.
fn samples() -> Vec<Draft> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/evidence/v1");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let json = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| draft(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())).collect()
}

fn draft(record: &Record) -> Draft {
    let correlation = &record.correlation;
    let context = Context {
        agent: record.agent.clone(),
        context: correlation.context,
        initiator: record.initiator.clone(),
        mission: correlation.mission.clone(),
        run: correlation.run,
    };
    Draft {
        data_classes: record.data_classes.clone(),
        ..Draft::new(Arc::new(context), correlation.call, record.occurred_at, record.body.clone())
    }
}

/// Examples over and over, in calls and runs that overlap.
fn drafts(count: u64) -> Vec<Draft> {
    let samples = samples();
    let vary = |n: u64| {
        let mut draft = samples[(n * 7 % samples.len() as u64) as usize].clone();
        let mut context = (*draft.context).clone();
        context.run = (!n.is_multiple_of(5)).then(|| RunId::at(at(n / 500), [3; 10]));
        context.mission = (!n.is_multiple_of(11)).then(|| format!("mission-{}", n / 900).into());
        draft.call = (!n.is_multiple_of(3)).then(|| CallId::at(at(n / 9 + n % 2 * 40), [4; 10]));
        draft.context = context.into();
        draft
    };
    (0..count).map(vary).collect()
}

/// Which records match, by the meaning of filters alone.
fn reference(filter: &Filter, log: &[Record]) -> Vec<bool> {
    let joined: Vec<(&Join, HashSet<[u8; 16]>)> = filter
        .joins()
        .into_iter()
        .map(|join| {
            let matching = reference(&join.inner, log);
            let of = log.iter().zip(matching).filter(|(_, matches)| *matches);
            (join, of.filter_map(|(record, _)| join.along.key(record)).collect())
        })
        .collect();
    let has = |join: &Join, record: &Record| {
        let keys = &joined.iter().find(|(known, _)| *known == join).unwrap().1;
        join.along.key(record).is_some_and(|key| keys.contains(&key))
    };
    log.iter().map(|record| filter.matches_in(record, &mut |join, record| has(join, record))).collect()
}

fn some_filter() -> impl Strategy<Value = String> {
    let terms = prop::sample::select(vec![
        "type:action_record",
        "type:approval_record",
        "type:*_log,exception_record",
        "mission:mission-1",
        "mission:*-*",
        "agent:ap-bot",
        "tool:mcp:bank/*",
        "decision:deny",
        "would:*",
        "status:unknown,done",
        "event:consumed",
        "approver:*",
        "answer:approve",
        "gate:*",
        "person:*@corp.example",
        "class:financial",
        "origin:*",
        "argument:a*",
        "argument:amount>1000,b",
        "argument:*=*0*",
        "kind:*",
        "object:*",
        "direction:wider",
        "version:a1",
        "session:*",
        "approval:*",
        "exception:*",
        "call:*",
        "run:01a2*",
        "amount",
        "\"the mission\"",
        "text:i*o",
        "seq:1000..3000",
        "seq:4090..",
        "after:2026-11-23T09:30:00.100Z",
        "before:2026-11-23T09:30:00.150Z",
        "on:2026-11-23T09:30:00.05Z..2026-11-23T09:30:00.12Z",
    ]);
    terms.prop_map(str::to_owned).prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.clone().prop_map(|a| format!("call({a})")),
            inner.clone().prop_map(|a| format!("approval({a})")),
            inner.clone().prop_map(|a| format!("exception({a})")),
            inner.prop_map(|a| format!("run({a})")),
        ]
    })
}

#[test]
fn random_filters_give_what_their_meaning_gives_over_blocks_and_beyond_the_index() {
    let home = Home::embedded();
    let ledger = home.open();
    let append = |drafts: &[Draft]| {
        for drafts in drafts.chunks(30) {
            ledger.append_blocking(drafts.to_vec()).unwrap();
        }
    };
    let drafts = drafts(5_200);
    append(&drafts[..5_000]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(ledger.indexed(5_001));
    // From here on the index cannot be written.
    let IndexPlace::File(path) = &home.index else { panic!("the home has an index") };
    let shell = rusqlite::Connection::open(path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    append(&drafts[5_000..]);
    let reader = home.reader();
    let log = all(&reader);
    assert_eq!(log.len(), 5_201);

    let fields = [Field::Type, Field::Mission, Field::Status, Field::Class, Field::Person, Field::On, Field::Run];
    let picked = (some_filter(), prop::sample::subsequence(fields.to_vec(), 0..=2), 0_usize..40);
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let held = runner.run(&picked, |(text, fields, limit)| {
        let Ok(filter) = text.parse::<Filter>() else { return Ok(()) };
        let want: Vec<&Record> = log
            .iter()
            .zip(reference(&filter, &log))
            .filter(|(_, matches)| *matches)
            .map(|(record, _)| record)
            .collect();
        let seqs = |records: Vec<Record>| records.iter().map(|record| record.seq).collect::<Vec<_>>();
        let newest: Vec<u64> = want.iter().rev().take(limit).map(|record| record.seq).collect();
        prop_assert_eq!(seqs(reader.query(&filter, Order::NewestFirst, Some(limit)).unwrap()), newest, "{}", text);
        let oldest: Vec<u64> = want.iter().take(limit).map(|record| record.seq).collect();
        prop_assert_eq!(seqs(reader.query(&filter, Order::OldestFirst, Some(limit)).unwrap()), oldest, "{}", text);
        prop_assert_eq!(reader.count(&filter).unwrap(), want.len() as u64, "{}", text);
        let counted: BTreeMap<Group, u64> = reader.count_by(&filter, &fields).unwrap().into_iter().collect();
        prop_assert_eq!(counted, counts(&want, &fields), "{} by {:?}", text, fields);
        Ok(())
    });
    held.unwrap();
    shell.execute_batch("COMMIT").unwrap();
    ledger.close_blocking().unwrap();
    let rebuilt = crate::rebuild(home._directory.as_ref().unwrap().path()).unwrap();
    assert!(rebuilt.is_sound(), "{rebuilt}");
}

fn counts(records: &[&Record], fields: &[Field]) -> BTreeMap<Group, u64> {
    let mut counts = BTreeMap::new();
    for record in records {
        let mut groups: Vec<Group> = vec![vec![]];
        for field in fields {
            let mut values: Vec<_> = field.values(record).iter().map(|value| Some(value.to_string())).collect();
            values.sort();
            values.dedup();
            if values.is_empty() {
                values.push(None);
            }
            let with = |group: &Group| {
                let group = group.clone();
                values.iter().map(move |value| [group.clone(), vec![value.clone()]].concat()).collect::<Vec<_>>()
            };
            groups = groups.iter().flat_map(with).collect();
        }
        groups.into_iter().for_each(|group| *counts.entry(group).or_default() += 1);
    }
    counts
}
