// The unrolled network: one column a tick, from left to right, and one selected tick to look
// into. Everything is drawn from the records of a run; only gates and the numbers of a single
// unit are asked for, when a tick is selected.
//
//   unrolled           the one state, and what the page may do with it
//   unrolledColumns    the columns in view, and only those      unrolledColumn  one of them, in SVG
//   unrolledPattern    the schematic of the pattern             unrolledTransport  play, step, scrub
//   unrolledCandidates, unrolledHeat, unrolledEquations, unrolledUnit  the selected tick
//   unrolledFinder     units that follow something nameable     unrolledExport  SVG, PNG, CSV, JSON

const UNROLLED_STRIP = 24; // cells in a column's strip; of a larger state, as many units evenly spaced

// `onNext`, if it is given, is what a clicker's key for the next page does: it may reveal before it steps.
function unrolled(root, { words, onSelect, onFollow, onNext, inspect }) {
  const state = {
    header: null,
    steps: [],
    kinds: "", // R, W or B, one a tick
    memory: unrolledStates(),
    selected: -1,
    mode: "still", // live: follows the newest tick; playing: goes on by itself; still: stays
    ended: true,
    speed: 4, // ticks a second
    layer: 0, // whose equations are shown
    followed: null, // {layer, unit, values}
    lookups: new Map(), // what `inspect` answered, by tick and unit
  };
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const act = { select, step, toggle, live, follow, setSpeed, showLayer };
  const model = { state, words, act, scale: unrolledScale(root), calm };

  const head = unrolledNode("div", { class: "head" }, root);
  const pattern = unrolledPattern(head, model);
  const legend = unrolledLegend(head, model);
  const columns = unrolledColumns(root, model);
  const transport = unrolledTransport(root, model);
  const spoken = unrolledNode("p", { class: "spoken", "aria-live": "polite" }, root);
  const detail = unrolledNode("div", { class: "detail" }, root);
  const [one, whole] = ["one", "whole"].map((name) => unrolledNode("div", { class: `side ${name}` }, detail));
  const candidates = unrolledCandidates(one, model);
  const heat = unrolledHeat(whole, model);
  const equations = unrolledEquations(whole, model);
  const finder = unrolledFinder(one, model);
  const unit = unrolledUnit(detail, model);
  const foot = unrolledNode("div", { class: "foot" }, root);
  const ran = unrolledRan(foot, model);
  const exporter = unrolledExport(foot, model, columns);
  const outline = [pattern, legend, columns, transport, finder, ran, exporter];
  const inside = [candidates, heat, equations, unit];

  let frame = null; // one drawing a frame, however many records come
  let timer = null; // the next tick while playing
  let asking = null; // a pause before asking, so that a moving selection asks nothing
  let speaking = null;
  let looked = 0; // when the selected tick was last drawn in full
  let resting = null; // until it is drawn in full again

  root.addEventListener("keydown", onKey);
  watchTheme();

  // ---- the run --------------------------------------------------------------------------

  function reset(header) {
    Object.assign(state, { header, steps: [], kinds: "", selected: -1, mode: "live", ended: false, layer: 0 });
    state.memory.reset(unrolledLanes(header).length * header.sizes[1]);
    state.lookups.clear();
    frame ??= requestAnimationFrame(() => (frame = requestAnimationFrame(paint))); // the output itself goes first
    unfollow();
    relabel();
  }

  function append(records) {
    for (const record of records) {
      state.steps.push(record);
      state.kinds += record.r === undefined ? "W" : record.w === undefined ? "R" : "B";
      state.memory.push(record.h);
    }
    if (state.mode === "live") state.selected = state.steps.length - 1;
    retrace();
    columns.grow(records);
    draw();
  }

  function done() {
    state.ended = true;
    if (state.mode === "live") state.mode = "still";
    draw();
  }

  function draw() {
    frame ??= requestAnimationFrame(paint);
  }

  function paint() {
    frame = null;
    if (!state.header) return;
    recolour();
    outline.forEach((part) => part.draw?.());
    look();
    askLater();
    speakLater();
  }

  // While text streams in, nobody reads every tick's figures: a few times a second will do.
  function look() {
    const wait = state.mode === "live" ? 120 - (performance.now() - looked) : 0;
    if (wait > 0) return void (resting ??= setTimeout(() => ((resting = null), draw()), wait));
    looked = performance.now();
    inside.forEach((part) => part.draw());
  }

  function relabel() {
    root.hidden = state.header === null;
    columns.repaint();
    [...outline, ...inside].forEach((part) => part.relabel?.());
    draw();
  }

  // Other colours with another theme, or once the style sheet is there.
  function recolour() {
    if (!model.scale.read()) return;
    columns.repaint();
    heat.repaint();
  }

  function watchTheme() {
    const seen = new MutationObserver(draw);
    [document.documentElement, document.body].forEach((node) => {
      seen.observe(node, { attributes: true, attributeFilter: ["class"] });
    });
  }

  // ---- selecting and playing ------------------------------------------------------------

  const last = () => state.steps.length - 1;

  function select(t) {
    if (last() < 0) return;
    state.mode = "still";
    clearTimeout(timer);
    show(t);
    onSelect?.(state.selected);
  }

  // A selection that comes from outside is shown and not reported back.
  function selectQuietly(t) {
    if (t === state.selected || t > last() || t < 0) return;
    state.mode = "still";
    clearTimeout(timer);
    show(t);
  }

  function show(t) {
    state.selected = Math.max(0, Math.min(last(), t));
    draw();
  }

  function step(by) {
    select(state.selected + by);
  }

  function live() {
    select(last());
    if (!state.ended) state.mode = "live";
  }

  function toggle() {
    if (state.mode !== "still") return select(state.selected);
    if (state.selected === last() && state.ended) state.selected = -1;
    state.mode = "playing";
    play();
  }

  function play() {
    if (state.mode !== "playing") return;
    if (state.selected < last()) {
      show(state.selected + 1);
      onSelect?.(state.selected);
    }
    if (state.selected === last()) state.mode = state.ended ? "still" : "live";
    timer = setTimeout(play, 1000 / state.speed);
    draw();
  }

  function setSpeed(speed) {
    state.speed = speed;
  }

  function showLayer(layer) {
    state.layer = layer;
    draw();
  }

  function onKey(event) {
    const control = event.target.closest("select, textarea, input:not([type=range])");
    if (control || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1),
      PageUp: () => step(-1), PageDown: onNext ?? (() => step(1)),
      Home: () => select(0), End: live,
      // A focused button keeps its own meaning of the space bar.
      " ": event.target.closest("button, summary") ? null : toggle,
    };
    if (!Object.hasOwn(keys, event.key) || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  // ---- one unit -------------------------------------------------------------------------

  function follow(layer, index) {
    const same = state.followed?.layer === layer && state.followed.unit === index;
    if (same) return unfollow();
    state.followed = { layer, unit: index, values: new Float32Array(0) };
    state.layer = layer;
    retrace();
    columns.repaint();
    draw();
  }

  function unfollow() {
    if (state.followed) onFollow?.(0, 0, null);
    state.followed = null;
    columns.repaint();
    draw();
  }

  // The followed unit's values, again whenever ticks have come.
  function retrace() {
    const followed = state.followed;
    if (!followed || followed.values.length === state.steps.length) return;
    followed.values = state.memory.series(followed.layer * state.header.sizes[1] + followed.unit);
    onFollow?.(followed.layer, followed.unit, followed.values);
  }

  // ---- asking for gates and numbers -----------------------------------------------------

  function askLater() {
    clearTimeout(asking);
    if (!inspect || state.selected < 0) return;
    asking = setTimeout(() => {
      const { selected: t, followed } = state;
      lookUp(t, `${t}`, () => inspect(t));
      if (followed) lookUp(t, unrolledKey(t, followed), () => inspect(t, followed.layer, followed.unit));
    }, 150);
  }

  async function lookUp(t, key, ask) {
    const lookups = state.lookups;
    if (lookups.has(key)) return;
    const { header } = state;
    lookups.set(key, null); // asked, and not answered yet
    try {
      const answer = await ask();
      if (header !== state.header) return;
      lookups.set(key, answer);
      draw();
    } catch {
      // Without an answer the drawing simply has no gates; it may ask again later.
      if (header === state.header) lookups.delete(key);
    }
  }

  // A screen reader hears a selected tick at once, and a moving one only now and then.
  function speakLater() {
    const moving = state.mode !== "still";
    if (speaking?.moving && moving) return;
    clearTimeout(speaking?.timer);
    const say = () => {
      speaking = null;
      const sentence = unrolledSentence(model, state.selected);
      if (spoken.textContent !== sentence) spoken.textContent = sentence;
    };
    speaking = { moving, timer: setTimeout(say, moving ? 5000 : 300) };
  }

  relabel();
  // Which tick is looked at, and which unit.
  function where() {
    return { t: state.selected, followed: state.followed };
  }

  // What a link asks for may not be there.
  function followIfThere(layer, index) {
    if (layer < unrolledLanes(state.header).length && index < state.header.sizes[1]) follow(layer, index);
  }

  relabel();
  return { reset, append, done, select: selectQuietly, go: select, follow: followIfThere, step, where, picture: exporter.drawing, relabel };
}

// ---- small things that every part uses ----------------------------------------------------

// An element of HTML or SVG; text only ever becomes a text node.
function unrolledNode(tag, attributes = {}, parent = null, text = null) {
  const vector = ["svg", "g", "path", "rect", "circle", "text", "tspan", "image", "line"].includes(tag);
  const space = vector ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const node = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  if (text !== null) node.textContent = text;
  parent?.append(node);
  return node;
}

function unrolledPercent(p) {
  const percent = 100 * p;
  if (percent > 0 && percent < 0.01) return "<\u00a00.01\u00a0%";
  return `${percent >= 9.95 ? Math.round(percent) : Number(percent.toPrecision(2))}\u00a0%`;
}

function unrolledNumber(value, digits = 3) {
  return value.toFixed(digits).replace("-", "−");
}

// The rows of a state, from below: the layers that read forwards, then those that read backwards.
function unrolledLanes({ layers, directions = 1 }) {
  return Array.from({ length: layers * directions }, (_, row) => ({ row, layer: row % layers, backwards: row >= layers }));
}

function unrolledLaneName({ state, words }, { layer, backwards }) {
  const { layers, directions } = state.header;
  const way = directions > 1 ? words(`unrolled.lane.${backwards ? "backward" : "forward"}`) : "";
  const number = layers > 1 ? words("unrolled.layer", { layer: layer + 1 }) : "";
  return [way, number].filter(Boolean).join(", ");
}

// The name of a row also where there is only one.
function unrolledLaneOf(model, row) {
  return unrolledLaneName(model, unrolledLanes(model.state.header)[row]) || model.words("unrolled.layer", { layer: 1 });
}

// Against the text, the state comes from the tick behind.
function unrolledTurned(formula, { backwards }) {
  return backwards ? formula.replaceAll("{t-1}", "{t+1}") : formula;
}

// What is written may have a name in the visitor's language.
function unrolledNamed({ state, words }, token) {
  const key = state.header.names?.[token];
  return key ? words(key) : unrolledToken(token);
}

// What goes in may have one, too, if it is no word of the visitor's.
function unrolledInput(model, token) {
  return unrolledSpecial(token) ? unrolledNamed(model, token) : unrolledToken(token);
}

function unrolledSpecial(text) {
  return text.length > 2 && text.startsWith("[") && text.endsWith("]");
}

function unrolledKey(t, { layer, unit }) {
  return `${t}/${layer}/${unit}`;
}

// A token as one can see it: what has no ink of its own gets a sign.
function unrolledToken(text) {
  const signs = { "\n": "↵", " ": "␣", "\t": "⇥", "": "∅" };
  if (Object.hasOwn(signs, text)) return signs[text];
  if (unrolledSpecial(text)) return text.slice(1, -1);
  if (/^[\p{C}\p{Z}]+$/u.test(text)) return `U+${text.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return (/^\p{M}/u.test(text) ? `◌${text}` : text).replaceAll("\n", "↵").replaceAll("\t", "⇥");
}

// What a tick does, as a sentence.
function unrolledSentence(model, t) {
  const { state, words } = model;
  const step = state.steps[t];
  if (!step) return "";
  const values = {
    tick: t + 1,
    total: state.steps.length,
    read: unrolledInput(model, step.r ?? ""),
    fed: unrolledInput(model, step.f ?? ""),
    written: unrolledNamed(model, step.w ?? ""),
    probability: step.p === undefined ? "" : unrolledPercent(step.p),
  };
  const kind = state.kinds[t] === "W" && state.steps[t - 1]?.w === undefined ? "start" : state.kinds[t];
  const sentence = words(`unrolled.sentence.${kind}`, values);
  return step.x ? `${sentence} ${words("unrolled.sentence.chosen", values)}` : sentence;
}

// The states of all ticks, one byte a unit, in one array that doubles when it is full.
function unrolledStates() {
  let bytes = new Uint8Array(0);
  let width = 0;
  let count = 0;

  function reset(units) {
    [width, count] = [units, 0];
    bytes = new Uint8Array(64 * units);
  }

  function push(packed) {
    if ((count + 1) * width > bytes.length) {
      const larger = new Uint8Array(2 * bytes.length);
      larger.set(bytes);
      bytes = larger;
    }
    bytes.fill(128, count * width, (count + 1) * width);
    if (packed) bytes.set(unrolledBytes(packed).subarray(0, width), count * width);
    count += 1;
  }

  const row = (t) => bytes.subarray(t * width, (t + 1) * width);
  const series = (i) => Float32Array.from({ length: count }, (_, t) => unrolledValue(bytes[t * width + i]));
  return { reset, push, row, series };
}

function unrolledBytes(packed) {
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function unrolledValue(byte) {
  return (byte - 128) / 127;
}

// Colours from −1 to 1 by byte: three stops that the style sheet gives, and mixtures of them.
function unrolledScale(root) {
  const scale = { css: [], rgb: [], read };
  let known = ""; // the stops that the colours were made of

  // Whether the colours have changed.
  function read() {
    root.dataset.theme = root.closest(".dark") ? "dark" : "light";
    const style = getComputedStyle(root);
    const given = ["low", "middle", "high"].map((name) => style.getPropertyValue(`--state-${name}`).trim());
    if (given.join() === known) return false;
    known = given.join();
    const stops = given.map(parse);
    scale.rgb = Array.from({ length: 256 }, (_, byte) => mix(stops, Math.max(-1, unrolledValue(byte))));
    scale.css = scale.rgb.map((rgb) => `rgb(${rgb.join(" ")})`);
    return true;
  }

  const parse = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) || 0);

  // Not quite linear: small values stay visible.
  function mix([low, middle, high], value) {
    const end = value < 0 ? low : high;
    const share = Math.abs(value) ** 0.8;
    return middle.map((m, i) => Math.round(m + share * (end[i] - m)));
  }

  read();
  return scale;
}

// ---- the pattern --------------------------------------------------------------------------

// A pattern's parts: "R*BW*" is R many times, B once, W many times.
function unrolledParts(pattern) {
  return [...pattern.matchAll(/([RWB])([*+?]?)/g)].map(([text, kind, count]) => {
    return { text, kind, many: count === "*" || count === "+" };
  });
}

// Which ticks belong to which part: [{part, start, end}], as far as the run has come.
function unrolledPhases(parts, kinds) {
  const phases = [];
  let at = -1;
  for (let t = 0; t < kinds.length; t++) {
    const here = phases.at(-1);
    if (here && parts[at].kind === kinds[t] && parts[at].many) here.end = t + 1;
    else {
      at = parts.findIndex((part, i) => i > at && part.kind === kinds[t]);
      if (at < 0) return phases;
      phases.push({ part: at, start: t, end: t + 1 });
    }
  }
  return phases;
}

// The schematic: every part of the expression over the columns that it stands for.
function unrolledPattern(parent, { state, words }) {
  const figure = unrolledNode("figure", { class: "pattern" }, parent);
  let cells = [];

  function relabel() {
    figure.replaceChildren();
    if (!state.header) return;
    const parts = unrolledParts(state.header.pattern);
    cells = parts.map((part) => cell(part));
    figure.setAttribute("role", "img");
    const names = parts.map((part) => words(`unrolled.part.${part.kind}${part.many ? ".many" : ""}`));
    figure.setAttribute("aria-label", words("unrolled.pattern", { pattern: state.header.pattern, parts: names.join(", ") }));
  }

  function cell(part) {
    const box = unrolledNode("div", { class: "part" }, figure);
    const copies = part.many ? 3 : 1;
    const svg = unrolledNode("svg", { viewBox: `0 0 ${copies * 20} 48`, width: copies * 20, height: 48 }, box);
    for (let i = 0; i < copies; i++) glyph(unrolledNode("g", { transform: `translate(${i * 20} 0)` }, svg), part, i === 1 && part.many);
    unrolledNode("code", {}, box, part.text);
    return { box, count: unrolledNode("span", { class: "count" }, box) };
  }

  function glyph(svg, { kind }, dots) {
    unrolledNode("path", { class: "wire", d: "M-3 24H3M17 24H23" }, svg);
    if (dots) return [6, 10, 14].forEach((x) => unrolledNode("circle", { class: "dot", cx: x, cy: 24, r: 1.2 }, svg));
    unrolledNode("rect", { class: "cell", x: 3, y: 17, width: 14, height: 14, rx: 3 }, svg);
    if (kind !== "R") unrolledNode("path", { class: "wire", d: "M10 17V11" }, svg);
    if (kind !== "R") unrolledNode("circle", { class: "out", cx: 10, cy: 6.5, r: 4.5 }, svg);
    if (kind !== "W") unrolledNode("path", { class: "wire", d: "M10 37V31" }, svg);
    if (kind !== "W") unrolledNode("rect", { class: "in", x: 6, y: 37.5, width: 8, height: 8, rx: 1.5 }, svg);
  }

  function draw() {
    const phases = unrolledPhases(unrolledParts(state.header.pattern), state.kinds);
    cells.forEach(({ box, count }, part) => {
      const phase = phases.find((each) => each.part === part);
      count.textContent = phase ? `× ${phase.end - phase.start}` : "";
      box.toggleAttribute("data-here", Boolean(phase) && phase.start <= state.selected && state.selected < phase.end);
    });
  }

  return { relabel, draw };
}

// What the signs of the drawing mean.
function unrolledLegend(parent, { state, words }) {
  const list = unrolledNode("ul", { class: "legend" }, parent);

  function relabel() {
    list.replaceChildren();
    for (const kind of ["read", "fed", "written"]) {
      const item = unrolledNode("li", {}, list);
      unrolledNode("span", { class: `key ${kind}` }, item);
      unrolledNode("span", {}, item, words(`unrolled.key.${kind}`));
    }
    const scale = unrolledNode("li", { class: "scale" }, list);
    unrolledNode("span", {}, scale, "−1");
    unrolledNode("span", { class: "ramp" }, scale);
    unrolledNode("span", {}, scale, "+1");
    const units = state.header?.sizes[1] ?? 0;
    const some = { shown: UNROLLED_STRIP, units };
    unrolledNode("span", {}, scale, words(units > UNROLLED_STRIP ? "unrolled.key.some" : "unrolled.key.state", some));
  }

  return { relabel };
}

// ---- the columns --------------------------------------------------------------------------

// Where everything stands in a column, from the top: output, states, input, a unit's line, time.
function unrolledGeometry({ header }, { width, followed, pictures }) {
  const units = Math.min(UNROLLED_STRIP, header.sizes[1]);
  const lanes = unrolledLanes(header);
  const pitch = [8, 5][lanes.length - 1] ?? 3;
  const strip = units * pitch;
  const chip = { height: 38, width: Math.min(width - 22, Math.max(46, width - 34)) };
  const output = 34;
  const join = output + chip.height + 26; // where both directions meet
  const first = output + chip.height + (header.directions > 1 ? 52 : 38); // the top layer's upper edge
  const layerTop = lanes.map(({ row }) => first + (lanes.length - 1 - row) * (strip + 36));
  const input = layerTop[0] + strip + 38;
  const inputHeight = pictures ? 68 : chip.height;
  const surprise = input + inputHeight + 17;
  const lane = surprise + 16;
  const axis = followed ? lane + 78 : surprise + 13;
  return { width, units, pitch, strip, chip, output, join, lanes, layerTop, input, inputHeight, surprise, lane, axis, height: axis + 26, state: 38 };
}

// Only what is in view stands in the page, and the selected column, for those who cannot see it.
function unrolledColumns(parent, model) {
  const { state, words, act, calm } = model;
  const LEFT = 44; // room for the state before the first tick
  const frame = unrolledNode("div", { class: "frame" }, parent);
  const gutter = unrolledNode("div", { class: "gutter", "aria-hidden": "true" }, frame);
  const scroller = unrolledNode("div", { class: "scroller", tabindex: 0, role: "group" }, frame);
  const tape = unrolledNode("div", { class: "tape" }, scroller);
  const nodes = new Map(); // t -> element
  let geometry = null;
  let longest = 0; // the widest token so far, in characters
  let pictures = false;
  let shown = null; // the tick that was scrolled to
  let waiting = null;

  scroller.addEventListener("scroll", () => (waiting ??= requestAnimationFrame(() => ((waiting = null), fill()))));
  scroller.addEventListener("wheel", (e) => Math.abs(e.deltaX) > Math.abs(e.deltaY) && release(), { passive: true });
  scroller.addEventListener("touchmove", release, { passive: true });
  scroller.addEventListener("pointerdown", (e) => e.target === scroller && release()); // the scroll bar
  tape.addEventListener("click", (e) => {
    const column = e.target.closest("[data-t]");
    if (column) act.select(Number(column.dataset.t));
  });
  new ResizeObserver(() => state.header && refit()).observe(scroller);

  // Another width, or a tab that was hidden and had none.
  function refit() {
    shown = null;
    repaint();
    draw();
  }

  // Who scrolls by hand looks at something: the drawing no longer runs away from there.
  function release() {
    if (state.mode === "live") state.mode = "still";
  }

  function grow(records) {
    const before = [longest, pictures].join();
    measure(records);
    if (before !== [longest, pictures].join()) repaint();
  }

  function measure(records) {
    for (const { r, f, w, img } of records) {
      for (const token of [r, f, w]) if (token) longest = Math.max(longest, unrolledExtent(unrolledNamed(model, token)));
      pictures ||= Boolean(img);
    }
  }

  // With the next drawing: to ask for the width now would have the whole page laid out once more.
  function repaint() {
    nodes.forEach((node) => node.remove());
    nodes.clear();
    geometry = null;
    if (!state.steps.length) shown = null;
  }

  function layOut() {
    [longest, pictures] = [0, false]; // another language has other names for what is no word
    measure(state.steps);
    const narrow = scroller.clientWidth < 420;
    const width = Math.max(narrow ? 66 : 80, Math.min(narrow ? 104 : 132, Math.round(longest * 10 + 44)), pictures ? 104 : 0);
    geometry = unrolledGeometry(state, { width, followed: state.followed, pictures });
    tape.style.height = `${geometry.height}px`;
    labels();
  }

  function relabel() {
    scroller.setAttribute("aria-label", words("unrolled.columns"));
  }

  // The names of the rows, beside what moves.
  function labels() {
    gutter.replaceChildren();
    const { chip, output, lanes, layerTop, strip, input, inputHeight, lane } = geometry;
    label(output + chip.height / 2, "y_t", words("unrolled.row.output"));
    lanes.forEach((one) => {
      const name = unrolledLaneName(model, one) || words("unrolled.row.state");
      label(layerTop[one.row] + strip / 2, "h_t", name);
    });
    label(input + inputHeight / 2, "x_t", words("unrolled.row.input"));
    if (state.followed) label(lane + 34, `h_{t,${state.followed.unit}}`, words("unrolled.unit", { unit: state.followed.unit }));
  }

  function label(y, formula, name) {
    const box = unrolledNode("div", { class: "row", style: `top:${y}px` }, gutter);
    box.append(unrolledFormula(formula));
    unrolledNode("span", {}, box, name);
  }

  function draw() {
    if (!geometry) layOut();
    const behind = state.header.directions > 1 ? LEFT : 12; // where the other direction begins
    tape.style.width = `${LEFT + state.steps.length * geometry.width + behind}px`;
    if (shown !== state.selected) bring(state.selected);
    fill();
  }

  // Keep the selected column in the middle while one looks, near the end while it moves.
  function bring(t) {
    shown = t;
    if (t < 0) return void (scroller.scrollLeft = 0);
    const x = LEFT + t * geometry.width;
    const room = scroller.clientWidth - geometry.width;
    const place = (x - scroller.scrollLeft) / room;
    const moving = state.mode !== "still";
    if (!moving && place > 0.08 && place < 0.92) return;
    const slow = state.mode === "still" || (state.mode === "playing" && state.speed <= 4);
    const near = Math.abs(place - 0.5) < 2;
    const left = x - room * (moving ? 0.72 : 0.5);
    scroller.scrollTo({ left, behavior: slow && near && !calm.matches ? "smooth" : "instant" });
  }

  function range() {
    const first = Math.floor((scroller.scrollLeft - LEFT) / geometry.width);
    const count = Math.ceil(scroller.clientWidth / geometry.width);
    return [Math.max(0, first - 2), Math.min(state.steps.length, first + count + 3)];
  }

  function fill() {
    if (!geometry) return;
    const [from, to] = range();
    nodes.forEach((node, t) => {
      if ((t < from || t >= to) && t !== state.selected) (node.remove(), nodes.delete(t));
    });
    for (let t = from; t < to; t++) place(t);
    if (state.steps[state.selected]) place(state.selected);
    nodes.forEach((node, t) => node.toggleAttribute("data-selected", t === state.selected));
  }

  function place(t) {
    if (nodes.has(t)) return;
    const column = unrolledNode("div", {
      class: "column", role: "img", "data-t": t, "data-kind": state.kinds[t],
      "aria-label": unrolledSentence(model, t), style: `left:${LEFT + t * geometry.width}px;width:${geometry.width}px`,
    });
    const svg = unrolledNode("svg", { width: geometry.width, height: geometry.height }, column);
    unrolledColumn(svg, model, geometry, t);
    nodes.set(t, column);
    // In the order of time, so that a reader who walks through the page meets them so.
    const next = [...tape.children].find((node) => Number(node.dataset.t) > t);
    tape.insertBefore(column, next ?? null);
  }

  // The columns that can be seen, for the export.
  function visible() {
    const [from, to] = range();
    const inside = [...nodes].filter(([t]) => t >= from + (from ? 2 : 0) && t < to).sort(([a], [b]) => a - b);
    return { svgs: inside.map(([, node]) => node.firstChild), geometry, left: LEFT };
  }

  return { grow, repaint, relabel, draw, visible };
}

// A text's width in letters; Chinese characters and pictographs are twice as wide.
function unrolledExtent(text) {
  const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|\p{Extended_Pictographic}/u;
  return unrolledCharacters(text).reduce((sum, character) => sum + (wide.test(character) ? 2 : 1), 0);
}

const unrolledSegmenter = new Intl.Segmenter();

function unrolledCharacters(text) {
  return [...unrolledSegmenter.segment(text)].map(({ segment }) => segment);
}

// One tick, from its own middle: x runs from 0 to the column's width.
function unrolledColumn(svg, model, geometry, t) {
  const { state, scale, words } = model;
  const step = state.steps[t];
  const { width, units, pitch, strip, chip, output, join, lanes, layerTop, input, inputHeight } = geometry;
  const middle = width / 2;
  const edge = geometry.state / 2; // from the middle to the side of a strip
  const { layers, directions = 1 } = state.header;
  const index = ({ layer, backwards }) => (layers > 1 ? "₁₂₃₄₅₆₇₈₉"[layer] ?? "" : "") + (directions > 1 ? (backwards ? "←" : "→") : "");

  unrolledNode("rect", { class: "wash", x: 1, y: 2, width: width - 2, height: geometry.height - 4, rx: 8 }, svg);
  if (step.f !== undefined && state.steps[t - 1]?.w !== undefined) feedback();
  for (const lane of lanes) (across(lane), states(lane));
  lanes.forEach(up);
  if (directions > 1) meet();
  if (step.r !== undefined) chipOf("read", step.r, input, inputHeight, step.img);
  else if (step.f !== undefined) chipOf("fed", step.f, input, inputHeight);
  if (step.w !== undefined) written();
  if (step.s !== undefined) unrolledNode("text", { class: "surprise", x: middle, y: geometry.surprise }, svg, words("unrolled.bits", { bits: step.s.toFixed(1) }));
  if (state.followed) unrolledLane(svg, state.followed.values, { scale, geometry, t });
  time();

  function arrow(name, x1, y1, x2, y2) {
    const back = x1 < x2 ? -6 : 6;
    const head = x1 === x2 ? `M${x2 - 3.5} ${y2 + 6}L${x2} ${y2}L${x2 + 3.5} ${y2 + 6}` : `M${x2 + back} ${y2 - 3.5}L${x2} ${y2}L${x2 + back} ${y2 + 3.5}`;
    unrolledNode("path", { class: "arrow", d: `M${x1} ${y1}L${x2} ${y2}${head}` }, svg);
    const [x, y] = x1 === x2 ? [x1 + 7, (y1 + y2) / 2 + 4] : [x1 < x2 ? x1 : x2 + 9, y1 - 7];
    unrolledNode("text", { class: "weight", x, y }, svg, name);
  }

  // W: from the state of the tick before; against the text, of the one behind. Before the first it is 0.
  function across(lane) {
    const y = layerTop[lane.row] + strip / 2;
    const side = lane.backwards ? -1 : 1;
    const begins = lane.backwards ? step.w !== undefined : t === 0;
    const from = middle + side * (begins ? -22 - middle : edge + 3 - width);
    if (begins) unrolledNode("text", { class: "zero", x: from - 5 * side, y: y + 5 }, svg, "0");
    arrow(`W${index(lane)}`, from, y, middle - side * (edge + 3), y);
    if (step.z) unrolledNode("path", { class: "severed", d: `M-7 ${y - 7}L7 ${y + 7}M-7 ${y + 7}L7 ${y - 7}` }, svg);
  }

  // U: from the input or the layer below. V: to the output, where one is written.
  function up(lane) {
    const bottom = layerTop[lane.row] + strip + 4;
    if (lane.row && !lane.layer) return beside(lane, bottom);
    const below = lane.layer ? layerTop[lane.row - 1] : input;
    arrow(`U${index(lane)}`, middle, below - 4, middle, bottom);
    const top = lane.row === layers - 1 && directions === 1;
    if (top && step.w !== undefined) arrow("V", middle, layerTop[lane.row] - 4, middle, output + chip.height + 4);
  }

  // The input reaches the layer that reads backwards past those that read forwards.
  function beside(lane, bottom) {
    const x = middle - edge - 9;
    unrolledNode("path", { class: "arrow", d: `M${x} ${input - 4}V${bottom + 9}Q${x} ${bottom + 6} ${x + 4} ${bottom + 6}H${middle - 4}` }, svg);
    arrow(`U${index(lane)}`, middle, bottom + 8, middle, bottom);
  }

  // Both last states meet at the output: the first column's from the right, the last column's from the left.
  function meet() {
    const last = step.w !== undefined;
    const behind = lanes.length - 1;
    const start = t === 0 ? `M${middle} ${layerTop[behind] - 4}V${join}` : `M0 ${join}`;
    if (!last || t > 0) unrolledNode("path", { class: "meet", d: `${start}H${last ? middle : width}` }, svg);
    if (!last) return;
    if (t === 0) unrolledNode("path", { class: "meet", d: start }, svg);
    const x = middle + edge + 9;
    const ahead = layerTop[layers - 1];
    unrolledNode("path", { class: "meet", d: `M${middle} ${ahead - 4}V${ahead - 12}H${x}V${join}H${middle}` }, svg);
    arrow("V", middle, join, middle, output + chip.height + 4);
  }

  function states({ row, layer, backwards }) {
    const size = state.header.sizes[1];
    const bytes = state.memory.row(t);
    const cells = unrolledNode("g", { class: "state" }, svg);
    for (let i = 0; i < units; i++) {
      // The top-most cell is the first of the units that are shown.
      const unit = Math.floor((i * size) / units);
      const place = { x: middle - edge, y: layerTop[row] + i * pitch, width: 2 * edge, height: pitch };
      unrolledNode("rect", { ...place, fill: scale.css[bytes[row * size + unit]] }, cells);
    }
    const decides = directions > 1 && layer === layers - 1 && (backwards ? t === 0 : step.w !== undefined);
    unrolledNode("rect", { class: decides ? "skin last" : "skin", x: middle - edge, y: layerTop[row], width: 2 * edge, height: strip, rx: 4 }, cells);
  }

  function chipOf(role, token, y, height, img) {
    const box = { x: middle - chip.width / 2, y, width: chip.width, height, rx: role === "written" ? height / 2 : 5 };
    const special = unrolledSpecial(token) ? " special" : "";
    unrolledNode("rect", { class: `chip ${role}${special}`, ...box }, svg);
    if (/^data:image\/(png|jpeg|webp|gif);base64,/.test(img ?? "")) {
      unrolledNode("image", { x: box.x + 3, y: y + 3, width: box.width - 6, height: height - 6, preserveAspectRatio: "xMidYMid slice", href: img }, svg);
    } else unrolledLetters(svg, `${role}${special}`, role === "written" ? unrolledNamed(model, token) : unrolledInput(model, token), box);
  }

  function written() {
    chipOf("written", step.w, output, chip.height);
    if (step.x) unrolledNode("rect", { class: "chosen", x: middle - chip.width / 2 - 3, y: output - 3, width: chip.width + 6, height: chip.height + 6, rx: chip.height / 2 + 3 }, svg);
    if (step.p === undefined) return;
    unrolledNode("text", { class: "probability", x: middle, y: 17 }, svg, unrolledPercent(step.p));
    const bar = Math.min(44, chip.width);
    unrolledNode("rect", { class: "track", x: middle - bar / 2, y: 23, width: bar, height: 3, rx: 1.5 }, svg);
    unrolledNode("rect", { class: "level", x: middle - bar / 2, y: 23, width: Math.max(1, bar * Math.min(1, step.p)), height: 3, rx: 1.5 }, svg);
  }

  // What the tick before wrote comes back in, down the gap between the columns.
  function feedback() {
    const [x, y1, y2] = [7, output + chip.height / 2, input + inputHeight / 2];
    const [from, to] = [chip.width / 2 - middle + 2, middle - chip.width / 2 - 3];
    const r = Math.max(2, Math.min(10, x - from, to - x));
    const way = `M${from} ${y1}H${x - r}Q${x} ${y1} ${x} ${y1 + r}V${y2 - r}Q${x} ${y2} ${x + r} ${y2}H${to}`;
    unrolledNode("path", { class: "fed-back", d: way }, svg);
    unrolledNode("path", { class: "arrow", d: `M${to - 6} ${y2 - 3.5}L${to} ${y2}L${to - 6} ${y2 + 3.5}` }, svg);
  }

  function time() {
    const kind = state.kinds[t];
    const bar = { x: 3, width: width - 6, height: 3, rx: 1.5 };
    unrolledNode("rect", { class: kind === "R" ? "time" : "time full", y: geometry.axis, ...bar }, svg);
    const text = unrolledNode("text", { class: "tick", x: middle, y: geometry.axis + 19 }, svg);
    unrolledNode("tspan", { class: "kind" }, text, kind);
    unrolledNode("tspan", { dx: 5 }, text, String(t + 1));
  }
}

// A token in its box: smaller if it is long, cut if it is longer still, and never outside.
function unrolledLetters(svg, name, text, { x, y, width, height }) {
  const room = width - 8;
  const size = Math.max(12, Math.min(23, room / (unrolledExtent(text) * 0.56)));
  const fits = Math.max(1, Math.floor(room / (size * 0.56) + 0.01)); // a quotient of a quotient is a hair short
  let [shown, used] = ["", 0];
  for (const character of unrolledCharacters(text)) {
    used += unrolledExtent(character);
    if (used > fits && shown) {
      shown += "…";
      break;
    }
    shown += character;
  }
  const box = unrolledNode("svg", { x, y, width, height, overflow: "hidden" }, svg);
  const place = { x: width / 2, y: height / 2 + size * 0.35, "font-size": size.toFixed(1) };
  unrolledNode("text", { class: `letters ${name}`, ...place }, box, shown);
}

// One unit's value, joined to that of the tick before.
function unrolledLane(svg, values, { scale, geometry, t }) {
  const { width, lane } = geometry;
  const y = (value) => lane + 34 - 30 * value;
  const byte = (value) => Math.round(value * 127 + 128);
  unrolledNode("path", { class: "zero-line", d: `M0 ${y(0)}H${width}M0 ${y(1)}H${width}M0 ${y(-1)}H${width}` }, svg);
  if (t > 0) unrolledNode("path", { class: "value-line", d: `M${-width / 2} ${y(values[t - 1])}L${width / 2} ${y(values[t])}` }, svg);
  unrolledNode("circle", { class: "dot-value", cx: width / 2, cy: y(values[t]), r: 6, fill: scale.css[byte(values[t])] }, svg);
}

// ---- the transport ------------------------------------------------------------------------

function unrolledTransport(parent, { state, words, act }) {
  const SHAPES = {
    first: "M5 4V16M16 4L8 10L16 16Z", back: "M14 4L6 10L14 16Z", play: "M6 3.5L16 10L6 16.5Z",
    pause: "M7 4V16M13 4V16", forward: "M6 4L14 10L6 16Z", last: "M15 4V16M4 4L12 10L4 16Z",
  };
  const bar = unrolledNode("div", { class: "transport", role: "group" }, parent);
  const buttons = {
    first: button("first", () => act.select(0)),
    back: button("back", () => act.step(-1)),
    play: button("play", act.toggle),
    forward: button("forward", () => act.step(1)),
    last: button("last", act.live),
  };
  const track = unrolledNode("div", { class: "scrub" }, bar);
  const scrubber = unrolledNode("input", { type: "range", min: 1, step: 1, value: 1 }, track);
  const marks = unrolledNode("div", { class: "marks", "aria-hidden": "true" }, track);
  const place = unrolledNode("span", { class: "place" }, bar);
  const speed = unrolledNode("select", { class: "speed" }, bar);
  [1, 2, 4, 8, 16, 32].forEach((n) => unrolledNode("option", { value: n, selected: n === state.speed }, speed));
  scrubber.addEventListener("input", () => act.select(Number(scrubber.value) - 1));
  speed.addEventListener("change", () => act.setSpeed(Number(speed.value)));

  function button(name, onClick) {
    const node = unrolledNode("button", { type: "button", class: name }, bar);
    unrolledNode("path", { d: SHAPES[name] }, unrolledNode("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, node));
    node.addEventListener("click", onClick);
    return node;
  }

  function name(node, key) {
    node.setAttribute("aria-label", words(key));
    node.title = words(key);
  }

  function relabel() {
    bar.setAttribute("aria-label", words("unrolled.transport"));
    Object.entries(buttons).forEach(([key, node]) => name(node, `unrolled.${key}`));
    name(scrubber, "unrolled.scrubber");
    name(speed, "unrolled.speed");
    [...speed.options].forEach((option) => (option.textContent = words("unrolled.per_second", { count: option.value })));
  }

  function draw() {
    const total = state.steps.length;
    const moving = state.mode !== "still";
    buttons.play.dataset.moving = moving;
    buttons.play.querySelector("path").setAttribute("d", SHAPES[moving ? "pause" : "play"]);
    name(buttons.play, moving ? "unrolled.pause" : "unrolled.play");
    scrubber.max = Math.max(1, total);
    scrubber.value = state.selected + 1;
    scrubber.setAttribute("aria-valuetext", words("unrolled.place", { tick: state.selected + 1, total }));
    place.textContent = `${state.selected + 1} / ${total}`;
    drawMarks(total);
  }

  // Where reading ends and writing begins.
  function drawMarks(total) {
    const parts = unrolledParts(state.header.pattern);
    const phases = unrolledPhases(parts, state.kinds);
    while (marks.children.length > phases.length) marks.lastChild.remove();
    phases.forEach(({ part, start, end }, i) => {
      const mark = marks.children[i] ?? unrolledNode("span", {}, marks);
      mark.dataset.kind = parts[part].kind;
      mark.style.left = `${(100 * start) / total}%`;
      mark.style.width = `${(100 * (end - start)) / total}%`;
    });
  }

  return { relabel, draw };
}

// ---- the selected tick --------------------------------------------------------------------

function unrolledPanel(parent, name) {
  const panel = unrolledNode("section", { class: `panel ${name}` }, parent);
  return { panel, title: unrolledNode("h2", { class: "title" }, panel), body: unrolledNode("div", { class: "body" }, panel) };
}

function unrolledCandidates(parent, model) {
  const { state, words } = model;
  const { title, body } = unrolledPanel(parent, "candidates");
  let drawn = null;

  function relabel() {
    drawn = null;
  }

  function draw() {
    const step = state.steps[state.selected];
    if (step === drawn) return;
    drawn = step;
    title.textContent = step ? unrolledSentence(model, state.selected) : words("unrolled.waiting");
    body.replaceChildren();
    if (!step) return;
    if (!step.c?.length) return void unrolledNode("p", { class: "hint" }, body, words("unrolled.no_candidates"));
    const list = unrolledNode("ol", { class: "bars" }, body);
    step.c.slice(0, 10).forEach((candidate) => row(list, step, candidate));
    if (step.w !== undefined && !step.c.some(([token]) => token === step.w)) row(list, step, [step.w, step.p ?? 0, null]);
    unrolledNode("p", { class: "hint" }, body, words("unrolled.hint_candidates"));
  }

  function row(list, step, [token, probability, chance]) {
    const here = token === step.w;
    const item = unrolledNode("li", { class: "bar", "data-token": token, "data-probability": probability, "data-written": here }, list);
    unrolledNode("span", { class: unrolledSpecial(token) ? "what special" : "what" }, item, unrolledNamed(model, token));
    const bar = unrolledNode("span", { class: "level", "aria-hidden": "true" }, item);
    bar.style.setProperty("--p", Math.min(1, probability));
    bar.style.setProperty("--q", Math.min(1, chance ?? 0));
    unrolledNode("span", { class: "figure" }, item, unrolledPercent(probability));
    const drawnAs = chance === null ? "" : unrolledPercent(chance);
    unrolledNode("span", { class: "figure subdued", title: words("unrolled.chance") }, item, drawnAs);
    if (here) unrolledNode("span", { class: "mark" }, item, words(step.x ? "unrolled.mark.chosen" : "unrolled.mark.written"));
  }

  return { relabel, draw };
}

// As many columns as make a map about twice as wide as high, without a ragged end if possible.
function unrolledAcross(units) {
  const ideal = Math.ceil(Math.sqrt(2 * units));
  for (let off = 0; off <= ideal / 3; off++) {
    const fit = [ideal - off, ideal + off].find((n) => n > 0 && units % n === 0);
    if (fit) return fit;
  }
  return Math.min(units, ideal);
}

// The whole state of every layer, one square a unit; gates and cell beside it, once they come.
function unrolledHeat(parent, model) {
  const { state, words, act, scale } = model;
  const { panel, title, body } = unrolledPanel(parent, "heat");
  const readout = unrolledNode("p", { class: "readout" }, panel);
  const SYMBOLS = { input: "i_t", forget: "f_t", output: "o_t", candidate: "g_t", reset: "r_t", update: "u_t", memory: "c_t", h: "h_t" };
  let maps = []; // {layer, name, figure, canvas, caption, …}
  let pointed = null; // {layer, unit}
  let of = null; // the run that the maps belong to
  let names = "";

  const size = () => state.header.sizes[1];
  const clamp = (unit) => Math.max(0, Math.min(size() - 1, unit));

  function build(extra) {
    body.replaceChildren();
    maps = [];
    for (let layer = unrolledLanes(state.header).length - 1; layer >= 0; layer--) {
      const row = unrolledNode("div", { class: "layer" }, body);
      maps.push(map(row, layer, "h"));
      const others = unrolledNode("div", { class: "gates", hidden: !extra.length }, row);
      extra.forEach((name) => maps.push(map(others, layer, name)));
    }
  }

  function map(row, layer, name) {
    const across = unrolledAcross(size());
    const figure = unrolledNode("figure", { class: `map ${name}` }, row);
    const caption = unrolledNode("figcaption", {}, figure);
    const cells = unrolledNode("div", { class: "cells", "data-name": name }, figure);
    const canvas = unrolledNode("canvas", { width: across, height: Math.ceil(size() / across) }, cells);
    const cursor = unrolledNode("div", { class: "cursor", hidden: true }, cells);
    const ring = unrolledNode("div", { class: "ring", hidden: true }, cells);
    const made = { layer, name, across, figure, caption, cells, canvas, cursor, ring };
    listen(made);
    say(made);
    return made;
  }

  function listen({ layer, name, across, cells, canvas }) {
    const unitAt = (event) => {
      const box = cells.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * across);
      const y = Math.floor(((event.clientY - box.top) / box.height) * canvas.height);
      return clamp(y * across + Math.min(across - 1, Math.max(0, x)));
    };
    cells.addEventListener("pointermove", (e) => point({ layer, unit: unitAt(e) }));
    cells.addEventListener("pointerleave", () => point(null));
    cells.addEventListener("click", (e) => act.follow(layer, unitAt(e)));
    if (name === "h") keyboard(layer, across, cells);
  }

  // The state's map is a slider over its units: arrows move, Enter follows.
  function keyboard(layer, across, cells) {
    cells.tabIndex = 0;
    cells.setAttribute("role", "slider");
    cells.setAttribute("aria-valuemin", 0);
    cells.setAttribute("aria-valuenow", 0);
    cells.setAttribute("aria-valuemax", size() - 1);
    const here = () => (pointed?.layer === layer ? pointed.unit : state.followed?.layer === layer ? state.followed.unit : 0);
    cells.addEventListener("focus", () => cells.matches(":focus-visible") && point({ layer, unit: here() }));
    cells.addEventListener("blur", () => point(null));
    cells.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -size(), End: size() }[event.key];
      if (by !== undefined) point({ layer, unit: clamp(here() + by) });
      else if (event.key === "Enter") act.follow(layer, here());
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  function point(where) {
    pointed = where;
    rings();
    tell();
  }

  function say({ layer, name, caption, cells }) {
    caption.replaceChildren();
    const values = { lane: unrolledLaneOf(model, layer), name: words(`unrolled.map.${name}`), units: size() };
    const lane = unrolledLaneName(model, unrolledLanes(state.header)[layer]);
    if (name === "h" && lane) unrolledNode("b", {}, caption, lane);
    caption.append(unrolledFormula(symbol(name), state.selected));
    unrolledNode("span", { class: "subdued" }, caption, values.name);
    cells.setAttribute("aria-label", words(name === "h" ? "unrolled.map_slider" : "unrolled.map_image", values));
    if (name !== "h") cells.setAttribute("role", "img");
  }

  const symbol = (name) => (name === "candidate" && state.header.cell === "gru" ? "n_t" : SYMBOLS[name] ?? name);

  function relabel() {
    title.textContent = state.header ? words("unrolled.title.state", { units: size() }) : "";
    tell();
  }

  function draw() {
    const answer = state.lookups.get(String(state.selected));
    const extra = answer ? [...(answer.memory ? ["memory"] : []), ...Object.keys(answer.gates ?? {})] : null;
    const wanted = extra?.join() ?? (of === state.header ? names : "");
    if (of !== state.header || wanted !== names) {
      [of, names] = [state.header, wanted];
      build(wanted ? wanted.split(",") : []);
    }
    body.classList.toggle("stale", !answer);
    maps.forEach(say);
    maps.forEach((made) => paint(made, bytesOf(made.name, answer)));
    rings();
    tell();
  }

  function bytesOf(name, answer) {
    if (name === "h") return state.selected < 0 ? null : state.memory.row(state.selected);
    const packed = name === "memory" ? answer?.memory : answer?.gates?.[name];
    return packed ? unrolledBytes(packed) : null;
  }

  // One pixel a unit; the style sheet makes them squares.
  function paint(made, bytes) {
    if (!bytes) return;
    made.bytes = bytes.slice(made.layer * size(), (made.layer + 1) * size());
    const picture = new ImageData(made.canvas.width, made.canvas.height);
    made.bytes.forEach((byte, i) => picture.data.set([...scale.rgb[byte], 255], 4 * i));
    made.canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  function repaint() {
    of = null;
  }

  function rings() {
    for (const { layer, across, canvas, cursor, ring } of maps) {
      put(cursor, pointed?.layer === layer ? pointed.unit : null, across, canvas.height);
      put(ring, state.followed?.layer === layer ? state.followed.unit : null, across, canvas.height);
    }
  }

  function put(node, unit, across, down) {
    node.hidden = unit === null;
    if (unit === null) return;
    node.style.left = `${(100 * (unit % across)) / across}%`;
    node.style.top = `${(100 * Math.floor(unit / across)) / down}%`;
    node.style.width = `${100 / across}%`;
    node.style.height = `${100 / down}%`;
  }

  // The values of the unit under the pointer, in every map.
  function tell() {
    readout.replaceChildren();
    if (!state.header) return;
    const where = pointed ?? state.followed;
    if (!where) return void unrolledNode("span", { class: "subdued" }, readout, words("unrolled.hint_heat"));
    const name = words("unrolled.where", { lane: unrolledLaneOf(model, where.layer), unit: where.unit });
    unrolledNode("b", {}, readout, name);
    const here = maps.filter((made) => made.layer === where.layer && made.bytes);
    for (const made of here) {
      const value = unrolledValue(made.bytes[where.unit]) * (made.name === "memory" ? answerScale() : 1);
      const item = unrolledNode("span", { class: "value" }, readout);
      item.append(unrolledFormula(symbol(made.name), state.selected), ` = ${unrolledNumber(value, 2)}`);
      if (made.name === "h") made.cells.setAttribute("aria-valuenow", where.unit);
      if (made.name === "h") made.cells.setAttribute("aria-valuetext", `${name}: ${unrolledNumber(value, 2)}`);
    }
  }

  const answerScale = () => state.lookups.get(String(state.selected))?.scale ?? 1;

  return { relabel, draw, repaint };
}

// ---- formulas -----------------------------------------------------------------------------

// "h_{t-1} W_i" as it is printed: letters slanted, subscripts below, t as this tick's number.
function unrolledFormula(text, t = null, shapes = null, layer = 0) {
  const line = unrolledNode("span", { class: "formula" });
  for (const [whole, letters, sub] of text.matchAll(/([A-Za-zσ]+)'?(?:_(\{[^}]*\}|[a-z]))?|[^A-Za-zσ]+/g)) {
    if (!letters) line.append(whole);
    else if (letters.length > 1 || letters === "σ") unrolledNode("span", { class: "function" }, line, letters);
    else symbol(letters, whole.includes("'"), sub);
  }
  return line;

  function symbol(letter, prime, sub) {
    const below = letter === "x" && layer > 0; // a higher layer's input is the state below it
    const box = unrolledNode("span", { class: "symbol" }, line);
    const name = unrolledNode("span", { class: "name" }, box);
    unrolledNode("i", {}, name, below ? "h" : letter);
    if (prime) name.append("′");
    const scripts = below ? unrolledNode("span", { class: "scripts" }, name) : name;
    if (below) unrolledNode("sup", {}, scripts, `(${layer})`);
    if (sub) unrolledNode("sub", {}, scripts, index(sub.replace(/[{}]/g, "")));
    if (shapes) unrolledNode("span", { class: "shape" }, box, shapes(letter));
  }

  function index(sub) {
    if (t === null || !sub.startsWith("t")) return sub.replace("-", "−");
    const moved = { "t-1": t, "t+1": t + 2 }[sub];
    return moved === undefined ? sub.replace("t", String(t + 1)) : String(moved);
  }
}

// The cell's equations. A state is a row, (1, H), so that the shapes multiply as they stand.
function unrolledCell(cell) {
  const gate = (name, f) => `${name}_t = ${f}( x_t U_${name} + h_{t-1} W_${name} + b_${name} )`;
  const lines = {
    rnn: ["h_t = tanh( x_t U + h_{t-1} W + b )"],
    gru: [gate("r", "σ"), gate("u", "σ"), "n_t = tanh( x_t U_n + b_n + r_t ⊙ ( h_{t-1} W_n + b'_n ) )",
      "h_t = (1 − u_t) ⊙ n_t + u_t ⊙ h_{t-1}"],
    lstm: [gate("i", "σ"), gate("f", "σ"), gate("o", "σ"), gate("g", "tanh"),
      "c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t", "h_t = o_t ⊙ tanh( c_t )"],
  };
  return lines[cell] ?? [];
}

function unrolledEquations(parent, model) {
  const { state, words, act } = model;
  const { title, body } = unrolledPanel(parent, "equations");
  const tabs = unrolledNode("div", { class: "layers", role: "group" }, body);
  const lines = unrolledNode("div", { class: "lines" }, body);
  const whole = unrolledNode("p", { class: "shapes" }, body);
  const hint = unrolledNode("p", { class: "hint" }, body);
  let drawn = "";

  function relabel() {
    drawn = "";
    if (!state.header) return;
    const lanes = unrolledLanes(state.header);
    title.textContent = words("unrolled.title.equations", { cell: state.header.cell.toUpperCase() });
    hint.textContent = words("unrolled.hint_equations");
    tabs.setAttribute("aria-label", words("unrolled.choose_layer"));
    tabs.hidden = lanes.length < 2;
    tabs.replaceChildren();
    lanes.forEach((lane) => {
      const tab = unrolledNode("button", { type: "button" }, tabs, unrolledLaneName(model, lane));
      tab.addEventListener("click", () => act.showLayer(lane.row));
    });
  }

  function shapes(letter) {
    const [input, hidden, output] = state.header.sizes;
    const from = unrolledLanes(state.header)[state.layer].layer ? hidden : input;
    const joined = hidden * (state.header.directions ?? 1);
    const all = { x: [1, from], U: [from, hidden], W: [hidden, hidden], V: [joined, output], y: [1, output] };
    if (letter === "b") return `(${hidden})`;
    return `(${(all[letter] ?? [1, hidden]).join(", ")})`;
  }

  function draw() {
    const wanted = `${state.header.run}/${state.selected}/${state.layer}`;
    if (wanted === drawn || state.selected < 0) return;
    drawn = wanted;
    [...tabs.children].forEach((tab, layer) => tab.setAttribute("aria-pressed", layer === state.layer));
    lines.replaceChildren();
    const { cell, layers, directions = 1 } = state.header;
    const lane = unrolledLanes(state.header)[state.layer];
    const out = directions > 1 ? "y = softmax( [ →h_{T} ; ←h_{1} ] V )" : "y_t = softmax( h_t V )";
    const equations = unrolledCell(cell).concat(lane.layer === layers - 1 ? [out] : []);
    equations.forEach((text) => {
      const formula = unrolledFormula(unrolledTurned(text, lane), state.selected, shapes, lane.layer);
      unrolledNode("p", { class: "equation" }, lines).append(formula);
    });
    whole.textContent = directions > 1 ? together() : "";
  }

  // The shapes of nn.LSTM(bidirectional=True, batch_first=True).
  function together() {
    const { layers, sizes } = state.header;
    const ticks = state.steps.length;
    return `output (1, T, 2·H) = (1, ${ticks}, ${2 * sizes[1]})   hₙ (${2 * layers}, 1, H) = (${2 * layers}, 1, ${sizes[1]})`;
  }

  return { relabel, draw };
}

// ---- one unit, by hand --------------------------------------------------------------------

function unrolledUnit(parent, model) {
  const { state, words, act } = model;
  const { panel, title, body } = unrolledPanel(parent, "unit");
  const NAMES = { input: "i", forget: "f", output: "o", candidate: "g", reset: "r", update: "u" };
  let drawn = null;

  const letter = (name) => (name === "candidate" && state.header.cell === "gru" ? "n" : NAMES[name] ?? "h");
  const squash = (name) => (["candidate", "h", "state"].includes(name) ? "tanh" : "σ");
  const known = (...values) => values.every((value) => Number.isFinite(value));

  const laneOf = ({ layer }) => unrolledLanes(state.header)[layer];

  function relabel() {
    drawn = null;
  }

  function draw() {
    const { followed, selected } = state;
    panel.hidden = !followed;
    if (!followed) return;
    const answer = state.lookups.get(unrolledKey(selected, followed)) ?? null;
    const wanted = `${unrolledKey(selected, followed)}/${Boolean(answer)}/${followed.values.length > selected}`;
    if (wanted === drawn) return;
    drawn = wanted;
    title.textContent = words("unrolled.title.unit", { lane: unrolledLaneOf(model, followed.layer), unit: followed.unit, tick: selected + 1 });
    body.replaceChildren();
    value(followed, answer);
    if (answer?.sums) table(answer);
    if (answer) lines(answer).forEach(equation);
    if (answer?.terms?.length) terms(answer.terms);
    const stop = unrolledNode("button", { type: "button", class: "plain" }, body, words("unrolled.unfollow"));
    stop.addEventListener("click", () => act.follow(followed.layer, followed.unit));
  }

  // Until its numbers come, or where none do, the value alone.
  function value(followed, answer) {
    const here = followed.values[state.selected];
    if (answer?.sums || !known(here)) return;
    equation([`h_t = ${unrolledNumber(here)}`]);
  }

  function equation([text, result]) {
    const line = unrolledNode("p", { class: "equation" }, body);
    line.append(unrolledFormula(unrolledTurned(text, laneOf(state.followed)), state.selected));
    if (result !== undefined) unrolledNode("b", { class: "result" }, line, ` = ${unrolledNumber(result)}`);
  }

  // z = part of the input + part of the state + bias, gate after gate.
  function table({ sums, gates = {}, h }) {
    const scroll = unrolledNode("div", { class: "sums", tabindex: 0, role: "group", "aria-label": words("unrolled.sums") }, body);
    const made = unrolledNode("table", {}, scroll);
    const head = unrolledNode("tr", {}, unrolledNode("thead", {}, made));
    ["gate", "from_x", "from_h", "bias", "sum", "value"].forEach((key) => unrolledNode("th", { scope: "col" }, head, words(`unrolled.sum.${key}`)));
    const rows = unrolledNode("tbody", {}, made);
    for (const [name, sum] of Object.entries(sums)) {
      const row = unrolledNode("tr", {}, rows);
      unrolledNode("th", { scope: "row" }, row).append(unrolledFormula(`${letter(name)}_t`, state.selected));
      [sum.x, sum.h, sum.b, sum.z].forEach((n) => unrolledNode("td", {}, row, known(n) ? unrolledNumber(n) : ""));
      const result = gates[name] ?? (letter(name) === "h" ? h : undefined);
      const text = known(result) ? `${squash(name)} → ${unrolledNumber(result)}` : "";
      unrolledNode("td", { class: "result" }, row, text);
    }
    if (state.header.cell === "gru") unrolledNode("p", { class: "hint" }, body, words("unrolled.hint_gru"));
  }

  // The last lines of the cell, with this unit's numbers in the places of the letters.
  function lines({ gates = {}, h, h_before, c, c_before }) {
    const n = (value) => (value < 0 ? `(${unrolledNumber(value)})` : unrolledNumber(value));
    const { input: i, forget: f, output: o, candidate: g, update: u } = gates;
    const made = [];
    if (known(i, f, g, c, c_before)) made.push([`c_t = f_t c_{t-1} + i_t g_t = ${n(f)} · ${n(c_before)} + ${n(i)} · ${n(g)}`, c]);
    if (known(o, c, h)) made.push([`h_t = o_t tanh( c_t ) = ${n(o)} · tanh( ${unrolledNumber(c)} )`, h]);
    if (known(u, g, h, h_before)) made.push([`h_t = (1 − u_t) n_t + u_t h_{t-1} = ${n(1 - u)} · ${n(g)} + ${n(u)} · ${n(h_before)}`, h]);
    return made;
  }

  function terms(list) {
    const shown = unrolledNode("ul", { class: "terms" }, body);
    for (const { name, value: amount } of list.slice(0, 12)) {
      const item = unrolledNode("li", {}, shown);
      unrolledNode("span", { class: "subdued" }, item, String(name));
      unrolledNode("b", {}, item, known(amount) ? unrolledNumber(amount) : String(amount));
    }
  }

  return { relabel, draw };
}

// ---- units that follow something nameable -------------------------------------------------

// What happens in the text, as numbers: one series a property, over the tokens that go in.
function unrolledIndicators(tokens) {
  const opening = /^["“‘「『《(（\[【]$/;
  const closing = /^["”’」』》)）\]】]$/;
  const mark = /^[\s\p{P}]+$/u;
  const words = tokens.some((token) => token.length > 1 && !unrolledSpecial(token));
  if (words) return unrolledWordIndicators(tokens);
  const series = { line: [], quote: [], newline: [], word: [] };
  let [line, word, depth] = [0, 0, 0];
  for (const token of tokens) {
    const plain = token === '"'; // opens and closes
    if (plain) depth = depth ? 0 : 1;
    else if (opening.test(token)) depth += 1;
    else if (closing.test(token)) depth = Math.max(0, depth - 1);
    line = token === "\n" ? 0 : line + 1;
    word = mark.test(token) || unrolledSpecial(token) ? 0 : word + 1;
    series.line.push(line);
    series.quote.push(Math.min(depth, 1));
    series.newline.push(token === "\n" ? 1 : 0);
    series.word.push(word);
  }
  return series;
}

function unrolledWordIndicators(tokens) {
  const negation = /^(not?|never|hardly|nothing|without|neither|nor|不|没|没有|无|别|非|毫无|从不|并不)$/i;
  const contrast = /^(but|however|although|though|yet|但|但是|不过|可是|可惜|虽然|却)$/i;
  const series = { text: [], negation: [], contrast: [] };
  let [near, after] = [0, 0];
  tokens.forEach((token, t) => {
    near = negation.test(token) ? 4 : Math.max(0, near - 1); // the few words that it turns
    after = contrast.test(token) ? 1 : after;
    series.text.push(t);
    series.negation.push(Math.min(near, 1));
    series.contrast.push(after);
  });
  return series;
}

// The unit whose values go best along with a series; null where the series never changes.
function unrolledBest(memory, units, series) {
  const n = series.length;
  const mean = series.reduce((a, b) => a + b, 0) / n;
  const centred = series.map((value) => value - mean);
  const spread = Math.sqrt(centred.reduce((sum, value) => sum + value * value, 0));
  if (spread < 1e-9) return null;
  const [sum, squares, product] = [0, 1, 2].map(() => new Float64Array(units));
  for (let t = 0; t < n; t++) {
    const row = memory.row(t);
    for (let i = 0; i < units; i++) {
      const value = row[i] - 128;
      sum[i] += value;
      squares[i] += value * value;
      product[i] += value * centred[t];
    }
  }
  let best = { index: 0, r: 0 };
  for (let i = 0; i < units; i++) {
    const own = Math.sqrt(Math.max(0, squares[i] - (sum[i] * sum[i]) / n));
    const r = own < 1e-9 ? 0 : product[i] / (own * spread);
    if (Math.abs(r) > Math.abs(best.r)) best = { index: i, r };
  }
  return best;
}

function unrolledFinder(parent, model) {
  const { state, words, act } = model;
  const { title, body } = unrolledPanel(parent, "finder");
  const LEAST = 20; // ticks below which any two series agree
  const CLEAR = 0.5; // |r| from which a unit is named
  const start = unrolledNode("button", { type: "button", class: "plain" }, body);
  const list = unrolledNode("ul", { class: "found", "aria-live": "polite" }, body);
  const hint = unrolledNode("p", { class: "hint" }, body);
  let found = null; // [{name, best}] of this run
  let of = null;

  start.addEventListener("click", () => (find(), tell()));

  function find() {
    const units = unrolledLanes(state.header).length * state.header.sizes[1];
    const tokens = state.steps.map((step) => step.r ?? step.f ?? "");
    found = { ticks: tokens.length, units, results: [] };
    if (tokens.length < LEAST) return;
    for (const [name, series] of Object.entries(unrolledIndicators(tokens))) {
      found.results.push({ name, best: unrolledBest(state.memory, units, series) });
    }
  }

  function tell() {
    list.replaceChildren();
    if (!found) return void (hint.textContent = words("unrolled.hint_find"));
    const values = { ticks: found.ticks, units: found.units, least: LEAST };
    hint.textContent = words(found.results.length ? "unrolled.hint_found" : "unrolled.too_short", values);
    found.results.forEach(item);
  }

  function item({ name, best }) {
    const row = unrolledNode("li", {}, list);
    unrolledNode("span", {}, row, words(`unrolled.find.${name}`));
    if (!best) return void unrolledNode("span", { class: "subdued" }, row, words("unrolled.find_absent"));
    const r = unrolledNumber(best.r, 2);
    if (Math.abs(best.r) < CLEAR) return void unrolledNode("span", { class: "subdued" }, row, words("unrolled.find_unclear", { r }));
    const [layer, unit] = [Math.floor(best.index / state.header.sizes[1]), best.index % state.header.sizes[1]];
    const go = unrolledNode("button", { type: "button", class: "plain" }, row, words("unrolled.find_unit", { lane: unrolledLaneOf(model, layer), unit, r }));
    go.addEventListener("click", () => act.follow(layer, unit));
    go.dataset.unit = `${layer}/${unit}`;
  }

  function relabel() {
    if (of !== state.header) [found, of] = [null, state.header];
    title.textContent = words("unrolled.title.find");
    start.textContent = words("unrolled.find");
    tell();
  }

  // The unit that is followed is marked among those found.
  function draw() {
    const here = state.followed && `${state.followed.layer}/${state.followed.unit}`;
    list.querySelectorAll("button").forEach((node) => node.setAttribute("aria-pressed", node.dataset.unit === here));
  }

  return { relabel, draw };
}

// ---- taking it along ----------------------------------------------------------------------

// On which device each part of the run was computed; an example comes computed.
function unrolledRan(parent, { state, words }) {
  const line = unrolledNode("p", { class: "ran subdued" }, parent);

  function relabel() {
    const parts = Object.entries(state.header?.devices ?? {});
    const said = parts.map(([part, device]) => words(`unrolled.ran.${part}`, { device }));
    line.textContent = said.length ? said.join(" ") : words("unrolled.ran.before");
  }

  return { relabel };
}

function unrolledExport(parent, { state, words }, columns) {
  const bar = unrolledNode("div", { class: "export", role: "group" }, parent);
  const label = unrolledNode("span", { class: "subdued" }, bar);
  const kinds = {
    SVG: () => save(new Blob([drawing().text], { type: "image/svg+xml" }), "svg"),
    PNG: () => rasterise(drawing()).then((blob) => save(blob, "png")),
    CSV: () => save(new Blob(["\ufeff", unrolledCsv(state)], { type: "text/csv" }), "csv"),
    JSON: () => save(new Blob([unrolledJson(state)], { type: "application/json" }), "json"),
  };
  const buttons = Object.entries(kinds).map(([kind, run]) => {
    const node = unrolledNode("button", { type: "button", class: "plain" }, bar, kind);
    node.addEventListener("click", run);
    return [kind, node];
  });

  function relabel() {
    label.textContent = words("unrolled.export");
    bar.setAttribute("aria-label", words("unrolled.export"));
    buttons.forEach(([kind, node]) => node.setAttribute("aria-label", words("unrolled.export_as", { kind })));
  }

  function save(blob, ending) {
    const link = unrolledNode("a", { href: URL.createObjectURL(blob), download: `${state.header.demo ?? "rnn"}.${ending}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // The columns in view, with the page's colours and fonts written into every element.
  function drawing() {
    const { svgs, geometry, left } = columns.visible();
    const [width, height] = [left + svgs.length * geometry.width + 16, geometry.height + 16];
    const sheet = unrolledNode("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    const paper = getComputedStyle(parent).getPropertyValue("--paper").trim() || "white";
    unrolledNode("rect", { width, height, fill: paper }, sheet);
    svgs.forEach((svg, i) => {
      const group = unrolledNode("g", { transform: `translate(${left + i * geometry.width} 8)` }, sheet);
      for (const child of svg.children) group.append(unrolledInk(child));
    });
    return { text: new XMLSerializer().serializeToString(sheet), width, height };
  }

  async function rasterise({ text, width, height }) {
    const picture = new Image();
    const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    picture.src = url;
    await picture.decode();
    const canvas = unrolledNode("canvas", { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(url);
    return new Promise((resolve) => canvas.toBlob(resolve));
  }

  return { relabel, drawing };
}

// A copy of a drawn element that needs no style sheet.
function unrolledInk(node) {
  const copy = node.cloneNode(false);
  const style = getComputedStyle(node);
  if (node.nodeType === Node.ELEMENT_NODE && node.tagName !== "g" && node.tagName !== "svg") {
    const names = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "font-family", "font-size", "font-style", "font-weight", "text-anchor", "opacity"];
    names.forEach((name) => copy.setAttribute(name, style.getPropertyValue(name)));
  }
  for (const child of node.childNodes) copy.append(child.nodeType === Node.TEXT_NODE ? child.cloneNode() : unrolledInk(child));
  return copy;
}

// A text that a spreadsheet would take for a formula is kept a text.
function unrolledCsv({ steps, kinds }) {
  const cell = (value) => {
    const text = String(value ?? "");
    const tame = typeof value === "string" && /^[=+\-@\t\r]./.test(text) ? `'${text}` : text;
    return `"${tame.replaceAll('"', '""')}"`;
  };
  const rows = steps.map(({ r, f, w, p, s, x }, t) => [t + 1, kinds[t], r, f, w, p, s, x ? 1 : 0]);
  const head = ["tick", "kind", "read", "fed", "written", "probability", "surprise_bits", "chosen"];
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

// The steps with their states as numbers, layer by layer.
function unrolledJson({ header, steps, kinds, memory }) {
  const size = header.sizes[1];
  const layers = (t) => Array.from({ length: unrolledLanes(header).length }, (_, l) => {
    return Array.from(memory.row(t).subarray(l * size, (l + 1) * size), (byte) => Number(unrolledValue(byte).toFixed(3)));
  });
  const ticks = steps.map(({ r, f, w, p, s, x, c }, t) => {
    return { tick: t + 1, kind: kinds[t], read: r, fed: f, written: w, probability: p, surprise: s, chosen: Boolean(x), candidates: c, state: layers(t) };
  });
  const { run, demo, pattern, network, cell, sizes } = header;
  return JSON.stringify({ run, demo, pattern, network, cell, layers: header.layers, sizes, ticks });
}
