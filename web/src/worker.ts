// The worker that all tabs share, with one stream for all tabs.

import { Hub } from "./hub.ts";
import type { HubMessage } from "./messages.ts";

const scope = globalThis as unknown as { onconnect: (event: MessageEvent) => void };
// Some browsers have shared workers without EventSource. A page that receives no `hello` uses a hub
// of its own.
const hub = typeof EventSource === "undefined" ? null : new Hub();

scope.onconnect = (event) => {
  const port = event.ports[0];
  if (!port || !hub) return;
  const handle = hub.join((message) => port.postMessage(message));
  port.onmessage = ({ data }: MessageEvent<HubMessage>) => handle(data);
};
