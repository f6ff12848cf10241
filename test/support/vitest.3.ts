/** `it` and `layer` with the names that they have for Effect 4, in which every test has a scope. */
import { it as plainIt, layer as plainLayer, type Vitest } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import type { TestAPI } from "vitest"

export * from "@effect/vitest"

type API = TestAPI<object>

type It = API & { readonly effect: Vitest.Methods["scoped"]; readonly live: Vitest.Methods["scopedLive"] }

export const it: It = Object.assign(((...args: Parameters<API>) => plainIt(...args)) as API, plainIt, {
  effect: plainIt.scoped,
  live: plainIt.scopedLive
})

export const layer =
  <R, E, const X extends boolean = false>(
    services: Layer.Layer<R, E>,
    options?: { readonly timeout?: Duration.DurationInput; readonly excludeTestServices?: X }
  ) =>
  (f: (it: { readonly effect: Vitest.MethodsNonLive<R, X>["scoped"] }) => void): void =>
    plainLayer(services, options)((it) => f({ effect: it.scoped }))
