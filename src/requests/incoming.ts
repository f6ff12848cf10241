/** What a codec makes of messages. */

import type * as Exit from "#effect/Exit"
import type { Message } from "../values/message.js"
import type { Task } from "./duties.js"

/**
 * What a message of the server says of the requests under way: plain objects, which `Incoming` has constructors for.
 *
 * **Details** `Item` is one more value for a request, `End` is its last word: an item, nothing, or a failure. `Refused` says
 * that one of our requests failed, and the server cannot say which. `Notice` belongs to no request; its `reply` is sent at
 * once. `Retire` asks for no more requests on this connection. After `Refused` or `Retire` a connection is closed when it
 * is given back.
 *
 * @category codecs
 * @since 3.0.0
 */
export type Incoming<Item, E = never> =
  | { readonly _tag: "Item"; readonly id: number; readonly value: Item }
  | { readonly _tag: "End"; readonly id: number; readonly exit: Exit.Exit<Item | Nothing, E> }
  | { readonly _tag: "Refused"; readonly error: E }
  | { readonly _tag: "Notice"; readonly value: unknown; readonly reply?: Message | undefined }
  | { readonly _tag: "Retire" }

/**
 * What codecs of this library say besides.
 *
 * - `Settled`: what was given up is answered now, as it had to be
 * - `Reply`: something to be sent at once
 * - `Task`: something to be sent once it is known. Until then the connection is in use, unless it ends
 */
export type Aside =
  | { readonly _tag: "Settled"; readonly id: number }
  | { readonly _tag: "Reply"; readonly message: Message }
  | ({ readonly _tag: "Task" } & Task)

/** What an end without a value holds. */
export type Nothing = ReturnType<() => void>

type Of<Tag extends Incoming<unknown, unknown>["_tag"], Item, E> = Extract<Incoming<Item, E>, { readonly _tag: Tag }>

type Fields<Tag extends Incoming<unknown, unknown>["_tag"], Item, E> = Omit<Of<Tag, Item, E>, "_tag">

const retire: Of<"Retire", never, never> = { _tag: "Retire" }

/**
 * Constructors of what a codec decodes.
 *
 * @example
 * ```ts
 * import { Exit } from "effect"
 * import { Multiplexer } from "effect-websocket-pool"
 *
 * const { End, Item } = Multiplexer.Incoming
 *
 * // Lines such as "7 hello" and "7 end".
 * const decode = (message: string | Uint8Array): ReadonlyArray<Multiplexer.Incoming<string>> => {
 *   const [id, text] = String(message).split(" ")
 *   return [text === "end" ? End({ id: Number(id), exit: Exit.void }) : Item({ id: Number(id), value: String(text) })]
 * }
 *
 * console.log(decode("7 hello")[0]?._tag) // Item
 * ```
 *
 * @category codecs
 * @since 3.0.0
 */
export const Incoming: {
  readonly Item: <Item>(fields: Fields<"Item", Item, never>) => Of<"Item", Item, never>
  readonly End: <Item = never, E = never>(fields: Fields<"End", Item, E>) => Of<"End", Item, E>
  readonly Refused: <E>(fields: Fields<"Refused", never, E>) => Of<"Refused", never, E>
  readonly Notice: (fields: Fields<"Notice", never, never>) => Of<"Notice", never, never>
  readonly Retire: () => Of<"Retire", never, never>
} = {
  Item: (fields) => ({ _tag: "Item", ...fields }),
  End: (fields) => ({ _tag: "End", ...fields }),
  Refused: (fields) => ({ _tag: "Refused", ...fields }),
  Notice: (fields) => ({ _tag: "Notice", ...fields }),
  Retire: () => retire
}
