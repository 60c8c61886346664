import { type Selectable, sql } from 'kysely'
import type { Db, Tx } from '../db/index.ts'
import type { EvaluationTables } from '../db/tables/evaluations.ts'
import { AppError } from '../kernel/errors.ts'
import { newHexId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import {
  afterSql,
  type ExperimentId,
  experimentNumber,
  type Found,
  nextPage,
  orderSql,
  readPageToken,
} from '../tracking/index.ts'
import type { LabelInput, LabelSchema, LabelSchemaChange, NewLabelSchema } from './evaluations.ts'

type Row = Selectable<EvaluationTables['label_schemas']>

/** Questions to the reviewers of an experiment's traces. */
export const labelSchemaStore = {
  /** Throws AlreadyExists for a taken name. */
  async create(tx: Tx, schema: NewLabelSchema & { isDefault?: boolean }, now: EpochMs): Promise<string> {
    if (await this.find(tx, schema.experimentId, schema.name)) throw taken(schema.name, schema.experimentId)
    const schemaId = `ls-${newHexId(now)}`
    const { kind, ...input } = schema.input
    await tx
      .insertInto('label_schemas')
      .values({
        schema_id: schemaId,
        experiment_id: experimentNumber(schema.experimentId),
        name: schema.name,
        type: schema.type,
        instruction: schema.instruction ?? null,
        enable_comment: schema.enableComment ? 1 : 0,
        input_kind: kind,
        input: JSON.stringify(input),
        created_at: now,
        updated_at: now,
        created_by: null,
        is_default: schema.isDefault ? 1 : 0,
      })
      .execute()
    return schemaId
  },

  /** Throws NotFound. */
  async byId(db: Db, schemaId: string): Promise<LabelSchema> {
    const schema = await this.findById(db, schemaId)
    if (!schema) throw notFound(`Label schema with id '${schemaId}' not found.`)
    return schema
  },

  async findById(db: Db, schemaId: string): Promise<LabelSchema | undefined> {
    const row = await db.selectFrom('label_schemas').selectAll().where('schema_id', '=', schemaId).executeTakeFirst()
    return row && schemaFrom(row)
  },

  async find(db: Db, experimentId: ExperimentId, name: string): Promise<LabelSchema | undefined> {
    const row = await db
      .selectFrom('label_schemas')
      .selectAll()
      .where('experiment_id', '=', experimentNumber(experimentId))
      .where('name', '=', name)
      .executeTakeFirst()
    return row && schemaFrom(row)
  },

  /** Throws NotFound. */
  async byName(db: Db, experimentId: ExperimentId, name: string): Promise<LabelSchema> {
    const schema = await this.find(db, experimentId, name)
    if (!schema) throw notFound(`Label schema with name '${name}' not found for experiment '${experimentId}'.`)
    return schema
  },

  async hasDefault(db: Db, experimentId: ExperimentId): Promise<boolean> {
    const row = await db
      .selectFrom('label_schemas')
      .select('schema_id')
      .where('experiment_id', '=', experimentNumber(experimentId))
      .where('is_default', '=', 1)
      .executeTakeFirst()
    return row !== undefined
  },

  /** Throws AlreadyExists for a taken name. */
  async update(tx: Tx, known: LabelSchema, change: LabelSchemaChange, now: EpochMs): Promise<void> {
    const { name, instruction, enableComment, input } = change
    if (name !== undefined && name !== known.name && (await this.find(tx, known.experimentId, name)))
      throw taken(name, known.experimentId)
    const { kind, ...fields } = input ?? known.input
    await tx
      .updateTable('label_schemas')
      .set({
        name: name ?? known.name,
        instruction: instruction ?? known.instruction ?? null,
        enable_comment: (enableComment ?? known.enableComment) ? 1 : 0,
        input_kind: kind,
        input: JSON.stringify(fields),
        updated_at: now,
      })
      .where('schema_id', '=', known.schemaId)
      .execute()
  },

  async delete(tx: Tx, schemaId: string): Promise<void> {
    await tx.deleteFrom('label_schemas').where('schema_id', '=', schemaId).execute()
  },

  /** Newest first. */
  async page(
    db: Db,
    experimentId: ExperimentId,
    { limit, pageToken }: { limit: number; pageToken?: string },
  ): Promise<Found<LabelSchema>> {
    const question = { of: 'label schemas', in: experimentId }
    const after = readPageToken(question, pageToken, order.length)
    let query = db
      .selectFrom('label_schemas as l')
      .selectAll()
      .select(order.map((column, index) => sql<string | number>`${column.expression}`.as(`s${index}`)))
      .where('experiment_id', '=', experimentNumber(experimentId))
      .orderBy(orderSql(order))
      .limit(limit + 1)
    if (after) query = query.where(afterSql(order, after))
    const rows = await query.execute()
    return { items: rows.slice(0, limit).map(schemaFrom), ...nextPage(question, rows, limit, order.length) }
  },
}

const order = [
  { expression: sql.ref('l.created_at'), descending: true },
  { expression: sql.ref('l.schema_id'), descending: false },
]

const schemaFrom = (row: Row): LabelSchema => ({
  schemaId: row.schema_id,
  experimentId: String(row.experiment_id),
  name: row.name,
  type: row.type as LabelSchema['type'],
  instruction: row.instruction ?? undefined,
  enableComment: row.enable_comment === 1,
  input: { kind: row.input_kind, ...(JSON.parse(row.input) as object) } as LabelInput,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  createdBy: row.created_by ?? undefined,
  isDefault: row.is_default === 1,
})

const notFound = (message: string): AppError =>
  new AppError('NotFound', message, 'List the label schemas of the experiment to see which there are.')

const taken = (name: string, experimentId: ExperimentId): AppError =>
  new AppError(
    'AlreadyExists',
    `Label schema with name '${name}' already exists for experiment '${experimentId}'.`,
    'Choose another name.',
  )
