// An EventSource with the parts that every reconnecting stream needs: it detects a dead connection,
// computes the delay of the next attempt, and resets old data once a new stream sends data.

export const HEARTBEAT_INTERVAL_S = 5;
/**
 * Maximum silence. A longer silence means that the connection is dead, even if the browser reports
 * it as open.
 */
const SILENCE_TIMEOUT_MS = HEARTBEAT_INTERVAL_S * 2_000 + 4_000;
const MAX_RETRY_DELAY_MS = 15_000;

/** Receiver of the events of one connection. */
export interface EventHandlers {
  /** The handler of each event by its name. Other events are ignored. */
  readonly events: Readonly<Record<string, (data: string) => void>>;
  opened(): void;
  /** Called before the first event of a stream that replaces an earlier stream. */
  reset(): void;
  /** `closed` is false if the browser reconnects automatically, with a cursor. */
  failed(closed: boolean): void;
}

export class EventStream {
  /** Number of failed attempts since the last success. Its owner counts. */
  failures = 0;
  /** The last cursor, over all sources. */
  cursor = "";
  private source: EventSource | null = null;
  private lastEventAt = 0;
  private resetPending = false;

  /** Whether a source exists. The source may be connecting. */
  get active(): boolean {
    return this.source !== null;
  }

  /** Replaces the source. `replacesData` means that the listeners have data of an earlier stream. */
  open(url: string, replacesData: boolean, handlers: EventHandlers): void {
    this.close();
    this.lastEventAt = Date.now();
    this.resetPending = replacesData;
    const source = new EventSource(url);
    this.source = source;
    // An event of a replaced source may still arrive.
    const listen = (event: string, call: (message: Event) => void): void =>
      source.addEventListener(event, (message) => {
        if (source === this.source) call(message);
      });
    for (const [event, handle] of Object.entries(handlers.events))
      listen(event, (message) => {
        this.lastEventAt = Date.now();
        const { data, lastEventId } = message as MessageEvent<string>;
        if (lastEventId) this.cursor = lastEventId;
        // A `bye` contains no prices that could replace the present ones.
        if (this.resetPending && event !== "bye") {
          this.resetPending = false;
          handlers.reset();
        }
        handle(data);
      });
    listen("open", () => handlers.opened());
    listen("error", () => handlers.failed(source.readyState === EventSource.CLOSED));
  }

  close(): void {
    this.source?.close();
    this.source = null;
  }

  /** Returns whether an open connection has been silent for too long. */
  isSilent(): boolean {
    return (
      this.source?.readyState === EventSource.OPEN &&
      Date.now() - this.lastEventAt >= SILENCE_TIMEOUT_MS
    );
  }

  /** Returns the delay of the next attempt. The delay grows with the failures and is random. */
  retryDelay(): number {
    return (
      Math.min(MAX_RETRY_DELAY_MS, 500 * 2 ** Math.min(this.failures, 5)) *
      (0.5 + Math.random() / 2)
    );
  }
}
