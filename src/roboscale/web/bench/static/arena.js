// The evaluator's page. Everything that is shown is text of our own server, set as text and never as markup.

const at = (id) => document.getElementById(id);
const make = (tag, text = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
};
const choice = (type, name, value, text) => {
  const label = make("label"), input = document.createElement("input");
  Object.assign(input, { type, name, value });
  label.append(input, text);
  return label;
};
let session = "", state = null, drawn = "", tick = 0, moved = false;

const say = (text) => { at("problem").textContent = text; at("problem").hidden = !text; };

const act = async (action, values = {}) => {
  try {
    const answer = await fetch("api/act", {
      method: "POST",
      headers: { "content-type": "application/json", "x-roboscale-session": session },
      body: JSON.stringify({ action, ...values }),
    });
    if (!answer.ok) { say((await answer.json()).error || answer.statusText); return; }
    say("");
  } catch {
    say("This machine's server does not answer. Its commands expire: the arm holds.");
  }
  await look();
};

const PHASES = {
  describe: ["A new match", "Set a scene up and say what is to be done in it. Who meets is drawn after that."],
  moving: ["The arm moves by itself", "It goes home. Keep away from it."],
  drawing: ["Drawing", "The arena looks at the scene and draws who meets."],
  ready: ["Put the scene back", "Lay the first picture over the camera until both agree, then step back."],
  running: ["Running", "Watch. Space or Escape stops the arm."],
  filing: ["Filing", ""],
  score: ["Score this side", ""],
  vote: ["Vote", "All have run in this scene."],
  over: ["The match is over", "Now you may know who they were."],
};

const begin = () => {
  at("tasks").replaceChildren(...state.tasks.map((task) => {
    const option = make("option", task.name);
    option.value = task.name;
    return option;
  }));
  suggest();
};
const suggest = () => {
  const task = state.tasks.find((one) => one.name === at("tasks").value) || state.tasks[0];
  at("instruction").value = task.instruction;
};

const drawForms = () => {
  const wanted = JSON.stringify([state.phase, state.due, state.number]);
  if (wanted === drawn) return;
  drawn = wanted;
  at("who").replaceChildren();
  if (state.phase === "describe") begin();
  if (state.phase === "score") {
    at("score").reset();
    moved = false;
    at("shown").textContent = "–";
    at("damage").replaceChildren(...state.damage.map((one) => choice("checkbox", "damage", one, one)));
    const steps = state.steps.map((step, k) => choice("radio", "step", String(Math.round((100 * (k + 1)) / state.steps.length)), step));
    at("stages").replaceChildren(...(steps.length ? [choice("radio", "step", "0", "none of it"), ...steps] : []));
    at("steps-row").hidden = !steps.length;
  }
  if (state.phase === "vote") {
    at("vote").reset();
    at("preference").replaceChildren(...[...state.letters, "tie"].map((one) => choice("radio", "preference", one, one === "tie" ? "A tie" : one)));
  }
  if (state.phase === "over") {
    const rows = Object.entries(state.policies).flatMap(([letter, name]) => [make("dt", letter), make("dd", name)]);
    at("who").replaceChildren(...rows);
  }
};

const draw = () => {
  const [title, hint] = PHASES[state.phase] || [state.phase, ""];
  document.body.dataset.phase = state.phase;
  document.body.dataset.due = state.due;
  document.body.dataset.number = String(state.number);
  at("title").textContent = state.title;
  at("count").textContent = `Match ${state.number}`;
  at("phase").textContent = ["ready", "running", "score"].includes(state.phase) ? `${title}: ${state.due}` : title;
  at("task").textContent = state.phase === "describe" ? "" : state.instruction;
  at("hint").textContent = state.phase === "score" ? state.result : hint;
  if (state.problem) say(state.problem);
  for (const id of ["describe", "ready", "score", "vote", "over"]) at(id).hidden = state.phase !== id;
  at("fault").hidden = !["ready", "score", "vote"].includes(state.phase);
  at("run").textContent = `The scene is set: run ${state.due}`;
  at("release").hidden = state.guard.mode !== "stopped";
  at("guard").textContent = state.guard.text;
  at("guard").dataset.mode = state.guard.mode;
  at("overlay-row").hidden = !state.first;
  at("limits").textContent = state.limits;
  drawForms();
  tick += 1;
  if (state.live) at("live").src = `api/picture/camera.jpg?${tick}`;
  const overlaid = state.first && Number(at("overlay").value) > 0;
  at("first").hidden = !overlaid;
  if (overlaid) {
    if (at("first").dataset.number !== String(state.number)) at("first").src = `api/initial/0/camera.jpg?${state.number}`;
    at("first").dataset.number = String(state.number);
    at("first").style.opacity = Number(at("overlay").value) / 100;
  }
};

let asked = 0, shown = 0;
const look = async () => {
  const mine = ++asked;
  try {
    const answer = await fetch("api/state");
    const said = await answer.json();
    if (mine < shown) return; // a later answer was quicker
    shown = mine;
    state = said;
    session = state.session;
    draw();
  } catch {
    say("This machine's server does not answer. Its commands expire: the arm holds.");
  }
};

const ticked = (name) => [...document.querySelectorAll(`input[name=${name}]:checked`)].map((one) => one.value);
at("tasks").addEventListener("change", suggest);
at("look").addEventListener("click", () => act("look", { task: at("tasks").value }));
at("describe").addEventListener("submit", (event) => {
  event.preventDefault();
  act("draw", { task: at("tasks").value, instruction: at("instruction").value, sides: Number(at("sides").value) });
});
at("run").addEventListener("click", () => act("run"));
at("release").addEventListener("click", () => act("release"));
at("stop").addEventListener("click", () => act("stop"));
at("next").addEventListener("click", () => act("next"));
at("give-up").addEventListener("click", () => act("give up", { text: at("reason").value }));
at("progress").addEventListener("input", () => { moved = true; at("shown").textContent = at("progress").value; });
at("stages").addEventListener("change", () => {
  moved = true;
  at("progress").value = ticked("step")[0];
  at("shown").textContent = at("progress").value;
});
at("score").addEventListener("submit", (event) => {
  event.preventDefault();
  const success = ticked("success")[0];
  act("score", {
    progress: moved ? Number(at("progress").value) : null,
    success: success === undefined ? null : success === "yes",
    damage: ticked("damage"), text: at("notes").value,
  });
});
at("vote").addEventListener("submit", (event) => {
  event.preventDefault();
  act("vote", { preference: ticked("preference")[0] || "", text: at("why").value });
});
document.addEventListener("keydown", (event) => {
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.key !== "Escape" && event.target.type !== "radio" && event.target.type !== "checkbox") return;
  if (event.key === "Escape" || (event.key === " " && state && state.phase === "running")) { event.preventDefault(); act("stop"); }
  if (event.key === "u" && state && state.phase === "score") {
    const box = document.querySelector("input[name=damage][value=unsafe]");
    if (box) box.checked = !box.checked;
  }
});
await look();
setInterval(look, 500);
