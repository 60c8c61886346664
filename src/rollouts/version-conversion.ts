import type { EpochMs } from '../kernel/time.ts'
import type { Conversion } from '../serving/index.ts'

/** What was proved of the ONNX form of a version: on which rows, by how much both differed at most, and what converted it. */
export type ConversionProof = Pick<
  Conversion,
  'rows' | 'rowsFrom' | 'thresholdRows' | 'largestDifference' | 'tolerance' | 'ties' | 'versions'
>

/**
 * What came of the last try to compute a version as ONNX. `refused`: that lies in the version, so it is not tried again by the same
 * converter; `failed`: it lies in what is around it (time, packages), and the next preparation tries again.
 */
export type VersionConversion =
  | { outcome: 'converted'; proof: ConversionProof; at: EpochMs }
  | { outcome: 'refused' | 'failed'; reason: string; at: EpochMs }

/** In one sentence, for people. */
export function conversionText(fact: VersionConversion): string {
  if (fact.outcome !== 'converted') return `Python; not converted: ${fact.reason}`
  const { rows, rowsFrom, thresholdRows, largestDifference, tolerance, versions } = fact.proof
  const made = thresholdRows > 0 ? ` and ${thresholdRows} on the thresholds of its trees` : ''
  const by = Object.entries(versions).filter(([name]) => converters.includes(name))
  return `ONNX; parity on ${rows} rows of its ${rowsFrom}${made}, largest difference ${Number(largestDifference.toPrecision(2))} (at most ${tolerance}), by ${by.map((one) => one.join(' ')).join(', ')}`
}

const converters = ['skl2onnx', 'onnx', 'onnxruntime']
