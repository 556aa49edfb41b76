// The page that drives. Everything that is shown is text of our own server, set as text and never as markup.

import { flush, hands, listen, nextHand, wish } from "./input.js";
import { offerPose } from "./pose.js";
import { answerCalls } from "./call.js";

const at = (id) => document.getElementById(id);
const make = (tag, text = "") => { const made = document.createElement(tag); made.textContent = text; return made; };

const PHASES = {
  starting: ["Starting", "The world or the robot is being opened."],
  check: ["Look at the bench", "At home the cameras show something else than the last time. The picture is half now, half then, "
    + "what differs is framed: put it back and look again, or say that it is right."],
  moving: ["The arm moves by itself", "It goes home. Keep away from it."],
  ready: ["Ready", "Enter records. Nothing is recorded yet."],
  recording: ["Recording", ""],
  judge: ["How did it go?", "The episode is over. It is kept or discarded when you say so."],
  stopped: ["The arm is stopped", "Look at it, then release the guard."],
  complete: ["All are recorded", "U takes the last one back. The session ends by itself in ten seconds, or with Esc."],
  done: ["The session is over", "You can close this page."],
};
const FITS = {
  begin: ["ready"], success: ["recording", "judge"], fail: ["recording", "judge"], discard: ["recording", "judge"],
  undo: ["ready", "complete"], stop: ["ready", "recording", "complete", "stopped", "check"], accept: ["check"], again: ["check"], release: ["stopped"], gripper: ["recording"],
  take: ["recording"],
};

const early = [];  // pictures that came before it was known which cameras there are

const NAMES = { 0: "Left hand", 1: "Right hand", null: "Both hands" };
const joints = new Set();  // numbers of those that are driven, where it is done joint by joint

let socket = null, state = null, speed = 1, sequence = 0, drawn = "", last = "", problemAt = 0;

const say = (text) => {
  at("problem").textContent = text;
  at("problem").hidden = !text;
  problemAt = performance.now();
};

const send = (message) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); };

const act = (name, hand = null, more = {}) => {
  if (name === "stop" && state?.phase === "judge") return say("Say how the last episode went first.");
  if (!state || (FITS[name] && !FITS[name].includes(state.phase))) return;
  say("");
  send({ type: "act", act: name, ...(hand === null ? {} : { hand }), ...more });
};

const move = () => {
  const { motion, device, offset = null, hold = 0 } = pose.wish() || wish(act);
  sequence += 1;
  const moved = JSON.stringify([motion, speed]);
  last = moved;
  const shares = motion.map((v) => Math.max(-1, Math.min(1, v)));
  send({ type: "move", motion: shares, speed, device, sequence, joints: [...joints], ...(device === "pose" ? { offset, hold } : {}) });
};
const changed = () => { if (JSON.stringify([wish(() => {}).motion, speed]) !== last) move(); };

const setSpeed = (level) => { if (state && level < state.speeds.length) { speed = level; drawSpeeds(); move(); } };

const drawSpeeds = () => {
  at("speeds").replaceChildren(...state.speeds.map((metres, k) => {
    const button = make("button", `${Math.round(100 * metres)} ${state.joints.length ? "%" : "cm/s"} `);
    button.type = "button";
    button.append(make("kbd", String(k + 1)));
    button.setAttribute("aria-pressed", String(k === speed));
    button.addEventListener("click", () => setSpeed(k));
    return button;
  }));
};

const drawJoints = () => {
  const { names = "" } = at("joints").dataset, wanted = JSON.stringify(state.joints);
  if (names === wanted) return;
  at("joints").dataset.names = wanted;
  joints.clear();
  if (state.joints.length) joints.add(0);
  at("joints").replaceChildren(...state.joints.map((name, k) => {
    const button = make("button", name);
    button.type = "button";
    button.addEventListener("click", () => { joints.has(k) ? joints.delete(k) : joints.add(k); pressJoints(); });
    return button;
  }));
  pressJoints();
  at("joints").hidden = !state.joints.length;
  document.body.dataset.joints = state.joints.length ? "yes" : "no";
};
const pressJoints = () => {
  [...at("joints").children].forEach((button, k) => button.setAttribute("aria-pressed", String(joints.has(k))));
  move();
};

const choose = (code) => {
  if (code === "KeyH") {
    if (hands.count > 1) nextHand();
    if (state) draw();
    return move();
  }
  const count = state?.joints.length;
  if (!count) return;
  const [first = 0] = [...joints], step = code === "Period" ? 1 : count - 1;
  joints.clear();
  joints.add((first + step) % count);
  pressJoints();
};

const drawCameras = () => {
  const wanted = JSON.stringify(state.cameras);
  if (wanted === drawn) return;
  drawn = wanted;
  at("cameras").replaceChildren(...state.cameras.map((name) => {
    const box = make("figure"), canvas = make("canvas");
    canvas.setAttribute("aria-label", `camera ${name}`);
    box.append(canvas, make("figcaption", name));
    return box;
  }));
  for (const data of early.splice(0)) paint(data);  // a still scene shows itself once
};

const pairs = (id, rows) => at(id).replaceChildren(...rows.flatMap(([k, v]) => [make("dt", k), make("dd", v)]));

const drawLease = () => {
  const { mine, holder, waiting, queue, pages, others } = state.lease;
  at("lease").textContent = mine ? `You drive.${pages > 1 ? ` ${pages - 1} look on${queue ? `, ${queue} wait to drive` : ""}.` : ""}`
    : waiting ? `${holder || "Another page"} drives; you are number ${waiting} in the queue.`
      : `${holder || (pages > 1 ? "Another page" : "Nobody")} drives; you look on.`;
  document.querySelector("[data-act=ask]").hidden = mine || waiting > 0;
  document.querySelector("[data-act=withdraw]").hidden = !waiting;
  document.querySelector("[data-act='hand over']").hidden = !mine || !queue;
  const named = JSON.stringify(others);
  if (at("others").dataset.named === named) return;
  at("others").dataset.named = named;
  at("others").replaceChildren(...others.filter(({ name }) => name).map(({ page, name, waits }) => {
    const button = make("button", `Hand over to ${name}${waits ? ", who waits" : ""}`);
    button.type = "button";
    button.addEventListener("click", () => act("hand over", null, { to: page }));
    return button;
  }));
};

const draw = () => {
  const [title, hint] = PHASES[state.phase];
  document.body.dataset.phase = state.phase;
  document.body.dataset.mine = state.lease.mine ? "yes" : "no";
  const practice = state.practice?.due ? `Practice ${state.practice.scores.length + 1} of ${state.practice.wanted}` : "";
  document.body.dataset.practice = practice ? "yes" : "no";
  hands.count = state.hands;
  at("title").textContent = state.title;
  at("phase").textContent = practice && ["ready", "recording", "judge"].includes(state.phase) ? practice : title;
  at("hint").textContent = state.phase === "recording"
    ? (state.policy ? (state.intervening ? "You drive: these frames are marked." : "The policy drives. T takes over.") : "")
      + (state.world_says ? " The world says: success." : "") + (practice ? " Nothing of this is saved." : "")
    : practice && state.phase === "ready" ? "Enter begins. It is scored, and nothing of it is saved: 100 is at once, 0 a failure or the "
      + "last moment." : hint;
  at("sentence").textContent = state.sentence;
  at("guard").textContent = state.guard;
  at("guard").hidden = !state.guard;
  const hz = state.driven_hz === null ? "Hz" : `of ${state.driven_hz} Hz`;
  at("rate").textContent = state.rate_hz === null ? `- ${hz}` : `${state.rate_hz} ${hz}`;
  at("rate").dataset.bad = state.rate_hz !== null && state.rate_hz < 0.8 * state.driven_hz ? "yes" : "no";
  at("latency").textContent = state.latency_ms === null ? "- ms" : `${state.latency_ms} ms`;
  at("link").textContent = state.attended ? "connected" : state.leader ? `${state.leader} is not heard` : "no keys arrive";
  at("link").dataset.bad = state.attended ? "no" : "yes";
  at("stop-arm").hidden = !state.arm;
  const told = (shut) => (shut ? "closed" : "open");
  at("gripper").textContent = state.hands > 1 ? `Grippers: ${state.grips.map(told).join(", ")}` : `Gripper: ${told(state.closed)}`;
  at("hand").hidden = at("two-hands").hidden = state.hands < 2;
  at("hand-name").textContent = NAMES[hands.chosen];
  at("take").textContent = state.intervening ? "Give back" : "Take over";
  document.querySelector("[data-act=take]").hidden = !state.policy;
  for (const button of document.querySelectorAll("[data-act]")) {
    const fits = FITS[button.dataset.act];
    if (!fits) continue;
    button.disabled = !fits.includes(state.phase) || !state.lease.mine;
    if (!["gripper", "take"].includes(button.dataset.act)) button.hidden = !fits.includes(state.phase);
  }
  const c = state.counts;
  pairs("facts", [
    ["Kept", `${c.kept} of ${c.wanted}`], ["Failures kept", c.failed], ["Discarded now", c.discarded],
    [`From this start${c.start ? ` (${c.start})` : ""}`, c.of_start],
    ...(state.practice ? [["Your practice, of 100", state.practice.scores.join(", ") || "-"], ["The best of others", state.practice.best ?? "-"]] : []),
    ...(state.joints.length ? [] : [["W moves towards", `${state.view_deg}° of the base`]]),
    ["Pictures", calls.by()],
  ]);
  pairs("numbers", Object.entries(state.numbers).map(([k, v]) => [k, v.join(" ")]));
  at("notes").replaceChildren(...state.notes.map((note) => make("li", note)));
  if (!at("speeds").children.length) drawSpeeds();
  drawJoints();
  if (!at("problem").hidden && performance.now() - problemAt > 5000) say("");
  drawLease();
  drawCameras();
};

// A picture is told to be seen when it is drawn, or cannot be: the server sends no further ones before that.
const paint = async (data) => {
  const view = new DataView(data), number = view.getUint32(0, true), camera = view.getUint32(4, true);
  const taken = view.getFloat64(8, true), canvas = document.querySelectorAll("#cameras canvas")[camera];
  if (!canvas && early.length < 16) early.push(data);
  try {
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(data, 16)], { type: "image/jpeg" }));
    if (canvas) {
      if (canvas.width !== bitmap.width) [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      document.body.dataset.pictures = String(number);
    }
    bitmap.close();
  } finally {
    send({ type: "seen", number, at_s: taken });
  }
};

const connect = async () => {
  try {
    const answer = await fetch("api/session", { cache: "no-store" });
    const { session } = await answer.json();
    const address = new URL("api/drive", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.searchParams.set("session", session);
    address.searchParams.set("name", new URLSearchParams(location.search).get("name") || "");
    const made = new WebSocket(address);
    made.binaryType = "arraybuffer";
    made.addEventListener("open", () => { socket = made; early.length = 0; calls.hangUp(); flush(); });
    made.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") return paint(data);
      const said = JSON.parse(data);
      if (said.type === "state") { state = said; draw(); } else if (said.type === "problem") say(said.text);
      else if (said.type === "offer") calls.hear(said);
      else if (said.type === "no offer") calls.refused(said.text);
    });
    made.addEventListener("close", lost);
  } catch {
    lost();
  }
};

const lost = () => {
  socket = null;
  flush();
  at("link").textContent = "no connection";
  at("link").dataset.bad = "yes";
  say("The server does not answer. What was asked last has expired: the hand holds.");
  setTimeout(connect, 1000);
};

for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => act(button.dataset.act, button.dataset.act === "gripper" ? hands.chosen : null));
}
at("stop-arm").addEventListener("click", () => act("stop the arm"));
at("hand").addEventListener("click", () => choose("KeyH"));
listen({ act, speed: setSpeed, changed, choose });
const pose = offerPose(at("pose"), { act, say, fastest: () => setSpeed(state.speeds.length - 1), lost: move });
const calls = answerCalls({
  send, canvases: () => document.querySelectorAll("#cameras canvas"),
  drawn: () => { document.body.dataset.pictures = String(Number(document.body.dataset.pictures || 0) + 1); },
});
setInterval(move, 50);
connect();
