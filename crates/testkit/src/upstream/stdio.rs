//! MCP over standard input and output: one JSON-RPC message a line.

use std::cell::Cell;
use std::io::{BufRead as _, Read as _, Write as _};
use std::rc::Rc;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::script::{Plan, Wire, run};
use super::tools::Server;
use crate::limits::{QUEUE_MESSAGES_MAX, UPSTREAM_MESSAGE_BYTES_MAX};

/// Serves until standard input ends; what still waits then is dropped, as a server does whose client is gone.
pub(super) async fn serve(server: Rc<Server>) -> anyhow::Result<()> {
    let (sender, mut lines) = mpsc::channel(QUEUE_MESSAGES_MAX);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || read_lines(&sender))
        .context("start the reader")?;
    let out = Rc::new(Stdout { gone: Cell::new(false) });
    while let Some(line) = lines.recv().await {
        match server.plan(&line, "stdio") {
            Plan::Nothing => (),
            Plan::Now(message) => out.send(message),
            Plan::Script(script) => {
                let (server, out) = (Rc::clone(&server), Rc::clone(&out));
                tokio::task::spawn_local(async move { run(script, server.waiting(), "stdio", &*out).await });
            }
        }
        if out.gone.get() {
            break;
        }
    }
    Ok(())
}

fn read_lines(sender: &mpsc::Sender<Vec<u8>>) {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let limit = UPSTREAM_MESSAGE_BYTES_MAX as u64;
        match input.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            // A line that was cut at the limit cannot be told from two; reading on would be guessing.
            Ok(_) if line.last() != Some(&b'\n') => return,
            Ok(_) => {
                line.pop();
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        }
    }
}

/// Standard output, each message flushed.
struct Stdout {
    gone: Cell<bool>,
}

impl Wire for Stdout {
    fn send(&self, message: Bytes) {
        let mut out = std::io::stdout().lock();
        let line = [&message, &b"\n"[..]].concat();
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            self.gone.set(true);
        }
    }

    fn garbage(&self, bytes: Bytes) {
        let mut out = std::io::stdout().lock();
        if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
            self.gone.set(true);
        }
    }

    fn announce(&self, message: Bytes) {
        self.send(message);
    }

    /// There is only one connection, and it stays.
    fn cut(&self) {}
}
