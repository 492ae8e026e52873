use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::super::HttpDownstream;
use super::*;
use crate::mcp::downstream::Downstream as _;

const LIMITS: HttpDownstreamLimits = HttpDownstreamLimits::DEFAULT;

fn outbox(limits: HttpDownstreamLimits) -> HttpDownstream {
    HttpDownstream::new(limits, Arc::default())
}

/// What a connection reads without waiting, frames joined.
fn read(downstream: &HttpDownstream, reading: Reading) -> String {
    let mut context = Context::from_waker(Waker::noop());
    let mut said = String::new();
    while let Poll::Ready(Some(frame)) = downstream.outbox().poll_frame(reading, &mut context) {
        said += std::str::from_utf8(&frame).unwrap();
    }
    said.replace("\n\n", ";").replace('\n', " ")
}

#[tokio::test]
async fn a_connection_that_does_not_read_is_cut_off_and_may_resume() {
    let limits = HttpDownstreamLimits { slow_reader: Duration::from_millis(5), unread_bytes_max: 100, ..LIMITS };
    let downstream = outbox(limits);
    let id = RawId::integer(1);
    downstream.outbox().open(id.clone(), Form::Either(Prime::Nothing)).unwrap();
    let reading = downstream.outbox().stream(&id).unwrap();
    let large = Bytes::from("x".repeat(90));
    for _ in 0..3 {
        downstream.deliver(Address::Related(&id), large.clone()).await.unwrap();
    }
    downstream.deliver(Address::Reply(&id), Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(read(&downstream, reading), "", "it was cut off");
    let resumed = downstream.outbox().follow(Place::parse("1-3"), Prime::Nothing).unwrap();
    assert_eq!(read(&downstream, resumed), "id: 1-4 data: {};");
    assert!(downstream.outbox().is_over(resumed));
}

#[tokio::test]
async fn a_sender_waits_for_a_connection_that_reads_slowly() {
    let downstream = Arc::new(outbox(HttpDownstreamLimits { unread_events_max: 2, ..LIMITS }));
    let id = RawId::integer(1);
    downstream.outbox().open(id.clone(), Form::Either(Prime::Nothing)).unwrap();
    let reading = downstream.outbox().stream(&id).unwrap();
    let sender = downstream.clone();
    let sending = tokio::spawn(async move {
        for number in 1..=9 {
            sender.deliver(Address::Related(&RawId::integer(1)), Bytes::from(format!("{number}"))).await.unwrap();
        }
    });
    let mut said = String::new();
    while said.split(';').count() < 10 {
        let some = read(&downstream, reading);
        assert!(some.split(';').count() <= 3, "{some}");
        said += &some;
        tokio::task::yield_now().await;
    }
    sending.await.unwrap();
    assert!(said.ends_with("id: 1-9 data: 9;"), "{said}");
}

#[test]
fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
    let total: Arc<AtomicUsize> = Arc::default();
    let limits =
        HttpDownstreamLimits { replay_events_max: 3, replay_bytes_max: 60, replay_total_bytes_max: 90, ..LIMITS };
    let kept_after = |sizes: &[usize]| {
        let downstream = HttpDownstream::new(limits, total.clone());
        for size in sizes {
            let taken = downstream.outbox().offer(Address::Unsolicited, &Bytes::from("x".repeat(*size)).into());
            assert!(matches!(taken, Offered::Taken));
        }
        let reading = downstream.outbox().follow(None, Prime::Nothing).unwrap();
        let kept = read(&downstream, reading);
        (downstream, kept)
    };
    // An event's frame is 16 bytes more than its message.
    assert_eq!(kept_after(&[1, 1]).1, "id: 0-1 data: x;id: 0-2 data: x;");
    assert_eq!(kept_after(&[1, 1, 1, 1]).1, "id: 0-2 data: x;id: 0-3 data: x;id: 0-4 data: x;");
    assert_eq!(kept_after(&[1, 1, 40]).1, format!("id: 0-3 data: {};", "x".repeat(40)));
    assert_eq!(kept_after(&[1, 100]).1, "", "what is larger than everything that may be kept is not kept");
    assert_eq!(total.load(Ordering::Relaxed), 0, "what is gone is not counted");
    let (first, kept) = kept_after(&[40]);
    assert_ne!(kept, "");
    let (_second, kept) = kept_after(&[1, 2]);
    assert_eq!(kept, "id: 0-2 data: xx;", "all sessions share one bound, and who adds makes room");
    drop(first);
}

#[test]
fn last_event_ids_are_read_strictly() {
    for good in ["0-0", "12-345"] {
        assert!(Place::parse(good).is_some(), "{good}");
    }
    for bad in ["", "-", "1", "1-", "-1", "1-+1", "1- 1", "1-1-1", "a-1", "99999999999999999999-1", "1-\u{0661}"] {
        assert!(Place::parse(bad).is_none(), "{bad}");
    }
}
