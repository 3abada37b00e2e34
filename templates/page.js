// Keeps pm's page up to date, by one stream of events. What it shows is text and never markup; without it the page
// shows the same and is loaded again and again. The words are those of src/reactor/control/page/words.rs.
"use strict";

(() => {
  const LINES_MAX = 2000;
  const LINES_FIRST = 200;
  const LINE_CHARACTERS_MAX = 16000;
  const SAMPLES_MAX = 60;
  const DEATHS_MAX = 5;
  const RETRY_MS = 1000;
  const SAID_EVERY_MS = 1000;
  const NOTHING = "–";
  const SHAPES = { ready: "●", starting: "◐", stopping: "◐", killing: "◐", backoff: "○", given_up: "✕", idle: "◌" };
  const SVG = "http://www.w3.org/2000/svg";

  const byId = (id) => document.getElementById(id);
  const make = (name, properties = {}, ...children) => {
    const element = document.createElement(name);
    Object.assign(element, properties);
    element.append(...children);
    return element;
  };
  const write = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const body = document.body;
  const table = byId("slots");
  const pane = byId("log");
  const search = byId("search");
  const follow = byId("follow");

  // By the name of a slot: its status, its row, its cells, what it used lately.
  const slots = new Map();
  let run = body.dataset.run;
  let log = body.dataset.log;
  let lastLine = Number(body.dataset.last);
  let startedAt = null;
  // What the clock of pm is ahead of this one.
  let ahead = 0;
  let source = null;
  let retry = null;

  // ---- Words

  const now = () => Date.now() + ahead;

  const time = (milliseconds) => {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor(seconds / 3600) % 24;
    const minutes = Math.floor(seconds / 60) % 60;
    if (days) return `${days}d ${hours}h`;
    if (hours) return `${hours}h ${minutes}m`;
    if (minutes) return `${minutes}m ${seconds % 60}s`;
    return `${seconds}s`;
  };
  const cores = (value) => `${(value * 100).toFixed(1)} %`;
  const bytes = (value) => {
    const megabytes = value / 1e6;
    if (megabytes >= 1000) return `${(megabytes / 1000).toFixed(1)} GB`;
    return megabytes >= 10 ? `${megabytes.toFixed(0)} MB` : `${megabytes.toFixed(1)} MB`;
  };
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const isInTrouble = (slot) => slot.phase === "backoff" || slot.phase === "given_up";

  const phase = (slot) => {
    if (slot.phase === "backoff" && slot.next_try_at) {
      return `backoff, next try in ${time(Date.parse(slot.next_try_at) - now() + 1000)}`;
    }
    if (slot.phase === "given_up") return "gave up";
    if (slot.phase !== "idle") return slot.phase;
    if (slot.wanted === "ended") return "ended";
    if (slot.wanted === "up" && slot.waits_for.length) return `waits for ${slot.waits_for.join(", ")}`;
    return "stopped";
  };
  const briefly = (death, name) => {
    const words = death.words.startsWith(name) ? death.words.slice(name.length).trimStart() : death.words;
    return words.split(";")[0];
  };
  const lastDeath = (slot) => {
    const death = slot.last_death;
    if (!death) return NOTHING;
    return `${briefly(death, slot.slot)}, ${time(now() - Date.parse(death.at))} ago`;
  };

  // What a terminal would take for colours and moves (ECMA-48), and what no screen shows.
  // deno-lint-ignore no-control-regex
  const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b.|$)|[ -/]+[0-~]|.|$)|[\x00-\x08\x0a-\x1f\x7f-\x9f]/gsu;
  const plain = (text) => {
    const line = text.replace(ESCAPES, "");
    return line.length > LINE_CHARACTERS_MAX ? `${line.slice(0, LINE_CHARACTERS_MAX)}…` : line;
  };

  // ---- Slots

  const cellsOf = (row) => ({
    shape: row.querySelector(".shape"),
    phase: row.querySelector(".phase .words"),
    port: row.querySelector(".port"),
    pid: row.querySelector(".pid"),
    up: row.querySelector(".up"),
    restarts: row.querySelector(".restarts"),
    cpu: row.querySelector(".cpu .words"),
    cpuLine: row.querySelector(".cpu polyline"),
    memory: row.querySelector(".memory .words"),
    memoryLine: row.querySelector(".memory polyline"),
    death: row.querySelector(".death .words"),
    why: row.querySelector(".why"),
  });

  const makeSpark = () => {
    const spark = document.createElementNS(SVG, "svg");
    for (
      const [name, value] of [["class", "spark"], ["viewBox", "0 0 60 20"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]
    ) spark.setAttribute(name, value);
    spark.append(document.createElementNS(SVG, "polyline"));
    return spark;
  };

  const makeRow = (name) => {
    const cell = (label, className, ...children) => {
      const made = make("td", { className }, ...children);
      made.setAttribute("role", "cell");
      made.dataset.label = label;
      return made;
    };
    const words = (className = "words") => make("span", { className });
    const shape = words("shape");
    shape.setAttribute("aria-hidden", "true");
    const link = make("a", { className: "log-of", href: `/?log=${encodeURIComponent(name)}#log`, textContent: name });
    link.dataset.log = name;
    const head = make("th", { scope: "row" }, link);
    head.setAttribute("role", "rowheader");
    head.dataset.label = "Slot";
    const hidden = make("span", { className: "hidden", textContent: ` ${name}` });
    const why = make("a", { className: "why", href: `/?why=${encodeURIComponent(name)}` }, "Why", hidden);
    why.setAttribute("aria-expanded", "false");
    const row = make(
      "tr",
      {},
      head,
      cell("Phase", "phase", shape, " ", words()),
      cell("Port", "number port"),
      cell("PID", "number pid"),
      cell("Up", "number up"),
      cell("Restarts", "number restarts"),
      cell("CPU", "number cpu", makeSpark(), words()),
      cell("Memory", "number memory", makeSpark(), words()),
      cell("Last death", "death", make("div", { className: "cause" }, words(), " ", why)),
    );
    row.setAttribute("role", "row");
    row.dataset.slot = name;
    return row;
  };

  const known = (name) => {
    let slot = slots.get(name);
    if (!slot) {
      const found = [...table.rows].find((row) => row.dataset.slot === name);
      const row = found ?? makeRow(name);
      if (!found) table.append(row);
      slot = { row, cells: cellsOf(row), status: null, sample: null, cpu: [], memory: [] };
      slot.cells.why.setAttribute("role", "button");
      slots.set(name, slot);
    }
    return slot;
  };

  // What changes with time alone.
  const writeTimes = ({ status, cells }) => {
    const isUp = status.phase === "ready" && status.worker;
    write(cells.up, isUp ? time(now() - Date.parse(status.worker.started_at)) : NOTHING);
    write(cells.phase, phase(status));
    write(cells.death, lastDeath(status));
  };

  const writeSlot = (status) => {
    const slot = known(status.slot);
    const before = slot.status;
    slot.status = status;
    const { row, cells } = slot;
    row.dataset.phase = status.phase;
    write(cells.shape, SHAPES[status.phase] ?? "?");
    write(cells.port, status.port === null ? NOTHING : String(status.port));
    write(cells.pid, String(status.worker?.pid ?? NOTHING));
    write(cells.restarts, String(status.restarts));
    cells.why.hidden = !status.last_death;
    writeTimes(slot);
    const generation = status.worker?.generation;
    if (slot.sample && slot.sample.generation !== generation) {
      slot.sample = null;
      write(cells.cpu, NOTHING);
      write(cells.memory, NOTHING);
    }
    const isNewDeath = status.last_death && status.last_death.generation !== before?.last_death?.generation;
    if (before && isNewDeath) {
      say(`${status.slot} ${briefly(status.last_death, status.slot)}`);
      const open = deathsOf(status.slot);
      if (open) explain(status.slot);
    } else if (before && before.phase !== "ready" && status.phase === "ready") {
      say(`${status.slot} is ready`);
    }
    return slot;
  };

  const ICON = (colour) =>
    `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23${colour}'/%3E%3C/svg%3E`;

  const writeSummary = () => {
    const all = [...slots.values()].map((slot) => slot.status).filter(Boolean);
    const wanted = all.filter((slot) => slot.wanted === "up");
    const ready = wanted.filter((slot) => slot.phase === "ready").length;
    const trouble = all.filter(isInTrouble).length;
    write(byId("ready"), `${ready} of ${wanted.length} ready`);
    const { name } = body.dataset;
    const title = trouble ? `(${trouble}) ${name} - pm` : `${name} - pm`;
    if (document.title !== title) document.title = title;
    const icon = ICON(trouble ? "c62828" : ready < wanted.length ? "b26a00" : "2e7d32");
    if (byId("icon").getAttribute("href") !== icon) byId("icon").setAttribute("href", icon);
  };

  const onStatus = (status) => {
    // Another pm has taken the place of the one that this page is of.
    // In an attribute the end of a line is always one character.
    const plan = (status.pm.plan ?? "no file").replace(/\r\n?/g, "\n");
    const isSame = status.pm.version === body.dataset.version && plan === body.dataset.plan;
    if (!isSame) return location.reload();
    ahead = Date.parse(status.now) - Date.now();
    startedAt = Date.parse(status.pm.started_at);
    if (String(startedAt) !== run) {
      run = String(startedAt);
      for (const slot of slots.values()) Object.assign(slot, { sample: null, cpu: [], memory: [], status: null });
      // Its lines are numbered from 1 again, and this stream leaves out those before the last one of the other run.
      lastLine = 0;
      clearLog();
      connect();
    }
    const there = new Set(status.slots.map((slot) => slot.slot));
    for (const [name, slot] of slots) {
      if (there.has(name)) continue;
      slot.row.remove();
      deathsOf(name)?.remove();
      slots.delete(name);
    }
    for (const row of [...table.rows]) {
      if (row.dataset.slot && !there.has(row.dataset.slot)) row.remove();
    }
    const rows = status.slots.map((slot) => writeSlot(slot).row);
    // A row that stays in its place keeps the focus.
    const isInOrder = rows.every((row, at) => at === 0 || rows[at - 1].compareDocumentPosition(row) & 4);
    if (!isInOrder) {
      for (const row of rows) {
        const deaths = deathsOf(row.dataset.slot);
        table.append(row);
        if (deaths) table.append(deaths);
      }
    }
    writePools(status.slots);
    writeSummary();
    filterSlots();
  };

  const onSlot = (status) => {
    writeSlot(status);
    writeSummary();
    filterSlots();
  };

  const points = (values, most) => values.map((value, at) => `${60 - values.length + at + 1},${(19 - 18 * Math.min(1, value / most)).toFixed(1)}`).join(" ");

  const onStats = (round) => {
    for (const sample of round.slots) {
      const slot = slots.get(sample.slot);
      if (!slot || slot.status?.worker?.generation !== sample.generation) continue;
      const last = slot.sample;
      slot.sample = { ...sample, at: Date.parse(sample.sampled_at) };
      const seconds = last ? (slot.sample.at - last.at) / 1000 : 0;
      if (last?.generation === sample.generation && seconds > 0) {
        const used = Math.max(0, sample.cpu_seconds - last.cpu_seconds) / seconds;
        slot.cpu = [...slot.cpu, used].slice(-SAMPLES_MAX);
        write(slot.cells.cpu, cores(used));
        slot.cells.cpuLine.setAttribute("points", points(slot.cpu, Math.max(0.1, ...slot.cpu)));
      }
      slot.memory = [...slot.memory, sample.memory_bytes].slice(-SAMPLES_MAX);
      write(slot.cells.memory, bytes(sample.memory_bytes));
      slot.cells.memoryLine.setAttribute("points", points(slot.memory, Math.max(1, ...slot.memory) * 1.1));
    }
  };

  const filterSlots = () => {
    const wanted = byId("slot-filter").value.trim().toLowerCase();
    let shown = 0;
    for (const [name, { row, status }] of slots) {
      const isMeant = !wanted || name.toLowerCase().includes(wanted) || (status && phase(status).includes(wanted));
      row.hidden = !isMeant;
      const deaths = deathsOf(name);
      if (deaths) deaths.hidden = !isMeant;
      shown += isMeant ? 1 : 0;
    }
    byId("no-slots").hidden = shown > 0 || !wanted;
  };

  // ---- Why

  const deathsOf = (name) => [...table.rows].find((row) => row.dataset.of === name);

  const explain = async (name) => {
    const { row, cells } = known(name);
    const answer = await fetch(`/v1/slots/${encodeURIComponent(name)}`).catch(() => null);
    if (!answer?.ok) return say(`The deaths of ${name} cannot be read now`);
    const { deaths } = await answer.json();
    const list = make("ol");
    for (const death of deaths.slice(0, DEATHS_MAX)) {
      // As ISO 8601 has it, in local time.
      const at = new Date(death.at).toLocaleString("sv-SE");
      const head = `Generation ${death.generation}, ${at}: ${death.words}`;
      if (!death.last_lines.length) {
        list.append(make("li", {}, make("p", { textContent: head })));
        continue;
      }
      const lines = make("pre", { tabIndex: 0, textContent: death.last_lines.map(plain).join("\n") });
      lines.setAttribute("aria-label", "Last lines");
      const open = list.childElementCount === 0;
      list.append(make("li", {}, make("details", { open }, make("summary", { textContent: head }), lines)));
    }
    const cell = make("td", { colSpan: 9 }, list);
    cell.setAttribute("role", "cell");
    const open = deathsOf(name) ?? make("tr", { className: "deaths" });
    open.setAttribute("role", "row");
    open.dataset.of = name;
    open.replaceChildren(cell);
    row.after(open);
    // The last of them are what it died of.
    for (const lines of open.querySelectorAll("pre")) lines.scrollTop = lines.scrollHeight;
    cells.why.setAttribute("aria-expanded", "true");
  };

  const toggle = (name) => {
    const open = deathsOf(name);
    if (!open) return explain(name);
    open.remove();
    known(name).cells.why.setAttribute("aria-expanded", "false");
  };

  // ---- Log

  let waiting = [];
  let frame = 0;
  let unseen = 0;

  const clearLog = () => {
    waiting = [];
    unseen = 0;
    pane.replaceChildren();
    writeCount();
  };

  const clock = (at) => at.toLocaleTimeString("en-GB");

  const isMeant = (line) => {
    const wanted = search.value.toLowerCase();
    return !wanted || line.textContent.toLowerCase().includes(wanted);
  };

  const makeLine = ({ at, slot, from_worker: isOfWorker, generation, line }) => {
    // pm says it of itself where lines were lost.
    const isNote = !isOfWorker && generation === 0;
    const date = new Date(at);
    const stamp = make("time", { dateTime: at, textContent: isNote ? "" : clock(date) });
    const made = make("div", { className: "line" }, stamp, " ", make("b", { textContent: slot }), " ", make("span", { textContent: plain(line) }));
    if (!isOfWorker) made.classList.add(isNote ? "note" : "died");
    made.hidden = !isMeant(made);
    return made;
  };

  const writeCount = () => {
    const all = pane.childElementCount;
    const shown = search.value ? [...pane.children].filter((line) => !line.hidden).length : all;
    write(byId("count"), search.value ? `${shown.toLocaleString("en")} of ${count(all, "line")}` : count(all, "line"));
    byId("newer").hidden = follow.checked || unseen === 0;
    write(byId("newer"), `Show ${count(unseen, "new line")}`);
  };

  const draw = () => {
    frame = 0;
    const lines = document.createDocumentFragment();
    lines.append(...waiting.slice(-LINES_MAX).map(makeLine));
    unseen = follow.checked ? 0 : unseen + waiting.length;
    waiting = [];
    const heightBefore = pane.scrollHeight;
    const tooMany = pane.childElementCount + lines.childElementCount - LINES_MAX;
    pane.append(lines);
    if (tooMany > 0) {
      const end = pane.scrollHeight;
      for (let at = 0; at < tooMany; at++) pane.firstElementChild.remove();
      // What is being read stays where it is.
      if (!follow.checked) pane.scrollTop -= end - pane.scrollHeight;
    }
    if (follow.checked && heightBefore !== pane.scrollHeight) toEnd();
    writeCount();
  };

  const toEnd = () => {
    pane.scrollTop = pane.scrollHeight;
  };

  const onLine = (line) => {
    // After a break the stream begins with lines that are there already.
    if (line.n <= lastLine) return;
    lastLine = line.n;
    waiting.push(line);
    if (waiting.length > 2 * LINES_MAX) waiting.splice(0, waiting.length - LINES_MAX);
    frame ||= requestAnimationFrame(draw);
  };

  const selectLog = (name) => {
    if (name === log) return;
    log = name;
    lastLine = 0;
    clearLog();
    follow.checked = true;
    writeSelection();
    history.replaceState(null, "", name ? `/?log=${encodeURIComponent(name)}` : "/");
    connect();
  };

  const writePools = (all) => {
    const pools = [...new Set(all.map((slot) => slot.pool))];
    const nav = byId("sources");
    const links = [...nav.querySelectorAll(":scope > a")];
    for (const link of links.slice(1)) if (!pools.includes(link.dataset.log)) link.remove();
    for (const pool of pools) {
      if (links.some((link) => link.dataset.log === pool)) continue;
      const link = make("a", { className: "log-of", href: `/?log=${encodeURIComponent(pool)}#log`, textContent: pool });
      link.dataset.log = pool;
      nav.insertBefore(link, byId("source"));
    }
    writeSelection();
  };

  const writeSelection = () => {
    const links = [...byId("sources").querySelectorAll(":scope > a")];
    const one = byId("source");
    if (links.some((link) => link.dataset.log === log)) {
      one.replaceChildren();
    } else if (one.firstElementChild?.dataset.log !== log) {
      const link = make("a", { className: "log-of", href: `/?log=${encodeURIComponent(log)}#log`, textContent: log });
      link.dataset.log = log;
      one.replaceChildren(link);
    }
    for (const link of byId("sources").querySelectorAll("a")) {
      if (link.dataset.log === log) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const download = byId("download");
    download.setAttribute("href", log ? `/v1/logs?slots=${encodeURIComponent(log)}` : "/v1/logs");
    download.setAttribute("download", `${log || "pm"}.log`);
  };

  // ---- What a screen reader says: at most one sentence a second, the last one

  let toSay = null;
  let saidAt = 0;

  const say = (sentence) => {
    const isDue = toSay === null;
    toSay = sentence;
    if (!isDue) return;
    const speak = () => {
      write(byId("said"), toSay);
      toSay = null;
      saidAt = Date.now();
    };
    const wait = saidAt + SAID_EVERY_MS - Date.now();
    if (wait > 0) setTimeout(speak, wait);
    else speak();
  };

  // ---- The stream

  const writeLive = (state, words) => {
    byId("live").dataset.state = state;
    write(byId("live"), words);
  };

  const disconnect = () => {
    source?.close();
    source = null;
    clearTimeout(retry);
    retry = null;
  };

  // The pool or slot of the lines may be gone, as in another run; or too many read already.
  const afterRefusal = async () => {
    const answer = log && await fetch(`/v1/status?slots=${encodeURIComponent(log)}`).catch(() => null);
    // Meanwhile the tab may be hidden, or other lines asked for.
    if (source || document.hidden) return;
    if (answer && answer.status === 404) selectLog("");
    else connect();
  };

  const connect = () => {
    disconnect();
    if (document.hidden) return;
    // What came meanwhile is there again, as far as it is shown.
    const lines = lastLine ? `&lines=${LINES_MAX}&after=${lastLine}` : `&lines=${LINES_FIRST}`;
    const own = new EventSource(`/v1/stream?stats=1&logs=${encodeURIComponent(log || "all")}${lines}`);
    source = own;
    own.onopen = () => writeLive("live", "live");
    own.onerror = () => {
      if (source !== own) return;
      // A browser would ask for the lines of the beginning again, and not at all after a refusal.
      const isRefused = own.readyState === EventSource.CLOSED;
      writeLive("lost", isRefused ? "pm refuses this for now; trying again" : "pm does not answer; trying again");
      disconnect();
      retry = setTimeout(isRefused ? afterRefusal : connect, RETRY_MS);
    };
    const on = (name, act) => own.addEventListener(name, (event) => source === own && act(JSON.parse(event.data)));
    on("status", onStatus);
    on("slot", onSlot);
    on("stats", onStats);
    on("log", onLine);
    on("bye", ({ words }) => {
      say(words);
      writeLive("lost", `${words}; waiting for the next run`);
    });
  };

  // ---- The reader

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.classList.contains("why")) {
      event.preventDefault();
      toggle(link.closest("tr").dataset.slot);
    } else if (link.classList.contains("log-of")) {
      event.preventDefault();
      selectLog(link.dataset.log);
    }
  });

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (key === " " && target.classList.contains("why")) {
      event.preventDefault();
      target.click();
    }
    if (key === "Escape" && target.type === "search") {
      target.value = "";
      target.dispatchEvent(new Event("input"));
    }
    if (target.matches("input, pre") || event.ctrlKey || event.altKey || event.metaKey) return;
    if (key === "/") {
      event.preventDefault();
      search.focus();
    } else if (key === "j" || key === "k") {
      const links = [...table.querySelectorAll("tr:not([hidden]) > th a")];
      const at = links.indexOf(target.closest("tr")?.querySelector("th a"));
      const next = at < 0 ? 0 : at + (key === "j" ? 1 : -1);
      links[Math.max(0, Math.min(links.length - 1, next))]?.focus();
    }
  });

  byId("slot-filter").addEventListener("input", filterSlots);
  search.addEventListener("input", () => {
    for (const line of pane.children) line.hidden = !isMeant(line);
    if (follow.checked) toEnd();
    writeCount();
  });
  byId("times").addEventListener("change", (event) => pane.classList.toggle("without-times", !event.target.checked));
  follow.addEventListener("change", () => {
    if (follow.checked) toEnd();
    unseen = follow.checked ? 0 : unseen;
    writeCount();
  });
  byId("newer").addEventListener("click", () => {
    follow.checked = true;
    unseen = 0;
    toEnd();
    writeCount();
    pane.focus();
  });
  let top = 0;
  pane.addEventListener("scroll", () => {
    const isAtEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 4;
    const isUp = pane.scrollTop < top;
    top = pane.scrollTop;
    if (isAtEnd === follow.checked || (!isAtEnd && !isUp)) return;
    follow.checked = isAtEnd;
    unseen = 0;
    writeCount();
  }, { passive: true });

  setInterval(() => {
    if (document.hidden || startedAt === null) return;
    write(byId("up"), time(now() - startedAt));
    for (const slot of slots.values()) if (slot.status) writeTimes(slot);
  }, 1000);

  document.addEventListener("visibilitychange", () => document.hidden ? disconnect() : connect());
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", ({ persisted }) => persisted && connect());

  for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;
  for (const stamp of pane.querySelectorAll("time")) write(stamp, clock(new Date(stamp.dateTime)));
  writeLive("off", "connecting");
  toEnd();
  connect();
})();
