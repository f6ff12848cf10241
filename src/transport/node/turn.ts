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
