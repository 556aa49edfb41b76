// The list of episodes: ten thousand lines, of which only those in sight exist.

import { count, element, seconds } from "./format.js";
import { getJson } from "./server.js";

const ROW = 52; // pixels, as in the style sheet
const PAGE = 100; // lines of one answer
const PAGES = 40; // answers that are kept
const BEYOND = 6; // lines made above and below what is in sight

const MARKS = { success: "✓ success", failure: "✕ failure", void: "∅ void" };

export class Shelf {
  // `open` is called with the episode of a line that was clicked, `changed` when the list is another one.
  constructor(fps, open, changed) {
    Object.assign(this, { fps, open, changed });
    this.list = document.getElementById("list");
    this.rows = document.getElementById("rows");
    this.counter = document.getElementById("count");
    this.fields = ["query", "outcome", "label", "order"].map((id) => document.getElementById(id));
    this.pages = new Map();
    this.total = 0;
    this.current = -1;
    this.version = 0;
    this.list.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.list);
    this.rows.addEventListener("click", (event) => this.clicked(event));
    document.getElementById("search").addEventListener("submit", (event) => {
      event.preventDefault();
      document.getElementById("query").blur();
    });
    for (const field of this.fields) {
      field.addEventListener("input", () => {
        clearTimeout(this.waiting);
        this.waiting = setTimeout(() => this.search(), field.id === "query" ? 120 : 0);
      });
    }
  }

  get filter() {
    return new URLSearchParams(this.fields.filter((f) => f.value).map((f) => [f.id, f.value])).toString();
  }

  async search() {
    this.list.scrollTop = 0;
    await this.reload();
    this.changed();
  }

  async reload() {
    this.version += 1;
    this.pages.clear();
    await this.load(0);
    this.draw();
  }

  async load(page) {
    if (this.pages.has(page)) return;
    const version = this.version;
    this.pages.set(page, null);
    let answer;
    try {
      answer = await getJson(`api/episodes?${this.filter}&offset=${page * PAGE}&limit=${PAGE}`);
    } catch (error) {
      if (version === this.version) this.pages.delete(page);
      this.counter.textContent = error.message;
      return;
    }
    if (version !== this.version) return;
    this.pages.set(page, answer.rows);
    while (this.pages.size > PAGES) this.pages.delete(this.pages.keys().next().value);
    this.total = answer.total;
    this.rows.style.height = `${this.total * ROW}px`;
    this.counter.textContent = `${count(this.total)} episode${this.total === 1 ? "" : "s"}`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - BEYOND);
    const last = Math.min(this.total, Math.ceil((this.list.scrollTop + this.list.clientHeight) / ROW) + BEYOND);
    const made = [];
    for (let at = first; at < last; at += 1) {
      const page = Math.floor(at / PAGE);
      const row = this.pages.get(page)?.[at % PAGE];
      if (row) made.push(this.line(row, at));
      else this.load(page);
    }
    this.rows.replaceChildren(...made);
  }

  line(row, at) {
    const selected = row.index === this.current;
    const facts = element("small", {}, element("span", { textContent: `#${row.index}` }));
    facts.append(element("span", { textContent: seconds(row.frames / this.fps) }));
    if (row.outcome) facts.append(element("span", { className: row.outcome, textContent: MARKS[row.outcome] }));
    if (row.decision) facts.append(element("span", { className: row.decision, textContent: row.decision }));
    if (row.score !== null) facts.append(element("span", { textContent: `score ${row.score.toPrecision(3)}` }));
    if (row.severity) facts.append(element("span", { className: row.severity, textContent: "⚑", title: `audit: ${row.severity}` }));
    const title = element("b", { textContent: row.task || "no task text", title: row.task });
    const line = element("div", { className: "row", id: `row-${row.index}`, role: "option" }, title, facts);
    line.dataset.index = row.index;
    line.dataset.decision = row.decision;
    line.setAttribute("aria-selected", selected);
    line.style.top = `${at * ROW}px`;
    return line;
  }

  clicked(event) {
    const line = event.target.closest(".row");
    if (!line) return;
    this.open(Number(line.dataset.index));
    document.getElementById("shelf").classList.remove("open");
  }

  // Marks an episode and brings its line, the `position`-th of the list, into sight.
  select(index, position) {
    this.current = index;
    this.list.setAttribute("aria-activedescendant", `row-${index}`);
    const top = position * ROW;
    const seen = this.list.clientHeight;
    if (top < this.list.scrollTop || top + ROW > this.list.scrollTop + seen) {
      this.list.scrollTop = Math.max(0, top - seen / 2 + ROW / 2);
    }
    this.draw();
  }

  update(row) {
    for (const rows of this.pages.values()) {
      const at = rows ? rows.findIndex((other) => other.index === row.index) : -1;
      if (at >= 0) rows[at] = row;
    }
    if (this.filter) this.reload();
    else this.draw();
  }
}
