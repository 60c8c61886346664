/** The part of a logger that the gateway needs (pino's shape). */
export type ServingLog = {
  info(facts: object, text: string): void
  warn(facts: object, text: string): void
  error(facts: object, text: string): void
}
