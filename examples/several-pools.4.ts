import { Config, Effect, Layer } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"

export class Hearing extends WebSocketPool.Tag("Hearing")<Hearing>() {}
export class Speech extends WebSocketPool.Tag("Speech")<Speech>() {}

export const PoolsLive = Layer.mergeAll(
  Hearing.layerConfig({
    url: Config.String("HEARING_URL"),
    maxConnections: Config.Int("HEARING_CONNECTIONS").pipe(Config.withDefault(10))
  }),
  Speech.layerConfig({ url: Config.String("SPEECH_URL") })
).pipe(Layer.provide(NodeWebSocketTransport.layer()))

export const interpret = (recording: Uint8Array) =>
  Effect.gen(function* () {
    const text = yield* Hearing.use((connection) => Effect.andThen(connection.send(recording), connection.receive))
    return yield* Speech.use((connection) => Effect.andThen(connection.send(text), connection.receive))
  })
