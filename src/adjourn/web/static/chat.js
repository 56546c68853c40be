// The page works without this. With it, what a person does changes the page in place, an answer grows while it is
// written, and every tab shows what happened in another one.

import { box, composer, fit, keep, recall, typed, write } from "./composer.js";
import { remember, swap } from "./swap.js";
import { listen } from "./tabs.js";
import { word } from "./words.js";

const $ = (id) => document.getElementById(id);
const main = $("main");

// Going somewhere: a page is fetched, and put in place of this one.

let going = Promise.resolve(); // one after the other, or a page that is fetched again could hide where one went

function go(...where) {
  going = going.catch(() => {}).then(() => went(...where));
  return going;
}

async function went(address, { body = null, how = "stay", step = true } = {}) {
  let response;
  let text;
  try {
    response = await fetch(address ?? location.href, body ? { method: "POST", body } : {});
    text = await response.text();
  } catch {
    return trouble("network");
  }
  if (response.status === 401) return trouble("signed_out");
  if (!response.headers.get("Content-Type")?.startsWith("text/html")) {
    return trouble(response.status === 413 ? "long" : "other");
  }
  const fetched = new DOMParser().parseFromString(text, "text/html");
  if (step && response.ok) {
    const same = fetched.getElementById("main").dataset.conversation === main.dataset.conversation;
    history[same ? "replaceState" : "pushState"](null, "", response.url);
  }
  show(fetched, how, response.ok && body);
  return response.ok;
}

const refresh = () => go(null, { step: false });

/** Show a page that was fetched. `how`: where to look then; `sent`: what was typed was sent with it. */
function show(fetched, how, sent) {
  const down = how === "down" || nearEnd();
  const closedBefore = Boolean($("closed"));
  const here = main.dataset.conversation;
  const before = main.dataset.number;
  const there = fetched.getElementById("main").dataset.conversation;
  const draft = typed();
  const focused = document.activeElement;
  const rel = focused?.closest?.(".versions a")?.rel;
  if (sent && how === "sent") keep(null);
  if (box() && (here !== there || (sent && how === "sent"))) write({});
  swap(fetched);
  if (here !== there || before !== main.dataset.number) changed();
  if (!box() && draft && !fetched.querySelector(".editor")) keepForLater(draft);
  recall();
  enhance();
  follow();
  fit();
  if ($("closed") && !closedBefore) $("closed-title").focus();
  else if (document.querySelector(".editor")) edit();
  else if (how === "new" || how === "sent" || how === "open") box()?.focus({ preventScroll: true });
  else if (rel && how === "stay") turned(rel);
  else if (!document.contains(focused) && focused !== document.body) (box() ?? $("closed-title")).focus({ preventScroll: true });
  if (down || how === "sent" || how === "open") toEnd();
  latest();
}

/** Tell the list what is shown now, and that it may have changed. */
function changed() {
  const current = main.dataset.conversation || null;
  document.dispatchEvent(new CustomEvent("adjourn:changed", { detail: { current } }));
}

/** The chat was closed while something was being typed, or with what was sent: it goes along into a new chat. */
function keepForLater(draft) {
  keep(null);
  keep(draft, "draft:");
  const kept = $("kept");
  if (!kept) return;
  kept.querySelector("blockquote").textContent = [draft.text, ...draft.attached].filter(Boolean).join("\n\n");
  kept.hidden = false;
}

function edit() {
  const field = document.querySelector(".editor textarea");
  if (document.activeElement === field) return;
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
  field.scrollIntoView({ block: "nearest" });
}

/** After a step to another version, the same arrow has the focus there, or the other one at the end of the row. */
function turned(rel) {
  const at = new URL(location.href).searchParams.get("at");
  const row = document.getElementById(at)?.querySelector(".versions");
  (row?.querySelector(`[rel=${rel}]`) ?? row?.querySelector("a"))?.focus();
}

function trouble(key) {
  const said = Object.assign(document.createElement("div"), { className: "trouble", role: "alert" });
  said.append(Object.assign(document.createElement("p"), { textContent: word(key) }));
  $("state").querySelector(".trouble")?.remove();
  $("state").prepend(said);
  said.scrollIntoView({ block: "nearest" });
  return false;
}

// What a person does.

let sending = false;

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const mine = form === composer();
  if (!mine && form.dataset.live === undefined) return;
  event.preventDefault();
  if (sending) return; // a double click is one
  if (mine && (!typed() || !$("send"))) return;
  sending = true;
  const { submitter } = event;
  const body = new URLSearchParams(new FormData(form, submitter));
  const address = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  await go(address, { body, how: mine ? "sent" : form.dataset.live });
  sending = false;
});

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-live], .list-link");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const { live = "open" } = link.dataset;
  shut();
  const at = main.getBoundingClientRect().bottom;
  await go(link.href, { how: live });
  if (link.closest("#earlier")) scrollBy(0, main.getBoundingClientRect().bottom - at);
});

addEventListener("popstate", refresh);
addEventListener("pageshow", (event) => event.persisted && refresh());

// What the list asks for.

/** Put the list and the menu away, where they lie over the chat. */
function shut() {
  for (const over of document.querySelectorAll("[popover]:popover-open")) over.hidePopover();
}

function begin(event, address = "/") {
  event.preventDefault();
  shut();
  go(address, { how: "new" });
}

document.addEventListener("adjourn:new", begin);
document.addEventListener("adjourn:temporary", (event) => begin(event, `/c/${event.detail.id}`));
document.addEventListener("adjourn:deleted", (event) => {
  if (event.detail.id === main.dataset.conversation) begin(event);
});

// Keys. Those of the list are its own.

const writes = (target) => target.closest?.("input, textarea, select");

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey) return;
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    const side = $("side");
    if (!side.checkVisibility()) side.showPopover();
    side.querySelector("input[type=search]").focus();
  } else if (event.key === "?" && !event.ctrlKey && !event.metaKey && !writes(event.target)) {
    event.preventDefault();
    $("sheet").showModal();
  } else if (/^Arrow(Left|Right)$/.test(event.key) && event.target.closest?.(".versions")) {
    const back = (event.key === "ArrowLeft") === (getComputedStyle(event.target).direction === "ltr");
    event.target.closest(".versions").querySelector(back ? "[rel=prev]" : "[rel=next]")?.click();
  } else if (event.key === "Escape" && !$("sheet").open && !document.querySelector("[popover]:popover-open")) {
    (document.querySelector(".editor .buttons a") ?? $("stop"))?.click();
  }
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-sheet]")) return;
  event.preventDefault();
  shut();
  $("sheet").showModal();
});

// The first minutes: what a card says is put into the box, to be sent or not.
document.addEventListener("submit", (event) => {
  const text = event.submitter?.dataset.say;
  if (!text || !box()) return;
  event.preventDefault();
  write({ text });
  keep(typed());
  box().focus();
});

// Feedback in place; chosen again, the same thumb leads to where more can be said.
document.addEventListener("click", async (event) => {
  const thumb = event.target.closest("[data-rate]:not(.done)");
  if (!thumb || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const { conversation, about, rating } = Object.fromEntries(new URL(thumb.href).searchParams);
  const sent = { method: "POST", headers: { "Content-Type": "application/json" } };
  const kept = await fetch("/feedback", { ...sent, body: JSON.stringify({ conversation, about, rating }) }).catch(() => null);
  if (!kept?.ok) return location.assign(thumb.href);
  for (const other of thumb.parentElement.querySelectorAll("[data-rate]")) other.classList.toggle("done", other === thumb);
  thumb.title = word("thanks");
  say(word("thanks"));
});

// Cards that were put away stay away: the server is told, so that it sends them folded.
document.addEventListener("toggle", ({ target }) => {
  if (!target.matches?.("details.help")) return;
  const name = "adjourn_folded";
  const there = document.cookie.split("; ").find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
  const folded = new Set((there ?? "").split(".").filter((sign) => sign && sign !== target.dataset.sign));
  if (!target.open) folded.add(target.dataset.sign);
  document.cookie = `${name}=${[...folded].slice(-30).join(".")}; path=/; max-age=31536000; samesite=strict`;
}, true);

// Copying.

function enhance() {
  for (const time of document.querySelectorAll("time")) {
    const shown = { dateStyle: "long", timeStyle: "short" };
    time.textContent = new Date(time.dateTime).toLocaleString(document.documentElement.lang, shown);
  }
  for (const button of document.querySelectorAll(".copy[hidden]")) button.hidden = false;
  for (const code of document.querySelectorAll(".assistant:not([aria-busy]) .text pre:not(.copied)")) {
    code.classList.add("copied");
    code.tabIndex = 0; // what is wider than the column can be scrolled by keyboard
    const button = Object.assign(document.createElement("button"), { type: "button", className: "copy-code" });
    button.textContent = word("copy_code");
    code.before(button);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy, .copy-code");
  if (!button) return;
  const code = button.matches(".copy-code");
  const from = code ? button.nextElementSibling : button.closest(".message").querySelector(".text");
  const text = code ? from.textContent : from.innerText.replaceAll(`${word("copy_code")}\n`, "");
  await navigator.clipboard.writeText(text.trimEnd());
  say(word("copied"));
  if (code) button.textContent = word("copied");
  button.classList.add("done");
  button.addEventListener("blur", () => {
    button.classList.remove("done");
    if (code) button.textContent = word("copy_code");
  }, { once: true });
});

function say(text) {
  $("status").textContent = text;
}

// An answer that is being written: it belongs to the server, and goes on when this page comes back.

let source = null;

function follow() {
  const article = document.querySelector("[data-answer]");
  const id = article?.dataset.answer;
  if (source && source.answer === id && source.readyState !== EventSource.CLOSED) return;
  source?.close();
  source = null;
  if (!id) return;
  source = new EventSource(`/chat/answer/${encodeURIComponent(id)}?after=${article.dataset.number}`);
  source.answer = id;
  source.onmessage = ({ data }) => grow(id, JSON.parse(data));
  source.addEventListener("over", () => over(id));
  say(word("writing"));
}

function grow(id, blocks) {
  const text = document.querySelector(`[data-answer="${CSS.escape(id)}"] .text`);
  if (!text) return;
  const down = nearEnd();
  for (const [place, html] of blocks) {
    while (text.children.length <= place) {
      text.append(Object.assign(document.createElement("div"), { className: "block" }));
    }
    text.children[place].innerHTML = html; // the server's sanitizer has had the last word
  }
  const last = blocks.at(-1)[0];
  while (text.children.length > last + 1) text.lastElementChild.remove();
  if (down) toEnd();
  latest();
}

async function over(id) {
  source.close();
  source = null;
  const said = document.querySelector(`[data-answer="${CSS.escape(id)}"] .text`)?.innerText ?? "";
  await refresh();
  say(said.slice(0, 1000));
}

// Reading: the page follows an answer only while its end is in view.

function nearEnd() {
  return innerHeight + scrollY > document.documentElement.scrollHeight - 80;
}

function toEnd() {
  scrollTo({ top: document.documentElement.scrollHeight });
}

function latest() {
  const button = $("latest");
  if (button) button.hidden = nearEnd() || !$("thread").children.length;
}

addEventListener("scroll", latest, { passive: true });
addEventListener("resize", latest, { passive: true });
document.addEventListener("click", (event) => {
  if (!event.target.closest("#latest")) return;
  toEnd();
  box().focus();
});

// Begin.

remember();
recall();
enhance();
follow();
fit();
if (matchMedia("(pointer: fine)").matches && !$("closed")) box()?.focus({ preventScroll: true });
if (!new URL(location.href).searchParams.has("all") && main.dataset.conversation && !location.hash) toEnd();
latest();
listen((change) => {
  changed();
  const mine = change === null || change.conversation === main.dataset.conversation;
  const known = change !== null && change.number <= Number(main.dataset.number);
  if (!main.dataset.conversation || !mine || known || sending || document.querySelector(".editor")) return;
  refresh();
});
document.documentElement.dataset.ready = ""; // for those who wait for the page: its scripts run
