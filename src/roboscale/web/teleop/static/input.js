// Keys, touch and gamepad as one wish: where the hand, or each of two, is to go now. What is not held is zero.

const KEYS = {
  KeyW: [1, 0, 0], KeyS: [-1, 0, 0], KeyA: [0, 1, 0], KeyD: [0, -1, 0], KeyI: [0, 0, 1], KeyK: [0, 0, -1],
};
const ACTS = {
  Enter: "begin", ArrowRight: "success", KeyN: "success", KeyF: "fail", ArrowLeft: "discard", KeyR: "discard",
  KeyU: "undo", Escape: "stop", KeyQ: "stop", KeyT: "take", KeyV: "turn", KeyX: "stop the arm",
};
const PAD = { 9: "begin", 15: "success", 14: "discard", 3: "take" };
const GRIP = 0, UP = 12, DOWN = 13, SHOULDERS = [4, 5];
const DEAD = 0.15;

const held = new Set();
const touch = { pad: null, lift: null };
let pressed = new Set();

// How many hands there are, and which of them keys and pads mean; both are meant by no number.
export const hands = { count: 1, chosen: 0 };
const meant = () => (hands.chosen === null ? [0, 1] : [hands.chosen]);
export const nextHand = () => { hands.chosen = { 0: 1, 1: null, null: 0 }[hands.chosen]; };
const spread = (moved, meantHands = meant()) =>
  Array.from({ length: hands.count }, (_, k) => (meantHands.includes(k) ? moved : [0, 0, 0])).flat();

// A button that has the focus gets its own Space and Enter, and nothing else does.
const owns = (target) => Boolean(target.closest?.("button, summary, input, textarea, select, a"));

export const flush = () => { held.clear(); touch.pad = touch.lift = null; };

export const listen = ({ act, speed, changed, choose }) => {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (owns(event.target) && (event.code === "Space" || event.code === "Enter")) return;
    if (event.target.closest?.("input, textarea, select")) return;
    if (event.code in KEYS) {
      held.add(event.code);
      changed();
    } else if (/^Digit[1-9]$/.test(event.code)) {
      speed(Number(event.code.at(-1)) - 1);
    } else if (event.code in ACTS) {
      act(ACTS[event.code]);
    } else if (event.code === "Space") {
      act("gripper", hands.chosen);
    } else if (event.code === "KeyH" || event.code === "Comma" || event.code === "Period") {
      choose(event.code);
    } else return;
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === "Meta") held.clear();  // of keys that were held with it, no keyup comes
    if (held.delete(event.code)) changed();
  });
  const gone = () => { flush(); changed(); };
  addEventListener("blur", gone);
  addEventListener("pagehide", gone);
  document.addEventListener("visibilitychange", () => { if (document.hidden) gone(); });
  document.addEventListener("click", (event) => event.target.closest?.("button")?.blur());
  for (const name of ["pad", "lift"]) stick(document.getElementById(name), name, changed);
};

// Hold to move: where the finger comes down is the middle, so that touching never jumps.
const stick = (element, name, changed) => {
  const knob = element.firstElementChild;
  let from = null;
  const show = () => {
    const at = touch[name] || [0, 0];
    knob.style.transform = `translate(${at[0] * 45}%, ${at[1] * 45}%)`;
    element.dataset.held = touch[name] ? "yes" : "no";
  };
  const end = () => { from = null; touch[name] = null; show(); changed(); };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    from = [event.clientX, event.clientY];
    touch[name] = [0, 0];
    show();
  });
  element.addEventListener("pointermove", (event) => {
    if (!from || !touch[name]) return;
    const radius = element.clientWidth / 2, limit = (x) => Math.max(-1, Math.min(1, x / radius));
    touch[name] = [limit(event.clientX - from[0]), limit(event.clientY - from[1])];
    show();
    changed();
  });
  for (const over of ["pointerup", "pointercancel", "lostpointercapture"]) element.addEventListener(over, end);
  element.addEventListener("contextmenu", (event) => event.preventDefault());
};

const soft = (x) => (Math.abs(x) < DEAD ? 0 : Math.max(-1, Math.min(1, x)));

// The first gamepad that has sticks; its buttons act when they go down.
const gamepad = (act) => {
  if (!document.hasFocus()) return null;
  const pad = [...(navigator.getGamepads?.() || [])].find((one) => one && one.axes.length >= 4);
  if (!pad) return null;
  const down = new Set(pad.buttons.flatMap((button, k) => (button.pressed ? [k] : [])));
  const went = (k) => down.has(k) && !pressed.has(k), clutches = SHOULDERS.map((k) => down.has(k));
  for (const k of down) if (went(k) && k in PAD) act(PAD[k]);
  if (went(GRIP)) act("gripper", hands.count === 1 ? 0 : clutches[0] === clutches[1] ? null : clutches[0] ? 0 : 1);
  pressed = down;
  if (!clutches.includes(true)) return null;
  const [x, y, rightX, rightY] = pad.axes.map((v) => -soft(v));
  if (hands.count === 1) return [y, x, rightY];
  const up = Number(down.has(UP)) - Number(down.has(DOWN));  // two hands: a clutch and a stick each
  return [[y, x, up], [rightY, rightX, up]].flatMap((moved, k) => (clutches[k] ? moved : [0, 0, 0]));
};

export const wish = (act) => {
  const pad = gamepad(act);
  if (touch.pad || touch.lift) {
    const [x, y] = touch.pad || [0, 0], [, z] = touch.lift || [0, 0];
    return { motion: spread([-y, -x, -z].map((v) => v || 0)), device: "touch" };
  }
  if (pad) return { motion: pad.map((v) => v || 0), device: "gamepad" };
  const motion = [0, 0, 0];
  for (const code of held) KEYS[code].forEach((v, k) => { motion[k] += v; });
  return { motion: spread(motion), device: "keys" };
};
