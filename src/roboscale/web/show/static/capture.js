// What a person did, drawn: hands and paths with their stated error, over the pictures where the lens is known, and in
// a space of their own. Reads the columns that a capture has; any other dataset shows nothing here.

import { element, short } from "./format.js";

const COLOURS = ["#58b4ff", "#ff9f4a"]; // over pictures, on dark edges; of the first and the second end effector
const EDGE = "rgb(0 0 0 / .65)";
const AHEAD_S = 1.5; // of the path that is drawn over a picture
const FINGERS = ["thumb", "index", "middle", "ring", "little"];
const ALONG = ["base", "cmc", "mcp", "pip", "ip", "dip", "tip"];
const MARKS = [
  ["pose.self_colliding", "the arm touches itself", "--c6"],
  ["pose.unreachable", "out of the arm's reach", "--c3"],
  ["pose.too_fast", "too fast for the arm", "--c4"],
  ["pose.held", "held", "--c7"],
  ["pose.interpolated", "interpolated", "--c2"],
];
const RING = 2; // standard deviations

const times = (m, v) => m.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const plus = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const transposed = (m) => [0, 1, 2].map((i) => m.map((row) => row[i]));

// Two rows of a rotation, and the third that they say.
const rotation = (six) => {
  const [a, b] = [six.slice(0, 3), six.slice(3, 6)];
  return [a, b, [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]];
};

// Pairs of joints that a hand's bones connect, by their names.
const bonesOf = (names) => {
  const at = new Map(names.map((name, i) => [name, i]));
  const bones = [];
  for (const finger of FINGERS) {
    const chain = ["wrist", ...ALONG.map((joint) => `${finger}.${joint}`)].filter((name) => at.has(name));
    for (let i = 1; i < chain.length; i += 1) bones.push([at.get(chain[i - 1]), at.get(chain[i])]);
  }
  if (!bones.length && at.has("wrist") && at.has("palm")) bones.push([at.get("wrist"), at.get("palm")]);
  return bones;
};

class Track {
  constructor(prefix, groups) {
    const state = groups.get("observation.state") ?? groups.get("pretrain.pose");
    const first = state.group.names.indexOf(`${prefix}x`);
    this.name = prefix.slice(0, -1);
    this.pose = state.lines.slice(first, first + 9);
    const end = this.name ? `.${this.name}` : "";
    const points = groups.get(`observation.points${end}`) ?? groups.get(`pretrain.points${end}`);
    const known = groups.get(`points.known${end}`);
    if (points?.lines.length && known?.lines.length) {
      Object.assign(this, { points: points.lines, known: known.lines, bones: bonesOf(known.group.names) });
    }
    const sigma = groups.get("sigma");
    const at = sigma ? sigma.group.names.indexOf(`${prefix}position_m`) : -1;
    if (at >= 0) this.sigma = sigma.lines.slice(at, at + 2);
  }

  at(i) {
    return [this.pose[0][i], this.pose[1][i], this.pose[2][i]];
  }

  turn(i) {
    return rotation(this.pose.slice(3).map((line) => line[i]));
  }

  joint(i, joint) {
    if (!this.known[joint][i]) return null;
    return [this.points[3 * joint][i], this.points[3 * joint + 1][i], this.points[3 * joint + 2][i]];
  }
}

// A lens with its place: points of the world as pixels of a picture, null behind it.
class Lens {
  constructor(said, pose) {
    Object.assign(this, { said, pose });
  }

  see(i) {
    const back = transposed(rotation(this.pose.slice(3).map((line) => line[i])));
    const place = [this.pose[0][i], this.pose[1][i], this.pose[2][i]];
    const { fx, fy, cx, cy, k } = this.said;
    return (point) => {
      const [x, y, z] = times(back, minus(point, place));
      if (!(z > 0.02)) return null;
      let scale = 1;
      const r = Math.hypot(x, y) / z;
      if (k.length && r > 1e-9) {
        const angle = Math.atan(r);
        scale = (angle * k.reduce((sum, c, n) => sum + c * angle ** (2 * n + 2), 1)) / r;
      }
      return { x: cx + (fx * scale * x) / z, y: cy + (fy * scale * y) / z, scale: fx / z };
    };
  }
}

const stroke = (context, points, colour, width) => {
  context.beginPath();
  let down = false;
  for (const point of points) {
    if (!point) down = false;
    else if (down) context.lineTo(point.x, point.y);
    else {
      context.moveTo(point.x, point.y);
      down = true;
    }
  }
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
};

const edged = (context, points, colour, width) => {
  stroke(context, points, EDGE, width + 2);
  stroke(context, points, colour, width);
};

const ring = (context, at, radius, colour, edge) => {
  for (const [style, width] of edge ? [[EDGE, 4], [colour, 1.75]] : [[colour, 1.75]]) {
    context.beginPath();
    context.arc(at.x, at.y, Math.max(3, radius), 0, 7);
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke();
  }
};

export class Capture {
  constructor(film) {
    this.film = film;
    this.root = document.getElementById("capture");
    this.angle = [-0.9, 0.45];
    this.frame = 0;
    this.tracks = [];
    new ResizeObserver(() => this.draw()).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // groups: [{ group, lines }] of the curves of one episode, every `step`-th frame.
  open(groups, step, fps, episode) {
    const named = new Map(groups.map((one) => [one.group.name, one]));
    const state = named.get("observation.state") ?? named.get("pretrain.pose");
    const prefixes = (state?.group.names ?? []).filter((n) => n.endsWith("rot6d_rows.0")).map((n) => n.slice(0, -"rot6d_rows.0".length));
    const ours = String(episode.provenance.source).startsWith("capture.");
    this.tracks = ours && state.lines.length ? prefixes.map((prefix) => new Track(prefix, named)) : [];
    this.root.hidden = !this.tracks.length;
    Object.assign(this, { named, step, fps, canvas: null });
    this.lenses = new Map();
    for (const [name, said] of Object.entries(episode.provenance.details.lenses ?? {})) {
      const pose = named.get(`pose.camera.${name}`);
      if (pose?.lines.length === 9) this.lenses.set(name, new Lens(said, pose.lines));
    }
    if (this.tracks.length) this.build(state.group.frame);
  }

  build(frame) {
    this.canvas = element("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "Paths and hands in space; dragging turns it");
    this.says = element("p", { className: "says" });
    const marks = MARKS.filter(([name]) => this.named.get(name)?.lines.some((line) => line.some((v) => v)));
    const swatch = (colour) => {
      const made = element("i", { className: "dot" });
      made.style.background = colour;
      return made;
    };
    const names = this.tracks.map((track, i) => element("span", {}, swatch(COLOURS[i % 2]), track.name || "end effector"));
    const told = marks.map(([, text, colour]) => element("span", {}, swatch(`var(${colour})`), text));
    const title = element("h2", { textContent: `Captured motion · ${frame}` });
    this.root.replaceChildren(title, element("p", { className: "key" }, ...names, ...told), this.canvas, this.says);
    this.canvas.addEventListener("pointermove", (event) => {
      if (!(event.buttons & 1)) return;
      this.angle = [this.angle[0] + event.movementX / 120, Math.max(-1.5, Math.min(1.5, this.angle[1] + event.movementY / 120))];
      this.draw();
    });
    const all = this.tracks.flatMap((track) => [0, 1, 2].map((a) => [Math.min(...track.pose[a]), Math.max(...track.pose[a])]));
    const [low, high] = [0, 1].map((end) => [0, 1, 2].map((a) => Math[end ? "max" : "min"](...all.filter((_, n) => n % 3 === a).map((r) => r[end]))));
    this.middle = low.map((value, a) => (value + high[a]) / 2);
    this.size = Math.max(0.15, Math.hypot(...minus(high, low)) + (this.tracks.some((t) => t.points) ? 0.2 : 0.06));
    this.draw();
  }

  show(frame) {
    this.frame = frame;
    this.draw();
  }

  draw() {
    if (!this.canvas) return;
    const i = Math.floor(this.frame / this.step);
    this.drawSpace(i);
    for (const camera of this.film.cameras) this.drawOver(camera, i);
    const said = this.tracks.map((track) => {
      const name = track.name ? `${track.name}: ` : "";
      if (!track.sigma) return `${name}nobody states an error`;
      return `${name}one standard deviation ${(1e3 * track.sigma[0][i]).toPrecision(2)} mm, ${((180 / Math.PI) * track.sigma[1][i]).toPrecision(2)}°`;
    });
    const flags = MARKS.filter(([name]) => this.named.get(name)?.lines.some((line) => line[i])).map(([, text]) => text);
    const ringed = this.tracks.some((track) => track.sigma) ? ` (the ring: ${RING})` : "";
    this.says.textContent = `${said.join("; ")}${ringed}${flags.length ? ` · this sample: ${flags.join(", ")}` : ""}`;
    this.root.dataset.flags = flags.join(",");
  }

  prepare(canvas) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const pixels = devicePixelRatio || 1;
    canvas.width = Math.round(width * pixels);
    canvas.height = Math.round(height * pixels);
    const context = canvas.getContext("2d");
    context.scale(pixels, pixels);
    context.lineCap = context.lineJoin = "round";
    return { context, width, height };
  }

  drawSpace(i) {
    const { context, width, height } = this.prepare(this.canvas);
    if (!width) return;
    const style = getComputedStyle(this.root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [c, s] = [Math.cos(this.angle[0]), Math.sin(this.angle[0])];
    const [ce, se] = [Math.cos(this.angle[1]), Math.sin(this.angle[1])];
    const scale = (1.2 * Math.min(width, height)) / this.size;
    const see = (point) => {
      const [x, y, z] = minus(point, this.middle);
      return { x: width / 2 + scale * (c * x - s * y), y: height / 2 + scale * (se * (s * x + c * y) - ce * z), scale };
    };
    this.drawAxes(context, see, colour("--muted"), scale);
    this.tracks.forEach((track, number) => {
      const path = Array.from(track.pose[0], (_, k) => see(track.at(k)));
      stroke(context, path, colour("--muted"), 1);
      stroke(context, path.slice(0, i + 1), COLOURS[number % 2], 2.5);
      for (const [name, , mark] of [...MARKS].reverse()) {
        const line = this.named.get(name)?.lines[number];
        context.fillStyle = colour(mark);
        path.forEach((at, k) => line?.[k] && context.fillRect(at.x - 2, at.y - 2, 4, 4));
      }
      this.drawTrack(context, track, number, i, see, false);
      const [at, turn] = [track.at(i), transposed(track.turn(i))];
      turn.forEach((axis, a) => stroke(context, [see(at), see(plus(at, axis.map((v) => 0.04 * v)))], colour(["--c6", "--c2", "--c0"][a]), 2));
    });
  }

  // Ten centimetres along each axis of the frame, in a corner.
  drawAxes(context, see, colour, scale) {
    const zero = see(this.middle);
    const shift = { x: 34 - zero.x, y: context.canvas.clientHeight - 34 - zero.y };
    context.fillStyle = colour;
    context.font = "12px system-ui, sans-serif";
    const length = Math.min(0.1, 26 / scale);
    "xyz".split("").forEach((name, a) => {
      const axis = [0, 0, 0];
      axis[a] = length;
      const tip = see(plus(this.middle, axis));
      const moved = { x: tip.x + shift.x, y: tip.y + shift.y };
      stroke(context, [{ x: zero.x + shift.x, y: zero.y + shift.y }, moved], colour, 1.5);
      context.fillText(name, moved.x + 3, moved.y + 3);
    });
  }

  // Bones, joints and the ring of the stated error of one end effector.
  drawTrack(context, track, number, i, see, edge) {
    const colour = COLOURS[number % 2];
    const line = edge ? edged : stroke;
    for (const [a, b] of track.bones ?? []) {
      const [from, to] = [track.joint(i, a), track.joint(i, b)];
      if (from && to) line(context, [see(from), see(to)], colour, 2);
    }
    const at = see(track.at(i));
    if (at && track.sigma) ring(context, at, RING * track.sigma[0][i] * at.scale, colour, edge);
  }

  drawOver(camera, i) {
    const lens = this.lenses.get(short(camera.about.name));
    if (!lens) return;
    if (!camera.over) {
      camera.over = element("canvas", { className: "over" });
      camera.root.insertBefore(camera.over, camera.problem);
    }
    const { context, width } = this.prepare(camera.over);
    if (!width) return;
    const factor = width / lens.said.width;
    const project = lens.see(i);
    const see = (point) => {
      const at = project(point);
      return at && { x: (at.x + 0.5) * factor, y: (at.y + 0.5) * factor, scale: at.scale * factor };
    };
    const last = Math.min(this.tracks[0].pose[0].length - 1, i + Math.round((AHEAD_S * this.fps) / this.step));
    this.tracks.forEach((track, number) => {
      const path = [];
      for (let k = i; k <= last; k += 1) path.push(see(track.at(k)));
      edged(context, path, COLOURS[number % 2], 2);
      this.drawTrack(context, track, number, i, see, true);
    });
  }
}
