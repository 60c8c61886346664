/** A journal segment is `START-PID-N.open.jsonl` while the gateway writes it and `START-PID-N.jsonl` afterwards (START: epoch ms). */
export const openSuffix = '.open.jsonl'
export const closedSuffix = '.jsonl'
