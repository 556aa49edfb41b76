// The operator's page. Everything that is shown is text of our own server, set as text and never as markup.

const at = (id) => document.getElementById(id);
const make = (tag, text = "", name = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
};

let session = "", state = null, drawn = "", form = "";

const say = (text) => { at("problem").textContent = text; at("problem").hidden = !text; };

const act = async (action, values = {}) => {
  say("");
  try {
    const answer = await fetch("api/act", {
      method: "POST",
      headers: { "content-type": "application/json", "x-roboscale-session": session },
      body: JSON.stringify({ action, ...values }),
    });
    if (!answer.ok) say((await answer.json()).error || answer.statusText);
  } catch {
    say("The server does not answer. Its commands expire: the arm holds.");
  }
  await look();
};

const PHASES = {
  starting: ["Starting", "The guard connects to the robot."],
  moving: ["The arm moves by itself", "It goes home. Keep away from it."],
  "set up": ["Set the scene up", "Put the objects where the first picture of this scene has them, then step back."],
  running: ["Running", "Watch. Space or Escape stops the arm."],
  score: ["Score this trial", ""],
  stopped: ["The arm is stopped", "Look at the bench, then release the guard."],
  done: ["The run has ended", "What was scored is saved. You can close this page."],
};

const NEW_SCENE = "A new scene: put the objects in place, then step back. What the cameras show when you press is what its later trials are laid over.";

const choice = (type, name, value, text) => {
  const label = make("label"), input = document.createElement("input");
  Object.assign(input, { type, name, value });
  label.append(input, text);
  return label;
};

const drawForm = () => {
  const wanted = JSON.stringify([state.number, state.stages, state.tags]);
  if (wanted === form) return;
  form = wanted;
  at("score").reset();
  const stages = [["none of it", 0], ...state.stages.map((name, k) => [name, k + 1])];
  at("stages").replaceChildren(...stages.map(([name, k]) => choice("radio", "stage", String(k), name)));
  at("stages").closest("fieldset").hidden = !state.stages.length;
  at("tags").replaceChildren(...state.tags.map((tag) => choice("checkbox", "tag", tag, tag)));
  at("tags-row").hidden = !state.tags.length;
};

const drawProposals = () => {
  at("proposals").hidden = !state.proposals.length;
  at("proposals").querySelector("ul").replaceChildren(...state.proposals.map((one) => {
    const row = make("li", `${one.name}: `);
    row.append(make("strong", one.says), one.reason ? ` (${one.reason})` : "");
    return row;
  }));
};

const drawRows = () => {
  at("rows").replaceChildren(...state.trials.map((trial) => {
    const row = make("li", "", trial.void ? "void" : trial.success ? "good" : "bad");
    const word = trial.void ? "void" : trial.success === null ? "not scored" : trial.success ? "success" : "failure";
    row.append(`${word}${trial.reason ? `: ${trial.reason}` : ""}`);
    if (!trial.fixed) {
      const other = make("button", trial.success ? "it was a failure" : "it was a success");
      other.type = "button";
      other.addEventListener("click", () => act("correct", { number: trial.number, success: !trial.success }));
      row.append(other);
    }
    return row;
  }));
};

const drawCameras = () => {
  const wanted = JSON.stringify([state.cameras, state.scene]);
  if (wanted === drawn) return;
  drawn = wanted;
  at("cameras").replaceChildren(...state.cameras.map((name) => {
    const box = make("div", "", "camera"), live = document.createElement("img");
    live.alt = `camera ${name}`;
    live.dataset.live = name;
    box.append(live);
    if (state.initial) {
      const first = document.createElement("img");
      first.alt = `${name} when this scene was first set up`;
      first.className = "first";
      first.src = `api/initial/${state.scene}/${encodeURIComponent(name)}.jpg`;
      box.append(first);
    }
    return box;
  }));
  fade();
};

const fade = () => {
  for (const first of document.querySelectorAll(".first")) {
    first.style.opacity = state.phase === "set up" ? at("overlay").value / 100 : 0;
  }
};

const draw = () => {
  const [title, hint] = PHASES[state.phase];
  document.body.dataset.phase = state.phase;
  document.body.dataset.number = state.number;
  at("title").textContent = state.title;
  at("count").textContent = `Trial ${state.number} of at most ${state.total}`;
  const unknown = state.phase === "stopped" && state.guard.mode === "off";  // nothing is read of the arm
  at("phase").textContent = unknown ? "The bench is not ready" : title;
  at("task").textContent = state.phase === "done" ? "" : state.place ? `Bench ${state.place}: ${state.task}` : state.task;
  at("hint").textContent = state.hint || (state.phase === "set up" && !state.initial ? NEW_SCENE : hint);
  at("guard").textContent = state.guard.text;
  at("guard").dataset.mode = state.guard.mode;
  at("ready-row").hidden = state.phase !== "set up";
  at("release-row").hidden = state.phase !== "stopped";
  at("score").hidden = state.phase !== "score";
  at("overlay-row").hidden = !(state.phase === "set up" && state.initial);
  at("stop").disabled = state.phase === "done" || state.phase === "starting";
  at("facts").replaceChildren(...state.facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  at("limits").textContent = state.limits;
  at("earlier").hidden = !state.trials.length;
  if (state.phase === "score") drawForm();
  drawProposals();
  drawRows();
  drawCameras();
  fade();
};

const look = async () => {
  try {
    const answer = await fetch("api/state");
    if (!answer.ok) throw new Error();
    state = await answer.json();
    session = state.session;
    draw();
  } catch {
    if (state?.phase === "done") return;  // and its server with it
    say("The server does not answer: its command has ended, or the connection is gone. Commands expire: the arm holds.");
  }
};

const showLive = () => {
  if (!state?.live) return;
  for (const live of document.querySelectorAll("[data-live]")) {
    const next = new Image();
    next.onload = () => { live.src = next.src; };
    next.src = `api/picture/${encodeURIComponent(live.dataset.live)}.jpg?t=${Date.now()}`;
  }
};

at("stop").addEventListener("click", () => act("stop"));
at("ready").addEventListener("click", () => act("ready"));
at("release").addEventListener("click", () => act("release"));
at("overlay").addEventListener("input", fade);
at("void").addEventListener("click", () => act("void", { number: state.number, reason: at("why").value }));
at("score").addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(at("score"));
  const stage = data.get("stage");
  act("score", {
    number: state.number,
    success: data.get("success") === null ? null : data.get("success") === "yes",
    stage: stage === null ? null : Number(stage),
    tags: data.getAll("tag"),
    damage: data.getAll("damage"),
    notes: at("notes").value,
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" && !(event.key === " " && state?.phase === "running")) return;
  event.preventDefault();  // also where a button has the focus: the space bar must not press it
  if (!at("stop").disabled) act("stop");
}, true);

look();
setInterval(look, 500);
setInterval(showLive, 250);
