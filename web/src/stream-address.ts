// The addresses of prepared streams.

/**
 * Returns the address of a prepared stream. The server names it from its own root, but the server
 * may be below a path: `base` is its address with that path.
 */
export function streamAddress(base: string, url: string): string {
  const folder = base.endsWith("/") ? base : `${base}/`;
  return new URL(url.replace(/^\/(?=v1\/)/, ""), folder).href;
}
