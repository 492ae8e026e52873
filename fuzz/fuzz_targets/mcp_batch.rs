//! An array is taken apart exactly where it is one, and each of its elements is taken or refused as it would be alone.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use surfaces::limits::{BATCH_ELEMENTS_MAX, ReadLimits};
use surfaces::mcp::codec::strict::{StrictFault, StrictReader};
use surfaces::mcp::codec::{Envelope, batch, strict_scan};

fuzz_target!(|text: &[u8]| {
    let text = Bytes::copy_from_slice(text);
    let mut reader = StrictReader::new(ReadLimits::REQUEST);
    match batch::split(&text, &mut reader) {
        Ok(elements) => {
            assert!(batch::is_batch(&text));
            assert!((1..=BATCH_ELEMENTS_MAX).contains(&elements.len()));
            let values: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("an array");
            assert_eq!(values.len(), elements.len());
            let mut taken = Vec::new();
            for element in elements.into_iter().flatten() {
                let alone = Envelope::parse(element.bytes().clone(), &ReadLimits::REQUEST).expect("taken alone too");
                assert_eq!(alone.kind(), element.kind());
                taken.push(element.bytes().clone());
            }
            let again = batch::joined(&taken);
            match batch::split(&again, &mut reader) {
                Ok(same) => assert_eq!(
                    same.into_iter().map(|one| one.expect("taken before").bytes().clone()).collect::<Vec<_>>(),
                    taken
                ),
                Err(_) => assert!(taken.is_empty()),
            }
        }
        Err(refusal) => {
            Envelope::parse(refusal.reply(), &ReadLimits::RESPONSE).expect("our replies are messages");
            let is_json = match strict_scan(&text, &ReadLimits::REQUEST) {
                Ok(()) => true,
                Err(error) => error.fault == StrictFault::DuplicateKey,
            };
            let values = serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(&text);
            if let (true, true, Ok(values)) = (is_json, batch::is_batch(&text), values) {
                assert!(values.is_empty() || values.len() > BATCH_ELEMENTS_MAX);
            }
        }
    }
});
