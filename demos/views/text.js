// The text that a network reads and writes, one element a token, coloured by its probability,
// and beside it what else could have stood at the selected place.

function textView(root, { words, onSelect, onBranch }) {
  const FULL = 8; // bits of surprise at which the colour is full
  const MARKS = { "\n": "↵\n", "\t": "⇥\t" };
  const page = make("div", "page", root);
  const status = make("p", "status", root);
  const legend = make("p", "legend", root);
  const goOn = make("button", "go-on", root);
  const choices = make("section", "choices", root);
  let header = null;
  let steps = [];
  let items = []; // {t, role, token, node}: what stands on the page, in order
  let selected = -1; // index into items
  let finished = true;

  page.tabIndex = 0;
  page.setAttribute("role", "listbox");
  page.addEventListener("click", (e) => pick(Number(e.target.closest("[data-i]")?.dataset.i ?? -1)));
  page.addEventListener("keydown", onKey);
  goOn.type = "button";
  goOn.addEventListener("click", () => onBranch(written(steps.length), chosen(steps.length)));

  function make(tag, name, parent) {
    const node = parent.appendChild(document.createElement(tag));
    node.className = name;
    return node;
  }

  const aligned = () => header?.pattern === "B+";
  const percent = (p) => (p >= 0.0995 ? `${Math.round(100 * p)} %` : `${(100 * p).toPrecision(2)} %`);
  const shown = (token) => ({ "\n": "↵", " ": "␣", "\t": "⇥", "": "∅" })[token] ?? token;
  const special = (token) => token.length > 2 && token.startsWith("[") && token.endsWith("]");

  // ---- the page -------------------------------------------------------------------------

  function put(t, role, token, bits) {
    const node = make("span", "token", page);
    node.dataset.i = items.length;
    node.dataset.role = role;
    node.id = `${page.id}-${items.length}`;
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", "false");
    if (special(token)) node.dataset.special = "";
    if (bits !== null) node.style.setProperty("--surprise", Math.min(bits / FULL, 1).toFixed(3));
    node.textContent = special(token) ? token.slice(1, -1) : (MARKS[token] ?? token);
    items.push({ t, role, token, bits, node });
    name(node);
  }

  // What has no ink of its own has a name for those who cannot see the gap.
  function name(node) {
    if (/^[\s\p{C}]*$/u.test(node.textContent)) node.setAttribute("aria-label", words("text.blank"));
  }

  function add(step) {
    const t = steps.push(step) - 1;
    if (step.r !== undefined) put(t, "read", step.r, aligned() ? (step.s ?? null) : null);
    if (step.w !== undefined && !aligned()) {
      put(t, step.x ? "chosen" : "written", step.w, -Math.log2(Math.max(step.p, 1e-9)));
    }
  }

  // The tokens written before tick `end`, as the network needs them to go on from there.
  const written = (end) => steps.slice(0, end).flatMap((s) => (s.w === undefined ? [] : [s.w]));
  const chosen = (end) =>
    steps.slice(0, end).filter((s) => s.w !== undefined).flatMap((s, place) => (s.x ? [place] : []));

  function measure() {
    const bits = items.filter((item) => item.bits !== null).map((item) => item.bits);
    if (!bits.length) return "";
    const mean = (bits.reduce((a, b) => a + b, 0) / bits.length).toFixed(2);
    const card = header.card_bits ? words("text.card", { bits: header.card_bits.toFixed(2) }) : "";
    const key = aligned() ? "text.mean_read" : "text.mean_written";
    return `${words(key, { count: bits.length, bits: mean })} ${card}`;
  }

  // ---- selecting ------------------------------------------------------------------------

  function pick(i, quiet = false) {
    if (!items[i]) return;
    items[selected]?.node.setAttribute("aria-selected", "false");
    selected = i;
    items[i].node.setAttribute("aria-selected", "true");
    page.setAttribute("aria-activedescendant", items[i].node.id);
    items[i].node.scrollIntoView({ block: "nearest" });
    showChoices();
    if (!quiet) onSelect(items[i].t);
  }

  function onKey(event) {
    const to = {
      ArrowLeft: selected - 1, ArrowRight: selected + 1, Home: 0, End: items.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    pick(Math.max(0, Math.min(items.length - 1, to)));
  }

  // What was expected at an item: by its own tick if it was written there, else by the one before.
  const source = (item) => (item.role === "read" ? item.t - 1 : item.t);

  function showChoices() {
    choices.replaceChildren();
    const item = items[selected];
    const step = item && steps[source(item)];
    make("h2", "", choices).textContent = item ? title(item) : words("text.pick");
    if (!step?.c) {
      if (item) make("p", "hint", choices).textContent = words("text.no_belief");
      return;
    }
    const list = make("ol", "", choices);
    step.c.forEach((candidate) => list.append(choice(item, candidate)));
    const rare = !step.c.some(([token]) => token === item.token) && item.bits !== null;
    if (rare) list.append(choice(item, [item.token, 2 ** -item.bits, 2 ** -item.bits]));
    const hint = item.role === "read" ? "text.hint_read" : "text.hint_written";
    make("p", "hint", choices).textContent = words(hint);
  }

  function title(item) {
    const values = { token: shown(item.token), tick: item.t + 1 };
    if (item.role === "chosen") return words("text.title_chosen", values);
    return words(item.role === "read" ? "text.title_read" : "text.title_written", values);
  }

  function choice(item, [token, probability, chance]) {
    const row = document.createElement("li");
    const button = make(item.role === "read" ? "div" : "button", "choice", row);
    button.style.setProperty("--p", probability);
    button.style.setProperty("--q", item.role === "read" ? probability : chance);
    button.dataset.token = token;
    button.dataset.probability = probability;
    if (token === item.token) button.dataset.here = "";
    make("b", "", button).textContent = shown(token);
    make("i", "", button);
    make("span", "", button).textContent = percent(probability);
    if (item.role !== "read") {
      button.type = "button";
      button.title = words("text.chance", { chance: percent(chance) });
      button.addEventListener("click", () => branch(item, token));
    }
    return row;
  }

  function branch(item, token) {
    const before = written(item.t);
    onBranch([...before, token], [...chosen(item.t), before.length]);
  }

  // ---- from outside ---------------------------------------------------------------------

  function reset(next) {
    header = next;
    steps = [];
    items = [];
    selected = -1;
    finished = false;
    page.id = `page-${next.run}`;
    page.replaceChildren();
    relabel();
  }

  function append(records) {
    const atEnd = !items.length || page.scrollHeight - page.scrollTop - page.clientHeight < 40;
    records.forEach(add);
    status.textContent = measure();
    if (atEnd) requestAnimationFrame(() => (page.scrollTop = page.scrollHeight)); // once the page is laid out anyway
  }

  function done() {
    finished = true;
    relabel();
  }

  function select(t) {
    const i = items.findLastIndex((item) => item.t === t);
    if (i >= 0 && i !== selected) pick(i, true);
  }

  // Colour the text by the value of one unit, from −1 to 1, as it was when each token passed.
  function follow(values) {
    page.classList.toggle("following", values !== null);
    items.forEach(({ t, node }) => {
      if (values !== null && t < values.length) node.style.setProperty("--unit", values[t].toFixed(3));
    });
  }

  function relabel() {
    page.setAttribute("aria-label", words("text.page"));
    items.forEach(({ node }) => name(node));
    legend.textContent = words(aligned() ? "text.legend_read" : "text.legend_written");
    goOn.textContent = words("text.go_on");
    goOn.hidden = !finished || aligned() || !steps.length || steps.at(-1).w === "[完]";
    root.hidden = header === null;
    status.textContent = header ? measure() : "";
    showChoices();
  }

  relabel();
  return { reset, append, done, select, follow, relabel };
}
