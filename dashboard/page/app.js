// The host page: the embedded dashboard, the chat beside it, and the filters that join the two.

import { ageOf, answerElement, make, shortRun } from "./answer.js";
import { scopeOf, wordsOf } from "./scope.js";

const byId = (id) => document.getElementById(id);
const HISTORY = 6;
const AGES = 60_000;

// A promise: a range of dates has to be asked for, and a question waits for it.
let scope = Promise.resolve({});
let lastMask = "";
let frame = null;
const history = [];

start();

async function start() {
  setUpTheme();
  setUpViews();
  setUpAsking();
  let about;
  try {
    about = await request("/api/about");
  } catch (error) {
    cover(`The page’s service does not answer. ${error.message}`, true);
    return;
  }
  showAbout(about);
  // A page stays open for days: a version grows old, or a newer one is published.
  setInterval(async () => showAbout(await request("/api/about").catch(() => about)), AGES);
  suggest(about.questions);
  await embed(about);
}

// --- the dashboard

async function embed(about) {
  if (!about.version) {
    cover("Nothing is published yet. Run: discover refresh", true);
    return;
  }
  if (!about.dashboard) {
    cover("No dashboard is loaded. Run: discover dashboard up", true);
    return;
  }
  try {
    frame = await window.supersetEmbeddedSdk.embedDashboard({
      id: about.dashboard.id,
      supersetDomain: about.dashboard.superset,
      mountPoint: byId("dashboard"),
      iframeTitle: "Customer insights dashboard",
      fetchGuestToken: async () => (await request("/api/token", { method: "POST" })).token,
      dashboardUiConfig: {
        hideTitle: true,
        hideChartControls: true,
        emitDataMasks: true,
        filters: { visible: true, expanded: true },
      },
      referrerPolicy: "strict-origin-when-cross-origin",
    });
  } catch (error) {
    cover(`The dashboard can’t be shown. ${error.message}`, true);
    return;
  }
  cover("");
  applyTheme();
  frame.observeDataMask(follow);
}

async function follow(mask) {
  // Superset also tells when nothing has changed.
  const filters = Object.entries(mask).filter(([name]) => name.startsWith("NATIVE_FILTER-"));
  const now = JSON.stringify(filters.map(([name, value]) => [name, value?.filterState?.value]));
  if (now === lastMask) return;
  lastMask = now;
  const found = scopeOf(mask, (range) => request(`/api/days?range=${encodeURIComponent(range)}`));
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
    const answer = await request("/api/chat", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question: text, scope: set, history: history.slice(-HISTORY) }),
    });
    if (answer.plan) history.push({ question: text, plan: answer.plan });
    const narrowed = Object.keys(set).length > 0;
    element = answerElement(answer, { narrowed, onWiden: () => ask(text, {}) });
  } catch (error) {
    element = make("p", "answer failed", `No answer: ${error.message}`);
  }
  waiting.replaceWith(element);
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
  if (!response.ok) throw new Error(body.detail ?? `HTTP ${response.status}`);
  return body;
}
