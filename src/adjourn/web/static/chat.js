// The chat page: what is shown follows from `chat`; whatever happens changes `chat` and calls `render`.

import { button, card, element, icon, panel, tool, trouble, versions, warning } from "./parts.js";
import { Tree } from "./tree.js";
import { ask } from "./wire.js";
import { word } from "./words.js";

const $ = (id) => document.getElementById(id);
const given = JSON.parse($("data").textContent);
const thread = $("thread");
const box = $("box");

/** A conversation, as this page knows it. An answer may still be coming for one that is no longer shown. */
function conversation(data) {
  return {
    id: data.conversation ?? null,
    tree: new Tree(data.messages ?? []),
    ended: new Map(Object.entries(data.ended ?? {})), // closing answer -> what the person is told of it
    support: data.support ?? null,
    supportAt: null, // the answer that it came with
    hidden: false, // the person has put the card away
    asking: null, // {controller, user, answer} while an answer is coming
    trouble: null, // {key, detail, user}
    kept: null, // what was typed and refused
    editing: null,
  };
}

let chat = conversation(given);
const model = given.model;

// Sending.

function send(text, parent = chat.tree.leaf) {
  if (!text.trim() || chat.asking) return;
  const user = chat.tree.add(parent, "user", text);
  user.fresh = true; // not yet known to be stored
  answer(user);
}

async function answer(user) {
  if (chat.asking) return;
  const here = chat; // the person may open another chat meanwhile
  const branch = here.tree.path(user.node).filter((node) => node.text);
  const messages = branch.map(({ role, text }) => ({ role, content: text }));
  const reply = here.tree.add(user.node, "assistant", "");
  const controller = new AbortController();
  here.tree.leaf = reply.node;
  here.asking = { controller, user, reply };
  here.trouble = here.editing = null;
  reply.state = "coming";
  show(here, { down: true });
  say(word("writing"));
  try {
    for await (const piece of ask({ conversation: here.id, model, messages, signal: controller.signal })) {
      if (piece.conversation) located(here, piece.conversation);
      if (piece.text) {
        received(here, user);
        reply.text += piece.text;
        grow(here, reply);
      }
      if (piece.adjourn) told(here, reply, piece.adjourn);
    }
    received(here, user);
    reply.state = null;
  } catch (problem) {
    failed(here, user, reply, problem);
  }
  here.asking = null;
  say("");
  show(here);
  if (here === chat && closing()) $("closed-title").focus();
}

function located(here, id) {
  if (here.id === id) return;
  if (here !== chat) {
    here.id = id;
    return;
  }
  const typed = ["draft", "pending"].map((what) => [what, recalled(what)]);
  for (const [what] of typed) keep(what, "");
  here.id = id;
  for (const [what, text] of typed) keep(what, text); // what was typed belongs to this conversation now
  history.replaceState(null, "", `/c/${encodeURIComponent(id)}`);
}

/** The server has stored the message before its first byte. */
function received(here, user) {
  if (!user.fresh) return;
  user.fresh = false;
  if (here === chat) keep("pending", "");
}

/** What the host says beside an answer. */
function told(here, reply, adjourn) {
  if (adjourn.stage === "ENDED") here.ended.set(reply.node, adjourn);
  if (adjourn.stage === "WARNED") reply.stage = "WARNED";
  if (!adjourn.support) return;
  here.ended.clear(); // a sign of risk lifts every end of the conversation
  supported(here, adjourn.support, reply.node);
}

function supported(here, support, at) {
  Object.assign(here, { support, supportAt: at, hidden: false });
}

function failed(here, user, reply, problem) {
  const { tree } = here;
  reply.state = "stopped";
  if (problem.closed) return refused(here, user, reply, problem.body.adjourn ?? {});
  if (!reply.text) tree.remove(reply.node);
  const support = problem.body?.adjourn?.support;
  if (support) supported(here, support, user.node); // help does not wait for the model
  if (problem.name === "AbortError") return undefined;
  if (!problem.key) console.error(problem); // a fault of this page
  reply.state = "broken";
  here.trouble = { key: problem.key ?? "troubleOther", detail: problem.detail, user, reply };
  return undefined;
}

/** The chat was closed already: what was typed is kept, and goes with the person into a new chat. */
function refused(here, user, reply, adjourn) {
  const { tree } = here;
  tree.remove(reply.node);
  here.kept = user.text;
  if (user.fresh) tree.remove(user.node);
  const last = tree.get(tree.leaf);
  if (last) here.ended.set(last.node, adjourn);
  if (adjourn.support) supported(here, adjourn.support, null);
}

function retry() {
  const { user, reply } = chat.trouble;
  if (chat.tree.get(reply.node)) chat.tree.remove(reply.node);
  answer(user);
  box.focus();
}

function stop() {
  chat.asking.controller.abort();
  box.focus();
}

function startNew() {
  const kept = chat.kept ?? "";
  keep("pending", "");
  chat = conversation({});
  history.pushState(null, "", "/");
  show(chat);
  write(kept || recalled("draft"));
  box.focus();
}

// Showing.

const drawn = new Map(); // message -> its element
let drawnFor = null;

function show(here, { down = false } = {}) {
  if (here !== chat) return;
  const atEnd = down || nearEnd();
  if (drawnFor !== chat) drawn.clear();
  drawnFor = chat;
  const path = chat.tree.path();
  const wanted = path.map((node, at) => message(node, path[at - 1]));
  const anchor = path.some((node) => node.node === chat.supportAt) ? chat.supportAt : path.at(-1)?.node;
  if (chat.support && !chat.hidden) {
    const at = path.findIndex((node) => node.node === anchor) + 1;
    wanted.splice(at, 0, supportCard());
  }
  place(thread, wanted);
  $("greeting").hidden = path.length > 0;
  $("help").hidden = !chat.support;
  showTrouble(path);
  showEnd(path);
  showSend();
  if (atEnd && !chat.editing) scrollTo({ top: document.documentElement.scrollHeight });
}

/** Put `wanted` into `parent`; what stands there already is not touched, so focus and reading are not disturbed. */
function place(parent, wanted) {
  wanted.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
  while (parent.children.length > wanted.length) parent.lastElementChild.remove();
}

function message(node, before) {
  const mine = node.role === "user";
  let made = drawn.get(node.node);
  if (!made) {
    made = element("article", { class: `message ${mine ? "user" : "assistant"}`, "data-node": node.node });
    drawn.set(node.node, made);
  }
  const siblings = chat.tree.siblings(node);
  const warned = !mine && node.stage === "WARNED" && before?.stage !== "WARNED" && !warnedBefore(before);
  const editing = chat.editing === node.node;
  const tools = !editing && node.state !== "coming";
  // Drawn again only if something about it is new: its words grow by themselves.
  const at = siblings.indexOf(node);
  const busy = Boolean(chat.asking);
  const key = [Boolean(node.text) && tools, node.state, warned, editing, tools, busy, at, siblings.length].join();
  if (made.dataset.key === key) return made;
  made.dataset.key = key;
  made.setAttribute("aria-busy", String(node.state === "coming"));
  const nothing = !mine && !node.text && !node.state ? "empty" : null;
  const note = { stopped: "stopped", broken: "brokeOff" }[node.state] ?? nothing;
  made.replaceChildren(...[
    element("h2", { class: "unseen" }, word(mine ? "you" : "assistant")),
    editing ? editor(node) : element("div", { class: "text", dir: "auto" }, node.text),
    note && element("p", { class: "small" }, word(note)),
    warned && warning(),
    tools && element("div", { class: "tools" },
      siblings.length > 1 && versions(at, siblings.length, (to, arrow) => turn(siblings[to], arrow)),
      node.text && copier(node),
      mine && tool("edit", "edit", () => edit(node), { disabled: busy }),
      !mine && chat.tree.get(node.parent) && !chat.ended.has(node.node) && tool("retry", "another", () => again(node), { disabled: busy })),
  ].filter(Boolean));
  return made;
}

/** Whether the answer before already carries the note: it is said once, not on every answer that follows. */
function warnedBefore(user) {
  const answerBefore = user && chat.tree.get(user.parent);
  return answerBefore?.stage === "WARNED";
}

let growing = false;

/** New words of an answer: at most once a frame, into the text that is there. */
function grow(here, reply) {
  if (here !== chat || growing) return;
  growing = true;
  requestAnimationFrame(() => {
    growing = false;
    const text = drawn.get(reply.node)?.querySelector(".text");
    if (here !== chat || !text) return;
    const atEnd = nearEnd();
    text.textContent = reply.text;
    if (atEnd) scrollTo({ top: document.documentElement.scrollHeight });
  });
}

function nearEnd() {
  return innerHeight + scrollY > document.documentElement.scrollHeight - 80;
}

/** How the branch that is shown was closed, if it was. */
function closing(path = chat.tree.path()) {
  if (chat.asking) return null;
  return path.map((node) => chat.ended.get(node.node)).find(Boolean) ?? null;
}

let panelFor = null;

function showEnd(path) {
  const end = closing(path);
  $("composer").hidden = Boolean(end);
  $("closed").hidden = !end;
  if (!end) fit(box); // it could not be measured while it was hidden
  if (end && panelFor !== end) {
    const mine = path.filter((node) => node.role === "user");
    $("closed").replaceChildren(...panel(end, chat.kept, {
      startNew,
      save,
      help,
      editEarlier: mine.length > 0 && (() => edit(chat.tree.path().filter((node) => node.role === "user").at(-1))),
    }));
  }
  panelFor = end;
}

let troubleFor = null;

function showTrouble(path) {
  const problem = chat.trouble && path.includes(chat.trouble.user) ? chat.trouble : null;
  if (problem !== troubleFor) $("trouble").replaceChildren(...(problem ? [trouble(problem, retry)] : []));
  troubleFor = problem;
}

function showSend() {
  const key = chat.asking ? "stop" : "send";
  const made = $("send");
  made.disabled = !chat.asking && !box.value.trim();
  if (made.dataset.key === key) return;
  made.dataset.key = key;
  made.replaceChildren(icon(key));
  made.setAttribute("aria-label", word(key));
  made.title = word(key);
}

let said = null;

function say(text) {
  clearTimeout(said);
  $("status").textContent = text;
}

// The card.

let cardFor = null;
let cardMade = null;

function supportCard() {
  if (cardFor !== chat.support) cardMade = card(chat.support, hide);
  cardFor = chat.support;
  return cardMade;
}

function hide() {
  chat.hidden = true;
  show(chat);
  (closing() ? $("closed-title") : box).focus();
}

/** Show the help lines: those of this chat, or those that the server knows for this person, or a directory. */
async function help() {
  if (!chat.support) chat.support = await linesHere();
  chat.hidden = false;
  show(chat);
  cardMade.focus({ preventScroll: true });
  cardMade.scrollIntoView({ block: "nearest" });
}

async function linesHere() {
  try {
    const response = await fetch("/api/support");
    if (response.ok) return await response.json();
  } catch {
    // A directory can always be named.
  }
  return { kind: "self", emergency: null, lines: [{ name: "Find A Helpline", url: "https://findahelpline.com" }] };
}

// What a person does with a message.

function turn(sibling, arrow) {
  chat.tree.show(sibling.node);
  show(chat);
  const arrows = drawn.get(sibling.node).querySelector(`[data-step="${arrow}"]`);
  arrows?.focus(); // the same arrow, now of the other version
}

function again(node) {
  answer(chat.tree.get(node.parent));
  box.focus();
}

function edit(node) {
  chat.editing = node.node;
  show(chat);
  const area = drawn.get(node.node).querySelector("textarea");
  fit(area);
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
  drawn.get(node.node).scrollIntoView({ block: "nearest" });
}

function editor(node) {
  const done = (event) => {
    event?.preventDefault();
    const text = area.value;
    if (!text.trim() || chat.asking) return;
    chat.editing = null;
    box.focus();
    if (text === node.text) answer(node); // nothing new was said: another answer to it
    else send(text, node.parent);
    box.focus();
  };
  const leave = () => {
    chat.editing = null;
    show(chat);
    drawn.get(node.node).querySelector(".icon.edit")?.parentElement.focus();
  };
  const area = element("textarea", { "aria-label": word("editBox"), "aria-describedby": "edit-hint",
    rows: 1, dir: "auto",
    oninput: () => fit(area),
    onkeydown: (event) => {
      if (sends(event)) done(event);
      if (event.key === "Escape" && !event.isComposing) leave();
    } });
  area.value = node.text;
  return element("form", { class: "editor", onsubmit: done }, area,
    element("p", { class: "small", id: "edit-hint" }, word("editHint")),
    element("div", { class: "buttons" }, button("cancel", leave), element("button", { class: "main" }, word("send"))));
}

function copier(node) {
  const made = tool("copy", "copy", async () => {
    await copy(node.text);
    made.replaceChildren(icon("done"));
    say(word("copied"));
    said = setTimeout(() => {
      made.replaceChildren(icon("copy"));
      say("");
    }, 1500);
  });
  return made;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without https a page has no clipboard, but it may still copy what is selected.
  const area = element("textarea", { class: "unseen" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return undefined;
}

/** The branch that is shown, as a text file. */
function save() {
  const path = chat.tree.path();
  const end = closing(path);
  const texts = path.map((node) => `${word(node.role === "user" ? "you" : "assistant")}:\n${node.text}`);
  if (end) {
    const receipt = end.receipt && word("receipt", { number: end.receipt });
    texts.push([word("closed"), end.sentence, receipt].filter(Boolean).join(" "));
  }
  const href = URL.createObjectURL(new Blob([`${texts.join("\n\n")}\n`], { type: "text/plain" }));
  element("a", { href, download: `${word("saved")}.txt` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

// The composer.

/** Enter sends, unless it chooses a character in an input method, or makes a new line. */
function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

function fit(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

function write(text) {
  box.value = text;
  fit(box);
  showSend();
  keep("draft", text);
}

function submit(event) {
  event.preventDefault();
  if (chat.asking) return;
  const text = box.value;
  if (!text.trim()) return;
  keep("pending", text); // until the server has it
  write("");
  send(text);
}

// What was typed outlives a reload of this tab, and nothing else.

function slot(what) {
  return `${what} ${chat.id ?? ""}`;
}

function keep(what, text) {
  try {
    if (text) sessionStorage.setItem(slot(what), text);
    else sessionStorage.removeItem(slot(what));
  } catch {
    // A browser may forbid it; then it is only not remembered.
  }
}

function recalled(what) {
  try {
    return sessionStorage.getItem(slot(what)) ?? "";
  } catch {
    return "";
  }
}

// The page.

for (const made of document.querySelectorAll("[data-word]")) made.textContent = word(made.dataset.word);
for (const made of document.querySelectorAll("[data-label]")) made.setAttribute("aria-label", word(made.dataset.label));
document.title = word("title");
$("model").textContent = model || word("title");
$("new").append(icon("add"), element("span", {}, word("newChat")));
$("new").setAttribute("aria-label", word("newChat"));
box.placeholder = word("placeholder");
box.setAttribute("aria-label", word("placeholder"));

$("composer").addEventListener("submit", submit);
$("send").addEventListener("click", (event) => {
  if (!chat.asking) return;
  event.preventDefault();
  stop();
});
box.addEventListener("input", () => {
  fit(box);
  showSend();
  keep("draft", box.value);
});
box.addEventListener("keydown", (event) => sends(event) && submit(event));
$("new").addEventListener("click", startNew);
$("help").addEventListener("click", help);
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || !event.shiftKey || event.key.toLowerCase() !== "o") return;
  event.preventDefault();
  startNew();
});
addEventListener("popstate", () => location.reload());

history.scrollRestoration = "manual"; // a closed chat opens at its end, where it says so
if (closing()) chat.kept = recalled("pending") || null;
show(chat, { down: true });
write(recalled("draft") || recalled("pending"));
if (closing()) $("closed-title").focus();
else if (matchMedia("(hover: hover)").matches) box.focus(); // on a phone this would open the keyboard unasked
