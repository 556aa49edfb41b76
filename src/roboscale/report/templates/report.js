"use strict";
(() => {
  const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);
  const DRIFT_S = 0.06;

  // Some browsers refuse videos in data URIs but take the same bytes from memory.
  const fromMemory = (video) => {
    if (!video.src.startsWith("data:")) return;
    const bytes = Uint8Array.from(atob(video.src.split(",")[1]), (letter) => letter.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  };

  class Pair {
    constructor(root) {
      this.root = root;
      this.videos = [...root.querySelectorAll("video")];
      this.button = root.querySelector("button");
      this.playing = false;
      for (const video of this.videos) {
        video.controls = false;
        video.loop = false; // the shorter one waits for the longer one
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
    get allEnded() {
      return this.videos.every((video) => video.ended);
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
      const all = document.getElementById("play-all");
      if (all) all.querySelector("span").textContent = pairs.some((pair) => pair.playing) ? "Pause all" : "Play all";
    }
  }

  const pairs = [...document.querySelectorAll(".pair")].map((root) => new Pair(root));
  each("#play-all", (button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      const any = pairs.some((pair) => pair.playing);
      pairs.forEach((pair) => (any ? pair.pause() : pair.play()));
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
})();
