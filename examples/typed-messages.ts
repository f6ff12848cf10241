import { Effect, Schema } from "effect"
import { WebSocketConnection, WebSocketPool } from "effect-websocket-pool"

const Question = Schema.Struct({ city: Schema.String })
const Answer = Schema.Struct({ celsius: Schema.Number, wind: Schema.NumberFromString })

const asWeather = WebSocketConnection.schema({ send: Question, receive: Answer })

/** An answer that is no `Answer` fails with an error that tells where it is wrong and shows no value. */
export const weatherIn = (city: string) =>
  WebSocketPool.use((connection) => {
    const weather = asWeather(connection)
    return Effect.andThen(weather.send({ city }), weather.receive)
  })
