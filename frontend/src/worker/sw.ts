/** The service worker. `__FILES__` becomes the names of the build's files (`weight.ts`): new files, a new worker. */

import type { NoticeData } from "../hooks/notifications";
import { PAGE, answer, kindOf } from "./shell";

declare const __FILES__: readonly string[];

// The compiler knows the page's globals; these are the worker's, as far as they are used.
interface LateEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface NoticeEvent extends LateEvent {
  readonly notification: Notification;
}
interface Worker extends EventTarget {
  readonly location: Location;
  readonly clients: {
    claim(): Promise<void>;
    matchAll(): Promise<readonly { focus(): Promise<unknown>; postMessage(message: unknown): void }[]>;
    openWindow(address: string): Promise<unknown>;
  };
  skipWaiting(): Promise<void>;
}

const worker = self as unknown as Worker;
const files = __FILES__;
const name = `bionicpro-shell-${files.join(" ")}`;

async function keepShell(): Promise<void> {
  const cache = await caches.open(name);
  // Where no document is asked for, an address without a file is not found.
  await cache.addAll([new Request(PAGE, { headers: { Accept: "text/html" } }), ...files]);
  await worker.skipWaiting();
}

async function forgetOlder(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((other) => other !== name).map((other) => caches.delete(other)));
  await worker.clients.claim();
}

/** Leads to where a notification points, in the tab that was used last, or in a new one. */
async function open({ data }: Notification): Promise<void> {
  const { address } = data as NoticeData;
  const [tab] = await worker.clients.matchAll();
  if (tab === undefined) {
    await worker.clients.openWindow(address);
    return;
  }
  tab.postMessage({ open: address });
  await tab.focus();
}

const ports = {
  origin: worker.location.origin,
  fetch: (request: Request) => fetch(request),
  match: async (address: string) => (await caches.open(name)).match(address),
  put: async (address: string, response: Response) => (await caches.open(name)).put(address, response),
};

worker.addEventListener("install", (event) => {
  (event as LateEvent).waitUntil(keepShell());
});
worker.addEventListener("activate", (event) => {
  (event as LateEvent).waitUntil(forgetOlder());
});
worker.addEventListener("fetch", (event) => {
  const { request } = event as FetchEvent;
  const kind = kindOf(request, ports.origin);
  if (kind !== null) (event as FetchEvent).respondWith(answer(request, kind, ports));
});
worker.addEventListener("notificationclick", (event) => {
  const { notification } = event as NoticeEvent;
  notification.close();
  (event as NoticeEvent).waitUntil(open(notification));
});
