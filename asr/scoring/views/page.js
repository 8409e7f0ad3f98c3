"use strict";
// The page shows what the report computed; nothing is scored here. Text reaches the page as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [ID, SPEAKER, REFERENCE, HYPOTHESIS, OPERATIONS, DURATION, AUDIO, TIMES, OFFSET, WAVE,
    BASE_HYPOTHESIS, BASE_OPERATIONS, BASE_TIMES] = Array(13).keys();
  const LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
  let pattern = null; // an error picked from the lists of words: {kind, reference, hypothesis, label}
  let linked = null; // the one utterance that the address names

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
    chosen = linked ? [linked] : utterances.filter((u) =>
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
    byId("picked").hidden = !pattern && !linked;
    if (pattern || linked) byId("picked").firstElementChild.textContent = linked ? linked.id : pattern.label;
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
    const link = element("a", "link", "#");
    link.href = `#${encodeURIComponent(u.id)}`;
    link.setAttribute("aria-label", `link to ${u.id}`);
    name.append(open, link);
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

  // One running line: right words plain, errors colored, the reference struck through before the hypothesis.
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
    let player = null;
    if (u.item[AUDIO]) {
      player = element("audio");
      player.controls = true;
      player.preload = "none";
      player.src = u.item[AUDIO];
      player.setAttribute("aria-label", `recording of ${u.id}`);
      cell.append(player);
    }
    const hear = player ? (start, end) => play(player, u.item[OFFSET] + start, u.item[OFFSET] + end) : null;
    if (u.item[WAVE]) cell.append(waveform(u.item, hear));
    if (data.baseline) cell.append(element("h3", "", data.system));
    cell.append(aligned(u.item[REFERENCE], u.item[HYPOTHESIS], u.item[OPERATIONS], u.item[TIMES], hear));
    if (data.baseline) {
      cell.append(element("h3", "", data.baseline));
      cell.append(aligned(u.item[REFERENCE], u.item[BASE_HYPOTHESIS], u.item[BASE_OPERATIONS], u.item[BASE_TIMES], hear));
    }
    detail.append(cell);
    tr.after(detail);
  }

  let playing = 0;
  // Only from one moment to another: a recording says four times a second where it is, which is too seldom for a word.
  function play(player, from, to) {
    const turn = ++playing;
    const watch = () => {
      if (turn !== playing) return;
      if (player.currentTime >= to || player.ended) player.pause(); else requestAnimationFrame(watch);
    };
    const start = () => { player.currentTime = from; player.play().then(watch, () => {}); };
    if (player.readyState > 0) start();
    else { player.addEventListener("loadedmetadata", start, { once: true }); player.load(); }
  }

  function word(text, className, start, end, hear) {
    const node = element(hear ? "button" : "span", className, text);
    if (hear) {
      node.type = "button";
      node.classList.add("hear");
      node.title = `${text}: ${start.toFixed(2)} to ${end.toFixed(2)} s`;
      node.addEventListener("click", () => hear(start, Math.max(end, start + 0.15)));
    }
    return node;
  }

  // The loudness over time, and under it the words of both sides where the hypothesis has them.
  function waveform(item, hear) {
    const [letters, seconds] = item[WAVE], times = item[TIMES];
    const box = element("div", "wave"), inner = element("div", "inner"), canvas = element("canvas");
    canvas.width = 960; canvas.height = 96;
    const pen = canvas.getContext("2d"), step = canvas.width / letters.length;
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--bar");
    [...letters].forEach((letter, index) => {
      const height = Math.max(2, LEVELS.indexOf(letter) / 63 * canvas.height);
      pen.fillRect(index * step, (canvas.height - height) / 2, step * 0.8, height);
    });
    inner.append(canvas);
    if (hear) {
      canvas.addEventListener("click", (event) => hear(event.offsetX / canvas.clientWidth * seconds, seconds));
      canvas.title = "play from here";
    }
    if (times) {
      inner.style.width = `${Math.round(seconds * 110)}px`;
      const rows = [element("div", "words-at"), element("div", "words-at")];
      for (const [side, text, letter, start, end] of placed(item, times, seconds)) {
        const node = word(text, letter === "C" ? "" : letter.toLowerCase(), start, end, hear);
        node.style.left = `${start / seconds * 100}%`;
        node.style.width = `${Math.max(end - start, 0.05) / seconds * 100}%`;
        rows[side].append(node);
      }
      inner.append(...rows);
    }
    box.append(inner);
    return box;
  }

  // Words with their bounds: those of the reference stand where their columns do, deleted ones in the gap between.
  function placed(item, times, seconds) {
    const found = [], all = columns(item[REFERENCE], item[HYPOTHESIS], item[OPERATIONS]);
    let place = 0, last = 0, gap = [];
    const fill = (next) => {
      gap.forEach((text, index) => {
        const step = Math.max(next - last, 0.1) / gap.length;
        found.push([0, text, "D", last + index * step, last + (index + 1) * step]);
      });
      gap = [];
    };
    for (const [letter, left, right] of all) {
      if (letter === "D") { gap.push(left); continue; }
      const start = times[2 * place], end = times[2 * place + 1];
      place++;
      fill(start);
      if (left !== null) found.push([0, left, letter, start, end]);
      found.push([1, right, letter, start, end]);
      last = end;
    }
    fill(seconds);
    return found;
  }

  function aligned(reference, hypothesis, operations, times, hear) {
    let place = 0;
    const box = element("div", "aligned");
    box.dir = "auto";
    const lead = element("span", "lead");
    lead.append(element("span", "", "ref"), element("span", "", "hyp"));
    box.append(lead);
    for (const [letter, left, right] of columns(reference, hypothesis, operations)) {
      const column = element("span", letter.toLowerCase());
      column.append(
        element("span", left === null ? "gap" : "", left ?? "·"),
        right === null ? element("span", "gap", "·")
          : times ? word(right, "", ...times.slice(2 * place, 2 * ++place), hear) : element("span", "", right),
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
      linked = null;
      choose();
      byId("utterances").scrollIntoView();
    });
  }

  let timer = 0;
  byId("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => { linked = null; choose(); }, 60); });
  for (const id of ["kind", "speaker", "change"]) byId(id)?.addEventListener("change", () => { linked = null; choose(); });
  byId("more").firstElementChild.addEventListener("click", more);
  byId("picked").lastElementChild.addEventListener("click", () => {
    pattern = null;
    if (linked) history.replaceState(null, "", location.pathname + location.search);
    linked = null;
    choose();
  });

  // #id in the address shows that utterance, opened.
  function follow() {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { return false; }
    const found = name && utterances.find((u) => u.id === name);
    if (!found) return false;
    linked = found;
    choose();
    body.querySelector(".open").click();
    byId("utterances").scrollIntoView();
    return true;
  }
  window.addEventListener("hashchange", follow);

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

  if (!follow()) choose();
})();
