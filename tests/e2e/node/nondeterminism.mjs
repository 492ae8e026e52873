// What may differ between two runs of the same server, or is changed by the gateway on purpose, and nothing else: `cases/rules.json`. A step names
// the rules that it needs; every other byte must be equal.

import { readFileSync } from "node:fs";

export const RULES = JSON.parse(readFileSync(new URL("../cases/rules.json", import.meta.url), "utf8"));

export function settle(value, names) {
  return names.reduce((settled, name) => apply(RULES[name], settled, ""), value);
}

function apply(rule, value, key) {
  if (typeof value === "string") return applyToText(rule, value, key);
  if (Array.isArray(value)) return value.map((item) => apply(rule, item, ""));
  if (value && typeof value === "object") {
    const kept = Object.entries(value).filter(([name]) => name !== rule.drop);
    return Object.fromEntries(kept.map(([name, item]) => [name, apply(rule, item, name)]));
  }
  return value;
}

function applyToText(rule, text, key) {
  if (rule.drop) return text;
  const pattern = new RegExp(rule.pattern, "g");
  if (!rule.inside) return text.replace(pattern, rule.with);
  return key === rule.inside ? Buffer.from(text, "base64").toString("utf8").replace(pattern, rule.with) : text;
}
