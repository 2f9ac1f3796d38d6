"use strict";
// Arrays of the page: packed numbers in base64, read when they are asked for.

function readJson(name) {
  const element = document.getElementById("data-" + name);
  return element ? JSON.parse(element.textContent) : null;
}

function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

const KINDS = { f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array, i1: Int8Array };

// A packed column: {t: type, b: base64, s: scale, o: offset}; the least int16 is no number.
function numbersOf(packed) {
  if (!packed.values) {
    const raw = new KINDS[packed.t](bytesOf(packed.b).buffer);
    if (packed.t !== "i2" || packed.s === undefined) packed.values = raw;
    else {
      const values = new Float32Array(raw.length);
      for (let i = 0; i < raw.length; i++) values[i] = raw[i] === -32768 ? NaN : packed.o + packed.s * raw[i];
      packed.values = values;
    }
    packed.b = null;
  }
  return packed.values;
}

function shown(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value.toFixed(digits);
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function isNarrow() { return window.innerWidth < 640; }

const INK = "#1c2733", GRID = "#e4e9ee";

function layoutOf(more) {
  const base = {
    margin: { l: 56, r: 16, t: 34, b: 46 }, font: { family: "system-ui, DejaVu Sans, sans-serif", size: 12, color: INK },
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", showlegend: false, hovermode: "closest", autosize: true,
    modebar: { bgcolor: "rgba(255,255,255,0.6)", color: "#a9b4be", activecolor: "#1f5fa6" },
  };
  return Object.assign(base, more);
}

const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };

// Without its buttons where they would cover the title.
function configOf() { return isNarrow() ? Object.assign({}, CONFIG, { displayModeBar: false }) : CONFIG; }

function failure(div, error) {
  div.replaceChildren(element("p", "This figure cannot be drawn here: " + error, "failed"));
}
