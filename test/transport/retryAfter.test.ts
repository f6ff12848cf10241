import * as Duration from "#effect/Duration"
import { assert, describe, it } from "#support/vitest"
import { parse } from "../../src/transport/retryAfter.js"

const now = Date.UTC(2026, 0, 2, 3, 4, 5)

const waits = (field: string | undefined): number | undefined => {
  const wait = parse(field, now)
  return wait === undefined ? undefined : Duration.toMillis(wait)
}

describe("Retry-After", () => {
  it("is a number of seconds", () => {
    assert.strictEqual(waits("0"), 0)
    assert.strictEqual(waits("90"), 90_000)
    assert.strictEqual(waits(" 90 "), 90_000)
    assert.strictEqual(waits("9".repeat(400)), Number.POSITIVE_INFINITY)
  })

  it("is a date in any of the three forms of HTTP, all in GMT", () => {
    assert.strictEqual(waits("Fri, 02 Jan 2026 03:04:35 GMT"), 30_000)
    assert.strictEqual(waits("Friday, 02-Jan-26 03:04:35 GMT"), 30_000)
    assert.strictEqual(waits("Fri Jan  2 03:04:35 2026"), 30_000)
    assert.strictEqual(waits("Fri, 02 Jan 2026 03:04:05 GMT"), 0)
  })

  it("says nothing when it is over, missing or anything else", () => {
    for (const field of [
      undefined,
      "",
      "-1",
      "1.5",
      "1e3",
      "soon",
      "2026-01-02",
      "Fri, 02 Jan 2026 03:04:04 GMT",
      "Fri, 99 Jan 2026 03:04:35 GMT",
      "Friday 03:04:35"
    ]) {
      assert.isUndefined(waits(field), String(field))
    }
  })
})
