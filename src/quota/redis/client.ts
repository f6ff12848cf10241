import * as Context from "#effect/Context"
import type * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"

/**
 * What a quota needs of a Redis client.
 *
 * @category models
 * @since 3.0.0
 */
export interface Client {
  /** Sends a command, and gives the reply: integers as numbers, bulk strings as strings. It fails with an error reply. */
  readonly command: (args: ReadonlyArray<string>) => Effect.Effect<unknown, unknown>
  /** Subscribes to a channel until the scope closes, again after each loss of the connection. */
  readonly subscribe: (
    channel: string,
    onMessage: (message: string) => void
  ) => Effect.Effect<void, unknown, Scope.Scope>
}

export const Client: Context.Service<Client, Client> = Context.Service<Client>(
  "effect-websocket-pool/RedisConnectionQuota/Client"
)
