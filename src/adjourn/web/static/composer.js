// The box in which a person writes: it grows, keeps drafts, and makes attachments of long texts that are pasted.

import { word } from "./words.js";

const LONG = { letters: 4000, lines: 60 };

export const composer = () => document.getElementById("composer");
export const box = () => document.getElementById("box");

const place = () => `draft:${document.getElementById("main").dataset.conversation}`;

/** What has been typed and not sent yet, with what was attached. */
export function typed() {
  if (!box()) return null;
  const attached = [...composer().querySelectorAll("input[name=attached]")].map((field) => field.value);
  return box().value.trim() || attached.length ? { text: box().value, attached } : null;
}

/** Keep what is typed for this chat, or for another one. */
export function keep(draft, where = place()) {
  try {
    if (draft) localStorage.setItem(where, JSON.stringify(draft));
    else localStorage.removeItem(where);
  } catch {
    // Without storage drafts are lost with the page; everything else works.
  }
}

/** Put what was kept for this chat into the box, if nothing stands there. */
export function recall() {
  if (!box() || typed()) return;
  try {
    const draft = JSON.parse(localStorage.getItem(place()));
    if (draft) write(draft);
  } catch {
    // A draft that cannot be read is none.
  }
}

export function write({ text = "", attached = [] }) {
  box().value = text;
  document.getElementById("attached").replaceChildren();
  attached.forEach(attach);
  fit();
}

function attach(text) {
  const list = document.getElementById("attached");
  const item = document.createElement("li");
  const field = Object.assign(document.createElement("input"), { type: "hidden", name: "attached", value: text });
  const away = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
  away.setAttribute("aria-label", word("remove"));
  away.addEventListener("click", () => {
    item.remove();
    fit();
    keep(typed());
    box().focus();
  });
  item.append(word("pasted", { lines: text.split("\n").length }), field, away);
  list.append(item);
}

/** Make the box as high as its text, and see to the buttons. */
export function fit() {
  if (!box()) return;
  box().style.height = "auto";
  box().style.height = `${box().scrollHeight + 1}px`;
  const list = document.getElementById("attached");
  list.hidden = !list.children.length;
  const send = document.getElementById("send");
  if (send) send.disabled = !typed();
}

document.addEventListener("input", (event) => {
  if (event.target !== box()) return;
  fit();
  keep(typed());
});

document.addEventListener("paste", (event) => {
  if (event.target !== box()) return;
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (text.length < LONG.letters && text.split("\n").length < LONG.lines) return;
  event.preventDefault();
  attach(text);
  fit();
  keep(typed());
});

// Enter sends, Shift+Enter begins a line. While an input method composes, Enter is its own; on a phone it is a line.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  const form = event.target.closest?.("#composer, .editor");
  if (!form || event.target.tagName !== "TEXTAREA") return;
  if (matchMedia("(pointer: coarse)").matches) return;
  event.preventDefault();
  form.requestSubmit();
});
