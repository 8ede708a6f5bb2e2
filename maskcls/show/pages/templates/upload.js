"use strict";
// Photos are sent to /predict of this server, in requests within its limits, one after the other; newest results first.
(() => {
  const limits = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id), results = at("results"), drop = at("drop");
  const PREVIEW_PX = 256, FORM_BYTES = 1000; // of a form around each file
  let working = Promise.resolve(), waiting = 0, done = 0, failed = 0;

  const element = (name, text = "", kind = "") => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const say = () => {
    const parts = waiting ? [`${plural(waiting, "photo")} in work`] : [];
    if (done) parts.push(`${plural(done, "photo")} predicted`);
    if (failed) parts.push(`${failed} failed`);
    at("status").textContent = parts.length ? `${parts.join(", ")}.` : "";
    at("clear").hidden = !results.children.length;
  };

  const bar = (name, share, chosen) => {
    const row = element("li", "", chosen ? "chosen" : ""), rail = element("span", "", "rail"), fill = element("span", "", "fill");
    const percent = `${(100 * share).toFixed(1)} %`;
    fill.style.width = `${100 * share}%`;
    rail.setAttribute("aria-hidden", "true");
    rail.append(fill);
    row.append(element("span", name, "name"), rail, element("span", percent, "share"));
    return row;
  };
  const fill = (card, answer) => {
    const found = card.querySelector(".found");
    found.querySelector(".pending")?.remove();
    if (answer.error) {
      failed += 1;
      card.classList.add("failed");
      found.append(element("p", `Failed: ${answer.error}`, "bad"));
      return;
    }
    done += 1;
    const text = Object.values(answer.tasks).map((task) => task.class).join(", ");
    found.append(element("p", `${text} (${(100 * answer.joint.probability).toFixed(1)} %)`));
    for (const [task, { class: chosen, probabilities }] of Object.entries(answer.tasks)) {
      const list = element("ul", "", "bars");
      list.setAttribute("aria-label", task);
      list.append(...Object.entries(probabilities).map(([name, share]) => bar(name, share, name === chosen)));
      found.append(element("h3", task), list);
    }
  };

  // A canvas needs no address of the picture, which the page's policy forbids. A form that the browser lacks has none.
  const preview = async (file, card) => {
    try {
      const picture = await createImageBitmap(file);
      const scale = Math.min(1, PREVIEW_PX / Math.max(picture.width, picture.height)), canvas = element("canvas");
      canvas.width = Math.max(1, Math.round(picture.width * scale));
      canvas.height = Math.max(1, Math.round(picture.height * scale));
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", file.name);
      picture.close();
      card.prepend(canvas);
    } catch { /* the server says what is wrong with it */ }
  };
  const cardOf = (file) => {
    const card = element("li"), found = element("div", "", "found");
    found.append(element("h2", file.name), element("p", "in work …", "muted pending"));
    card.append(found);
    preview(file, card);
    return { file, card };
  };

  // Each request has at most so many photos and bytes as the server takes.
  const requests = (entries) => {
    const parts = [];
    let size = 0;
    for (const entry of entries) {
      const own = entry.file.size + FORM_BYTES, last = parts.at(-1);
      if (last && last.length < limits.maxPhotos && size + own <= limits.maxBytes) last.push(entry), (size += own);
      else parts.push([entry]), (size = own);
    }
    return parts;
  };
  const post = async (entries) => {
    const form = new FormData(), token = at("token")?.value.trim();
    for (const { file } of entries) form.append("photos", file, file.name);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch("predict", { method: "POST", body: form, headers });
    const read = await answer.json();
    if (read.photos) return read.photos;
    throw new Error([read.error.what, read.error.expected].filter(Boolean).join("; "));
  };
  const send = async (entries) => {
    let answers;
    try {
      answers = await post(entries);
    } catch (error) {
      const text = error instanceof TypeError ? "the server cannot be reached" : error.message;
      answers = entries.map(() => ({ error: text }));
    }
    entries.forEach(({ card }, i) => fill(card, answers[i]));
    waiting -= entries.length;
    say();
  };
  const add = (files) => {
    const entries = files.map(cardOf);
    results.prepend(...entries.map(({ card }) => card));
    const fits = ({ file }) => file.size + FORM_BYTES <= limits.maxBytes;
    for (const { card } of entries.filter((entry) => !fits(entry))) fill(card, { error: `larger than ${limits.maxBytes / 1e6} MB` });
    const sent = entries.filter(fits);
    waiting += sent.length;
    say();
    for (const part of requests(sent)) working = working.then(() => send(part));
  };

  at("choose").addEventListener("click", () => at("files").click());
  at("files").addEventListener("change", (event) => { add([...event.target.files]); event.target.value = ""; });
  at("clear").addEventListener("click", () => {
    for (const card of [...results.children]) if (!card.querySelector(".pending")) card.remove();
    done = failed = 0;
    say();
    at("choose").focus();
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) { event.preventDefault(); add(files); }
  });
  addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length) add(files);
  });

  const camera = at("camera"), video = at("video"), open = at("open-camera");
  const close = () => {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    camera.hidden = true;
    open.setAttribute("aria-expanded", "false");
    open.focus();
  };
  open.hidden = !navigator.mediaDevices?.getUserMedia;
  open.addEventListener("click", async () => {
    if (!camera.hidden) return close();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
      camera.hidden = false;
      open.setAttribute("aria-expanded", "true");
      at("shoot").focus();
    } catch (error) {
      at("status").textContent = `The camera cannot be used: ${error.message}`;
    }
  });
  at("close-camera").addEventListener("click", close);
  at("shoot").addEventListener("click", () => {
    if (!video.videoWidth) return;
    const canvas = element("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const name = `camera ${new Date().toLocaleTimeString()}.jpg`;
    canvas.toBlob((blob) => add([new File([blob], name, { type: "image/jpeg" })]), "image/jpeg", 0.95);
  });
  at("tools").hidden = false;
})();
