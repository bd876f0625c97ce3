// One answer of the chat as elements. Text only ever enters as text, never as markup.

const MONEY = new Intl.NumberFormat("en-CA", { style: "currency", currency: "CAD", currencyDisplay: "narrowSymbol" });
const WHOLE = new Intl.NumberFormat("en-CA", { maximumFractionDigits: 0 });
const FRACTION = new Intl.NumberFormat("en-CA", { maximumFractionDigits: 2 });
const SHOWN_ROWS = 12;
const LISTED_ROWS = 3;

/** The element of one answer; `onWiden` asks the same question without the dashboard's filters. */
export function answerElement(answer, { narrowed, onWiden }) {
  const box = make("article", `answer ${answer.status}`);
  box.append(sentence(answer.answer, answer.rows?.length ?? 0));
  if (answer.rows?.length && (answer.rows.length > 1 || answer.columns.length > 1)) {
    box.append(table(answer.columns, answer.rows));
  }
  if (answer.reading) {
    const reading = make("p", "reading");
    reading.append(make("span", "label", "Read as "), answer.reading);
    box.append(reading);
  }
  if (answer.citations?.length) box.append(citations(answer.citations));
  const foot = make("footer", "foot");
  foot.append(make("span", "", scopeText(answer.scope)));
  if (answer.ledger) foot.append(make("span", "", ledgerText(answer.ledger)));
  box.append(foot);
  if (narrowed) {
    const widen = make("button", "widen", "Ask without the dashboard’s filters");
    widen.type = "button";
    widen.addEventListener("click", onWiden);
    box.append(widen);
  }
  return box;
}

/** The run id of the version that an answer was computed on. */
export function versionOf(answer) {
  return answer.citations?.find((citation) => citation.kind === "run")?.id;
}

/** A run's id without its fractions of a second. */
export function shortRun(id) {
  return id.split(".")[0];
}

export function ageOf(publishedAt) {
  const minutes = Math.floor((Date.now() - Date.parse(publishedAt)) / 60_000);
  for (const [unit, length] of [["day", 1440], ["hour", 60], ["minute", 1]]) {
    const count = Math.floor(minutes / length);
    if (count > 0) return `${count} ${unit}${count > 1 ? "s" : ""} old`;
  }
  return "less than a minute old";
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function sentence(text, rows) {
  const said = make("p", "sentence", text);
  const colon = text.indexOf(": ");
  if (rows <= LISTED_ROWS || colon < 0) return said;
  // A long list reads better as the table below; its words stay a click away.
  said.textContent = text.slice(0, colon);
  const words = make("button", "words", "in words");
  words.type = "button";
  words.addEventListener("click", () => {
    said.textContent = text;
  });
  said.append(words);
  return said;
}

function table(columns, rows) {
  const wrap = make("div", "table");
  wrap.tabIndex = 0;
  wrap.setAttribute("role", "region");
  wrap.setAttribute("aria-label", "Figures");
  const grid = make("table");
  const head = grid.createTHead().insertRow();
  for (const column of columns) {
    const cell = make("th", numeric(column) ? "number" : "", label(column.name));
    cell.scope = "col";
    head.append(cell);
  }
  const body = grid.createTBody();
  rows.forEach((row, index) => {
    const line = body.insertRow();
    line.hidden = index >= SHOWN_ROWS;
    row.forEach((value, i) => {
      line.append(make("td", numeric(columns[i]) ? "number" : "", text(value, columns[i])));
    });
  });
  wrap.append(grid);
  if (rows.length > SHOWN_ROWS) {
    const more = make("button", "more", `Show all ${rows.length} rows`);
    more.type = "button";
    more.addEventListener("click", () => {
      for (const line of body.rows) line.hidden = false;
      more.remove();
    });
    wrap.append(more);
  }
  return wrap;
}

function citations(list) {
  const row = make("ul", "citations");
  row.setAttribute("aria-label", "Sources");
  for (const citation of list) {
    const item = make("li", `citation ${citation.kind}`);
    const isRun = citation.kind === "run";
    item.append(make("span", "kind", isRun ? "version" : citation.kind));
    item.append(isRun ? shortRun(citation.id) : citation.title || citation.id);
    item.title = isRun ? citation.title : citation.id;
    row.append(item);
  }
  return row;
}

function scopeText(scope) {
  if (!scope) return "";
  const parts = [];
  const count = scope.customer_count;
  if (count != null) parts.push(`${WHOLE.format(count)} ${count === 1 ? "customer" : "customers"}`);
  for (const name of ["cities", "credit_bands", "loan_types"]) {
    if (Array.isArray(scope[name]) && scope[name].length) parts.push(scope[name].join(", "));
  }
  if (scope.from || scope.to) parts.push(`${scope.from ?? "…"} – ${scope.to ?? "…"}`);
  return parts.join(" · ");
}

function ledgerText(ledger) {
  const parts = [`${FRACTION.format(ledger.ms)} ms`];
  if (ledger.model_tokens) parts.push(`${WHOLE.format(ledger.model_tokens)} tokens`);
  const cost = Number(ledger.cost_usd);
  parts.push(cost ? `US$${cost.toFixed(4)}` : "US$0");
  return parts.join(" · ");
}

function text(value, column) {
  if (value === null || value === undefined) return "—";
  if (typeof value === "boolean" || !numeric(column) || Number.isNaN(Number(value))) return String(value);
  if (column.unit === "CAD") return MONEY.format(value);
  if (column.unit === "%" || column.unit === "percent") return `${FRACTION.format(value)} %`;
  return FRACTION.format(value);
}

function numeric(column) {
  return /int|decimal|double|number|float|numeric/i.test(column.type ?? "") && !/_id$/.test(column.name);
}

function label(name) {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
