// The page starts here.

function startGrains() {
  const grains = readJson("grains");
  if (!grains || !grains.n) return;
  const panel = new GrainPanel(grains, readJson("spots"), readJson("montages"));
  let table = null;
  const select = (i, follow) => {
    panel.show(i); map.select(i); table.select(i, follow);
    window.midasReport.selected = numbersOf(panel.column.grain.data)[i];
  };
  const map = new GrainMap(grains, readJson("choices"), (i) => select(i, true));
  table = new GrainTable(grains, (i) => select(i, false), (rows) => map.filter(rows));
  whenSeen(map.space, () => map.draw());
  const radius = numbersOf(panel.column.radius.data);
  let largest = 0;
  for (let i = 1; i < radius.length; i++) if (radius[i] > radius[largest]) largest = i;
  select(largest, true);
}

window.midasReport = { selected: null, ready: false };
startFigures();
startGrains();
window.midasReport.ready = true;
