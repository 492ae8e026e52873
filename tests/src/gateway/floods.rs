//! Servers that send faster than anybody reads: deadlines hold, others are served meanwhile, and memory stays bounded.

use std::time::{Duration, Instant};

use testkit::client::{Answer, HttpSession};
use testkit::governed::{Home, READY_PATH, Served};
use testkit::scratch::Scratch;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::hostile::resident_peak_kib;
use super::oddities::{Answerer, STREAM, pour, start};

/// What the gateway may hold in memory after any of these: its 60 MiB at rest, the few buffers of a stream, and a debug build's own weight.
const RESIDENT_KIB_MAX: u64 = 160 << 10;

/// A call may take one second here; on a busy machine its end is told in a few more.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// A gateway without bounds ends here, and not with the machine that it runs on.
const ADDRESS_SPACE: [&str; 4] = ["sh", "-c", "ulimit -v 4194304; exec \"$@\"", "sh"];

/// A gateway in front of `upstream`, a line of configuration, that gives a call one second.
fn serve(home: &Home, upstream: &str) -> Served {
    home.write_mission(&["echo"]).unwrap();
    home.write_config_with(upstream, "[limits]\ncall_timeout_s = 1").unwrap();
    let served = home.start_under(&ADDRESS_SPACE).unwrap();
    wait::http_ready(served.addr, READY_PATH, PATIENCE).unwrap();
    served
}

/// Calls once; gives what was told, and how long that took.
async fn call(served: &Served, token: &str) -> (String, Duration) {
    let mut session = HttpSession::open(&served.target(token)).await.unwrap();
    let began = Instant::now();
    let told = match session.call("echo", r#"{"text":"hi"}"#).await.unwrap() {
        Answer::Done(text) | Answer::ToolError(text) | Answer::Refused(text) => text.to_owned(),
    };
    (told, began.elapsed())
}

/// The call was given up in time, its record says so, and the gateway is well.
fn assert_given_up(home: &Home, mut served: Served, (told, took): (String, Duration)) {
    assert!(told.contains("the upstream did not answer in time"), "{told}");
    assert!(took < TOLD_WITHIN, "told after {took:?}");
    let resident_kib = resident_peak_kib(served.process.pid());
    assert!(resident_kib <= RESIDENT_KIB_MAX, "{resident_kib} KiB resident");
    served.process.stop(PATIENCE).unwrap();
    let mut unknown = 0;
    home.audit("type:action_record status:unknown", |_| {
        unknown += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(unknown, 1);
    home.verify().unwrap();
}

#[tokio::test]
async fn a_child_that_asks_without_reading_is_given_up_and_bounded() {
    let scratch = Scratch::new("floods-requests").unwrap();
    let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
    let child = binary("countersign-upstream");
    let command =
        format!("command = [{:?}, \"--stdio\", \"--hostile\", \"floods-requests\"]", child.display().to_string());
    let served = serve(&home, &command);
    let ended = call(&served, &home.token().unwrap()).await;
    assert_given_up(&home, served, ended);
}

#[tokio::test]
async fn a_stream_of_nothing_is_given_up_in_time() {
    let kinds: [(&str, Answerer); 2] = [
        ("comments", |stream, _| pour(stream, STREAM, b": x\n\n")),
        ("empty-events", |stream, _| pour(stream, STREAM, b"id: 7\nretry: 1\ndata:\n\n")),
    ];
    for (name, answerer) in kinds {
        let scratch = Scratch::new(name).unwrap();
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        let served = serve(&home, &format!("url = \"{}\"", start(answerer)));
        let ended = call(&served, &home.token().unwrap()).await;
        assert_given_up(&home, served, ended);
    }
}
