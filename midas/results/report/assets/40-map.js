// The grains in the sample: in space and along each axis.

class GrainMap {
  constructor(grains, choices, onSelect) {
    this.grains = grains; this.choices = choices; this.onSelect = onSelect;
    this.column = Object.fromEntries(grains.columns.map((column) => [column.name, column]));
    this.visible = Array.from({ length: grains.n }, (_, i) => i);
    this.selected = -1; this.ready = false;
    this.space = document.getElementById("map3d"); this.views = document.getElementById("views");
    this.menu = document.getElementById("colour");
    choices.forEach((choice, k) => { const o = element("option", choice.title); o.value = k; this.menu.append(o); });
    this.menu.value = Math.max(0, choices.findIndex((choice) => choice.name === "ipf_z"));
    this.menu.addEventListener("change", () => this.draw());
    const radius = numbersOf(this.column.radius.data);
    this.largest = Math.max(1e-9, radius.reduce((a, b) => (b > a ? b : a), 0));
    const most = Math.min(26, Math.max(9, 90 / Math.cbrt(grains.n)));
    this.size = Array.from(radius, (r) => most * Math.max(0.22, (Number.isFinite(r) ? r : 0) / this.largest));
  }

  values(name) { return numbersOf(this.column[name].data); }

  pick(values) { return this.visible.map((i) => values[i]); }

  hover() {
    const [id, radius, complete] = ["grain", "radius", "completeness"].map((name) => this.values(name));
    return this.visible.map((i) => `grain ${id[i]}<br>radius ${shown(radius[i], 1)} µm<br>completeness ` +
      shown(complete[i], 3));
  }

  marker(choice, factor, scale) {
    const marker = { size: this.pick(this.size).map((s) => s * factor), line: { width: 0 }, opacity: 1 };
    if (choice.kind === "rgb") {
      const c = numbersOf(choice.data);
      marker.color = this.visible.map((i) => `rgb(${c[3 * i]},${c[3 * i + 1]},${c[3 * i + 2]})`);
      return marker;
    }
    const all = numbersOf(choice.data);
    marker.color = this.pick(all);
    marker.colorscale = choice.scale || "Viridis";
    marker.cmin = choice.low; marker.cmax = choice.high;
    marker.showscale = scale;
    if (scale) marker.colorbar = { title: { text: choice.unit, side: "top" }, thickness: 14, len: 0.75, x: 1.0, xpad: 4,
      tickfont: { size: 11 } };
    return marker;
  }

  draw() {
    this.ready = true;
    const choice = this.choices[Number(this.menu.value)] || this.choices[0];
    const key = document.getElementById("key");
    if (key) key.hidden = choice.kind !== "rgb" || !choice.key;
    const [x, y, z] = ["x", "y", "z"].map((name) => this.pick(this.values(name)));
    const text = this.hover();
    const common = { mode: "markers", text, hoverinfo: "text", customdata: this.visible, name: "" };
    this.inSpace(choice, [x, y, z], common);
    this.alongAxes(choice, [x, y, z], common);
    this.mark();
  }

  inSpace(choice, [x, y, z], common) {
    const axis = (title) => ({ title: { text: title, font: { size: 12 } }, backgroundcolor: "#f7f9fb", showbackground: true,
      gridcolor: "#d3dce4", zerolinecolor: "#aab6c1", tickfont: { size: 10 }, nticks: 6 });
    const ranges = [x, y, z].map((values) => this.extent(values));
    const longest = Math.max(...ranges.map(([a, b]) => b - a));
    // A thin layer keeps a box that can be looked into.
    const sides = ranges.map(([a, b]) => Math.max((b - a) / longest, 0.3));
    const zoom = (isNarrow() ? 1.65 : 1.85) / Math.hypot(...sides), ratio = sides.map((side) => zoom * side);
    const scene = { aspectmode: "manual", aspectratio: { x: ratio[0], y: ratio[1], z: ratio[2] },
      camera: { projection: { type: "orthographic" }, eye: { x: 1.25, y: -1.45, z: 0.85 },
        center: { x: 0, y: 0, z: isNarrow() ? -0.05 : -0.08 } }, dragmode: "turntable",
      xaxis: { ...axis("X, beam (µm)"), range: ranges[0] }, yaxis: { ...axis("Y (µm)"), range: ranges[1] },
      zaxis: { ...axis("Z, axis (µm)"), range: ranges[2] } };
    if (this.space.layout && this.space.layout.scene.camera) scene.camera = this.space.layout.scene.camera;
    const traces = [{ type: "scatter3d", x, y, z, ...common, marker: this.marker(choice, 1, true) },
      { type: "scatter3d", x: [], y: [], z: [], mode: "markers", hoverinfo: "skip",
        marker: { symbol: "circle-open", color: "#000", size: [], line: { width: 3, color: "#000" } } }];
    const layout = layoutOf({ margin: { l: 0, r: 0, t: 6, b: 6 }, scene, uirevision: "map" });
    this.plot(this.space, traces, layout);
  }

  alongAxes(choice, [x, y, z], common) {
    const narrow = isNarrow(), unit = " (µm)";
    const small = { ...common, marker: this.marker(choice, 0.75, false) };
    const kind = this.grains.n > 1500 ? "scattergl" : "scatter";
    const view = (a, b, k) => ({ type: kind, x: a, y: b, xaxis: "x" + k, yaxis: "y" + k, ...small });
    const ring = (k) => ({ type: kind, x: [], y: [], xaxis: "x" + k, yaxis: "y" + k, mode: "markers", hoverinfo: "skip",
      marker: { symbol: "circle-open", color: "#000", size: 14, line: { width: 2 } } });
    const traces = [view(y, x, ""), view(y, z, "2"), view(x, z, "3"), ring(""), ring("2"), ring("3")];
    const places = narrow ? [[[0, 1], [0.73, 1]], [[0, 1], [0.37, 0.63]], [[0, 1], [0, 0.27]]]
      : [[[0, 0.42], [0.57, 1]], [[0, 0.42], [0, 0.43]], [[0.58, 1], [0, 0.43]]];
    const names = [["Y", "X, beam"], ["Y", "Z, axis"], ["X, beam", "Z, axis"]];
    const titles = ["from above", "along the beam", "from the side"];
    // Seen from above and downstream Y points to the left.
    const data = { X: x, Y: y, Z: z };
    const range = (name) => { const [a, b] = this.extent(data[name]); return name === "Y" ? [b, a] : [a, b]; };
    const layout = layoutOf({ margin: { l: 50, r: 8, t: 22, b: 40 }, annotations: [], uirevision: "views" });
    names.forEach(([a, b], k) => {
      const n = k ? String(k + 1) : "";
      layout["xaxis" + n] = { domain: places[k][0], title: { text: a + unit, standoff: 4 }, anchor: "y" + n,
        gridcolor: GRID, zerolinecolor: "#b7c2cc", range: range(a[0]), scaleanchor: "y" + n,
        constrain: "domain", nticks: this.ticks(data, a[0]), tickangle: 0 };
      layout["yaxis" + n] = { domain: places[k][1], title: { text: b + unit, standoff: 4 }, anchor: "x" + n,
        gridcolor: GRID, zerolinecolor: "#b7c2cc", range: range(b[0]), constrain: "domain",
        constraintoward: "top" };
      layout.annotations.push({ text: titles[k], xref: "paper", yref: "paper", x: places[k][0][0], y: places[k][1][1],
        xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 12, color: "#5b6977" } });
    });
    this.plot(this.views, traces, layout);
  }

  // Few where the sample is narrow, so that their numbers do not touch each other.
  ticks(data, name) {
    const widths = Object.fromEntries(Object.entries(data).map(([key, values]) => {
      const [a, b] = this.extent(values); return [key, b - a]; }));
    return widths[name] < 0.4 * Math.max(...Object.values(widths)) ? 2 : 6;
  }

  // Room for the largest grain on both sides.
  extent(values) {
    let low = Infinity, high = -Infinity;
    for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
    if (!(low <= high)) return [-1, 1];
    const room = Math.max(0.08 * (high - low), Math.min(this.largest, 1e4), 1e-3);
    return [low - room, high + room];
  }

  plot(div, traces, layout) {
    const first = !div.layout;
    Plotly.react(div, traces, layout, configOf()).catch((error) => failure(div, error));
    if (first && div.on) div.on("plotly_click", (event) => {
      const point = event.points.find((each) => each.customdata !== undefined);
      if (point) this.onSelect(Number(point.customdata));
    });
  }

  filter(rows) {
    this.visible = rows;
    if (this.ready) this.draw();
  }

  select(i) {
    this.selected = i;
    if (this.ready) this.mark();
  }

  mark() {
    const i = this.selected;
    if (i < 0) return;
    const [x, y, z] = ["x", "y", "z"].map((name) => [this.values(name)[i]]);
    Plotly.restyle(this.space, { x: [x], y: [y], z: [z], "marker.size": [[this.size[i] + 9]] }, [1]);
    Plotly.restyle(this.views, { x: [y, y, x], y: [x, z, z], "marker.size": 0.75 * this.size[i] + 9 }, [3, 4, 5]);
  }
}
