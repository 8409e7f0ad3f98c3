"use strict";
// The page shows what the report computed; nothing is scored here. Text reaches the page as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [ID, SPEAKER, REFERENCE, HYPOTHESIS, OPERATIONS, DURATION, AUDIO, BASE_HYPOTHESIS, BASE_OPERATIONS] = Array(9).keys();
  const PAGE = 50;
  const body = document.querySelector("#rows");
  const byId = (id) => document.getElementById(id);

  function count(operations) {
    let s = 0, d = 0, i = 0;
    for (let index = 0; index < operations.length; index++) {
      const letter = operations.charCodeAt(index);
      if (letter === 83) s++; else if (letter === 68) d++; else if (letter === 73) i++;
    }
    return { s, d, i, errors: s + d + i, words: operations.length - i };
  }

  const utterances = data.utterances.map((item) => {
    const counts = count(item[OPERATIONS]);
    const base = item[BASE_OPERATIONS] === undefined ? counts.errors : count(item[BASE_OPERATIONS]).errors;
    return {
      ...counts, item,
      id: item[ID],
      rate: counts.errors / Math.max(counts.words, 1),
      difference: counts.errors - base,
      duration: item[DURATION] ?? -1,
    };
  });

  // What the search looks at, made when it is first asked for.
  const searched = (u) => u.text ??= [ID, SPEAKER, REFERENCE, HYPOTHESIS, BASE_HYPOTHESIS]
    .map((field) => u.item[field] ?? "").join("\n").toLowerCase();

  let order = { key: "errors", descending: true };
  let chosen = [];
  let shown = 0;
  let pattern = null; // an error picked from the lists of words: {kind, reference, hypothesis}

  function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // Columns of an alignment: the letter of the operation, the reference word, the hypothesis word.
  function columns(reference, hypothesis, operations) {
    const left = reference ? reference.split(" ") : [], right = hypothesis ? hypothesis.split(" ") : [];
    let i = 0, j = 0;
    return [...operations].map((letter) => [letter, letter === "I" ? null : left[i++], letter === "D" ? null : right[j++]]);
  }

  function hasPattern(item) {
    return columns(item[REFERENCE], item[HYPOTHESIS], item[OPERATIONS]).some(([letter, reference, hypothesis]) =>
      (pattern.kind === "W" ? letter === "S" || letter === "D" : letter === pattern.kind) &&
      (pattern.reference === undefined || reference === pattern.reference) &&
      (pattern.hypothesis === undefined || hypothesis === pattern.hypothesis));
  }

  function choose() {
    const needle = byId("search").value.trim().toLowerCase();
    const kind = byId("kind").value;
    const speaker = byId("speaker") ? byId("speaker").value : "";
    const change = byId("change") ? byId("change").value : "";
    chosen = utterances.filter((u) =>
      (!needle || searched(u).includes(needle)) &&
      (!kind || (kind === "none" ? !u.errors : kind === "any" ? u.errors : u[kind])) &&
      (!speaker || u.item[SPEAKER] === speaker) &&
      (!change || (change === "better" ? u.difference < 0 : change === "worse" ? u.difference > 0 : u.item[HYPOTHESIS] !== u.item[BASE_HYPOTHESIS])) &&
      (!pattern || hasPattern(u.item)));
    const sign = order.descending ? -1 : 1, key = order.key;
    chosen.sort((a, b) => {
      const first = a[key], second = b[key];
      const compared = typeof first === "string" ? (first < second ? -1 : first > second ? 1 : 0) : first - second;
      return sign * compared || b.rate - a.rate || (a.id < b.id ? -1 : 1);
    });
    body.replaceChildren();
    shown = 0;
    more();
    byId("count").textContent = `${chosen.length.toLocaleString("en")} of ${utterances.length.toLocaleString("en")} utterances`;
    byId("picked").hidden = !pattern;
    if (pattern) byId("picked").firstElementChild.textContent = pattern.label;
  }

  function more() {
    const part = document.createDocumentFragment();
    for (const u of chosen.slice(shown, shown + PAGE)) part.append(row(u));
    body.append(part);
    shown = Math.min(shown + PAGE, chosen.length);
    byId("more").hidden = shown >= chosen.length;
  }

  function row(u) {
    const tr = element("tr", "row");
    const name = element("td", "wide");
    const open = element("button", "open", u.id);
    open.type = "button";
    open.setAttribute("aria-expanded", "false");
    open.addEventListener("click", () => toggle(u, tr, open));
    name.append(open);
    const facts = [u.item[SPEAKER] == null ? "" : `speaker ${u.item[SPEAKER]}`, u.duration >= 0 ? `${u.duration.toFixed(1)} s` : ""];
    if (facts.some(Boolean)) name.append(element("span", "who", facts.filter(Boolean).join(" · ")));
    tr.append(name, number(u.errors, "errors"), number(`${(u.rate * 100).toFixed(0)} %`, "WER"));
    if (data.baseline) {
      const cell = number(u.difference > 0 ? `+${u.difference}` : u.difference < 0 ? `−${-u.difference}` : "0", `against ${data.baseline}`);
      if (u.difference) cell.classList.add(u.difference < 0 ? "better" : "worse");
      tr.append(cell);
    }
    const text = element("td", "text wide");
    text.dir = "auto";
    text.append(...inline(u.item[REFERENCE], u.item[HYPOTHESIS], u.item[OPERATIONS]));
    tr.append(text);
    return tr;
  }

  function number(value, label) {
    const cell = element("td", "n", value);
    cell.dataset.label = label;
    return cell;
  }

  // One running line: right words plain, errors colored, the reference struck through before what was heard.
  function inline(reference, hypothesis, operations) {
    const nodes = [];
    for (const [letter, left, right] of columns(reference, hypothesis, operations)) {
      if (letter === "C") { nodes.push(`${left} `); continue; }
      const mark = element("span", letter.toLowerCase());
      if (letter === "S") mark.append(element("del", "", left), element("ins", "", right));
      else mark.textContent = letter === "D" ? left : right;
      nodes.push(mark, " ");
    }
    return nodes.length ? nodes : [element("span", "soft", "(empty)")];
  }

  function toggle(u, tr, open) {
    const opened = open.getAttribute("aria-expanded") === "true";
    open.setAttribute("aria-expanded", String(!opened));
    if (opened) { tr.nextElementSibling.remove(); return; }
    const detail = element("tr", "detail");
    const cell = element("td");
    cell.colSpan = tr.children.length;
    const facts = element("p", "facts");
    for (const fact of [`${u.words} words`, `${u.s} substituted`, `${u.d} deleted`, `${u.i} inserted`]) facts.append(element("span", "", fact));
    cell.append(facts);
    const source = data.embedded[u.id] ?? u.item[AUDIO];
    if (source) {
      const player = element("audio");
      player.controls = true;
      player.preload = "none";
      player.src = source;
      player.setAttribute("aria-label", `recording of ${u.id}`);
      cell.append(player);
    }
    if (data.baseline) cell.append(element("h3", "", data.system));
    cell.append(aligned(u.item[REFERENCE], u.item[HYPOTHESIS], u.item[OPERATIONS]));
    if (data.baseline) cell.append(element("h3", "", data.baseline), aligned(u.item[REFERENCE], u.item[BASE_HYPOTHESIS], u.item[BASE_OPERATIONS]));
    detail.append(cell);
    tr.after(detail);
  }

  function aligned(reference, hypothesis, operations) {
    const box = element("div", "aligned");
    box.dir = "auto";
    const lead = element("span", "lead");
    lead.append(element("span", "", "said"), element("span", "", "heard"));
    box.append(lead);
    for (const [letter, left, right] of columns(reference, hypothesis, operations)) {
      const column = element("span", letter.toLowerCase());
      column.append(
        element("span", left === null ? "gap" : "", left ?? "·"),
        element("span", right === null ? "gap" : "", right ?? "·"),
        element("small", "", letter === "C" ? "" : letter));
      box.append(column);
    }
    return box;
  }

  for (const button of document.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const key = button.dataset.key;
      order = { key, descending: order.key === key ? !order.descending : key !== "id" };
      for (const th of document.querySelectorAll("thead th")) th.removeAttribute("aria-sort");
      button.parentElement.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
      choose();
    });
  }

  for (const button of document.querySelectorAll(".words button")) {
    button.addEventListener("click", () => {
      const { kind, reference, hypothesis } = button.dataset;
      pattern = { kind, reference, hypothesis, label: button.firstElementChild.textContent };
      choose();
      byId("utterances").scrollIntoView();
    });
  }

  let timer = 0;
  byId("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(choose, 60); });
  for (const id of ["kind", "speaker", "change"]) byId(id)?.addEventListener("change", choose);
  byId("more").firstElementChild.addEventListener("click", more);
  byId("picked").lastElementChild.addEventListener("click", () => { pattern = null; choose(); });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      byId("search").focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && document.activeElement.classList.contains("open")) {
      const buttons = [...document.querySelectorAll(".open")];
      const next = buttons[buttons.indexOf(document.activeElement) + step];
      if (next) { event.preventDefault(); next.focus(); }
    }
  });

  choose();
})();
