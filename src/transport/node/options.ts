/** How sockets are opened on Node.js. */
import type { Agent } from "node:http"
import type { LookupFunction } from "node:net"
import type { ConnectionOptions, SecureContextOptions } from "node:tls"
import type { ZlibOptions } from "node:zlib"
import type * as Redacted from "#effect/Redacted"

/**
 * How messages are compressed, if the server agrees to it (RFC 7692).
 *
 * @category models
 * @since 0.1.0
 */
export interface PerMessageDeflateOptions {
  /** Asks the server to compress each message by itself, which takes less memory. Default: `false`. */
  readonly serverNoContextTakeover?: boolean | undefined
  /** Compresses each message by itself, which takes less memory. Default: `false`, unless the server asks for it. */
  readonly clientNoContextTakeover?: boolean | undefined
  /** The window that the server shall use, 8 to 15, as a power of two. Default: the server's choice. */
  readonly serverMaxWindowBits?: number | undefined
  /** The largest window that this side uses, 8 to 15, as a power of two. Default: the server's choice. */
  readonly clientMaxWindowBits?: number | undefined
  /** Options of `zlib` for compressing. Default: those of Node.js. */
  readonly zlibDeflateOptions?: ZlibOptions | undefined
  /** Options of `zlib` for decompressing. Default: those of Node.js. */
  readonly zlibInflateOptions?: ZlibOptions | undefined
  /** Bytes below which a message is not compressed; it applies without context takeover. Default: 1,024. */
  readonly threshold?: number | undefined
  /**
   * How many calls of `zlib` run at once, over all connections of the process; the first connection decides.
   * Default: 10.
   */
  readonly concurrencyLimit?: number | undefined
}

/**
 * How sockets are opened. None of these overrules what the pool asks for: URL, subprotocols, header fields and
 * the largest payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Offers compression. It costs memory (some 300 KiB for each connection with the defaults of `zlib`) and time.
   * Default: `false`.
   */
  readonly perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /**
   * The proxy to go through, or `"environment"` for the one that `HTTPS_PROXY` (for `wss:`) or `HTTP_PROXY` (for `ws:`)
   * names, unless `NO_PROXY` lists the server. Default: none.
   *
   * **Details** The URL begins with `http:` or `https:`; its user info is sent as `Proxy-Authorization: Basic`. The proxy
   * opens a tunnel (`CONNECT`) for `ws:` and `wss:` alike, and resolves the server's name. The TLS options hold for the
   * server behind it. A proxy with an `https:` URL always has its certificate checked, against Node's own authorities
   * and `ca`. `lookup`, `family` and `localAddress` shape the connection to the proxy.
   *
   * The variables are read for each connection, the one in lower case first. `NO_PROXY` is a list of hosts, each with all
   * of its subdomains (`example.com`, `.example.com`), addresses, networks (`10.0.0.0/8`), any of them but networks with
   * a port (`localhost:8080`), or `*` for all.
   *
   * **Errors** The proxy refuses: `"Handshake"`, with its status. It cannot be reached, or hangs up: `"Network"`. Its
   * certificate is not trusted: `"Tls"`. The URL is of another kind, or there is an `agent`, too: `"Setup"`.
   *
   * **Gotchas** SOCKS proxies are not supported, and `ALL_PROXY` is not read: use an `agent`.
   *
   * @since 3.0.0
   */
  readonly proxy?: string | URL | Redacted.Redacted<string> | undefined
  /**
   * An agent that makes the connections, for a SOCKS proxy say; of `node:https` for `wss:`. Default: none.
   *
   * **Details** A connection that comes to nothing leaves no socket behind: neither the one that the agent hands over,
   * nor those that it opens with `net.connect` on the way.
   *
   * **Gotchas** What an agent opens in any other way (`tls.connect`, `new net.Socket()`, another process) is its own to
   * close, and so is a socket that it opens outside of the request's async context, or has in its keep-alive pool. A
   * stream that is no `net.Socket` is destroyed, but not waited for. An agent that shares one line among several requests
   * has to open it outside of the async context of each of them.
   */
  readonly agent?: Agent | undefined
  /** The certificate authorities to trust, in place of Node's own. Default: Node's own. */
  readonly ca?: SecureContextOptions["ca"]
  /** The client's certificate chain in PEM format. Default: none. */
  readonly cert?: SecureContextOptions["cert"]
  /** The private key of `cert` in PEM format. Default: none. */
  readonly key?: SecureContextOptions["key"]
  /** Private key and certificate chain in PKCS #12 format, in place of `key` and `cert`. Default: none. */
  readonly pfx?: SecureContextOptions["pfx"]
  /** The passphrase of `key` or `pfx`. Default: none. */
  readonly passphrase?: string | undefined
  /** Refuses a server whose certificate is not trusted. Default: `true`. */
  readonly rejectUnauthorized?: boolean | undefined
  /** The name for the TLS extension SNI. Default: the URL's host, none if that is an IP address. */
  readonly servername?: string | undefined
  /**
   * Checks the server's certificate against the host; an error that it returns, or throws, refuses the server.
   * Default: `tls.checkServerIdentity`.
   */
  readonly checkServerIdentity?: ConnectionOptions["checkServerIdentity"]
  /** The cipher suites to offer, in OpenSSL's format. Default: Node's own. */
  readonly ciphers?: string | undefined
  /** The oldest version of TLS to accept. Default: `tls.DEFAULT_MIN_VERSION`. */
  readonly minVersion?: SecureContextOptions["minVersion"]
  /** The newest version of TLS to accept. Default: `tls.DEFAULT_MAX_VERSION`. */
  readonly maxVersion?: SecureContextOptions["maxVersion"]
  /**
   * Follows HTTP redirects. To another host (or port), and from `wss:` to `ws:`, none of the pool's header fields
   * and no user info goes along. Default: `false`: a redirect is a refused upgrade.
   */
  readonly followRedirects?: boolean | undefined
  /** How many redirects are followed for one connection. Default: 10. */
  readonly maxRedirects?: number | undefined
  /** The local address to connect from. Default: the system's choice. */
  readonly localAddress?: string | undefined
  /** The version of IP to use, 4 or 6. Default: both. */
  readonly family?: number | undefined
  /**
   * Resolves host names. Default: `dns.lookup`.
   *
   * **Details** It is asked for all addresses. They are tried 250 ms apart, or at once after a failure, the families in
   * turns; the first to connect wins.
   */
  readonly lookup?: LookupFunction | undefined
  /** The header field `Origin`, unless the pool's `headers` have one. Default: none. */
  readonly origin?: string | undefined
  /**
   * Reads and writes the frames of whole messages without the streams of `ws`, which is faster. Default: `true`.
   *
   * **Details** `ws` still does the handshake, and stays the judge of the protocol: control frames, messages in fragments,
   * violations and closing go through it. So does everything, as with `false`, on a connection with compression, through
   * a `proxy`, or of an `agent`.
   *
   * **Gotchas** It shows in nothing but speed. `false` is for finding out whether a fault lies here.
   *
   * @since 3.0.0
   */
  readonly ownFrames?: boolean | undefined
}
