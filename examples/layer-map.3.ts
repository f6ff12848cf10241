import { Config, Effect, LayerMap } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"

/** A pool for each region, opened when it is first asked for, closed when it has not been used for five minutes. */
export class Regions extends LayerMap.Service<Regions>()("Regions", {
  lookup: (region: string) =>
    WebSocketPool.layerConfig({
      url: Config.string(`URL_${region}`),
      name: Config.succeed(region),
      maxConnections: Config.succeed(10)
    }),
  dependencies: [NodeWebSocketTransport.layer()],
  idleTimeToLive: "5 minutes"
}) {}

/** `Effect.provide` keeps the region's pool open for as long as this runs. */
export const ask = (region: string, question: string) =>
  WebSocketPool.use((connection) => Effect.andThen(connection.send(question), connection.receive)).pipe(
    Effect.provide(Regions.get(region))
  )
