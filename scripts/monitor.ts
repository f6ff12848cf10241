/** Bundles the monitor's page: `npm run monitor:assets`. The tests fail while it is not what this writes. */
import { writeFileSync } from "node:fs"
import { makeAssets } from "./monitor/assets.js"

const file = "src/monitor/assets.ts"
const text = await makeAssets()
writeFileSync(new URL(`../${file}`, import.meta.url), text)
console.log(`${file}: ${text.length} bytes`)
