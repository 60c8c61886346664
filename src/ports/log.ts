/** Where a room tells of a failure that nobody waits for; `details` holds the error as `err` and what it was about. Never throws. */
export type Log = { error(details: object, message: string): void }
