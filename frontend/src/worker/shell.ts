/**
 * What the service worker answers by itself: the page's own files, so that the page opens without a network and says
 * so. Nothing of the API passes through here: health data is not kept on a device.
 */

/** What is needed of the browser's caches and network; the page's tests bring their own. */
export interface ShellPorts {
  /** Where the page lives, `https://…` without a path. */
  origin: string;
  fetch: (request: Request) => Promise<Response>;
  match: (address: string) => Promise<Response | undefined>;
  put: (address: string, response: Response) => Promise<void>;
}

export const PAGE = "/";
const API = /^\/(auth|reports|users|support\/(search|visits)|health)(\/|$)/;

/** How a request is answered; null: not by the worker, but by the network as if there were none. */
export function kindOf(request: Request, origin: string): "page" | "file" | null {
  const { pathname, origin: asked } = new URL(request.url);
  if (request.method !== "GET" || asked !== origin || API.test(pathname)) return null;
  if (request.mode === "navigate") return "page";
  return pathname.startsWith("/assets/") ? "file" : null;
}

export async function answer(request: Request, kind: "page" | "file", ports: ShellPorts): Promise<Response> {
  return kind === "page" ? page(request, ports) : file(request, ports);
}

/** Always the newest page where there is a network; every address is one and the same file. */
async function page(request: Request, ports: ShellPorts): Promise<Response> {
  try {
    const response = await ports.fetch(request);
    // A picture may be visited too, and is not the page.
    const isPage = response.headers.get("Content-Type")?.startsWith("text/html") ?? false;
    if (response.ok && isPage && response.type === "basic") await ports.put(PAGE, response.clone());
    return response;
  } catch (error) {
    const kept = await ports.match(PAGE);
    if (kept === undefined) throw error;
    return kept;
  }
}

/** A file's name changes with its content, so that what is kept is never old. */
async function file(request: Request, ports: ShellPorts): Promise<Response> {
  const { pathname } = new URL(request.url);
  return (await ports.match(pathname)) ?? ports.fetch(request);
}
