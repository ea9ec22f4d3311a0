// The events of a stream, as the server sends them.

const SYMBOL_PREFIX = '{"symbol":"';

export interface ReadyEvent {
  stream: string;
  filter?: string;
  delay?: number;
}

export interface StatusEvent {
  symbol?: string;
  source?: string;
  state: string;
  reason?: string;
  since: number;
}

export interface HeartbeatEvent {
  time: number;
  sources?: StatusEvent[];
}

export interface ByeEvent {
  reason: string;
  retry?: number;
}

/** Returns the symbol of a tick. Every tick needs this, so the rest of the JSON is not parsed. */
export function symbolOf(json: string): string {
  if (json.startsWith(SYMBOL_PREFIX))
    return json.slice(SYMBOL_PREFIX.length, json.indexOf('"', SYMBOL_PREFIX.length));
  return (JSON.parse(json) as { symbol: string }).symbol;
}
