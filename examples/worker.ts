/** One worker of a fleet that shares ten connections: see `examples/compose.yaml`. */
import { Effect, Layer } from "effect"
import { ConnectionQuota, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import { RedisConnectionQuota } from "effect-websocket-pool/redis"

const { QUOTA_HOST = "127.0.0.1", QUOTA_PORT = "6379", SERVER_URL = "ws://127.0.0.1:8080" } = process.env

const Live = NodeWebSocketPool.layer({ url: SERVER_URL, quota: ConnectionQuota.ConnectionQuota }).pipe(
  Layer.provideMerge(
    RedisConnectionQuota.layerIoredis({
      name: "example",
      connections: 10,
      client: { host: QUOTA_HOST, port: Number(QUOTA_PORT) }
    })
  )
)

/** Each holds its connection for a second. */
const request = WebSocketPool.use((connection) =>
  Effect.andThen(connection.send("ping"), Effect.andThen(connection.receive, Effect.sleep("1 second")))
)

const report = Effect.gen(function* () {
  const quota = yield* ConnectionQuota.ConnectionQuota
  const { held, limit, used, waiting, workers } = yield* quota.stats
  yield* Effect.logInfo(`${used} of ${limit} used by ${workers} workers, ${held} here, ${waiting} waiting`)
}).pipe(Effect.delay("5 seconds"))

/** What fails is tried again: the server or the engine may not be there yet. */
const forever = <E, R>(effect: Effect.Effect<unknown, E, R>) =>
  Effect.forever(
    Effect.matchEffect(effect, {
      onFailure: (error) => Effect.delay(Effect.logWarning(String(error)), "1 second"),
      onSuccess: () => Effect.void
    })
  )

const program = Effect.all([...Array.from({ length: 8 }, () => forever(request)), forever(report)], {
  concurrency: "unbounded",
  discard: true
}).pipe(Effect.provide(Live))

const stop = new AbortController()
process.once("SIGTERM", () => stop.abort())
Effect.runPromise(program, { signal: stop.signal }).catch(() => undefined)
