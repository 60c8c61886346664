import type { EpochMs } from '../kernel/time.ts'
import type { Conversion } from '../serving/index.ts'

/** What was proved of the ONNX form of a version: on which rows, by how much both differed at most, and what converted it. */
export type ConversionProof = Pick<
  Conversion,
  'rows' | 'rowsFrom' | 'thresholdRows' | 'largestDifference' | 'tolerance' | 'ties' | 'versions'
> & {
  /** Rows of the data that the version was made of; absent of proofs that are older than that. */
  dataRows?: number
}

/**
 * What came of the last try to compute a version as ONNX. `refused`: that lies in the version, so it is not tried again by the same
 * converter; `failed`: it lies in what is around it (time, packages), and the next preparation tries again.
 */
export type VersionConversion =
  | { outcome: 'converted'; proof: ConversionProof; at: EpochMs }
  | { outcome: 'refused' | 'failed'; reason: string; at: EpochMs }

/** In one sentence, for people. */
export const conversionText = (fact: VersionConversion): string =>
  `${fact.outcome === 'converted' ? 'ONNX' : 'Python'}; ${conversionReason(fact)}`

/** Why that computes it: the proof of ONNX, or what stands in its way. */
export function conversionReason(fact: VersionConversion): string {
  if (fact.outcome !== 'converted') return `not converted: ${fact.reason}`
  const { rows, rowsFrom, dataRows = 0, thresholdRows, largestDifference, tolerance, versions } = fact.proof
  const further = dataRows > 0 ? `, ${dataRows} of its data` : ''
  const made = thresholdRows > 0 ? ` and ${thresholdRows} on the thresholds of its trees` : ''
  const by = Object.entries(versions).filter(([name]) => converters.includes(name))
  return `parity on ${rows} rows of its ${rowsFrom}${further}${made}, largest difference ${Number(largestDifference.toPrecision(2))} (at most ${tolerance}), by ${by.map((one) => one.join(' ')).join(', ')}`
}

const converters = ['skl2onnx', 'onnx', 'onnxruntime']
