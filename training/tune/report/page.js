"use strict";
// Draws the search's charts as SVG from the embedded JSON. A range brushed on one axis dims other trials everywhere.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const brushes = new Map(); // axis name -> [low, high] as shares of the axis
  const redraw = [];
  let pointed = null; // id of the trial under the pointer
  const tip = document.getElementById("tip");

  const node = (name, attributes, parent, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  };
  const short = (value) => {
    if (typeof value !== "number" || (Number.isInteger(value) && Math.abs(value) < 1e6)) return String(value);
    if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
    if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(1).replace(".0e", "e");
    return String(Number(value.toPrecision(3)));
  };
  const scores = data.trials.map((trial) => trial.score);
  const lowest = Math.min(...scores), highest = Math.max(...scores);
  // A few trials are far below the others; colours by rank keep the others distinct.
  const ranked = [...scores].sort((a, b) => a - b);
  const colour = (score) => {
    const share = ranked.length > 1 ? ranked.lastIndexOf(score) / (ranked.length - 1) : 1;
    return `hsl(${Math.round(265 - 220 * share)} ${60 + 25 * share}% var(--light))`;
  };

  // A scale maps a value to 0..1 and has ticks.
  const scale = (axis, values) => {
    const known = values.filter((value) => value !== null && value !== undefined);
    if (!axis.isNumber) {
      const options = [...new Set(known)].sort();
      const position = (value) => (options.length > 1 ? options.indexOf(value) / (options.length - 1) : 0.5);
      return { of: position, ticks: options.map((value) => [value, position(value)]) };
    }
    const low = Math.min(...known), high = Math.max(...known);
    const distinct = [...new Set(known)].sort((a, b) => a - b);
    const through = axis.isLog ? Math.log : (value) => value;
    const span = through(high) - through(low);
    const position = (value) => (span ? (through(value) - through(low)) / span : 0.5);
    if (distinct.length <= 6) return { of: position, ticks: distinct.map((value) => [value, position(value)]) };
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
      const at = through(low) + share * span;
      return [axis.isLog ? Math.exp(at) : at, share];
    });
    return { of: position, ticks };
  };

  const axes = [{ name: data.objective, isNumber: true, isLog: false, of: (trial) => trial.score },
    ...data.axes.map((axis) => ({ ...axis, of: (trial) => trial.values[axis.name] }))];
  for (const axis of axes) axis.scale = scale(axis, data.trials.map(axis.of));

  const isKept = (trial) => axes.every((axis) => {
    const range = brushes.get(axis.name);
    if (!range) return true;
    const value = axis.of(trial);
    if (value === null || value === undefined) return false;
    const at = axis.scale.of(value);
    return at >= range[0] && at <= range[1];
  });
  const update = () => {
    const kept = new Map(data.trials.map((trial) => [trial.id, isKept(trial)]));
    for (const draw of redraw) draw(kept);
    const count = [...kept.values()].filter(Boolean).length;
    document.getElementById("kept").textContent = brushes.size
      ? `${count} of ${data.trials.length} trials in the ranges` : `${data.trials.length} trials`;
    document.getElementById("clear").hidden = brushes.size === 0;
  };
  const marks = (parts, kept) => {
    for (const [id, part] of parts) {
      part.classList.toggle("out", !kept.get(id));
      part.classList.toggle("pointed", id === pointed);
    }
  };
  const point = (part, trial) => {
    part.addEventListener("pointerenter", (event) => {
      pointed = trial.id;
      tip.textContent = `trial ${trial.id} · ${data.objective} ${trial.score.toFixed(4)} · ${trial.status}\n${trial.settings}`;
      tip.hidden = false;
      tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
      tip.style.top = `${Math.max(8, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
      update();
    });
    part.addEventListener("pointerleave", () => { pointed = null; tip.hidden = true; update(); });
  };

  const parallel = (holder) => {
    const top = 58, bottom = 18, height = 380, side = 60;
    const width = Math.max(holder.clientWidth, axes.length * 92 + side);
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
      "aria-label": "Parallel coordinates of all trials" }, holder);
    const x = (i) => side / 2 + 14 + (axes.length > 1 ? (i * (width - side - 34)) / (axes.length - 1) : 0);
    const y = (share) => height - bottom - share * (height - top - bottom);
    const lines = node("g", { class: "lines" }, svg);
    const parts = [];
    for (const trial of [...data.trials].sort((a, b) => a.score - b.score)) {
      let path = "", isUp = false;
      axes.forEach((axis, i) => {
        const value = axis.of(trial);
        if (value === null || value === undefined) { isUp = false; return; }
        path += `${isUp ? "L" : "M"}${x(i).toFixed(1)} ${y(axis.scale.of(value)).toFixed(1)}`;
        isUp = true;
      });
      const line = node("path", { d: path, class: "line", stroke: colour(trial.score) }, lines);
      point(line, trial);
      parts.push([trial.id, line]);
    }
    axes.forEach((axis, i) => {
      const group = node("g", { class: "axis", transform: `translate(${x(i)} 0)` }, svg);
      node("line", { y1: y(1), y2: y(0), class: "rule" }, group);
      const name = node("text", { x: 0, y: i % 2 ? 34 : 16, class: "name", "text-anchor":
        i === 0 ? "start" : i === axes.length - 1 ? "end" : "middle" }, group,
        axis.name.length > 24 ? `${axis.name.slice(0, 23)}…` : axis.name);
      if (i === 0) name.setAttribute("x", -side / 2);
      if (i === axes.length - 1) name.setAttribute("x", side / 2 - 10);
      for (const [value, share] of axis.scale.ticks) {
        node("text", { x: i === axes.length - 1 ? -6 : 6, y: y(share) + 3, class: "tick",
          "text-anchor": i === axes.length - 1 ? "end" : "start" }, group, short(value).slice(0, 16));
      }
      const band = node("rect", { x: -9, width: 18, y: 0, height: 0, class: "band" }, group);
      const pad = node("rect", { x: -16, width: 32, y: top - 12, height: height - top + 6, class: "pad", tabindex: 0,
        "aria-label": `Drag to choose a range of ${axis.name}` }, group);
      const share = (event) => {
        const box = svg.getBoundingClientRect();
        const at = ((event.clientY - box.top) / box.height) * height;
        return Math.min(1, Math.max(0, (height - bottom - at) / (height - top - bottom)));
      };
      let from = null;
      pad.addEventListener("pointerdown", (event) => { from = share(event); pad.setPointerCapture(event.pointerId); });
      pad.addEventListener("pointermove", (event) => {
        if (from === null) return;
        const to = share(event);
        // A point counts when the brush touches it, hence the small margin on both ends.
        brushes.set(axis.name, [Math.min(from, to) - 0.005, Math.max(from, to) + 0.005]);
        update();
      });
      const end = (event) => {
        if (from !== null && Math.abs(share(event) - from) < 0.01) brushes.delete(axis.name); // a click
        from = null;
        update();
      };
      pad.addEventListener("pointerup", end);
      pad.addEventListener("pointercancel", end);
      redraw.push(() => {
        const range = brushes.get(axis.name);
        band.setAttribute("y", range ? y(Math.min(1.01, range[1])) : 0);
        band.setAttribute("height", range ? y(Math.max(-0.01, range[0])) - y(Math.min(1.01, range[1])) : 0);
      });
    });
    redraw.push((kept) => marks(parts, kept));
  };

  // A scatter plot of (x, score); with a front, a line through its trials.
  const scatter = (holder, title, axis, of, front) => {
    const width = front ? 520 : 300, height = front ? 280 : 210, left = 44, right = 12, top = 26, bottom = 34;
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, class: "small", role: "img",
      "aria-label": `${data.objective} against ${title}` }, holder);
    const shown = data.trials.filter((trial) => of(trial) !== null && of(trial) !== undefined);
    if (!shown.length) return;
    const across = scale(axis, shown.map(of)), up = scale({ isNumber: true }, [lowest, highest]);
    const inset = axis.isNumber ? 6 : 22;
    const x = (value) => left + inset + across.of(value) * (width - left - right - 2 * inset);
    const y = (value) => height - bottom - 4 - up.of(value) * (height - top - bottom - 8);
    node("text", { x: 4, y: 14, class: "name" }, svg, title);
    for (const share of [0, 0.5, 1]) {
      const value = lowest + share * (highest - lowest);
      node("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" }, svg);
      node("text", { x: left - 5, y: y(value) + 3, class: "tick", "text-anchor": "end" }, svg, value.toFixed(3));
      if (highest === lowest) break;
    }
    const crowded = across.ticks.length > 4;
    across.ticks.forEach(([value], i) => {
      const stagger = crowded && !axis.isNumber && i % 2 ? 12 : 0;
      node("text", { x: x(value), y: height - bottom + 12 + stagger, class: "tick", "text-anchor": "middle" }, svg,
        short(value).slice(0, 14));
    });
    if (front) {
      const steps = shown.filter((trial) => trial.fronts.includes(front)).sort((a, b) => of(a) - of(b));
      node("path", { class: "front", d: steps.map((trial, i) =>
        `${i ? "L" : "M"}${x(of(trial)).toFixed(1)} ${y(trial.score).toFixed(1)}`).join("") }, svg);
    }
    const parts = shown.map((trial, i) => {
      const shift = axis.isNumber ? 0 : ((i * 7) % 11) - 5; // keeps dots of one name from overlapping
      const dot = node("circle", { cx: x(of(trial)) + shift, cy: y(trial.score), r: 4, class: "dot",
        fill: colour(trial.score) }, svg);
      point(dot, trial);
      return [trial.id, dot];
    });
    redraw.push((kept) => marks(parts, kept));
  };

  const learning = (holder) => {
    const width = 760, height = 300, left = 48, right = 14, top = 14, bottom = 34;
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, class: "wide", role: "img",
      "aria-label": "Learning curves" }, holder);
    const points = data.curves.flatMap((curve) => curve.points).filter((at) => at[1] !== null);
    if (!points.length) return;
    const lastEpoch = Math.max(...points.map((at) => at[0]));
    const low = Math.min(...points.map((at) => at[1])), high = Math.max(...points.map((at) => at[1]));
    const x = (epoch) => left + (lastEpoch > 1 ? (epoch - 1) / (lastEpoch - 1) : 0.5) * (width - left - right);
    const y = (value) => height - bottom - (high > low ? (value - low) / (high - low) : 0.5) * (height - top - bottom);
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const value = low + share * (high - low);
      node("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" }, svg);
      node("text", { x: left - 6, y: y(value) + 3, class: "tick", "text-anchor": "end" }, svg, value.toFixed(3));
    }
    const every = Math.ceil(lastEpoch / 12);
    for (let epoch = 1; epoch <= lastEpoch; epoch += every) {
      node("text", { x: x(epoch), y: height - bottom + 15, class: "tick", "text-anchor": "middle" }, svg, epoch);
    }
    node("text", { x: (left + width - right) / 2, y: height - 4, class: "tick", "text-anchor": "middle" }, svg, "epoch");
    const byId = new Map(data.trials.map((trial) => [trial.id, trial]));
    const parts = [];
    for (const curve of data.curves) {
      const trial = byId.get(curve.id);
      const known = curve.points.filter((at) => at[1] !== null);
      const d = known.map((at, i) => `${i ? "L" : "M"}${x(at[0]).toFixed(1)} ${y(at[1]).toFixed(1)}`).join("");
      const line = known.length > 1
        ? node("path", { d, class: "line curve", stroke: trial ? colour(trial.score) : "var(--muted)" }, svg)
        : node("circle", { cx: x(known[0][0]), cy: y(known[0][1]), r: 3, class: "dot",
          fill: trial ? colour(trial.score) : "var(--muted)" }, svg);
      if (trial) { point(line, trial); parts.push([trial.id, line]); }
    }
    redraw.push((kept) => marks(parts, kept));
  };

  if (data.trials.length) {
    parallel(document.getElementById("parallel"));
    for (const axis of axes.slice(1)) {
      scatter(document.getElementById("scatters"), axis.name, axis, axis.of);
    }
    for (const [cost, words] of Object.entries(data.costs)) {
      const values = data.trials.map((trial) => trial.costs[cost]).filter((value) => value !== null);
      const isLog = values.length > 0 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 20;
      scatter(document.getElementById("costs"), words, { isNumber: true, isLog }, (trial) => trial.costs[cost], cost);
    }
    learning(document.getElementById("learning"));
    document.getElementById("clear").addEventListener("click", () => { brushes.clear(); update(); });
    update();
  }
})();
