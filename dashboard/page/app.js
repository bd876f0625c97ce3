// The host page: the embedded dashboard, the chat beside it, and the filters that join the two.

import { ageOf, answerElement, make, shortRun, versionOf } from "./answer.js";
import { scopeOf, wordsOf } from "./scope.js";

const byId = (id) => document.getElementById(id);
const HISTORY = 6;
const POLL = 15_000;
const PATIENCE = 10_000;

// A promise: a range of dates has to be asked for, and a question waits for it.
let scope = Promise.resolve({});
let lastMask = "";
let mask = {};
let tab = "";
let frame = null;
/** What the service said of the version that the header names and the tiles show or will show. */
let target = null;
let state = "";
const history = [];

start();

async function start() {
  setUpTheme();
  setUpViews();
  setUpAsking();
  // A page stays open for days: a version grows old, or another one is published.
  setInterval(keepUp, POLL);
  // In the background, a browser seldom lets a page look.
  document.addEventListener("visibilitychange", () => document.hidden || keepUp());
  await keepUp();
}

// --- one version for all that is on the page

/** Compare the page with the published version, and move it there: header, tiles and chat at once. */
async function keepUp() {
  let about;
  try {
    about = await request("/api/about", { signal: AbortSignal.timeout(PATIENCE) });
  } catch (error) {
    if (!target) cover(`The page’s service does not answer. ${error.message}`, true);
    return;
  }
  // Nothing of one user may stay when the service is started for another.
  if (target && target.user !== about.user) return location.reload();
  const moved = placeOf(about) !== placeOf(target);
  if (!target) suggest(about.questions);
  const before = target;
  target = about;
  showAbout(about);
  if (!moved && state !== "failed") return;
  if (moved) cover(before ? "Loading the newly published version…" : "Loading the dashboard…");
  state = "loading";
  markAnswers();
  embed(about);
}

function placeOf(about) {
  return JSON.stringify([about?.version?.run_id, about?.dashboard, about?.granted]);
}

/** Say of each answer whether its figures are of the version that the page shows. */
function markAnswers() {
  for (const answer of document.querySelectorAll(".answer[data-version]")) {
    const other = answer.dataset.version !== target?.version?.run_id;
    answer.classList.toggle("other", other);
    answer.querySelector(".of-other")?.remove();
    if (!other) continue;
    const words = `From version ${shortRun(answer.dataset.version)}, not the one shown now.`;
    answer.prepend(make("p", "of-other", words));
  }
}

// --- the dashboard

async function embed(about) {
  const superseded = () => placeOf(about) !== placeOf(target);
  const fail = (text) => {
    if (superseded()) return;
    state = "failed";
    cover(text, true);
  };
  tab = await activeTab();
  if (superseded()) return;
  frame?.unmount();
  frame = null;
  if (!about.version) return fail("Nothing is published yet. Run: discover refresh");
  if (!about.dashboard) return fail("No dashboard is loaded. Run: discover dashboard up");
  if (!about.granted) {
    const who = about.user || "nobody";
    return fail(`No customers may be shown to ${who}. Run: discover users add ${about.user || "NAME"} --customers …`);
  }
  // Its own element: where this attempt fails, it must not empty the one that follows.
  const mount = make("div", "mount");
  byId("dashboard").replaceChildren(mount);
  let loaded;
  try {
    const urlParams = await keptFilters();
    const loading = window.supersetEmbeddedSdk.embedDashboard({
      id: about.dashboard.id,
      supersetDomain: about.dashboard.superset,
      mountPoint: mount,
      iframeTitle: "Customer insights dashboard",
      fetchGuestToken: () => guestToken(about.version.run_id),
      dashboardUiConfig: {
        hideTitle: true,
        hideChartControls: true,
        emitDataMasks: true,
        filters: { visible: true, expanded: true },
        urlParams,
      },
      referrerPolicy: "strict-origin-when-cross-origin",
    });
    // Superset opens the tab that the address ends with; the SDK has no option for it.
    if (tab) mount.querySelector("iframe").src += `#${tab}`;
    loaded = await loading;
  } catch (error) {
    return fail(`The dashboard can’t be shown. ${error.message}`);
  }
  if (superseded()) return loaded.unmount();
  frame = loaded;
  state = "shown";
  cover("");
  applyTheme();
  frame.observeDataMask(follow);
}

async function guestToken(version) {
  try {
    const query = new URLSearchParams({ version });
    return (await request(`/api/token?${query}`, { method: "POST" })).token;
  } catch (error) {
    if (error.status === 409) keepUp();
    throw error;
  }
}

/** The tab that is open, or was when it could last be asked. */
async function activeTab() {
  if (!frame) return tab;
  const late = new Promise((resolve) => setTimeout(resolve, 2_000, null));
  const tabs = await Promise.race([frame.getActiveTabs().catch(() => null), late]);
  return tabs?.[0] ?? tab;
}

/** Parameters with which the dashboard opens under the filters that are set now. */
async function keptFilters() {
  if (!Object.values(mask).some((filter) => filter?.filterState?.value != null)) return {};
  const kept = await request("/api/filters", post({ mask }));
  return { native_filters_key: kept.key };
}

async function follow(all) {
  // Superset also tells when nothing has changed.
  const filters = Object.entries(all).filter(([name]) => name.startsWith("NATIVE_FILTER-"));
  const now = JSON.stringify(filters.map(([name, value]) => [name, value?.filterState?.value]));
  if (now === lastMask) return;
  lastMask = now;
  mask = Object.fromEntries(filters);
  const found = scopeOf(all, (range) => request(`/api/days?range=${encodeURIComponent(range)}`));
  scope = found.then((read) => read.scope);
  // A range that can't be used shows here, and again to whoever asks.
  scope.catch(() => {});
  const words = await found.then((read) => wordsOf(read.scope, read.labels), (error) => [error.message]);
  if (now === lastMask) showScope(words);
}

function cover(text, failed = false) {
  byId("cover").hidden = !text;
  byId("cover").classList.toggle("failed", failed);
  byId("cover-text").textContent = text;
}

// --- the chat

function setUpAsking() {
  const question = byId("question");
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (!text || byId("send").disabled) return;
    question.value = "";
    grow(question);
    ask(text, scope);
  });
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      byId("ask").requestSubmit();
    }
  });
  question.addEventListener("input", () => grow(question));
}

async function ask(text, within) {
  const log = byId("log");
  byId("welcome").hidden = true;
  const asked = make("p", "asked", text);
  log.append(asked);
  const waiting = make("div", "waiting");
  waiting.append(make("span"), make("span"), make("span"));
  log.append(waiting);
  log.scrollTop = log.scrollHeight;
  byId("send").disabled = true;
  let element;
  try {
    const set = await within;
    const body = { question: text, scope: set, history: history.slice(-HISTORY) };
    const answer = await request("/api/chat", post(body));
    const version = versionOf(answer);
    // Figures of another version than the tiles' must not be on the page together.
    if (version !== target?.version?.run_id) await keepUp();
    if (answer.plan) history.push({ question: text, plan: answer.plan });
    const narrowed = Object.keys(set).length > 0;
    element = answerElement(answer, { narrowed, onWiden: () => ask(text, {}) });
    if (version) element.dataset.version = version;
  } catch (error) {
    element = make("p", "answer failed", `No answer: ${error.message}`);
  }
  waiting.replaceWith(element);
  markAnswers();
  byId("send").disabled = false;
  // A long table begins at its sentence, not at its end.
  log.scrollTo({ top: asked.offsetTop - log.offsetTop - 14, behavior: "smooth" });
}

function suggest(questions) {
  const perTab = new Map();
  for (const one of questions) {
    if (!perTab.has(one.tab)) perTab.set(one.tab, []);
    perTab.get(one.tab).push(one.ask);
  }
  for (const [tab, asks] of perTab) {
    const item = make("li");
    item.append(make("span", "label", tab));
    // One for a figure, one for a table.
    for (const text of [asks[0], asks.at(-1)]) {
      const button = make("button", "suggestion", text);
      button.type = "button";
      button.addEventListener("click", () => ask(text, scope));
      item.append(button);
    }
    byId("suggestions").append(item);
  }
}

function showScope(words) {
  const list = byId("scope");
  list.replaceChildren();
  if (!words.length) list.append(make("li", "chip all", "everything you may see"));
  for (const text of words) list.append(make("li", "chip", text));
}

// --- the page

function showAbout(about) {
  byId("user").textContent = about.user ?? "nobody";
  if (about.version) {
    byId("data-through").textContent = about.version.data_through ?? "—";
    const { run_id, published_at } = about.version;
    byId("version").textContent = `${shortRun(run_id)}, ${ageOf(published_at)}`;
    byId("version").title = `${run_id}, published ${published_at}`;
  }
  byId("facts").hidden = false;
}

function setUpTheme() {
  const kept = localStorage.getItem("theme");
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("theme", next);
    applyTheme();
  });
}

function applyTheme() {
  const dark = document.documentElement.dataset.theme === "dark";
  frame?.setThemeMode(dark ? "dark" : "default");
}

function setUpViews() {
  const main = document.querySelector("main");
  const buttons = document.querySelectorAll("[data-view][aria-pressed]");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      main.dataset.view = button.dataset.view;
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
    });
  }
}

function grow(area) {
  area.rows = Math.min(5, area.value.split("\n").length);
}

async function request(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = new Error(body.detail ?? `HTTP ${response.status}`);
    throw Object.assign(error, { status: response.status });
  }
  return body;
}

function post(body) {
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body) };
}
