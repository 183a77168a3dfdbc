// The verdict on a text: in words, its way from word to word, what moved it, and how far back
// its gradient reaches. Everything is drawn from the records of a run.
//
//   verdictView      the one state, and what the page may do with it
//   verdictSummary   the verdict as a sentence and a bar    verdictBefore  and before a change
//   verdictCurve     P(positive) after every word           verdictWhy     the effect of each word
//   verdictMemory    the gradient's size, cell by cell      verdictPlot    what both plots share

const VERDICT_SURE = 0.65; // probability from which on the network is taken at its word
const VERDICT_SAME = 0.005; // difference of two probabilities that nobody sees
const VERDICT_LINES = {
  rnn: { dash: "2 5", mark: "M0 -5 5 4H-5Z" },
  gru: { dash: "10 5", mark: "M-4 -4H4V4H-4Z" },
  lstm: { dash: null, mark: "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0" },
  lstm_c: { dash: "6 3", mark: "M0 5 -5 -4H5Z" },
  bilstm: { dash: "12 4 2 4", mark: "M0 -6 6 0 0 6 -6 0Z" },
  network: { dash: "1 3", mark: "M-5 -5 5 5M-5 5 5 -5" },
};

function verdictView(root, { words, onSelect }) {
  const state = { header: null, steps: [], selected: -1, ended: true };
  const model = { state, words, act: { select } };
  const makers = [verdictSummary, verdictBefore, verdictCurve, verdictWhy, verdictMemory];
  const parts = makers.map((make) => make(root, model));
  const why = parts[3];
  const spoken = unrolledNode("p", { class: "spoken", "aria-live": "polite" }, root);
  let frame = null; // one drawing a frame, however many records come
  let width = 0;

  new ResizeObserver(resize).observe(root);
  watchTheme();
  relabel();

  function reset(header) {
    // While new text is typed, what stands below the drawing should not jump up and down.
    root.style.minHeight = `${root.offsetHeight}px`;
    Object.assign(state, { header, steps: [], selected: -1, ended: false });
    spoken.textContent = "";
    parts.forEach((part) => part.reset?.());
    relabel();
  }

  function append(records) {
    state.steps.push(...records);
    draw();
  }

  function done() {
    state.ended = true;
    root.style.minHeight = "";
    spoken.textContent = verdictTold(words, verdictLatest(state));
    draw();
  }

  function draw() {
    frame ??= requestAnimationFrame(() => {
      frame = null;
      if (!state.header || !root.clientWidth) return;
      parts.forEach((part) => part.draw());
      parts.forEach((part) => part.mark?.());
    });
  }

  function select(t) {
    if (show(t)) onSelect?.(state.selected);
  }

  // Whether there is such a tick; the selection is marked, not reported.
  function show(t) {
    if (!state.steps[t]) return false;
    state.selected = t;
    if (frame === null) parts.forEach((part) => part.mark?.());
    return true;
  }

  function relabel() {
    root.hidden = state.header === null;
    parts.forEach((part) => part.relabel?.());
    draw();
  }

  function resize([{ contentRect }]) {
    if (contentRect.width === width) return;
    width = contentRect.width;
    draw();
  }

  // The style sheet is nested into the page's own, where a rule could not look up to the body.
  function watchTheme() {
    const read = () => (root.dataset.theme = root.closest(".dark") ? "dark" : "light");
    const seen = new MutationObserver(read);
    [document.documentElement, document.body].forEach((node) => {
      seen.observe(node, { attributes: true, attributeFilter: ["class"] });
    });
    read();
  }

  return { reset, append, done, select: show, follow: why.follow, relabel };
}

// ---- what the records say -----------------------------------------------------------------

// One number a tick, null where a tick has none.
function verdictSeries(steps, kind, name) {
  return steps.map((step) => step[kind]?.[name] ?? null);
}

function verdictLatest({ header, steps }, name = header.reader) {
  return steps.findLast((step) => step.v?.[name] !== undefined)?.v[name] ?? null;
}

// The last tick at which the verdict changed sides, by more than a hair; without one, the tick of
// the largest step.
function verdictTurn(values) {
  const known = values.map((p, t) => ({ p, t })).filter(({ p }) => p !== null);
  const moves = known.slice(1).map(({ p, t }, i) => ({ t, from: known[i].p, to: p }));
  const side = (p) => (Math.abs(p - 0.5) < 0.03 ? 0 : Math.sign(p - 0.5));
  let stood = side(known[0]?.p ?? 0.5); // the last side that it clearly stood on
  let crossing = null;
  for (const move of moves) {
    const now = side(move.to);
    if (now * stood < 0) crossing = move;
    stood = now || stood;
  }
  if (crossing) return { ...crossing, crosses: true };
  const size = ({ from, to }) => Math.abs(to - from);
  return moves.reduce((best, move) => (best && size(best) >= size(move) ? best : move), null);
}

// The words of the text: pieces of one word follow without a gap and carry the same effects.
function verdictWords(steps) {
  const found = [];
  steps.forEach(({ r = "", b, e }, t) => {
    const last = found.at(-1);
    const goesOn = e && !b && last?.e && last.e.left_out === e.left_out && last.e.gradient === e.gradient;
    if (goesOn) Object.assign(last, { text: last.text + r, to: t });
    else found.push({ text: r, from: t, to: t, e });
  });
  return found;
}

function verdictWordAt(steps, t) {
  return verdictWords(steps).find(({ to }) => to >= t).text;
}

function verdictStrongest(found, method) {
  const moving = found.filter(({ e }) => e?.[method]);
  return moving.sort((a, b) => Math.abs(b.e[method]) - Math.abs(a.e[method])).slice(0, 3);
}

function verdictPeak(steps, method) {
  return steps.reduce((peak, { e }) => Math.max(peak, Math.abs(e?.[method] ?? 0)), 0);
}

// The word on which two methods, each on its own scale, differ most; null where they agree.
function verdictDispute(steps) {
  const [left, gradient] = ["left_out", "gradient"].map((method) => verdictPeak(steps, method) || 1);
  const disputes = verdictWords(steps).filter(({ e }) => e).map((word) => {
    const [a, b] = [word.e.left_out / left, word.e.gradient / gradient];
    return { word, a, b, apart: Math.abs(a - b) };
  });
  // Two signs that differ around zero are noise, not a dispute.
  const real = disputes.filter(({ a, b, apart }) => apart > (a * b < 0 ? 0.1 : 0.3));
  return real.sort((one, other) => other.apart - one.apart)[0] ?? null;
}

// How many orders of magnitude a gradient loses from the last tick back to the first.
function verdictLoss(values) {
  const known = values.filter((value) => value !== null);
  return known[0] > 0 ? Math.log10(known.at(-1) / known[0]) : Infinity;
}

// ---- as one reads it ----------------------------------------------------------------------

// Never 0 % or 100 %: no network is that sure.
function verdictPercent(p) {
  if (p < 0.005) return "<\u00a01\u00a0%";
  return p > 0.995 ? ">\u00a099\u00a0%" : `${Math.round(100 * p)}\u00a0%`;
}

// Two probabilities in a sentence, told apart where they are close.
function verdictPair(...both) {
  const [one, other] = both.map(verdictPercent);
  return one === other ? both.map((p) => `${(100 * p).toFixed(1)}\u00a0%`) : [one, other];
}

function verdictSigned(value) {
  const rounded = Number(value.toFixed(2)) + 0;
  return rounded > 0 ? `+${unrolledNumber(rounded, 2)}` : unrolledNumber(rounded, 2);
}

const verdictUnsure = (p) => Math.max(p, 1 - p) < VERDICT_SURE;

function verdictTold(words, p) {
  if (p === null) return words("verdict.reading");
  if (verdictUnsure(p)) return words("verdict.is.unsure", { percent: verdictPercent(p) });
  const side = p >= 0.5 ? "positive" : "negative";
  return words(`verdict.is.${side}`, { percent: verdictPercent(Math.max(p, 1 - p)) });
}

// A word within a sentence: one that runs from right to left must not turn the rest around.
function verdictQuoted(text) {
  const shown = unrolledToken(verdictClipped(text, 40));
  return /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufefc]/.test(shown) ? `\u2068${shown}\u2069` : shown;
}

function verdictClipped(text, most) {
  if (text.length <= most) return text;
  const characters = unrolledCharacters(text);
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join("")}…`;
}

function verdictTurnTold({ state, words }, turn) {
  if (!turn) return "";
  const [from, to] = verdictPair(turn.from, turn.to);
  const values = { word: verdictQuoted(verdictWordAt(state.steps, turn.t)), from, to };
  return words(turn.crosses ? "verdict.curve.turned" : "verdict.curve.moved", values);
}

// ---- the verdict --------------------------------------------------------------------------

function verdictSummary(parent, { state, words }) {
  const section = unrolledNode("section", { class: "summary" }, parent);
  const given = unrolledNode("p", { class: "given" }, section);
  const headline = unrolledNode("h2", { class: "headline" }, section);
  const scale = unrolledNode("div", { class: "scale", role: "img" }, section);
  const bar = verdictBar(scale);
  const ends = ["negative", "unsure", "positive"].map((name) => [name, unrolledNode("span", { class: `end ${name}` }, scale)]);
  const advice = unrolledNode("p", { class: "hint" }, section);

  function draw() {
    const p = verdictLatest(state);
    headline.textContent = verdictTold(words, p);
    scale.hidden = p === null;
    advice.hidden = p === null || !verdictUnsure(p);
    advice.textContent = words("verdict.advice");
    if (p === null) return;
    bar.set(p);
    scale.setAttribute("aria-label", words("verdict.scale", { percent: verdictPercent(p) }));
    ends.forEach(([name, node]) => (node.textContent = words(`verdict.${name}`)));
  }

  // The text in one line, the selected word marked; of a long text what stands before it last.
  function mark() {
    const text = (from, to) => state.steps.slice(from, to).map(({ b = "", r = "" }) => b + r).join("");
    const t = Math.max(0, state.selected);
    const { b = "", r = "" } = state.steps[t] ?? {};
    const word = unrolledNode("mark", {}, null, r);
    given.replaceChildren(verdictEnd(text(Math.max(0, t - 40), t), t > 40), b, state.selected < 0 ? r : word, text(t + 1, t + 60));
  }

  return { draw, mark };
}

// The end of a text, as much as a line may hold before something else.
function verdictEnd(text, cut) {
  const characters = unrolledCharacters(text);
  const kept = [];
  for (let room = 44; characters.length && room > 0; room -= unrolledExtent(kept[0])) kept.unshift(characters.pop());
  return (cut || characters.length ? "…" : "") + kept.join("");
}

// A bar from the middle, where nothing is decided, to P(positive).
function verdictBar(parent) {
  const track = unrolledNode("span", { class: "track", "aria-hidden": "true" }, parent);
  ["zone", "fill", "middle", "needle"].forEach((name) => unrolledNode("span", { class: name }, track));

  function set(p) {
    track.dataset.side = p >= 0.5 ? "positive" : "negative";
    track.style.setProperty("--from", Math.min(p, 0.5));
    track.style.setProperty("--to", Math.max(p, 0.5));
    track.style.setProperty("--p", p);
  }

  return { set };
}

// ---- before and after a change ------------------------------------------------------------

function verdictBefore(parent, { state, words }) {
  const { panel, title, body } = unrolledPanel(parent, "before");
  const done = unrolledNode("p", { class: "what" }, body);
  const label = unrolledNode("p", { class: "hint" }, body);
  const text = unrolledNode("p", { class: "quote", tabindex: 0, role: "group" }, body);
  const table = unrolledNode("table", {}, body);
  const blind = unrolledNode("p", { class: "lesson" }, body);

  function draw() {
    const { header, steps } = state;
    panel.hidden = !header.before || !steps.length;
    if (panel.hidden) return;
    title.textContent = words("verdict.before.title");
    done.textContent = changes(header);
    label.textContent = words("verdict.before.text");
    text.setAttribute("aria-label", words("verdict.before.text"));
    text.textContent = header.before.text;
    blind.textContent = lesson(header);
    fill(header);
  }

  function changes({ change, fillers }) {
    const told = change === "typed" ? [] : [words(`verdict.change.${change}`)];
    return [...told, ...(fillers ? [words("verdict.change.fillers", { count: fillers })] : [])].join(verdictGap(words));
  }

  // Only of a new order the bag of words can know nothing at all.
  function lesson({ before, change }) {
    const after = verdictLatest(state, "bag");
    if (after === null || Math.abs(after - before.verdicts.bag) >= VERDICT_SAME) return "";
    const ordered = change === "shuffled" || change === "reversed";
    return words(ordered ? "verdict.before.blind" : "verdict.before.unmoved");
  }

  function fill({ before, reader }) {
    table.replaceChildren();
    const head = unrolledNode("tr", {}, unrolledNode("thead", {}, table));
    ["who", "before", "after"].forEach((key) => unrolledNode("th", { scope: "col" }, head, words(`verdict.before.${key}`)));
    const rows = unrolledNode("tbody", {}, table);
    [["network", reader], ["bag", "bag"]].forEach(([name, now]) => {
      const row = unrolledNode("tr", { "data-who": name }, rows);
      unrolledNode("th", { scope: "row" }, row, words(`cell.${name}`));
      cell(row, before.verdicts[name]);
      cell(row, verdictLatest(state, now));
    });
  }

  function cell(row, p) {
    const node = unrolledNode("td", {}, row);
    if (p === null || p === undefined) return;
    verdictBar(node).set(p);
    unrolledNode("span", { class: "figure" }, node, verdictPercent(p));
  }

  return { draw };
}

// ---- a plot over the ticks ----------------------------------------------------------------

// As wide as its panel, one place a tick; a click selects the tick below it.
function verdictPlot(parent, { state, act }, gutter) {
  const svg = unrolledNode("svg", { class: "plot", role: "img" }, parent);
  const [ground, over] = ["ground", "over"].map((name) => unrolledNode("g", { class: name }, svg));
  const plot = { svg, ground, over, gutter, width: 0, step: 0, fit, guide };
  plot.x = (t) => gutter + (t + 0.5) * plot.step;

  svg.addEventListener("click", (event) => {
    const named = event.target.closest("[data-t]");
    const across = event.clientX - svg.getBoundingClientRect().left - gutter;
    act.select(named ? Number(named.dataset.t) : Math.floor(across / plot.step));
  });

  // An empty plot of the width that there is now.
  function fit(height) {
    [ground, over].forEach((group) => group.replaceChildren());
    plot.width = Math.max(gutter, parent.clientWidth); // nothing, while it is not on the page
    plot.step = (plot.width - gutter) / state.steps.length;
    svg.setAttribute("viewBox", `0 0 ${plot.width} ${height}`);
    svg.setAttribute("height", height);
  }

  // The line through the selected tick.
  function guide(top, bottom) {
    over.replaceChildren();
    const x = plot.x(state.selected);
    if (state.selected >= 0) unrolledNode("line", { class: "guide", x1: x, x2: x, y1: top, y2: bottom }, over);
  }

  return plot;
}

// A line through the known values, broken where one is missing.
function verdictPath(values, x, y) {
  return values.map((value, t) => {
    if (value === null) return "";
    return `${(values[t - 1] ?? null) === null ? "M" : "L"}${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
  }).join("");
}

// ---- the curve ----------------------------------------------------------------------------

function verdictCurve(parent, model) {
  const { state, words } = model;
  const { title, body } = unrolledPanel(parent, "curve");
  const told = unrolledNode("p", { class: "what" }, body);
  const keys = unrolledNode("ul", { class: "keys" }, body);
  const plot = verdictPlot(unrolledNode("div", { class: "stage" }, body), model, 70);
  const readout = unrolledNode("p", { class: "readout" }, body);
  const [TOP, HIGH, DENSE] = [14, 220, 7]; // above and of the plot; pixels a tick below which points merge
  const bottom = TOP + HIGH;
  const y = (p) => bottom - p * HIGH;
  let values = [];
  let turn = null;
  let names = null;

  function draw() {
    values = verdictSeries(state.steps, "v", state.header.reader);
    turn = state.ended ? verdictTurn(values) : null;
    title.textContent = words("verdict.curve.title");
    told.textContent = verdictTurnTold(model, turn);
    drawKeys();
    names = verdictLabels(state.steps, plot);
    plot.fit(bottom + names.height);
    plot.svg.setAttribute("aria-label", sentence());
    axis();
    lines();
    points();
    if (turn) unrolledNode("circle", { class: "turn", cx: plot.x(turn.t), cy: y(turn.to), r: 12 }, plot.ground);
    names.draw(bottom, turn?.t);
  }

  function sentence() {
    const known = values.filter((p) => p !== null);
    if (!known.length) return words("verdict.reading");
    const [first, last] = [known[0], known.at(-1)].map(verdictPercent);
    return `${words("verdict.curve.image", { first, last })} ${told.textContent}`;
  }

  function drawKeys() {
    keys.replaceChildren();
    ["network", "bag"].forEach((name) => {
      const item = unrolledNode("li", {}, keys);
      const key = unrolledNode("svg", { width: 34, height: 12, "aria-hidden": "true" }, item);
      unrolledNode("path", { class: `line ${name}`, d: "M1 6H33" }, key);
      unrolledNode("span", {}, item, words(`cell.${name}`));
    });
  }

  function axis() {
    const across = { x: plot.gutter, width: plot.width - plot.gutter, height: HIGH / 2 };
    unrolledNode("rect", { class: "side positive", y: TOP, ...across }, plot.ground);
    unrolledNode("rect", { class: "side negative", y: TOP + HIGH / 2, ...across }, plot.ground);
    [[1, "positive"], [0.5, null], [0, "negative"]].forEach(([p, name]) => {
      unrolledNode("path", { class: "grid", d: `M${plot.gutter} ${y(p)}H${plot.width}` }, plot.ground);
      const [x, middle] = [plot.gutter - 10, y(p) + 5];
      unrolledNode("text", { class: "level", x, y: p ? middle : middle - 14 }, plot.ground, `${100 * p}\u00a0%`);
      if (name) unrolledNode("text", { class: "name", x, y: p ? middle + 16 : middle + 2 }, plot.ground, words(`verdict.${name}`));
    });
  }

  function lines() {
    const bag = verdictSeries(state.steps, "v", "bag");
    unrolledNode("path", { class: "line bag", d: verdictPath(bag, plot.x, y) }, plot.ground);
    unrolledNode("path", { class: "line network", d: verdictPath(values, plot.x, y) }, plot.ground);
  }

  // In a long text the points would hide the line; one that stands alone has no line.
  function points() {
    values.forEach((p, t) => {
      const alone = (values[t - 1] ?? null) === null && (values[t + 1] ?? null) === null;
      if (p !== null && (alone || plot.step >= DENSE)) point(p, t, plot.ground);
    });
  }

  function point(p, t, group, r = Math.min(6, Math.max(3, plot.step / 4))) {
    const side = p >= 0.5 ? "positive" : "negative";
    unrolledNode("circle", { class: `point ${side}`, cx: plot.x(t), cy: y(p), r, "data-t": t, "data-p": p }, group);
  }

  function mark() {
    const t = state.selected;
    plot.guide(TOP, bottom);
    if ((values[t] ?? null) !== null) point(values[t], t, plot.over, 8);
    names?.mark(bottom, t);
    readout.textContent = t < 0 ? words("verdict.pick") : selected(t);
  }

  function selected(t) {
    const step = state.steps[t];
    const given = { tick: t + 1, total: state.steps.length, word: verdictQuoted(step.r ?? "") };
    const known = [["network", values[t]], ["bag", step.v?.bag]].filter(([, p]) => Number.isFinite(p));
    const figures = known.map(([name, p]) => words("verdict.figure", { name: words(`cell.${name}`), percent: verdictPercent(p) }));
    return [words("verdict.curve.after", given), ...figures].join(verdictGap(words));
  }

  return { draw, mark };
}

// The words below a plot: side by side, slanted, or only those that matter.
function verdictLabels(steps, plot) {
  const LETTER = 7.9; // pixels, at the size of the style sheet
  const LEAST = 17; // pixels a word needs when it is slanted
  const shown = (t) => unrolledToken(verdictClipped(steps[t].r ?? "", 14));
  const extent = (t) => LETTER * unrolledExtent(shown(t));
  const room = (plot.svg.parentNode.clientWidth - plot.gutter) / steps.length;
  const widest = room < LEAST ? Infinity : Math.max(...steps.map((_, t) => extent(t)));
  const way = widest + 8 <= room ? "flat" : room >= LEAST ? "slanted" : "few";
  const height = { flat: 34, slanted: 26 + Math.min(widest, 14 * LETTER) * 0.71, few: 54 }[way];

  function put(group, t, name, x, y, turned = null) {
    unrolledNode("text", { class: `word ${way} ${name}`, "data-t": t, x, y, transform: turned }, group, shown(t));
  }

  function draw(bottom, turn) {
    if (way === "few" && turn !== undefined) return alone(plot.ground, turn, "turning", bottom + 22);
    if (way === "few") return;
    const [slanted, y] = [way === "slanted", bottom + (way === "slanted" ? 16 : 22)];
    steps.forEach((_, t) => {
      const x = plot.x(t) + (slanted ? 5 : 0);
      put(plot.ground, t, t === turn ? "turning" : "", x, y, slanted ? `rotate(-45 ${x} ${y})` : null);
    });
  }

  // A single word stays within the plot, however far out its tick is.
  function alone(group, t, name, y) {
    const half = extent(t) / 2;
    put(group, t, name, Math.max(half, Math.min(plot.width - half, plot.x(t))), y);
  }

  function mark(bottom, t) {
    for (const node of plot.ground.querySelectorAll(".word")) {
      node.classList.toggle("selected", Number(node.dataset.t) === t);
    }
    if (way === "few" && t >= 0) alone(plot.over, t, "selected", bottom + 44);
  }

  return { height, draw, mark };
}

// ---- why ----------------------------------------------------------------------------------

function verdictWhy(parent, model) {
  const { state, words, act } = model;
  const { panel, title, body } = unrolledPanel(parent, "why");
  const lead = unrolledNode("p", { class: "hint" }, body);
  const both = unrolledNode("div", { class: "methods" }, body);
  const methods = ["left_out", "gradient"].map((name, i) => verdictMethod(both, model, name, i === 0));
  const picked = unrolledNode("p", { class: "readout" }, body);
  const dispute = unrolledNode("p", { class: "lesson" }, body);
  const [first] = methods;
  let drawn = false;
  let following = false;

  panel.addEventListener("click", (event) => {
    const token = event.target.closest(".token");
    if (token) act.select(Number(token.dataset.t));
  });
  first.page.addEventListener("keydown", onKey);

  function onKey(event) {
    const [t, last] = [state.selected, state.steps.length - 1];
    const to = { ArrowLeft: t - 1, ArrowUp: t - 1, ArrowRight: t + 1, ArrowDown: t + 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    act.select(Math.max(0, Math.min(last, to)));
  }

  function reset() {
    drawn = following = false;
    first.page.classList.remove("following");
    methods.forEach((method) => method.reset());
  }

  function relabel() {
    drawn = false;
  }

  function draw() {
    methods.forEach((method) => method.grow());
    if (drawn) return;
    const explained = state.header.analysed;
    title.textContent = words(explained ? "verdict.why.title" : "verdict.why.text");
    lead.textContent = words(explained ? "verdict.why.lead" : "verdict.why.too_long");
    both.classList.toggle("plain", !explained);
    methods.forEach((method) => method.relabel(following));
    if (!state.ended) return;
    drawn = true;
    if (explained) methods.forEach((method) => method.colour());
    dispute.textContent = explained ? disputed() : "";
  }

  function disputed() {
    const found = verdictDispute(state.steps);
    if (!found) return words("verdict.why.agree");
    const { word, a, b } = found;
    const share = (value) => `${Math.round(100 * Math.abs(value))}\u00a0%`;
    const values = { word: verdictQuoted(word.text), ...figures(word.e), left_share: share(a), gradient_share: share(b) };
    return words("verdict.why.differ", values) + verdictGap(words) + words("verdict.why.because");
  }

  const figures = ({ left_out, gradient }) => ({ left_out: verdictSigned(left_out), gradient: verdictSigned(gradient) });

  function mark() {
    const step = state.steps[state.selected];
    methods.forEach((method) => method.mark());
    picked.textContent = step?.e ? words("verdict.why.picked", { word: verdictQuoted(step.r ?? ""), ...figures(step.e) }) : "";
  }

  // Colour the text by the value of one unit, from −1 to 1, as it was when each token passed.
  function follow(values) {
    following = values !== null;
    first.page.classList.toggle("following", following);
    if (following) first.follow(values);
    if (state.header) first.relabel(following);
  }

  return { reset, relabel, draw, mark, follow };
}

// The text, coloured by what one method says of each word.
function verdictMethod(parent, { state, words }, name, choosable) {
  const column = unrolledNode("div", { class: `method ${name}` }, parent);
  const title = unrolledNode("h3", {}, column);
  const page = unrolledNode("div", { class: "page", tabindex: 0, role: choosable ? "listbox" : "group" }, column);
  const label = unrolledNode("p", { class: "hint" }, column);
  const strongest = unrolledNode("ol", { class: "strongest" }, column);
  let tokens = [];
  let marked = null;

  function reset() {
    [page, strongest].forEach((node) => node.replaceChildren());
    page.removeAttribute("aria-activedescendant");
    [tokens, marked] = [[], null];
    label.textContent = "";
  }

  function grow() {
    for (let t = tokens.length; t < state.steps.length; t++) tokens.push(token(state.steps[t], t));
  }

  function token({ r = "", b = "" }, t) {
    page.append(b);
    const option = { role: "option", id: `verdict-${state.header.run}-${t}`, "aria-selected": "false" };
    const node = unrolledNode("span", { class: "token", "data-t": t, ...(choosable && option) }, page, r);
    // A sign that reverses the direction of writing keeps to its own token.
    if (/[\u202a-\u202e\u2066-\u2069]/.test(r)) node.style.unicodeBidi = "isolate";
    return node;
  }

  function relabel(following) {
    title.textContent = words(following && choosable ? "verdict.why.following" : `verdict.why.${name}`);
    page.setAttribute("aria-label", words(choosable ? "verdict.why.page" : `verdict.why.${name}`));
  }

  function colour() {
    const peak = verdictPeak(state.steps, name) || 1;
    tokens.forEach((node, t) => tint(node, state.steps[t], peak));
    const found = verdictStrongest(verdictWords(state.steps), name);
    label.textContent = words(found.length ? "verdict.why.strongest" : "verdict.why.nothing");
    strongest.replaceChildren(...found.map(entry));
    found.forEach(({ from, to }) => tokens.slice(from, to + 1).forEach((node) => (node.dataset.strong = "")));
  }

  function tint(node, { r = "", e }, peak) {
    if (!Number.isFinite(e?.[name])) return;
    const figure = verdictSigned(e[name]);
    node.style.setProperty("--effect", (e[name] / peak).toFixed(3));
    node.dataset.effect = e[name];
    node.title = figure;
    if (choosable) node.setAttribute("aria-label", `${unrolledToken(r)} ${figure}`);
  }

  function entry({ text, e }) {
    const item = unrolledNode("li", { "data-side": e[name] > 0 ? "positive" : "negative" });
    unrolledNode("bdi", {}, item, unrolledToken(verdictClipped(text, 24)));
    unrolledNode("b", {}, item, verdictSigned(e[name]));
    return item;
  }

  function mark() {
    const node = tokens[state.selected] ?? null;
    if (node === marked) return;
    select(marked, false);
    select(node, true);
    marked = node;
    if (node) reveal(node);
  }

  function select(node, here) {
    node?.classList.toggle("selected", here);
    if (!choosable || !node) return;
    node.setAttribute("aria-selected", here);
    page.setAttribute("aria-activedescendant", node.id);
  }

  // Only the text itself scrolls: the page stays where the visitor looks.
  function reveal(node) {
    const [top, bottom] = [node.offsetTop, node.offsetTop + node.offsetHeight];
    if (top < page.scrollTop) page.scrollTop = top - 8;
    if (bottom > page.scrollTop + page.clientHeight) page.scrollTop = bottom - page.clientHeight + 8;
  }

  function follow(values) {
    tokens.forEach((node, t) => {
      if (t < values.length) node.style.setProperty("--unit", values[t].toFixed(3));
    });
  }

  return { page, reset, grow, relabel, colour, mark, follow };
}

// ---- memory -------------------------------------------------------------------------------

function verdictMemory(parent, model) {
  const { state, words } = model;
  const { panel, title, body } = unrolledPanel(parent, "memory");
  const lead = unrolledNode("p", { class: "hint" }, body);
  const stage = unrolledNode("div", { class: "stage" }, body);
  const plot = verdictPlot(stage, model, 70);
  const list = unrolledNode("ul", { class: "cells" }, body);
  const [TOP, HIGH, DECADES] = [14, 220, 8]; // above and of the plot; below that a gradient is as good as none
  const bottom = TOP + HIGH;

  function draw() {
    const cells = Object.keys(VERDICT_LINES).map((name) => [name, verdictSeries(state.steps, "g", name)]);
    const given = state.ended && state.steps.length > 1 ? cells.filter(([, values]) => values.some((value) => value !== null)) : [];
    panel.hidden = !given.length && state.header.analysed;
    stage.hidden = list.hidden = !given.length;
    title.textContent = words("verdict.memory.title");
    lead.textContent = words(given.length || state.header.analysed ? "verdict.memory.lead" : "verdict.memory.too_long");
    if (given.length) drawCells(given);
  }

  function drawCells(given) {
    plot.fit(bottom + 30);
    const y = scale(given.flatMap(([, values]) => values).filter((value) => value > 0));
    given.forEach(([name, values], i) => curve(name, values, y, i));
    list.replaceChildren(...given.map(([name, values]) => entry(name, values)));
    const sentences = given.map(([name, values]) => `${words(`cell.${name}`)}: ${loss(values)};`);
    plot.svg.setAttribute("aria-label", `${words("verdict.memory.image")} ${sentences.join(" ")}`);
  }

  // Logarithmic, over whole powers of ten; what is smaller than the lowest lies on it.
  function scale(positive) {
    const most = positive.length ? Math.log10(Math.max(...positive)) : 0;
    const least = positive.length ? Math.log10(Math.min(...positive)) : -1;
    const high = Math.ceil(most);
    const low = Math.min(high - 2, Math.max(Math.floor(least), high - DECADES));
    const y = (power) => bottom - ((power - low) / (high - low)) * HIGH;
    const every = high - low > 5 ? 2 : 1;
    for (let power = high; power >= low; power -= every) level(power, y(power), power === low && least < low);
    const ends = [[0, words("verdict.memory.first"), "start"], [state.steps.length - 1, words("verdict.memory.last"), "end"]];
    ends.forEach(([t, text, anchor]) => edge(t, text, anchor));
    return (value) => y(Math.max(value > 0 ? Math.log10(value) : low, low));
  }

  function level(power, y, holdsLess) {
    unrolledNode("path", { class: "grid", d: `M${plot.gutter} ${y}H${plot.width}` }, plot.ground);
    const digits = [...String(power)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] ?? "⁻").join("");
    const text = `${holdsLess ? "≤ " : ""}${power ? `10${digits}` : "1"}`;
    unrolledNode("text", { class: "level", x: plot.gutter - 10, y: y + 5 }, plot.ground, text);
  }

  function edge(t, text, anchor) {
    const x = anchor === "start" ? plot.gutter : plot.width;
    unrolledNode("text", { class: `edge ${anchor}`, x, y: bottom + 24, "data-t": t }, plot.ground, text);
  }

  function curve(name, values, y, i) {
    const group = unrolledNode("g", { class: "cell", "data-cell": name }, plot.ground);
    unrolledNode("path", { class: "line", d: verdictPath(values, plot.x, y), "stroke-dasharray": VERDICT_LINES[name].dash }, group);
    // Marks at other ticks on each line, so that lines upon each other stay apart.
    const every = Math.max(1, Math.ceil(values.length / 6));
    values.forEach((value, t) => {
      const marked = t === values.length - 1 || (t + Math.round((i * every) / 4)) % every === 0;
      if (value !== null && marked) marker(name, plot.x(t), y(value), group);
    });
  }

  function marker(name, x, y, group) {
    unrolledNode("path", { class: "mark", d: VERDICT_LINES[name].mark, transform: `translate(${x} ${y})` }, group);
  }

  function entry(name, values) {
    const item = unrolledNode("li", { class: "cell", "data-cell": name });
    const key = unrolledNode("svg", { width: 52, height: 16, "aria-hidden": "true" }, item);
    unrolledNode("path", { class: "line", d: "M1 8H51", "stroke-dasharray": VERDICT_LINES[name].dash }, key);
    marker(name, 26, 8, key);
    const about = unrolledNode("p", {}, item);
    unrolledNode("b", {}, about, words(`cell.${name}`));
    const p = verdictLatest(state, name);
    if (p !== null) unrolledNode("span", { class: "figure" }, about, words("verdict.memory.says", { percent: verdictPercent(p) }));
    unrolledNode("span", { class: "loss" }, about, loss(values));
    return item;
  }

  function loss(values) {
    const orders = verdictLoss(values);
    if (orders === Infinity) return words("verdict.memory.nothing");
    if (orders < 0.05) return words("verdict.memory.no_loss");
    return words("verdict.memory.loss", { orders: orders.toFixed(1) });
  }

  function mark() {
    plot.guide(TOP, bottom);
  }

  return { draw, mark };
}

// Between two sentences: nothing in Chinese.
function verdictGap(words) {
  return /\p{Script=Han}/u.test(words("verdict.positive")) ? "" : " ";
}
