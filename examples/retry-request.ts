import { Effect, Schedule } from "effect"
import { WebSocketPool } from "effect-websocket-pool"

/** Looking something up twice does no harm. */
export const lookUp = (key: string) =>
  WebSocketPool.use((connection) => Effect.andThen(connection.send(key), connection.receive)).pipe(
    Effect.retry({
      while: (error) => error._tag === "ConnectionClosedError",
      schedule: Schedule.jittered(Schedule.exponential("50 millis")),
      times: 3
    })
  )
