/** A place in a `List`. */
export class Place<T> {
  list: List<T> | undefined = undefined
  before: Place<T> | undefined = undefined
  after: Place<T> | undefined = undefined
  constructor(readonly value: T) {}
}

/** A doubly linked list whose places are made once and linked in and out at constant cost. */
export class List<T> {
  length = 0
  private head: Place<T> | undefined = undefined
  private tail: Place<T> | undefined = undefined

  get first(): T | undefined {
    return this.head?.value
  }

  get last(): T | undefined {
    return this.tail?.value
  }

  unshift(place: Place<T>): void {
    place.list = this
    place.before = undefined
    place.after = this.head
    if (this.head === undefined) this.tail = place
    else this.head.before = place
    this.head = place
    this.length += 1
  }

  push(place: Place<T>): void {
    place.list = this
    place.after = undefined
    place.before = this.tail
    if (this.tail === undefined) this.head = place
    else this.tail.after = place
    this.tail = place
    this.length += 1
  }

  /** Links a place in before the first value that satisfies `isAfter`. */
  insert(place: Place<T>, isAfter: (value: T) => boolean): void {
    let next = this.head
    while (next !== undefined && !isAfter(next.value)) next = next.after
    if (next === undefined) {
      this.push(place)
      return
    }
    const { before } = next
    if (before === undefined) {
      this.unshift(place)
      return
    }
    place.list = this
    place.before = before
    place.after = next
    before.after = next.before = place
    this.length += 1
  }

  remove(place: Place<T>): void {
    if (place.before === undefined) this.head = place.after
    else place.before.after = place.after
    if (place.after === undefined) this.tail = place.before
    else place.after.before = place.before
    place.list = place.before = place.after = undefined
    this.length -= 1
  }
}

/** Takes a place out of the list that it is in, if any. */
export const unlink = <T>(place: Place<T>): void => place.list?.remove(place)
