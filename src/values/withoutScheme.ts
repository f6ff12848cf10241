/**
 * What is clearly a host, and no secret: `localhost`, or a name with dots or an address, with a port or a path. Without
 * either it may be a token, without dots a user name and a password. It matches host and path.
 */
export const withoutScheme =
  /^\s*((?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?=[:/])|(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|\[[0-9a-f:.]+\])(?=:))(?::\d{1,5})?)(\/[^?#@]*)?\s*$/i
