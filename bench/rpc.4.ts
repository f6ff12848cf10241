/** Effect RPC: a group, its server, and a client that shares out one socket. For Effect 4. */
import type { Server } from "node:http"
import { NodeHttpServer, NodeSocket } from "@effect/platform-node"
import { Effect, Layer, Schema, type Stream } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"

const Wait = Rpc.make("Wait", { payload: { millis: Schema.Number } })
const Count = Rpc.make("Count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true })

export class Api extends RpcGroup.make(Wait, Count) {}

export const serialization = RpcSerialization.layerJson

export interface Handlers {
  readonly Wait: (request: { readonly millis: number }) => Effect.Effect<void>
  readonly Count: (request: { readonly to: number }) => Stream.Stream<number>
}

/** Serves the group on the loopback interface until the scope closes, so many calls at once, and gives its port. */
export const serve = (http: Server, handlers: Handlers, concurrency: number | "unbounded") =>
  Effect.gen(function* () {
    const server = yield* NodeHttpServer.make(() => http, { host: "127.0.0.1", port: 0 })
    const route = RpcServer.layerHttp({ group: Api, path: "/rpc", protocol: "websocket", concurrency })
    yield* Layer.build(
      HttpRouter.serve(route, { disableListenLog: true, disableLogger: true }).pipe(
        Layer.provide([Api.toLayer(Api.of(handlers)), serialization, Layer.succeed(HttpServer.HttpServer, server)])
      )
    )
    const { address } = server
    return "port" in address ? address.port : 0
  })

/** Effect's own protocol: all calls over one socket. */
export const oneSocket = (url: string) =>
  RpcClient.layerProtocolSocket().pipe(Layer.provide([NodeSocket.layerWebSocket(url), serialization]))
