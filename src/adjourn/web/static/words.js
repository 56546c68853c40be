// Every string that a person reads on the page, by language. What stands in braces is filled in.

const TABLE = {
  en: {
    title: "Chat",
    skip: "Skip to the message box",
    greeting: "What would you like to talk about?",
    thread: "Messages",
    placeholder: "Write a message",
    send: "Send",
    stop: "Stop",
    newChat: "New chat",
    help: "Help lines",
    you: "You",
    assistant: "Assistant",
    writing: "The assistant is writing",
    stopped: "Stopped",
    brokeOff: "This answer broke off",
    empty: "There is no answer here",

    copy: "Copy",
    copied: "Copied",
    edit: "Edit",
    editHint: "Sending starts a new branch from here. What is there now stays as it is.",
    editBox: "Edit your message",
    cancel: "Cancel",
    retry: "Retry",
    another: "Another answer",
    versions: "Versions of this message",
    previous: "Previous version",
    next: "Next version",
    place: "{at}/{of}",
    placeSpoken: "Version {at} of {of}",

    warned: "The assistant has asked to change direction. If this goes on, it may close this chat. "
      + "Your other chats stay as they are.",
    warnedWhy: "What does this mean?",
    warnedMeaning: "As a last resort the assistant can close a chat: only after it has declined several times, has "
      + "said that it may do so, and the same goes on. If the talk turns to something else, nothing happens. You can "
      + "edit an earlier message or start a new chat at any time. This is experimental and can be wrong.",

    closed: "This chat is closed.",
    closedByRequest: "This chat is closed, as you asked.",
    closedText: "You can't write here any more; nothing was deleted.",
    closedTextHarm: "The assistant declined several times, gave notice, and then closed it. You can't write here any "
      + "more; nothing was deleted.",
    closedTextRequest: "You can still read it and save a copy.",
    receipt: "Receipt {number}",
    startNew: "Start a new chat",
    editEarlier: "Edit an earlier message",
    why: "Why?",
    whyHarm: "The assistant closes a chat only after it has declined several times and has given notice, and the same "
      + "went on after that.",
    whyRequest: "You asked to close this chat, the assistant asked whether you meant it, and you confirmed.",
    closedAt: "Closed {time}.",
    save: "Save a copy",
    saved: "chat",
    kept: "Your last message was not sent. It is kept, and goes with you into a new chat:",
    foot: "Closing chats is experimental: it can be wrong, and it may change. It concerns this chat only, and is "
      + "neither moderation nor an emergency service. {help}",
    footHelp: "Going through something hard? Help lines",

    card: "Help",
    cardTitleSelf: "You don't have to handle this without help.",
    cardTextSelf: "In danger now: call {number}.",
    cardLinesSelf: "To talk to a person:",
    cardTalkSelf: "We can keep talking here.",
    cardEndSelf: "No one is alerted by this chat.",
    cardTitleOther: "You're worried about somebody.",
    cardTextOther: "If they are in danger now, call {number}.",
    cardLinesOther: "Help lines also advise people who worry about someone:",
    cardEndOther: "No one is alerted by this chat.",
    cardTitleDanger: "If somebody is in danger now, call {number}.",
    cardTextDanger: "If you fear what you might do, you can call too; stepping away for a while helps.",
    cardLinesDanger: "To talk to a person:",
    cardEndDanger: "No one is alerted by this chat.",
    cardTitleEmergency: "If somebody needs help right now, call {number}.",
    cardTextEmergency: "Stay with them, and do what the dispatcher says.",
    cardLinesEmergency: "To talk to a person:",
    cardEndEmergency: "No one is alerted by this chat.",
    localNumber: "your local emergency number",
    always: "open now, day and night",
    open: "open now, {hours}",
    opensAt: "opens at {time}",
    hours: "{hours}",
    text: "text {number}",
    chat: "chat",
    directory: "Help lines in your country:",
    otherCountry: "Other country",
    hide: "Hide",

    troubleNetwork: "The server can't be reached. Your message is still here.",
    troubleModel: "The model doesn't answer right now. Your message is still here.",
    troubleStore: "The chat can't be saved right now, so nothing was sent. Your message is still here.",
    troubleBusy: "That was a lot at once. Wait a moment, then try again. Your message is still here.",
    troubleKey: "You are signed out, so nothing was sent. Your message is still here: copy it, then load this page "
      + "again to sign in.",
    troubleLong: "This message is too long to be sent. It is still here: shorten it with Edit.",
    troubleBroken: "The answer broke off. Your message is still here.",
    troubleOther: "Something went wrong. Your message is still here.",
    troubleDetail: "The server says: {detail}",
  },
};

const language = document.documentElement.lang in TABLE ? document.documentElement.lang : "en";

/** The string `key`, with what stands in braces filled in from `values`. */
export function word(key, values = {}) {
  return parts(key, values).join("");
}

/** The same in pieces, so that a value may be an element. */
export function parts(key, values = {}) {
  const text = TABLE[language][key] ?? TABLE.en[key] ?? key;
  const pieces = text.split(/\{(\w+)\}/).map((piece, at) => (at % 2 ? values[piece] ?? "" : piece));
  return pieces.filter((piece) => piece !== "");
}

/** A moment as a person writes it. */
export function moment(at) {
  const time = new Date(at);
  return isNaN(time) ? "" : new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" }).format(time);
}
