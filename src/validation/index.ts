// Validation: the declared checks of data, the same for a training table and for an inference row, and profiles of tables
// (the reference that monitoring compares production with). Reads files, owns no table; it never decides what a failed
// check stops: executions and serving do.
export { checkTable } from './check-table.ts'
export type { DataReport } from './data-report.ts'
export { checkValue, isMissing, missingWords, readCell } from './decide/check-value.ts'
export { profileTable, type TableProfile } from './profile-table.ts'
export { isTable } from './read-table.ts'
