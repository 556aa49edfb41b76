// One group of curves over time: drawn by hand, zoomed by hand, with a cursor that follows the film.

import { element, number, variable } from "./format.js";

const COLOURS = 8;
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]]; // tell two curves of one colour apart
const AT_FIRST = 16; // curves shown at first; of more, those 8 that move most
const MOVING = 8;
const LEFT = 52;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;
const LEAST = 4; // frames that stay in sight however far one zooms

const ticks = (low, high, wanted) => {
  const raw = (0.7 * (high - low)) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((n) => n * power >= raw) * power;
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return found;
};

const tickText = (value) => {
  const size = Math.abs(value);
  const text = size && (size >= 1e5 || size < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(6)));
  return text.replace("-", "−");
};

const extent = (values, from = 0, to = values.length) => {
  let low = Infinity;
  let high = -Infinity;
  for (let i = from; i < to; i += 1) {
    const value = values[i];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
};

export const swatch = (i) => ({ colour: `--c${i % COLOURS}`, dash: DASHES[Math.floor(i / COLOURS) % DASHES.length] });

const mostMoving = (lines) => {
  const ranges = lines.map((values, i) => {
    const [low, high] = extent(values);
    return [high - low, i];
  });
  ranges.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  return new Set(ranges.slice(0, MOVING).map(([, i]) => i));
};

export class Plot {
  // `lines`: one Float64Array a curve, a value every `step` frames. `seek` is called with a frame while dragging.
  constructor(group, lines, { frames, step, fps, bands, shown, seek }) {
    Object.assign(this, { group, lines, frames, step, fps, bands, seek });
    this.last = Math.max(1, frames - 1);
    this.range = [0, this.last];
    this.cursor = 0;
    this.shown = shown || (lines.length <= AT_FIRST ? new Set(lines.keys()) : mostMoving(lines));
    this.canvas = element("canvas");
    this.over = element("canvas");
    this.area = element("div", { className: "area" }, this.canvas, this.over);
    this.root = element("section", { className: "plot" }, this.header(), this.area, this.makeLegend());
    this.root.dataset.field = group.name;
    this.root.setAttribute("aria-label", group.name);
    this.watch();
  }

  header() {
    const { name, unit, mode, frame, size } = this.group;
    const facts = [unit && unit !== "1" && `unit ${unit}`, mode && mode !== "absolute" && mode, frame && `in ${frame}`];
    if (size > this.lines.length) facts.push(`${this.lines.length} of ${size} elements`);
    if (this.step > 1) facts.push(`every ${this.step}th frame`);
    const tool = (text, label, act) => {
      const button = element("button", { type: "button", textContent: text, title: label });
      button.setAttribute("aria-label", `${name}: ${label}`);
      button.addEventListener("click", act);
      return button;
    };
    const tools = element(
      "div",
      { className: "tools" },
      tool("+", "zoom in", () => this.zoom(0.5, this.cursor)),
      tool("−", "zoom out", () => this.zoom(2, this.cursor)),
      tool("all time", "show all time", () => this.setRange(0, this.last)),
      tool("all", "show all curves", () => this.show(this.lines.keys())),
      tool("none", "hide all curves", () => this.show([])),
    );
    const about = element("span", { className: "muted", textContent: facts.filter(Boolean).join(" · ") });
    return element("header", {}, element("h2", { textContent: name }), about, tools);
  }

  makeLegend() {
    this.values = [];
    this.buttons = this.lines.map((_, i) => {
      const { colour, dash } = swatch(i);
      const mark = element("span", { className: "swatch" });
      mark.style.borderTopColor = `var(${colour})`;
      mark.style.borderTopStyle = ["solid", "dashed", "dotted", "double"][DASHES.indexOf(dash)];
      const value = element("span", { className: "value" });
      this.values.push(value);
      const name = element("span", { className: "name", textContent: this.group.names[i], title: this.group.names[i] });
      const button = element("button", { type: "button" }, mark, name, value);
      button.addEventListener("click", (event) => this.toggle(i, event.shiftKey));
      return button;
    });
    this.press();
    return element("div", { className: "legend" }, ...this.buttons);
  }

  toggle(i, alone) {
    if (alone) this.shown = new Set([i]);
    else if (!this.shown.delete(i)) this.shown.add(i);
    this.press();
    this.draw();
  }

  show(all) {
    this.shown = new Set(all);
    this.press();
    this.draw();
  }

  press() {
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", this.shown.has(i)));
  }

  watch() {
    new ResizeObserver(() => this.draw()).observe(this.area);
    const frameAt = (event) => {
      const { left, width } = this.area.getBoundingClientRect();
      const share = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
      return Math.min(this.last, Math.max(0, this.range[0] + share * (this.range[1] - this.range[0])));
    };
    this.area.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.area.setPointerCapture(event.pointerId);
      this.dragging = true;
      this.from = event.shiftKey ? frameAt(event) : null;
      if (this.from === null) this.seek(Math.round(frameAt(event)));
    });
    this.area.addEventListener("pointermove", (event) => {
      if (!this.dragging) return;
      if (this.from === null) this.seek(Math.round(frameAt(event)));
      else this.drawOver(frameAt(event));
    });
    const release = (event) => {
      if (!this.dragging) return;
      this.dragging = false;
      if (this.from === null) return;
      const ends = [this.from, frameAt(event)].sort((a, b) => a - b);
      if (ends[1] - ends[0] >= 1) this.setRange(...ends);
      else this.drawOver();
    };
    this.area.addEventListener("pointerup", release);
    this.area.addEventListener("pointercancel", release);
    this.area.addEventListener("dblclick", () => this.setRange(0, this.last));
    this.area.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the page
        event.preventDefault();
        this.zoom(event.deltaY < 0 ? 0.8 : 1.25, frameAt(event));
      },
      { passive: false },
    );
  }

  zoom(factor, at) {
    const [low, high] = this.range;
    const size = Math.min(this.last, Math.max(Math.min(LEAST, this.last), (high - low) * factor));
    const share = Math.min(1, Math.max(0, (at - low) / (high - low)));
    this.setRange(at - share * size, at + (1 - share) * size);
  }

  setRange(low, high) {
    const size = Math.min(this.last, Math.max(high - low, Math.min(LEAST, this.last)));
    const start = Math.min(this.last - size, Math.max(0, low));
    this.range = [start, start + size];
    this.draw();
  }

  // Follows the film: a zoomed view turns its page when the cursor leaves it.
  moveTo(frame) {
    this.cursor = frame;
    const [low, high] = this.range;
    if (frame < low || frame > high) this.setRange(frame - (frame < low ? 0.9 : 0.1) * (high - low), frame + (frame < low ? 0.1 : 0.9) * (high - low));
    else this.drawOver();
    const at = Math.min(Math.floor(frame / this.step), (this.lines[0]?.length ?? 1) - 1);
    this.values.forEach((value, i) => {
      const text = number(this.lines[i][at]);
      if (value.textContent !== text) value.textContent = text;
    });
  }

  prepare(canvas) {
    const { clientWidth, clientHeight } = this.area;
    const ratio = devicePixelRatio;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    Object.assign(this, { width: clientWidth, height: clientHeight });
    return context;
  }

  x(frame) {
    return LEFT + ((frame - this.range[0]) / (this.range[1] - this.range[0])) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    return this.height - BOTTOM - ((value - this.low) / (this.high - this.low)) * (this.height - TOP - BOTTOM);
  }

  // First and one past the last sample in sight, with one more on either side.
  inSight() {
    const length = this.lines[0]?.length ?? 0;
    const from = Math.max(0, Math.floor(this.range[0] / this.step) - 1);
    return [from, Math.min(length, Math.ceil(this.range[1] / this.step) + 2)];
  }

  fit() {
    const [from, to] = this.inSight();
    let [low, high] = [Infinity, -Infinity];
    for (const i of this.shown) {
      const [l, h] = extent(this.lines[i], from, to);
      if (Number.isFinite(l)) low = Math.min(low, l);
      if (Number.isFinite(h)) high = Math.max(high, h);
    }
    if (low > high) [low, high] = [0, 1];
    const margin = (high - low) * 0.06 || Math.max(Math.abs(low) * 1e-3, 0.5);
    [this.low, this.high] = [low - margin, high + margin];
  }

  draw() {
    const context = this.prepare(this.canvas);
    if (this.width < LEFT + RIGHT + 10) return;
    this.fit();
    this.drawBands(context);
    this.drawAxes(context);
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, this.width - LEFT - RIGHT, this.height - BOTTOM + 1);
    context.clip();
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    for (const i of [...this.shown].sort((a, b) => a - b)) this.drawLine(context, i);
    context.restore();
    this.drawOver();
  }

  drawBands(context) {
    for (const band of this.bands) {
      const from = Math.max(LEFT, this.x(band.first - 0.5));
      const to = Math.min(this.width - RIGHT, this.x(band.last + 0.5));
      if (to <= from) continue;
      context.globalAlpha = 0.13;
      context.fillStyle = variable({ error: "--bad", warning: "--warn", info: "--info" }[band.severity]);
      context.fillRect(from, TOP, Math.max(2, to - from), this.height - TOP - BOTTOM);
      context.globalAlpha = 1;
    }
  }

  drawAxes(context) {
    const [line, muted] = [variable("--line"), variable("--muted")];
    context.font = `11px ${variable("--font")}`;
    context.lineWidth = 1;
    context.strokeStyle = line;
    context.fillStyle = muted;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of ticks(this.low, this.high, 4)) {
      const at = Math.round(this.y(value)) + 0.5;
      context.beginPath();
      context.moveTo(LEFT, at);
      context.lineTo(this.width - RIGHT, at);
      context.stroke();
      context.fillText(tickText(value), LEFT - 6, at);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    const wanted = Math.max(2, Math.floor(this.width / 110));
    for (const time of ticks(this.range[0] / this.fps, this.range[1] / this.fps, wanted)) {
      const at = this.x(time * this.fps);
      if (at < LEFT + 4 || at > this.width - RIGHT - 12) continue;
      context.fillText(`${Number(time.toPrecision(6))} s`, at, this.height - 5);
    }
  }

  drawLine(context, i) {
    const { colour, dash } = swatch(i);
    const values = this.lines[i];
    const [from, to] = this.inSight();
    context.strokeStyle = variable(colour);
    context.setLineDash(dash);
    context.beginPath();
    const each = (to - from) / Math.max(1, this.width - LEFT - RIGHT);
    if (each > 3) this.traceColumns(context, values, from, to, each);
    else this.trace(context, values, from, to);
    context.stroke();
    context.setLineDash([]);
  }

  trace(context, values, from, to) {
    let pen = false;
    for (let at = from; at < to; at += 1) {
      const value = values[at];
      if (!Number.isFinite(value)) {
        pen = false;
        continue;
      }
      const [x, y] = [this.x(at * this.step), this.y(value)];
      if (pen) context.lineTo(x, y);
      else context.moveTo(x, y);
      pen = true;
    }
  }

  // More samples than pixels: from the least to the greatest of every column, so that no spike is lost.
  traceColumns(context, values, from, to, each) {
    for (let start = from; start < to; start += each) {
      const [low, high] = extent(values, Math.floor(start), Math.min(to, Math.ceil(start + each) + 1));
      if (!Number.isFinite(low)) continue;
      const x = this.x(start * this.step);
      context.moveTo(x, this.y(low));
      context.lineTo(x, this.y(high) - 0.5);
    }
  }

  drawOver(selecting = null) {
    const context = this.prepare(this.over);
    if (this.low === undefined) return;
    if (selecting !== null) {
      context.fillStyle = variable("--accent");
      context.globalAlpha = 0.15;
      context.fillRect(this.x(this.from), TOP, this.x(selecting) - this.x(this.from), this.height - TOP - BOTTOM);
      context.globalAlpha = 1;
    }
    const at = this.x(this.cursor);
    if (at < LEFT - 1 || at > this.width - RIGHT + 1) return;
    context.strokeStyle = variable("--ink");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(Math.round(at) + 0.5, TOP - 4);
    context.lineTo(Math.round(at) + 0.5, this.height - BOTTOM);
    context.stroke();
    const sample = Math.min(Math.floor(this.cursor / this.step), (this.lines[0]?.length ?? 1) - 1);
    for (const i of this.shown) {
      const value = this.lines[i][sample];
      if (!Number.isFinite(value)) continue;
      context.fillStyle = variable(swatch(i).colour);
      context.beginPath();
      context.arc(at, this.y(value), 3, 0, 7);
      context.fill();
    }
  }
}
