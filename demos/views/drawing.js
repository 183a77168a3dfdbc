// The body of the drawing's script: Gradio calls it once with `element`, `props`, `watch`
// and `trigger`. It reads the trace line by line as it grows and hands the records on to the
// text, which stands here, and to the unrolled network, which stands in a slot of its own
// across the whole page. Before it stand the constants WORDS (by language and key) and SLOT
// (the id of that slot): Gradio loses a component's own properties while its tab is closed;
// LIVE, the id of the text box that is read while one types, if there is one; LARGEST, the most bytes
// of a file; EXAMPLES, the names of the photos on the shelf; DEFAULTS, the values that a link need not say; ONLY,
// beside which others an input has an effect; and `makeView`, the drawing of the text that this demo has, with VIEW, its name.

const words = (key, values = {}) => {
  const text = (WORDS[props.lang] ?? WORDS.en)[key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
};

const stage = element.querySelector(".drawing");
const parts = Object.fromEntries(
  ["tools", "notice", "quiz", "text", "unrolled"].map((name) => [name, document.createElement("div")]),
);
for (const [name, part] of Object.entries(parts)) part.className = name === "text" ? VIEW : name;
stage.append(parts.tools, parts.notice, parts.quiz, parts.text);
parts.notice.setAttribute("role", "status");

// Gradio mounts the slot when it likes.
function place() {
  const slot = document.getElementById(SLOT)?.querySelector(".slot");
  if (slot) slot.append(parts.unrolled);
  else requestAnimationFrame(place);
}
place();

const text = makeView(parts.text, {
  words,
  onSelect: (t) => {
    network.select(t);
    tools.remember();
  },
  onBranch: (written, chosen) => trigger("branch", { inputs: run.inputs, written, chosen }),
  inspect: (t) => inspect(t),
});
const network = unrolled(parts.unrolled, {
  words,
  onSelect: (t) => {
    text.select(t);
    tools.remember();
  },
  onNext: next,
  onFollow: (layer, unit, values) => {
    text.follow(values);
    tools.remember();
  },
  inspect: (t, layer, unit) => inspect(t, layer, unit),
});

let run = null; // the header of the run on the page
let latest = 0; // when the latest one was asked for
let seen = 0; // characters of the trace that were read
let records = []; // that have come
let shown = 0; // how many of them are on the page
let ended = false; // no more will come
let predicting = false; // the next output waits for a guess
let question = null;
let wanted = linked(); // what a link asks to look at

const quiz = lectureQuiz(parts.quiz, {
  words,
  onGuess: guess,
  named: (token) => (run.names?.[token] ? words(run.names[token]) : unrolledToken(token)),
});
const tools = lecture(parts.tools, {
  words,
  act: { next, predict, previous: () => network.step(-1) },
  run: () => run,
  records: () => records,
  predicting: () => predicting,
  visible: () => element.isConnected && element.checkVisibility(),
  where: () => network.where(),
  picture: () => network.picture(),
  redraw: () => text.relabel(),
  qr: (address) => server.qr(address),
});

// Both views ask for the same ticks: each is asked for once, and again only if that failed.
const answers = new Map();
function inspect(t, layer = null, unit = null) {
  const key = JSON.stringify({ t, layer, unit });
  if (!answers.has(key)) {
    const asked = server.inspect(JSON.stringify({ inputs: run.inputs, t, layer, unit })).then((answer) => JSON.parse(answer));
    answers.set(key, asked);
    asked.catch(() => answers.get(key) === asked && answers.delete(key));
  }
  return answers.get(key);
}

// `say` gives the message in the page's language, also when that changes.
let remark = () => "";
function notice(say, kind) {
  remark = say;
  parts.notice.textContent = say();
  parts.notice.dataset.kind = kind;
}

// What the visitor should know of his text: unknown characters, what is left unread, doubts.
function remarks({ unknown, unread, read, hints = [] }) {
  const characters = unknown.slice(0, 12).map((c) => `“${c}”`).join(" ");
  return [
    ...(characters ? [words("drawing.unknown", { characters })] : []),
    ...(unread ? [words("drawing.unread", { read, unread })] : []),
    ...hints.map((key) => words(key)),
  ];
}

function start(header) {
  run = header;
  answers.clear();
  records = [];
  ended = false;
  notice(() => remarks(header).join(" "), "note");
  again();
}

// The run from its first tick.
function again() {
  stage.dataset.state = "running";
  shown = 0;
  quiz.hide();
  text.reset(run);
  network.reset(run);
  tools.draw();
}

function take(record) {
  if ("error" in record) notice(() => record.said?.[props.lang] ?? record.error, "error");
  else if ("run" in record) start(record);
  else if ("end" in record) ended = true;
  else records.push(record.r === "[photo]" ? { ...record, img: run.photo } : record);
}

// A new value either continues the old one or is another run altogether. Two controls moved at once
// start two runs, and the first may end last: a run that was asked for earlier (its name is the
// moment in hexadecimal microseconds) is not drawn over a later one.
function read() {
  const trace = props.value ?? "";
  const head = trace.slice(0, trace.indexOf("\n"));
  const asked = head && Number(`0x${JSON.parse(head).run}`);
  if (asked < latest) return;
  if (asked > latest) latest = asked; // what was stored beforehand has no moment
  if (trace.length < seen || head !== read.head) seen = 0;
  read.head = head;
  const stop = trace.lastIndexOf("\n") + 1;
  const lines = trace.slice(seen, stop).split("\n");
  seen = Math.max(seen, stop);
  lines.filter(Boolean).forEach((line) => take(JSON.parse(line)));
  requestShow();
}

// The network writes faster than one can read: show what waits over the next fifth of a second, the first
// output at once, and all of it where it follows a text that is being typed.
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const SPREAD = 200; // milliseconds
let frame = null;
function requestShow() {
  const waiting = records.length - shown;
  if (predicting) ask();
  else if (document.hidden || calm.matches) show(waiting);
  else if (waiting && !shown) some();
  else if (waiting || (ended && stage.dataset.state === "running")) requestFrame(performance.now());
}

// The slower the frames come, the more each of them shows.
function requestFrame(asked) {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    some(performance.now() - asked);
  });
}

function some(passed = 0) {
  const waiting = records.length - shown;
  const first = shown ? 0 : Math.min(1 + records.findIndex((record) => "w" in record), 60);
  const due = Math.ceil(Math.min(1, Math.max(1 / 12, passed / SPREAD)) * waiting);
  show(LIVE ? waiting : Math.max(1, first, due));
  requestShow();
}

function show(count) {
  const more = records.slice(shown, shown + count);
  shown += more.length;
  if (more.length) {
    text.append(more);
    network.append(more);
    if (more.some((record) => "w" in record)) stage.dataset.wrote = run.run; // what a benchmark waits for
  }
  if (ended && shown === records.length) finish();
}

function finish() {
  if (stage.dataset.state === "done") return;
  stage.dataset.state = "done";
  text.done();
  network.done(true);
  if (wanted) look(wanted);
  else tools.remember();
  wanted = null;
  tools.draw();
}

// ---- predict before reveal ----------------------------------------------------------------

function predict() {
  if (!run) return;
  predicting = !predicting;
  again();
  requestShow();
}

// Show what needs no guess, then ask for the next output.
function ask() {
  while (shown < records.length) {
    question = lectureQuestion(run, records[shown - 1], records[shown]);
    if (question) break;
    show(1);
  }
  if (shown === records.length) question = null;
  if (question || ended) quiz.show(question);
  tools.fit();
}

// A guess, or none: the hall only wants to see it.
function guess(value) {
  quiz.answer(question, value);
  show(1);
  ask();
}

function next() {
  if (predicting && question && network.where().t === shown - 1) guess(null);
  else network.step(1);
}

// ---- a link's tick and unit ---------------------------------------------------------------

function linked() {
  const asked = new URLSearchParams(location.search);
  const unit = asked.get("unit")?.match(/^(\d+)\.(\d+)$/)?.slice(1).map(Number);
  const here = `${asked.get("tab")}-unrolled` === SLOT;
  return here ? { t: Number.parseInt(asked.get("tick"), 10) - 1, unit } : null;
}

document.addEventListener("gallery:look", ({ detail: { slot, tick } }) => {
  if (slot !== SLOT || !element.isConnected) return;
  if (tick) wanted = { t: tick - 1 };
  stage.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
});

function look({ t, unit }) {
  if (unit) network.follow(...unit);
  if (t >= 0) network.go(t);
}

// A text that is read while one types, with a short pause: keys, pastes, and composed characters.
let typing = null;
function typed(event) {
  const box = document.getElementById(LIVE);
  if (event.isComposing || !element.isConnected || !box?.contains(event.target)) return;
  clearTimeout(typing);
  typing = setTimeout(() => trigger("typed", {}), 150);
}
document.addEventListener("input", typed);
document.addEventListener("compositionend", typed);

// A file that the server would refuse is refused here, in words.
function weigh(event) {
  const box = event.target.closest?.(`[id^="${SLOT.replace("unrolled", "")}"]`);
  const file = (event.target.files ?? event.dataTransfer?.files)?.[0];
  if (!element.isConnected || !box || !file || file.size <= LARGEST) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.target.files) event.target.value = "";
  notice(() => words("error.photo.file_too_large", { limit: LARGEST / 1e6 }), "error");
}
document.addEventListener("change", weigh, true);
document.addEventListener("drop", weigh, true);

// A tab that was left keeps its drawing; when it is opened again, the address is its own.
new ResizeObserver(() => stage.dataset.state === "done" && tools.remember()).observe(stage);

watch("value", read);
watch("lang", () => {
  text.relabel();
  network.relabel();
  tools.relabel();
  quiz.relabel();
  parts.notice.textContent = remark();
  if (predicting) requestShow();
  tools.remember();
});
document.addEventListener("gallery:stop", () => {
  if (stage.dataset.state === "running") ended = true;
  requestShow();
});
read();
