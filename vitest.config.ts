import { defaultServerConditions } from "vite"
import { defineConfig } from "vitest/config"
import { SummaryReporter } from "./test/servers/SummaryReporter.ts"

const conditions = ["@ai-core/source", ...defaultServerConditions]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/servers/globalSetup.ts"],
    reporters: ["default", new SummaryReporter({ outputFile: "test-report.json" })],
    // Most of a run is waiting, for servers and for time, so two files share even a small machine.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000
  }
})
