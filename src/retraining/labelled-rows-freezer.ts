import { stringify } from 'csv-stringify/sync'
import type { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { LabelsService } from '../labels/index.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { DataSource } from '../projects/index.ts'
import { labelColumn } from './decide/label-column.ts'
import { labelledTable } from './decide/labelled-table.ts'
import type { FrozenRows } from './retraining.ts'

type Parts = {
  db: Db
  labels: Pick<LabelsService, 'labelledRows'>
  artifacts: Pick<ArtifactService, 'recordDatasetVersion'>
  objects: Pick<ObjectStore, 'put'>
}

/** Makes what production saw and people labelled a dataset version: an immutable table with a digest. */
export class LabelledRowsFreezer {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * All rows of the model in the environment that were labelled until then, in the dataset's columns. The same rows again are the same
   * version. Undefined where nothing is labelled.
   */
  async freeze(
    request: Place & {
      model: string
      dataset: string
      source: DataSource
      header: readonly string[]
      untilMs: EpochMs
      now: EpochMs
    },
  ): Promise<FrozenRows | undefined> {
    const { project, environment, model, dataset, source, header, untilMs } = request
    const labelled = await this.#parts.labels.labelledRows({ project, environment, labelledUntilMs: untilMs })
    // Another model that served here before may have been asked other questions.
    const rows = labelled.filter((row) => row.model === model)
    if (rows.length === 0) return undefined
    const inputs = [...new Set(rows.flatMap(({ input }) => Object.keys(input)))]
    const label = labelColumn({ dataset, header, key: source.key, inputs, checks: source.checks })
    const table = labelledTable(rows, { header, key: source.key, label })
    const { digest } = await this.#parts.objects.put(stringify(table))
    await transact(this.#parts.db, (tx) =>
      this.#parts.artifacts.recordDatasetVersion(tx, {
        ...{ project, dataset, digest, rows: rows.length, createdAt: request.now },
        origin: { kind: 'labelled predictions', environment, until: untilMs },
      }),
    )
    return { dataset, digest, rows: rows.length }
  }
}
