//! Every cut of a stream gives the same lines, within the limit and without endings.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use surfaces::mcp::codec::{LineDecoder, LineError, encode_line};

const MAX: usize = 100;

fuzz_target!(|stream: &[u8]| {
    let whole = lines(&[stream]);
    for size in [1, 2, 3, 7] {
        assert_eq!(whole, lines(&stream.chunks(size).collect::<Vec<_>>()));
    }
    for line in whole.0.iter().flatten().chain(&whole.1) {
        assert!(!line.is_empty() && line.len() <= MAX && !line.contains(&b'\n'));
        let again = lines(&[&encode_line(line)]);
        let kept = line.iter().copied().filter(|byte| *byte != b'\r').collect::<Bytes>();
        assert_eq!(again.0, if kept.is_empty() { vec![] } else { vec![Ok(kept)] });
    }
});

fn lines(chunks: &[&[u8]]) -> (Vec<Result<Bytes, LineError>>, Option<Bytes>) {
    let mut decoder = LineDecoder::new(MAX);
    let mut lines = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        lines.extend(std::iter::from_fn(|| decoder.next_line()));
    }
    (lines, decoder.finish())
}
