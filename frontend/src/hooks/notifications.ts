/** Notifications of the browser, for whoever asked for them, while the page is open. */

import { keep, recall } from "../i18n/remembered";

export interface Notice {
  title: string;
  body: string;
  lang: string;
  /** What it is about: a later notice about the same takes its place. */
  about: string;
  /** What is said about it: the same is shown once, however many tabs say it. */
  state: string;
  /** Where in the page it leads. */
  address: string;
}

/** What a shown notification carries, for the service worker to open. */
export interface NoticeData {
  state: string;
  address: string;
}

const OPENED = "bionicpro:notice-opened";

export function canNotify(): boolean {
  return "Notification" in window;
}

/** Asked for, and allowed by the browser. */
export function notifies(): boolean {
  return canNotify() && recall("notifications") === "on" && Notification.permission === "granted";
}

/** Asks the browser where it has not been asked yet; whether notifications are on afterwards. */
export async function setNotifies(wanted: boolean): Promise<boolean> {
  const on = wanted && canNotify() && (await Notification.requestPermission()) === "granted";
  keep("notifications", on ? "on" : "off");
  return on;
}

/**
 * Shows `notice` to whoever wants notifications. On a phone only the service worker may show one; where there is none
 * (a page that was not built), the page itself does. What the browser refuses is no failure: the page says the same.
 */
export async function notify(notice: Notice): Promise<void> {
  if (!notifies()) return;
  const data: NoticeData = { state: notice.state, address: notice.address };
  // The compiler does not know `renotify`: a notice in an earlier one's place is a new one, which has to be heard.
  const options: NotificationOptions & { renotify: boolean } = {
    body: notice.body,
    lang: notice.lang,
    tag: `bionicpro ${notice.about}`,
    renotify: true,
    icon: "/icon-192.png",
    data,
  };
  try {
    await show(notice.title, options, data);
  } catch {
    return;
  }
}

async function show(title: string, options: NotificationOptions, data: NoticeData): Promise<void> {
  if ((await navigator.serviceWorker.getRegistration()) === undefined) {
    new Notification(title, options).addEventListener("click", () => {
      window.focus();
      tellOpened(data.address);
    });
    return;
  }
  const registration = await navigator.serviceWorker.ready;
  const shown = await registration.getNotifications({ tag: options.tag ?? "" });
  if (shown.some((one) => (one.data as NoticeData | null)?.state === data.state)) return;
  await registration.showNotification(title, options);
}

function tellOpened(address: string): void {
  window.dispatchEvent(new CustomEvent(OPENED, { detail: address }));
}

/** Calls `open` with where a notification leads when the person opens one; returns what ends that. */
export function onNoticeOpened(open: (address: string) => void): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  window.addEventListener(
    OPENED,
    (event) => {
      open((event as CustomEvent<string>).detail);
    },
    { signal },
  );
  // Not there where the page came over a network that others can write to.
  if ("serviceWorker" in navigator) {
    navigator.serviceWorker.addEventListener(
      "message",
      ({ data }: MessageEvent<{ open?: unknown } | null>) => {
        if (typeof data?.open === "string") open(data.open);
      },
      { signal },
    );
  }
  return () => {
    controller.abort();
  };
}
