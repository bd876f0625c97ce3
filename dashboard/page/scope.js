// The dashboard's filters as a scope of the chat, and as words.

const ID = /· #(\d+)$/;

/** Scope of a Superset data mask; `resolveDays(range)` turns a worded range into two days. */
export async function scopeOf(mask, resolveDays) {
  const scope = {};
  const labels = values(mask, "customer");
  if (labels.length) scope.customers = labels.map((label) => Number(ID.exec(label)[1]));
  for (const [filter, field] of [
    ["city", "cities"],
    ["credit_band", "credit_bands"],
    ["loan_type", "loan_types"],
  ]) {
    const chosen = values(mask, filter);
    if (chosen.length) scope[field] = chosen;
  }
  const range = state(mask, "date");
  if (typeof range === "string" && range && range !== "No filter") {
    const days = await resolveDays(range);
    if (days.from) scope.from = days.from;
    if (days.to) scope.to = days.to;
  }
  return { scope, labels };
}

/** Short texts for the chips, one a filter. */
export function wordsOf(scope, labels) {
  const words = [];
  if (scope.customers) words.push(listed(labels.map((l) => l.replace(ID, "").trim()), "customers"));
  if (scope.cities) words.push(listed(scope.cities, "cities"));
  if (scope.credit_bands) words.push(listed(scope.credit_bands, "credit bands"));
  if (scope.loan_types) words.push(listed(scope.loan_types.map((t) => `${t} loans`), "loan types"));
  if (scope.from || scope.to) {
    words.push(`${scope.from ?? "the first day"} – ${scope.to ?? "the last day"}`);
  }
  return words;
}

function listed(items, noun) {
  return items.length <= 2 ? items.join(", ") : `${items.length} ${noun}`;
}

function state(mask, filter) {
  return mask?.[`NATIVE_FILTER-${filter}`]?.filterState?.value ?? null;
}

function values(mask, filter) {
  const chosen = state(mask, filter);
  return Array.isArray(chosen) ? chosen.filter((value) => value !== null) : [];
}
