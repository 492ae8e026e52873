//! The handshake: the agent's client and the upstream learn of each other only what the mission offers.

use bytes::Bytes;
use governance::decide::Feature;
use governance::evidence::record::{Channel, Client, Surface};
use tokio::time::timeout;

use super::{AgentSession, DENIED, FAILED, Phase, upstream_failed};
use crate::govern::Session;
use crate::limits::{CLIENT_NAME_BYTES_MAX, REVISION_CHARS_MAX, ReadLimits};
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, SpliceError, author};
use crate::mcp::downstream::Downstream;
use crate::mcp::era::{self, Era, Revision};
use crate::mcp::upstream::UpstreamFault;

/// Capabilities of the agent's client that let an upstream ask it something.
pub(super) const OFFERS: [(&str, Feature); 3] =
    [("elicitation", Feature::Elicitation), ("roots", Feature::Roots), ("sampling", Feature::Sampling)];

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Opens the session: forwards the handshake with fewer capabilities, records who is there, and only then answers.
    pub(super) async fn shake_hands(&self, id: &RawId, envelope: &Envelope) -> Bytes {
        if self.revision().is_some() {
            return author::error_reply(
                Some(id),
                author::INVALID_REQUEST,
                "the session is open already; open another connection for a new one",
                None,
            );
        }
        let Ok(request) = self.narrowed_request(envelope) else {
            return author::error_reply(Some(id), author::INTERNAL_ERROR, "the handshake could not be rewritten", None);
        };
        let asked = timeout(self.patience.handshake, self.upstream.request(id, request)).await;
        let response = match asked.unwrap_or(Err(UpstreamFault::TimedOut)) {
            Ok(response) => response,
            Err(fault) => return upstream_failed(id, &fault),
        };
        let Some(result) = response.result() else { return self.aside(id, envelope, &response).await };
        let named = result.at(&["protocolVersion"]).and_then(Raw::text).unwrap_or_default();
        let Some(revision) = Revision::parse_of(Era::Handshake, &named) else {
            let named: String = named.chars().take(REVISION_CHARS_MAX).collect();
            let text = format!(
                "the upstream speaks revision `{named}`, which this gateway does not; it speaks {}",
                era::spoken(Era::Handshake).join(", ")
            );
            return author::error_reply(Some(id), FAILED, &text, None);
        };
        let info = envelope.params().and_then(|params| params.at(&["clientInfo"]));
        if let Err(refusal) = self.session.opened(self.channel(info, revision)).await {
            return author::error_reply(
                Some(id),
                DENIED,
                &format!("denied ({}): {}", refusal.reason, refusal.sentence),
                None,
            );
        }
        self.upstream.opened(revision);
        self.state().phase = Phase::Open(revision);
        self.aside(id, envelope, &response).await
    }

    /// The request without the capabilities that the mission does not name, and with a revision that we can follow.
    fn narrowed_request(&self, envelope: &Envelope) -> Result<Bytes, SpliceError> {
        let mut splice = Splice::new(envelope.bytes());
        let params = envelope.params();
        if let Some(capabilities) = params.and_then(|params| params.at(&["capabilities"])).and_then(Raw::object) {
            splice.retain_members(capabilities, |name, _| {
                // A request of the upstream is put to the client and answered while it waits; a client that offers no tasks is asked for none.
                name != "tasks" && OFFERS.iter().all(|(offer, feature)| name != *offer || self.offers(*feature))
            })?;
        }
        let preferred = format!("\"{}\"", Revision::PREFERRED);
        if let Some(version) = params.and_then(|params| params.at(&["protocolVersion"]))
            && version.text().and_then(|version| Revision::parse_of(Era::Handshake, &version)).is_none()
            && let Ok(preferred) = Raw::parse(preferred.as_bytes(), &ReadLimits::REQUEST)
        {
            splice.replace(version, preferred)?;
        }
        splice.finish()
    }

    /// Through what a client that says `info` of itself acts.
    pub(super) fn channel(&self, info: Option<Raw<'_>>, revision: Revision) -> Channel {
        let info = |name| {
            let text = info?.at(&[name])?.text()?;
            Some(text.chars().take(CLIENT_NAME_BYTES_MAX).collect::<String>())
        };
        Channel {
            client: info("name").map(|name| Client { name, version: info("version").unwrap_or_default() }),
            protocol: Some(revision.name().to_owned()),
            surface: Surface::Mcp,
            transport: self.transport.to_owned(),
            upstream: self.session.upstream().to_string(),
        }
    }
}
