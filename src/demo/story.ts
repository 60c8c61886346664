import type { Client } from '../kernel/client.ts'
import type { Clock } from '../ports/clock.ts'
import type { ExampleRepository } from './example-repository.ts'
import type { Narrator } from './narrator.ts'
import type { ProductionRows } from './production-rows.ts'

/** What a stage has to do with. */
export type Stage = {
  title: string
  /** One or two sentences before it begins. */
  about: string
  perform: (demo: Demo) => Promise<void>
}

export type StageName = 'first' | 'refused' | 'canary' | 'drift' | 'retrained' | 'why'

export type Demo = {
  client: Client
  server: string
  gateway: string
  repository: ExampleRepository
  rows: ProductionRows
  clock: Clock
  signal: AbortSignal
  narrate: Narrator
  /** Where to look when something does not go on. */
  logs: string
  /** `modelwright why production`, as a person would see it. */
  whyProduction: () => Promise<void>
}

export const project = 'tumour-classifier'
export const environment = 'production'

/** The three commits of the story. Their subjects lead from the server's records back to the stage. */
export const commits = {
  first: { subject: 'Classify tumours with ten one-question trees', params: { trees: 10, depth: 1 } },
  refused: { subject: 'Train faster: one tree is enough', params: { trees: 1, depth: 1 } },
  canary: { subject: 'A hundred trees of depth two', params: { trees: 100, depth: 2 } },
} as const

/** The column by which the later biopsies differ, and that the drift alert must name. */
export const shiftedFeature = 'mean_texture'
