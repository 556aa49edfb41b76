// Cameras in step: a frame is shown on all of them in one go, or not yet.

import { element, short } from "./format.js";
import { getFramed } from "./server.js";

const STORE_BYTES = 96 * 2 ** 20; // JPEGs kept, of all cameras and episodes together
const AHEAD_BLOCKS = 3; // asked for before they are needed
const AHEAD_FRAMES = 10; // decoded before they are needed
const BEHIND_FRAMES = 3;
const WIDE = 3; // cameras beside each other; on a narrow page two
const NARROW_PX = 520;
const LATE_MS = 250; // a clock that is further ahead than this waits for the pictures

class Store {
  constructor() {
    this.blocks = new Map();
    this.bytes = 0;
  }
  get(key) {
    const block = this.blocks.get(key);
    if (block) {
      this.blocks.delete(key);
      this.blocks.set(key, block);
    }
    return block;
  }
  put(key, block) {
    this.blocks.set(key, block);
    this.bytes += block.bytes;
    for (const [old, { bytes }] of this.blocks) {
      if (this.bytes <= STORE_BYTES || old === key) break;
      this.blocks.delete(old);
      this.bytes -= bytes;
    }
  }
}

const store = new Store();

class Camera {
  constructor(about, episode, width, blockSize, signal) {
    Object.assign(this, { about, episode, width, blockSize, signal });
    this.pictures = new Map(); // frame -> ImageBitmap, or null where it cannot be read
    this.decoding = new Set();
    this.loading = new Set();
    this.failures = new Map(); // block -> why none of it came
    this.canvas = element("canvas", { width: about.width, height: about.height });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `camera ${short(about.name)}`);
    this.problem = element("div", { className: "problem", hidden: true });
    const caption = element("figcaption", { textContent: about.role && about.role !== short(about.name) ? `${short(about.name)} · ${about.role}` : short(about.name) });
    this.root = element("figure", { className: "camera" }, this.canvas, this.problem, caption);
    this.root.dataset.camera = about.name;
    this.ratio = about.width / about.height;
    this.root.style.setProperty("--ratio", this.ratio);
  }

  blockOf(frame) {
    return Math.floor(frame / this.blockSize);
  }

  key(block) {
    return `${this.episode.index}/${this.about.name}/${block}/${this.width}`;
  }

  // Asks for what is needed at `frame` and soon after it.
  want(frame) {
    const last = this.blockOf(this.episode.frames - 1);
    const first = this.blockOf(frame);
    for (let block = first; block <= Math.min(last, first + AHEAD_BLOCKS); block += 1) this.load(block);
    const end = Math.min(this.episode.frames - 1, frame + AHEAD_FRAMES);
    for (let at = frame; at <= end; at += 1) this.decode(at);
    for (const [at, picture] of this.pictures) {
      if (at >= frame - BEHIND_FRAMES && at <= end) continue;
      picture?.close();
      this.pictures.delete(at);
    }
  }

  async load(block) {
    if (this.loading.size >= 2 || this.loading.has(block) || this.failures.has(block) || store.get(this.key(block))) return;
    this.loading.add(block);
    const camera = encodeURIComponent(this.about.name);
    try {
      const path = `api/episode/${this.episode.index}/camera/${camera}/block/${block}?width=${this.width}`;
      const { head, buffer, start } = await getFramed(path, this.signal);
      let at = start;
      const jpegs = head.lengths.map((length) => {
        at += length;
        return length ? new Blob([new Uint8Array(buffer, at - length, length)], { type: "image/jpeg" }) : null;
      });
      store.put(this.key(block), { jpegs, error: head.error, bytes: buffer.byteLength });
    } catch (error) {
      if (error.name !== "AbortError") this.failures.set(block, error.message);
    } finally {
      this.loading.delete(block);
    }
  }

  async decode(frame) {
    if (this.pictures.has(frame) || this.decoding.has(frame)) return;
    const block = store.get(this.key(this.blockOf(frame)));
    if (!block) return;
    const jpeg = block.jpegs[frame % this.blockSize];
    if (!jpeg) {
      this.pictures.set(frame, null);
      return;
    }
    this.decoding.add(frame);
    try {
      const picture = await createImageBitmap(jpeg);
      if (this.signal.aborted) picture.close();
      else this.pictures.set(frame, picture);
    } catch {
      this.pictures.set(frame, null);
    } finally {
      this.decoding.delete(frame);
    }
  }

  isReady(frame) {
    return this.pictures.has(frame) || this.failures.has(this.blockOf(frame));
  }

  show(frame) {
    const picture = this.pictures.get(frame);
    this.canvas.dataset.frame = frame;
    this.problem.hidden = Boolean(picture);
    this.canvas.style.visibility = picture ? "visible" : "hidden";
    if (picture) {
      if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
        this.canvas.width = picture.width;
        this.canvas.height = picture.height;
      }
      this.canvas.getContext("2d").drawImage(picture, 0, 0);
      return;
    }
    const block = this.blockOf(frame);
    const why = this.failures.get(block) || store.get(this.key(block))?.error || "the picture cannot be decoded";
    const title = element("b", { textContent: `No picture of frame ${frame}` });
    this.problem.replaceChildren(title, element("span", { textContent: why }));
  }

  close() {
    for (const picture of this.pictures.values()) picture?.close();
    this.pictures.clear();
  }
}

// Plays one episode: a clock, and the cameras that follow it.
export class Film {
  constructor(dataset, onFrame, onPlaying) {
    Object.assign(this, { dataset, onFrame, onPlaying });
    this.root = document.getElementById("film");
    this.cameras = [];
    this.playing = false;
    this.speed = 1;
    this.frames = 0;
    this.shown = -1;
    this.target = 0;
    this.root.addEventListener("click", () => this.cameras.length && this.toggle());
  }

  open(episode) {
    this.close();
    this.episode = episode;
    this.frames = episode.frames;
    this.abort = new AbortController();
    const strips = Math.ceil(this.dataset.cameras.length / (this.root.clientWidth < NARROW_PX ? 2 : WIDE));
    const columns = Math.ceil(this.dataset.cameras.length / strips);
    const needed = (this.root.clientWidth / columns) * devicePixelRatio;
    this.cameras = this.dataset.cameras.map((about) => {
      const width = this.dataset.widths.find((w) => w >= needed);
      const asked = width && width < about.width ? width : 0;
      return new Camera(about, episode, asked, this.dataset.block, this.abort.signal);
    });
    if (this.cameras.length) this.arrange(strips, columns);
    else this.root.replaceChildren(element("p", { className: "none", textContent: "This dataset has no camera." }));
    this.shown = -1;
    this.seek(0);
  }

  // Rows of one height each, whatever the shapes of the pictures.
  arrange(strips, columns) {
    const rows = [];
    for (let from = 0; from < this.cameras.length; from += columns) {
      const cameras = this.cameras.slice(from, from + columns);
      const row = element("div", { className: "strip" }, ...cameras.map((camera) => camera.root));
      row.style.width = `${(100 * cameras.length) / columns}%`; // a row that is not full has pictures of the same size
      row.style.setProperty("--ratios", cameras.reduce((sum, camera) => sum + camera.ratio, 0));
      rows.push(row);
    }
    this.root.style.setProperty("--strips", strips);
    this.root.replaceChildren(...rows);
  }

  close() {
    this.pause();
    this.abort?.abort();
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    this.cameras.forEach((camera) => camera.close());
    this.cameras = [];
  }

  get last() {
    return Math.max(0, this.frames - 1);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.frames < 2) return;
    if (this.target >= this.last) this.seek(0);
    this.playing = true;
    this.anchor(this.target, performance.now());
    this.onPlaying(true);
    this.schedule();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.onPlaying(false);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.anchor(this.target, performance.now());
  }

  seek(frame) {
    this.target = Math.min(this.last, Math.max(0, Math.round(frame)));
    this.anchor(this.target, performance.now());
    this.schedule();
  }

  step(by) {
    this.pause();
    this.seek(this.target + by);
  }

  anchor(frame, now) {
    this.anchorFrame = frame;
    this.anchorTime = now;
  }

  schedule() {
    if (!this.waiting) this.waiting = requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    this.waiting = 0;
    if (this.playing) this.advance(now);
    else if (this.shown !== this.target) {
      this.cameras.forEach((camera) => camera.want(this.target));
      if (this.isReady(this.target)) this.show(this.target);
    }
    if (this.playing || this.shown !== this.target) this.schedule();
  }

  // The latest frame that is due and that every camera has; without one, the clock waits.
  advance(now) {
    const elapsed = Math.max(0, now - this.anchorTime) / 1000;
    const due = Math.min(this.last, this.anchorFrame + Math.floor(elapsed * this.dataset.fps * this.speed + 1e-6));
    const from = this.target;
    this.cameras.forEach((camera) => camera.want(Math.min(due, from + 1)));
    let frame = due;
    while (frame > from && !this.isReady(frame)) frame -= 1;
    if (this.isReady(frame) && frame !== this.shown) this.show(frame);
    const late = ((due - frame) / (this.dataset.fps * this.speed)) * 1000;
    if (late > LATE_MS || !this.isReady(frame)) this.anchor(frame, now);
    if (this.shown >= this.last && this.target >= this.last) this.pause();
  }

  isReady(frame) {
    return this.cameras.every((camera) => camera.isReady(frame));
  }

  show(frame) {
    this.shown = frame;
    this.target = frame;
    this.cameras.forEach((camera) => camera.show(frame));
    this.root.dataset.frame = frame;
    this.onFrame(frame);
  }
}
