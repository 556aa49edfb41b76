// The cameras as one video over WebRTC. The server offers, this page answers, and until the first picture is on the screen,
// and from the moment at which none comes any more, they are JPEGs over the websocket. It says which.

const FIRST = 8000, NEXT = 2000;  // ms without a picture after which the websocket has to do
const BITS = 16, STRIP = 16;      // the picture's number stands above the cameras, in black and white blocks

export const answerCalls = ({ send, canvases, drawn }) => {
  let line = null, boxes = [], by = "jpeg", why = "", last = -1, lastAt = 0;
  const video = document.createElement("video"), strip = document.createElement("canvas");
  Object.assign(video, { muted: true, playsInline: true, autoplay: true });
  const reader = strip.getContext("2d", { willReadFrequently: true });
  [strip.width, strip.height] = [BITS, 1];

  const hangUp = () => { line?.close(); line = video.srcObject = null; };
  const fall = (reason) => {
    if (!line) return;
    hangUp();
    [by, why] = ["jpeg", reason];
    send({ type: "pictures", by, why });
  };

  const numberOf = () => {
    reader.drawImage(video, 0, 0, video.videoWidth, STRIP, 0, 0, BITS, 1);
    const { data } = reader.getImageData(0, 0, BITS, 1);
    return Array.from({ length: BITS }, (_, k) => (data[4 * k + 1] > 127 ? 2 ** k : 0)).reduce((a, b) => a + b);
  };
  const paint = () => {
    const shown = canvases();
    if (!line || shown.length < boxes.length) return;  // it is not known yet which cameras there are
    boxes.forEach(([x, y, width, height], k) => {
      const canvas = shown[k];
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      canvas.getContext("2d").drawImage(video, x, y, width, height, 0, 0, width, height);
    });
    const number = numberOf();
    lastAt = performance.now();
    if (by !== "webrtc") {
      [by, why] = ["webrtc", ""];
      send({ type: "pictures", by, why });
    }
    if (number !== last) send({ type: "seen", by, number });
    last = number;
    drawn();
  };
  const look = (mine) => {
    if (line !== mine) return;
    if (video.videoWidth) paint();
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(() => look(mine));
    else requestAnimationFrame(() => look(mine));
  };
  const gathered = (made) => new Promise((done) => {
    const look = () => { if (made.iceGatheringState === "complete") done(); };
    made.addEventListener("icegatheringstatechange", look);
    setTimeout(done, 1000);
    look();
  });

  setInterval(() => {
    if (document.hidden) lastAt = performance.now();  // a page that nobody sees draws nothing
    if (line && performance.now() - lastAt > (by === "webrtc" ? NEXT : FIRST)) fall("no picture came");
  }, 250);

  return {
    by: () => (by === "webrtc" ? "WebRTC" : why ? `JPEG (WebRTC: ${why})` : line ? "JPEG, WebRTC is tried" : "JPEG"),
    hangUp: () => { hangUp(); [by, why, last] = ["jpeg", "", -1]; },
    refused: (text) => { why = text; },
    hear: async (offer) => {
      hangUp();
      [by, why, last, lastAt, boxes] = ["jpeg", "", -1, performance.now(), offer.boxes];
      try {
        const made = line = new RTCPeerConnection({ iceServers: [] });
        made.addEventListener("track", ({ streams, track }) => {
          video.srcObject = streams[0] || new MediaStream([track]);
          video.play().catch(() => {});  // a call that ended meanwhile
          look(made);
        });
        made.addEventListener("connectionstatechange", () => {
          if (line === made && ["failed", "closed"].includes(made.connectionState)) fall("no line came about");
        });
        await made.setRemoteDescription({ type: "offer", sdp: offer.sdp });
        await made.setLocalDescription(await made.createAnswer());
        await gathered(made);
        if (line === made) send({ type: "answer", sdp: made.localDescription.sdp });
      } catch (error) {
        fall(error.message);
        if (!line) why ||= error.message;  // a browser without it
      }
    },
  };
};
