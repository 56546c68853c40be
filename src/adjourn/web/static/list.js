/* The list of chats: drawn by the server; here it is searched while one types, kept up to date, and changed in place.

Other scripts of the page dispatch `adjourn:changed` on the document when a chat has begun, gone on or been closed
(detail.current: the conversation that is shown now). This one dispatches `adjourn:new` for a new chat and
`adjourn:temporary` (detail.id) for a temporary one; where nobody takes them (preventDefault), the browser follows the
link. `adjourn:deleted` (detail.id) tells that a chat was deleted. */

const PAUSE_MS = 120;
const TOAST_MS = 10_000;

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
document.cookie = `adjourn_zone=${zone}; path=/; max-age=31536000; samesite=strict`;

const list = () => document.getElementById("list");
const box = () => list().querySelector("input[type=search]");
let asked = 0;
let waiting;

/** Say something to people who hear the page. */
function say(text) {
  list().querySelector("[data-list=status]").textContent = text;
}

/** Tell the page; return whether it took it. */
function told(name, detail = {}) {
  return !document.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }));
}

/** Fetch the list at an address as it would be drawn. */
async function fetched(address) {
  const url = new URL(address, location.href);
  url.searchParams.set("as", "list");
  url.searchParams.set("back", location.pathname);
  if (list().dataset.current) url.searchParams.set("current", list().dataset.current);
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.statusText);
  return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("list");
}

/** Draw the list again, for what stands in the search. Of two at once, the later counts. */
async function refresh() {
  const mine = ++asked;
  const search = box().value.trim();
  try {
    const drawn = await fetched(search ? `/chats/search?q=${encodeURIComponent(search)}` : "/chats");
    if (mine !== asked) return;
    const focused = document.activeElement?.closest?.("[data-chat]")?.dataset.chat;
    list().querySelector(".list-chats").replaceWith(drawn.querySelector(".list-chats"));
    if (focused) line(focused)?.querySelector(".list-link").focus();
    if (search) say(counted());
  } catch {
    if (mine === asked) say(list().dataset.failed);
  }
}

function counted() {
  const count = list().querySelectorAll(".list-chat").length;
  const { none, countOne, count: many } = list().dataset;
  return count === 0 ? none : count === 1 ? countOne : many.replace("{count}", count);
}

/** The line of a chat; undefined if it is not shown. */
function line(id) {
  return [...list().querySelectorAll("[data-chat]")].find((one) => one.dataset.chat === id);
}

/** Show what stands below the last line. */
async function more(link) {
  const drawn = (await fetched(link.href)).querySelector(".list-chats");
  link.closest(".list-next").remove();
  const last = [...list().querySelectorAll(".list-group")].at(-1);
  const first = drawn.querySelector(".list-group");
  const begins = drawn.querySelector(".list-link");
  if (last && first && last.dataset.group === first.dataset.group) {
    last.querySelector("ul").append(...first.querySelectorAll("li"));
    first.remove();
  }
  list().querySelector(".list-chats").append(...drawn.children);
  begins?.focus();
}

async function post(id, act, fields = {}) {
  return fetch(`/chats/${encodeURIComponent(id)}/${act}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(fields),
  });
}

/** Do something with a chat, and draw the list as it is then. */
async function act(id, name, fields) {
  const answer = await post(id, name, fields).catch(() => null);
  if (!answer?.ok) {
    say(answer?.status === 409 ? list().dataset.tooLate : list().dataset.failed);
    return;
  }
  const chat = await answer.json();
  if (name === "delete") {
    toast(chat);
    told("adjourn:deleted", { id });
  }
  await refresh();
  if (name !== "delete") line(id)?.querySelector(".list-link").focus();
}

/** Say that a chat is deleted, with a button that has it back; it goes by itself, but not while it has the focus. */
function toast(chat) {
  list().querySelector(".list-toast")?.remove();
  const shown = document.createElement("div");
  shown.className = "list-toast";
  shown.setAttribute("role", "status");
  const text = document.createElement("span");
  const undo = document.createElement("button");
  undo.type = "button";
  undo.className = "list-quiet";
  undo.textContent = list().dataset.undo;
  undo.addEventListener("click", () => {
    shown.remove();
    act(chat.id, "undo");
  });
  shown.append(text, undo);
  list().querySelector(".list-chats").before(shown);
  text.textContent = list().dataset.deleted.replace("{title}", chat.title); // put in later, so that it is announced
  undo.focus();
  const goes = () => (shown.contains(document.activeElement) ? setTimeout(goes, TOAST_MS) : shown.remove());
  setTimeout(goes, TOAST_MS);
}

/** Begin a new chat at once, in the page if it can, else at its address. */
function begin() {
  if (!told("adjourn:new")) location.assign("/");
}

async function beginTemporary() {
  const answer = await fetch("/chats/temporary", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: "{}",
  }).catch(() => null);
  if (!answer?.ok) return say(list().dataset.failed);
  const { id } = await answer.json();
  if (!told("adjourn:temporary", { id })) location.assign(`/c/${id}`);
}

function submitted(event) {
  const form = event.target.closest("form");
  if (!form || !list().contains(form)) return;
  if (form.matches(".list-search")) {
    event.preventDefault();
    refresh();
  } else if (form.matches(".list-temporary")) {
    event.preventDefault();
    beginTemporary();
  } else if (form.matches(".list-acts")) {
    event.preventDefault();
    const name = event.submitter?.dataset.act ?? "title";
    act(form.closest("[data-chat]").dataset.chat, name, { title: form.elements.title.value });
  }
}

function clicked(event) {
  const link = event.target.closest?.("a");
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (link && plain && link.matches("[data-list=new]")) {
    event.preventDefault();
    begin();
  } else if (link && plain && link.closest(".list-next")) {
    event.preventDefault();
    more(link).catch(() => say(list().dataset.failed));
  }
  for (const open of list().querySelectorAll(".list-more[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
}

function pressed(event) {
  if (event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.shiftKey && !event.altKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    begin();
  } else if (event.key === "Escape" && list().contains(event.target)) {
    const open = event.target.closest(".list-more[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (event.target === box() && box().value) {
      box().value = "";
      refresh();
    }
  }
}

/** The menu of a line is its own form: opened, its title stands ready to be written over. */
function opened(event) {
  if (event.target.matches?.(".list-more[open]")) event.target.querySelector("input[name=title]").select();
}

if (list()) {
  list().addEventListener("submit", submitted);
  list().addEventListener("toggle", opened, true);
  list().addEventListener("input", (event) => {
    if (event.target !== box()) return;
    clearTimeout(waiting);
    waiting = setTimeout(refresh, PAUSE_MS);
  });
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", pressed);
  document.addEventListener("adjourn:changed", (event) => {
    if (event.detail && "current" in event.detail) list().dataset.current = event.detail.current ?? "";
    if (!list().querySelector(".list-more[open]")) refresh(); // nobody is taken the menu from under their hands
  });
}
