// Reads what to ask of a server from `cases/NAME.json`, which the Python client shares, and lays out the folder that the server works on.

import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export function loadCases(name, scratch) {
  const root = join(scratch, "files");
  const places = { "{scratch}": scratch, "{root}": root, "{outside}": join(scratch, "outside.txt"), "{64KiB}": "0123456789abcdef".repeat(4096) };
  const cases = fill(JSON.parse(readFileSync(new URL(`../cases/${name}.json`, import.meta.url), "utf8")), places);
  return { ...cases, command: command(cases), prepare: () => prepare(cases, scratch, root) };
}

// The server starts from an environment that is spelled out, so that even a server that prints its environment must answer the same.
function command({ entry, args, env }) {
  const environment = Object.entries({ PATH: process.env.PATH, ...env }).map(([name, value]) => `${name}=${value}`);
  return ["/usr/bin/env", "-i", ...environment, process.execPath, fileURLToPath(new URL(`node_modules/${entry}`, import.meta.url)), ...args];
}

function prepare({ files = {}, folders = [], links = {} }, scratch, root) {
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  for (const name of folders) mkdirSync(join(root, name));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  for (const [name, target] of Object.entries(links)) {
    writeFileSync(target, "not for you\n");
    symlinkSync(target, join(root, name));
  }
}

function fill(value, places) {
  if (typeof value === "string") return Object.entries(places).reduce((text, [name, place]) => text.replaceAll(name, place), value);
  if (Array.isArray(value)) return value.map((item) => fill(item, places));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fill(item, places)]));
  return value;
}
