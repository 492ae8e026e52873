//! `[capture]`: how much of the content of calls is kept.

use evidence::record::Capture;

use super::{Reader, Value, brief, is_name, nearest};
use crate::mission::UNCLASSIFIED;
use crate::mission::capture::CaptureRules;

/// Keys that are no class.
const KEYS: [&str; 2] = ["default", "readers"];

const EXAMPLE: &str = "write `default = \"digest\"` and `pii = \"redacted\"`";

impl<'s> Reader<'s> {
    pub(super) fn capture(&mut self, value: &Value<'s>) -> CaptureRules {
        let mut rules = CaptureRules::nothing();
        let Some(table) = self.table(value, EXAMPLE) else { return rules };
        if table.is_empty() {
            self.problem(value.span(), "says nothing of what is kept", EXAMPLE);
        }
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "default" => rules.default = self.how_much(value).unwrap_or(Capture::Digest),
                "readers" => {
                    let Some(group) = self.text(value) else { continue };
                    if is_name(group) {
                        rules.readers = Some(group.into());
                    } else {
                        self.bad_name(value.span(), group, "group");
                    }
                }
                name if self.is_class(key.span(), name, &KEYS) => {
                    self.rules += 1;
                    let Some(capture) = self.how_much(value) else { continue };
                    if name == UNCLASSIFIED && capture == Capture::Redacted {
                        let mend = "write `unclassified = \"digest\"` or `\"sealed\"`";
                        self.problem(value.span(), "what could not be read cannot be taken out", mend);
                    }
                    rules.classes.insert(name.into(), capture);
                    let own = name.strip_prefix("org.").map(|own| (own.into(), self.line(key)));
                    rules.own.extend(own);
                }
                _ => {}
            }
        }
        rules
    }

    fn how_much(&mut self, value: &Value<'s>) -> Option<Capture> {
        let text = self.text(value)?;
        let capture = text.parse().ok();
        if capture.is_none() {
            let known = nearest(text, Capture::ALL.iter().map(|capture| capture.as_str()));
            let mend = known.map_or_else(
                || "write `\"digest\"`, `\"redacted\"` or `\"sealed\"`".to_owned(),
                |known| format!("did you mean `{known}`?"),
            );
            self.problem(value.span(), format!("`{}` does not say how much is kept", brief(text)), mend);
        }
        capture
    }
}
