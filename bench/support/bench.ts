export type Row = { what: string; value: number; unit: string; aim?: string; note?: string }

export type Bench = (options: { runs: number; say: (line: string) => void }) => Promise<Row[]>

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
