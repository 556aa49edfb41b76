"use strict";
(() => {
  const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);
  const DRIFT_S = 0.06;
  const POLL_MS = 2000;

  // Some browsers refuse videos in data URIs but take the same bytes from memory.
  const fromMemory = (video) => {
    if (!video.src.startsWith("data:")) return;
    const bytes = Uint8Array.from(atob(video.src.split(",")[1]), (letter) => letter.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  };

  // Films of one case, played in step; the shorter ones wait for the longest.
  class Reel {
    constructor(root) {
      this.root = root;
      this.videos = [...root.querySelectorAll("video")];
      this.button = root.querySelector("button");
      this.playing = false;
      for (const video of this.videos) {
        video.controls = false;
        video.loop = false;
        video.addEventListener("error", () => fromMemory(video));
        video.addEventListener("ended", () => this.restart());
        video.addEventListener("click", () => this.toggle());
      }
      this.button.hidden = false;
      this.button.addEventListener("click", () => this.toggle());
    }
    get longest() {
      return this.videos.reduce((a, b) => (b.duration > a.duration ? b : a));
    }
    get allEnded() {
      return this.videos.every((video) => video.ended);
    }
    toggle() {
      if (this.playing) this.pause();
      else this.play();
    }
    play() {
      this.playing = true;
      this.show();
      if (this.allEnded) this.rewind();
      this.start();
      cancelAnimationFrame(this.frame);
      this.keepStep();
    }
    pause() {
      this.playing = false;
      cancelAnimationFrame(this.frame);
      this.videos.forEach((video) => video.pause());
      this.show();
    }
    rewind() {
      this.videos.forEach((video) => (video.currentTime = 0));
    }
    start() {
      for (const video of this.videos) {
        // "AbortError" is our own pause(); anything else is the browser's refusal
        if (!video.ended) video.play().catch((error) => error.name === "AbortError" || this.pause());
      }
    }
    restart() {
      if (!this.playing || !this.allEnded) return;
      this.rewind();
      this.start();
    }
    keepStep() {
      const leader = this.longest;
      for (const video of this.videos) {
        const due = Math.min(leader.currentTime, video.duration);
        if (video !== leader && !video.ended && !video.seeking && Math.abs(video.currentTime - due) > DRIFT_S) {
          video.currentTime = due;
        }
      }
      this.frame = requestAnimationFrame(() => this.keepStep());
    }
    show() {
      this.root.dataset.playing = this.playing;
      this.button.querySelector("span").textContent = this.playing ? "Pause" : this.button.dataset.label;
      const all = document.querySelector("#play-all span");
      if (all) all.textContent = reels.some((reel) => reel.playing) ? "Pause all" : "Play all";
    }
  }

  const reels = [...document.querySelectorAll(".pair")].filter((root) => root.querySelector("video"))
    .map((root) => new Reel(root));
  each("#play-all", (button) => {
    button.hidden = reels.length === 0;
    button.addEventListener("click", () => {
      const any = reels.some((reel) => reel.playing);
      reels.forEach((reel) => (any ? reel.pause() : reel.play()));
    });
  });

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) throw new Error("copy refused");
    }
  };
  each("[data-copies]", (button) => {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copies).textContent;
      button.textContent = await copy(text).then(() => "Copied", () => "Select the text and copy it");
      setTimeout(() => (button.textContent = label), 2000);
    });
  });

  each("[data-filter]", (field) => {
    const box = field.closest(".filter");
    const rows = [...field.closest("section").querySelectorAll("tbody tr")];
    box.hidden = false;
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      const left = rows.filter((row) => !row.hidden).length;
      box.querySelector("output").textContent = words.length ? `${left} of ${rows.length}` : "";
    });
  });

  // A page that is served asks the file beside it for newer texts; one opened from a disk never asks.
  const source = document.body.dataset.liveFrom;
  const poll = async () => {
    const answer = await fetch(source, { cache: "no-store" });
    if (!answer.ok) return;
    const texts = await answer.json();
    const places = [...document.querySelectorAll("[data-live]")];
    const keys = new Set(places.map((place) => place.dataset.live));
    if (keys.size !== Object.keys(texts).length || Object.keys(texts).some((key) => !keys.has(key))) {
      each("#newer", (line) => (line.hidden = false)); // a run began or has gone: the page itself is another one
      return;
    }
    for (const place of places) place.textContent = texts[place.dataset.live];
    setTimeout(() => poll().catch(() => {}), POLL_MS);
  };
  if (source && location.protocol !== "file:") poll().catch(() => {});
})();
