/** What can stand in a list, in one at a time. It links itself, so that to come and go allocates nothing. */
export class Place<T extends Place<T>> {
  list: List<T> | undefined = undefined
  before: T | undefined = undefined
  after: T | undefined = undefined
}

/** A doubly linked list that is entered and left at constant cost. */
export class List<T extends Place<T>> {
  length = 0
  first: T | undefined = undefined
  last: T | undefined = undefined

  unshift(place: T): void {
    place.list = this
    place.before = undefined
    place.after = this.first
    if (this.first === undefined) this.last = place
    else this.first.before = place
    this.first = place
    this.length += 1
  }

  push(place: T): void {
    place.list = this
    place.after = undefined
    place.before = this.last
    if (this.last === undefined) this.first = place
    else this.last.after = place
    this.last = place
    this.length += 1
  }

  /** Links one in before the first that satisfies `isAfter`. */
  insert(place: T, isAfter: (other: T) => boolean): void {
    let next = this.first
    while (next !== undefined && !isAfter(next)) next = next.after
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

  remove(place: T): void {
    if (place.before === undefined) this.first = place.after
    else place.before.after = place.after
    if (place.after === undefined) this.last = place.before
    else place.after.before = place.before
    place.list = place.before = place.after = undefined
    this.length -= 1
  }
}

/** Takes one out of the list that it is in, if any. */
export const unlink = <T extends Place<T>>(place: T): void => place.list?.remove(place)
