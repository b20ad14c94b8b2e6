import { defaultServerConditions } from "vite"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/servers/LongestFirst.ts"
import { SummaryReporter } from "./test/servers/SummaryReporter.ts"

// A Node that npm finds may be older than what the tests need, and would end the run with a crash of its reporter.
if (typeof Map.groupBy !== "function") {
  throw new Error(
    `the tests need Node 22.19 or later, and this is ${process.version}: run them by npm test or npx vitest`
  )
}

const conditions = ["@ai-core/source", ...defaultServerConditions]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/servers/globalSetup.ts"],
    reporters: ["default", new SummaryReporter({ outputFile: "test-report.json" })],
    // Most of a run is waiting, for servers and for time, so three files share even a small machine.
    maxWorkers: 3,
    // Loading the modules and the engine in WebAssembly costs seconds: a worker does it once, not once for each of its files.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // A machine that is busy with other things is slow; what hangs does not end in a minute, either.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000
  }
})
