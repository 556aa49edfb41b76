// What is known of an episode besides its frames: outcome, provenance, audit findings.

import { element, seconds, short } from "./format.js";

const OUTCOMES = { success: "✓ success", failure: "✕ failure", void: "∅ void" };

const chip = (text, kind = "") => element("span", { className: kind, textContent: text });

export const drawChips = (root, dataset, episode) => {
  const { row } = episode;
  const chips = [];
  const outcome = chip(row.outcome ? OUTCOMES[row.outcome] : "not judged", row.outcome);
  if (row.outcome !== row.recorded_outcome) outcome.append(` (recorded: ${row.recorded_outcome || "not judged"})`);
  else if (episode.outcome?.reason) outcome.append(`: ${episode.outcome.reason}`);
  chips.push(outcome);
  if (row.decision) chips.push(chip(row.decision, row.decision));
  chips.push(chip(`${seconds(episode.seconds)}, ${episode.frames} frames at ${dataset.fps} Hz`));
  const robot = episode.provenance.embodiment || dataset.robot;
  if (robot) chips.push(chip(robot));
  chips.push(chip(episode.provenance.licence || "licence unknown"));
  if (row.task !== row.recorded_task) chips.push(chip(`recorded text: ${row.recorded_task || "none"}`));
  root.replaceChildren(...chips);
};

const fact = (name, value) => {
  const known = value !== "" && value !== null && value !== undefined;
  return element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: known ? value : "unknown", className: known ? "" : "unknown" }));
};

const damage = (outcome) =>
  Object.entries(outcome?.damage ?? {})
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
    .join(", ");

export const drawAbout = (root, dataset, episode) => {
  const { provenance, outcome, row } = episode;
  const facts = [
    fact("Source", provenance.source),
    fact("Robot", provenance.embodiment || dataset.robot),
    fact("Operator", provenance.operator),
    fact("Licence", provenance.licence),
    fact("World and task", [provenance.world, provenance.task].filter(Boolean).join(", ")),
    fact("Seed", provenance.seed),
    fact("Episode id", episode.id),
    fact("Cameras", dataset.cameras.map((c) => `${short(c.name)} ${c.width} × ${c.height}${c.codec ? ` ${c.codec}` : ""}`).join(", ") || "none"),
  ];
  if (outcome && outcome.progress !== null) facts.push(fact("Progress", outcome.progress));
  if (outcome?.steps) facts.push(fact("Steps", outcome.steps));
  if (damage(outcome)) facts.push(fact("Damage", damage(outcome)));
  if (provenance.parents.length) facts.push(fact("Made from", provenance.parents.join(", ")));
  for (const [name, value] of Object.entries(provenance.details)) {
    facts.push(fact(name, typeof value === "string" ? value : JSON.stringify(value)));
  }
  if (episode.pending) facts.push(fact("State", "saved, not sealed yet"));
  if (row.said_at) facts.push(fact("Last label", [row.said_by, row.said_at].filter(Boolean).join(", ")));
  root.replaceChildren(element("h2", { textContent: "Where it comes from" }), element("dl", {}, ...facts));
};

const line = (finding, seek) => {
  const text = element("p", {}, element("strong", { className: finding.severity, textContent: `${finding.severity} · ${finding.check}` }), ` ${finding.text}`);
  const item = element("li", { className: finding.severity }, text);
  for (const span of finding.spans.slice(0, 20)) {
    const go = element("button", { type: "button", textContent: span.first === span.last ? `frame ${span.first}` : `frames ${span.first}–${span.last}` });
    go.addEventListener("click", () => seek(span.first));
    item.append(go);
  }
  if (finding.spans.length > 20) item.append(element("span", { className: "muted", textContent: `and ${finding.spans.length - 20} more` }));
  const small = [finding.field, finding.evidence, finding.repair].filter(Boolean).join("  ");
  if (small) item.append(element("div", {}, element("code", { textContent: small })));
  return item;
};

export const drawFindings = (root, dataset, episode, seek) => {
  if (!dataset.audited) {
    root.replaceChildren();
    return;
  }
  const parts = [];
  const list = (title, findings) =>
    parts.push(element("h2", { textContent: title }), element("ul", {}, ...findings.map((finding) => line(finding, seek))));
  if (episode.findings.length) list("Audit findings of this episode", episode.findings);
  else parts.push(element("p", { className: "muted", textContent: "The audit found nothing wrong with this episode." }));
  if (dataset.findings.length) list("Audit findings of the whole dataset", dataset.findings);
  root.replaceChildren(...parts);
};

export const drawMarks = (root, episode, seek) => {
  const share = (frame) => (100 * frame) / Math.max(1, episode.frames - 1);
  const marks = episode.findings.flatMap((finding) =>
    finding.spans.slice(0, 200).map((span) => {
      const mark = element("button", { type: "button", className: `mark ${finding.severity}`, title: `${finding.check}: ${finding.text}` });
      mark.setAttribute("aria-label", `${finding.check}, frames ${span.first} to ${span.last}`);
      const from = Math.min(100, share(span.first));
      mark.style.left = `${from}%`;
      mark.style.width = `${Math.min(100, share(span.last)) - from}%`;
      mark.addEventListener("click", () => seek(span.first));
      return mark;
    }),
  );
  root.replaceChildren(...marks.reverse()); // the gravest on top
};
