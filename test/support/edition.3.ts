/** Which edition is tested. */
export const edition: 3 | 4 = 3 as 3 | 4

/** With what its sources are compiled, from the root, and with what tsx runs them. */
export const tsconfig = "tsconfig.json"
export const tsxConfig = "tsconfig.json"
