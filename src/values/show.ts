import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"

/** On one line. Of an object only the keys: who has mistaken one option for another may have put a secret there. */
export const show = (input: unknown): string => {
  if (typeof input === "string") return JSON.stringify(input)
  if (typeof input === "bigint") return `${input}n`
  if (Array.isArray(input)) return `[${input.map(show).join(", ")}]`
  if (typeof input !== "object" || input === null) return typeof input === "function" ? kindOf(input) : String(input)
  const keys = Effect.isEffect(input) ? [] : Object.keys(input).map((key) => `${key}: …`)
  return keys.length === 0 ? kindOf(input) : `{ ${keys.join(", ")} }`
}

/** What it is, and nothing of what is in it. */
export const kindOf = (input: unknown): string => {
  if (input === undefined || input === null) return String(input)
  if (Effect.isEffect(input)) return "an Effect"
  if (Predicate.isPromiseLike(input)) return "a promise"
  if (Array.isArray(input)) return "an array"
  if (input instanceof Map) return "a Map"
  return typeof input === "object" ? "an object" : `a ${typeof input}`
}
