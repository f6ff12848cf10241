import { Otlp } from "@effect/opentelemetry"
import { FetchHttpClient } from "@effect/platform"
import { Effect, Layer } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

/** Sends spans, metrics and log lines to a collector that speaks OTLP over HTTP. */
export const TelemetryLive = (collector: string) =>
  Otlp.layerJson({ baseUrl: collector, resource: { serviceName: "my-service" } }).pipe(
    Layer.provide(FetchHttpClient.layer)
  )

/** The pool has to be made inside of it: its own fibers trace, too. */
export const PoolLive = (url: string, collector: string) =>
  NodeWebSocketPool.layer({ url, name: "traced" }).pipe(Layer.provideMerge(TelemetryLive(collector)))

export const ask = Effect.fn("ask")((question: string) =>
  WebSocketPool.use((connection) => Effect.andThen(connection.send(question), connection.receive))
)
