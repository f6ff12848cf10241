import { createHash } from "node:crypto"
import type { Socket } from "node:net"
import * as NodeWebSocketTransport from "effect-websocket-pool/NodeWebSocketTransport"
import {
  type CloseInfo,
  type ConnectRequest,
  type Message,
  type SocketEvents,
  type TransportError,
  type TransportSocket,
  WebSocketTransport
} from "effect-websocket-pool/WebSocketTransport"
import type { WebSocket } from "ws"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import { repeated } from "#support/fibers"
import { assert } from "#support/vitest"
import { type Listening, tcpServer, upgraded, wsServer } from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"

/** Waits for what is bound to happen; the test's own timeout ends it otherwise. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setInterval(() => {
      if (condition()) resume(Effect.sync(() => clearInterval(timer)))
    }, 1)
    return Effect.sync(() => clearInterval(timer))
  })

/** Gives everything that is ready to happen a chance. */
export const turns = (n = 20): Effect.Effect<void> =>
  repeated(
    Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
    n
  )

export interface Heard {
  readonly opened: Array<TransportSocket>
  readonly messages: Array<Message>
  readonly bytes: Array<number>
  readonly pongs: Array<string>
  readonly ends: Array<CloseInfo>
  flushes: number
  gone: number
}

export const recorder = (): SocketEvents & { readonly heard: Heard } => {
  const heard: Heard = { opened: [], messages: [], bytes: [], pongs: [], ends: [], flushes: 0, gone: 0 }
  return {
    heard,
    onOpen: (socket) => {
      heard.opened.push(socket)
    },
    onMessage: (message, bytes) => {
      assert.isEmpty(heard.ends)
      heard.messages.push(message)
      heard.bytes.push(bytes)
    },
    onPong: (payload) => {
      assert.isEmpty(heard.ends)
      heard.pongs.push(payload)
    },
    onFlush: () => {
      assert.strictEqual(heard.gone, 0)
      heard.flushes += 1
    },
    onEnd: (info) => {
      assert.strictEqual(heard.gone, 0)
      heard.ends.push(info)
    },
    onGone: () => {
      assert.strictEqual(heard.ends.length, 1)
      heard.gone += 1
    }
  }
}

export const request = (overrides: Partial<ConnectRequest>): ConnectRequest => ({
  url: "ws://127.0.0.1:1",
  protocols: [],
  headers: {},
  maxPayload: 16 * 1024 * 1024,
  closeTimeout: 10_000,
  ...overrides
})

export type Options = NodeWebSocketTransport.Options

export const layerOf = (options?: Options) => NodeWebSocketTransport.layer({ ownFrames, ...options })
export const transportOf = () => NodeWebSocketTransport.make({ ownFrames })

export const local = ({ port }: Listening, scheme = "ws"): string => `${scheme}://127.0.0.1:${port}/`

export const connect = (
  overrides: Partial<ConnectRequest>,
  options?: Options
): Effect.Effect<{ readonly socket: TransportSocket; readonly heard: Heard }, TransportError, Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* WebSocketTransport
    const events = recorder()
    const { heard } = events
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        for (const socket of heard.opened) socket.destroy()
        return until(() => heard.gone === heard.opened.length)
      })
    )
    yield* transport.connect(request(overrides), events)
    assert.strictEqual(heard.opened.length, 1)
    return { socket: heard.opened[0]!, heard }
  }).pipe(Effect.provide(layerOf(options)))

export const refused = (
  overrides: Partial<ConnectRequest>,
  options?: Options
): Effect.Effect<TransportError, unknown> => Effect.flip(Effect.scoped(connect(overrides, options)))

/** A `ws` server whose only connection is handed to the test. */
export const pair = (
  overrides: Partial<ConnectRequest> = {},
  options?: Options,
  serverOptions?: { perMessageDeflate: boolean }
) =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<WebSocket>()
    const server = yield* wsServer((peer) => Deferred.doneUnsafe(accepted, Effect.succeed(peer)), serverOptions)
    const client = yield* connect({ url: local(server), ...overrides }, options)
    return { ...client, server, peer: yield* Deferred.await(accepted) }
  })

/** A server that upgrades and then knows nothing of WebSockets. */
export const rawPair = (overrides: Partial<ConnectRequest> = {}, options?: Options, fields?: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<Socket>()
    const server = yield* tcpServer(upgraded((raw) => Deferred.doneUnsafe(accepted, Effect.succeed(raw)), fields))
    const client = yield* connect({ url: local(server), ...overrides }, options)
    return { ...client, server, raw: yield* Deferred.await(accepted) }
  })

/** Collects what the raw side reads. */
export const reading = (raw: Socket) => {
  const chunks: Array<Buffer> = []
  raw.on("data", (chunk: Buffer) => chunks.push(chunk))
  raw.resume()
  return () => Buffer.concat(chunks)
}

/** The code of a masked close frame. */
export const closeCode = (bytes: Buffer): number => {
  assert.strictEqual(bytes[0], 0x88)
  return ((bytes[6]! ^ bytes[2]!) << 8) | (bytes[7]! ^ bytes[3]!)
}

export const sha1 = (data: Uint8Array): string => createHash("sha1").update(data).digest("hex")

export const ended = (code: number, initiator: CloseInfo["initiator"], reason = ""): CloseInfo => ({
  code,
  reason,
  initiator
})
