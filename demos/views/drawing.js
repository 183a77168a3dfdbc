// The body of the drawing's script: Gradio calls it once with `element`, `props`, `watch`
// and `trigger`. It reads the trace line by line as it grows and hands the records on to the
// text, which stands here, and to the unrolled network, which stands in a slot of its own
// across the whole page. Before it stand the constants WORDS (by language and key) and SLOT
// (the id of that slot): Gradio loses a component's own properties while its tab is closed;
// LIVE, the id of the text box that is read while one types, if there is one; and `makeView`, the
// drawing of the text that this demo has, with VIEW, its name.

const words = (key, values = {}) => {
  const text = (WORDS[props.lang] ?? WORDS.en)[key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
};

const stage = element.querySelector(".drawing");
const parts = Object.fromEntries(
  ["notice", "text", "unrolled"].map((name) => [name, document.createElement("div")]),
);
for (const [name, part] of Object.entries(parts)) part.className = name === "text" ? VIEW : name;
stage.append(parts.notice, parts.text);
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
  onSelect: (t) => network.select(t),
  onBranch: (written, chosen) => trigger("branch", { inputs: run.inputs, written, chosen }),
});
const network = unrolled(parts.unrolled, {
  words,
  onSelect: (t) => text.select(t),
  onFollow: (layer, unit, values) => text.follow(values),
  inspect: inspector(),
});

let run = null; // the header of the run on the page
let seen = 0; // characters of the trace that were read
let waiting = []; // records that have come and are not shown yet
let ended = false;

function inspector() {
  return (t, layer, unit) => {
    const asked = { inputs: run.inputs, t, layer: layer ?? null, unit: unit ?? null };
    return server.inspect(JSON.stringify(asked)).then((answer) => JSON.parse(answer));
  };
}

function notice(message, kind) {
  parts.notice.textContent = message;
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
  waiting = [];
  ended = false;
  stage.dataset.state = "running";
  notice(remarks(header).join(" "), "note");
  text.reset(header);
  network.reset(header);
}

function take(record) {
  if ("error" in record) notice(record.error, "error");
  else if ("run" in record) start(record);
  else if ("end" in record) ended = true;
  else waiting.push(record);
}

// A new value either continues the old one or is another run altogether.
function read() {
  const trace = props.value ?? "";
  const head = trace.slice(0, trace.indexOf("\n"));
  if (trace.length < seen || head !== read.head) seen = 0;
  read.head = head;
  const stop = trace.lastIndexOf("\n") + 1;
  const lines = trace.slice(seen, stop).split("\n");
  seen = Math.max(seen, stop);
  lines.filter(Boolean).forEach((line) => take(JSON.parse(line)));
  requestShow();
}

// The network writes faster than one can read: show what waits over the next few frames.
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let frame = null;
function requestShow() {
  if (document.hidden || calm.matches) show(waiting.length);
  else frame ??= requestAnimationFrame(() => {
    frame = null;
    show(Math.max(1, Math.ceil(waiting.length / 12)));
    if (waiting.length || ended) requestShow();
  });
}

function show(count) {
  const records = waiting.splice(0, count);
  if (records.length) {
    text.append(records);
    network.append(records);
  }
  if (ended && !waiting.length) finish();
}

function finish() {
  ended = false;
  stage.dataset.state = "done";
  text.done();
  network.done(true);
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

watch("value", read);
watch("lang", () => {
  text.relabel();
  network.relabel();
});
document.addEventListener("gallery:stop", () => {
  if (stage.dataset.state === "running") ended = true;
  requestShow();
});
read();
