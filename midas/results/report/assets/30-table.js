// The table of the grains: sorted, filtered, and only the rows in view are in the page.

const ROW = 29, BESIDE = 12;

class GrainTable {
  constructor(grains, onSelect, onFilter) {
    this.grains = grains; this.onSelect = onSelect; this.onFilter = onFilter;
    this.columns = grains.columns.filter((column) => column.shown);
    this.order = Array.from({ length: grains.n }, (_, i) => i);
    this.sorted = null; this.selected = -1; this.first = -1;
    this.scroll = document.getElementById("grain-scroll");
    this.body = document.querySelector("#grain-table tbody");
    this.says = document.getElementById("filter-says");
    this.heads();
    this.scroll.addEventListener("scroll", () => this.rows(false));
    this.scroll.addEventListener("keydown", (event) => this.key(event));
    const filter = document.getElementById("filter");
    filter.addEventListener("input", () => this.filter(filter.value));
    this.filter("");
  }

  heads() {
    const row = document.querySelector("#grain-table thead tr");
    for (const column of this.columns) {
      const head = element("th"), button = element("button");
      head.scope = "col"; head.dataset.column = column.name;
      button.type = "button"; button.title = column.help || column.title;
      button.append(element("span", column.title), element("small", column.unit || ""));
      button.addEventListener("click", () => this.sort(column));
      head.append(button);
      row.append(head);
    }
  }

  sort(column) {
    const up = !(this.sorted && this.sorted.column === column && this.sorted.up);
    this.sorted = { column, up };
    for (const head of document.querySelectorAll("#grain-table th")) {
      if (head.dataset.column === column.name) head.setAttribute("aria-sort", up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    this.arrange();
  }

  arrange() {
    if (this.sorted) {
      const values = numbersOf(this.sorted.column.data), sign = this.sorted.up ? 1 : -1;
      const rank = (i) => Number.isNaN(values[i]) ? Infinity : sign * values[i];
      this.order.sort((a, b) => rank(a) - rank(b) || a - b);
    }
    this.scroll.scrollTop = 0;
    this.rows(true);
  }

  // Conditions as "radius > 40 completeness <= 0.9", or the numbers of grains.
  filter(text) {
    const conditions = [], wrong = [], ids = new Set();
    const rest = text.replace(/([A-Za-zσ_][A-Za-zσ_0-9 ]*?)\s*(<=|>=|<|>|=)\s*(-?\d+(?:\.\d*)?(?:e[-+]?\d+)?)/gi,
      (_, name, sign, number) => {
        const column = this.named(name);
        if (column) conditions.push([numbersOf(column.data), sign, Number(number)]); else wrong.push(name.trim());
        return " ";
      });
    for (const word of rest.split(/[\s,;]+/).filter(Boolean)) {
      if (/^\d+$/.test(word)) ids.add(Number(word)); else if (!/^(and|&|&&)$/i.test(word)) wrong.push(word);
    }
    // Numbers in what is not understood are no grains.
    if (wrong.length) ids.clear();
    const id = numbersOf(this.named("grain").data);
    const holds = { "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
      "=": (a, b) => a === b || Math.abs(a - b) < 1e-6 * Math.abs(b) };
    this.order = [];
    for (let i = 0; i < this.grains.n; i++) {
      if (ids.size && !ids.has(id[i])) continue;
      if (conditions.every(([values, sign, number]) => holds[sign](values[i], number))) this.order.push(i);
    }
    this.said(wrong);
    this.arrange();
    this.onFilter(this.order.slice());
  }

  said(wrong) {
    const names = this.grains.columns.map((column) => column.name).join(", ");
    const count = `${this.order.length} of ${this.grains.n} grains`;
    this.says.textContent = wrong.length ? `${count}; not understood: ${wrong.join(", ")}. Columns: ${names}` : count;
  }

  named(name) {
    const plain = (text) => text.toLowerCase().replace(/σ/g, "sigma").replace(/[^a-z0-9]/g, "");
    const wanted = plain(name.replace(/^\s*and\s+/i, ""));
    const same = (column) => plain(column.name) === wanted || plain(column.title) === wanted;
    return this.grains.columns.find(same) ||
      this.grains.columns.find((column) => wanted.length > 2 && plain(column.name).startsWith(wanted));
  }

  rows(always) {
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW) - BESIDE);
    if (!always && Math.abs(first - this.first) < BESIDE / 2) return;
    this.first = first;
    const end = Math.min(this.order.length, first + Math.ceil(this.scroll.clientHeight / ROW) + 2 * BESIDE);
    const made = [this.spacer(first * ROW)];
    for (let k = first; k < end; k++) made.push(this.row(this.order[k]));
    made.push(this.spacer((this.order.length - end) * ROW));
    this.body.replaceChildren(...made);
  }

  row(i) {
    const row = element("tr", undefined, i === this.selected ? "row selected" : "row");
    row.dataset.row = i;
    for (const column of this.columns) row.append(element("td", shown(numbersOf(column.data)[i], column.digits)));
    row.addEventListener("click", () => this.onSelect(i));
    return row;
  }

  spacer(height) {
    const row = element("tr", undefined, "spacer"), cell = element("td");
    cell.colSpan = this.columns.length;
    cell.style.height = height + "px";
    row.append(cell);
    return row;
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !this.order.length) return;
    event.preventDefault();
    const at = this.order.indexOf(this.selected);
    this.onSelect(this.order[Math.min(Math.max(at + step, 0), this.order.length - 1)]);
  }

  select(i, follow) {
    this.selected = i;
    const at = this.order.indexOf(i);
    if (follow && at >= 0) {
      const top = at * ROW, height = this.scroll.clientHeight - 60;
      if (top < this.scroll.scrollTop || top > this.scroll.scrollTop + height - ROW) {
        this.scroll.scrollTop = Math.max(0, top - height / 2);
      }
    }
    this.rows(true);
  }
}
