import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { buildSchema, execute, subscribe, validate } from "graphql"
import { MessageType, stringifyMessage } from "graphql-ws"
import { useServer } from "graphql-ws/use/ws"
import { type WebSocket, WebSocketServer } from "ws"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"

const schema = buildSchema(`
  type Query {
    hello: String!
    "Answers no sooner than it is told to."
    later: String!
    broken: String
  }
  type Subscription {
    countdown(from: Int!): Int!
    "Counts for as long as somebody listens."
    ticks: Int!
  }
`)

export interface GraphQLServer {
  readonly url: string
  /** The connections there have been, in order. */
  readonly sockets: ReadonlyArray<WebSocket>
  /** How many subscriptions to `ticks` are under way. */
  readonly ticking: () => number
  /** How many wait for the answer to `later`. */
  readonly waiting: () => number
  /** Answers all that asked for `later` so far. */
  readonly answerLater: () => void
  /** Sends the protocol's own ping to every client. */
  readonly ping: () => void
  /** How many pings of clients there have been. */
  readonly pings: () => number
  /** How many times clients have answered that of the server. */
  readonly pongs: () => number
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))

/** A server of `graphql-ws`; with a token it lets in only those who know it. */
export const graphql = (token?: string): Effect.Effect<GraphQLServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<GraphQLServer & { readonly close: Effect.Effect<void> }>((resume) => {
        const http = createServer()
        const server = new WebSocketServer({ server: http })
        const sockets: Array<WebSocket> = []
        server.on("connection", (socket) => sockets.push(socket))
        let ticking = 0
        let pings = 0
        let pongs = 0
        let waiting: Array<() => void> = []
        const roots = {
          hello: () => "Hello, World!",
          later: () => new Promise<string>((answer) => waiting.push(() => answer("at last"))),
          broken: () => {
            throw new Error("it is broken")
          },
          async *countdown({ from }: { readonly from: number }) {
            for (let n = from; n > 0; n--) yield { countdown: n }
          },
          async *ticks() {
            ticking += 1
            try {
              for (let n = 1; ; n++) {
                yield { ticks: n }
                await pause(5)
              }
            } finally {
              ticking -= 1
            }
          }
        }
        useServer(
          {
            schema,
            // A schema is good for functions of the same copy of the package only, and vitest may load another one.
            execute,
            subscribe,
            validate,
            roots: { query: roots, subscription: roots },
            onConnect: ({ connectionParams }) => token === undefined || connectionParams?.token === token,
            onPing: () => {
              pings += 1
            },
            onPong: () => {
              pongs += 1
            }
          },
          server
        )
        const close = Effect.callback<void>((closed) => {
          for (const socket of server.clients) socket.terminate()
          server.close()
          http.close(() => closed(Effect.void))
        })
        http.listen(0, "127.0.0.1", () => {
          const answerLater = () => {
            for (const answer of waiting) answer()
            waiting = []
          }
          const ping = () => {
            for (const socket of server.clients) socket.send(stringifyMessage({ type: MessageType.Ping }))
          }
          const { port } = http.address() as AddressInfo
          const url = `ws://127.0.0.1:${port}`
          resume(
            Effect.succeed({
              url,
              sockets,
              ticking: () => ticking,
              waiting: () => waiting.length,
              answerLater,
              ping,
              pings: () => pings,
              pongs: () => pongs,
              close
            })
          )
        })
      }),
      ({ close }) => close
    ),
    ({ close: _, ...rest }) => rest
  )
