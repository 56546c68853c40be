// Shared by all tabs of a browser: the one stream of what changes in its conversations.

const ports = new Set();
let source = null;

function tell(change) {
  for (const port of ports) port.postMessage(change);
}

function open() {
  source = new EventSource("/chat/events");
  source.onopen = () => tell(null); // what changed meanwhile is looked for
  source.onmessage = ({ data }) => tell(JSON.parse(data));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) source = null; // refused: tried again with the next tab
  };
}

onconnect = ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = ({ data }) => {
    if (data === "bye") ports.delete(port);
    else ports.add(port);
    if (!ports.size) source = void source?.close();
    else if (!source) open();
  };
  if (!source) open();
};
