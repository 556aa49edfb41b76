// The curves of an episode: state and action first, the rest on demand.

import { element } from "./format.js";
import { Plot } from "./plot.js";
import { getFramed } from "./server.js";

const FIRST = ["observation.state", "action"];

const rank = (name) => {
  const at = FIRST.indexOf(name);
  return at >= 0 ? at : FIRST.length + (name.startsWith("observation") || name.startsWith("action") ? 0 : 1);
};

const isTime = (name) => name.startsWith("time.") || name.endsWith("_ns");

export class Curves {
  constructor(fps, seek, onGroups) {
    Object.assign(this, { fps, seek, onGroups });
    this.root = document.getElementById("curves");
    this.plots = [];
    this.shown = new Map(); // field -> curves that the visitor left on
    this.wantsMore = false;
    this.frame = 0;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plots.forEach((plot) => plot.draw()));
  }

  async open(episode, signal) {
    this.remember();
    let message;
    try {
      message = await getFramed(`api/episode/${episode.index}/curves`, signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.plots = [];
      this.root.replaceChildren(element("p", { className: "none", textContent: error.message }));
      return;
    }
    if (signal.aborted) return;
    this.build(message, episode);
  }

  remember() {
    for (const plot of this.plots) this.shown.set(plot.group.name, plot.shown);
  }

  build({ head, buffer, start }, episode) {
    const samples = Math.ceil(head.frames / head.step);
    let at = start;
    const groups = head.groups.map((group) => {
      const lines = group.names.map((_, i) => new Float64Array(buffer, at + 8 * samples * i, samples));
      at += 8 * samples * group.names.length;
      return { group, lines };
    });
    this.onGroups(groups, head.step, episode);
    groups.sort((a, b) => rank(a.group.name) - rank(b.group.name));
    const make = ({ group, lines }) => this.make(group, lines, head, episode);
    const main = groups.filter(({ group }) => rank(group.name) < FIRST.length);
    const rest = groups.filter(({ group }) => rank(group.name) >= FIRST.length);
    const first = main.length ? main : rest.filter(({ group }) => !isTime(group.name)).slice(0, 2);
    const later = groups.filter((group) => !first.includes(group));
    this.plots = [];
    this.root.replaceChildren(...first.map(make));
    if (later.length) this.addRest(later, make);
    this.moveTo(this.frame);
  }

  addRest(groups, make) {
    const names = groups.map(({ group }) => group.name).join(", ");
    const more = element("button", { type: "button", className: "more", textContent: `More curves (${groups.length})`, title: names });
    const open = () => {
      this.wantsMore = true;
      more.remove();
      this.root.append(...groups.map(make));
      this.moveTo(this.frame);
    };
    more.addEventListener("click", open);
    this.root.append(more);
    if (this.wantsMore) open();
  }

  make(group, lines, head, episode) {
    if (group.error) {
      const title = element("h2", { textContent: group.name });
      return element("section", { className: "plot" }, title, element("p", { className: "error", textContent: group.error }));
    }
    const bands = episode.findings
      .filter((finding) => !finding.field || finding.field === group.name)
      .flatMap((finding) => finding.spans.map((span) => ({ ...span, severity: finding.severity })));
    const known = this.shown.get(group.name);
    const shown = known && [...known].every((i) => i < lines.length) ? known : null;
    const plot = new Plot(group, lines, { frames: head.frames, step: head.step, fps: this.fps, bands, shown, seek: this.seek });
    this.plots.push(plot);
    return plot.root;
  }

  moveTo(frame) {
    this.frame = frame;
    for (const plot of this.plots) plot.moveTo(frame);
  }
}
