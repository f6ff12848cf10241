import type { ClientRequestArgs } from "node:http"
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import type { WebSocket } from "ws"
import type { ConnectRequest } from "../seam.js"
import * as failure from "./error.js"
import { generateKey } from "./mask.js"
import { problemsOf } from "./names.js"
import type { Options } from "./options.js"
import * as nodeProxy from "./proxy.js"
import { isDirect } from "./route.js"
import { Sessions } from "./sessions.js"

/** The largest delay of a timer, and the largest payload that `ws` takes for a number of its own. */
const maxInt32 = 2 ** 31 - 1

const defaultMaxRedirects = 10

/** Far above what `ws` allows by default: some servers send a message byte by byte. Each fragment costs memory, though. */
const maxFragments = 131_072

export type ClientOptions = WebSocket.ClientOptions &
  ClientRequestArgs & {
    readonly closeTimeout: number
    readonly maxPayload: number
    readonly maxFragments: number
    readonly secureContext?: SecureContext
  }

/** The options, picked and completed. */
export interface Settings {
  readonly maxRedirects: number
  /** What is wrong with the options: nobody connects with them. */
  readonly mistake: Error | undefined
  readonly proxyOf: nodeProxy.ProxyOf | undefined
  readonly options: Options
  readonly sessions: Sessions | undefined
  /** Whether sockets are opened so that frames can be taken out before they reach `ws`. */
  readonly areLines: boolean
  readonly optionsOf: (hop: Hop, request: ConnectRequest) => ClientOptions
  /** Whether the URL names an address rather than a host. */
  readonly isDirect: (url: string) => boolean
}

/** One request of a chain of redirects. */
export interface Hop {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly number: number
  /** What no error may show, gathered over all the hops. */
  readonly visited: ReadonlyArray<string>
}

const defined = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

export const decode = (options: Options): Settings => {
  const { ca, cert, ciphers, key, maxVersion, minVersion, passphrase, pfx } = options
  const { agent, checkServerIdentity, family, localAddress, lookup, rejectUnauthorized, servername } = options
  // A key that is there but undefined would hide the default that Node has for it.
  const tls: SecureContextOptions = defined({ ca, cert, ciphers, key, maxVersion, minVersion, passphrase, pfx })
  let context: SecureContext | undefined
  // One context for all connections spares each of them tens of kilobytes. It would overrule the certificates
  // that an agent was made with, though.
  const secure = (): object => {
    if (agent !== undefined) return tls
    try {
      context ??= createSecureContext(tls)
    } catch (error) {
      throw failure.badContext(error)
    }
    return { secureContext: context }
  }
  const connection: object = {
    perMessageDeflate: options.perMessageDeflate ?? false,
    ...defined({ agent, family, localAddress, lookup, rejectUnauthorized, servername }),
    ...(checkServerIdentity && { checkServerIdentity: failure.identityCheck(checkServerIdentity) })
  }
  const areLines = agent === undefined && options.ownFrames !== false
  const optionsOf = ({ headers, url }: Hop, { closeTimeout, maxPayload }: ConnectRequest): ClientOptions => {
    const isSecure = /^(wss|https):/i.test(url)
    const hasOrigin = Object.keys(headers).some((name) => name.toLowerCase() === "origin")
    return {
      ...connection,
      ...(isSecure ? secure() : undefined),
      ...(options.origin !== undefined && !hasOrigin ? { origin: options.origin } : undefined),
      headers,
      maxPayload: clamp(maxPayload),
      maxFragments,
      closeTimeout: clamp(closeTimeout),
      // `ws` would end a line on which many pings come at once: they are answered in `NodeSocket`.
      autoPong: false,
      // Redirects are followed elsewhere: `ws` would take every header but two to any other server.
      followRedirects: false,
      generateMask: generateKey
    }
  }
  const problems = problemsOf(options)
  // A pool asks for the same each time, unless it computes something for each attempt.
  let latest: { readonly request: ConnectRequest; readonly options: ClientOptions } | undefined
  let known: { readonly url: string; readonly isDirect: boolean } | undefined
  return {
    maxRedirects: options.followRedirects === true ? (options.maxRedirects ?? defaultMaxRedirects) : 0,
    mistake: problems.length === 0 ? undefined : nodeProxy.mistake(problems.join("; ")),
    proxyOf: nodeProxy.decode(options),
    options,
    sessions: Sessions.of(options),
    areLines,
    optionsOf: (hop, request) => {
      if (hop.number > 0) return optionsOf(hop, request)
      if (latest?.request !== request) latest = { request, options: optionsOf(hop, request) }
      return latest.options
    },
    isDirect: (url) => {
      if (known?.url !== url) known = { url, isDirect: isDirect(url) }
      return known.isDirect
    }
  }
}

const clamp = (n: number): number => Math.max(1, Math.min(maxInt32, Math.floor(n)))
