//! A body is refused with a sentence, or it is a step whose arguments are its own bytes, or a report that ends one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use surfaces::workflow::body::{Ask, Report};

fuzz_target!(|body: &[u8]| {
    match Ask::read(body) {
        Ok(ask) => {
            let arguments = &ask.arguments;
            let is_within = |window: &[u8]| window == arguments.as_ref();
            assert!(arguments.is_empty() || body.windows(arguments.len()).any(is_within));
            assert!(arguments.is_empty() || serde_json::from_slice::<serde_json::Value>(arguments).is_ok());
            assert!(!ask.tool.name.is_empty() && !ask.tool.upstream.is_empty());
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
    match Report::read(body) {
        Ok(report) => {
            assert_eq!(report.bytes, body);
            assert_eq!(report.clone().outcome("bot").status, report.status);
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
});
