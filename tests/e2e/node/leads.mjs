// The finance leads of the demo: a script that reads what is asked and answers with their keys, or whoever sits in front of the demo and does so from another terminal.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const ID_CHARS = 18;
const LOOK_EVERY_MS = 300;

export class Leads {
  #agentKnows;
  #isIntroduced = false;
  #seen = new Set();

  // `note` says something to whoever looks on, `line` something that they may copy.
  constructor({ auto, countersign, documents, home, keys }, note, line) {
    Object.assign(this, { countersign, documents, home, isScripted: auto, keys: JSON.parse(keys), line, note });
  }

  // The agent was told that its call waits.
  agentKnows() {
    this.#agentKnows?.();
  }

  // Waits for the next question and has it answered; the word that decided.
  async decide() {
    const known = new Promise((resolve) => (this.#agentKnows = resolve));
    const approval = await this.#question();
    const { word, why } = this.#judged(await this.#shown(approval));
    if (!this.isScripted) return this.#person(approval, word, why);
    // So that the demo shows both ways: this one is answered when the agent has been told that it waits, the other one while its call is held.
    if (word === "approve") await known;
    await this.#inSight(["show", approval], "--format", "table");
    for (const key of Object.values(this.keys).slice(0, word === "approve" ? undefined : 1)) {
      await this.#inSight([word, approval, "--why", why, "--key", key]);
    }
    return word;
  }

  // What a careful person does: compares what would be paid with the invoice.
  #judged(shown) {
    const { account, amount, invoice } = JSON.parse(shown.arguments);
    const text = readFileSync(join(this.documents, "invoices/open", `${invoice}.txt`), "utf8");
    const plain = (value) => value?.replaceAll(/\s/g, "");
    const [, payTo] = text.match(/^pay to: +(.*)$/m) ?? [];
    const [, total] = text.match(/^total +([\d ]+\.\d\d) EUR/m) ?? [];
    if (plain(payTo) !== account) return { word: "deny", why: `${invoice} names another account than the contract; call them first` };
    if (Number(plain(total)) !== amount) return { word: "deny", why: `${invoice} is about another amount` };
    return { word: "approve", why: `account and amount are those of ${invoice}` };
  }

  // Tells whoever is there how to answer, and waits until they have.
  async #person(approval, word, why) {
    const persons = Object.keys(this.keys);
    const yes = word === "approve" ? why : "paid to the account of the contract";
    const no = word === "deny" ? why : "not before somebody has called them";
    const say = (answer, reason, person) => this.line(`  countersign approvals ${answer} ${approval} --why '${reason}' --key ${person}.key`);
    this.note(this.#isIntroduced ? "the same two leads, in your other terminal:\n" : "nothing runs before they have said yes. In another terminal, you are both of them:\n");
    if (!this.#isIntroduced) {
      this.line(`  cd ${dirname(this.home)}`);
      this.line(`  export PATH=${dirname(this.countersign)}:$PATH COUNTERSIGN_HOME=$PWD/home COUNTERSIGN_PASSPHRASE='${process.env.COUNTERSIGN_PASSPHRASE}'`);
      this.#isIntroduced = true;
    }
    this.line(`  countersign approvals show ${approval}`);
    for (const person of persons) say("approve", yes, person);
    this.note("\none no is enough:\n");
    say("deny", no, persons[0]);
    this.note("\nafter ten minutes silence is a no; Ctrl-C ends the demo\n");
    let standing = "";
    for (;;) {
      const one = (await this.#list("--all")).find((listed) => listed.approval.startsWith(approval));
      const now = [one.state, ...one.standing].join(": ");
      if (now !== standing) this.note(now);
      if (one.state !== "open") return ["approved", "used"].includes(one.state) ? "approve" : "deny";
      standing = now;
      await sleep(LOOK_EVERY_MS);
    }
  }

  // The next question that nobody has seen: as much of its id as tells it from all others.
  async #question() {
    for (;;) {
      const found = (await this.#list()).find(({ approval }) => !this.#seen.has(approval));
      if (found) {
        this.#seen.add(found.approval);
        return found.approval.slice(0, ID_CHARS);
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #list(...more) {
    return (await this.#ask("list", "--format", "json", ...more)).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  async #shown(approval) {
    return JSON.parse(await this.#ask("show", approval, "--format", "json")).shown;
  }

  // Runs a command as people would, in sight; `more` is what a terminal would not need.
  async #inSight(args, ...more) {
    const words = args.map((word) => (word.includes(" ") ? `'${word}'` : basename(word)));
    this.note(`\n$ countersign approvals ${words.join(" ")}`);
    this.note((await this.#ask(...args, ...more)).trimEnd().replaceAll(/^/gm, "  "));
  }

  async #ask(...args) {
    const { stdout } = await promisify(execFile)(this.countersign, ["approvals", ...args, "--home", this.home]);
    return stdout;
  }
}
