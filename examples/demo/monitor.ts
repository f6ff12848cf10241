/** The pool's live page, served on a free port of the loopback interface. */
import { createServer } from "node:http"
import { HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import type { WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"

/** Serves the page of a pool until the scope closes, and gives its address. */
export const serve = (pool: WebSocketPool.WebSocketPool): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* NodeHttpServer.make(createServer, { host: "127.0.0.1", port: 0 })
    const recording = yield* WebSocketPoolMonitor.record(pool)
    yield* HttpServer.serveEffect(WebSocketPoolMonitor.router(recording)).pipe(
      Effect.provideService(HttpServer.HttpServer, server)
    )
    return `${HttpServer.formatAddress(server.address)}/`
  }).pipe(Effect.orDie)
