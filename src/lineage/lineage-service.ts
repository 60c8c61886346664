import type { Client } from '../kernel/client.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { OutputOf } from '../kernel/route.ts'
import { getPrediction } from '../serving/predictions-contract.ts'
import { findThings } from './decide/find-things.ts'
import { type Direction, type LineageGraph, lineageGraph, type Thing, thingId, walk } from './decide/lineage-graph.ts'
import { openLineageOf } from './decide/open-lineage.ts'
import type { getLineage, getOpenLineage } from './lineage-contract.ts'
import type { LineageViews } from './lineage-views.ts'
import type { VersionViews } from './version-views.ts'

export type LineageQuestion = { project: string; of: string; direction: Direction; depth: number }
type Lineage = OutputOf<typeof getLineage>

const isPredictionId = (text: string): boolean => /^[0-9a-hjkmnp-tv-z]{40}(:\d+)?$/i.test(text)

/** Up- and downstream of anything. */
export class LineageService {
  readonly #ask: Client
  readonly #views: LineageViews
  readonly #versions: Pick<VersionViews, 'byPrefix'>

  constructor(parts: { ask: Client; lineage: LineageViews; views: Pick<VersionViews, 'byPrefix'> }) {
    this.#ask = parts.ask
    this.#views = parts.lineage
    this.#versions = parts.views
  }

  async lineage({ project, of, direction, depth }: LineageQuestion): Promise<Lineage> {
    const { facts, cut } = await this.#views.factsOf(project)
    const recorded = lineageGraph(facts)
    const { graph, asked } = isPredictionId(of.replace(/^prediction:/, ''))
      ? await this.#withPrediction(recorded, of.replace(/^prediction:/, ''))
      : { graph: recorded, asked: findThings(recorded, of) }
    if (asked.length === 0) throw notFound(project, of, recorded)
    const { things, lines, more } = walk(
      graph,
      asked.map(({ id }) => id),
      { direction, depth },
    )
    return { project, of, direction, depth, things, lines, more, cut }
  }

  async openLineage(question: LineageQuestion): Promise<OutputOf<typeof getOpenLineage>> {
    const { things, lines } = await this.lineage(question)
    return { events: openLineageOf(question.project, { things, lines }) as Record<string, unknown>[] }
  }

  /** Predictions are far too many to be things of the graph: the one that is asked for is put beside what answered it. */
  async #withPrediction(graph: LineageGraph, id: string): Promise<{ graph: LineageGraph; asked: Thing[] }> {
    const { decoded, record } = await this.#ask(getPrediction, { params: { id } }).catch((error: unknown) => {
      if (isAppError(error, 'NotFound')) return { decoded: undefined, record: undefined }
      throw error
    })
    if (!decoded) return { graph, asked: [] }
    const digest = record?.digest ?? (await this.#versions.byPrefix(decoded.digestPrefix, decoded.version))[0]?.digest
    const thing: Thing = {
      id: `prediction:${id}`,
      kind: 'prediction',
      name: `prediction ${id.slice(0, 12)}…`,
      ref: id,
      at: decoded.at,
    }
    const deployment = digest && record ? thingId.deployment(record.environment, digest) : undefined
    const from = deployment && graph.things.has(deployment) ? deployment : digest && thingId.version(digest)
    return {
      graph: {
        things: new Map([...graph.things, [thing.id, thing]]),
        lines: from ? [...graph.lines, { from, to: thing.id }] : graph.lines,
      },
      asked: [thing],
    }
  }
}

function notFound(project: string, of: string, graph: LineageGraph): AppError {
  const names = [
    ...new Set([...graph.things.values()].map(({ name }) => name.replace(/^(data|model|commit) | v\d+$|:.*$/g, ''))),
  ]
  const near = nearestWord(of, names)
  return new AppError(
    'NotFound',
    `Nothing that ${project} recorded is called "${of}".`,
    near
      ? `Did you mean "${near}"?`
      : 'Name a dataset, a path, a commit, run, execution, model, MODEL@VERSION, an environment, a digest or a prediction id.',
  )
}
