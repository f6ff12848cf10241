/** `it`, on a clock that lets everybody come to rest. */
import { it as plainIt, type Vitest } from "@effect/vitest"
import type * as Scope from "effect/Scope"
import type { TestAPI, TestContext } from "vitest"
import { driven } from "./effect4/testing/TestClock.js"

export * from "@effect/vitest"

type API = TestAPI<object>

type Test<Args extends Array<unknown>> = <A, E>(
  name: string,
  self: Vitest.TestFunction<A, E, Scope.Scope, Args>,
  timeout?: Parameters<Vitest.Test<Scope.Scope>>[2]
) => void

const test: Test<[TestContext]> = (name, self, timeout) =>
  plainIt.effect(name, (context) => driven(self(context)), timeout)

const each =
  <T>(cases: ReadonlyArray<T>): Test<[T, TestContext]> =>
  (name, self, timeout) =>
    plainIt.effect.each(cases)(name, (...args) => driven(self(...args)), timeout)

const effect = Object.assign(test, { each })

type It = API & { readonly effect: typeof effect; readonly live: Vitest.Methods["live"] }

export const it: It = Object.assign(((...args: Parameters<API>) => plainIt(...args)) as API, plainIt, {
  effect,
  live: plainIt.live
})
