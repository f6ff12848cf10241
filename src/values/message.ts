import * as Predicate from "#effect/Predicate"
import { kindOf } from "./show.js"

/**
 * A WebSocket message: text as a `string`, binary as a plain `Uint8Array`.
 *
 * @category models
 * @since 0.1.0
 */
export type Message = string | Uint8Array

/** The type says the same, where there are types. */
export const isMessage = (input: unknown): input is Message =>
  typeof input === "string" || input instanceof Uint8Array || isForeignBytes(input)

/** One of another realm, such as a test runner's, is a `Uint8Array` of a class of its own. */
const isForeignBytes = (input: unknown): boolean =>
  ArrayBuffer.isView(input) && Object.prototype.toString.call(input) === "[object Uint8Array]"

/** What `send` or `ask` dies of in a program that gives it something else. */
export const notAMessage = (input: unknown, operation: "ask" | "send" = "send"): TypeError =>
  new TypeError(`${operation} takes a string or a Uint8Array, and got ${kindOf(input)}: ${adviceFor(input)}`)

const adviceFor = (input: unknown): string => {
  if (input instanceof ArrayBuffer) return "wrap it, as in new Uint8Array(buffer)"
  if (ArrayBuffer.isView(input)) return "wrap it, as in new Uint8Array(view.buffer, view.byteOffset, view.byteLength)"
  if (Predicate.hasProperty(input, "arrayBuffer"))
    return "read it first, as in new Uint8Array(await blob.arrayBuffer())"
  return "encode it first, as JSON.stringify does, or send it through WebSocketConnection.schema"
}
