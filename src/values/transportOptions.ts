/** The options of the Node transport, for whoever gives one of them to the pool. The transport holds them to its own. */
export const transportOptions = [
  "perMessageDeflate",
  "proxy",
  "agent",
  "ca",
  "cert",
  "key",
  "pfx",
  "passphrase",
  "rejectUnauthorized",
  "servername",
  "checkServerIdentity",
  "ciphers",
  "minVersion",
  "maxVersion",
  "followRedirects",
  "maxRedirects",
  "localAddress",
  "family",
  "lookup",
  "origin",
  "ownFrames"
] as const
