/** Effect RPC: a group, what its messages look like, and a real server of it. For Effect 3. */
import { createServer, type Server } from "node:http"
import { HttpLayerRouter, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"
import type { RpcClientError } from "@effect/rpc/RpcClientError"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { Packr, Unpackr } from "msgpackr"

const Double = Rpc.make("Double", {
  payload: { value: Schema.Number },
  success: Schema.Number,
  error: Schema.String
})
const Count = Rpc.make("Count", {
  payload: { to: Schema.Number },
  success: Schema.Number,
  error: Schema.String,
  stream: true
})

export class Api extends RpcGroup.make(Double, Count) {}

export type Serialization = RpcSerialization.RpcSerialization["Type"]

/** Names what it writes once, and then by a number: what it has written and read is state. */
const naming: Serialization = {
  ...RpcSerialization.msgPack,
  unsafeMake: () => {
    const reader = new Unpackr({ sequential: true })
    const writer = new Packr({ sequential: true })
    return {
      decode: (data) => [reader.unpack(typeof data === "string" ? new TextEncoder().encode(data) : data)],
      encode: (message) => writer.pack(message)
    }
  }
}

/** By name: with frames of its own or without, as text or as bytes, and one that remembers what it has said. */
export const serializations: ReadonlyArray<readonly [name: string, serialization: Serialization]> = [
  ["JSON", RpcSerialization.json],
  ["NDJSON", RpcSerialization.ndjson],
  ["MessagePack", RpcSerialization.msgPack],
  ["MessagePack that names records once", naming]
]

export const parserOf = (serialization: Serialization): RpcSerialization.Parser => serialization.unsafeMake()

export const encodeExit = (_: Serialization, exit: Exit.Exit<number, string>): unknown =>
  Schema.encodeSync(Rpc.exitSchema(Double))(exit)

export const encodeEnd = (_: Serialization, exit: Exit.Exit<void, string>): unknown =>
  Schema.encodeSync(Rpc.exitSchema(Count))(exit)

export const encodeChunk = (_: Serialization, values: ReadonlyArray<number>): unknown => values

export const encodeDefect = (_: Serialization, defect: unknown): unknown => Schema.encodeSync(Schema.Defect)(defect)

/** What an error of the protocol was caused by. */
export const causeOf = (error: RpcClientError): unknown => error.cause

export interface Handlers {
  readonly Double: (request: { readonly value: number }) => Effect.Effect<number, string>
  readonly Count: (request: { readonly to: number }) => Stream.Stream<number, string>
}

export interface ServeOptions {
  readonly disableFatalDefects?: boolean
  /** What serves it, where connections are made that its port does not know of. */
  readonly server?: Server
}

/** Serves the group on a port of its own until the scope closes, and gives the address of its sockets. */
export const serve = (
  serialization: Serialization,
  handlers: Handlers,
  { disableFatalDefects = false, server: http = createServer() }: ServeOptions = {}
): Effect.Effect<string, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* NodeHttpServer.make(() => http, { host: "127.0.0.1", port: 0 })
    const route = RpcServer.layerHttpRouter({ group: Api, path: "/rpc", protocol: "websocket", disableFatalDefects })
    yield* Layer.build(
      HttpLayerRouter.serve(route, { disableListenLog: true, disableLogger: true }).pipe(
        Layer.provide([
          Api.toLayer(Api.of(handlers)),
          Layer.succeed(RpcSerialization.RpcSerialization, serialization),
          Layer.succeed(HttpServer.HttpServer, server)
        ])
      )
    )
    const { address } = server
    return address._tag === "TcpAddress" ? `ws://127.0.0.1:${address.port}/rpc` : address.path
  })
