/**
 * GraphQL over WebSockets, the protocol of `graphql-ws`, that many GraphQL servers speak.
 *
 *     npx tsx examples/servers/graphql.3.ts [ws://localhost:4000/graphql]
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, Option, Redacted, Stream } from "effect"
import { type PoolError, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import { GRAPHQL_TRANSPORT_WS_PROTOCOL, type Message, MessageType, parseMessage, stringifyMessage } from "graphql-ws"

type Connection = WebSocketConnection.WebSocketConnection

export class GraphQLFailure extends Data.TaggedError("GraphQLFailure")<{ readonly message: string }> {}

// #region messages
const send = (connection: Connection, message: Message) => connection.send(stringifyMessage(message))

/** The next message of the server that is not a ping. */
const receive = (connection: Connection): Effect.Effect<Message, GraphQLFailure | PoolError.ConnectionError> =>
  connection.receive.pipe(
    Effect.flatMap((text) =>
      Effect.try({
        try: () => parseMessage(text),
        catch: (error) => new GraphQLFailure({ message: `not of the protocol: ${error}` })
      })
    ),
    Effect.flatMap((message) =>
      message.type === MessageType.Ping
        ? Effect.andThen(send(connection, { type: MessageType.Pong }), receive(connection))
        : Effect.succeed(message)
    )
  )

const until = (connection: Connection, type: MessageType) =>
  Effect.repeat(receive(connection), { until: (message) => message.type === type })
// #endregion

// #region options
export const options = (url: string, token?: Redacted.Redacted) =>
  ({
    url,
    name: "graphql",
    protocols: GRAPHQL_TRANSPORT_WS_PROTOCOL,
    onConnect: (connection) =>
      send(connection, {
        type: MessageType.ConnectionInit,
        ...(token === undefined ? {} : { payload: { token: Redacted.value(token) } })
      }).pipe(Effect.andThen(until(connection, MessageType.ConnectionAck))),
    healthCheck: (connection) =>
      Effect.andThen(send(connection, { type: MessageType.Ping }), until(connection, MessageType.Pong)),
    // Each operation has an id of its own, and what still comes for one that is over does no harm: it is dropped here,
    // or passed over by the next lease. So a connection is fit for reuse, whatever became of the operation.
    drain: { quietPeriod: 0 },
    discardOn: () => false
  }) satisfies WebSocketPool.Options

export const layer = (url: string, token?: Redacted.Redacted) => NodeWebSocketPool.layer(options(url, token))
// #endregion

// #region operations
let lastId = 0

/** The results of a query, a mutation or a subscription. One that is given up is cancelled at the server. */
export const execute = (query: string, variables: Record<string, unknown> = {}) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      lastId += 1
      const id = String(lastId)
      let isOver = false
      yield* Effect.addFinalizer(() =>
        isOver ? Effect.void : Effect.ignore(send(connection, { type: MessageType.Complete, id }))
      )
      yield* send(connection, { type: MessageType.Subscribe, id, payload: { query, variables } })
      return Stream.repeatEffect(receive(connection)).pipe(
        Stream.filter((message) => "id" in message && message.id === id),
        Stream.tap((message) =>
          Effect.sync(() => {
            isOver = message.type !== MessageType.Next
          })
        ),
        Stream.takeWhile((message) => message.type !== MessageType.Complete),
        Stream.mapEffect(dataOf)
      )
    })
  )

const dataOf = (message: Message): Effect.Effect<Record<string, unknown>, GraphQLFailure> => {
  if (message.type === MessageType.Error) return fail(message.payload)
  const { data, errors } = (message as Message<MessageType.Next>).payload
  return errors === undefined ? Effect.succeed(data ?? {}) : fail(errors)
}

const fail = (errors: ReadonlyArray<{ readonly message: string }>) =>
  new GraphQLFailure({ message: errors.map(({ message }) => message).join("; ") })

/** The one result of a query or a mutation. */
export const query = (query: string, variables?: Record<string, unknown>) =>
  Stream.runLast(execute(query, variables)).pipe(
    Effect.flatMap(
      Option.match({
        onNone: () => Effect.fail(new GraphQLFailure({ message: "there was no result" })),
        onSome: Effect.succeed
      })
    )
  )
// #endregion

export const program = Effect.gen(function* () {
  yield* Console.log(yield* query("{ hello }"))
  yield* execute("subscription { countdown(from: 3) }").pipe(Stream.runForEach(Console.log))
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  NodeRuntime.runMain(Effect.provide(program, layer(process.argv[2] ?? "ws://localhost:4000/graphql")))
}
