/** Gives a number when it is asked. */
export type Read = () => number

/** Registers a gauge that is read when somebody reads the metrics, and gives what ends that. */
export type Register<Tags> = (name: string, description: string, tags: Tags, read: Read) => () => void

/** Those who know the value of one gauge: pools of one name share it. */
export class Readers {
  private readonly all = new Set<Read>()

  add(read: Read): () => void {
    this.all.add(read)
    return () => {
      this.all.delete(read)
    }
  }

  /** What is worst of them; 0 if there are none. */
  get most(): number {
    let most = 0
    for (const read of this.all) most = Math.max(most, read())
    return most
  }
}
