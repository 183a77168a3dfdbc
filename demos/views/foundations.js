// The page of foundations: four sections that ask the server for numbers and draw them. Before it
// stand the constants WORDS (by language and key), OPENING (the tables), PRESETS, BOUNDS, PATTERNS and CODE
// (the sources that run).
//
//   handSection       the recurrence by hand, and what an edit reaches
//   sizesSection      every tensor's shape              gradientSection  norms over a hundred steps
//   patternsSection   schematics that play

const words = (key, values = {}) => {
  const text = (WORDS[props.lang] ?? WORDS.en)[`foundations.${key}`] ?? WORDS.en[`foundations.${key}`] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
};

const SVG = ["svg", "g", "path", "rect", "circle", "text", "line"];
function node(tag, attributes = {}, parent = null, text = null) {
  const space = SVG.includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const made = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  parent?.append(made);
  return made;
}

const labels = []; // what changes with the language: functions
const said = (parent, tag, key, values = {}, attributes = {}) => {
  const made = node(tag, attributes, parent);
  const say = () => (made.textContent = words(key, values));
  labels.push(say);
  say();
  return made;
};

// Only the last question counts; a stream of edits asks once it rests.
function asker(show, pause = 120) {
  let timer = null;
  let latest = 0;
  return (question) => {
    clearTimeout(timer);
    const mine = ++latest;
    timer = setTimeout(async () => {
      const found = await server.answer(JSON.stringify(question)).then(JSON.parse).catch(() => ({ error: "foundations.no_answer", values: {} }));
      if (mine === latest) show(found, question);
    }, pause);
  };
}

// A mistake in words, where its name is a word of the page, too.
function mistake({ error, values }) {
  const named = "size" in values ? { ...values, size: words(`size.${values.size}`) } : values;
  return words(error.replace("foundations.", ""), named);
}

const fixed = (value) => value.toFixed(3).replace("-", "−");
const tuple = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
const raised = (exponent) => `10${[...String(exponent)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("")}`;
const power = (value) => {
  const exponent = Math.log10(value);
  return Math.abs(exponent) < 2 ? Number(value.toPrecision(2)).toString() : raised(Math.round(exponent));
};

function section(name) {
  const made = node("section", { id: name, "aria-labelledby": `${name}-title` }, root);
  said(made, "h2", `${name}.title`, {}, { id: `${name}-title` });
  said(made, "p", `${name}.lead`, {}, { class: "lead" });
  return made;
}

// What differs from the page as it first opens is in the address, so that a link or a reload finds it again:
// numbers in rows, as in `x=1_2*0.5_-1`; these characters need no escape there.
const linked = new URLSearchParams(location.search);
const rowsText = (rows) => rows.map((row) => row.join("_")).join("*");
function remember(state) {
  const here = new URL(location);
  for (const [name, { value, usual }] of Object.entries(state)) {
    if (value === usual) here.searchParams.delete(name);
    else here.searchParams.set(name, value);
  }
  history.replaceState(history.state, "", here);
}

// A box of code that runs on this page, and a button that copies it.
function code(parent, name) {
  const box = node("details", { class: "code" }, parent);
  said(box, "summary", `code.${name}`);
  const pre = node("pre", { tabindex: "0" }, box);
  node("code", {}, pre, CODE[name]);
  const button = said(box, "button", "copy", {}, { type: "button", class: "plain" });
  button.addEventListener("click", async () => {
    if (!(await copyText(CODE[name], box))) return getSelection().selectAllChildren(pre); // for the visitor's own keys
    button.textContent = words("copied");
    setTimeout(() => (button.textContent = words("copy")), 2000);
  });
  return box;
}

// ---- 1. by hand -----------------------------------------------------------------------------

function handSection() {
  const part = section("hand");
  const grid = node("div", { class: "tables" }, part);
  const inputs = {};
  for (const [name, rows] of Object.entries(OPENING)) inputs[name] = editable(grid, name, rows);
  const reset = said(part, "button", "hand.reset", {}, { type: "button", class: "plain" });
  const told = node("p", { class: "told", role: "status" }, part);
  const results = node("div", { class: "tables" }, part);
  const hidden = matrix(results, "h", OPENING.x.length, OPENING.W_hh.length);
  const outputs = matrix(results, "o", OPENING.x.length, OPENING.W_hy.length);
  const agree = node("p", { class: "agree" }, part);
  ["by_hand", "named", "by_cell", "by_rnn"].forEach((name) => code(part, name));
  let before = null; // the tables before the last edit
  let last = null; // the answer on the page, and the question
  let compared = null; // the answer to how the three ways agree

  const tables = () => Object.fromEntries(Object.entries(inputs).map(([name, rows]) => {
    return [name, rows.map((row) => row.map((cell) => (cell.value.trim() === "" ? null : Number(cell.value))))];
  }));
  const ask = asker((found, question) => {
    last = { found, question };
    draw();
    if ("error" in found) return;
    const entries = Object.entries(question.tables).map(([name, rows]) => [name, { value: rowsText(rows), usual: rowsText(OPENING[name]) }]);
    remember(Object.fromEntries(entries));
    compare({ ask: "compare", tables: question.tables });
  });
  const compare = asker((found) => {
    compared = found;
    draw();
  }, 300);

  function editable(parent, name, rows) {
    const table = matrix(parent, name, rows.length, rows[0].length);
    return rows.map((row, r) => row.map((value, c) => {
      const attributes = { type: "number", step: "0.1", value, "aria-label": `${name} ${r + 1}, ${c + 1}` };
      const cell = node("input", attributes, table.cells[r][c]);
      cell.addEventListener("input", edited);
      return cell;
    }));
  }

  function edited() {
    before = last && !("error" in last.found) ? last.question.tables : before;
    ask({ ask: "hand", tables: tables(), before });
  }

  function draw() {
    if (!last) return;
    const { found } = last;
    told.dataset.kind = "error" in found ? "error" : "note";
    told.textContent = "error" in found ? mistake(found) : words(found.key.replace("foundations.", ""), found.values);
    if ("error" in found) return;
    fill(hidden, found.h, found.reached.h);
    fill(outputs, found.o, found.reached.o);
    agree.textContent = agreement();
  }

  function agreement() {
    if (!compared) return words("hand.comparing");
    if ("error" in compared) return mistake(compared);
    const { difference } = compared;
    return words("hand.agree", { difference: difference === 0 ? "0" : raised(Math.round(Math.log10(difference))) });
  }

  function fill({ cells }, values, reached) {
    values.forEach((row, r) => row.forEach((value, c) => {
      cells[r][c].textContent = fixed(value);
      cells[r][c].classList.toggle("reached", reached[r][c]);
    }));
  }

  reset.addEventListener("click", () => {
    for (const [name, rows] of Object.entries(OPENING)) rows.forEach((row, r) => row.forEach((v, c) => (inputs[name][r][c].value = v)));
    before = null;
    ask({ ask: "hand", tables: tables() });
  });
  labels.push(draw);
  last = { found: FIRST, question: { tables: OPENING } };
  draw();
  if (restored()) ask({ ask: "hand", tables: tables(), before: OPENING });
  else compare({ ask: "compare", tables: OPENING });

  // The tables of a link; what is no number there is an empty cell, and told as one.
  function restored() {
    const names = Object.keys(OPENING).filter((name) => linked.has(name));
    for (const name of names) {
      const rows = linked.get(name).split("*").map((row) => row.split("_"));
      inputs[name].forEach((row, r) => row.forEach((cell, c) => (cell.value = rows[r]?.[c] ?? "")));
    }
    return names.length > 0;
  }
}

// A matrix with its name and shape; the rows of x, h and o are time steps.
function matrix(parent, name, rows, columns) {
  const frame = node("table", { class: `matrix ${name}` }, parent);
  const caption = node("caption", {}, frame);
  node("b", {}, caption, name);
  node("span", {}, caption, ` ${rows} × ${columns}`);
  const body = node("tbody", {}, frame);
  const cells = Array.from({ length: rows }, (_, r) => {
    const row = node("tr", {}, body);
    if (["x", "h", "o"].includes(name)) node("th", { scope: "row" }, row, `${name}${"₁₂₃"[r]}`);
    return Array.from({ length: columns }, () => node("td", {}, row));
  });
  return { cells };
}

// ---- 2. sizes -------------------------------------------------------------------------------

function sizesSection() {
  const part = section("sizes");
  const presets = node("div", { class: "presets", role: "group" }, part);
  const controls = node("div", { class: "controls" }, part);
  const fields = {};
  for (const [name, [low, high]] of Object.entries(BOUNDS)) {
    const label = node("label", {}, controls);
    said(label, "span", `size.${name}`);
    fields[name] = node("input", { type: "number", min: low, max: high, step: 1 }, label);
    fields[name].addEventListener("input", asking);
  }
  const first = box(controls, "size.batch_first");
  const free = node("label", { class: "wide" }, controls);
  said(free, "span", "sizes.shape");
  const shape = node("input", { type: "text", maxlength: 60 }, free);
  shape.addEventListener("input", asking);
  const told = node("p", { class: "told", role: "status" }, part);
  const tables = node("div", { class: "tables" }, part);
  const shapes = { tensors: shapesTable("sizes.tensors"), weights: shapesTable("sizes.weights") };
  const formula = node("p", { class: "formula" }, part);
  code(part, "run");
  let answer = null;
  const inOrder = ({ batch_first, ...values }) => [...Object.keys(fields).map((name) => values[name]), batch_first ? 1 : 0].join("_");
  const ask = asker((found, question) => {
    answer = found;
    draw();
    if ("error" in found) return;
    const size = { value: inOrder(question.sizes), usual: inOrder(PRESETS.classifier) };
    remember({ sizes: size, shape: { value: question.shape, usual: "" } });
  });

  for (const [name, values] of Object.entries(PRESETS)) {
    const button = said(presets, "button", `preset.${name}`, {}, { type: "button", class: "plain" });
    button.addEventListener("click", () => choose(values));
  }

  function box(parent, key) {
    const label = node("label", { class: "box" }, parent);
    const made = node("input", { type: "checkbox" }, label);
    said(label, "span", key);
    made.addEventListener("input", asking);
    return made;
  }

  function choose(values, typed = "") {
    for (const name of Object.keys(fields)) fields[name].value = values[name];
    first.checked = values.batch_first;
    shape.value = typed;
    asking();
  }

  function asking() {
    const sizes = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value === "" ? null : Number(field.value)]));
    ask({ ask: "sizes", sizes: { ...sizes, batch_first: first.checked }, shape: shape.value.trim() });
  }

  function draw() {
    if (!answer) return;
    const wrong = "error" in answer || "pytorch" in answer;
    told.dataset.kind = wrong ? "error" : "note";
    told.textContent = "error" in answer ? mistake(answer) : "pytorch" in answer ? `PyTorch: “${answer.pytorch}” ${words(answer.key.replace("foundations.", ""), answer.values)}` : words("sizes.fits");
    if ("error" in answer) return;
    shape.placeholder = tuple(answer.given);
    formula.textContent = words("sizes.formula", answer.count);
    tables.hidden = !answer.shapes;
    Object.values(shapes).forEach((body) => body.replaceChildren());
    for (const [name, found] of Object.entries(answer.shapes ?? {})) {
      const weight = name.match(/^(weight_ih_l0|weight_ih|weight_hh|bias_ih|bias_hh|linear\.weight|linear\.bias)/)?.[0];
      const row = node("tr", {}, weight ? shapes.weights : shapes.tensors);
      node("th", { scope: "row" }, row, name);
      node("td", { class: "shape" }, row, tuple(found));
      node("td", {}, row, weight ? words(`weight.${weight}`) : meaning(name));
    }
  }

  // What the numbers of a tensor's shape count, without a batch where the input has none.
  function meaning(name) {
    const order = answer.shapes.input.length === 2 ? "single" : first.checked ? "batch" : "time";
    return words(`tensor.${name}${["input", "output"].includes(name) || order === "single" ? `.${order}` : ""}`);
  }

  // The rows of a table with its title; many layers have many weights, so it scrolls.
  function shapesTable(title) {
    const frame = node("div", { class: "scrolls", tabindex: "0", role: "region" }, tables);
    labels.push(() => frame.setAttribute("aria-label", words(title)));
    const table = node("table", { class: "shapes" }, frame);
    said(table, "caption", title);
    return node("tbody", {}, table);
  }

  labels.push(draw);
  const wanted = linked.get("sizes")?.split("_").map(Number) ?? [];
  const named = Object.fromEntries(Object.keys(fields).map((name, i) => [name, wanted[i]]));
  choose(wanted.length ? { ...named, batch_first: wanted.at(-1) === 1 } : PRESETS.classifier, linked.get("shape") ?? "");
}

// ---- 3. activation and gradient -------------------------------------------------------------

const CELLS = ["tanh", "relu", "gru", "lstm"];

function gradientSection() {
  const part = section("gradient");
  const label = node("label", { class: "radius" }, part);
  said(label, "span", "gradient.radius");
  const slider = node("input", { type: "range", min: 0.1, max: 2, step: 0.05, value: 1 }, label);
  const value = node("output", {}, label);
  const keys = node("p", { class: "keys" }, part);
  for (const kind of CELLS) {
    const key = node("span", { class: `key ${kind}` }, keys);
    node("i", {}, key);
    said(key, "span", `cell.${kind}`);
  }
  const told = node("p", { class: "told", role: "status" }, part);
  const plots = node("div", { class: "plots" }, part);
  const state = curves(plots, "gradient.state", true);
  const fading = curves(plots, "gradient.fading", true);
  const gates = ["gru", "lstm"].map((kind) => [kind, curves(plots, `gradient.gates.${kind}`, false)]);
  ["scaled", "vanilla", "gru", "lstm", "backwards"].forEach((name) => code(part, name));
  let cells = null;
  let failed = null;
  const ask = asker((found, { radius }) => {
    failed = "error" in found ? found : null;
    cells = found.cells ?? cells;
    draw();
    if (failed) return;
    remember({ radius: { value: String(radius), usual: "1" } });
  }, 60);

  function draw() {
    value.textContent = Number(slider.value).toFixed(2);
    told.dataset.kind = failed ? "error" : "note";
    if (failed) told.textContent = mistake(failed);
    if (failed || !cells) return;
    state.draw(Object.entries(cells).map(([kind, { h }]) => [kind, h]));
    fading.draw(Object.entries(cells).map(([kind, { gradient }]) => [kind, gradient]));
    for (const [kind, plot] of gates) {
      const names = Object.keys(cells[kind].gates[0]);
      plot.draw(names.map((name) => [`gate-${name}`, cells[kind].gates.map((gate) => gate[name]), name]));
    }
    told.textContent = CELLS.map((kind) => {
      const start = cells[kind].gradient[0];
      const fate = start < 1e-3 ? "vanishes" : start > 1e3 ? "explodes" : "lives";
      return words(`gradient.${fate}`, { cell: words(`cell.${kind}`), start: power(start) });
    }).join(" ");
  }

  slider.addEventListener("input", () => {
    value.textContent = Number(slider.value).toFixed(2);
    ask({ ask: "gradient", radius: Number(slider.value) });
  });
  labels.push(draw);
  slider.value = linked.get("radius") ?? 1; // what is no number leaves it in the middle
  ask({ ask: "gradient", radius: Number(slider.value) });
}

// Curves over the time steps, by their powers of ten or from 0 to 1.
function curves(parent, title, logarithmic) {
  const [WIDE, HIGH, LEFT, TOP, LOW] = [520, 240, 46, 12, 24];
  const figure = node("figure", {}, parent);
  said(figure, "figcaption", title);
  const svg = node("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img" }, figure);
  labels.push(() => svg.setAttribute("aria-label", words(title)));

  function draw(lines) {
    svg.replaceChildren();
    const levels = lines.flatMap(([, values]) => values.map((v) => (logarithmic ? Math.log10(v) : v)));
    // Whoever falls below 10^-12 has vanished, above 10^12 exploded: further down there is nothing to see.
    const low = logarithmic ? Math.max(-12, Math.floor(Math.min(0, ...levels))) : 0;
    const high = logarithmic ? Math.min(12, Math.ceil(Math.max(1, ...levels))) : 1;
    const y = (level) => TOP + (HIGH - TOP - LOW) * (1 - (Math.max(low, Math.min(high, level)) - low) / (high - low));
    const ticks = logarithmic ? [low, low < 0 ? 0 : null, high] : [0, 0.5, 1];
    for (const level of ticks.filter((tick) => tick !== null)) {
      node("line", { class: "grid", x1: LEFT, x2: WIDE, y1: y(level), y2: y(level) }, svg);
      node("text", { x: LEFT - 6, y: y(level) + 4, "text-anchor": "end" }, svg, logarithmic ? raised(level) : level);
    }
    node("text", { x: LEFT, y: HIGH - 6 }, svg, "t = 1");
    const count = lines[0][1].length;
    node("text", { x: WIDE, y: HIGH - 6, "text-anchor": "end" }, svg, `t = ${count}`);
    for (const [name, values, label] of lines) {
      const points = values.map((v, t) => `${LEFT + ((WIDE - LEFT) * t) / (count - 1)} ${y(logarithmic ? Math.log10(v) : v).toFixed(1)}`);
      node("path", { class: `curve ${name}`, d: `M${points.join("L")}` }, svg);
      const above = y(values.at(-1)) > TOP + 20 ? -5 : 16;
      if (label) node("text", { class: `name ${name}`, x: LEFT + 8 + 22 * lines.findIndex(([other]) => other === name), y: y(values[0]) + above }, svg, label);
    }
  }

  return { draw };
}

// ---- 4. patterns ----------------------------------------------------------------------------

function patternsSection() {
  const part = section("patterns");
  const bar = node("div", { class: "presets", role: "group" }, part);
  const play = said(bar, "button", "patterns.play", {}, { type: "button", class: "plain" });
  const step = said(bar, "button", "patterns.step", {}, { type: "button", class: "plain" });
  const grid = node("div", { class: "patterns" }, part);
  const schemes = PATTERNS.map((pattern) => scheme(grid, pattern));
  const longest = Math.max(...PATTERNS.map(({ ticks }) => ticks.length));
  let t = longest;
  let timer = null;

  function show() {
    schemes.forEach((draw) => draw(t));
  }

  function forward() {
    t = t >= longest ? 1 : t + 1;
    show();
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = words("patterns.play");
  }

  play.addEventListener("click", () => {
    if (timer) return pause();
    forward();
    timer = setInterval(() => (t >= longest ? pause() : forward()), 700);
    play.textContent = words("patterns.pause");
  });
  step.addEventListener("click", () => {
    pause();
    forward();
  });
  show();
}

// One pattern: cells in a row, what each reads below and writes above; up to tick `t` it has happened.
function scheme(parent, { name, expression, ticks, tab }) {
  const STEP = 52;
  const figure = node("figure", { class: "scheme" }, parent);
  said(figure, "h3", `pattern.${name}`);
  node("code", {}, figure, expression);
  const wide = ticks.length * STEP + 12;
  const svg = node("svg", { viewBox: `0 0 ${wide} 132`, width: wide, height: 132, role: "img" }, figure);
  labels.push(() => svg.setAttribute("aria-label", `${words(`pattern.${name}`)}: ${expression}`));
  const columns = [...ticks].map((kind, i) => column(svg, kind, i, ticks[i - 1], STEP));
  said(figure, "p", `pattern.${name}.told`);
  if (tab) said(figure, "a", "patterns.open", {}, { href: `./?tab=${tab}` });
  else said(figure, "p", "patterns.no_tab", {}, { class: "subdued" });
  return (t) => columns.forEach((group, i) => (group.dataset.state = i < t ? (i === t - 1 ? "now" : "past") : "later"));
}

function column(svg, kind, i, before, step) {
  const group = node("g", {}, svg);
  const x = i * step + 30;
  const line = (x1, y1, x2, y2) => node("path", { class: "arrow", d: `M${x1} ${y1}L${x2} ${y2}` }, group);
  node("rect", { class: "cell", x: x - 15, y: 51, width: 30, height: 30, rx: 6 }, group);
  node("text", { x, y: 71, "text-anchor": "middle" }, group, "h");
  if (i) line(x - step + 15, 66, x - 15, 66);
  if (kind !== "W") {
    node("rect", { class: "in", x: x - 12, y: 104, width: 24, height: 20, rx: 4 }, group);
    node("text", { x, y: 119, "text-anchor": "middle" }, group, "x");
    line(x, 104, x, 81);
  }
  if (kind !== "R") {
    node("circle", { class: "out", cx: x, cy: 18, r: 13 }, group);
    node("text", { class: "y", x, y: 23, "text-anchor": "middle" }, group, "y");
    line(x, 51, x, 31);
  }
  // What was written goes back in where nothing comes from outside.
  if (kind === "W" && (before === "W" || before === "B")) node("path", { class: "arrow back", d: `M${x - step + 13} 18C${x - step / 2 + 6} 18 ${x - step / 2 - 6} 96 ${x - 8} 81` }, group);
  return group;
}

// ---- the page -------------------------------------------------------------------------------

const root = element.querySelector(".foundations");
handSection();
sizesSection();
gradientSection();
patternsSection();
watch("lang", () => labels.forEach((say) => say()));
labels.forEach((say) => say());
