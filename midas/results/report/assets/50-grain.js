// One grain: its numbers, its spots, their residuals, their pixels.

const STATES = ["observed", "missing", "outside", "shared"];

class GrainPanel {
  constructor(grains, spots, montages) {
    this.grains = grains; this.spots = spots; this.montages = montages; this.row = -1; this.drawn = -1;
    this.column = Object.fromEntries(grains.columns.map((column) => [column.name, column]));
    this.plots = document.getElementById("grain-plots");
    this.seen = false;
    whenSeen(this.plots, () => { this.seen = true; this.draw(); });
  }

  value(name) { return numbersOf(this.column[name].data)[this.row]; }

  show(row) {
    this.row = row;
    document.getElementById("grain-title").textContent = "Grain " + this.value("grain");
    this.numbers();
    if (this.seen) this.draw();
  }

  numbers() {
    const body = document.querySelector("#grain-numbers tbody");
    const rows = [];
    for (const column of this.grains.columns) {
      if (column.name === "grain" || column.of) continue;
      const value = numbersOf(column.data)[this.row];
      const row = element("tr"), sigma = this.grains.columns.find((each) => each.of === column.name);
      const text = shown(value, column.digits);
      const with_ = sigma ? `${text} ± ${shown(numbersOf(sigma.data)[this.row], sigma.digits)}` : text;
      row.append(element("td", column.title), element("td", with_, "number"), element("td", column.unit || "", "unit"));
      if (column.help) row.title = column.help;
      rows.push(row);
    }
    body.replaceChildren(...rows);
  }

  draw() {
    if (this.row < 0 || this.drawn === this.row) return;
    this.drawn = this.row;
    if (this.spots) {
      const s = this.mine();
      this.detector(s); this.angles(s); this.residuals(s);
    }
    this.pixels();
  }

  mine() {
    const starts = numbersOf(this.spots.starts), from = starts[this.row], to = starts[this.row + 1];
    const s = {};
    for (const [name, packed] of Object.entries(this.spots.columns)) s[name] = numbersOf(packed).slice(from, to);
    const { bc, px } = this.spots;
    s.n = to - from;
    s.eta = Float32Array.from(s.y, (y, i) => Math.atan2(y - bc[0], s.z[i] - bc[1]) * 180 / Math.PI);
    s.yo = Float32Array.from(s.y, (y, i) => {
      const a = s.eta[i] * Math.PI / 180; return y + (s.radial[i] * Math.sin(a) + s.arc[i] * Math.cos(a)) / px; });
    s.zo = Float32Array.from(s.z, (z, i) => {
      const a = s.eta[i] * Math.PI / 180; return z + (s.radial[i] * Math.cos(a) - s.arc[i] * Math.sin(a)) / px; });
    s.text = Array.from(s.y, (_, i) => {
      const hkl = [s.h[i], s.k[i], s.l[i]].join(" "), seen = s.state[i] === 0 || s.state[i] === 3;
      const id = s.spot[i] >= 0 ? `spot ${s.spot[i]}, ` : "";
      const off = seen && !Number.isNaN(s.radial[i]) ? `<br>radial ${s.radial[i].toFixed(1)} µm, along the ring ` +
        `${s.arc[i].toFixed(1)} µm, omega ${s.domega[i].toFixed(3)}°` : "";
      return `${id}(${hkl}), ring ${s.ring[i]}<br>${STATES[s.state[i]]}${off}`;
    });
    return s;
  }

  // Rows of a state as a trace of its own.
  traces(s, x, y, xo, yo) {
    const of = (states) => Array.from({ length: s.n }, (_, i) => i).filter((i) => states.includes(s.state[i]));
    const take = (values, rows) => rows.map((i) => values[i]);
    const trace = (name, rows, a, b, marker) => ({ type: "scatter", mode: "markers", name: `${name} (${rows.length})`, marker,
      x: take(a, rows), y: take(b, rows), text: take(s.text, rows), hoverinfo: "text" });
    const seen = of([0, 3]), missing = of([1]);
    return [
      trace("observed", of([0]), xo, yo, { symbol: "circle-open", size: 9, color: "#1f5fa6", line: { width: 1.6 } }),
      trace("shared", of([3]), xo, yo, { symbol: "diamond-open", size: 9, color: "#8a4fbf", line: { width: 1.6 } }),
      trace("predicted", seen, x, y, { symbol: "x-thin", size: 5, line: { width: 1.2, color: "#1c2733" } }),
      trace("missing", missing, x, y, { symbol: "x-thin", size: 8, line: { width: 2, color: "#c0392b" } }),
    ].filter((each) => each.x.length);
  }

  detector(s) {
    const side = this.spots.side;
    const layout = layoutOf({ title: { text: "On the detector", font: { size: 13 }, x: 0.02 },
      showlegend: true, legend: { orientation: "h", y: -0.3, yanchor: "top", font: { size: 11 } },
      xaxis: { title: { text: "column (px)" }, range: [0, side[0]], nticks: 5, tickangle: 0, gridcolor: GRID, zeroline: false, constrain: "domain" },
      yaxis: { title: { text: "row (px)" }, range: [0, side[1]], gridcolor: GRID, zeroline: false, scaleanchor: "x",
        constrain: "domain" },
      shapes: this.rings() });
    Plotly.react("grain-detector", this.traces(s, s.y, s.z, s.yo, s.zo), layout, configOf());
  }

  rings() {
    const { bc, px, rings } = this.spots;
    return rings.map((radius) => { const r = radius / px; return { type: "circle", layer: "below", x0: bc[0] - r,
      x1: bc[0] + r, y0: bc[1] - r, y1: bc[1] + r, line: { color: "#d5dde4", width: 1 } }; });
  }

  angles(s) {
    const omega = Float32Array.from(s.omega, (w, i) => w + (Number.isNaN(s.domega[i]) ? 0 : s.domega[i]));
    const eta = Float32Array.from(s.yo, (y, i) =>
      Math.atan2(y - this.spots.bc[0], s.zo[i] - this.spots.bc[1]) * 180 / Math.PI);
    const layout = layoutOf({ title: { text: "In omega and eta", font: { size: 13 }, x: 0.02 }, showlegend: true,
      legend: { orientation: "h", y: -0.3, yanchor: "top", font: { size: 11 } },
      xaxis: { title: { text: "omega (°)" }, gridcolor: GRID, zeroline: false },
      yaxis: { title: { text: "eta (°)" }, gridcolor: GRID, zeroline: false, range: [-185, 185], dtick: 60 } });
    Plotly.react("grain-angles", this.traces(s, s.omega, s.eta, omega, eta), layout, configOf());
  }

  residuals(s) {
    const rows = Array.from({ length: s.n }, (_, i) => i).filter((i) => !Number.isNaN(s.radial[i]));
    const parts = [["radial", "radial (µm)"], ["arc", "along the ring (µm)"], ["domega", "omega (°)"]];
    // Side by side only where their numbers and titles have room.
    const narrow = document.getElementById("grain-residuals").clientWidth < 760;
    const colours = ["#1f5fa6", "#c0392b", "#1e7a46", "#a05a00", "#8a4fbf", "#0e7c86", "#5b6977"];
    const rings = [...new Set(rows.map((i) => s.ring[i]))].sort((a, b) => a - b);
    const traces = [];
    parts.forEach(([name], k) => rings.forEach((ring, c) => {
      const own = rows.filter((i) => s.ring[i] === ring), n = k ? String(k + 1) : "";
      traces.push({ type: "scatter", mode: "markers", name: "ring " + ring, legendgroup: "ring" + ring, showlegend: !k,
        x: own.map((i) => s.eta[i]), y: own.map((i) => s[name][i]), text: own.map((i) => s.text[i]), hoverinfo: "text",
        xaxis: "x" + n, yaxis: "y" + n, marker: { size: 6, color: colours[c % colours.length] } });
    }));
    const layout = layoutOf({ title: { text: "Residuals against eta (°)", font: { size: 13 }, x: 0.02 },
      showlegend: true, legend: { orientation: "h", y: narrow ? -0.08 : -0.2, font: { size: 11 } },
      grid: { rows: narrow ? 3 : 1, columns: narrow ? 1 : 3, pattern: "independent", xgap: 0.2, ygap: 0.25 },
      height: narrow ? 640 : 330 });
    parts.forEach(([, title], k) => {
      const n = k ? String(k + 1) : "";
      layout["xaxis" + n] = { range: [-185, 185], dtick: 90, gridcolor: GRID, zeroline: false };
      layout["yaxis" + n] = { title: { text: title, standoff: 2 }, gridcolor: GRID, zerolinecolor: "#8896a3" };
    });
    Plotly.react("grain-residuals", traces, layout, configOf());
  }

  pixels() {
    const place = document.getElementById("grain-montage");
    const own = this.montages && this.montages[String(this.value("grain"))];
    if (!own) {
      const why = this.montages ? "The raw pixels of this grain are not in the page (it holds some grains only)." : "";
      place.replaceChildren(...(why ? [element("p", why, "note")] : []));
      return;
    }
    const box = element("div", undefined, "montage");
    for (const spot of own.spots) box.append(this.strip(spot));
    place.replaceChildren(element("h3", "Raw pixels of its spots, frame by frame"), element("p", own.says, "note"), box);
  }

  strip(spot) {
    const figure = element("figure"), canvas = element("canvas"), [frames, rows, columns] = spot.shape;
    const values = numbersOf(spot.data), zoom = Math.max(2, Math.round(34 / Math.max(rows, columns)));
    canvas.width = frames * (columns + 1) - 1; canvas.height = rows;
    canvas.style.width = canvas.width * zoom + "px"; canvas.style.height = rows * zoom + "px";
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, rows);
    image.data.fill(255);
    for (let f = 0; f < frames; f++) for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
      const value = 255 - values[(f * rows + r) * columns + c], at = 4 * (r * canvas.width + f * (columns + 1) + c);
      image.data[at] = image.data[at + 1] = image.data[at + 2] = value;
    }
    context.putImageData(image, 0, 0);
    figure.append(canvas, element("figcaption", spot.title));
    return figure;
  }
}
