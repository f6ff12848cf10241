/** Effect RPC: a group, what its messages look like, and a real server of it. For Effect 4. */
import { createServer, type Server } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
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

export type Serialization = RpcSerialization.RpcSerialization["Service"]

const binary: Serialization = Effect.runSync(
  Effect.provide(RpcSerialization.RpcSerialization, RpcSerialization.layerSchemaBinary())
)

/** Names what it writes once, and then by a number: what it has written and read is state. */
const naming: Serialization = {
  ...RpcSerialization.json,
  makeUnsafe: () => {
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
  ["SchemaBinary", binary],
  ["MessagePack that names records once", naming]
]

export const parserOf = (serialization: Serialization): RpcSerialization.Parser => serialization.makeUnsafe()

export const encodeExit = ({ codecFor }: Serialization, exit: Exit.Exit<number, string>): unknown =>
  Schema.encodeSync(codecFor(Rpc.exitSchema(Double)))(exit)

export const encodeEnd = ({ codecFor }: Serialization, exit: Exit.Exit<void, string>): unknown =>
  Schema.encodeUnknownSync(codecFor(Rpc.exitSchema(Count)))(exit)

export const encodeChunk = ({ codecFor }: Serialization, values: ReadonlyArray<number>): unknown =>
  Schema.encodeUnknownSync(codecFor(Schema.NonEmptyArray(Schema.Number)))(values)

export const encodeDefect = ({ codecFor }: Serialization, defect: unknown): unknown =>
  Schema.encodeSync(codecFor(Schema.Defect()))(defect)

/** What an error of the protocol was caused by. */
export const causeOf = ({ reason }: RpcClientError): unknown => ("cause" in reason ? reason.cause : undefined)

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
    const route = RpcServer.layerHttp({ group: Api, path: "/rpc", protocol: "websocket", disableFatalDefects })
    yield* Layer.build(
      HttpRouter.serve(route, { disableListenLog: true, disableLogger: true }).pipe(
        Layer.provide([
          Api.toLayer(Api.of(handlers)),
          Layer.succeed(RpcSerialization.RpcSerialization, serialization),
          Layer.succeed(HttpServer.HttpServer, server)
        ])
      )
    )
    const { address } = server
    return "port" in address ? `ws://127.0.0.1:${address.port}/rpc` : String(address)
  })
