//! Waiting for something to be so: polled until a deadline, never slept for.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The pause between two looks: short beside a process start, long beside a look.
const PAUSE: Duration = Duration::from_millis(1);

/// It did not come to be.
#[derive(Debug, thiserror::Error)]
#[error("waited {waited:?} for {what}; {last}")]
pub struct NeverSo {
    what: String,
    waited: Duration,
    last: String,
}

/// Polls `look` until it gives a value. Its error texts say what is still missing; the last one is part of the failure.
///
/// # Errors
/// [`NeverSo`] after `patience`.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T, NeverSo> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(last) if start.elapsed() >= patience => {
                return Err(NeverSo { what: what.to_owned(), waited: start.elapsed(), last });
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Waits until `GET path` at `addr` is answered 200.
///
/// # Errors
/// [`NeverSo`] after `patience`.
pub fn http_ready(addr: SocketAddr, path: &str, patience: Duration) -> Result<(), NeverSo> {
    until(&format!("http://{addr}{path}"), patience, || match http_status(addr, path) {
        Ok(200) => Ok(()),
        Ok(status) => Err(format!("status {status}")),
        Err(error) => Err(error.to_string()),
    })
}

/// The status of `GET path` at `addr`.
///
/// # Errors
/// When there is no connection or no HTTP answer within a second.
pub fn http_status(addr: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix("HTTP/1.1 "));
    status.and_then(|digits| digits.parse().ok()).ok_or_else(|| std::io::Error::other("not an HTTP answer"))
}
