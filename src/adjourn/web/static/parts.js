// The pieces that the page is made of. Words of people and models become text, never markup.

import { moment, parts, word } from "./words.js";

const ICONS = {
  copy: "M7 7V4.5A1.5 1.5 0 0 1 8.5 3h7A1.5 1.5 0 0 1 17 4.5v7a1.5 1.5 0 0 1-1.5 1.5H13"
    + "M4.5 7h7A1.5 1.5 0 0 1 13 8.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 15.5v-7A1.5 1.5 0 0 1 4.5 7z",
  done: "M4 10.5l4 4 8-9",
  edit: "M3.5 16.5l.8-3.6L13.6 3.6a1.4 1.4 0 0 1 2 0l.8.8a1.4 1.4 0 0 1 0 2L7.1 15.7z",
  retry: "M16.5 4v4h-4M16 8A6.7 6.7 0 1 0 16.7 11.5",
  add: "M10 4v12M4 10h12",
  send: "M10 16V4.5M5 9.5l5-5 5 5",
  stop: "M5.5 5.5h9v9h-9z",
};

/** An element: `element("a", {href, class}, …children)`; what is null, false or empty is left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter(Boolean));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", name);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon and is called by a word. */
export function tool(name, key, onclick, attributes = {}) {
  const named = { type: "button", class: "tool", title: word(key), "aria-label": word(key), onclick };
  return element("button", { ...named, ...attributes }, icon(name));
}

export function button(key, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, word(key));
}

/** `‹ 2/3 ›`: go through the versions of a message, by mouse, by Enter, or by the arrow keys. */
export function versions(at, of, go) {
  const arrow = (sign, key, to) =>
    element("button", { type: "button", class: "tool", "aria-label": word(key), title: word(key), "data-step": key,
      "aria-disabled": to < 0 || to >= of, onclick: () => to >= 0 && to < of && go(to, key) }, sign);
  const place = { at: at + 1, of };
  return element("div", { class: "versions", role: "group", "aria-label": word("versions"),
    onkeydown: (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      if (at + step >= 0 && at + step < of) go(at + step, step < 0 ? "previous" : "next");
    } },
    arrow("‹", "previous", at - 1),
    element("span", { "aria-hidden": "true" }, word("place", place)),
    element("span", { class: "unseen" }, word("placeSpoken", place)),
    arrow("›", "next", at + 1));
}

/** The small note beside an answer that warned. */
export function warning() {
  return element("div", { class: "warned", role: "note" },
    element("p", {}, word("warned")),
    element("details", {}, element("summary", {}, word("warnedWhy")), element("p", {}, word("warnedMeaning"))));
}

/** What stands where the composer was. `acts`: startNew, editEarlier, save, help. */
export function panel(end, kept, acts) {
  const byRequest = end.ground === "user_request";
  const byHarm = end.ground === "persistent_harm";
  const at = end.at ? moment(end.at) : "";
  const because = element("div", { id: "because", hidden: true },
    end.sentence && element("p", {}, element("strong", {}, end.sentence)),
    (byRequest || byHarm) && element("p", {}, word(byRequest ? "whyRequest" : "whyHarm")),
    at && element("p", { class: "small" }, word("closedAt", { time: at })));
  const why = button("why", () => {
    because.hidden = !because.hidden;
    why.setAttribute("aria-expanded", String(!because.hidden));
  }, { "aria-expanded": "false", "aria-controls": "because" });
  return [
    element("h2", { id: "closed-title", tabindex: "-1" }, word(byRequest ? "closedByRequest" : "closed")),
    element("p", {}, word(byRequest ? "closedTextRequest" : byHarm ? "closedTextHarm" : "closedText")),
    end.receipt && element("p", { class: "small" }, word("receipt", { number: end.receipt })),
    kept && element("div", { class: "kept" },
      element("p", {}, word("kept")), element("blockquote", { dir: "auto" }, kept)),
    element("div", { class: "buttons" },
      button("startNew", acts.startNew, { class: "main" }),
      acts.editEarlier && button("editEarlier", acts.editEarlier),
      because.hasChildNodes() && why,
      button("save", acts.save)),
    because,
    element("p", { class: "small" }, parts("foot", { help: button("footHelp", acts.help, { class: "link" }) })),
  ].filter(Boolean);
}

/** The card for somebody at risk, or who worries about somebody: whom to call, now and here. */
export function card(support, hide) {
  const kind = { self: "Self", other: "Other", danger: "Danger", emergency: "Emergency" }[support.kind] ?? "Self";
  const number = () => element("strong", {}, support.emergency
    ? element("a", { href: `tel:${digits(support.emergency)}` }, support.emergency)
    : word("localNumber"));
  const known = (support.lines ?? []).some((line) => line.dial || line.text || line.chat);
  return element("section", { class: "card", "aria-label": word("card"), tabindex: "-1" },
    element("h2", {}, parts(`cardTitle${kind}`, { number: number() })),
    element("p", {}, parts(`cardText${kind}`, { number: number() })),
    element("p", {}, word(known ? `cardLines${kind}` : "directory")),
    element("ul", {}, (support.lines ?? []).map((line) => element("li", {}, entry(line)))),
    element("p", { class: "small" },
      kind === "Self" && element("span", { class: "talk" }, word("cardTalkSelf"), " "), word(`cardEnd${kind}`)),
    element("div", { class: "buttons" },
      known && outside("https://findahelpline.com", word("otherCountry"), "button"),
      button("hide", hide)));
}

function entry(line) {
  const ways = [
    line.open === true ? word(line.hours === "24/7" ? "always" : "open", { hours: line.hours }) : null,
    line.open === false ? word("opensAt", { time: line.opens_at ?? "" }) : null,
    line.open !== true && line.open !== false && line.hours ? word("hours", { hours: line.hours }) : null,
    line.text ? element("a", { href: `sms:${digits(line.text)}` }, word("text", { number: line.text })) : null,
    line.chat ? outside(line.chat, word("chat")) : null,
  ].filter((way) => way !== null);
  const directory = !line.dial && !line.text && !line.chat; // then its page is the way to it
  return [
    line.url ? outside(line.url, line.name, directory ? null : "name") : element("span", { class: "name" }, line.name),
    " ",
    line.dial ? element("a", { class: "number", href: `tel:${line.tel || digits(line.dial)}` }, line.dial) : null,
    element("span", { class: "ways" }, ways.flatMap((way, at) => (at ? [" · ", way] : [way]))),
  ];
}

function outside(href, text, style = null) {
  // Only addresses of the web: what a server sends is not trusted to be one.
  const safe = /^https?:\/\//.test(href);
  if (!safe) return element("span", { class: style }, text);
  return element("a", { href, class: style, target: "_blank", rel: "noopener noreferrer" }, text);
}

function digits(number) {
  return number.replace(/[^+\d]/g, "");
}

/** What went wrong, in a sentence, and a way on. */
export function trouble(problem, retry) {
  return element("div", { class: "trouble" },
    element("p", {}, word(problem.key)),
    problem.detail && element("p", { class: "small" }, word("troubleDetail", { detail: problem.detail })),
    button("retry", retry));
}
