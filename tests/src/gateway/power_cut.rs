//! Power cuts over the whole path: at the moment a tool takes effect, the disk as a power cut would leave it holds the call's intent; and after a cut at a random
//! moment every call is closed and nothing ran twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use evidence::ids::CallId;
use evidence::record::{ActionEvent, Body, Status};
use governance::call::Warrant;
use governance::execute::{Execution, Outcome};
use store::embedded::index::IndexPlace;
use store::{Integration, Ledger, Options, Reader};
use surfaces::govern::Execute;
use testkit::disk::{FaultyDisk, Keep};

use super::unwritable::World;

/// A tool whose effects are counted, and which looks at the disk as it takes effect.
#[derive(Clone)]
pub(super) struct Witness {
    pub(super) disk: FaultyDisk,
    /// How often each call took effect, and whether its intent was durable by then.
    pub(super) effects: Arc<Mutex<BTreeMap<CallId, (u32, bool)>>>,
}

impl Execute for Witness {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        let cut = self.disk.after_power_cut(|| Keep::No);
        let intended = closed_as(&cut, warrant.call()).is_some();
        {
            let mut effects = self.effects.lock().unwrap();
            let effect = effects.entry(warrant.call()).or_default();
            *effect = (effect.0 + 1, intended);
        }
        // Other calls run meanwhile.
        tokio::task::yield_now().await;
        let result = bytes::Bytes::from_static(b"{}");
        Execution::Ended(Outcome {
            examined: None,
            external_reference: None,
            payload: Some(result.clone()),
            reason: None,
            reported: None,
            result: Some(result),
            status: Status::Done,
        })
    }

    async fn cancel(&mut self) {}
}

/// What the log on `disk` says of a call: nothing without an intent, else the status of its outcome, if there is one.
fn closed_as(disk: &FaultyDisk, call: CallId) -> Option<Option<Status>> {
    let reader = Reader::open_on(Arc::new(disk.clone()), &IndexPlace::Memory).ok()?;
    let mut said = None;
    for record in reader.call(call).unwrap() {
        match record.body {
            Body::Action(action) if action.event == ActionEvent::Intent => said = Some(None),
            Body::Action(action) => said = Some(action.status),
            _ => {}
        }
    }
    said
}

/// A small generator with a seed that is printed (xorshift64*).
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut state = self.0.load(Ordering::Relaxed);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.store(state, Ordering::Relaxed);
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

#[tokio::test]
async fn an_effect_has_its_durable_intent_and_a_power_cut_leaves_every_call_closed() {
    let seed = std::env::var("COUNTERSIGN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_nanos()).unwrap_or(1) | 1
    });
    println!("COUNTERSIGN_SEED={seed}");
    let dice = Dice(AtomicU64::new(seed));
    for _ in 0..12 {
        let world = Arc::new(World::new().await);
        let witness = Witness { disk: world.disk.clone(), effects: Arc::default() };
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..=dice.roll(12) {
            let (world, witness) = (world.clone(), witness.clone());
            calls.spawn(async move { world.call_with(witness).await });
        }
        // The cut comes after a random number of calls; the others are somewhere on their way.
        for _ in 0..dice.roll(calls.len() as u64 + 1) {
            calls.join_next().await.unwrap().unwrap();
        }
        let cut = world.disk.after_power_cut(|| if dice.roll(2) == 0 { Keep::No } else { Keep::Yes });
        let effects = witness.effects.lock().unwrap().clone();
        assert!(effects.values().all(|(count, intended)| *count == 1 && *intended), "{effects:?}");

        let options = Options { integration: Integration::AfterEachGroup, ..Options::default() };
        let next = Ledger::open_on(Arc::new(cut.clone()), IndexPlace::Memory, options).unwrap();
        next.close().await.unwrap();
        for call in effects.keys() {
            let status =
                closed_as(&cut, *call).expect("an effect without an intent").expect("a call that is still open");
            assert!(matches!(status, Status::Done | Status::Unknown), "{status}");
        }
        let report = store::ledger::fsck_on(&cut).unwrap();
        assert!(report.is_sound(), "{report}");
        calls.shutdown().await;
    }
}
