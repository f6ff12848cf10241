import { assert, describe, it } from "#support/vitest"
import { kinds } from "./simulation/kinds.js"
import type { Setting, Step } from "./simulation/program.js"
import { simulate } from "./simulation/run.js"

for (const { name, run } of kinds) {
  // Whoever asks a real engine takes longer.
  const seeds = name === "engine" ? 8 : 60
  describe(`simulation: ${name}`, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      it(`keeps every promise under the programs of seed ${seed}`, () => {
        const { failure } = run({ seed, steps: 80, programs: 4 })
        if (failure !== undefined) assert.fail(`${failure.message}: ${JSON.stringify(failure.shortest)}`)
      })
    }
  })
}

describe("programs that failed once", () => {
  const setting: Setting = {
    min: 0,
    max: 2,
    maxWaiters: undefined,
    drain: "off",
    validates: false,
    healthCheck: false,
    onConnect: false,
    onRelease: false,
    discards: false,
    narrow: false,
    idleTimeout: 1000,
    connectionTTL: undefined,
    acquireTimeout: 1000,
    computes: false,
    lingers: false,
    defers: false,
    yields: 0,
    seed: 0
  }
  const hold: Step = { step: "lease", mode: "get", acts: [{ do: "hold", millis: 7000 }], end: "succeed" }
  const idle: Step = { step: "lease", mode: "get", acts: [], end: "succeed" }
  const cases: ReadonlyArray<readonly [string, Partial<Setting>, ReadonlyArray<Step>]> = [
    [
      "a silent line under a lease was left open when the deadline of closing came before its own",
      {},
      [hold, { step: "peer", who: 0, deed: "silence" }, { step: "close" }]
    ],
    [
      "what a hook left unread when the pool closed was not counted as dropped",
      { onRelease: true, narrow: true },
      [
        { step: "lease", mode: "get", acts: [{ do: "request", wish: "twice", patience: 0 }], end: "succeed" },
        { step: "close" }
      ]
    ],
    [
      "the greeting of a connection that was given up was not counted as dropped",
      { onConnect: true },
      [idle, { step: "close" }]
    ],
    [
      "a connection that ended on its way to the pool was counted as opened and never as closed",
      { yields: 0.05 },
      [
        { step: "server", mood: "slams" },
        { step: "lease", mode: "get", acts: [{ do: "request", wish: "echo", patience: 0 }], end: "succeed" },
        idle,
        { step: "close" }
      ]
    ],
    [
      "the greeting of a connection that was dead when it was looked at before its first lease was not counted as dropped",
      { min: 1, validates: true },
      [
        { step: "peer", who: 0, deed: "silence" },
        { step: "wait", millis: 2000 },
        idle,
        { step: "wait", millis: 2000 },
        { step: "close" }
      ]
    ],
    [
      "the stream of events did not end when a lease outlived the pool",
      { onConnect: true, seed: 169095184 },
      [
        { step: "cross", who: 0, other: 0, turns: 0 },
        { step: "peer", who: 21, deed: "silence" },
        { step: "race", who: 0, turns: 0 },
        { step: "wait", millis: 500 },
        { step: "peer", who: 0, deed: "push" },
        { step: "close" }
      ]
    ],
    [
      "a pause of a fraction of a millisecond was slept again and again",
      {},
      [
        { step: "resize", min: 1, max: 1 },
        { step: "peer", who: 0, deed: "destroy" },
        { step: "wait", millis: 99 },
        idle,
        { step: "wait", millis: 12000 },
        idle,
        { step: "close" }
      ]
    ]
  ]
  for (const [name, changes, steps] of cases) {
    it(name, () => {
      simulate({ setting: { ...setting, ...changes }, steps })
    })
  }
})
