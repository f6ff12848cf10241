/** What Effect 3's own `Pool` does, by the measures of `ResourcePool.effects.test.ts`. */
export const effectsPool = {
  /** Only when the creation has ended. */
  givingUp: 2_000,
  nextToASlowCreation: 2_000,
  /** It has to wait for the creation. */
  untilAnItemIsGivenBack: 2_000,
  order: ["who came later", "who waited"],
  afterFailures: ["failure", "failure", "failure"],
  closesWhatIsUsed: true,
  /** In rotation, so that none goes idle. */
  usedByOne: 3
}
