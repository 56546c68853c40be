// The same wire that any client speaks: chat completions, streamed.

/** An answer that is no answer: `status` is 0 where the server was not reached or the answer broke off. */
export class Trouble extends Error {
  constructor(key, { status = 0, detail = "", body = null } = {}) {
    super(key);
    Object.assign(this, { key, status, detail, body });
  }

  /** The conversation has been closed: here, in another tab, or by another answer. */
  get closed() {
    return this.status === 400 && this.body?.error?.code === "conversation_ended";
  }
}

const KEYS = { 413: "troubleLong", 429: "troubleBusy", 502: "troubleModel", 503: "troubleStore", 504: "troubleModel" };

/**
 * Ask for an answer, and give what comes of it: `{conversation}` first, then `{text}` piece by piece, and `{adjourn}`
 * where the host has something to say. Throws a Trouble, or an AbortError if the person stopped it.
 */
export async function* ask({ conversation, model, messages, signal }) {
  let response;
  try {
    response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Adjourn-Conversation": conversation ?? "new" },
      body: JSON.stringify({ model, messages, stream: true }),
      signal,
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Trouble("troubleNetwork");
  }
  const id = response.headers.get("Adjourn-Conversation");
  if (id) yield { conversation: id };
  if (!response.ok) throw await refusal(response);
  if (response.headers.get("Content-Type")?.startsWith("application/json")) {
    yield* pieces(await response.json(), "message");
    return;
  }
  let finished = false;
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = parsed(data);
    if (!chunk) throw new Trouble("troubleBroken");
    if (chunk.error) throw new Trouble("troubleBroken", { detail: chunk.error.message, body: chunk });
    yield* pieces(chunk, "delta");
    finished ||= Boolean(chunk.choices?.[0]?.finish_reason);
  }
  if (!finished) throw new Trouble("troubleBroken");
}

function* pieces(chunk, field) {
  const text = chunk.choices?.[0]?.[field]?.content;
  if (text) yield { text };
  if (chunk.adjourn) yield { adjourn: chunk.adjourn };
}

async function refusal(response) {
  // The model's API may answer 401, too; only the server's own says how to come in.
  if (response.status === 401 && response.headers.has("WWW-Authenticate")) {
    return new Trouble("troubleKey", { status: 401 });
  }
  const body = parsed(await response.text().catch(() => ""));
  const detail = body?.error?.message ?? "";
  return new Trouble(KEYS[response.status] ?? "troubleOther", { status: response.status, detail, body });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The data of each Server-Sent Event; comments and other fields are passed over. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  for (;;) {
    let read;
    try {
      read = await reader.read();
    } catch (error) {
      throw error.name === "AbortError" ? error : new Trouble("troubleBroken");
    }
    // A line may end with CR LF, and these two may come in two pieces.
    const lines = (rest + (read.value ?? "\n\n")).split(/\r\n|\n|\r(?!$)/);
    rest = read.done ? "" : lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      if (line !== "" || !data.length) continue;
      yield data.join("\n");
      data = [];
    }
    if (read.done) return;
  }
}
