const slow = ["test/**/*.slow.test.ts"]
const apart = ["test/**/*.integration.test.ts", "test/**/*.apart.test.ts"]

/** They share the threads that they run in, and what they import: to load Effect for each file takes longer than to run it. */
const shared = { pool: "threads" as const, isolate: false }

/**
 * Three kinds of tests, by their names: the quick ones, of which most are done in milliseconds; slow ones, with a long life in
 * simulated time or a case for every moment; and those with real sockets, or that have to be alone in their process.
 */
export const projects = (otherEdition: string) => [
  {
    extends: true as const,
    test: {
      ...shared,
      name: "unit",
      include: ["test/**/*.test.ts"],
      exclude: [otherEdition, ...slow, ...apart],
      sequence: { groupOrder: 0 }
    }
  },
  {
    extends: true as const,
    test: { ...shared, name: "slow", include: slow, exclude: [otherEdition], sequence: { groupOrder: 1 } }
  },
  {
    extends: true as const,
    test: { name: "apart", include: apart, exclude: [otherEdition], sequence: { groupOrder: 2 } }
  }
]
