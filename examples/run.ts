/** `npm run example -- NAME [--live | --memory]` runs one example; without a name it lists them. */
import { readdirSync } from "node:fs"

const names = readdirSync(new URL(".", import.meta.url))
  .filter((file) => file.endsWith(".ts") && file !== "run.ts")
  .map((file) => file.slice(0, -".ts".length))
  .toSorted()
const [name] = process.argv.slice(2)

if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run example -- NAME [--live | --memory]\n\n  ${names.join("\n  ")}`)
  process.exitCode = 64
} else {
  const { main } = await import(`./${name}.ts`)
  if (typeof main === "function") main()
  else {
    console.error(
      `examples/${name}.ts exports no main. End it with: export const main = () => NodeRuntime.runMain(program)`
    )
    process.exitCode = 70
  }
}
