// For the hall: the presenter's view, predict before reveal, and what one takes home: the link to
// what is on the page, its QR code, a handout.
//
//   lecture         the tools above a drawing, and their keys
//   lectureQuiz     the next output behind a question mark      lectureShare  link, code and handout
//   lectureLink     the state of the page as an address         lectureSheet  a page of paper

const LONGEST_LINK = 8000; // characters; what servers and browsers take without a doubt
const LEAST_LETTERS = 15; // pixels on the screen: what the last row of a hall can read
const SEPARATOR = "\u001f"; // between the tokens of a list in a link

function lecture(root, page) {
  const { words, act } = page;
  const title = unrolledNode("h1", { hidden: true }, root); // the page's own head is not shown in the hall
  const bar = unrolledNode("div", { class: "bar", role: "toolbar" }, root);
  const share = lectureShare(root, page);
  const buttons = {
    present: button("F", present),
    controls: button("C", () => more("with-controls")),
    details: button("D", () => more("with-details")),
    predict: button("P", act.predict),
    share: button("L", () => share.open()),
  };
  let remembering = null;

  function button(key, run) {
    const node = unrolledNode("button", { type: "button", class: "plain", "aria-keyshortcuts": key }, bar);
    node.addEventListener("click", run);
    return node;
  }

  const presenting = () => document.body.classList.contains("presenting");

  function present() {
    const on = document.body.classList.toggle("presenting");
    document.body.classList.remove("with-controls", "with-details");
    // Inside a frame the full screen may be forbidden; the large type comes all the same.
    if (on) document.documentElement.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) document.exitFullscreen();
    document.dispatchEvent(new Event("gallery:present"));
  }

  function more(what) {
    document.body.classList.toggle(what);
    page.redraw();
    draw();
  }

  // Leaving the full screen leaves the presenter's view.
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement && presenting() && page.visible()) present();
  });
  document.addEventListener("gallery:present", () => {
    page.redraw();
    draw();
    remember();
  });
  document.addEventListener("keydown", onKey);
  addEventListener("resize", fitLater);

  function onKey(event) {
    const key = event.key.toLowerCase();
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !page.visible() || taken(key, event.target)) return;
    const keys = { f: present, p: act.predict, l: () => share.open() };
    if (presenting()) {
      const [next, previous] = [act.next, act.previous];
      Object.assign(keys, { c: () => more("with-controls"), d: () => more("with-details"), pagedown: next, pageup: previous, arrowright: next, arrowleft: previous });
      if (!document.fullscreenElement) keys.escape = present;
    }
    if (!keys[key]) return;
    event.preventDefault();
    keys[key]();
  }

  // A control keeps the keys that it needs itself: a text all of them, any other its arrows, a list its letters,
  // too. A clicker's two keys are nobody's.
  function taken(key, target) {
    const inside = (names) => target.closest?.(names);
    if (inside("dialog, textarea, input:not([type=range], [type=radio], [type=checkbox])")) return true;
    if (key.startsWith("arrow")) return inside("input, select, [role=slider], [role=listbox]");
    return inside("select") && !key.startsWith("page");
  }

  // The address shows what is on the page, so that a reload or a bookmark finds it again.
  function remember() {
    clearTimeout(remembering);
    if (!page.run()) return;
    remembering = setTimeout(() => {
      const { href } = lectureLink(page);
      if (page.visible() && href.length <= LONGEST_LINK) history.replaceState(history.state, "", href);
    }, 400);
  }

  // A frame after the next: then the network is drawn, and its height is known.
  function fitLater() {
    requestAnimationFrame(() => requestAnimationFrame(fit));
  }

  // The unrolled network as large as the room below the result allows.
  function fit() {
    const slot = document.getElementById(SLOT);
    if (!slot) return; // the page is still being built
    slot.style.zoom = 1;
    slot.style.removeProperty("--least");
    if (!presenting() || !page.visible()) return;
    const { top } = slot.getBoundingClientRect();
    const end = slot.querySelector(".transport").getBoundingClientRect().bottom;
    const zoom = Math.max(0.6, Math.min(1.6, (innerHeight - top - 12) / (end - top)));
    slot.style.zoom = zoom.toFixed(3);
    slot.style.setProperty("--least", `${(LEAST_LETTERS / zoom).toFixed(1)}px`);
  }

  function draw() {
    fitLater();
    bar.hidden = !page.run();
    title.hidden = !presenting();
    buttons.present.setAttribute("aria-pressed", presenting());
    buttons.predict.setAttribute("aria-pressed", page.predicting());
    for (const name of ["controls", "details"]) {
      buttons[name].hidden = !presenting();
      buttons[name].setAttribute("aria-pressed", document.body.classList.contains(`with-${name}`));
    }
  }

  function relabel() {
    title.textContent = words(`demo.${SLOT.replace("-unrolled", "")}`);
    bar.setAttribute("aria-label", words("lecture.tools"));
    for (const [name, node] of Object.entries(buttons)) {
      node.textContent = words(`lecture.${name}`);
      node.title = `${words(`lecture.${name}.hint`)} (${node.getAttribute("aria-keyshortcuts")})`;
    }
    share.relabel();
    draw();
  }

  relabel();
  return { draw, relabel, remember, fit: fitLater };
}

// ---- predict before reveal ------------------------------------------------------------------

// What may be asked before a record is shown: {key, token, choices, right, named}, or null where nothing comes
// out or nothing stands to compare it with. `last` is the record before it; `named` are words of ours by choice.
function lectureQuestion({ pattern, reader }, last, next) {
  if (next.v && reader in next.v) {
    if (!last && next.w === undefined) return null;
    const right = next.v[reader] >= (last?.v?.[reader] ?? 0.5) ? "up" : "down";
    const named = { up: "lecture.verdict.up", down: "lecture.verdict.down" };
    return { key: "lecture.ask_verdict", token: next.r ?? "", choices: Object.keys(named), right, named };
  }
  const [source, right] = pattern === "B+" ? [last, next.r] : [next, next.w];
  if (!source?.c || right === undefined) return null;
  const tokens = source.c.slice(0, 5).map(([token]) => token);
  if (!tokens.includes(right)) tokens[4] = right;
  const key = pattern === "B+" ? "lecture.ask_next" : next.r === undefined ? "lecture.ask" : "lecture.ask_read";
  return { key, token: unrolledToken(next.r ?? ""), choices: tokens.sort(), right, named: {} };
}

function lectureQuiz(root, { words, onGuess, named }) {
  const told = unrolledNode("p", { class: "told", role: "status" }, root);
  const ask = unrolledNode("p", { class: "ask" }, root);
  const list = unrolledNode("div", { class: "guesses" }, root);
  root.hidden = true;
  let score = { right: 0, of: 0 };
  let last = null; // the question that was answered, and the guess

  const nameOf = (question, choice) => (question.named[choice] ? words(question.named[choice]) : named(choice));

  function show(question) {
    root.hidden = false;
    ask.replaceChildren(unrolledNode("b", {}, null, "?"), ` ${words(question?.key ?? "lecture.asked_all", { token: question?.token })}`);
    list.replaceChildren();
    if (!question) return;
    question.choices.forEach((choice) => button("", nameOf(question, choice), choice));
    button("reveal", words("lecture.reveal"), null);
  }

  function button(name, text, choice) {
    const node = unrolledNode("button", { type: "button", class: `plain ${name}` }, list, text);
    node.addEventListener("click", () => onGuess(choice));
  }

  // A guess, or none.
  function answer(question, guess) {
    last = { question, guess };
    if (guess !== null) score = { right: score.right + (guess === question.right), of: score.of + 1 };
    tell();
  }

  // What it was, and how the hall does.
  function tell() {
    if (!last) return void (told.textContent = "");
    const { question, guess } = last;
    const key = guess === null ? "was" : guess === question.right ? "right" : "wrong";
    const said = words(`lecture.${key}`, { token: nameOf(question, question.right) });
    told.textContent = guess === null ? said : `${said} ${words("lecture.score", score)}`;
  }

  function hide() {
    root.hidden = true;
    last = null;
    score = { right: 0, of: 0 };
    tell();
  }

  return { show, answer, relabel: tell, hide };
}

// ---- the link -------------------------------------------------------------------------------

// The state of the page as an address, and whether a photo of the visitor's had to stay behind.
function lectureLink({ run, where, words }) {
  const { demo, inputs } = run();
  const at = new URL(location.pathname, location.origin);
  const { t, followed } = where();
  let own = false;
  at.searchParams.set("tab", demo);
  at.searchParams.set("lang", document.documentElement.lang);
  for (const [name, value] of Object.entries(inputs)) {
    // What a page opens with in any case, and what has no effect, need not be said: the code stays coarse.
    if (value === DEFAULTS[name] || !lectureMatters(name, inputs)) continue;
    const kept = !String(value).startsWith("data:");
    own ||= !kept;
    const text = Array.isArray(value) ? value.join(SEPARATOR) : String(value);
    if (kept && (text || !Array.isArray(value))) at.searchParams.set(name, text);
  }
  if (t >= 0) at.searchParams.set("tick", t + 1);
  if (followed) at.searchParams.set("unit", `${followed.layer}.${followed.unit}`);
  if (document.body.classList.contains("presenting")) at.searchParams.set("present", 1);
  return { href: at.href, own };
}

// Whether a control stands on something else than the run that is drawn: it waits for its button.
function lecturePending({ demo, inputs }) {
  return Object.entries(inputs).some(([name, value]) => {
    const control = document.getElementById(`${demo}-${name}`)?.querySelector("textarea, input[type=number], input:checked");
    return control && lectureMatters(name, inputs) && (typeof value === "number" ? Number(control.value) : control.value) !== value;
  });
}

// Whether a list of texts stands on the page, pasted or read from a file.
function lectureListed({ demo }) {
  const [lines, told] = ["lines", "many"].map((name) => document.getElementById(`${demo}-${name}`));
  return Boolean(lines?.querySelector("textarea")?.value.trim() || told?.textContent.trim());
}

// Whether an input has an effect beside the others.
function lectureMatters(name, inputs) {
  return Object.entries(ONLY[name] ?? {}).every(([other, allowed]) => allowed.includes(inputs[other]));
}

function lectureShare(root, page) {
  const { words, qr } = page;
  const dialog = unrolledNode("dialog", { class: "share" }, root);
  const title = unrolledNode("h2", {}, dialog);
  const code = unrolledNode("div", { class: "code", role: "img" }, dialog);
  const field = unrolledNode("input", { type: "text", readOnly: "" }, dialog);
  const told = unrolledNode("p", { class: "hint", role: "status" }, dialog);
  const bar = unrolledNode("div", { class: "buttons" }, dialog);
  const buttons = { copy: button(copy), print: button(print), save: button(save), close: button(() => dialog.close()) };
  let cells = null; // the code's rows of 0 and 1
  field.addEventListener("focus", () => field.select());

  function button(run) {
    const node = unrolledNode("button", { type: "button", class: "plain" }, bar);
    node.addEventListener("click", run);
    return node;
  }

  async function open() {
    const { href, own } = lectureLink(page);
    cells = null;
    field.value = href;
    code.replaceChildren();
    const local = /^(127\.|\[::1\]|localhost)/.test(location.host);
    const far = href.length > LONGEST_LINK;
    const pending = lecturePending(page.run()) && "lecture.pending";
    const listed = lectureListed(page.run()) && "lecture.listed";
    const said = [own && "lecture.own_photo", pending, listed, far && "lecture.too_long", local && "lecture.local"].filter(Boolean);
    told.textContent = said.map((key) => words(key, { button: words(`button.run.${page.run().demo}`) })).join(" ");
    dialog.showModal();
    cells = JSON.parse(await qr(href)).rows;
    if (cells.length) code.append(lectureCode(cells));
    else told.textContent = [words("lecture.no_code"), told.textContent].join(" ");
  }

  async function copy() {
    const copied = await copyText(field.value, dialog);
    field.select();
    if (copied) told.textContent = words("lecture.copied");
  }

  const sheet = () => lectureSheet(page, field.value, cells ?? []);

  function print() {
    const frame = unrolledNode("iframe", { class: "paper", title: words("lecture.print") }, dialog);
    frame.srcdoc = sheet();
    frame.addEventListener("load", () => {
      frame.contentWindow.addEventListener("afterprint", () => frame.remove());
      frame.contentWindow.print();
    });
  }

  function save() {
    const link = unrolledNode("a", { href: URL.createObjectURL(new Blob([sheet()], { type: "text/html" })), download: `${page.run().demo}.html` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function relabel() {
    title.textContent = words("lecture.share");
    field.setAttribute("aria-label", words("lecture.link"));
    code.setAttribute("aria-label", words("lecture.code"));
    for (const [name, node] of Object.entries(buttons)) node.textContent = words(`lecture.${name}`);
  }

  relabel();
  return { open, relabel };
}

// A QR code from its rows of 0 and 1, with the quiet margin that cameras need.
function lectureCode(rows) {
  const size = rows.length + 8;
  const svg = unrolledNode("svg", { viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges" });
  unrolledNode("rect", { width: size, height: size, fill: "#fff" }, svg);
  const dark = rows.flatMap((row, y) => [...row].flatMap((cell, x) => (cell === "1" ? [`M${x + 4} ${y + 4}h1v1h-1z`] : [])));
  unrolledNode("path", { d: dark.join(""), fill: "#000" }, svg);
  return svg;
}

// ---- the handout ----------------------------------------------------------------------------

// One page of paper: result, inputs, the drawing, the link. A document of its own, without scripts;
// every text comes in as text, a long one as far as there is room.
function lectureSheet({ words, run, records, picture }, href, rows) {
  const { demo, inputs } = run();
  const paper = document.implementation.createHTMLDocument(words("lecture.sheet", { demo: words(`demo.${demo}`) }));
  paper.documentElement.lang = document.documentElement.lang;
  const put = (tag, text = null, parent = paper.body) => unrolledNode(tag, {}, parent, text);
  const meta = paper.createElement("meta");
  meta.setAttribute("charset", "utf-8");
  paper.head.prepend(meta);
  put("style", LECTURE_PAPER, paper.head);
  put("h1", paper.title);
  put("p", "hₜ = f(U·xₜ + W·hₜ₋₁)").className = "formula";
  const { photo, ...others } = inputs;
  if (photo !== undefined && run().photo) put("img").src = run().photo;
  put("h2", words("lecture.result"));
  const [verdict, told] = lectureResult(run(), records(), words);
  if (verdict) put("p", verdict).className = "verdict";
  put("p", lectureShort(told, 600, 9)).className = "result";
  const table = put("table");
  for (const [name, value] of Object.entries(others)) {
    if (Array.isArray(value) || value === "" || String(value).startsWith("data:") || !lectureMatters(name, inputs)) continue;
    const row = put("tr", null, table);
    put("th", words(WORD_OF[name] ?? `input.${name}`), row);
    put("td", words(`choice.${value}`) === `choice.${value}` ? lectureShort(String(value), 160, 3) : words(`choice.${value}`), row);
  }
  put("h2", words("lecture.drawing"));
  const figure = put("figure");
  if (document.body.classList.contains("dark")) figure.className = "night"; // paper is white
  figure.append(new DOMParser().parseFromString(picture().text, "image/svg+xml").documentElement);
  const foot = put("footer");
  if (rows.length) foot.append(lectureCode(rows));
  put("a", lectureShort(href, 300, 1), foot).href = href;
  return `<!doctype html>\n${paper.documentElement.outerHTML}`;
}

const LECTURE_PAPER = `
@page { margin: 14mm } body { font: 11pt/1.45 system-ui, sans-serif; max-width: 180mm; margin: 0 auto; color: #111 }
h1 { font-size: 18pt; margin: 0 } h2 { font-size: 12pt; margin: 5mm 0 1mm } .formula { font-style: italic; margin: 1mm 0 4mm }
th { text-align: left; font-weight: 600; padding-right: 6mm; vertical-align: top } td { white-space: pre-wrap; overflow-wrap: anywhere }
.verdict { font-size: 15pt; font-weight: 600; margin: 0 0 1mm }
.result { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12pt; margin: 0 0 3mm }
img { float: right; width: 40mm; margin-left: 5mm } figure { margin: 0 } figure svg { width: 100%; height: auto; max-height: 65mm }
.night { filter: invert(1) hue-rotate(180deg) }
footer { display: flex; gap: 5mm; align-items: center; margin-top: 4mm; font-size: 8pt; overflow-wrap: anywhere } footer svg { width: 26mm; flex: none }
footer a { color: inherit; min-width: 0 }
`;

// What came out: the verdict, if there is one, and a text or a caption after what went in.
function lectureResult({ pattern, language, names }, records, words) {
  const read = records.map(({ b = "", r = "" }) => (unrolledSpecial(r) ? "" : b + r)).join("");
  const out = records.filter(({ w }) => w !== undefined && !unrolledSpecial(w));
  const { v, w, p } = records.at(-1) ?? {};
  if (v) return [w === undefined ? "" : `${names?.[w] ? words(names[w]) : w}, ${unrolledPercent(p)}`, read];
  if (pattern === "B+") return ["", read];
  const gap = language === "en" ? " " : "";
  return ["", read + out.map((record) => record.w).join(gap)];
}

// The beginning of a text: so many characters and lines of it.
function lectureShort(text, most, lines) {
  const begun = text.slice(0, 8 * most).split("\n").slice(0, lines).join("\n");
  const short = unrolledCharacters(begun).slice(0, most).join("");
  return short === text ? text : `${short} …`;
}
