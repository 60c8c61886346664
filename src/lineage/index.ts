// Lineage: joins what every slice recorded into one answer: why something serves, what differs, how the loop stands.
// Owns no table and changes nothing. It reads the slices through their own routes, so that it says what they say.
export { lineageEndpoints } from './lineage-routes.ts'
