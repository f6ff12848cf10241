import * as fc from "fast-check"
import { assert, describe, it } from "#support/vitest"
import { generateKey, makeSlab, mask } from "../../../src/transport/node/mask.js"

describe("mask", () => {
  it("does what RFC 6455 says byte by byte, wherever the bytes lie and however they are cut", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
    fc.assert(
      fc.property(bytes(4), fc.uint8Array({ maxLength: 80 }), fc.nat(9), fc.nat(80), (key, payload, offset, cut) => {
        const slab = makeSlab(96)
        slab.bytes.fill(0xee)
        slab.bytes.set(payload, offset)
        const done = Math.min(cut, payload.length)
        mask(slab, offset, offset + done, key, 0)
        mask(slab, offset + done, offset + payload.length, key, done)
        const expected = Buffer.alloc(96, 0xee)
        expected.set(
          payload.map((byte, i) => byte ^ key[i % 4]!),
          offset
        )
        assert.deepStrictEqual(slab.bytes, expected)
      }),
      { seed: 53, numRuns: 2_000 }
    )
  })

  it("has keys that are never zero and hardly ever the same", () => {
    const keys = new Set<number>()
    const key = Buffer.alloc(4)
    for (let i = 0; i < 5_000; i++) {
      generateKey(key)
      keys.add(key.readUInt32BE())
    }
    assert.isFalse(keys.has(0))
    assert.isAbove(keys.size, 4_990)
  })
})
