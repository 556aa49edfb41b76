// Wires the page: which episode, which keys, which labels.

import { drawAbout, drawChips, drawFindings, drawMarks } from "./about.js";
import { Capture } from "./capture.js";
import { Curves } from "./curves.js";
import { Film } from "./film.js";
import { count, duration, element } from "./format.js";
import { getJson, openDataset, postLabel } from "./server.js";
import { Shelf } from "./shelf.js";

const at = (id) => document.getElementById(id);
const SAID = { keep: "Kept", drop: "Dropped", success: "Success", failure: "Failure", task: "Text saved", undo: "Undone" };

const say = (text, bad = false) => {
  const toast = at("toast");
  toast.textContent = text;
  toast.className = bad ? "shown bad" : "shown";
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (toast.className = ""), bad ? 6000 : 1800);
};

class Page {
  constructor(dataset) {
    this.dataset = dataset;
    this.episode = null;
    this.curves = new Curves(
      dataset.fps,
      (frame) => this.scrub(frame),
      (groups, step, episode) => this.capture.open(groups, step, dataset.fps, episode),
    );
    this.film = new Film(dataset, (frame) => this.showFrame(frame), (playing) => this.showPlaying(playing));
    this.capture = new Capture(this.film);
    this.shelf = new Shelf(dataset.fps, (index) => this.open(index), () => this.followList());
    at("name").textContent = dataset.name;
    at("name").title = dataset.root;
    at("of").textContent = `of ${count(dataset.episodes)}`;
    document.title = `${dataset.name} · roboscale show`;
    for (const option of document.querySelectorAll("[data-scored]")) option.hidden = !dataset.scored;
    this.showFacts(dataset.counts);
  }

  showFacts(counts) {
    const { dataset } = this;
    const parts = [dataset.robot, `${count(dataset.episodes)} episodes`, duration(dataset.hours)];
    for (const kind of ["keep", "drop"]) if (counts[kind]) parts.push(`${count(counts[kind])} ${kind}`);
    at("facts").textContent = parts.filter(Boolean).join(" · ");
  }

  async open(index) {
    if (!(index >= 0 && index < this.dataset.episodes)) {
      say(`There are episodes 0 to ${this.dataset.episodes - 1}.`, true);
      return;
    }
    this.loading?.abort();
    const loading = (this.loading = new AbortController());
    let episode;
    try {
      episode = await getJson(`api/episode/${index}?${this.shelf.filter}`, loading.signal);
    } catch (error) {
      if (error.name !== "AbortError") say(error.message, true);
      return;
    }
    this.stopEditing();
    this.episode = episode;
    document.body.dataset.episode = index;
    history.replaceState(null, "", `#${index}`);
    at("number").value = index;
    at("frame").max = Math.max(0, episode.frames - 1);
    this.shelf.select(index, episode.near.position);
    this.showNear(episode.near);
    this.showLabels();
    drawAbout(at("about"), this.dataset, episode);
    drawFindings(at("findings"), this.dataset, episode, (frame) => this.scrub(frame));
    drawMarks(at("marks"), episode, (frame) => this.scrub(frame));
    this.film.open(episode);
    await this.curves.open(episode, loading.signal);
  }

  showNear(near) {
    at("previous").disabled = near.previous === null;
    at("next").disabled = near.next === null;
  }

  near(index) {
    return getJson(`api/episode/${index}?${this.shelf.filter}`).then((episode) => episode.near);
  }

  // After a search: stays where it is when the episode is in the new list, else goes to the one after it.
  async followList() {
    if (!this.episode) return;
    const { index } = this.episode;
    const near = await this.near(index);
    if (this.episode.index !== index) return;
    if (near.listed || !near.total) {
      this.showNear(near);
      this.shelf.select(index, near.position);
    } else await this.open(near.next ?? near.previous);
  }

  // The list may have changed by a label; so the neighbour is asked for when it is wanted.
  async go(where) {
    if (!this.episode) return;
    const near = await this.near(this.episode.index);
    if (near[where] === null) say(where === "next" ? "This is the last one of the list." : "This is the first one of the list.");
    else await this.open(near[where]);
  }

  showLabels() {
    const { row } = this.episode;
    at("task").textContent = row.task || "no task text";
    at("task").className = row.task ? "" : "empty";
    drawChips(at("chips"), this.dataset, this.episode);
    for (const button of document.querySelectorAll("[data-action]")) {
      const { action } = button.dataset;
      if (action !== "undo") button.setAttribute("aria-pressed", action === row.decision || action === row.outcome);
    }
    at("edit-task").setAttribute("aria-pressed", row.task !== row.recorded_task);
  }

  async label(action, value = "") {
    if (!this.episode) return false;
    const { index } = this.episode;
    try {
      const { row, counts } = await postLabel(index, action, value);
      this.showFacts(counts);
      this.shelf.update(row);
      say(`${SAID[action]}: episode ${index}${action === "undo" ? "" : ", u undoes it"}`);
      if (this.episode.index === index) {
        this.episode.row = row;
        this.showLabels();
        drawAbout(at("about"), this.dataset, this.episode);
      }
      return true;
    } catch (error) {
      say(error.message, true);
      return false;
    }
  }

  startEditing() {
    if (!this.episode) return;
    this.film.pause();
    at("task").hidden = true;
    at("edit").hidden = false;
    at("text").value = this.episode.row.task;
    at("text").focus();
    at("text").select();
  }

  stopEditing() {
    at("task").hidden = false;
    at("edit").hidden = true;
  }

  async saveText() {
    const text = at("text").value.replace(/\s+/g, " ").trim();
    if (!text) say("A task text says something.", true);
    else if (text === this.episode.row.task) this.stopEditing();
    else if (await this.label("task", text)) this.stopEditing();
  }

  scrub(frame) {
    this.film.pause();
    this.film.seek(frame);
  }

  showFrame(frame) {
    at("frame").value = frame;
    const time = (frame / this.dataset.fps).toFixed(2);
    at("clock").replaceChildren(element("b", { textContent: `${time} s` }), ` frame ${frame} of ${this.film.frames}`);
    this.curves.moveTo(frame);
    this.capture.show(frame);
  }

  showPlaying(playing) {
    at("play").textContent = playing ? "Pause" : "Play";
    document.body.dataset.playing = playing;
  }
}

const bindKeys = (page) => {
  const keys = {
    " ": () => page.film.toggle(),
    ArrowLeft: (event) => page.film.step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => page.film.step(event.shiftKey ? 10 : 1),
    Home: () => page.scrub(0),
    End: () => page.scrub(page.film.last),
    n: () => page.go("next"),
    p: () => page.go("previous"),
    k: () => page.label("keep"),
    d: () => page.label("drop"),
    s: () => page.label("success"),
    f: () => page.label("failure"),
    e: () => page.startEditing(),
    u: () => page.label("undo"),
    g: () => at("number").select(),
    "/": () => at("query").focus(),
    "?": () => at("keys").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range]), textarea, select");
    if (event.key === "Escape") {
      if (event.target === at("text")) page.stopEditing();
      at("shelf").classList.remove("open");
      if (typing) {
        event.preventDefault(); // a search stays when its field is left
        event.target.blur();
      }
      return;
    }
    const act = keys[event.key];
    if (typing || at("keys").open || !act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.repeat && !event.key.startsWith("Arrow")) return; // one press is one label
    if (event.key === " " && event.target.matches("button")) return; // space presses a button that has the focus
    event.preventDefault();
    act(event);
  });
};

const bindButtons = (page) => {
  // A button that was clicked would take the next space for itself, and space plays.
  document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
  const on = (id, act, kind = "click") => at(id).addEventListener(kind, act);
  on("play", () => page.film.toggle());
  on("back", () => page.film.step(-1));
  on("forth", () => page.film.step(1));
  on("next", () => page.go("next"));
  on("previous", () => page.go("previous"));
  on("help", () => at("keys").showModal());
  on("frame", () => page.scrub(Number(at("frame").value)), "input");
  on("speed", () => page.film.setSpeed(Number(at("speed").value)), "change");
  on("edit-task", () => page.startEditing());
  on("cancel", () => page.stopEditing());
  on("open-shelf", () => at("shelf").classList.add("open"));
  on("close-shelf", () => at("shelf").classList.remove("open"));
  for (const button of document.querySelectorAll("[data-action]")) {
    button.addEventListener("click", () => page.label(button.dataset.action));
  }
  on("edit", (event) => { event.preventDefault(); page.saveText(); }, "submit");
  on("text", (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    page.saveText();
  }, "keydown");
  on("jump", (event) => {
    event.preventDefault();
    const text = at("number").value.trim();
    at("number").blur();
    page.open(/^\d+$/.test(text) ? Number(text) : -1);
  }, "submit");
  window.addEventListener("hashchange", () => page.open(Number(location.hash.slice(1))));
};

const start = async () => {
  let dataset;
  try {
    dataset = await openDataset();
  } catch (error) {
    at("task").textContent = error.message;
    return;
  }
  const page = new Page(dataset);
  bindKeys(page);
  bindButtons(page);
  if (!dataset.episodes) {
    at("task").textContent = "This dataset has no episodes.";
    return;
  }
  const asked = Number(location.hash.slice(1));
  const first = Number.isInteger(asked) && asked >= 0 && asked < dataset.episodes ? asked : 0;
  await Promise.all([page.shelf.reload(), page.open(first)]);
  page.shelf.select(page.episode?.index ?? first, page.episode?.near.position ?? first);
};

start();
