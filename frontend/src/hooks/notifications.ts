/** Notifications of the browser, for whoever asked for them, while the page is open. */

import { keep, recall } from "../i18n/remembered";

export function canNotify(): boolean {
  return "Notification" in window;
}

/** Asked for, and allowed by the browser. */
export function notifies(): boolean {
  return canNotify() && recall("notifications") === "on" && Notification.permission === "granted";
}

/** Asks the browser where it has not been asked yet; whether notifications are on afterwards. */
export async function setNotifies(wanted: boolean): Promise<boolean> {
  keep("notifications", wanted ? "on" : "off");
  if (!wanted || !canNotify()) return false;
  return (await Notification.requestPermission()) === "granted";
}

/** On a phone only the service worker may show one; elsewhere the page itself can as well. */
export async function notify(title: string, body: string): Promise<void> {
  if (!notifies()) return;
  const options = { body, tag: "bionicpro", icon: "/icon-192.png" };
  const registration = await navigator.serviceWorker.getRegistration();
  if (registration === undefined) new Notification(title, options);
  else await registration.showNotification(title, options);
}
