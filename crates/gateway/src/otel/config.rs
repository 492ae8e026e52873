//! `[otel]` in the configuration.

use std::path::Path;

use evidence::filter::Filter;
use serde::Deserialize;
use surfaces::mcp::web::WebUrl;

use crate::clock::now;
use crate::config::Credential;
use crate::stream::alone;

/// Where spans and logs go.
#[derive(Clone, Debug)]
pub struct OtelConfig {
    /// The header that proves us to the collector, if any.
    pub credential: Option<(String, String)>,
    /// Which records are told.
    pub filter: Filter,
    /// Where it takes logs.
    pub logs: WebUrl,
    /// Where it takes spans.
    pub traces: WebUrl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    credential: Option<Credential>,
    #[serde(default)]
    filter: String,
    url: String,
}

impl Written {
    pub(crate) fn fit(self, base: &Path) -> Result<OtelConfig, String> {
        let filter = Filter::parse_at(&self.filter, now()).map_err(|error| error.to_string())?;
        alone(&filter).map_err(|error| error.to_string())?;
        if self.url.contains('?') {
            return Err(format!("url = \"{}\": leave out what follows `?`", self.url));
        }
        let url = self.url.trim_end_matches('/');
        let of = |path: &str| WebUrl::parse(&format!("{url}{path}")).map_err(|error| format!("url: {error}"));
        Ok(OtelConfig {
            credential: self.credential.map(|credential| credential.read(base)).transpose()?,
            filter,
            logs: of("/v1/logs")?,
            traces: of("/v1/traces")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_with_the_mend() {
        let read = |text: &str| toml::from_str::<Written>(text).map_err(|error| error.to_string())?.fit(Path::new("."));
        let good = read("url = \"https://otel.example:4318/\"\nfilter = \"agent:bot\"").unwrap();
        assert_eq!(good.traces, WebUrl::parse("https://otel.example:4318/v1/traces").unwrap());
        for (text, said) in [
            ("url = \"http://otel.example:4318\"", "use https"),
            ("url = \"https://otel.example/?a=b\"", "leave out"),
            ("url = \"https://otel.example\"\nfilter = \"run(status:done)\"", "`run(...)` asks"),
            ("url = \"https://otel.example\"\nfilter = \"agnt:bot\"", "filter, byte 0"),
            ("url = \"https://otel.example\"\ncredential = { env = \"COUNTERSIGN_NO_SUCH\" }", "COUNTERSIGN_NO_SUCH"),
            ("url = \"https://otel.example\"\nsample = 1", "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
