import { setImmediate } from "node:timers"

/** What is written in this turn of the event loop. */
export interface TurnEnd {
  /** Writes what was kept back until the end of the turn. */
  endTurn(): void
}

let waiting: Array<TurnEnd> = []
let isFlushedAtExit = false

/** The real one, whatever a test puts in its place later. */
const { nextTick } = process

/**
 * Calls a function once all sockets have been heard that had something to say in this turn of the event loop. It is
 * the real one, whatever a test has put in its place: without it no connection opens.
 */
export const afterSockets: (f: () => void) => void = setImmediate

/**
 * What many sockets are given to write in one go, they write at its end, before the event loop goes on: the
 * system wakes the server once instead of each time. Several messages of one socket become one write.
 */
export const atEndOfTurn = (writer: TurnEnd): void => {
  if (waiting.length === 0) nextTick(endTurn)
  waiting.push(writer)
  if (isFlushedAtExit) return
  isFlushedAtExit = true
  // What was accepted goes out, too, when the program ends right after.
  process.on("exit", endTurn)
}

const endTurn = (): void => {
  const writers = waiting
  waiting = []
  for (const writer of writers) writer.endTurn()
}

/**
 * Does in one go what many sockets have to do in this turn of the event loop. So it costs less: the code for it stays in the
 * processor's caches from one socket to the next.
 */
export const makeBatch = (): ((f: () => void) => void) => {
  let batch: Array<() => void> = []
  const run = (): void => {
    const all = batch
    batch = []
    for (const f of all) f()
  }
  return (f) => {
    if (batch.length === 0) afterSockets(run)
    batch.push(f)
  }
}
