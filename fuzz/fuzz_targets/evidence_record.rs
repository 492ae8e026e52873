//! What reads as a record is written again as the same bytes, in both ways to write one.
#![no_main]

use std::sync::Arc;

use evidence::record::{Context, Draft, Place, Record, read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match read(bytes) {
    Ok(record) => {
        assert_eq!(serde_json::to_vec(&record).expect("a record is JSON"), bytes);
        assert_eq!(serde_json::from_slice::<Record>(bytes).expect("a record is JSON"), record);
        assert_eq!(written(record), bytes);
    }
    Err(error) => assert!(error.at() <= bytes.len(), "{error}"),
});

/// The bytes that the ledger would write for the draft of `record` at its place.
fn written(record: Record) -> Vec<u8> {
    let context = Context {
        agent: record.agent,
        context: record.correlation.context,
        initiator: record.initiator,
        mission: record.correlation.mission,
        run: record.correlation.run,
    };
    let draft = Draft {
        body: record.body,
        call: record.correlation.call,
        context: Arc::new(context),
        data_classes: record.data_classes,
        links: record.links,
        occurred_at: record.occurred_at,
        trace: record.correlation.trace,
    };
    let place = Place { emitter: &record.emitter, id: record.id, recorded_at: record.recorded_at, seq: record.seq };
    let mut out = Vec::new();
    write(&draft, place, &mut out).expect("a draft is JSON");
    out
}
