//! `[effect.mcp.SERVER]`, `[effect.workflow.ENGINE]`: what the owner says that tools do to the world.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use evidence::record::{EffectClass, Surface};
use toml::de::DeTable;

use super::allow::{RESERVED, TOOL_PREFIX};
use super::{Key, Reader, Value, brief, nearest};
use crate::mission::rule::{Upstream, server_of};

/// What an owner may say. That nobody has said it is no class to be written down.
const CLASSES: [EffectClass; 6] = [
    EffectClass::Read,
    EffectClass::Write,
    EffectClass::Send,
    EffectClass::Pay,
    EffectClass::Destroy,
    EffectClass::Admin,
];

/// The classes of one server's tools, each with its key.
pub(super) type Declared<'v, 's> = Vec<(&'v Key<'s>, EffectClass)>;

/// A section of one server: its surface, its key and the classes of its tools.
pub(super) type DeclaredOf<'v, 's> = (Surface, &'v Key<'s>, Declared<'v, 's>);

impl<'s> Reader<'s> {
    /// Reads the section: the key of each server, with what stands under it.
    pub(super) fn effects<'v>(&mut self, value: &'v Value<'s>) -> Vec<DeclaredOf<'v, 's>> {
        let surfaces = self.table(value, "write `[effect.mcp.SERVER]`");
        let servers = surfaces.map(|surfaces| self.servers(surfaces, "effect")).unwrap_or_default();
        let mut effects = Vec::new();
        for (surface, key, value) in servers {
            let write = format!("write `[effect.{surface}.{}]`", brief(key.get_ref()));
            if let Some(table) = self.table(value, &write) {
                effects.push((surface, key, self.declared(table)));
            }
        }
        effects
    }

    fn declared<'v>(&mut self, table: &'v DeTable<'s>) -> Declared<'v, 's> {
        let mut declared = Vec::new();
        for (key, value) in table {
            self.rules += 1;
            if let Some(class) = self.class(value) {
                declared.push((key, class));
            }
        }
        declared
    }

    fn class(&mut self, value: &Value<'s>) -> Option<EffectClass> {
        let text = self.text(value)?;
        let class = CLASSES.into_iter().find(|class| class.as_str() == text);
        if class.is_none() {
            let mend = match nearest(text, CLASSES.map(EffectClass::as_str)) {
                _ if text == EffectClass::Unconfirmed.as_str() => {
                    "leave the tool out: what no line says is unconfirmed".to_owned()
                }
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("the classes are {}", CLASSES.map(EffectClass::as_str).join(", ")),
            };
            self.problem(value.span(), format!("`{}` is no effect class", brief(text)), mend);
        }
        class
    }

    /// Gives each server its tools' classes. A class of a tool that may not be called is a slip: the tool that was meant keeps none.
    pub(super) fn take_effects(
        &mut self,
        effects: Vec<DeclaredOf<'_, 's>>,
        upstreams: &mut BTreeMap<Arc<str>, Upstream>,
    ) {
        for (surface, server, declared) in effects {
            let name = server.get_ref().as_ref();
            let Some(upstream) = upstreams.get_mut(name).filter(|upstream| upstream.surface == surface) else {
                let of_surface = upstreams.iter().filter(|(_, upstream)| upstream.surface == surface);
                let known = nearest(name, of_surface.map(|(name, _)| name.as_ref()));
                let reason = format!("the mission allows nothing of {} `{}`", server_of(surface), brief(name));
                self.problem(server.span(), reason, known.map(|word| format!("did you mean `{word}`?")));
                continue;
            };
            for (key, class) in declared {
                self.take_effect(key, class, upstream);
            }
        }
    }

    fn take_effect(&mut self, key: &Key<'s>, class: EffectClass, upstream: &mut Upstream) {
        let written = key.get_ref().as_ref();
        let is_mcp = upstream.surface == Surface::Mcp;
        let name = written.strip_prefix(TOOL_PREFIX).filter(|_| is_mcp).unwrap_or(written);
        if is_mcp && RESERVED.contains(&written) {
            let mend = format!("to name a tool that is called so, write `\"{TOOL_PREFIX}{written}\"`");
            return self.problem(key.span(), format!("`{written}` is not a tool, and effects are of tools"), mend);
        }
        if name.contains('*') {
            let reason = format!("`{}` is a wildcard, and a tool is declared by name", brief(name));
            return self.problem(
                key.span(),
                reason,
                "give each tool its class: a wildcard also takes in tools that come later",
            );
        }
        if upstream.every_tool.is_none() && !upstream.tools.contains_key(name) {
            let known = nearest(name, upstream.tools.keys().map(AsRef::as_ref));
            let reason = format!("`{}` is not a tool that the mission allows", brief(name));
            return self.problem(key.span(), reason, known.map(|word| format!("did you mean `{word}`?")));
        }
        let line = self.line(key);
        match upstream.effects.entry(name.into()) {
            Entry::Vacant(entry) => drop(entry.insert((class, line))),
            Entry::Occupied(_) => {
                self.problem(key.span(), format!("`{}` stands here twice", brief(name)), "remove one");
            }
        }
    }
}
