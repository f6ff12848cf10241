import { Effect, Schedule, Stream } from "effect"
import { type PoolError, WebSocketPool } from "effect-websocket-pool"

const subscription = Effect.gen(function* () {
  const connection = yield* WebSocketPool.get
  yield* connection.send("subscribe")
  yield* connection.discard // It stays subscribed, so nobody else may get it.
  return connection.messages
})

const untilPoolCloses = Schedule.union(Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")).pipe(
  Schedule.jittered,
  Schedule.whileInput((error: PoolError.PoolError) => error._tag !== "PoolClosedError")
)

export const updates = Stream.unwrapScoped(subscription).pipe(
  Stream.repeat(Schedule.spaced("1 second")), // The server has closed the connection in good order.
  Stream.retry(untilPoolCloses) // It was lost. The pauses start anew with each message.
)
