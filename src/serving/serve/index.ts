// One model, alone: what `modelwright serve` runs. It finds the model's folder, opens it as the gateway does, and answers every
// protocol for it. Like the gateway it opens no database and needs no server, so it has a door of its own. By the same door:
// what else is done with one model alone (converted, over a whole table, for other software).
export type { Conversion } from '../convert/conversion.ts'
export { ConversionCache, digestOfSources } from '../convert/conversion-cache.ts'
export { convertModel, Unconvertible } from '../convert/convert-model.ts'
export { unconvertible } from '../decide/unconvertible.ts'
export { exportFolder } from '../export/export-folder.ts'
export { writeOciLayout } from '../export/oci-layout.ts'
export { folderEntries, type TarEntry, tarOf } from '../export/tar.ts'
export { readMlmodel } from '../models/mlmodel-file.ts'
export { converterRequirements, pythonFolder } from '../python-folder.ts'
export { fileDigest } from '../scoring/input-files.ts'
export { recordScoring } from '../scoring/record-scoring.ts'
export { runScoring, type ScoringResult } from '../scoring/run-scoring.ts'
export { findModel } from './find-model.ts'
export { type GraphLater, type RunningServe, runServe, type ServeOptions } from './run-serve.ts'
