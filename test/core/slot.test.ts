import { assert, describe, expectTypeOf, it } from "vitest"
import { Slot, type SlotEvent, type SlotState, transitions } from "../../src/core/slot.js"

const states = ["creating", "idle", "checking", "leased", "releasing", "closing", "gone"] as const

const events = [
  "created",
  "failed",
  "lease",
  "release",
  "check",
  "checked",
  "settle",
  "settled",
  "close",
  "lost",
  "closed"
] as const

/** What is not in this table cannot happen. */
const table = [
  ["creating", "created", "idle"],
  ["creating", "failed", "gone"],
  ["creating", "close", "closing"],
  ["idle", "lease", "leased"],
  ["idle", "check", "checking"],
  ["idle", "close", "closing"],
  ["idle", "lost", "gone"],
  ["checking", "lease", "leased"],
  ["checking", "checked", "idle"],
  ["checking", "close", "closing"],
  ["checking", "lost", "gone"],
  ["leased", "release", "idle"],
  ["leased", "settle", "releasing"],
  ["leased", "close", "closing"],
  ["leased", "lost", "gone"],
  ["releasing", "settled", "idle"],
  ["releasing", "close", "closing"],
  ["releasing", "lost", "gone"],
  ["closing", "closed", "gone"]
] as const satisfies ReadonlyArray<readonly [SlotState, SlotEvent, SlotState]>

describe("transitions", () => {
  it("knows the states and events of this table, and no others", () => {
    expectTypeOf<SlotState>().toEqualTypeOf<(typeof states)[number]>()
    expectTypeOf<SlotEvent>().toEqualTypeOf<(typeof events)[number]>()
    assert.sameMembers(Object.keys(transitions), [...states])
  })

  for (const state of states) {
    for (const event of events) {
      const next = table.find((row) => row[0] === state && row[1] === event)?.[2]
      it(`${event} ${next === undefined ? `cannot happen to what is ${state}` : `makes what is ${state} ${next}`}`, () => {
        assert.strictEqual(transitions[state][event], next)
      })
    }
  }

  it("leads from every state to the end", () => {
    const ends = new Set<SlotState>(["gone"])
    for (let before = 0; before < ends.size; ) {
      before = ends.size
      for (const [state, , next] of table) if (ends.has(next)) ends.add(state)
    }
    assert.sameMembers(Array.from(ends), [...states])
  })

  it("lets nothing happen to what is gone", () => {
    assert.deepStrictEqual(transitions.gone, {})
  })
})

describe("Slot", () => {
  it("begins as one that is being made, for nobody, with no timer armed", () => {
    const slot = new Slot<number, never>(true, () => {})
    assert.strictEqual(slot.state, "creating")
    assert.strictEqual(slot.leases, 0)
    assert.strictEqual(slot.uses, 0)
    assert.isUndefined(slot.doom)
    assert.isUndefined(slot.starter)
    assert.isUndefined(slot.heldFor)
    assert.isUndefined(slot.item)
    assert.isTrue(slot.background)
    assert.strictEqual(slot.position, -1)
  })

  it("expires when its timer is due", () => {
    const expired: Array<unknown> = []
    const slot = new Slot<number, never>(false, (slot) => expired.push(slot))
    slot.onDue()
    assert.deepStrictEqual(expired, [slot])
  })
})
