// A phone or a controller that is held and moved (WebXR): while its trigger, or the screen, is held, the hand follows it.
// Where it was when it was taken hold of is the middle, so that taking hold never jumps; letting go, a session that ends
// and a tracker that loses itself all hold.

const MODE = "immersive-ar";  // the room stays visible: an arm is beside whoever drives it
const JUMP = 0.15;            // metres between two frames; no hand does that, a tracker that found itself again does

export const offerPose = (button, { act, say, fastest, lost }) => {
  let session = null, space = null, source = null, hold = 0, from = null, last = null, offset = null;

  const letGo = () => { source = from = last = offset = null; lost(); };

  const point = (frame) => {
    const held = source.targetRayMode === "screen" || !source.gripSpace
      ? frame.getViewerPose(space) : frame.getPose(source.gripSpace, space);
    return held && !held.emulatedPosition ? held.transform.position : null;
  };

  const look = (_, frame) => {
    session?.requestAnimationFrame(look);
    if (!source) return;
    const now = point(frame);
    if (!now || (last && Math.hypot(now.x - last.x, now.y - last.y, now.z - last.z) > JUMP)) {
      say("Where this device is was lost: the hand holds. Take hold again.");
      return letGo();
    }
    last = { x: now.x, y: now.y, z: now.z };
    from ||= last;
    offset = [from.z - now.z, from.x - now.x, now.y - from.y];  // away, left, up; WebXR has right, up, towards you
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
    session.addEventListener("selectstart", (event) => { source = event.inputSource; hold += 1; from = last = offset = null; });
    session.addEventListener("selectend", (event) => { if (event.inputSource === source) letGo(); });
    session.addEventListener("squeezestart", () => act("gripper"));
    session.addEventListener("visibilitychange", () => { if (session?.visibilityState !== "visible") letGo(); });
    session.addEventListener("end", () => { session = null; button.hidden = false; letGo(); });
    button.hidden = true;
    fastest();
    session.requestAnimationFrame(look);
  };

  button.addEventListener("click", begin);
  navigator.xr?.isSessionSupported?.(MODE).then((can) => { button.hidden = !can; }, () => {});
  addEventListener("pagehide", letGo);
  // Nothing is said by a pose that is not held: keys and pads then have their word.
  return { wish: () => (session && source ? { motion: [0, 0, 0], device: "pose", offset, hold } : null) };
};
