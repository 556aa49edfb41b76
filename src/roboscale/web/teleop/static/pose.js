// A phone or a controller that is held and moved (WebXR): while its trigger, or the screen, is held, the hand follows it.
// Two hands follow two controllers, each while its own trigger is held.
// Where it was when it was taken hold of is the middle, so that taking hold never jumps; letting go, a session that ends
// and a tracker that loses itself all hold.

const MODE = "immersive-ar";  // the room stays visible: an arm is beside whoever drives it
const JUMP = 0.15;            // metres between two frames; no hand does that, a tracker that found itself again does

import { hands } from "./input.js";

export const offerPose = (button, { act, say, fastest, lost }) => {
  const clutches = [0, 1].map(() => ({ source: null, hold: 0, from: null, last: null, offset: null }));
  let session = null, space = null;

  const free = (clutch) => Object.assign(clutch, { source: null, from: null, last: null, offset: null });
  const letGo = (some = clutches) => { some.forEach(free); lost(); };
  const handOf = (source) => (hands.count === 1 ? 0 : { left: 0, right: 1 }[source.handedness] ?? hands.chosen ?? 0);

  const point = (frame, source) => {
    const held = source.targetRayMode === "screen" || !source.gripSpace
      ? frame.getViewerPose(space) : frame.getPose(source.gripSpace, space);
    return held && !held.emulatedPosition ? held.transform.position : null;
  };

  const look = (_, frame) => {
    session?.requestAnimationFrame(look);
    for (const clutch of clutches) if (clutch.source) follow(clutch, point(frame, clutch.source));
  };

  const follow = (clutch, now) => {
    const { last } = clutch;
    if (!now || (last && Math.hypot(now.x - last.x, now.y - last.y, now.z - last.z) > JUMP)) {
      say("Where this device is was lost: the hand holds. Take hold again.");
      return letGo([clutch]);
    }
    clutch.last = { x: now.x, y: now.y, z: now.z };
    const from = clutch.from ||= clutch.last;
    clutch.offset = [from.z - now.z, from.x - now.x, now.y - from.y];  // away, left, up; WebXR has right, up, towards you
  };

  const begin = async () => {
    try {
      session = await navigator.xr.requestSession(MODE, {
        requiredFeatures: ["local"], optionalFeatures: ["dom-overlay"], domOverlay: { root: document.body },
      });
      const canvas = document.createElement("canvas"), gl = canvas.getContext("webgl", { xrCompatible: true });
      session.updateRenderState({ baseLayer: new XRWebGLLayer(session, gl) });
      space = await session.requestReferenceSpace("local");
    } catch (error) {
      session?.end?.();
      session = null;
      return say(`This device gives no poses: ${error.message}`);
    }
    session.addEventListener("selectstart", ({ inputSource }) => {
      const clutch = free(clutches[handOf(inputSource)]);
      clutch.source = inputSource;
      clutch.hold += 1;
    });
    session.addEventListener("selectend", ({ inputSource }) => {
      const held = clutches.filter(({ source }) => source === inputSource);
      if (held.length) letGo(held);
    });
    session.addEventListener("squeezestart", ({ inputSource }) => act("gripper", inputSource ? handOf(inputSource) : null));
    session.addEventListener("visibilitychange", () => { if (session?.visibilityState !== "visible") letGo(); });
    session.addEventListener("end", () => { session = null; button.hidden = false; letGo(); });
    button.hidden = true;
    fastest();
    session.requestAnimationFrame(look);
  };

  button.addEventListener("click", begin);
  navigator.xr?.isSessionSupported?.(MODE).then((can) => { button.hidden = !can; }, () => {});
  addEventListener("pagehide", () => letGo());
  // Nothing is said by a pose that is not held: keys and pads then have their word.
  return { wish: () => {
    if (!session || !clutches.some(({ source }) => source)) return null;
    const mine = clutches.slice(0, hands.count), one = hands.count === 1;
    const [offset, hold] = ["offset", "hold"].map((name) => (one ? mine[0][name] : mine.map((clutch) => clutch[name])));
    return { motion: new Array(3 * hands.count).fill(0), device: "pose", offset, hold };
  } };
};
