// Talking to the server that this page came from, and to no other.

let session = "";

const problem = async (response) => {
  try {
    return (await response.json()).error || response.statusText;
  } catch {
    return response.statusText || `status ${response.status}`;
  }
};

const ask = async (path, options) => {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer; is it still running?");
  }
  if (!response.ok) throw new Error(await problem(response));
  return response;
};

export const getJson = async (path, signal) => (await ask(path, { signal })).json();

// Head and body of a framed message: uint32 length, JSON head, bytes.
export const getFramed = async (path, signal) => {
  const buffer = await (await ask(path, { signal })).arrayBuffer();
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  return { head, buffer, start: 4 + size };
};

export const openDataset = async () => {
  const dataset = await getJson("api/dataset");
  session = dataset.session;
  return dataset;
};

export const postLabel = async (episode, action, value = "") => {
  const response = await ask("api/label", {
    method: "POST",
    headers: { "content-type": "application/json", "x-roboscale-session": session },
    body: JSON.stringify({ episode, action, value }),
  });
  return response.json();
};
