//! Any bytes are taken; nothing becomes trusted by what nobody trusts or what is sent; what was seen outlasts a restart.
#![no_main]

use evidence::record::{Endpoint, Origin, Surface, Tool};
use governance::classify::provenance::{Key, Seen};
use governance::limits::SEEN_VALUES_MAX;
use governance::mission::{Targets, Trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let key = Key::new(*b"0123456789abcdef");
    let fields = Trust::none().trusting(["sender"]).trusting(["id"]);
    // The first byte says who speaks first; lines are arguments and results by turns.
    let (first, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let parts: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').take(8).collect();

    let mut untrusted = Seen::new(&key);
    for part in &parts {
        untrusted.sent(part);
        untrusted.returned(&tool("web"), &Trust::none(), &[], part);
    }
    for part in &parts {
        for targets in [Targets::ruled(), Targets::unruled()] {
            assert!(untrusted.trace(part, &targets).iter().all(|found| found.origin > Origin::Trusted));
        }
    }

    let mut seen = Seen::new(&key);
    let mut file = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        // What was sent last may be what the result is for.
        let arguments = if first & 1 == 0 { parts.get(at.wrapping_sub(1)).copied().unwrap_or_default() } else { &[] };
        match (usize::from(first) + at) % 5 {
            0 => seen.initiator(&String::from_utf8_lossy(part)),
            1 => seen.sent(part),
            2 => seen.returned(&tool("web"), &Trust::none(), &[], part),
            3 => seen.returned(&tool("mail"), &fields, arguments, part),
            _ => seen.returned(&tool("bank"), &Trust::all(), arguments, part),
        }
        file.extend_from_slice(&seen.news());
    }
    assert!(seen.len() <= SEEN_VALUES_MAX);
    let restarted = Seen::load(&key, &file);
    assert_eq!(restarted.has_gap(), seen.has_gap());
    for part in &parts {
        let mut targets = Targets::unruled();
        targets.watch_payload();
        let found = seen.trace(part, &targets);
        assert_eq!(restarted.trace(part, &targets), found);
        assert!(found.is_sorted_by(|one, other| (&one.argument, one.role) < (&other.argument, other.role)));
    }
    let _ = Seen::load(&key, bytes);
});

fn tool(upstream: &str) -> Tool {
    Tool { endpoint: Endpoint::Tool, name: "tool".into(), surface: Surface::Mcp, upstream: upstream.into() }
}
