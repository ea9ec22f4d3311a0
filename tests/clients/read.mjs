// Reads COUNT events of URL with npm's eventsource and prints each as [event, id, data].
import { EventSource } from "eventsource";

const [url, count] = process.argv.slice(2);
const source = new EventSource(url);
let left = Number(count);
const print = (event) => {
  console.log(JSON.stringify([event.type, event.lastEventId, event.data]));
  if (--left === 0) {
    source.close();
    process.exit(0);
  }
};
source.addEventListener("tick", print);
// An event without a name, which the server must not send, would arrive as "message".
source.addEventListener("message", print);
