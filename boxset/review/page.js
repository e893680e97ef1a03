"use strict";
// Every text that comes from outside goes in as text, never as HTML. A picture is shown as decided when the server has it on disk, not before.

const REASONS = {d: "drawing", c: "catalogue", b: "broken", p: "private", o: "other"};
const MOVES = {ArrowLeft: "left", h: "left", ArrowRight: "right", l: "right", ArrowUp: "up", k: "up", ArrowDown: "down", j: "down", Home: "first", End: "last"};
const DO = {u: "undo", e: "enlarge", Enter: "enlarge", "]": "next", PageDown: "next", "[": "previous", PageUp: "previous", A: "rest"};
const FEW = 24;  // pictures up to which a screen shows them larger
const find = (id) => document.getElementById(id);
const grid = find("grid"), large = find("large");
const screens = new Map(), items = new Map(), past = [];
let here = null, at = 0, chain = Promise.resolve(), over = false, turning = false;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Say what stands where pictures stood.
function tell(words) {
  ["aria-label", "aria-activedescendant"].forEach((name) => grid.removeAttribute(name));
  grid.setAttribute("role", "status");
  grid.replaceChildren(element("p", words, "nothing"));
}

function alarm(text) {
  find("alarm").textContent = text;
  find("alarm").hidden = !text;
}

async function ask(path, body) {
  const sent = body === undefined ? {} : {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch(path, {cache: "no-store", credentials: "omit", ...sent});
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error || `it answered ${answer.status}`);
  return said;
}

function lost(error) {
  const gone = error instanceof TypeError;
  alarm(gone ? "The server has stopped: nothing more is written. What is marked here is saved; start “boxset review” again for the rest." : error.message);
}

async function load(number) {
  const said = await ask(`screen/${number}`);
  said.items = said.items.map((item) => Object.assign(items.get(item.sha256) || {}, item));
  said.items.forEach((item) => items.set(item.sha256, item));
  screens.set(said.screen, said);
  return said;
}

// Show a screen. Until it is there nothing can be marked: a key that was meant for it must not hit the one before.
async function show(number, place) {
  turning = true;
  try {
    here = await load(number);
  } catch (error) {
    return lost(error);
  } finally {
    turning = false;
  }
  history.replaceState(null, "", `#${here.screen + 1}`);
  grid.replaceChildren(...here.items.map(tile));
  if (!here.items.length) tell("Nothing waits for review here.");
  grid.classList.toggle("few", here.items.length <= FEW);
  grid.scrollTop = 0;
  document.title = `Review: ${here.category}`;
  find("category").textContent = here.category;
  find("screen").textContent = `${here.screen + 1} of ${here.screens}`;
  progress(here.counts);
  const open = here.items.findIndex((item) => !item.state.verdict);
  select(place !== undefined ? place : Math.max(0, open));
  if (!large.open) grid.focus({preventScroll: true});  // so that a screen reader says which picture is selected
  if (here.screen + 1 < here.screens) prefetch(here.screen + 1);
}

function prefetch(number) {
  load(number).then((next) => next.items.forEach((item) => { new Image().src = `thumb/${item.sha256}`; }), () => {});
}

function progress(counts) {
  const decided = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const each = Object.entries(counts).filter(([, count]) => count).map(([name, count]) => `${count} ${name}`).join(", ");
  const end = decided === here.total ? "All are decided: “done” ends this." : "";
  find("progress").textContent = [`${decided} of ${here.total} decided${each ? `: ${each}` : ""}`, `by ${here.by}`, end].filter(Boolean).join(" · ");
}

function tile(item, place) {
  const figure = element("div", "", "picture");
  const image = element("img");
  image.alt = item.title || item.query;
  image.src = `thumb/${item.sha256}`;
  image.addEventListener("error", () => figure.classList.add("missing"));
  const flags = element("span", "", "flags");
  flags.append(...item.flags.map((flag) => element("b", flag)));
  figure.append(image, flags);
  figure.title = [item.title, item.site, item.query, item.flags.join(", ")].filter(Boolean).join("\n");
  figure.setAttribute("role", "option");
  figure.id = `picture-${place}`;
  figure.addEventListener("click", () => select(place));
  figure.addEventListener("dblclick", () => { select(place); enlarge(); });
  item.figure = figure;
  paint(item);
  return figure;
}

function paint(item) {
  if (!item.figure) return;
  const {verdict, reason} = item.state;
  item.figure.dataset.verdict = verdict;
  item.figure.dataset.mark = {yes: "✓", no: "no"}[verdict] || reason;
  item.figure.setAttribute("aria-label", [item.title || item.query, ...item.flags, word(item.state) || "undecided"].join(", "));
  item.figure.classList.toggle("pending", Boolean(item.pending));
}

function select(place) {
  const old = here.items[at];
  if (old && old.figure) old.figure.setAttribute("aria-selected", "false");
  at = Math.min(Math.max(0, place), here.items.length - 1);
  const item = here.items[at];
  find("about").replaceChildren();
  if (!item) return;
  item.figure.setAttribute("aria-selected", "true");
  grid.setAttribute("aria-activedescendant", item.figure.id);
  item.figure.scrollIntoView({block: "nearest"});
  find("about").append(...about(item));
  if (large.open) fill(item);
}

function about(item) {
  const said = item.state.verdict ? `${item.state.verdict} ${item.state.reason} by ${item.state.by}` : "";
  const flags = item.flags.length ? `looks like: ${item.flags.join(", ")}` : "";
  const rest = [item.site, item.query, item.size, item.licence, flags, said].filter(Boolean).join(" · ");
  return [element("b", item.title || "no title"), element("br"), element("span", rest)];
}

function fill(item) {
  const image = large.querySelector("img"), text = large.querySelector("p");
  image.src = `picture/${item.sha256}`;
  text.replaceChildren(...about(item));
  if (item.page) {
    const link = element("a", "the page that shows it");
    Object.assign(link, {href: item.page, target: "_blank", rel: "noopener noreferrer"});
    text.append(element("span", " · "), link);
  }
}

function enlarge() {
  if (large.open) return large.close();
  if (!here.items[at]) return undefined;
  fill(here.items[at]);
  large.showModal();
  large.focus();  // not the link, which Enter would follow
  return undefined;
}

function columns() {
  const first = here.items[0] && here.items[0].figure.offsetTop;
  const count = here.items.findIndex((item) => item.figure.offsetTop !== first);
  return count < 1 ? here.items.length : count;
}

function move(way) {
  const step = {left: -1, right: 1, up: -columns(), down: columns(), first: -here.items.length, last: here.items.length}[way];
  if ((way === "up" || way === "down") && (at + step < 0 || at + step >= here.items.length)) return;
  select(at + step);
}

function advance() {
  const open = (item) => !item.state.verdict && !item.pending;
  const after = here.items.findIndex((item, place) => place > at && open(item));
  const next = after >= 0 ? after : here.items.findIndex(open);
  if (next >= 0) return select(next);
  if (large.open) large.close();
  return select(at);
}

function word(state) {
  return `${state.verdict} ${state.reason}`.trim();
}

// Have verdicts written down: [{item, verdict, reason}]. Requests go one after the other, in the order of the keys, so that each knows what the one before has done.
function decide(picks, note = "") {
  if (!picks.length) alarm(note);
  if (!picks.length || over) return;
  const {screen} = here;
  hold(picks, 1);
  chain = chain.then(async () => {
    const mine = await write(picks, note);
    if (mine && mine.length) past.push({screen, mine});
  });
}

// Count what is on its way for each picture: it may be decided anew before the first verdict is written.
function hold(picks, more) {
  picks.forEach(({item}) => { item.pending = (item.pending || 0) + more; paint(item); });
}

// Write verdicts that are held, and let them go; return what held before for those that it changed, or nothing where none is written.
async function write(picks, note = "") {
  const before = picks.map(({item}) => ({item, ...item.state}));
  let mine;
  try {
    const body = picks.map(({item, verdict, reason}) => ({sha256: item.sha256, verdict, reason: reason || "", seen: word(item.state)}));
    const said = await ask("decide", body);
    Object.entries(said.states).forEach(([sha256, state]) => { items.get(sha256).state = state; });
    mine = before.filter((old) => !said.stale.includes(old.item.sha256) && word(old) !== word(old.item.state));
    progress(said.counts);
    alarm(said.stale.length ? "Somebody decided this meanwhile, and that was kept: look again where the mark is not yours." : note);
  } catch (error) {
    lost(error);
  }
  hold(picks, -1);
  if (here.items[at] && picks.some(({item}) => item === here.items[at])) select(at);
  return mine;
}

function mark(verdict, reason) {
  const item = here.items[at];
  if (!item) return;
  decide([{item, verdict, reason}]);
  advance();
}

// Say yes to what is undecided and can be seen: a picture that is still on its way, or gone, was looked at by nobody.
function rest() {
  const open = here.items.filter((item) => !item.state.verdict && !item.pending);
  const seen = open.filter((item) => isShown(item.figure.querySelector("img")));
  const unseen = open.length - seen.length;
  decide(seen.map((item) => ({item, verdict: "yes"})), unseen ? `${unseen} of them cannot be seen here (yet), and stay undecided.` : "");
}

function isShown(image) {
  return image.complete && image.naturalWidth > 0;
}

function undo() {
  chain = chain.then(async () => {
    const last = past.pop();
    if (!last) return;
    if (last.screen !== here.screen) await show(last.screen);
    const place = here.items.findIndex((item) => item.sha256 === last.mine[0].item.sha256);
    if (place >= 0) select(place);
    const picks = last.mine.map(({item, verdict, reason}) => ({item, verdict: verdict || "undone", reason}));
    hold(picks, 1);
    if (!await write(picks)) past.push(last);
  });
}

function finish() {
  chain = chain.then(async () => {
    try {
      await ask("done", {});
    } catch (error) {
      return lost(error);
    }
    over = true;
    if (large.open) large.close();
    tell("Done. Everything is saved; the terminal says what comes next. This tab can be closed.");
    document.querySelectorAll("button").forEach((button) => { button.disabled = true; });
    find("about").replaceChildren();
    return undefined;
  });
}

// Turn when all that was marked is written, so that an undo finds it where it was.
function turn(step) {
  if (large.open) large.close();
  turning = true;
  chain = chain.then(() => show(here.screen + step, 0));
}

function act(what) {
  const acts = {undo, enlarge, rest, done: finish, next: () => here.screen + 1 < here.screens && turn(1), previous: () => here.screen > 0 && turn(-1)};
  acts[what]();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !here || over || turning) return undefined;
  const key = event.key;
  if (key === "Enter" && event.target instanceof HTMLElement && event.target.closest("button, a")) return undefined;
  if (event.repeat && !MOVES[key]) return event.preventDefault();  // a key that is held down has seen one picture
  if (key === "y") mark("yes");
  else if (key === "n") mark("no");
  else if (REASONS[key]) mark("unusable", REASONS[key]);
  else if (MOVES[key]) move(MOVES[key]);
  else if (DO[key]) act(DO[key]);
  else return undefined;
  return event.preventDefault();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !here || over || turning) return;
  grid.focus({preventScroll: true});  // the next Enter enlarges, and does not press the button again
  if (button.dataset.verdict) mark(button.dataset.verdict, button.dataset.reason);
  else act(button.dataset.do);
});

addEventListener("beforeunload", (event) => { if ([...items.values()].some((item) => item.pending)) event.preventDefault(); });

large.addEventListener("click", (event) => { if (event.target.tagName !== "A") large.close(); });

show(Math.max(0, (parseInt(location.hash.slice(1), 10) || 1) - 1));
