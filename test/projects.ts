const apart = ["test/**/*.integration.test.ts", "test/**/*.apart.test.ts"]

/**
 * Two kinds of tests, by their names. The quick ones are many, and come first. They share the threads that they run in, and
 * with them what they import: to load Effect for each of their files takes longer than to run it. Real sockets, what takes
 * its time, and what has to be alone in its process stand apart.
 */
export const projects = (otherEdition: string) => [
  {
    extends: true as const,
    test: {
      name: "unit",
      include: ["test/**/*.test.ts"],
      exclude: [otherEdition, ...apart],
      pool: "threads" as const,
      isolate: false,
      sequence: { groupOrder: 0 }
    }
  },
  {
    extends: true as const,
    test: { name: "apart", include: apart, exclude: [otherEdition], sequence: { groupOrder: 1 } }
  }
]
