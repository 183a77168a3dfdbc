// A photo and the caption that is written to it: the words, how much the photo has to do with each
// of them, where in it their evidence lies, what else could have stood there, and the beam search.
//
//   captionView      the one state, and what the page may do with it
//   captionPhoto     the photo as the network sees it, with Grad-CAM over it
//   captionSaid      the caption, one element a word        captionChoices  the ten alternatives
//   captionMatter    log-probability over another photo's   captionTree     the beam search

function captionView(root, { words, onSelect, onBranch, inspect }) {
  const state = {
    header: null,
    steps: [],
    selected: -1,
    ended: true,
    whole: true, // nobody has picked a tick: the tree is shown to its end
    following: null,
  };
  const model = { state, words, act: { pick, branch } };

  const first = unrolledNode("div", { class: "first" }, root);
  const photo = captionPhoto(first, model);
  const beside = unrolledNode("div", { class: "beside" }, first);
  const said = captionSaid(beside, model);
  const matter = captionMatter(beside, model);
  const choices = captionChoices(first, model);
  const tree = captionTree(root, model);
  const parts = [photo, said, matter, choices, tree];

  let frame = null; // one drawing a frame, however many records come
  let asking = null; // a pause before asking, so that a moving selection asks nothing

  function draw() {
    frame ??= requestAnimationFrame(() => {
      frame = null;
      root.dataset.theme = root.closest(".dark") ? "dark" : "light";
      captionExamples(words);
      if (state.header) parts.forEach((part) => part.draw());
    });
  }

  function reset(header) {
    Object.assign(state, { header, steps: [], selected: -1, ended: false, whole: true, following: null });
    parts.forEach((part) => part.reset?.());
    relabel();
  }

  function append(records) {
    state.steps.push(...records);
    draw();
  }

  function done() {
    state.ended = true;
    if (state.selected < 0) state.selected = strongest();
    draw();
    look();
  }

  // The word that owes most to the photo.
  function strongest() {
    const values = state.steps.map((step) => (captionWord(step) ? step.e.mean : -Infinity));
    return values.indexOf(Math.max(...values));
  }

  function pick(t) {
    select(t);
    onSelect(t);
  }

  function select(t) {
    if (t < 0 || t >= state.steps.length) return;
    Object.assign(state, { selected: t, whole: false });
    draw();
    look();
  }

  // Where the word's evidence lies is asked for once the selection rests.
  function look() {
    clearTimeout(asking);
    const { header, selected: t } = state;
    if (!state.ended || !captionWord(state.steps[t])) return;
    asking = setTimeout(() => {
      inspect(t).then(({ heat }) => {
        if (header === state.header && t === state.selected) photo.show(heat ?? null);
      }, () => {});
    }, 120);
  }

  // The words before tick `t`, as the network needs them to go on from there, and one more.
  function branch(t, token) {
    const before = state.steps.slice(0, t).filter((step) => step.w !== undefined);
    const chosen = before.flatMap((step, place) => (step.x ? [place] : []));
    onBranch([...before.map((step) => step.w), token], [...chosen, before.length]);
  }

  function follow(values) {
    state.following = values;
    draw();
  }

  function relabel() {
    root.hidden = state.header === null;
    parts.forEach((part) => part.relabel?.());
    captionExamples(words);
    draw();
  }

  new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  relabel();
  return { reset, append, done, select, follow, relabel };
}

// The thumbnails of the examples have no name of their own.
function captionExamples(words) {
  const shelf = document.getElementById(SLOT.replace("unrolled", "examples"));
  const buttons = [...(shelf?.querySelectorAll("button.gallery-item") ?? [])];
  buttons.forEach((button, i) => {
    const name = words(`photo.${EXAMPLES[i]}`);
    if (button.getAttribute("aria-label") !== name) Object.assign(button, { ariaLabel: name, title: name });
  });
}

const captionWord = (step) => step?.w !== undefined && !unrolledSpecial(step.w);
const captionGap = ({ header }) => (header.language === "zh" ? "" : " ");
const captionNats = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
const captionName = ({ state, words }, token) => (state.header.names[token] ? words(state.header.names[token]) : token);

// ---- the photo ----------------------------------------------------------------------------

function captionPhoto(parent, { state, words }) {
  const figure = unrolledNode("figure", { class: "photo" }, parent);
  const frame = unrolledNode("div", { class: "frame" }, figure);
  const image = unrolledNode("img", { width: 224, height: 224 }, frame);
  const heat = unrolledNode("canvas", { "aria-hidden": "true" }, frame);
  const toggle = unrolledNode("label", { class: "toggle" }, figure);
  const box = unrolledNode("input", { type: "checkbox", checked: true }, toggle);
  const label = unrolledNode("span", {}, toggle);
  const told = unrolledNode("figcaption", {}, figure);
  const familiar = unrolledNode("p", { class: "hint familiar" }, figure);
  let places = null;
  box.addEventListener("change", draw);

  function reset() {
    image.src = state.header.photo;
    show(null);
  }

  function show(next) {
    places = next;
    draw();
  }

  function draw() {
    const word = state.steps[state.selected]?.w;
    heat.hidden = !places || !box.checked;
    const side = Math.sqrt(places?.length ?? 0); // places a side
    told.textContent = side && captionWord(state.steps[state.selected]) ? words("caption.heat", { word, side }) : words("caption.seen");
    if (!side) return;
    heat.width = heat.height = side;
    const pixels = new ImageData(side, side);
    // Dark where nothing speaks for the word, clear where it has its evidence.
    places.forEach((value, i) => pixels.data.set([12, 16, 34, Math.round(205 * (1 - value) ** 1.4)], 4 * i));
    heat.getContext("2d").putImageData(pixels, 0, 0);
  }

  function relabel() {
    label.textContent = words("caption.heat_toggle");
    if (!state.header) return;
    image.alt = words("caption.photo");
    familiar.textContent = words("caption.familiar", { share: unrolledPercent(state.header.farther) });
    draw();
  }

  return { reset, show, draw, relabel };
}

// ---- the caption --------------------------------------------------------------------------

function captionSaid(parent, model) {
  const { state, words, act } = model;
  const page = unrolledNode("div", { class: "page", tabindex: 0, role: "listbox" }, parent);
  const hint = unrolledNode("p", { class: "hint" }, parent);
  let nodes = []; // one a tick that wrote
  page.addEventListener("click", (e) => act.pick(Number(e.target.closest("[data-t]")?.dataset.t ?? -1)));
  page.addEventListener("keydown", onKey);

  function onKey(event) {
    const [from, last] = [state.selected, state.steps.length - 1];
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 1, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    act.pick(Math.max(1, Math.min(last, to)));
  }

  function reset() {
    page.replaceChildren();
    nodes = [];
  }

  function put(step, t) {
    if (nodes.length && captionGap(state) && captionWord(step)) page.append(" ");
    const node = unrolledNode("span", { class: "token", role: "option", "data-t": t, id: `${state.header.run}-word-${t}` }, page);
    node.toggleAttribute("data-end", !captionWord(step));
    node.toggleAttribute("data-chosen", Boolean(step.x));
    node.toggleAttribute("data-erased", Boolean(step.z));
    unrolledNode("b", {}, node, captionName(model, step.w));
    unrolledNode("i", {}, node, captionNats(step.e.mean));
    nodes.push(node);
  }

  function draw() {
    const written = state.steps.flatMap((step, t) => (step.w === undefined ? [] : [t]));
    written.slice(nodes.length).forEach((t) => put(state.steps[t], t));
    for (const node of nodes) {
      const t = Number(node.dataset.t);
      node.setAttribute("aria-selected", String(t === state.selected));
      const value = state.following ? state.following[t] ?? 0 : Math.max(-1, Math.min(1, state.steps[t].e.mean / 5));
      node.style.setProperty("--value", value.toFixed(3));
      node.lastChild.textContent = state.following ? unrolledNumber(value, 2) : captionNats(state.steps[t].e.mean);
    }
    const chosen = nodes.find((node) => Number(node.dataset.t) === state.selected);
    if (chosen) page.setAttribute("aria-activedescendant", chosen.id);
    else page.removeAttribute("aria-activedescendant");
  }

  function relabel() {
    page.setAttribute("aria-label", words("caption.page"));
    hint.textContent = words("caption.legend");
    nodes.forEach((node) => (node.firstChild.textContent = captionName(model, state.steps[node.dataset.t].w)));
  }

  return { reset, draw, relabel };
}

// ---- does the picture still matter? -------------------------------------------------------

function captionMatter(parent, model) {
  const { state, words, act } = model;
  const { title, body } = unrolledPanel(parent, "matter");
  const keys = unrolledNode("ul", { class: "keys" }, body);
  const stage = unrolledNode("div", { class: "stage", tabindex: 0, role: "group" }, body);
  const svg = unrolledNode("svg", { class: "plot", role: "img", height: 204 }, stage);
  const told = unrolledNode("p", { class: "readout" }, body);
  const hint = unrolledNode("p", { class: "hint" }, body);
  const [LEFT, TOP, BOTTOM] = [38, 14, 150];
  svg.addEventListener("click", (e) => act.pick(Number(e.target.closest("[data-t]")?.dataset.t ?? -1)));
  new ResizeObserver(() => state.header && draw()).observe(stage);

  function draw() {
    const shown = state.steps.flatMap((step, t) => (step.w === undefined ? [] : [{ step, t }]));
    svg.replaceChildren();
    const width = Math.max(stage.clientWidth, LEFT + 34 * shown.length);
    svg.setAttribute("width", width);
    const high = Math.max(2, ...shown.flatMap(({ step }) => [step.e.mean, step.e.blank]));
    const low = Math.min(0, ...shown.flatMap(({ step }) => [step.e.mean, step.e.blank]));
    const pace = Math.min(90, (width - LEFT) / Math.max(1, shown.length));
    const x = (i) => LEFT + pace * (i + 0.5);
    const y = (value) => BOTTOM - ((value - low) / (high - low)) * (BOTTOM - TOP);
    axis(width, y, low, high);
    for (const base of ["blank", "mean"]) {
      const path = shown.map(({ step }, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(step.e[base]).toFixed(1)}`).join("");
      unrolledNode("path", { class: `line ${base}`, d: path || "M0 0" }, svg);
    }
    shown.forEach(({ step, t }, i) => column(step, t, x(i), y, pace));
    const chosen = state.steps[state.selected];
    told.textContent = chosen?.e ? words("caption.matter.told", values(chosen)) : words("caption.matter.pick");
    svg.setAttribute("aria-label", shown.map(({ step }) => `${captionName(model, step.w)} ${captionNats(step.e.mean)}`).join(", "));
  }

  function values(step) {
    const times = Number(Math.exp(Math.abs(step.e.mean)).toPrecision(2)).toLocaleString("en");
    return { word: captionName(model, step.w), mean: captionNats(step.e.mean), blank: captionNats(step.e.blank), times };
  }

  function axis(width, y, low, high) {
    const pace = Math.ceil((high - low) / 4);
    for (let value = Math.ceil(low / pace) * pace; value <= high; value += pace) {
      unrolledNode("path", { class: value ? "grid" : "grid zero", d: `M${LEFT - 4} ${y(value)}H${width}` }, svg);
      unrolledNode("text", { class: "level", x: LEFT - 9, y: y(value) + 4 }, svg, String(value).replace("-", "−"));
    }
  }

  function column(step, t, x, y, pace) {
    const group = unrolledNode("g", { class: "word", "data-t": t }, svg);
    group.toggleAttribute("data-selected", t === state.selected);
    unrolledNode("rect", { class: "reach", x: x - pace / 2, y: 0, width: pace, height: 200 }, group);
    if (step.z) unrolledNode("path", { class: "erased", d: `M${x - pace / 2} 4V${BOTTOM}` }, group);
    unrolledNode("circle", { class: "blank", cx: x, cy: y(step.e.blank), r: 3.5 }, group);
    unrolledNode("circle", { class: "mean", cx: x, cy: y(step.e.mean), r: 5 }, group);
    const name = captionName(model, step.w);
    const slanted = unrolledExtent(name) * 8 > pace && state.header.language !== "zh";
    const turn = slanted ? { transform: `rotate(-32 ${x} ${BOTTOM + 18})`, class: "name slanted", dx: 5 } : { class: "name" };
    unrolledNode("text", { x, y: BOTTOM + 18, ...turn }, group, name);
  }

  function relabel() {
    title.textContent = words("caption.matter.title");
    hint.textContent = words("caption.matter.hint");
    stage.setAttribute("aria-label", words("caption.matter.title"));
    keys.replaceChildren();
    for (const base of ["mean", "blank"]) {
      const item = unrolledNode("li", {}, keys);
      const key = unrolledNode("svg", { width: 34, height: 12, "aria-hidden": "true" }, item);
      unrolledNode("path", { class: `line ${base}`, d: "M1 6H33" }, key);
      unrolledNode("span", {}, item, words(`caption.matter.${base}`));
    }
  }

  return { draw, relabel };
}

// ---- the alternatives ---------------------------------------------------------------------

function captionChoices(parent, model) {
  const { state, words, act } = model;
  const section = unrolledNode("section", { class: "choices" }, parent);

  function draw() {
    section.replaceChildren();
    const step = state.steps[state.selected];
    const title = unrolledNode("h2", {}, section);
    if (step?.w === undefined) return void (title.textContent = words("caption.pick"));
    const token = captionName(model, step.w);
    title.textContent = words(step.x ? "text.title_chosen" : "text.title_written", { tick: state.selected + 1, token });
    const list = unrolledNode("ol", {}, section);
    step.c.forEach((candidate) => row(list, step, candidate));
    if (!step.c.some(([other]) => other === step.w)) row(list, step, [step.w, step.p, 1]);
    unrolledNode("p", { class: "hint" }, section, words("caption.hint_choices"));
  }

  function row(list, step, [token, probability, chance]) {
    const t = state.selected;
    const item = unrolledNode("li", {}, list);
    const button = unrolledNode("button", { class: "choice", type: "button", "data-token": token }, item);
    button.toggleAttribute("data-here", token === step.w);
    button.style.setProperty("--p", probability);
    button.style.setProperty("--q", Math.min(1, chance));
    unrolledNode("b", {}, button, captionName(model, token));
    unrolledNode("i", {}, button);
    unrolledNode("span", {}, button, unrolledPercent(probability));
    button.addEventListener("click", () => act.branch(t, token));
  }

  return { draw, relabel: () => state.header && draw() };
}

// ---- the beam search ----------------------------------------------------------------------

function captionTree(parent, model) {
  const { state, words, act } = model;
  const { panel, title, body } = unrolledPanel(parent, "tree");
  const lead = unrolledNode("p", { class: "hint" }, body);
  const keys = unrolledNode("ul", { class: "keys" }, body);
  const scroller = unrolledNode("div", { class: "scroller", tabindex: 0, role: "group" }, body);
  const svg = unrolledNode("svg", { class: "beams", role: "img" }, scroller);
  const table = unrolledNode("table", {}, body);
  const [WIDE, HIGH, ROW, TOP] = [126, 36, 44, 26];
  let followed = -1; // the level that was scrolled to
  svg.addEventListener("click", (e) => act.pick(Number(e.target.closest("[data-t]")?.dataset.t ?? -1)));

  // One level a tick that searched: its rows in order of their log-probability, best first.
  function levels() {
    const out = [];
    state.steps.forEach(({ k, z }, t) => {
      if (!k) return;
      const fresh = !out.length || z || out.at(-1).t !== t - 1;
      const before = fresh ? null : out.at(-1);
      const rows = k.map(([token, parent, total, kept, greedy], i) => ({
        t, i, token, total, kept, greedy, parent: before?.rows[parent] ?? null, length: (before?.rows[parent]?.length ?? 0) + 1,
      }));
      [...rows].sort((a, b) => b.total - a.total).forEach((row, place) => (row.place = place));
      out.push({ t, rows, fresh });
    });
    return out;
  }

  const score = (row) => row.total / row.length ** state.header.alpha;
  const ended = (row) => unrolledSpecial(row.token);
  const line = (row) => (row ? [...line(row.parent), row] : []);
  const figure = (value) => unrolledNumber(value, 2);

  function draw() {
    const all = levels();
    panel.hidden = !all.length;
    if (!all.length) return;
    const shown = all.filter(({ t }) => state.whole || state.selected < all[0].t || t <= state.selected);
    const found = all.flatMap(({ rows }) => rows).filter(ended);
    const best = found.filter((row) => row.kept).sort((a, b) => score(b) - score(a))[0];
    const path = new Set(state.ended ? line(best) : []);
    const tall = Math.max(...all.map(({ rows }) => rows.length));
    svg.replaceChildren();
    svg.setAttribute("width", WIDE * all.length + 8);
    svg.setAttribute("height", TOP + ROW * tall + 8);
    all.forEach((level, column) => head(level, column));
    shown.forEach((level, column) => level.rows.forEach((row) => edge(row, column, path)));
    shown.forEach((level, column) => level.rows.forEach((row) => node(row, column, path)));
    svg.setAttribute("aria-label", words("caption.tree.image", { levels: all.length }));
    results(found.filter((row) => shown.some(({ t }) => t === row.t)), best);
    bring(shown.length - 1);
  }

  const place = (row, column) => ({ x: column * WIDE + 8, y: TOP + row.place * ROW });

  function head({ t }, column) {
    const text = unrolledNode("text", { class: "tick", x: column * WIDE + 8, y: 14, "data-t": t }, svg, words("caption.tree.tick", { tick: t + 1 }));
    text.toggleAttribute("data-selected", t === state.selected);
  }

  function edge(row, column, path) {
    if (!row.parent) return;
    const [a, b] = [place(row.parent, column - 1), place(row, column)];
    const [x1, y1, x2, y2] = [a.x + WIDE - 26, a.y + HIGH / 2, b.x, b.y + HIGH / 2];
    unrolledNode("path", { class: `edge ${look(row, path)}`, d: `M${x1} ${y1}C${x1 + 13} ${y1} ${x2 - 13} ${y2} ${x2} ${y2}` }, svg);
  }

  const look = (row, path) => [path.has(row) ? "best" : row.kept ? "kept" : "cut", row.greedy ? "greedy" : ""].join(" ");

  function node(row, column, path) {
    const { x, y } = place(row, column);
    const group = unrolledNode("g", { class: `beam ${look(row, path)}`, "data-t": row.t, transform: `translate(${x} ${y})` }, svg);
    unrolledNode("rect", { width: WIDE - 26, height: HIGH, rx: ended(row) ? HIGH / 2 : 6 }, group);
    const [middle, name] = [(WIDE - 26) / 2, captionName(model, row.token)];
    const fitting = Math.min(16, (WIDE - 34) / (0.58 * unrolledExtent(name)));
    unrolledNode("text", { class: "name", x: middle, y: 16, "font-size": fitting.toFixed(1) }, group, name);
    unrolledNode("text", { class: "score", x: middle, y: 30 }, group, `${figure(row.total)} · ${figure(score(row))}`);
  }

  // Keep the newest level in view.
  function bring(column) {
    if (column === followed) return;
    followed = column;
    const x = (column + 1) * WIDE - scroller.clientWidth * 0.8;
    scroller.scrollTo({ left: Math.max(0, x), behavior: "instant" });
  }

  function results(found, best) {
    table.replaceChildren();
    if (!found.length) return;
    const names = ["caption", "total", "score"].map((name) => words(`caption.tree.${name}`, { alpha: state.header.alpha }));
    const row = unrolledNode("tr", {}, unrolledNode("thead", {}, table));
    names.forEach((name) => unrolledNode("th", { scope: "col" }, row, name));
    const list = unrolledNode("tbody", {}, table);
    found.sort((a, b) => score(b) - score(a)).forEach((end) => result(list, end, best));
  }

  function result(list, end, best) {
    const row = unrolledNode("tr", { class: [end === best ? "best" : "", end.greedy ? "greedy" : ""].join(" ") }, list);
    const cell = unrolledNode("td", {}, row, line(end).slice(0, -1).map(({ token }) => token).join(captionGap(state)));
    const marks = [...(end === best ? ["best"] : []), ...(end.greedy ? ["greedy"] : [])];
    marks.forEach((mark) => unrolledNode("span", { class: `mark ${mark}` }, cell, words(`caption.tree.mark.${mark}`)));
    [end.total, score(end)].forEach((value) => unrolledNode("td", {}, row, figure(value)));
  }

  function relabel() {
    title.textContent = words("caption.tree.title");
    lead.textContent = words("caption.tree.lead");
    scroller.setAttribute("aria-label", words("caption.tree.title"));
    keys.replaceChildren();
    for (const name of ["best", "kept", "cut", "greedy"]) {
      const item = unrolledNode("li", {}, keys);
      unrolledNode("span", { class: `key ${name}` }, item);
      unrolledNode("span", {}, item, words(`caption.tree.key.${name}`));
    }
  }

  return { reset: () => (followed = -1), draw, relabel };
}
