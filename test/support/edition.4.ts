/** Which edition is tested. */
export const edition: 3 | 4 = 4 as 3 | 4

/** With what its sources are compiled, from the root, and with what tsx runs them. */
export const tsconfig = "editions/4/tsconfig.json"
export const tsxConfig = "editions/4/tsconfig.tsx.json"
