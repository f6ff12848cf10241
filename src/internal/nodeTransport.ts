import { randomFillSync } from "node:crypto"
import type { ClientRequest, ClientRequestArgs, IncomingMessage } from "node:http"
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import * as Effect from "effect/Effect"
import { WebSocket } from "ws"
import type { Options } from "../NodeWebSocketTransport.js"
import type { ConnectRequest, SocketEvents, WebSocketTransport } from "../WebSocketTransport.js"
import * as failure from "./nodeTransportError.js"
import { NodeSocket, OwnedWebSocket, type RawSocket } from "./nodeTransportSocket.js"
import type { TransportError } from "./transportError.js"

/** The largest delay of a timer, and the largest payload that `ws` takes for a number of its own. */
const maxInt32 = 2 ** 31 - 1

const defaultMaxRedirects = 10

/** The real one, whatever a test puts in its place later. */
const defer = setImmediate

type ClientOptions = WebSocket.ClientOptions &
  ClientRequestArgs & { readonly closeTimeout: number; readonly secureContext?: SecureContext }

/** The options, picked and completed. */
interface Settings {
  readonly maxRedirects: number
  readonly optionsOf: (hop: Hop, request: ConnectRequest) => ClientOptions
}

/** One request of a chain of redirects. */
interface Hop {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly number: number
  /** What no error may show, gathered over all the hops. */
  readonly visited: ReadonlyArray<string>
}

class Redirect {
  constructor(
    readonly status: number,
    readonly location: string
  ) {}
}

const defined = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

const decode = (options: Options): Settings => {
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
  const optionsOf = ({ headers, url }: Hop, { closeTimeout, maxPayload }: ConnectRequest): ClientOptions => {
    const hasOrigin = Object.keys(headers).some((name) => name.toLowerCase() === "origin")
    return {
      ...connection,
      ...(/^(wss|https):/i.test(url) ? secure() : undefined),
      ...(options.origin !== undefined && !hasOrigin ? { origin: options.origin } : undefined),
      headers,
      maxPayload: clamp(maxPayload),
      closeTimeout: clamp(closeTimeout),
      // Redirects are followed below: `ws` would take every header but two to any other server.
      followRedirects: false,
      generateMask
    }
  }
  // A pool asks for the same each time, unless it computes something for each attempt.
  let latest: { readonly request: ConnectRequest; readonly options: ClientOptions } | undefined
  return {
    maxRedirects: options.followRedirects === true ? (options.maxRedirects ?? defaultMaxRedirects) : 0,
    optionsOf: (hop, request) => {
      if (hop.number > 0) return optionsOf(hop, request)
      if (latest?.request !== request) latest = { request, options: optionsOf(hop, request) }
      return latest.options
    }
  }
}

const pool = new Uint8Array(8192)
let used = pool.length

/**
 * Never zero: such a mask would leave the bytes as they are, so that `ws` would not copy them, but write them
 * from the caller's own array later.
 */
const generateMask = (mask: Buffer): void => {
  do {
    if (used === pool.length) {
      randomFillSync(pool)
      used = 0
    }
    for (let i = 0; i < 4; i++) mask[i] = pool[used++]!
  } while (mask.readUInt32LE() === 0)
}

const clamp = (n: number): number => Math.max(1, Math.min(maxInt32, Math.floor(n)))

const isRedirect = (status: number): boolean => status >= 300 && status < 400

const ignore = (): void => {}

/** Ends a socket of which nobody shall hear, and waits until it is gone. */
const discard = (ws: WebSocket): Effect.Effect<void> =>
  Effect.async((resume) => {
    ws.removeAllListeners()
    if (ws.readyState === WebSocket.CLOSED) {
      resume(Effect.void)
      return
    }
    ws.on("error", ignore)
    ws.on("close", () => resume(Effect.void))
    ws.terminate()
  })

/** Listens until the handshake has succeeded, or has failed and its socket is gone; then it tells `done`. */
const listen = (
  ws: OwnedWebSocket,
  events: SocketEvents,
  secrets: () => ReadonlyArray<string>,
  done: (opened: Effect.Effect<void, Redirect | TransportError>) => void
): void => {
  let stage: failure.Stage = "Opening"
  let raw: RawSocket = {}
  let failed: Redirect | TransportError | undefined

  ws.on("upgrade", (response) => {
    stage = "Upgrade"
    raw = response.socket
  })
  ws.on("unexpected-response", (_: ClientRequest, { headers, statusCode = 0 }: IncomingMessage) => {
    failed ??=
      isRedirect(statusCode) && headers.location !== undefined
        ? new Redirect(statusCode, headers.location)
        : failure.refused(`Unexpected server response: ${statusCode}`, statusCode)
    ws.terminate()
  })
  ws.on("error", (error) => {
    failed ??= failure.fromError(error, stage, secrets())
  })
  ws.on("close", () => {
    failed ??= failure.fromError(new Error("The connection was closed"), stage, [])
    done(Effect.fail(failed))
  })
  ws.on("open", () => {
    ws.removeAllListeners()
    events.onOpen(new NodeSocket(ws, raw, events))
    done(Effect.void)
  })
}

const attempt = (
  hop: Hop,
  request: ConnectRequest,
  events: SocketEvents,
  settings: Settings
): Effect.Effect<void, Redirect | TransportError> =>
  // Only the waiting can be interrupted, not the cleaning up. A socket that has opened is the caller's.
  Effect.uninterruptibleMask((restore) => {
    const secrets = () => failure.secretsOf(hop.visited, request.headers)
    let ws: OwnedWebSocket
    try {
      ws = new OwnedWebSocket(hop.url, [...request.protocols], settings.optionsOf(hop, request))
    } catch (error) {
      return Effect.fail(failure.fromError(error, "Setup", secrets()))
    }
    const opened = Effect.async<void, Redirect | TransportError>((resume) => listen(ws, events, secrets, resume))
    return Effect.matchCauseEffect(restore(opened), {
      onFailure: (cause) =>
        Effect.zipRight(ws.owner === undefined ? discard(ws) : Effect.void, Effect.failCause(cause)),
      onSuccess: () => Effect.void
    })
  })

/**
 * The request that a redirect asks for. To another host, and from a secure line to an open one, it takes
 * nothing along that the caller has given for the first.
 */
const next = (hop: Hop, { location, status }: Redirect, maxRedirects: number): Hop | TransportError => {
  if (!(hop.number < maxRedirects)) {
    return failure.refused(
      maxRedirects === 0 ? `Unexpected server response: ${status}` : "Maximum redirects exceeded",
      status
    )
  }
  const from = new URL(hop.url)
  let url: URL
  try {
    url = new URL(location, from)
  } catch {
    return failure.refused("Redirected to an invalid URL", status)
  }
  if (!/^(https?|wss?):$/.test(url.protocol)) {
    return failure.refused("Redirected to a URL that is neither ws: nor wss:", status)
  }
  url.protocol = url.protocol.replace("http", "ws")
  url.hash = ""
  const isTrusted = url.host === from.host && (url.protocol === "wss:" || from.protocol !== "wss:")
  if (!isTrusted) {
    url.username = ""
    url.password = ""
  } else if (url.username === "" && url.password === "") {
    url.username = from.username
    url.password = from.password
  }
  return {
    url: url.href,
    headers: isTrusted ? hop.headers : {},
    number: hop.number + 1,
    visited: [...hop.visited, url.href, location]
  }
}

const follow = (
  hop: Hop,
  request: ConnectRequest,
  events: SocketEvents,
  settings: Settings
): Effect.Effect<void, TransportError> =>
  Effect.catchAll(attempt(hop, request, events, settings), (failed) => {
    if (!(failed instanceof Redirect)) return failed
    const target = next(hop, failed, settings.maxRedirects)
    return "number" in target ? follow(target, request, events, settings) : target
  })

export const make = (options: Options): WebSocketTransport => {
  const settings = decode(options)
  return {
    defer,
    connect: (request, events) =>
      follow(
        { url: request.url, headers: request.headers, number: 0, visited: [request.url] },
        request,
        events,
        settings
      )
  }
}
