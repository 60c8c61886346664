// Serving: what answers predictions, what is written down of them, and where they are found again.
// Owns serving_counts, serving_segments, serving_parquet and the folders gateway/ and predictions/ under the data folder.
// It never decides which version serves (rollouts does) and never judges what it counts. The gateway itself is a process
// of its own with its own door, gateway/index.ts, which brings no database with it.
export type { Conversion } from './convert/conversion.ts'
export { ConversionCache, digestOfSources } from './convert/conversion-cache.ts'
export { convertModel, Unconvertible } from './convert/convert-model.ts'
export { inputContract } from './decide/input-contract.ts'
export { notInLog } from './decide/log-policy.ts'
export { unconvertible } from './decide/unconvertible.ts'
export type {
  EndpointDesired,
  GatewayDesired,
  GatewayObserved,
  InputContract,
  NotLoaded,
  PredictionRecord,
  ServedVersion,
  VersionState,
} from './gateway-state.ts'
export { readMlmodel } from './models/mlmodel-file.ts'
export { decodePredictionId } from './prediction-id.ts'
export { PredictionLog } from './prediction-log.ts'
export type { PredictionRow } from './prediction-row.ts'
export { predictionEndpoints } from './predictions-routes.ts'
export { converterRequirements, pythonFolder } from './python-folder.ts'
