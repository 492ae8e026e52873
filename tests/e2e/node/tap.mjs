// Reports checks as TAP lines, so that a person and the runner read the same text. The runner counts `ok` and `not ok`.

export class Tap {
  #count = 0;
  #failed = 0;

  ok(name) {
    this.#count += 1;
    console.log(`ok ${this.#count} - ${name}`);
  }

  notOk(name, details) {
    this.#count += 1;
    this.#failed += 1;
    console.log(`not ok ${this.#count} - ${name}`);
    for (const line of String(details).split("\n")) this.note(`  ${line}`);
  }

  check(name, holds, details) {
    if (holds) this.ok(name);
    else this.notOk(name, details);
  }

  note(text) {
    console.log(`# ${text}`);
  }

  // Writes the plan and returns the exit code. A run that checked nothing has failed.
  finish() {
    console.log(`1..${this.#count}`);
    return this.#failed === 0 && this.#count > 0 ? 0 : 1;
  }
}
