/** Histories that failed once, and those in which a promise about reports and answers would be broken. */
import type { Program, ReportMood, Setting, Step } from "./quotaProgram.js"

const setting: Setting = {
  engine: "redis",
  workers: 2,
  limit: 3,
  windows: [],
  settle: 0,
  reclaim: "fair",
  turn: Number.POSITIVE_INFINITY,
  unreachable: 0,
  onLapse: "keep",
  clocks: [0, 0, 0, 0, 0],
  seed: 1
}

const want = (who: number, count = 1): Step => ({ step: "want", who, urgency: "waiter", count })
const open = (who: number): Step => ({ step: "want", who, urgency: "background", count: 1 })
const resize = (who: number, limit: number): Step => ({ step: "resize", who, limit })
const wait = (millis: number): Step => ({ step: "wait", millis })
const end = (who: number): Step => ({ step: "end", who, how: "well" })
const release = (who: number, how: "idle" | "close" = "close"): Step => ({ step: "release", who, how })
const report = (who: number, mood: ReportMood, after?: number): Step => ({
  step: "report",
  who,
  mood,
  ...(after === undefined ? {} : { after })
})
const message = (who: number, mood: "lost" | "late", after?: number): Step => ({
  step: "message",
  who,
  mood,
  ...(after === undefined ? {} : { after })
})
/** Until all have told what they hold. */
const begin = wait(2000)

type Case = readonly [name: string, changes: Partial<Setting>, steps: ReadonlyArray<Step>]

const failed: ReadonlyArray<Case> = [
  [
    "a report that came twice resized the quota again",
    { limit: 2 },
    [begin, report(0, "twice"), resize(0, 5), wait(5), resize(1, 1), wait(1000), want(0, 3), wait(100)]
  ],
  [
    "a fleet whose engine lost its data forgot that it was resized",
    { limit: 4 },
    [begin, resize(0, 1), wait(700), { step: "flush" }, want(0, 3), wait(2500)]
  ],
  [
    "a fleet whose engine lost its data twice forgot that it was resized, for those who did not know of it told first",
    { limit: 4 },
    [begin, resize(0, 1), wait(4), { step: "flush" }, want(1), wait(5), { step: "flush" }, want(1), wait(2500)]
  ],
  [
    "an answer that came after ttl, and still in time, was taken by a worker that had lapsed",
    { limit: 2, reclaim: "none", commandTimeout: 1500 },
    [begin, report(0, "lateAnswer", 1000), want(0, 2), wait(950), want(1, 2), wait(700)]
  ],
  [
    "a resize of an engine that had fallen back was forgotten for an older one of which it had not known",
    { limit: 4 },
    [
      begin,
      { step: "save" },
      { step: "flush" },
      resize(0, 5),
      wait(4),
      { step: "restore", restarts: true },
      resize(1, 1),
      wait(4),
      want(0, 3),
      wait(2500)
    ]
  ],
  [
    "an answer that was overtaken by an ask had its worker give up a second idle connection",
    { limit: 3 },
    [
      begin,
      want(0, 3),
      wait(10),
      end(0),
      end(0),
      end(0),
      release(0, "idle"),
      release(0, "idle"),
      release(0, "idle"),
      wait(50),
      report(0, "slow"),
      { step: "idle", who: 0, how: "close" },
      wait(60),
      want(1, 2),
      wait(200)
    ]
  ],
  [
    "an idle connection waited for the end of a lease that somebody else had promised",
    { workers: 3, limit: 4 },
    [
      begin,
      want(0, 3),
      want(1),
      wait(10),
      end(0),
      end(0),
      end(0),
      end(1),
      want(2),
      wait(50),
      release(1, "idle"),
      wait(100)
    ]
  ],
  [
    "a worker with nothing to promise was asked for it again and again",
    { limit: 3 },
    [begin, want(0, 3), wait(10), want(1, 2), wait(700), wait(700), wait(700)]
  ],
  [
    "attempts that had ended while their worker was cut off were counted by nobody",
    { limit: Number.POSITIVE_INFINITY, windows: [{ limit: 3, window: 1500 }] },
    [
      begin,
      want(0, 3),
      wait(10),
      { step: "cut", who: 0, millis: 1500 },
      wait(700),
      end(0),
      end(0),
      end(0),
      wait(700),
      want(1, 3),
      want(0, 3),
      wait(700)
    ]
  ]
]

const kept: ReadonlyArray<Case> = [
  [
    "1: an engine that falls back to an older state grants nothing twice",
    { limit: 2 },
    [begin, { step: "save" }, want(0, 2), wait(50), { step: "restore", restarts: false }, want(1, 2), wait(700)]
  ],
  [
    "1: another process with an older state grants nothing twice",
    { limit: 2 },
    [begin, { step: "save" }, want(0, 2), wait(50), { step: "restore", restarts: true }, want(1, 2), wait(2000)]
  ],
  [
    "1: nor does another process, though whoever asks first knows nothing later",
    { limit: 2 },
    [begin, { step: "save" }, want(0, 2), wait(5), { step: "restore", restarts: true }, want(1, 2), wait(2000)]
  ],
  [
    "1: neither does one that was away for longer than ttl, with its data",
    { limit: 2 },
    [begin, want(0, 2), wait(50), { step: "restart", millis: 1500, keeps: true }, want(1, 2), wait(2500)]
  ],
  [
    "1: nor one that nobody could reach for longer than ttl",
    { limit: 2 },
    [begin, want(0, 2), wait(50), { step: "away", millis: 1500 }, wait(1500), want(1, 2), wait(2500)]
  ],
  [
    "1: nor one that lost its data, of those who know of a resize, when a new worker asks first",
    { limit: 4 },
    [begin, resize(0, 1), wait(700), { step: "flush" }, { step: "enter" }, wait(5), want(2, 3), wait(2500)]
  ],
  ...Array.from(
    { length: 8 },
    (_, key): Case => [
      `1: nor does one that has lost key ${key + 1} of 8`,
      { limit: 2, settle: 250, windows: [{ limit: 3, window: 1500 }] },
      [
        begin,
        want(0, 2),
        wait(50),
        end(0),
        end(0),
        release(0, "idle"),
        wait(20),
        { step: "forget", key },
        want(1, 2),
        wait(2500)
      ]
    ]
  ),
  ...Array.from(
    { length: 8 },
    (_, key): Case => [
      `3: a killed worker's permits are free at last, though key ${key + 1} of 8 is lost`,
      { limit: 2 },
      [
        begin,
        want(1, 2),
        wait(50),
        { step: "kill", who: 1 },
        { step: "enter" },
        wait(20),
        { step: "forget", key },
        want(0, 2),
        wait(700)
      ]
    ]
  ),
  [
    "3: the permits of a worker that ends regularly are free at once",
    { limit: 2 },
    [
      begin,
      want(0, 2),
      want(1),
      wait(10),
      end(0),
      end(0),
      // Its last report is the first to tell.
      report(0, "slow"),
      resize(0, 2),
      wait(5),
      { step: "leave", who: 0, isCareless: true },
      wait(100)
    ]
  ],
  [
    "10: nobody is asked for more idle connections than are short",
    { limit: 3 },
    [
      begin,
      want(0, 3),
      wait(10),
      end(0),
      end(0),
      end(0),
      release(0, "idle"),
      release(0, "idle"),
      release(0, "idle"),
      wait(50),
      want(1),
      wait(3),
      resize(1, 3),
      wait(3),
      resize(1, 3),
      wait(100)
    ]
  ],
  [
    "10: nobody is asked for more leases than are short",
    { limit: 4 },
    [begin, want(0, 4), wait(10), end(0), end(0), end(0), end(0), want(1), wait(10), resize(1, 4), wait(100)]
  ],
  [
    "2: what a worker holds that was cut off comes on top, and goes down without a grant",
    { limit: 2 },
    [
      begin,
      want(0, 2),
      wait(10),
      end(0),
      end(0),
      { step: "cut", who: 0, millis: 1500 },
      want(1, 2),
      wait(1500),
      end(1),
      end(1),
      wait(700),
      release(0),
      wait(50),
      want(0),
      release(1),
      wait(100)
    ]
  ],
  [
    "2: a grant that comes after ttl opens nothing",
    { workers: 3, limit: 2, reclaim: "none", commandTimeout: 1500 },
    [
      begin,
      want(1, 2),
      wait(10),
      end(1),
      end(1),
      report(0, "unheard"),
      want(0),
      wait(850),
      message(0, "late", 120),
      release(1),
      wait(60),
      want(2),
      wait(700)
    ]
  ],
  [
    "4: what a lost engine knew of attempts is told anew before any other",
    { limit: Number.POSITIVE_INFINITY, windows: [{ limit: 3, window: 3000 }] },
    [begin, want(0, 3), wait(5), end(0), end(0), end(0), wait(20), { step: "forget", key: 6 }, want(1, 3), wait(2500)]
  ],
  [
    "4: a grant that comes late counts from when it was decided",
    { limit: 9, windows: [{ limit: 3, window: 1500 }] },
    [
      begin,
      want(0, 3),
      wait(5),
      end(0),
      end(0),
      end(0),
      wait(5),
      want(1, 2),
      message(1, "late"),
      wait(1500),
      end(1),
      wait(300),
      want(0, 3),
      wait(2500)
    ]
  ],
  [
    "12: a report that is lost is put right by the next",
    { limit: 2 },
    [begin, report(0, "lost"), want(0, 2), wait(700), end(0), report(0, "lost"), release(0), want(1), wait(300)]
  ],
  [
    "12: one that is heard and not answered grants nothing that nobody takes",
    { limit: 2 },
    [begin, report(0, "unheard"), want(0, 2), wait(20), want(1, 2), wait(700)]
  ],
  [
    "12: one that is doubled is ignored by its number",
    { limit: 2 },
    [begin, report(0, "twice"), want(0), wait(100), end(0), release(0), want(1, 2), wait(700)]
  ],
  [
    "12: one that is doubled takes no permit from who was granted it",
    { limit: 2, reclaim: "none" },
    [begin, want(0), wait(10), report(0, "twice", 30), want(0), wait(10), want(1), wait(100)]
  ],
  [
    "12: a grant for an older report is ignored by its number",
    { workers: 3, limit: 2, reclaim: "none" },
    [
      begin,
      want(0),
      want(2),
      wait(10),
      end(0),
      end(2),
      want(0),
      wait(10),
      message(0, "late", 150),
      release(2),
      wait(30),
      want(1),
      wait(10),
      want(0),
      wait(300)
    ]
  ],
  [
    "9: background opening comes after every get",
    { workers: 3, limit: 1, reclaim: "none" },
    [begin, want(0), wait(10), end(0), open(1), wait(10), want(2), wait(10), release(0), wait(100)]
  ],
  [
    "12: one that is late is ignored by its number",
    { limit: 2 },
    [begin, report(0, "late"), want(0, 2), wait(300), end(0), end(0), release(0), wait(20), want(1), wait(700)]
  ],
  [
    "13: no worker's clock is read",
    { limit: 2, clocks: [3_600_000, -3_600_000, 0, 0, 0], windows: [{ limit: 3, window: 1500 }] },
    [
      begin,
      want(0, 2),
      wait(50),
      end(0),
      release(0),
      wait(50),
      want(1, 2),
      wait(700),
      { step: "flush" },
      wait(2500),
      want(0, 2),
      { step: "kill", who: 1 },
      wait(2000)
    ]
  ]
]

const refuse = (who: number): Step => ({ step: "end", who, how: "refused" })

/** Of the quota in memory: pauses follow from a few steps, in an order in which chance seldom puts them. */
const paused: ReadonlyArray<Case> = [
  [
    "refusals within one pause lengthen it once",
    { limit: 4 },
    [want(0, 2), wait(5), refuse(0), refuse(0), want(1), wait(999), wait(2), end(1), wait(700)]
  ],
  [
    "a success begins the pauses anew",
    { limit: 4 },
    [want(0), wait(5), refuse(0), want(0), wait(1001), end(0), want(1), wait(5), refuse(1), want(0), wait(1001)]
  ],
  [
    "what a pool has not given back is free when it leaves",
    { limit: 2 },
    [want(0, 2), wait(5), end(0), end(0), want(1), { step: "leave", who: 0, isCareless: true }, wait(5)]
  ]
]

export interface History {
  readonly name: string
  readonly program: Program
}

const historyOf = ([name, changes, steps]: Case): History => ({
  name,
  program: { setting: { ...setting, ...changes }, steps }
})

export const failedOnce: ReadonlyArray<History> = failed.map(historyOf)

/** Workers report every 300 ms or so: what comes next depends on how long ago they did, which chance decides. */
const phases = [0, 50, 100, 150, 200, 250]

/** Each from several moments between two reports. */
export const promises: ReadonlyArray<History> = kept.flatMap(([name, changes, steps]) =>
  phases.map((phase) => {
    const later = steps.map((step) => (step === begin ? wait(2000 + phase) : step))
    return historyOf([`${name}, ${phase} ms later`, changes, later])
  })
)

export const inMemory: ReadonlyArray<History> = paused.map(([name, changes, steps]) =>
  historyOf([name, { engine: "memory", ...changes }, steps])
)
