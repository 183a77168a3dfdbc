// For the hall: the presenter's view, predict before reveal, and what one takes home: the link to
// what is on the page, its QR code, a handout.
//
//   lecture         the tools above a drawing, and their keys
//   lectureQuiz     the next output behind a question mark      lectureShare  link, code and handout
//   lectureLink     the state of the page as an address         lectureSheet  a page of paper

const LONGEST_LINK = 8000; // characters; what servers and browsers take without a doubt
const SEPARATOR = "\u001f"; // between the tokens of a list in a link

function lecture(root, page) {
  const { words, act } = page;
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
  addEventListener("resize", () => requestAnimationFrame(fit));

  function onKey(event) {
    const field = event.target.closest?.("input:not([type=range], [type=radio], [type=checkbox]), textarea, select, dialog");
    if (field || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !page.visible()) return;
    const keys = { f: present };
    if (presenting()) {
      const [next, previous] = [act.next, act.previous];
      Object.assign(keys, { c: () => more("with-controls"), d: () => more("with-details"), p: act.predict, l: () => share.open(), pagedown: next, pageup: previous, arrowright: next, arrowleft: previous });
      if (event.key === "Escape" && !document.fullscreenElement) keys.escape = present;
    }
    const run = keys[event.key.toLowerCase()];
    if (!run) return;
    event.preventDefault();
    run();
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

  // The unrolled network as large as the room below the result allows.
  function fit() {
    const slot = document.getElementById(SLOT);
    if (!slot) return; // the page is still being built
    slot.style.zoom = 1;
    if (!presenting() || !page.visible()) return;
    const { top } = slot.getBoundingClientRect();
    const end = slot.querySelector(".transport").getBoundingClientRect().bottom;
    slot.style.zoom = Math.max(0.6, Math.min(1.6, (innerHeight - top - 12) / (end - top))).toFixed(3);
  }

  function draw() {
    requestAnimationFrame(fit);
    bar.hidden = !page.run();
    buttons.present.setAttribute("aria-pressed", presenting());
    buttons.predict.setAttribute("aria-pressed", page.predicting());
    for (const name of ["controls", "details"]) {
      buttons[name].hidden = !presenting();
      buttons[name].setAttribute("aria-pressed", document.body.classList.contains(`with-${name}`));
    }
  }

  function relabel() {
    bar.setAttribute("aria-label", words("lecture.tools"));
    for (const [name, node] of Object.entries(buttons)) {
      node.textContent = words(`lecture.${name}`);
      node.title = `${words(`lecture.${name}.hint`)} (${node.getAttribute("aria-keyshortcuts")})`;
    }
    share.relabel();
    draw();
  }

  relabel();
  return { draw, relabel, remember, fit: () => requestAnimationFrame(fit) };
}

// ---- predict before reveal ------------------------------------------------------------------

// What may be asked before a record is shown: {given, choices: [[name, value], …], right}, or null where
// nothing comes out. `last` is the record before it.
function lectureQuestion({ pattern, reader }, last, next, words) {
  if (next.v && reader in next.v) {
    const before = last?.v?.[reader] ?? 0.5;
    const choices = ["up", "down"].map((name) => [words(`lecture.verdict.${name}`), name]);
    return { ask: words("lecture.ask_verdict", { token: next.r ?? "" }), choices, right: next.v[reader] >= before ? "up" : "down" };
  }
  const [source, right] = pattern === "B+" ? [last, next.r] : [next, next.w];
  if (!source?.c || right === undefined) return null;
  const tokens = source.c.slice(0, 5).map(([token]) => token);
  if (!tokens.includes(right)) tokens[4] = right;
  const choices = tokens.sort().map((token) => [token, token]);
  const key = pattern === "B+" ? "lecture.ask_next" : next.r === undefined ? "lecture.ask" : "lecture.ask_read";
  return { ask: words(key, { token: unrolledToken(next.r ?? "") }), choices, right };
}

function lectureQuiz(root, { words, onGuess, named }) {
  const told = unrolledNode("p", { class: "told", role: "status" }, root);
  const ask = unrolledNode("p", { class: "ask" }, root);
  const list = unrolledNode("div", { class: "guesses" }, root);
  root.hidden = true;
  let score = { right: 0, of: 0 };

  function show(question) {
    root.hidden = false;
    lectureFill(ask, [unrolledNode("b", {}, null, "?"), ` ${question ? question.ask : words("lecture.asked_all")}`]);
    lectureFill(list, (question?.choices ?? []).map(([name, value]) => {
      const node = unrolledNode("button", { type: "button", class: "plain" }, null, value === name ? named(name) : name);
      node.addEventListener("click", () => onGuess(value));
      return node;
    }));
    if (question) unrolledNode("button", { type: "button", class: "plain reveal" }, list, words("lecture.reveal")).addEventListener("click", () => onGuess(null));
  }

  // What it was, and how the hall does.
  function tell(question, guess) {
    const name = question.choices.find(([, value]) => value === question.right)?.[0] ?? question.right;
    const values = { token: name === question.right ? named(name) : name };
    if (guess === null) return void (told.textContent = words("lecture.was", values));
    score = { right: score.right + (guess === question.right), of: score.of + 1 };
    const key = guess === question.right ? "lecture.right" : "lecture.wrong";
    told.textContent = `${words(key, values)} ${words("lecture.score", score)}`;
  }

  function hide() {
    root.hidden = true;
    told.textContent = "";
    score = { right: 0, of: 0 };
  }

  return { show, tell, hide };
}

function lectureFill(node, children) {
  node.replaceChildren(...children);
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
    told.textContent = [own && "lecture.own_photo", far && "lecture.too_long", local && "lecture.local"].filter(Boolean).map((key) => words(key)).join(" ");
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

// One page of paper: inputs, result, the drawing, the link. A document of its own, without scripts;
// every text comes in as text.
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
  const table = put("table");
  for (const [name, value] of Object.entries(others)) {
    if (Array.isArray(value) || value === "" || String(value).startsWith("data:")) continue;
    const row = put("tr", null, table);
    put("th", words(WORD_OF[name] ?? `input.${name}`), row);
    put("td", words(`choice.${value}`) === `choice.${value}` ? String(value) : words(`choice.${value}`), row);
  }
  put("h2", words("lecture.result"));
  put("p", lectureResult(run(), records())).className = "result";
  put("h2", words("lecture.drawing"));
  put("figure").append(new DOMParser().parseFromString(picture().text, "image/svg+xml").documentElement);
  const foot = put("footer");
  if (rows.length) foot.append(lectureCode(rows));
  put("p", href, foot);
  return `<!doctype html>\n${paper.documentElement.outerHTML}`;
}

const LECTURE_PAPER = `
@page { margin: 14mm } body { font: 11pt/1.45 system-ui, sans-serif; max-width: 180mm; margin: 0 auto; color: #111 }
h1 { font-size: 18pt; margin: 0 } h2 { font-size: 12pt; margin: 5mm 0 1mm } .formula { font-style: italic; margin: 1mm 0 4mm }
th { text-align: left; font-weight: 600; padding-right: 6mm; vertical-align: top } td { white-space: pre-wrap; overflow-wrap: anywhere }
.result { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12pt; max-height: 70mm; overflow: hidden }
img { float: right; width: 45mm } figure { margin: 0 } figure svg { width: 100%; height: auto; max-height: 90mm }
footer { display: flex; gap: 5mm; align-items: center; margin-top: 5mm; font-size: 8pt; overflow-wrap: anywhere } footer svg { width: 32mm; flex: none }
`;

// What came out, after what went in: a text, a caption or a verdict.
function lectureResult({ pattern, language, reader }, records) {
  const read = records.map(({ b = "", r = "" }) => (unrolledSpecial(r) ? "" : b + r)).join("");
  const out = records.filter(({ w }) => w !== undefined && !unrolledSpecial(w));
  if (records.at(-1)?.v) return `${read}\n→ ${out.at(-1)?.w ?? ""} ${unrolledPercent(records.at(-1).v[reader] ?? 0)}`;
  if (pattern === "B+") return read;
  const gap = language === "en" ? " " : "";
  return read + out.map(({ w }) => w).join(gap);
}
