/** The package of a client is not installed. */
export class MissingClient {
  readonly _tag = "MissingClient"

  constructor(readonly name: string) {}

  get message(): string {
    return `The package ${JSON.stringify(this.name)} is not installed, which this layer makes its client with`
  }
}
