// One stream of changes a browser, shared by its tabs; where a browser has no shared workers, one a tab.

/** Call `told` with each change of a conversation, and with null when the stream (again) begins. */
export function listen(told) {
  try {
    const { port } = new SharedWorker("/static/worker.js");
    port.onmessage = ({ data }) => told(data);
    addEventListener("pagehide", () => port.postMessage("bye"));
    addEventListener("pageshow", () => port.postMessage("hello"));
  } catch {
    const source = new EventSource("/chat/events");
    source.onopen = () => told(null);
    source.onmessage = ({ data }) => told(JSON.parse(data));
  }
}
