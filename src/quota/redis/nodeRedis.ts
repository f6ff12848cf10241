import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import type * as Scope from "#effect/Scope"
import type { Client } from "./client.js"
import { MissingClient } from "./missing.js"

/**
 * A client of `redis`, as far as a quota uses it.
 *
 * @category models
 * @since 3.0.0
 */
export interface NodeRedis {
  /** Whether it is connected, or tries to be. */
  readonly isOpen: boolean
  /** Whether commands can be sent. */
  readonly isReady: boolean
  /** Connects. */
  readonly connect: () => Promise<unknown>
  /** Ends the connection. */
  readonly destroy: () => void
  /** Another client with the same options. */
  readonly duplicate: () => NodeRedis
  /** Sends a command. */
  readonly sendCommand: (args: Array<string>) => Promise<unknown>
  /** Subscribes to a channel. */
  readonly subscribe: (channel: string, listener: (message: string) => void) => Promise<unknown>
  /** Adds a listener. */
  readonly on: (event: string, listener: (...args: Array<never>) => void) => unknown
  /** Removes a listener. */
  readonly off: (event: string, listener: (...args: Array<never>) => void) => unknown
}

/**
 * The options of a client of `redis`. Those that a quota relies on are set over them.
 *
 * @category options
 * @since 3.0.0
 */
export interface NodeRedisOptions {
  /** The engine, as a URL. Default: localhost, port 6379. */
  readonly url?: string | undefined
  /** Where and how to connect, instead of a URL. */
  readonly socket?: object | undefined
  /** The user of the engine. */
  readonly username?: string | undefined
  /** The password of that user. It is shown nowhere. */
  readonly password?: string | undefined
  /** The number of the database. Default: 0. */
  readonly database?: number | undefined
  /** Any other option of the client. */
  readonly [option: string]: unknown
}

const isClient = (client: NodeRedis | NodeRedisOptions | undefined): client is NodeRedis =>
  Predicate.hasProperty(client, "sendCommand") && typeof client.sendCommand === "function"

export const nodeRedis = (
  given: NodeRedis | NodeRedisOptions | undefined
): Effect.Effect<Client, MissingClient, Scope.Scope> => {
  if (isClient(given)) return Effect.succeed(clientOf(given, () => given.duplicate(), false))
  const options = {
    ...given,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: (retries: number) => Math.min(50 * 2 ** Math.min(retries, 10), 500), ...given?.socket }
  }
  return Effect.flatMap(
    Effect.tryPromise({
      try: () => import("redis"),
      catch: () => new MissingClient("redis")
    }),
    ({ createClient }) => {
      const open = (): NodeRedis => createClient(options as object) as unknown as NodeRedis
      return Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => connected(open())),
          (client) => Effect.sync(() => destroy(client))
        ),
        (client) => clientOf(client, open, true)
      )
    }
  )
}

/** Errors are told by what fails; without a listener they would end the process. */
const connected = (client: NodeRedis): NodeRedis => {
  client.on("error", () => undefined)
  reconnect(client)
  return client
}

/** It gives up when the engine refuses it; the next command tries again. */
const reconnect = (client: NodeRedis): void => {
  if (!client.isOpen) client.connect().catch(() => undefined)
}

const destroy = (client: NodeRedis): void => {
  if (client.isOpen) client.destroy()
}

const clientOf = (client: NodeRedis, open: () => NodeRedis, isOwn: boolean): Client => ({
  command: (args) =>
    Effect.andThen(
      ready(client, isOwn),
      Effect.tryPromise({ try: () => client.sendCommand([...args]), catch: (error) => error })
    ),
  subscribe: (channel, onMessage) =>
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => connected(open())),
        (subscriber) => Effect.sync(() => destroy(subscriber))
      ),
      // It subscribes again by itself after a loss. Before the first connection it may have to be told again.
      (subscriber) => subscribing(subscriber, channel, onMessage)
    )
})

const subscribing = (
  client: NodeRedis,
  channel: string,
  onMessage: (message: string) => void
): Effect.Effect<void, unknown> =>
  Effect.catch(
    Effect.asVoid(
      Effect.andThen(
        ready(client, true),
        Effect.tryPromise({ try: () => client.subscribe(channel, onMessage), catch: (error) => error })
      )
    ),
    () =>
      Effect.andThen(
        Effect.sleep("500 millis"),
        Effect.suspend(() => subscribing(client, channel, onMessage))
      )
  )

/** Waits while a client connects. If that fails it fails with what the client says of it. */
const ready = (client: NodeRedis, mayConnect: boolean): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    if (client.isReady) return Effect.void
    return callback<void, unknown>((resume) => {
      const stop = (): void => {
        client.off("ready", onReady)
        client.off("error", onError)
      }
      const onReady = (): void => {
        stop()
        resume(Effect.void)
      }
      const onError = (error: unknown): void => {
        stop()
        resume(Effect.fail(error))
      }
      client.on("ready", onReady)
      client.on("error", onError)
      if (mayConnect && !client.isOpen) client.connect().catch(onError)
      return Effect.sync(stop)
    })
  })
