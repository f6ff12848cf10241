import { WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolRpc from "effect-websocket-pool/WebSocketPoolRpc"
import * as Effect from "#effect/Effect"
import type * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as RpcClient from "#effect/rpc/RpcClient"
import type { RpcClientError } from "#effect/rpc/RpcClientError"
import { RpcSerialization } from "#effect/rpc/RpcSerialization"
import type * as Scope from "#effect/Scope"
import {
  Api,
  encodeChunk,
  encodeDefect,
  encodeEnd,
  encodeExit,
  parserOf,
  type Serialization,
  serializations
} from "#support/rpc"
import { assert } from "#support/vitest"
import { answerCloses, type HandSocket, makeTransport } from "../support/handTransport.js"
import { settle, url } from "../support/memoryPool.js"

export type Client = RpcClient.FromGroup<typeof Api, RpcClientError>
type Parser = ReturnType<typeof parserOf>

/** What a client sends. */
export interface Sent {
  readonly _tag: string
  readonly id?: string
  readonly tag?: string
  readonly requestId?: string
}

/** The server's end of one socket, played by the test. It has one parser, as servers have. */
export class Server {
  private readonly parser: Parser
  private readonly messages: Array<Sent> = []
  private read = 0

  constructor(
    readonly socket: HandSocket,
    private readonly serialization: Serialization
  ) {
    this.parser = parserOf(serialization)
  }

  /** All that was sent to it. */
  get sent(): ReadonlyArray<Sent> {
    const { sent } = this.socket
    for (; this.read < sent.length; this.read++) {
      this.messages.push(...(this.parser.decode(sent[this.read]!) as ReadonlyArray<Sent>))
    }
    return this.messages
  }

  /** In short: `Double 1`, `Ack 1`, `Interrupt 1`. */
  get log(): ReadonlyArray<string> {
    return this.sent.map(({ _tag, id, requestId, tag }) =>
      tag === undefined ? `${_tag} ${requestId}` : `${tag} ${id}`
    )
  }

  private say(message: object): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.socket.message(this.parser.encode(message)!)
      return settle
    })
  }

  exit(requestId: number, exit: Exit.Exit<number, string>): Effect.Effect<void> {
    return this.say({ _tag: "Exit", requestId: String(requestId), exit: encodeExit(this.serialization, exit) })
  }

  end(requestId: number, exit: Exit.Exit<void, string>): Effect.Effect<void> {
    return this.say({ _tag: "Exit", requestId: String(requestId), exit: encodeEnd(this.serialization, exit) })
  }

  chunk(requestId: number, ...values: ReadonlyArray<number>): Effect.Effect<void> {
    return this.say({
      _tag: "Chunk",
      requestId: String(requestId),
      values: encodeChunk(this.serialization, values)
    })
  }

  defect(defect: unknown): Effect.Effect<void> {
    return this.say({ _tag: "Defect", defect: encodeDefect(this.serialization, defect) })
  }
}

const [[, json]] = serializations as readonly [(typeof serializations)[number]]

export interface Scenario {
  readonly serialization?: Serialization
  readonly options?: WebSocketPoolRpc.Options
  readonly pool?: Partial<WebSocketPool.Options>
  readonly transport?: Parameters<typeof makeTransport>[0]
}

/** A client of the group whose servers are played by the test, in order. */
export const scenario = <A, E>(
  { options, pool: poolOptions, serialization = json, transport }: Scenario,
  f: (world: {
    readonly client: Client
    readonly server: (index: number) => Server
    readonly servers: () => number
    readonly pool: WebSocketPool.WebSocketPool
  }) => Effect.Effect<A, E, Scope.Scope | RpcClient.Protocol>
): Effect.Effect<A, unknown> => {
  const { layer, sockets } = makeTransport({ onClose: answerCloses, ...transport })
  const servers: Array<Server> = []
  const server = (index: number): Server => {
    const socket = sockets[index]
    assert.isDefined(socket, `there is no connection ${index}`)
    servers[index] ??= new Server(socket!, serialization)
    return servers[index]
  }
  const Pool = WebSocketPool.layer({
    url,
    name: "main",
    pingInterval: "1 hour",
    validateAfterIdle: "1 hour",
    ...poolOptions
  }).pipe(Layer.provide(layer))
  return Effect.gen(function* () {
    const pool = yield* WebSocketPool.WebSocketPool
    const client = yield* RpcClient.make(Api)
    // In Effect 3 a client listens once its fiber has started.
    yield* settle
    return yield* f({ client, server, servers: () => sockets.length, pool })
  }).pipe(
    Effect.scoped,
    Effect.provide(WebSocketPoolRpc.layerProtocol(options)),
    Effect.provide(Layer.succeed(RpcSerialization, serialization)),
    Effect.provide(Pool)
  )
}

/** Starts something, and lets everything happen that can. */
export const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.tap(Effect.forkScoped(effect), settle)

/** A connection over a socket that has a place for every call, or for so many. */
export const oneConnection = (concurrency = 100): WebSocketPoolRpc.Options => ({
  maxConnections: 1,
  concurrency,
  targetUtilization: 1
})
