// Figures that are drawn when they come into view.

const pending = new Map();

function whenSeen(div, draw) {
  pending.set(div, draw);
  observer.observe(div);
}

function drawNow(div) {
  const draw = pending.get(div);
  if (!draw) return;
  pending.delete(div);
  observer.unobserve(div);
  try { draw(); } catch (error) { failure(div, error); }
}

const observer = new IntersectionObserver(
  (entries) => { for (const entry of entries) if (entry.isIntersecting) drawNow(entry.target); },
  { rootMargin: "250px" },
);

function drawFigure(div) {
  const figure = readJson("figure-" + div.dataset.figure);
  const layout = Object.assign({}, figure.layout, { autosize: true, template: readJson("template") });
  delete layout.width;
  const config = Object.assign({}, CONFIG);
  if (div.dataset.figure === "ipf-key") {
    delete layout.title; delete layout.height;
    layout.margin = { l: 4, r: 4, t: 8, b: 8 };
    config.displayModeBar = false;
  }
  Plotly.newPlot(div, figure.data, layout, config).catch((error) => failure(div, error));
}

function startFigures() {
  for (const div of document.querySelectorAll("[data-figure]")) whenSeen(div, () => drawFigure(div));
  window.addEventListener("beforeprint", () => { for (const div of [...pending.keys()]) drawNow(div); });
}
