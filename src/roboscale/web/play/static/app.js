// One control step a request, twelve a second; a request that is late delays the next, it does not pile up.
const KEYS = [["d", "a"], ["w", "s"], ["r", "f"], ["t", "g"], ["y", "h"], ["u", "j"], ["i", "k"], ["o", "l"]];
const ARROWS = { ArrowRight: "d", ArrowLeft: "a", ArrowUp: "w", ArrowDown: "s" };
const EVERY_MS = 80;
const held = new Set();
const times = [];
let session = "", axes = [], gaps = [], busy = false;
const at = (id) => document.getElementById(id);

async function ask(where, body) {
  const how = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json", "x-roboscale-session": session },
    body: JSON.stringify(body),
  };
  const answer = await fetch(where, how);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function picture(id, text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  const old = at(id).src;
  at(id).src = url;
  if (old.startsWith("blob:")) URL.revokeObjectURL(old);
}

function show(said) {
  picture("imagined", said.pictures.imagined);
  at("truth").hidden = !("true" in said.pictures);
  if ("true" in said.pictures) picture("true", said.pictures.true);
  if (said.step === 0) gaps = [];
  if (said.divergence !== null) gaps.push(said.divergence);
  const now = performance.now();
  times.push(now);
  while (times.length && now - times[0] > 2000) times.shift();
  const parts = [`step ${said.step}`, `${(times.length / 2).toFixed(0)} Hz`];
  if (said.success !== null) parts.push(`success ${(100 * said.success).toFixed(0)} %`);
  if (said.outside !== null) parts.push(`outside of the data ${(100 * said.outside).toFixed(0)} %`);
  if (said.divergence !== null) parts.push(`divergence ${said.divergence.toFixed(2)} spreads`);
  if (said.ended) parts.push("left its validated range: what follows is not to be believed");
  at("numbers").textContent = parts.join(" · ");
  const top = Math.max(0.1, ...gaps), last = gaps.slice(-300);
  at("curve").firstElementChild.setAttribute("points", last.map((g, i) => `${i},${58 - 56 * g / top}`).join(" "));
}

function motion() {
  return axes.map((_, i) => (KEYS[i] ? held.has(KEYS[i][0]) - held.has(KEYS[i][1]) : 0));
}

async function tick() {
  if (busy) return;
  busy = true;
  try {
    show(await ask("api/step", { motion: motion() }));
    at("problem").textContent = "";
  } catch (error) {
    at("problem").textContent = error.message;
  }
  busy = false;
}

async function begin() {
  try { show(await ask("api/begin", {})); } catch (error) { at("problem").textContent = error.message; }
}

function buttons() {
  axes.forEach((name, i) => {
    if (!KEYS[i]) return;
    const row = document.createElement("div");
    for (const [sign, key] of [["−", KEYS[i][1]], ["+", KEYS[i][0]]]) {
      const button = document.createElement("button");
      button.textContent = `${sign} ${key}`;
      button.setAttribute("aria-label", `${name} ${sign === "+" ? "up" : "down"}`);
      button.addEventListener("pointerdown", (e) => { button.setPointerCapture(e.pointerId); held.add(key); });
      for (const end of ["pointerup", "pointercancel"]) button.addEventListener(end, () => held.delete(key));
      row.append(button);
      if (sign === "−") { const label = document.createElement("span"); label.textContent = name; row.append(label); }
    }
    at("axes").append(row);
  });
}

function legend(points) {
  for (const { name, colour, held } of points) {
    const mark = document.createElement("i"), text = document.createElement("span");
    mark.style.borderColor = colour;
    mark.style.backgroundColor = held ? "transparent" : colour;
    text.append(mark, held ? `${name} (stays)` : name);
    at("legend").append(text);
  }
}

const first = await ask("api/state");
session = first.session;
axes = first.axes;
at("task").textContent = first.sentence;
at("doubt").textContent = first.doubt;
buttons();
legend(first.points);
show(first);
at("begin").addEventListener("click", begin);
addEventListener("keydown", (e) => {
  if (e.key === "n") begin();
  const key = ARROWS[e.key] ?? e.key.toLowerCase();
  held.add(key);
  if (e.key in ARROWS) e.preventDefault();
});
addEventListener("keyup", (e) => held.delete(ARROWS[e.key] ?? e.key.toLowerCase()));
addEventListener("blur", () => held.clear());
setInterval(tick, EVERY_MS);
