/**
 * Server-sent events as the HTML standard defines them, read from text chunks of any size. EventSource cannot
 * send the CSRF header, so the page reads the stream itself.
 */

export interface ServerEvent {
  type: string;
  data: string;
  /** The last id seen up to and with this event. */
  lastEventId: string;
}

const LONGEST_PENDING = 4 * 1024 * 1024;

export class SseParser {
  lastEventId: string;
  /** The server's wish for the time before reconnecting, in milliseconds. */
  retryMs: number | null = null;
  #pending = "";
  #begun = false;
  #type = "";
  #data: string[] = [];
  #size = 0;

  constructor(lastEventId = "") {
    this.lastEventId = lastEventId;
  }

  /** The events completed by this chunk. Throws RangeError where one event exceeds 4 MiB. */
  push(chunk: string): ServerEvent[] {
    let rest = this.#pending + chunk;
    if (!this.#begun && rest !== "") {
      this.#begun = true;
      if (rest.startsWith("\uFEFF")) rest = rest.slice(1);
    }
    const events: ServerEvent[] = [];
    let start = 0;
    for (let end = lineEnd(rest, start); end !== null; end = lineEnd(rest, start)) {
      this.#line(rest.slice(start, end.at), events);
      start = end.next;
    }
    this.#pending = rest.slice(start);
    if (this.#pending.length + this.#size > LONGEST_PENDING) throw new RangeError("event too long");
    return events;
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === "") {
      this.#dispatch(events);
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    this.#field(field, value);
  }

  #field(field: string, value: string): void {
    if (field === "event") this.#type = value;
    else if (field === "data") {
      this.#data.push(value);
      this.#size += value.length;
    } else if (field === "id" && !value.includes("\0")) this.lastEventId = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(events: ServerEvent[]): void {
    if (this.#data.length > 0) {
      const type = this.#type === "" ? "message" : this.#type;
      events.push({ type, data: this.#data.join("\n"), lastEventId: this.lastEventId });
    }
    this.#type = "";
    this.#data = [];
    this.#size = 0;
  }
}

/** The next line's end; null where more text must come (a CR at the very end may belong to a CRLF). */
function lineEnd(text: string, from: number): { at: number; next: number } | null {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 10) return { at, next: at + 1 };
    if (code === 13) {
      if (at + 1 === text.length) return null;
      return { at, next: text.charCodeAt(at + 1) === 10 ? at + 2 : at + 1 };
    }
  }
  return null;
}
