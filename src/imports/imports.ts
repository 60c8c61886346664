import type { EpochMs } from '../kernel/time.ts'
import type { Facts, ItemKind } from './imports-contract.ts'

/** What is brought in from one source, however often it is carried on. */
export type Import = {
  id: string
  /** Names the source for good, without credentials. */
  source: string
  /** Whether bytes are copied to us or stay where they are. */
  artifacts: 'copy' | 'reference'
  state: 'running' | 'finished'
  actor: string
  startedAt: EpochMs
  updatedAt: EpochMs
}

/** Something of the source and what it is here. */
export type ImportItem = {
  kind: ItemKind
  sourceId: string
  targetId: string
  /** It was here before, and what came was added to it. */
  joined: boolean
  /** The folder of its artifacts there and here, where they are copied. */
  sourceUri?: string
  targetUri?: string
  /** What the source says of it; undefined until all of it is here. */
  facts?: Facts
}

/** Why a record was not taken, and what the person at the source can do. */
export type Refusal = { reason: string; next: string }

export const versionId = (model: string, version: number): string => `${model}/${version}`
