import type { ClientRequest, ClientRequestArgs, IncomingMessage } from "node:http"
import { connect as tlsConnect } from "node:tls"
import { WebSocket } from "ws"
import { callback, millisOf } from "#dialect"
import * as Clock from "#effect/Clock"
import * as Effect from "#effect/Effect"
import { TransportError } from "../error.js"
import type { ConnectRequest, SocketEvents, WebSocketTransport } from "../seam.js"
import * as nodeAgent from "./agent.js"
import * as failure from "./error.js"
import { type ConnectSecurely, type LineOptions, open } from "./line.js"
import type { Options } from "./options.js"
import type { Proxy } from "./proxy.js"
import * as nodeRoute from "./route.js"
import { type ClientOptions, decode, type Hop, type Settings } from "./settings.js"
import { NodeSocket, OwnedWebSocket } from "./socket.js"
import { AttemptSockets } from "./sockets.js"
import type { RawSocket } from "./traffic.js"
import { afterSockets, makeBatch } from "./turn.js"

// Connections are opened side by side: each begins, and goes on once it is open, together with the others.

const whenAllHaveAsked = makeBatch()
const whenAllAreOpen = makeBatch()

/** A failure waits as well, so that it is not told before what has opened before it: what a server says last holds. */
const afterOpened: Effect.Effect<void> = callback((resume) => afterSockets(() => resume(Effect.void)))

class Redirect {
  constructor(
    readonly status: number,
    readonly location: string
  ) {}
}

type Failed = Redirect | failure.Refusal | TransportError

type FromError = (error: unknown, stage: failure.Stage, where?: failure.Whereabouts) => TransportError

const isRedirect = (status: number): boolean => status >= 300 && status < 400

const ignore = (): void => {}

/** Ends a socket of which nobody shall hear, and waits until it is gone. */
const discard = (ws: WebSocket): Effect.Effect<void> =>
  callback((resume) => {
    ws.removeAllListeners()
    if (ws.readyState === WebSocket.CLOSED) {
      resume(Effect.void)
      return
    }
    ws.on("error", ignore)
    ws.on("close", () => nodeAgent.outside(() => resume(Effect.void)))
    ws.terminate()
  })

/** Listens until the handshake has succeeded, or has failed and its socket is gone; then it tells `done`. */
const listen = (
  ws: OwnedWebSocket,
  sockets: AttemptSockets | undefined,
  events: SocketEvents,
  maxPayload: number,
  fromError: FromError,
  done: (opened: Effect.Effect<void, Failed>) => void
): void => {
  let stage: failure.Stage = "Opening"
  let raw: RawSocket = {}
  let failed: Failed | undefined

  ws.on("upgrade", (response) => {
    stage = "Upgrade"
    raw = response.socket
  })
  ws.on("unexpected-response", (_: ClientRequest, { headers, statusCode = 0 }: IncomingMessage) => {
    failed ??=
      isRedirect(statusCode) && headers.location !== undefined
        ? new Redirect(statusCode, headers.location)
        : new failure.Refusal(statusCode, headers["retry-after"])
    ws.terminate()
  })
  ws.on("error", (error) => {
    failed ??= fromError(error, stage)
  })
  ws.on("close", () => {
    failed ??= fromError(new Error("The connection was closed"), stage)
    const end = Effect.fail(failed)
    nodeAgent.outside(() => done(end))
  })
  ws.on("open", () => {
    ws.removeAllListeners()
    sockets?.release()
    const socket = new NodeSocket(ws, raw, events, maxPayload)
    nodeAgent.outside(() => {
      events.onOpen(socket)
      whenAllAreOpen(() => done(Effect.void))
    })
  })
}

interface Beginning {
  readonly ws: OwnedWebSocket
  /** What exists for the attempt; without it, `ws` has the only one. */
  readonly sockets: AttemptSockets | undefined
  /** Opens what `ws` waits for. */
  readonly dial: Effect.Effect<void, unknown> | undefined
}

/** It throws what is wrong with the request before anything is sent. */
const begin = (
  { url }: Hop,
  { protocols }: ConnectRequest,
  options: ClientOptions,
  proxy: Proxy | undefined,
  { areLines, isDirect, options: given, sessions }: Settings,
  clock: Clock.Clock
): Beginning => {
  const offered = [...protocols]
  const { agent } = given
  if (agent !== undefined) {
    const sockets = new AttemptSockets()
    const finishRequest = (request: ClientRequest) => {
      request.on("socket", (socket) => sockets.addFromAgent(socket))
      request.end()
    }
    const open = () => new OwnedWebSocket(url, offered, { ...options, finishRequest })
    return { ws: nodeAgent.within({ agent, sockets }, open), sockets, dial: undefined }
  }
  const connectSecurely: ConnectSecurely =
    sessions === undefined ? tlsConnect : (line) => sessions.connect(line, proxy?.href, () => millisOf(clock))
  if (proxy === undefined && isDirect(url)) {
    const secure = nodeRoute.isSecure(url) ? connectSecurely : undefined
    const createConnection = (asked: ClientRequestArgs) => open(asked as LineOptions, secure, areLines)
    const ws = new OwnedWebSocket(url, offered, { ...options, createConnection })
    return { ws, sockets: undefined, dial: undefined }
  }
  const sockets = new AttemptSockets()
  const route = new nodeRoute.Route(given, new URL(url), proxy, sockets, connectSecurely, areLines)
  const ws = new OwnedWebSocket(url, offered, { ...options, createConnection: route.createConnection })
  return { ws, sockets, dial: route.dial }
}

/** What fails on the way to the server. */
const dialing = (dial: Effect.Effect<void, unknown>, fromError: FromError): Effect.Effect<void, TransportError> =>
  Effect.catch(dial, (failed) => {
    if (!(failed instanceof nodeRoute.ProxyFailed)) return Effect.fail(fromError(failed, "Opening"))
    const { error, proxy } = failed
    return error instanceof failure.Refusal
      ? refuse(error, proxy.name)
      : Effect.fail(fromError(error, "Opening", { isSecure: proxy.isSecure, proxy: proxy.name }))
  })

const attempt = (
  hop: Hop,
  request: ConnectRequest,
  events: SocketEvents,
  settings: Settings
): Effect.Effect<void, Failed> => Clock.clockWith((clock) => attemptAt(hop, request, events, settings, clock))

const attemptAt = (
  hop: Hop,
  request: ConnectRequest,
  events: SocketEvents,
  settings: Settings,
  clock: Clock.Clock
): Effect.Effect<void, Failed> =>
  // Only the waiting can be interrupted, not the cleaning up. A socket that has opened is the caller's.
  Effect.uninterruptibleMask((restore) => {
    const here = { isSecure: nodeRoute.isSecure(hop.url) }
    let proxy: Proxy | undefined
    const fromError: FromError = (error, stage, where = here) =>
      failure.fromError(error, stage, failure.secretsOf([...hop.visited, proxy?.href ?? ""], request.headers), where)
    let beginning: Beginning | undefined
    let isOver = false
    const opened = callback<void, Failed>((resume) =>
      whenAllHaveAsked(() => {
        if (isOver) return
        try {
          if (settings.mistake !== undefined) throw settings.mistake
          proxy = settings.proxyOf?.(hop.url)
          const options = settings.optionsOf(hop, request)
          beginning = begin(hop, request, options, proxy, settings, clock)
          const { dial, sockets, ws } = beginning
          const { maxPayload } = options
          const wait = (done: typeof resume): void => listen(ws, sockets, events, maxPayload, fromError, done)
          if (dial === undefined) wait(resume)
          else resume(Effect.andThen(dialing(dial, fromError), callback(wait)))
        } catch (error) {
          // In the fiber, or what fails there, too, would take the others of the turn with it.
          resume(Effect.suspend(() => Effect.fail(fromError(error, "Setup"))))
        }
      })
    )
    return Effect.matchCauseEffect(restore(opened), {
      onFailure: (cause) => {
        isOver = true
        if (beginning === undefined || beginning.ws.owner !== undefined) return Effect.failCause(cause)
        const { sockets, ws } = beginning
        const end = sockets === undefined ? discard(ws) : Effect.andThen(discard(ws), sockets.end)
        return Effect.andThen(end, Effect.failCause(cause))
      },
      onSuccess: () => Effect.void
    })
  })

/**
 * The request that a redirect asks for. To another host, and from a secure line to an open one, it takes
 * nothing along that the caller has given for the first.
 */
const next = (hop: Hop, { location, status }: Redirect, maxRedirects: number): Hop | failure.Refusal => {
  if (!(hop.number < maxRedirects)) {
    return maxRedirects === 0
      ? new failure.Refusal(status)
      : new failure.Refusal(status, undefined, "more redirects than maxRedirects allows")
  }
  const from = new URL(hop.url)
  let url: URL
  try {
    url = new URL(location, from)
  } catch {
    return new failure.Refusal(status, undefined, "redirected to an invalid URL")
  }
  if (!/^(https?|wss?):$/.test(url.protocol)) {
    return new failure.Refusal(status, undefined, "redirected to a URL that is neither ws: nor wss:")
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

const refuse = (refusal: failure.Refusal, proxy?: string): Effect.Effect<never, TransportError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(failure.refused(refusal, now, proxy)))

const follow = (
  hop: Hop,
  request: ConnectRequest,
  events: SocketEvents,
  settings: Settings
): Effect.Effect<void, TransportError> =>
  Effect.catch(attempt(hop, request, events, settings), (failed) => {
    const target = failed instanceof Redirect ? next(hop, failed, settings.maxRedirects) : failed
    if (target instanceof failure.Refusal) return Effect.andThen(afterOpened, refuse(target))
    if (target instanceof TransportError) return Effect.andThen(afterOpened, Effect.fail(target))
    return follow(target, request, events, settings)
  })

export const make = (options: Options): WebSocketTransport => {
  const settings = decode(options)
  return {
    defer: afterSockets,
    connect: (request, events) =>
      follow(
        { url: request.url, headers: request.headers, number: 0, visited: [request.url] },
        request,
        events,
        settings
      )
  }
}
