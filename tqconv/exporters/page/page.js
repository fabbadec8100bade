"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const search = at("search"), found = at("found"), view = at("view"), panel = at("panel");
  const drawing = at("drawing");
  const lower = (text) => text.toLowerCase();

  if (search && !drawing) {
    const rows = [...document.querySelectorAll("#graph tbody tr")];
    search.addEventListener("input", () => {
      const word = lower(search.value.trim());
      let count = 0;
      for (const row of rows) {
        const fits = lower(row.textContent).includes(word);
        row.classList.toggle("off", !fits);
        count += fits ? 1 : 0;
      }
      found.textContent = word ? `${count} found` : "";
    });
  }
  if (!drawing) return;

  const facts = JSON.parse(at("facts").textContent);
  const whole = drawing.viewBox.baseVal;
  const home = { x: whole.x, y: whole.y, w: whole.width, h: whole.height };
  let box = { ...home };
  const show = () => drawing.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.h}`);
  const scale = () => {
    const room = view.getBoundingClientRect();
    return Math.max(box.w / room.width, box.h / room.height);
  };
  const point = (x, y) => {
    const room = view.getBoundingClientRect(), s = scale();
    return {
      x: box.x + box.w / 2 + (x - room.left - room.width / 2) * s,
      y: box.y + box.h / 2 + (y - room.top - room.height / 2) * s,
    };
  };
  const zoom = (factor, x, y) => {
    const limit = Math.min(Math.max(box.w * factor, 60), home.w * 4) / box.w;
    box = { x: x - (x - box.x) * limit, y: y - (y - box.y) * limit, w: box.w * limit, h: box.h * limit };
    show();
  };
  const middle = () => ({ x: box.x + box.w / 2, y: box.y + box.h / 2 });
  at("in").onclick = () => { const m = middle(); zoom(1 / 1.5, m.x, m.y); };
  at("out").onclick = () => { const m = middle(); zoom(1.5, m.x, m.y); };
  at("fit").onclick = () => { box = { ...home }; show(); };

  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const p = point(event.clientX, event.clientY);
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 240), p.x, p.y);
  }, { passive: false });

  const fingers = new Map();
  let moved = 0, apart = 0;
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  view.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = 0;
    if (fingers.size === 2) apart = spread();
  });
  window.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const dx = event.clientX - last.x, dy = event.clientY - last.y;
    moved += Math.abs(dx) + Math.abs(dy);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 1) {
      const s = scale();
      box.x -= dx * s;
      box.y -= dy * s;
      show();
    } else if (fingers.size === 2) {
      const now = spread(), [a, b] = [...fingers.values()];
      const p = point((a.x + b.x) / 2, (a.y + b.y) / 2);
      if (apart > 0 && now > 0) zoom(apart / now, p.x, p.y);
      apart = now;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    window.addEventListener(name, (event) => { fingers.delete(event.pointerId); });
  }

  const node = (id) => drawing.querySelector(`#${CSS.escape(id)}`);
  const element = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const links = (ids) => {
    const cell = element("td");
    ids.forEach((id, index) => {
      if (index) cell.append(", ");
      const link = element("a", facts[id].name || facts[id].title);
      link.onclick = () => { tell(id); center(id); };
      cell.append(link);
    });
    return cell;
  };
  const mark = (ids) => {
    drawing.querySelectorAll(".hit").forEach((g) => g.classList.remove("hit"));
    for (const id of ids) { const g = node(id); if (g) g.classList.add("hit"); }
  };
  const tell = (id) => {
    const fact = facts[id], rows = element("table");
    const add = (key, cell) => {
      const row = element("tr");
      row.append(element("th", key), cell);
      rows.append(row);
    };
    for (const [key, value] of fact.rows) add(key, element("td", value));
    if (fact.from.length) add("reads", links(fact.from));
    if (fact.to.length) add("is read by", links(fact.to));
    panel.replaceChildren(element("b", fact.title), " ", element("i", fact.name), rows);
    mark([id]);
  };
  const center = (id) => {
    const g = node(id);
    if (!g) return;
    const inner = g.getBoundingClientRect();
    const p = point(inner.left + inner.width / 2, inner.top + inner.height / 2);
    const width = Math.min(box.w, Math.max(900, home.w / 6));
    const share = width / box.w;
    box = { x: p.x - width / 2, y: p.y - (box.h * share) / 2, w: width, h: box.h * share };
    show();
  };
  drawing.addEventListener("click", (event) => {
    const g = event.target.closest(".node");
    if (g && moved < 6 && facts[g.id]) tell(g.id);
  });

  let hits = [], current = -1;
  const step = (by) => {
    if (!hits.length) return;
    current = (current + by + hits.length) % hits.length;
    tell(hits[current]);
    mark(hits);
    center(hits[current]);
    found.textContent = `${current + 1} of ${hits.length}`;
  };
  search.addEventListener("input", () => {
    const word = lower(search.value.trim());
    hits = word ? Object.keys(facts).filter((id) => lower(`${facts[id].title} ${facts[id].name} ${facts[id].rows.join(" ")}`).includes(word)) : [];
    current = -1;
    mark(hits);
    found.textContent = word ? `${hits.length} found` : "";
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
  });
  window.addEventListener("beforeprint", () => {
    box = { ...home };
    show();
    document.querySelectorAll("details").forEach((d) => { d.open = true; });
  });
})();
