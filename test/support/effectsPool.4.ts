/** What Effect 4's own `Pool` does, by the measures of `ResourcePool.effects.test.ts`. */
export const effectsPool = {
  givingUp: 100,
  nextToASlowCreation: 2_000,
  untilAnItemIsGivenBack: 90,
  order: ["who waited", "who came later"],
  afterFailures: ["item", "item", "item"],
  closesWhatIsUsed: false,
  usedByOne: 1
}
