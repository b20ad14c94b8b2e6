/** The result as a table, and what machine it comes from. */
import { cpus, release, totalmem, type } from "node:os"
import type { Row } from "./harness.ts"

/** Three significant digits, thousands apart. */
export const figure = (value: number): string => {
  if (!Number.isFinite(value)) return "?"
  const digits = value === 0 ? 0 : Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(Math.abs(value)))))
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

export const aligned = (lines: ReadonlyArray<ReadonlyArray<string>>, rightFrom: number): string => {
  const widths: Array<number> = []
  for (const line of lines) line.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i >= rightFrom ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

const ratio = (value: number): string => value.toFixed(2)

/** The rows as a table; where a call's own cost was measured, beside it. */
export const table = (rows: ReadonlyArray<Row>): string => {
  const over = rows.some((row) => row.over !== undefined)
  const header = ["bench", "variant", "value", "unit", "ratio", "min", "max", ...(over ? ["over baseline"] : [])]
  const lines = rows.map((row) => [
    row.bench,
    row.variant === row.baseline ? `${row.variant} (baseline)` : row.variant,
    figure(row.value),
    row.unit,
    ratio(row.ratio.median),
    ratio(row.ratio.min),
    ratio(row.ratio.max),
    ...(row.over === undefined ? [] : [`${row.over.median >= 0 ? "+" : ""}${figure(row.over.median)} ${row.unit}`])
  ])
  return aligned([header, ...lines], 2)
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly os: string
  readonly node: string
}

export const machine = (): Machine => {
  const cores = cpus()
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    node: process.version
  }
}
