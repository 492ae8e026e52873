//! Every cut of a stream gives the same events, and an event that is written is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use surfaces::mcp::codec::{SseDecoder, SseError, SseEvent};

const MAX: usize = 100;

fuzz_target!(|stream: &[u8]| {
    let whole = events(&[stream], MAX);
    for size in [1, 2, 3, 7] {
        assert_eq!(whole, events(&stream.chunks(size).collect::<Vec<_>>(), MAX));
    }
    for event in whole.0.iter().flatten() {
        assert!(event.data().len() <= MAX);
        // A character that is not UTF-8 grows to three bytes in id and type.
        let again = events(&[&event.encode()], 4 * MAX);
        assert_eq!(again.0, [Ok(event.clone())]);
    }
});

type Said = (Vec<Result<SseEvent, SseError>>, String, Option<u64>);

fn events(chunks: &[&[u8]], max: usize) -> Said {
    let mut decoder = SseDecoder::new(max);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        events.extend(std::iter::from_fn(|| decoder.next_event()));
    }
    (events, decoder.last_event_id().to_owned(), decoder.retry_ms())
}
