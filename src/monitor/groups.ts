import type { EventRow } from "./wire.js"

/** How far apart two events of a group may be to share a line, in milliseconds. */
const closeness = 10_000

/** What a row takes besides its texts, in bytes; and a character of them. */
const bytesOfRow = 200
const bytesOfCharacter = 2

/**
 * The latest rows, one for events of a group that follow each other closely: an outage takes a few lines, however many
 * attempts fail in it. Room is limited by rows and by bytes, and the oldest make way.
 */
export class Groups {
  private readonly rows = new Map<number, EventRow>()
  private readonly latest = new Map<string, number>()
  private bytes = 0
  private made = 0

  constructor(
    private readonly maxRows: number,
    private readonly maxBytes = Number.POSITIVE_INFINITY
  ) {}

  add(row: EventRow): void {
    const key = this.latest.get(row.group)
    const before = key === undefined ? undefined : this.rows.get(key)
    if (key !== undefined && before !== undefined && row.since - before.at <= closeness) {
      this.delete(key, before)
      this.set(key, { ...row, since: before.since, count: before.count + row.count })
    } else {
      this.made += 1
      this.set(this.made, row)
    }
    for (const [oldest, row] of this.rows) {
      if (this.rows.size <= this.maxRows && this.bytes <= this.maxBytes) break
      this.delete(oldest, row)
    }
  }

  /** The latest last. */
  all(): ReadonlyArray<EventRow> {
    return Array.from(this.rows.values())
  }

  /** Drops what happened before a time, or all. */
  forget(before = Number.POSITIVE_INFINITY): void {
    for (const [key, row] of this.rows) if (row.at < before) this.delete(key, row)
  }

  private set(key: number, row: EventRow): void {
    this.rows.set(key, row)
    this.latest.set(row.group, key)
    this.bytes += bytesOf(row)
  }

  private delete(key: number, row: EventRow): void {
    this.rows.delete(key)
    if (this.latest.get(row.group) === key) this.latest.delete(row.group)
    this.bytes -= bytesOf(row)
  }
}

const bytesOf = ({ connectionId, detail, group, tag }: EventRow): number =>
  bytesOfRow + bytesOfCharacter * (connectionId.length + detail.length + group.length + tag.length)
