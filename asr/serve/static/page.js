"use strict";
// One file for two places: in an audio worklet it turns the microphone into PCM, in the page it does all else.
// Text reaches the page as text, never as markup, and nothing is asked of any other host.
if ("registerProcessor" in globalThis) {
  const BLOCK = 1600;
  registerProcessor("pcm", class extends AudioWorkletProcessor {
    block = new Int16Array(BLOCK);
    filled = 0;
    process([input]) {
      for (const sample of input[0] ?? []) {
        this.block[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
        if (this.filled === BLOCK) {
          this.port.postMessage(this.block.buffer, [this.block.buffer]);
          this.block = new Int16Array(BLOCK);
          this.filled = 0;
        }
      }
      return true;
    }
  });
} else {
  const byId = (id) => document.getElementById(id);
  const LARGEST_WAVE = 60e6; // bytes of a file whose waveform is drawn: it has to be decoded for that
  const BARS_PER_SECOND = 20;
  const audio = new Audio();
  const items = []; // what was transcribed in this tab
  let shown = null;
  let live = null; // the microphone, while it is open
  let token = sessionStorage.getItem("token") ?? "";

  function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function clock(seconds) {
    const whole = Math.floor(seconds), minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
    const rest = String(whole % 60).padStart(2, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  const say = (text) => { byId("status").textContent = text; };

  function complain(text) {
    byId("problem").textContent = text;
    byId("problem").hidden = !text;
    if (text) say("");
  }

  // Items

  function addItem(name) {
    const item = { name, duration: 0, segments: [], notices: [], provisional: "", peaks: [], url: null, done: false, node: element("div") };
    items.unshift(item);
    show(item);
    return item;
  }

  function show(item) {
    if (shown !== item) {
      audio.pause();
      if (item.url) audio.src = item.url; else audio.removeAttribute("src");
      byId("transcript").replaceChildren(item.node);
    }
    shown = item;
    byId("result").hidden = false;
    byId("title").textContent = item.name;
    byId("play").disabled = !item.url;
    for (const button of document.querySelectorAll("[data-format]")) button.disabled = !item.done;
    list();
    draw();
  }

  function list() {
    byId("past").hidden = items.length < 2;
    byId("list").replaceChildren(...items.map((item) => {
      const line = element("li"), button = element("button", "", item.name);
      button.type = "button";
      if (item === shown) button.setAttribute("aria-current", "true");
      const words = item.segments.reduce((sum, segment) => sum + segment.words.length, 0);
      button.append(element("small", "", `${clock(item.duration)} · ${words} words${item.done ? "" : " · at work"}`));
      button.addEventListener("click", () => show(item));
      line.append(button);
      return line;
    }));
  }

  function addSegment(item, segment) {
    item.segments.push(segment);
    const line = element("p"), text = element("span");
    line.append(element("time", "", clock(segment.start)), text);
    for (const word of segment.words) text.append(wordButton(word, !item.node.querySelector(".w")), " ");
    if (!segment.words.length) text.append(segment.text);
    item.node.querySelector(".provisional")?.remove();
    item.node.append(line);
    item.duration = Math.max(item.duration, segment.end);
    if (item === shown) list();
  }

  function setProvisional(item, text) {
    let line = item.node.querySelector(".provisional");
    if (!line) {
      line = element("p", "provisional");
      line.append(element("time", "", "…"), element("span"));
      line.setAttribute("aria-hidden", "true"); // a screen reader is told what stays
      item.node.append(line);
    }
    line.lastChild.textContent = text;
  }

  function wordButton(word, first) {
    const doubt = word.confidence >= 0.9 ? "" : word.confidence >= 0.75 ? " c1" : word.confidence >= 0.5 ? " c2" : " c3";
    const button = element("button", `w${doubt}`, word.word);
    button.type = "button";
    button.tabIndex = first ? 0 : -1;
    button.dataset.start = word.start;
    button.dataset.end = word.end;
    button.title = `${Math.round(word.confidence * 100)} % sure, at ${word.start.toFixed(1)} s`;
    return button;
  }

  function setAudio(item, blob) {
    item.url = URL.createObjectURL(blob);
    if (item === shown) { audio.src = item.url; byId("play").disabled = false; }
  }

  function finish(item, message, heard = true) {
    item.done = true;
    item.node.querySelector(".provisional")?.remove();
    if (heard && !item.segments.length && !item.node.childElementCount) item.node.append(element("p", "soft", "No speech was found."));
    say(message);
    if (item === shown) show(item);
  }

  // Files

  async function transcribeFile(file) {
    complain("");
    const item = addItem(file.name);
    setAudio(item, file);
    drawFile(item, file);
    say(`Sending ${file.name} …`);
    const form = new FormData();
    form.append("file", file);
    form.append("model", "default");
    form.append("response_format", "verbose_json");
    form.append("stream", "true");
    for (const word of keywords()) form.append("keywords[]", word);
    try {
      const response = await fetch("v1/audio/transcriptions", { method: "POST", body: form, headers: authorization() });
      if (!response.ok) throw new Error(await reason(response));
      const began = performance.now();
      for await (const event of events(response.body)) {
        if (event.error) throw new Error(event.error.message);
        if (event.type === "transcript.text.delta") {
          addSegment(item, event.segment);
          say(`${clock(item.duration)} of ${file.name} recognized …`);
        } else if (event.type === "transcript.text.done") {
          item.duration = event.duration;
          item.notices = event.notices;
        }
      }
      const notices = item.notices.map((notice) => `${file.name} ${notice}. `).join("");
      finish(item, `${notices}Done: ${clock(item.duration)} of sound in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
    } catch (error) {
      finish(item, "", false);
      complain(`${file.name}: ${error.message}`);
    }
  }

  async function reason(response) {
    if (response.status === 401) byId("access").hidden = false;
    try {
      return (await response.json()).error.message;
    } catch {
      return `the server answered ${response.status}`;
    }
  }

  const keywords = () => byId("keywords").value.split(",").map((each) => each.trim()).filter(Boolean);
  const authorization = () => (token ? { Authorization: `Bearer ${token}` } : {});

  // Server-sent events of a response's body, each a JSON object.
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (text + value).split("\n\n");
      text = parts.pop();
      for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
    }
  }

  // Microphone

  async function speak() {
    complain("");
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) {
      complain("This browser opens its microphone for pages over https, or of localhost, only.");
      return;
    }
    say("Waiting for the microphone …");
    byId("microphone").disabled = true;
    let stream;
    try {
      // The recognizer has learned from sound as it is: what cleans it for a telephone call makes it harder to read.
      const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...plain } });
      await open(stream);
    } catch (error) {
      stream?.getTracks().forEach((track) => track.stop());
      say("");
      complain(error.name === "NotAllowedError" ? "The microphone may not be used: allow it in the browser's settings of this page." : error.name === "NotFoundError" ? "There is no microphone." : error.message);
    }
    byId("microphone").disabled = false;
  }

  async function open(stream) {
    let context, source;
    try {
      context = new AudioContext({ sampleRate: 16000 });
      source = context.createMediaStreamSource(stream);
    } catch { // some browsers do not resample a microphone: then the server does
      context = new AudioContext();
      source = context.createMediaStreamSource(stream);
    }
    await context.audioWorklet.addModule("page.js");
    const node = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    const session = { stream, context, node, socket, blocks: [], item: null, ended: false };
    live = session;
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ type: "start", sample_rate: context.sampleRate, keywords: keywords(), ...(token ? { token } : {}) }));
    });
    socket.addEventListener("message", (event) => receive(session, source, JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      if (!session.ended) { close(session); complain("The connection to the server was lost."); }
    });
    byId("microphone").setAttribute("aria-pressed", "true");
    byId("microphone-label").textContent = "Stop";
  }

  function receive(session, source, message) {
    if (message.type === "ready") {
      session.item = addItem(`Microphone, ${new Date().toLocaleTimeString()}`);
      session.node.port.onmessage = ({ data }) => {
        session.blocks.push(new Int16Array(data));
        addPeaks(session.item, new Int16Array(data), session.context.sampleRate);
        if (session.socket.readyState === WebSocket.OPEN && !session.stopped) session.socket.send(data);
      };
      source.connect(session.node);
      say("Listening …");
    } else if (message.type === "provisional") {
      setProvisional(session.item, message.text);
    } else if (message.type === "segment") {
      addSegment(session.item, message);
    } else if (message.type === "error") {
      if (message.code === "invalid_api_key") byId("access").hidden = false;
      complain(message.message);
      if (!session.item) close(session);
    } else if (message.type === "done") {
      session.item.duration = message.duration;
      close(session);
    }
  }

  function stop(session) {
    session.stopped = true;
    session.node.port.onmessage = null;
    session.stream.getTracks().forEach((track) => track.stop());
    byId("microphone").setAttribute("aria-pressed", "false");
    byId("microphone-label").textContent = "Speak";
    if (session.socket.readyState === WebSocket.OPEN && session.item) {
      say("Finishing …");
      session.socket.send(JSON.stringify({ type: "stop" }));
    } else {
      close(session);
    }
  }

  function close(session) {
    if (session.ended) return;
    session.ended = true;
    if (!session.stopped) stop(session);
    live = null;
    session.socket.close();
    session.context.close();
    if (session.item) {
      setAudio(session.item, wav(session.blocks, session.context.sampleRate));
      finish(session.item, `Done: ${clock(session.item.duration)} of sound.`);
    }
  }

  // A WAV file of 16-bit mono samples.
  function wav(blocks, rate) {
    const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0);
    const head = new DataView(new ArrayBuffer(44));
    const write = (at, text) => [...text].forEach((letter, index) => head.setUint8(at + index, letter.charCodeAt(0)));
    write(0, "RIFF"); head.setUint32(4, 36 + bytes, true); write(8, "WAVEfmt "); head.setUint32(16, 16, true);
    head.setUint16(20, 1, true); head.setUint16(22, 1, true); head.setUint32(24, rate, true); head.setUint32(28, rate * 2, true);
    head.setUint16(32, 2, true); head.setUint16(34, 16, true); write(36, "data"); head.setUint32(40, bytes, true);
    return new Blob([head.buffer, ...blocks], { type: "audio/wav" });
  }

  // Waveform and player

  async function drawFile(item, file) {
    if (file.size > LARGEST_WAVE) return;
    try {
      const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await file.arrayBuffer());
      addPeaks(item, sound.getChannelData(0), sound.sampleRate);
    } catch { /* a format that this browser does not know; the server may */ }
  }

  function addPeaks(item, samples, rate) {
    const scale = samples instanceof Int16Array ? 32768 : 1, size = Math.round(rate / BARS_PER_SECOND);
    for (let start = 0; start < samples.length; start += size) {
      let peak = 0;
      for (let index = start; index < Math.min(start + size, samples.length); index++) peak = Math.max(peak, Math.abs(samples[index]));
      item.peaks.push(peak / scale);
    }
    if (item === shown) draw();
  }

  const duration = () => (Number.isFinite(audio.duration) ? audio.duration : shown?.duration ?? 0);

  function draw() {
    const canvas = byId("wave"), ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!shown || !width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const paint = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    paint.scale(ratio, ratio);
    const bars = Math.max(1, Math.floor(width / 4)), peaks = shown.peaks;
    const loudest = Math.max(0.02, peaks.reduce((most, peak) => Math.max(most, peak), 0));
    const at = duration() && shown.url ? audio.currentTime / duration() : 0;
    for (let bar = 0; bar < bars; bar++) {
      const from = Math.floor((bar * peaks.length) / bars), to = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / bars));
      let peak = 0;
      for (let index = from; index < Math.min(to, peaks.length); index++) peak = Math.max(peak, peaks[index]);
      const tall = Math.max(2, (peak / loudest) * (height - 4));
      paint.fillStyle = style.getPropertyValue(bar / bars < at ? "--accent" : "--bar");
      paint.fillRect(bar * 4, (height - tall) / 2, 3, tall);
    }
    const now = shown.url ? audio.currentTime : shown.duration;
    byId("clock").textContent = shown.url ? `${clock(now)} / ${clock(duration())}` : clock(now);
    canvas.setAttribute("aria-valuemax", duration().toFixed(1));
    canvas.setAttribute("aria-valuenow", now.toFixed(1));
    canvas.setAttribute("aria-valuetext", `${clock(now)} of ${clock(duration())}`);
  }

  function seek(seconds) {
    if (!shown?.url) return;
    audio.currentTime = Math.max(0, Math.min(seconds, duration()));
    draw();
  }

  function play() {
    audio.play().catch(() => complain("This browser cannot play this format; the transcript is right all the same."));
  }

  function follow() {
    draw();
    for (const word of shown?.node.querySelectorAll(".w") ?? []) {
      const current = audio.currentTime >= word.dataset.start && audio.currentTime < word.dataset.end && !audio.paused;
      if (current) word.setAttribute("aria-current", "true"); else word.removeAttribute("aria-current");
    }
    if (!audio.paused) requestAnimationFrame(follow);
  }

  function pointed(event) {
    const box = byId("wave").getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * duration();
  }

  async function download(form) {
    const item = shown;
    const transcript = {
      name: item.name, duration: item.duration, notices: item.notices,
      segments: item.segments.map(({ start, end, text, words }) => ({
        start, end, text, words: words.map(({ word, start, end, confidence }) => ({ text: word, start, end, confidence })),
      })),
    };
    const response = await fetch(`formats/${form}`, { method: "POST", body: JSON.stringify(transcript), headers: authorization() });
    if (!response.ok) { complain(await reason(response)); return; }
    const link = element("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = `${item.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "-") || "transcript"}.${form}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // What a person does

  byId("choose").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async ({ target }) => {
    const files = [...target.files];
    target.value = "";
    for (const file of files) await transcribeFile(file);
  });
  byId("microphone").addEventListener("click", () => (live ? stop(live) : speak()));
  byId("access").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    sessionStorage.setItem("token", token);
    byId("token").value = "";
    byId("access").hidden = true;
    complain("");
    say("The token is kept until this tab is closed. Try again.");
  });
  byId("play").addEventListener("click", () => (audio.paused ? play() : audio.pause()));
  for (const button of document.querySelectorAll("[data-format]")) button.addEventListener("click", () => download(button.dataset.format));

  byId("transcript").addEventListener("click", ({ target }) => {
    if (!target.matches("button.w")) return;
    seek(Number(target.dataset.start));
    if (shown.url) play();
  });
  byId("transcript").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !event.target.matches("button.w")) return;
    event.preventDefault();
    const words = [...shown.node.querySelectorAll("button.w")];
    const next = words[Math.max(0, Math.min(words.length - 1, words.indexOf(event.target) + step))];
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  const wave = byId("wave");
  wave.addEventListener("pointerdown", (event) => { wave.setPointerCapture(event.pointerId); seek(pointed(event)); });
  wave.addEventListener("pointermove", (event) => { if (wave.hasPointerCapture(event.pointerId)) seek(pointed(event)); });
  wave.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 2, ArrowLeft: -2, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === " ") byId("play").click(); else if (step) seek(audio.currentTime + step); else return;
    event.preventDefault();
  });
  audio.addEventListener("play", () => { byId("play").textContent = "❚❚"; byId("play").setAttribute("aria-label", "Pause"); follow(); });
  audio.addEventListener("pause", () => { byId("play").textContent = "▶"; byId("play").setAttribute("aria-label", "Play"); follow(); });
  audio.addEventListener("loadedmetadata", draw);
  new ResizeObserver(draw).observe(wave);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    for (const file of event.dataTransfer.files) await transcribeFile(file);
  });
}
