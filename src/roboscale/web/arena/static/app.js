// The board. Everything that is shown is text of our own server, set as text and never as markup.

const at = (id) => document.getElementById(id);
const make = (tag, text = "", name = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
};
const say = (text) => { at("problem").textContent = text; at("problem").hidden = !text; };
const bundled = () => { const data = at("bundle"); return data ? JSON.parse(data.textContent) : null; };
const bundle = bundled();

const ask = async (address) => {
  if (bundle) return bundle[address] ?? null;
  const answer = await fetch(address);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error || answer.statusText);
  return said;
};

let board = null, axis = "task", oldest = null, newest = 0;
let chosen = {};  // whose matches are listed: policy, and task, robot or site; all of them where it is empty

const fixed = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits).replace(/^(-?)0\./, "$1."));
const interval = (one, digits = 2) =>
  one.value === null ? "not known" : `${fixed(one.value, digits)} [${fixed(one.low, digits)}, ${fixed(one.high, digits)}]`;

const whisker = (one) => {
  const bar = make("div", "", "whisker");
  if (one.value === null) return bar;
  const span = make("i"), mark = make("b");
  span.style.left = `${100 * (one.low ?? one.value)}%`;
  span.style.width = `${100 * ((one.high ?? one.value) - (one.low ?? one.value))}%`;
  mark.style.left = `${100 * one.value}%`;
  bar.append(span, mark);
  return bar;
};

// A number that shows the matches it was made of.
const number = (want, ...parts) => {
  const button = make("button", "", "number");
  button.type = "button";
  button.title = `the matches of ${Object.values(want).join(", ")}`;
  button.append(...parts);
  button.addEventListener("click", () => choose(want));
  return button;
};

const withSmall = (cell, text) => { cell.append(make("small", text)); return cell; };

const drawBoard = () => {
  const shown = at("robust").checked && board.robust ? board.robust : board.plain;
  at("count").textContent = `${shown.matches} matches, ${shown.rows.length} policies`;
  at("sentence").textContent = shown.sentence;
  at("method").textContent = shown.method ? `Ranks and strengths: ${shown.method}. Intervals at 95 %; n below each.` : "";
  at("robust-row").hidden = !board.robust;
  at("robust-text").textContent = `Without the matches of ${board.flagged} evaluator${board.flagged === 1 ? "" : "s"} whose votes look odd`;
  let group = null;
  at("board").tBodies[0].replaceChildren(...shown.rows.map((row) => {
    const line = make("tr", "", group !== null && row.group !== group ? "group" : "");
    group = row.group;
    const ranks = row.ranks[0] === row.ranks[1] ? `${row.ranks[0]}` : `${row.ranks[0]}–${row.ranks[1]}`;
    const name = withSmall(make("th", row.name, "policy"), `${row.owner}${row.public ? " · public" : ""}${row.unverified.length ? " · identity unverified" : ""}`);
    name.scope = "row";
    const want = { policy: row.name }, small = (text) => make("small", text);
    const cell = (...parts) => { const made = make("td"); made.append(number(want, ...parts)); return made; };
    const strength = row.strength.value === null ? ["no score", `n=${row.strength.n}`] : [fixed(row.strength.value), `[${fixed(row.strength.low)}, ${fixed(row.strength.high)}], n=${row.strength.n}`];
    const done = row.success.value === null ? ["–", ""] : [`${Math.round(100 * row.success.value)} %`, `[${fixed(row.success.low)}, ${fixed(row.success.high)}]`];
    line.append(
      make("td", ranks, "ranks"), name,
      cell(strength[0], small(strength[1])),
      cell(whisker(row.progress), small(`${interval(row.progress)}, n=${row.progress.n}`)),
      cell(done[0], small(done[1])),
      cell(`${row.won} · ${row.tied} · ${row.lost}`));
    return line;
  }));
};

const drawHeat = () => {
  at("axes").replaceChildren(...["task", "robot", "site"].map((name) => {
    const button = make("button", `by ${name}`);
    button.type = "button";
    button.setAttribute("aria-pressed", String(name === axis));
    button.addEventListener("click", () => { axis = name; drawHeat(); });
    return button;
  }));
  const cells = board.cells.filter((cell) => cell.axis === axis);
  const levels = [...new Set(cells.map((cell) => cell.level))].sort();
  const names = board.plain.rows.map((row) => row.name);
  const head = make("tr");
  head.append(make("th", "Policy"), ...levels.map((level) => make("th", level)));
  at("heat").replaceChildren(head, ...names.map((name) => {
    const line = make("tr");
    line.append(make("th", name), ...levels.map((level) => {
      const cell = cells.find((one) => one.policy === name && one.level === level);
      if (!cell) return make("td", "–");
      const shown = make("td", "", "cell"), small = make("small", `[${fixed(cell.progress.low)}, ${fixed(cell.progress.high)}], n=${cell.progress.n}`);
      shown.append(number({ policy: name, [axis]: level }, fixed(cell.progress.value), small));
      shown.style.setProperty("--share", cell.progress.value);
      return shown;
    }));
    return line;
  }));
};

const matchRow = (match) => {
  const row = make("li"), button = make("button");
  button.type = "button";
  button.dataset.match = match.id;
  const when = new Date(match.closed_ns / 1e6).toLocaleString();
  button.append(make("span", `${match.number}. ${match.instruction}`), make("span", `${match.robot}, ${match.site} · ${match.sides.length} sides · ${when}`, "muted"));
  button.addEventListener("click", () => open(match.id));
  row.append(button);
  return row;
};

const films = (sides, picture) => {
  const box = make("div", "", "sides"), videos = [];
  for (const side of sides) {
    const figure = make("figure");
    figure.append(make("strong", side.letter));
    if (side.rollout && side.rollout.video) {
      const video = document.createElement("video");
      Object.assign(video, { src: `media/${side.rollout.video}.mp4`, muted: true, playsInline: true, preload: "auto", loop: true });
      videos.push(video);
      figure.append(video);
    } else if (!picture) {
      figure.append(make("span", "no film and no picture", "muted"));
    } else {
      const image = document.createElement("img");
      Object.assign(image, { src: `media/${picture}.jpg`, alt: "the scene before it ran" });
      figure.append(image, make("span", "no film", "muted"));
    }
    box.append(figure);
  }
  return [box, videos];
};

const facts = (pairs) => {
  const list = make("dl");
  for (const [name, value] of pairs) list.append(make("dt", name), make("dd", value));
  return list;
};

const open = async (id) => {
  try {
    const match = await ask(`api/finished/${id}`);
    const inside = at("inside");
    const [box, videos] = films(match.sides, match.picture);
    const play = make("button", "Play them together"), reveal = make("button", "Who were they?");
    play.type = reveal.type = "button";
    play.addEventListener("click", () => { for (const video of videos) { video.currentTime = 0; video.play(); } });
    reveal.addEventListener("click", () => { reveal.remove(); inside.append(...told(match)); });
    const row = make("div", "", "choice");
    if (videos.length) row.append(play);
    row.append(reveal);
    inside.replaceChildren(make("h2", match.instruction), box, row);
    at("match").showModal();
  } catch (error) { say(error.message); }
};

const told = (match) => {
  const parts = [];
  for (const side of match.sides) {
    const score = side.score || { progress: 0, damage: [], text: "" };
    parts.push(make("h2", `${side.letter}: ${side.policy}`), facts([
      ["progress", `${score.progress} of 100`], ["done", score.success ? "yes" : "no"],
      ["damage", score.damage.join(", ") || "none"], ["ended", side.rollout ? `${side.rollout.end}, ${side.rollout.steps} steps` : "–"],
      ["attempts", String(side.attempts)], ["trial", side.rollout ? side.rollout.trial : "–"], ["said", score.text || "–"]]));
  }
  const candidates = Object.entries(match.drawn.candidates || {}).map(([pair, [chance]]) => `${pair.split("|").map((one) => one.slice(0, 8)).join(" and ")}: ${fixed(chance, 3)}`);
  parts.push(make("h2", "The vote and the draw"), facts([
    ["preferred", match.preference || "by progress"], ["because", match.text || "–"],
    ["robot", `${match.robot}, ${match.site}`], ["case", match.case],
    ["probability", fixed(match.probability, 4)], ["seed", String(match.seed)],
    ["candidates", candidates.join("; ") || match.drawn.imported || "–"]]));
  if (match.picture) {
    const picture = document.createElement("img");
    Object.assign(picture, { src: `media/${match.picture}.jpg`, alt: "the scene before the draw", width: 192 });
    parts.push(picture);
  }
  return parts;
};

const fits = (match) => Object.entries(chosen).every(([key, value]) =>
  key === "policy" ? match.sides.some((side) => side.policy === value) : match[key] === value);

const finished = async (before) => {
  if (bundle) {
    const all = await ask("api/finished"), matches = all.matches.filter(fits);
    return { matches, total: all.total };
  }
  const query = new URLSearchParams({ count: "20", ...(before ? { before: String(before) } : {}), ...chosen });
  return ask(`api/finished?${query}`);
};

const loadMatches = async (before) => {
  const said = await finished(before);
  const rows = said.matches.map(matchRow);
  if (before) at("matches").append(...rows); else at("matches").replaceChildren(...rows);
  oldest = said.matches.length ? said.matches[said.matches.length - 1].number - 1 : 0;
  at("more").hidden = Boolean(bundle) || oldest <= 0 || said.matches.length < 20;
  newest = board.plain.matches;
};

const choose = async (want) => {
  chosen = want;
  const words = Object.values(chosen);
  at("chosen").hidden = !words.length;
  at("chosen-text").textContent = `Only those of ${words.join(", ")}${bundle ? ", as far as they are listed here" : ""}.`;
  try {
    await loadMatches();
    at("matches-title").scrollIntoView({ block: "start" });
  } catch (error) { say(error.message); }
};

at("all").addEventListener("click", () => choose({}));
at("more").addEventListener("click", () => loadMatches(oldest).catch((error) => say(error.message)));
at("robust").addEventListener("change", drawBoard);

const look = async () => {
  try {
    const said = await ask("api/board");
    if (!board || said.number !== board.number) {
      const grown = !board || said.plain.matches !== newest;
      board = said;
      drawBoard();
      drawHeat();
      at("notes").replaceChildren(...board.notes.map((note) => make("li", note)));
      at("commands").textContent = board.commands.join("\n");
      at("again").textContent = `Every number again, from ${bundle ? "the tables beside this file" : "an export"}:`;
      if (grown) await loadMatches();
      document.body.dataset.matches = String(board.plain.matches);
    }
    at("live").textContent = bundle ? "" : "live";
    say("");
  } catch (error) {
    at("live").textContent = "";
    say(`The server does not answer: ${error.message}`);
  }
};
await look();
if (!bundle) setInterval(look, 3000);
