"use strict";
// Decisions about labels: the number of a choice, "keep" or "unsure" per case. They are kept in the browser under a key
// that belongs to this list of cases; where the browser keeps nothing, export before you leave.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent), cases = data.cases;
  const at = (id) => document.getElementById(id), all = (selector) => [...document.querySelectorAll(selector)];
  const sections = all(".case"), status = at("status"), entries = all("[data-go]");
  const empty = () => ({ current: 0, decisions: {}, history: [], extra: data.earlier });
  const read = () => { try { return JSON.parse(localStorage.getItem(data.key)) || empty(); } catch { return empty(); } };
  const state = read();

  const keep = () => { try { localStorage.setItem(data.key, JSON.stringify(state)); } catch { /* not kept */ } };
  const decided = () => Object.keys(state.decisions).length;
  const word = (i) => {
    const one = state.decisions[i];
    return one === undefined ? "open" : typeof one === "number" ? `fix: ${cases[i].choices[one].name}` : one;
  };
  const say = (text) => { status.textContent = text; };
  const place = () => `Case ${state.current + 1} of ${cases.length}, ${cases[state.current].name}: ${word(state.current)}. ${decided()} decided.`;

  const show = () => {
    sections.forEach((section, i) => { section.hidden = i !== state.current; });
    all("[data-choice]").forEach((button) => {
      const own = state.decisions[button.dataset.case];
      button.setAttribute("aria-pressed", String(own !== undefined && String(own) === button.dataset.choice));
    });
    entries.forEach((button, i) => {
      button.querySelector("span").textContent = word(i);
      button.setAttribute("aria-current", String(i === state.current));
    });
    at("previous").disabled = state.current === 0;
    at("next").disabled = state.current === cases.length - 1;
    at("undo").disabled = !state.history.length;
    keep();
  };
  const go = (i, text = "") => {
    state.current = Math.max(0, Math.min(cases.length - 1, i));
    show();
    sections[state.current].focus({ preventScroll: true });
    sections[state.current].scrollIntoView({ block: "nearest" });
    say(text + place());
  };
  const set = (i, decision) => { if (decision === undefined) delete state.decisions[i]; else state.decisions[i] = decision; };
  const decide = (i, decision) => {
    state.history.push([i, state.decisions[i] === undefined ? null : state.decisions[i]]);
    set(i, decision);
    const text = `${cases[i].name}: ${word(i)}. `;
    const open = [...cases.keys()].map((k) => (i + 1 + k) % cases.length).find((k) => state.decisions[k] === undefined);
    go(open === undefined ? i : open, open === undefined ? `${text}All cases are decided; export with E. ` : text);
  };
  const fix = (i, choice) => {
    if (cases[i].choices[choice]) decide(i, choice);
    else say("No such correction for this case.");
  };
  const undo = () => {
    const last = state.history.pop();
    if (!last) return say("Nothing to undo.");
    set(last[0], last[1] === null ? undefined : last[1]);
    go(last[0], "Undone. ");
  };

  // A correction replaces an earlier one of the same path and field; a swap that was already made is taken back.
  const rows = () => {
    const made = cases.flatMap((one, i) => (typeof state.decisions[i] === "number" ? one.choices[state.decisions[i]].rows : []));
    const same = (a, b, count) => a.slice(0, count).every((cell, k) => cell === b[k]);
    const old = state.extra.filter((row) => !made.some((one) => same(row, one, 2)));
    return [...old, ...made.filter((row) => !(row[1] === "swap" && data.earlier.some((one) => same(row, one, 3))))];
  };
  const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const download = () => {
    const text = [data.columns, ...rows()].map((row) => row.map(quoted).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "fixes.csv";
    link.click();
    URL.revokeObjectURL(link.href);
    say(`Exported ${rows().length} corrections.`);
  };

  const cellsOf = (text) => {
    const found = [[""]];
    let inside = false;
    for (let i = 0; i < text.length; i += 1) {
      const row = found[found.length - 1], sign = text[i];
      if (inside && sign === '"' && text[i + 1] === '"') { row[row.length - 1] += sign; i += 1; }
      else if (sign === '"') inside = !inside;
      else if (!inside && sign === ",") row.push("");
      else if (!inside && (sign === "\n" || sign === "\r")) { if (sign === "\n") found.push([""]); }
      else row[row.length - 1] += sign;
    }
    return found.filter((row) => row.length > 1 || row[0] !== "");
  };
  const load = (text) => {
    const [head, ...body] = cellsOf(text.replace(/^\ufeff/, ""));
    const order = data.columns.map((name) => (head || []).indexOf(name));
    if (order.includes(-1)) return say(`Not imported: the file needs the columns ${data.columns.join(", ")}.`);
    const given = body.map((row) => order.map((k) => row[k] ?? "")), key = (row) => row.join("\u0000");
    const keys = new Set(given.map(key)), used = new Set();
    let fixed = 0;
    cases.forEach((one, i) => {
      const choice = one.choices.findIndex((each) => each.rows.every((row) => keys.has(key(row))));
      if (choice < 0) return;
      one.choices[choice].rows.forEach((row) => used.add(key(row)));
      if (state.decisions[i] !== choice) state.history.push([i, state.decisions[i] === undefined ? null : state.decisions[i]]);
      state.decisions[i] = choice;
      fixed += 1;
    });
    const other = given.filter((row) => !used.has(key(row)));
    const known = new Set(other.map((row) => key(row.slice(0, 2))));
    state.extra = [...state.extra.filter((row) => !known.has(key(row.slice(0, 2)))), ...other];
    go(state.current, `Imported ${fixed} decisions; ${other.length} other corrections are exported too. `);
  };

  const keys = {
    f: () => fix(state.current, cases[state.current].proposed),
    k: () => decide(state.current, "keep"),
    u: () => decide(state.current, "unsure"),
    z: undo,
    e: download,
    arrowleft: () => go(state.current - 1),
    arrowright: () => go(state.current + 1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, textarea, select")) return;
    const key = event.key.toLowerCase();
    const action = /^[1-9]$/.test(key) ? () => fix(state.current, Number(key) - 1) : keys[key];
    if (!action || !cases.length) return;
    event.preventDefault();
    action();
  });
  all("[data-choice]").forEach((button) => button.addEventListener("click", () => {
    const choice = button.dataset.choice, i = Number(button.dataset.case);
    if (/^\d+$/.test(choice)) fix(i, Number(choice)); else decide(i, choice);
  }));
  entries.forEach((button, i) => button.addEventListener("click", () => go(i)));
  at("previous").addEventListener("click", keys.arrowleft);
  at("next").addEventListener("click", keys.arrowright);
  at("undo").addEventListener("click", undo);
  at("export").addEventListener("click", download);
  at("import").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) load(await file.text());
    event.target.value = "";
  });
  if (!cases.length) return;
  all(".js-only").forEach((one) => { one.hidden = false; });
  if (!(state.current in cases)) state.current = 0;
  show();
  say(place());
})();
