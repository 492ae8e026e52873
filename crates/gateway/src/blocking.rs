//! Work on tasks and threads of its own: what blocks the reactor, and what must come to its end whoever waits for it.

/// Does `work` on a thread that may block, and gives what comes of it. A panic goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // Where time is in the hands of a test, everything is on its one thread.
    #[cfg(test)]
    if crate::clock::by_hand::is_held() {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

/// Brings `work` to its end, also where whoever waits for it is cut off. A panic goes on here.
pub(crate) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}
