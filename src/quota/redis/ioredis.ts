import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import type * as Scope from "#effect/Scope"
import type { Client } from "./client.js"
import { MissingClient } from "./missing.js"

/**
 * A client of `ioredis`, as far as a quota uses it: a `Redis`, or a `Cluster`.
 *
 * @category models
 * @since 3.0.0
 */
export interface Ioredis {
  /** Where the connection is: `"ready"`, for one. */
  readonly status: string
  /** Sends a command. */
  readonly call: (command: string, ...args: Array<string>) => Promise<unknown>
  /** Subscribes to a channel. */
  readonly subscribe: (channel: string) => Promise<unknown>
  /** Another client with the same options. */
  readonly duplicate: () => Ioredis
  /** Connects. */
  readonly connect: () => Promise<void>
  /** Ends the connection. */
  readonly disconnect: () => void
  /** Adds a listener. */
  readonly on: (event: string, listener: (...args: Array<unknown>) => void) => unknown
  /** Removes a listener. */
  readonly off: (event: string, listener: (...args: Array<unknown>) => void) => unknown
}

/**
 * The options of a client of `ioredis`. Those that a quota relies on are set over them.
 *
 * @category options
 * @since 3.0.0
 */
export interface IoredisOptions {
  /** The host of the engine. Default: localhost. */
  readonly host?: string | undefined
  /** The port of the engine. Default: 6379. */
  readonly port?: number | undefined
  /** A socket in the file system, instead of host and port. */
  readonly path?: string | undefined
  /** The user of the engine. */
  readonly username?: string | undefined
  /** The password of that user. It is shown nowhere. */
  readonly password?: string | undefined
  /** The number of the database. Default: 0. */
  readonly db?: number | undefined
  /** Options of TLS. */
  readonly tls?: object | undefined
  /** Any other option of the client. */
  readonly [option: string]: unknown
}

/** Pauses between attempts to reach the engine, in milliseconds. */
const pauseAfter = (times: number): number => Math.min(50 * 2 ** Math.min(times - 1, 10), 500)

const isClient = (client: Ioredis | IoredisOptions | undefined): client is Ioredis =>
  Predicate.hasProperty(client, "call") && typeof client.call === "function"

export const ioredis = (
  given: Ioredis | IoredisOptions | undefined
): Effect.Effect<Client, MissingClient, Scope.Scope> => {
  if (isClient(given)) return Effect.succeed(clientOf(given, () => given.duplicate()))
  const options = {
    ...given,
    lazyConnect: true,
    // What cannot be sent at once fails: the next report says the same.
    enableOfflineQueue: false,
    maxRetriesPerRequest: null,
    autoResubscribe: false,
    retryStrategy: pauseAfter
  }
  return Effect.flatMap(
    Effect.tryPromise({
      try: () => import("ioredis"),
      catch: () => new MissingClient("ioredis")
    }),
    ({ Redis }) => {
      const open = (): Ioredis => new Redis(options as object) as unknown as Ioredis
      return Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => connected(open())),
          (client) => Effect.sync(() => client.disconnect())
        ),
        (client) => clientOf(client, open)
      )
    }
  )
}

/** Errors are told by what fails; without a listener they would end the process. */
const connected = (client: Ioredis): Ioredis => {
  client.on("error", () => undefined)
  if (client.status === "wait") client.connect().catch(() => undefined)
  return client
}

const clientOf = (client: Ioredis, open: () => Ioredis): Client => ({
  command: ([command = "", ...args]) =>
    Effect.andThen(
      ready(client),
      Effect.tryPromise({ try: () => client.call(command, ...args), catch: (error) => error })
    ),
  subscribe: (channel, onMessage) =>
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => {
          const subscriber = open()
          const subscribe = (): void => {
            subscriber.subscribe(channel).catch(() => undefined)
          }
          subscriber.on("message", (from, message) => {
            if (from === channel) onMessage(String(message))
          })
          // Each time: it may have lost the connection before.
          subscriber.on("ready", subscribe)
          return connected(subscriber)
        }),
        (subscriber) => Effect.sync(() => subscriber.disconnect())
      ),
      ready
    )
})

/** Waits while a client connects. If that fails it fails with what the client says of it. */
const ready = (client: Ioredis): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    if (client.status === "ready") return Effect.void
    return callback<void, unknown>((resume) => {
      let latest: unknown = new Error("The connection to the engine was lost")
      const onError = (error: unknown): void => {
        latest = error
      }
      const stop = (): void => {
        client.off("ready", onReady)
        client.off("error", onError)
        client.off("close", onClose)
      }
      const onReady = (): void => {
        stop()
        resume(Effect.void)
      }
      const onClose = (): void => {
        stop()
        resume(Effect.fail(latest))
      }
      client.on("ready", onReady)
      client.on("error", onError)
      client.on("close", onClose)
      return Effect.sync(stop)
    })
  })
