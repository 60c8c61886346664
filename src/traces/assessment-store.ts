import type { Selectable } from 'kysely'
import type { Db } from '../db/index.ts'
import type { TraceTables } from '../db/tables/traces.ts'
import { AppError } from '../kernel/errors.ts'
import { newHexId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import { countedValue, merged } from './decide/assess.ts'
import type {
  Assessment,
  AssessmentChange,
  AssessmentKind,
  AssessmentSource,
  NewAssessment,
  TraceId,
} from './traces.ts'

type Row = Selectable<TraceTables['trace_assessments']>

/** Feedback on traces, what was expected of them, and the issues they belong to. */
export const assessmentStore = {
  /** One that overrides another makes that one invalid. Throws NotFound where there is no such other. */
  async create(db: Db, given: NewAssessment, now: EpochMs): Promise<Assessment> {
    const assessment = begun(given, now)
    if (assessment.overrides !== undefined) {
      const { numUpdatedRows } = await db
        .updateTable('trace_assessments')
        .set({ valid: 0 })
        .where('trace_id', '=', assessment.traceId)
        .where('assessment_id', '=', assessment.overrides)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) throw noAssessment(assessment.overrides, assessment.traceId)
    }
    const taken = await db
      .selectFrom('trace_assessments')
      .select('assessment_id')
      .where('assessment_id', '=', assessment.assessmentId)
      .executeTakeFirst()
    if (taken)
      throw new AppError(
        'AlreadyExists',
        `Assessment with ID '${assessment.assessmentId}' already exists.`,
        'Leave the id out, so that one is made.',
      )
    await db.insertInto('trace_assessments').values(rowOf(assessment)).execute()
    return assessment
  },

  /** As its trace tells of it: one that is there already is written over, and what it overrides is left as it is. */
  async put(db: Db, given: NewAssessment, now: EpochMs): Promise<void> {
    const assessment = begun(given, now)
    await db
      .deleteFrom('trace_assessments')
      .where('trace_id', '=', assessment.traceId)
      .where('assessment_id', '=', assessment.assessmentId)
      .execute()
    await db.insertInto('trace_assessments').values(rowOf(assessment)).execute()
  },

  async byId(db: Db, traceId: TraceId, assessmentId: string): Promise<Assessment> {
    const row = await db
      .selectFrom('trace_assessments')
      .selectAll()
      .where('trace_id', '=', traceId)
      .where('assessment_id', '=', assessmentId)
      .executeTakeFirst()
    if (row) return assessmentFrom(row)
    const trace = await db.selectFrom('traces').select('trace_id').where('trace_id', '=', traceId).executeTakeFirst()
    throw trace
      ? noAssessment(assessmentId, traceId)
      : new AppError('NotFound', `Trace with request_id '${traceId}' not found`, 'Search the traces of the experiment.')
  },

  async update(
    db: Db,
    of: { traceId: TraceId; assessmentId: string },
    change: AssessmentChange,
    now: EpochMs,
  ): Promise<Assessment> {
    const updated = merged(await this.byId(db, of.traceId, of.assessmentId), change, now)
    const { assessment_id, trace_id, ...row } = rowOf(updated)
    await db
      .updateTable('trace_assessments')
      .set(row)
      .where('trace_id', '=', trace_id)
      .where('assessment_id', '=', assessment_id)
      .execute()
    return updated
  },

  /** What it overrode is valid again. One that is not there is deleted already. */
  async delete(db: Db, traceId: TraceId, assessmentId: string): Promise<void> {
    const row = await db
      .deleteFrom('trace_assessments')
      .where('trace_id', '=', traceId)
      .where('assessment_id', '=', assessmentId)
      .returning('overrides')
      .executeTakeFirst()
    if (row?.overrides)
      await db
        .updateTable('trace_assessments')
        .set({ valid: 1 })
        .where('trace_id', '=', traceId)
        .where('assessment_id', '=', row.overrides)
        .execute()
  },

  /** Oldest first. */
  async ofTraces(db: Db, traceIds: readonly TraceId[]): Promise<Map<TraceId, Assessment[]>> {
    const found = new Map<TraceId, Assessment[]>()
    for (let start = 0; start < traceIds.length; start += 500) {
      const rows = await db
        .selectFrom('trace_assessments')
        .selectAll()
        .where('trace_id', 'in', traceIds.slice(start, start + 500))
        .orderBy('created_at')
        .orderBy('assessment_id')
        .execute()
      for (const row of rows) found.set(row.trace_id, [...(found.get(row.trace_id) ?? []), assessmentFrom(row)])
    }
    return found
  },
}

const begun = (given: NewAssessment, now: EpochMs): Assessment => ({
  ...given,
  assessmentId: given.assessmentId ?? `a-${newHexId(now)}`,
  valid: true,
  createdAt: given.createdAt ?? now,
  updatedAt: given.updatedAt ?? now,
})

function rowOf(assessment: Assessment): Row {
  const { number, isNumber } = countedValue(assessment.value)
  return {
    assessment_id: assessment.assessmentId,
    trace_id: assessment.traceId,
    name: assessment.name,
    kind: assessment.kind,
    value: assessment.value,
    error: assessment.error ? JSON.stringify(assessment.error) : null,
    number_value: number ?? null,
    is_number: isNumber ? 1 : 0,
    source_type: assessment.source.type,
    source_id: assessment.source.id ?? null,
    span_id: assessment.spanId ?? null,
    rationale: assessment.rationale ?? null,
    metadata: assessment.metadata ? JSON.stringify(assessment.metadata) : null,
    overrides: assessment.overrides ?? null,
    valid: assessment.valid ? 1 : 0,
    created_at: assessment.createdAt,
    updated_at: assessment.updatedAt,
  }
}

function assessmentFrom(row: Row): Assessment {
  return {
    assessmentId: row.assessment_id,
    traceId: row.trace_id,
    name: row.name,
    kind: row.kind as AssessmentKind,
    value: row.value,
    error: row.error === null ? undefined : JSON.parse(row.error),
    source: {
      type: row.source_type as AssessmentSource['type'],
      ...(row.source_id === null ? {} : { id: row.source_id }),
    },
    spanId: row.span_id ?? undefined,
    rationale: row.rationale ?? undefined,
    metadata: row.metadata === null ? undefined : JSON.parse(row.metadata),
    overrides: row.overrides ?? undefined,
    valid: row.valid === 1,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

const noAssessment = (assessmentId: string, traceId: TraceId): AppError =>
  new AppError(
    'NotFound',
    `Assessment with ID '${assessmentId}' not found for trace '${traceId}'`,
    'The trace itself lists its assessments.',
  )
