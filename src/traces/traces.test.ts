import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { type Db, transact } from '../db/index.ts'
import { TrackingService } from '../tracking/index.ts'
import { spanFromOtel } from './decide/span-from-otel.ts'
import type { MetricQuestion, NewAssessment, NewTrace, OtelSpan, Span } from './traces.ts'
import { TracesService } from './traces-service.ts'

const tables = ['traces', 'trace_tags', 'trace_metadata', 'trace_spans', 'trace_assessments', 'trace_links'] as const

eachDatabase('traces', (database) => {
  let db: Db
  let tracking: TrackingService
  let traces: TracesService
  let slept: number[]
  let whileSleeping: () => Promise<void>

  beforeAll(async () => {
    db = await database.open()
    let time = 1000
    const clock = {
      now: () => time++,
      sleep: async (ms: number) => {
        slept.push(ms)
        await whileSleeping()
      },
    }
    tracking = new TrackingService({ db, clock })
    traces = new TracesService({ db, clock, tracking })
  })
  afterAll(() => db.destroy())

  /** Faster than another database for each test. */
  async function forget(): Promise<void> {
    slept = []
    whileSleeping = async () => {}
    for (const table of tables) await db.deleteFrom(table).execute()
  }

  const idOf = (n: number): string => `tr-${n.toString(16).padStart(32, '0')}`

  async function start(n: number, trace: Partial<NewTrace> = {}): Promise<string> {
    const { traceId } = await traces.start({
      traceId: idOf(n),
      experimentId: '0',
      startedAt: 1_000_000 + n,
      durationMs: n,
      state: 'OK',
      clientRequestId: undefined,
      requestPreview: undefined,
      responsePreview: undefined,
      metadata: {},
      tags: {},
      assessments: [],
      ...trace,
    })
    return traceId
  }

  function span(n: number, spanId: number, given: Partial<OtelSpan> = {}): Span {
    return spanFromOtel({
      traceId: idOf(n).slice(3),
      spanId: spanId.toString(16).padStart(16, '0'),
      parentId: undefined,
      name: 'root',
      startNs: '1760000000000000123',
      endNs: '1760000002000000999',
      status: { code: 'OK', message: undefined },
      attributes: {},
      events: [],
      links: [],
      resource: {},
      ...given,
    })
  }
  const parent = (spanId: number) => ({ parentId: spanId.toString(16).padStart(16, '0') })

  const found = async (filter: string, more: { orderBy?: string[] } = {}): Promise<number[]> => {
    const { items } = await traces.search({ experimentIds: ['0'], filter, limit: 100, ...more })
    return items.map((info) => Number.parseInt(info.traceId.slice(3), 16))
  }
  const assess = (n: number, name: string, value: string, more: Partial<NewAssessment> = {}) =>
    traces.createAssessment({
      traceId: idOf(n),
      name,
      kind: 'feedback',
      value,
      error: undefined,
      source: { type: 'HUMAN', id: 'ann' },
      spanId: undefined,
      rationale: undefined,
      metadata: undefined,
      overrides: undefined,
      ...more,
    })

  describe('spans', () => {
    beforeEach(forget)

    it('of a trace that nobody told of begin it, and its root ends it', async () => {
      await traces.logSpans('0', [span(1, 2, { ...parent(1), name: 'child', startNs: '1760000001000000000' })])
      expect(await traces.info(idOf(1))).toMatchObject({ state: 'IN_PROGRESS', startedAt: 1_760_000_001_000 })
      await traces.logSpans('0', [span(1, 1)])
      expect(await traces.info(idOf(1))).toMatchObject({
        state: 'OK',
        startedAt: 1_760_000_000_000,
        durationMs: 2000,
        tags: { 'mlflow.trace.spansLocation': 'TRACKING_STORE' },
      })
    })

    it('that fail at the root make the trace fail', async () => {
      await traces.logSpans('0', [span(1, 1, { status: { code: 'ERROR', message: 'boom' } })])
      expect((await traces.info(idOf(1))).state).toBe('ERROR')
    })

    it('do not overrule what the client told of the whole trace', async () => {
      await start(1, { startedAt: 5, durationMs: 7, metadata: { 'mlflow.trace.tokenUsage': '{"input_tokens": 1}' } })
      await traces.logSpans('0', [span(1, 1, { attributes: { 'mlflow.chat.tokenUsage': '{"input_tokens": 50}' } })])
      const info = await traces.info(idOf(1))
      expect(info).toMatchObject({ startedAt: 5, durationMs: 7 })
      expect(info.metadata['mlflow.trace.tokenUsage']).toBe('{"input_tokens": 1}')
    })

    it('add up their tokens over all that came, but not those below a span that has its own', async () => {
      const usage = (input: number) => ({
        attributes: {
          'mlflow.chat.tokenUsage': `{"input_tokens": ${input}, "output_tokens": 1, "total_tokens": ${input + 1}}`,
        },
      })
      await traces.logSpans('0', [
        span(1, 3, { ...parent(2), ...usage(10) }),
        span(1, 4, { ...parent(1), ...usage(5) }),
      ])
      await traces.logSpans('0', [span(1, 2, { ...parent(1), ...usage(20) })])
      await traces.logSpans('0', [span(1, 1)])
      const { metadata } = await traces.info(idOf(1))
      expect(JSON.parse(metadata['mlflow.trace.tokenUsage']!)).toEqual({
        input_tokens: 25,
        output_tokens: 2,
        total_tokens: 27,
      })
    })

    it('told twice are kept once, as they were told last', async () => {
      await traces.logSpans('0', [span(1, 1), span(1, 1, { name: 'later' })])
      await traces.logSpans('0', [span(1, 1, { name: 'last' })])
      const contents = await traces.spanContents(idOf(1))
      expect(contents.map((content) => JSON.parse(content).name)).toEqual(['last'])
    })

    it('come back roots first, then by nanoseconds', async () => {
      await traces.logSpans('0', [
        span(1, 4, { ...parent(1), name: 'second', startNs: '1760000000000000002' }),
        span(1, 3, { ...parent(1), name: 'first', startNs: '1760000000000000001' }),
        span(1, 1, { startNs: '1760000000000000009' }),
      ])
      const names = (await traces.spanContents(idOf(1))).map((content) => JSON.parse(content).name)
      expect(names).toEqual(['root', 'first', 'second'])
    })

    it('of many traces in one go are all kept', async () => {
      const many = Array.from({ length: 450 }, (_, index) => span(index % 150, 1 + Math.floor(index / 150)))
      await traces.logSpans('0', many)
      expect((await traces.search({ experimentIds: ['0'], limit: 500 })).items).toHaveLength(150)
      expect(await traces.spanContents(idOf(149))).toHaveLength(3)
    })

    it('of an experiment that is not there are refused', async () => {
      await expect(traces.logSpans('77', [span(1, 1)])).rejects.toThrow('No Experiment with id=77')
    })

    it('bring their process and what the client tagged as tags, but never the place of the spans', async () => {
      await traces.logSpans('0', [
        span(1, 1, {
          resource: { 'service.name': '"shop"', 'telemetry.sdk.name': '"x"', 'mlflow.trace.spansLocation': '"y"' },
          attributes: { 'mlflow.traceTag.team': '"red"', 'mlflow.traceTag.mlflow.traceName': '"named"' },
        }),
      ])
      const { tags } = await traces.info(idOf(1))
      expect(tags).toMatchObject({ 'service.name': 'shop', team: 'red', 'mlflow.traceName': 'named' })
      expect(tags['mlflow.trace.spansLocation']).toBe('TRACKING_STORE')
      expect(tags['telemetry.sdk.name']).toBeUndefined()
    })
  })

  describe('a whole trace', () => {
    beforeEach(forget)

    it('is waited for until as many spans are there as the client counted', async () => {
      await start(1, { metadata: { 'mlflow.trace.sizeStats': '{"num_spans": 2}' } })
      await traces.logSpans('0', [span(1, 1)])
      whileSleeping = async () => {
        if (slept.length === 2) await traces.logSpans('0', [span(1, 2, parent(1))])
      }
      const { spans } = await traces.whole(idOf(1), { partial: false })
      expect([spans.length, slept.length]).toEqual([2, 2])
    })

    it('that stays incomplete is told to be, unless a part will do', async () => {
      await start(1, { metadata: { 'mlflow.trace.sizeStats': '{"num_spans": 2}' } })
      await traces.logSpans('0', [span(1, 1)])
      await expect(traces.whole(idOf(1), { partial: false })).rejects.toThrow('not fully exported yet')
      expect((await traces.whole(idOf(1), { partial: true })).spans).toHaveLength(1)
    })

    it('told again keeps what the new telling leaves out', async () => {
      await start(1, { tags: { a: '1' }, metadata: { m: '1' }, requestPreview: 'in' })
      await start(1, { tags: { b: '2' }, state: 'ERROR' })
      const info = await traces.info(idOf(1))
      expect(info).toMatchObject({ state: 'ERROR', requestPreview: 'in', metadata: { m: '1' } })
      expect(info.tags).toMatchObject({ a: '1', b: '2' })
    })

    it('is refused in an experiment that was deleted', async () => {
      const experimentId = await tracking.createExperiment({ name: 'gone' })
      await tracking.setExperimentLifecycle(experimentId, 'deleted')
      await expect(start(1, { experimentId })).rejects.toThrow("must be in the 'active' state")
    })

    it('may not hold U+0000, which PostgreSQL cannot keep', async () => {
      await expect(start(1, { tags: { a: 'x\0y' } })).rejects.toThrow('U+0000')
    })
  })

  async function seed(): Promise<void> {
    await forget()
    await start(1, { tags: { team: 'red', 'mlflow.traceName': 'ask' }, metadata: { 'mlflow.trace.session': 's1' } })
    await start(2, { state: 'ERROR', tags: { team: 'Blue', 'mlflow.traceName': 'answer' }, durationMs: undefined })
    await start(3, { clientRequestId: 'c-3', metadata: { 'mlflow.trace.session': 's1', region: 'eu' } })
    await traces.logSpans('0', [
      span(1, 1, {
        name: 'root',
        attributes: { model: '"gpt-4"', count: '5', 'mlflow.spanType': '"CHAIN"' },
      }),
      span(1, 2, {
        ...parent(1),
        name: 'llm',
        status: { code: 'ERROR', message: 'x' },
        attributes: { note: '"50% off"' },
      }),
    ])
    await traces.logSpans('0', [span(2, 1, { name: 'llm', attributes: { model: '"claude"', more: '"gpt-4"' } })])
    await assess(1, 'quality', '0.5')
    await assess(2, 'quality', '0.9')
    await assess(2, 'tone', '"kind"')
    await assess(2, 'right', 'true', { kind: 'expectation' })
  }

  describe('search', () => {
    beforeAll(seed)

    it.each([
      ['', [3, 2, 1]],
      ["status = 'ERROR'", [2]],
      ["attributes.status != 'ERROR'", [3, 1]],
      ["trace.status IN ('OK', 'IN_PROGRESS')", [3, 1]],
      ['timestamp_ms > 1000001', [3, 2]],
      ['timestamp >= 1000002.5', [3]],
      ['execution_time < 99999999999999999999999', [3, 1]],
      ['end_time_ms = 1000002', [2, 1]],
      [`request_id NOT IN ('${'tr-'.padEnd(34, '0')}1')`, [3, 2]],
      ["client_request_id LIKE 'c-%'", [3]],
      ["name = 'ask'", [1]],
      ["tags.name = 'ask'", [1]],
      ["name RLIKE '^a(sk|nswer)$'", [2, 1]],
      ["tag.team ILIKE 'b%'", [2]],
      ["tags.team LIKE 'b%'", []],
      ["tags.team != 'red'", [2]],
      ['tags.team IS NULL', [3]],
      ['tag.team IS NOT NULL', [2, 1]],
      ["metadata.`mlflow.trace.session` = 's1'", [3, 1]],
      ["request_metadata.region RLIKE 'e.'", [3]],
      ['metadata.region IS NULL', [2, 1]],
      ["span.name = 'llm'", [2, 1]],
      ["span.name = 'llm' AND span.status = 'ERROR'", [1]],
      ["span.name = 'root' AND span.status = 'ERROR'", []],
      ["span.type IN ('CHAIN', 'TOOL')", [1]],
      ["span.attributes.model LIKE '%gpt%'", [2, 1]],
      ["span.attributes.model = 'gpt-4'", [1]],
      ["span.attributes.count = '5'", [1]],
      ["span.attributes.model != 'gpt-4'", [2]],
      ["span.attributes.model IN ('claude', 'x')", [2]],
      ["span.attributes.model RLIKE '^gpt'", [1]],
      ["span.attributes.model RLIKE 'pt-.$'", [1]],
      ["span.attributes.note = '50% off'", [1]],
      ["span.attributes.note = '50_ off'", []],
      ["trace.text LIKE '%claude%'", [2]],
      ["span.content ILIKE '%CLAUDE%'", [2]],
      ['feedback.quality > 0.6', [2]],
      ['feedback.quality <= 0.5', [1]],
      ["span.attributes.`model` = 'claude'", [2]],
      ["feedback.tone = 'kind'", [2]],
      ["feedback.tone != 'kind'", []],
      ["feedback.tone LIKE '%ind%'", [2]],
      ["expectation.right = 'true'", [2]],
      ["feedback.right = 'true'", []],
      ['feedback.tone IS NULL', [3, 1]],
      ['feedback.tone IS NOT NULL', [2]],
      ["status = 'OK' AND feedback.quality IS NOT NULL AND name = 'ask'", [1]],
    ])('%s', async (filter, expected) => {
      expect(await found(filter)).toEqual(expected)
    })

    it.each([
      ['status > 1', 'Invalid comparator'],
      ["timestamp_ms > 'soon'", 'Expected numeric value'],
      ["tags.team IN ('a')", 'Invalid comparator'],
      ["name IN ('ask')", 'Invalid comparator'],
      ["nonsense = 'x'", 'Invalid attribute key'],
      ["stuff.x = 'x'", 'Invalid entity type'],
      ["span.kind = 'x'", 'Invalid span attribute'],
      ["span.content = 'x'", 'comparator'],
      ["prompt LIKE 'a/1'", "Only '=' is supported"],
      ["prompt = 'a'", 'Expected format'],
      ["feedback.quality > '0.5'", 'Expected a numeric value'],
      ['feedback.quality = 0.5', 'Expected a quoted string'],
      ["name RLIKE '('", 'Invalid regular expression'],
      ["name RLIKE '(a)\\1'", 'Invalid regular expression'],
      ["status = 'OK' OR status = 'ERROR'", 'Invalid clause'],
      ["status = 'OK'; drop table traces", 'multiple expression'],
    ])('refuses %s', async (filter, words) => {
      await expect(found(filter)).rejects.toThrow(words)
    })
  })

  describe('a search', () => {
    beforeEach(seed)

    it('holds an assessment of a session for each of its traces, until it is no longer valid', async () => {
      const { assessmentId } = await assess(1, 'whole', '"good"', { metadata: { 'mlflow.trace.session': 's1' } })
      expect(await found("feedback.whole = 'good'")).toEqual([3, 1])
      await assess(1, 'whole', '"bad"', { overrides: assessmentId })
      expect(await found("feedback.whole = 'good'")).toEqual([])
    })

    it.each([
      [['timestamp_ms ASC'], [1, 2, 3]],
      [['execution_time DESC'], [3, 1, 2]],
      [['tags.team'], [2, 1, 3]],
      [['tags.team DESC'], [1, 2, 3]],
      [
        ['status', 'name DESC'],
        [2, 1, 3],
      ],
      [['metadata.region'], [3, 2, 1]],
    ])('ordered by %j', async (orderBy, expected) => {
      expect(await found('', { orderBy })).toEqual(expected)
    })

    it('pages through all, each once, with tokens that belong to their own question', async () => {
      const page = (pageToken?: string, orderBy = ['tags.team DESC']) =>
        traces.search({ experimentIds: ['0'], limit: 1, orderBy, ...(pageToken ? { pageToken } : {}) })
      const ids: string[] = []
      let token: string | undefined
      do {
        const { items, nextPageToken } = await page(token)
        ids.push(...items.map((info) => info.traceId))
        token = nextPageToken
      } while (token)
      expect(ids).toEqual([idOf(1), idOf(2), idOf(3)])
      const { nextPageToken } = await page()
      await expect(page(nextPageToken, ['name'])).rejects.toThrow('page token')
    })

    it('finds the traces of a run: those made in it and those linked to it', async () => {
      const { runId } = await transact(db, (tx) => tracking.startRun(tx, { experimentId: '0', startedAt: 1 }))
      await start(4, { metadata: { 'mlflow.sourceRun': runId } })
      await traces.linkToRun([idOf(2), idOf(2)], runId)
      await traces.linkToRun([idOf(2)], runId)
      expect(await found(`run_id = '${runId}'`)).toEqual([4, 2])
    })

    it('finds the traces of a version of a prompt', async () => {
      await traces.linkPrompts(idOf(3), [{ name: 'greet', version: '2' }])
      expect(await found("prompt = 'greet/2'")).toEqual([3])
      expect(await found("prompt = 'greet/1'")).toEqual([])
    })

    it('tells how two filters go together', async () => {
      const ask = (filter1: string, filter2: string) => traces.correlation({ experimentIds: ['0'], filter1, filter2 })
      expect(await ask("status = 'OK'", "metadata.`mlflow.trace.session` = 's1'")).toMatchObject({
        npmi: 1,
        filter1Count: 2,
        filter2Count: 2,
        jointCount: 2,
        totalCount: 3,
      })
      expect(await ask("status = 'OK'", "status = 'ERROR'")).toMatchObject({ npmi: -1, jointCount: 0 })
      expect((await ask("status = 'OK'", "name = 'none'")).npmi).toBeNaN()
    })
  })

  describe('tags', () => {
    beforeEach(forget)

    it('are set, replaced and deleted; the name is one of them', async () => {
      await start(1)
      await traces.setTag(idOf(1), 'a', '1')
      await traces.setTag(idOf(1), 'a', '2')
      await traces.setTag(idOf(1), 'mlflow.traceName', 'n')
      expect((await traces.info(idOf(1))).tags).toMatchObject({ a: '2', 'mlflow.traceName': 'n' })
      await traces.deleteTag(idOf(1), 'mlflow.traceName')
      await traces.deleteTag(idOf(1), 'a')
      await expect(traces.deleteTag(idOf(1), 'a')).rejects.toThrow(`No trace tag with key 'a' for trace with ID`)
      await expect(traces.deleteTag(idOf(1), 'mlflow.traceName')).rejects.toThrow('No trace tag with key')
    })

    it('are cut beyond 8,000 characters, and their keys are limited', async () => {
      await start(1)
      await traces.setTag(idOf(1), 'long', 'x'.repeat(9000))
      expect((await traces.info(idOf(1))).tags.long).toHaveLength(8000)
      await expect(traces.setTag(idOf(1), 'k'.repeat(251), 'v')).rejects.toThrow('maximum length of 250')
      await expect(traces.setTag(idOf(9), 'a', 'b')).rejects.toThrow('not found')
    })
  })

  describe('deletion', () => {
    beforeEach(forget)

    it('by time takes the oldest first, with all that belongs to them', async () => {
      for (const n of [1, 2, 3]) await start(n, { tags: { a: 'b' } })
      await traces.logSpans('0', [span(1, 1)])
      await assess(1, 'q', '1.0')
      expect(await traces.delete({ experimentId: '0', until: 1_000_003, limit: 2 })).toBe(2)
      expect(await found('')).toEqual([3])
      expect(await traces.spanContents(idOf(1))).toEqual([])
      for (const table of ['trace_tags', 'trace_metadata', 'trace_assessments'] as const)
        expect(await db.selectFrom(table).selectAll().where('trace_id', '=', idOf(1)).execute()).toEqual([])
    })

    it('by ids leaves traces of other experiments alone', async () => {
      const other = await tracking.createExperiment({ name: 'other' })
      await start(1)
      await start(2, { experimentId: other })
      expect(await traces.delete({ experimentId: '0', traceIds: [idOf(1), idOf(2), idOf(9)] })).toBe(1)
      expect((await traces.info(idOf(2))).experimentId).toBe(other)
    })

    it('of more than one slice deletes all', async () => {
      await traces.logSpans(
        '0',
        Array.from({ length: 450 }, (_, n) => span(n, 1)),
      )
      expect(await traces.delete({ experimentId: '0', until: 2_000_000_000_000 })).toBe(450)
      expect(await found('')).toEqual([])
    })

    it.each([
      [{}, 'must be specified'],
      [{ until: 1, traceIds: ['a'] }, 'Only one of'],
      [{ traceIds: ['a'], limit: 1 }, "can't be specified"],
      [{ until: 1, limit: 0 }, 'must be a positive integer'],
    ])('refuses %j', async (asked, words) => {
      await expect(traces.delete({ experimentId: '0', ...asked })).rejects.toThrow(words)
    })
  })

  describe('assessments', () => {
    beforeEach(async () => {
      await forget()
      await start(1)
    })

    it('override one another, and give way again when they are deleted', async () => {
      const first = await assess(1, 'q', '0.5')
      const second = await assess(1, 'q', '0.7', { overrides: first.assessmentId })
      expect((await traces.assessment(idOf(1), first.assessmentId)).valid).toBe(false)
      await traces.deleteAssessment(idOf(1), second.assessmentId)
      expect((await traces.assessment(idOf(1), first.assessmentId)).valid).toBe(true)
      await traces.deleteAssessment(idOf(1), second.assessmentId)
    })

    it('that override what is not there are not kept', async () => {
      await expect(assess(1, 'q', '1.0', { overrides: 'a-none' })).rejects.toThrow("'a-none' not found")
      expect((await traces.info(idOf(1))).assessments).toEqual([])
    })

    it('are changed in part; their metadata grows', async () => {
      const { assessmentId } = await assess(1, 'q', '"no"', { metadata: { a: '1', b: '2' }, rationale: 'r' })
      await traces.updateAssessment(idOf(1), assessmentId, {
        feedback: { value: '"yes"', error: { code: 'E', message: 'm' } },
        metadata: { b: '3' },
      })
      expect(await traces.assessment(idOf(1), assessmentId)).toMatchObject({
        name: 'q',
        value: '"yes"',
        error: { code: 'E', message: 'm' },
        rationale: 'r',
        metadata: { a: '1', b: '3' },
      })
    })

    it('stay of their kind', async () => {
      const { assessmentId } = await assess(1, 'q', '1.0', { kind: 'expectation' })
      const change = { feedback: { value: '2.0', error: undefined } }
      await expect(traces.updateAssessment(idOf(1), assessmentId, change)).rejects.toThrow(
        'Cannot update feedback value',
      )
    })

    it('belong to their trace', async () => {
      const { assessmentId } = await assess(1, 'q', '1.0')
      await start(2)
      await expect(traces.assessment(idOf(2), assessmentId)).rejects.toThrow('not found for trace')
      await expect(traces.assessment(idOf(3), assessmentId)).rejects.toThrow('Trace with request_id')
      await expect(assess(3, 'q', '1.0')).rejects.toThrow('not found')
    })
  })

  describe('metrics', () => {
    const ask = (question: Partial<MetricQuestion>) =>
      traces.metrics({
        experimentIds: ['0'],
        view: 'TRACES',
        metric: 'latency',
        aggregations: [{ type: 'AVG' }],
        dimensions: [],
        filters: [],
        intervalSeconds: undefined,
        from: undefined,
        to: undefined,
        limit: 1000,
        ...question,
      })

    beforeEach(async () => {
      await forget()
      for (const [n, durationMs] of [10, 20, 30, 40].entries())
        await start(n, {
          startedAt: n < 2 ? 3_600_000 : 7_200_001,
          durationMs,
          tags: { 'mlflow.traceName': n === 3 ? 'b' : 'a' },
          metadata: {
            'mlflow.trace.session': n < 2 ? 's' : `s${n}`,
            'mlflow.trace.tokenUsage': `{"input_tokens": ${n}}`,
          },
        })
    })

    it('average, bound and interpolate', async () => {
      const aggregations = [
        { type: 'AVG' },
        { type: 'MIN' },
        { type: 'MAX' },
        { type: 'PERCENTILE', percent: 50 },
        { type: 'PERCENTILE', percent: 90 },
        { type: 'PERCENTILE', percent: 100 },
      ] as const
      // Linear between the closest ranks: of 10, 20, 30, 40 the 90th is 0.7 of the way from 30 to 40.
      expect(await ask({ aggregations })).toEqual([
        {
          metric: 'latency',
          dimensions: {},
          values: { AVG: 25, MIN: 10, MAX: 40, 'P50.0': 25, 'P90.0': 37, 'P100.0': 40 },
        },
      ])
    })

    it('by name', async () => {
      expect(await ask({ dimensions: ['trace_name'], aggregations: [{ type: 'PERCENTILE', percent: 50 }] })).toEqual([
        { metric: 'latency', dimensions: { trace_name: 'a' }, values: { 'P50.0': 20 } },
        { metric: 'latency', dimensions: { trace_name: 'b' }, values: { 'P50.0': 40 } },
      ])
    })

    it('by hour', async () => {
      const asked = { metric: 'trace_count', aggregations: [{ type: 'COUNT' } as const], intervalSeconds: 3600 }
      expect(await ask({ ...asked, from: 0, to: 7_200_001 })).toEqual([
        { metric: 'trace_count', dimensions: { time_bucket: '1970-01-01T01:00:00+00:00' }, values: { COUNT: 2 } },
        { metric: 'trace_count', dimensions: { time_bucket: '1970-01-01T02:00:00+00:00' }, values: { COUNT: 2 } },
      ])
      await expect(ask(asked)).rejects.toThrow('start_time_ms and end_time_ms are required')
    })

    it('count sessions once, and sum tokens within a time', async () => {
      expect((await ask({ metric: 'session_count', aggregations: [{ type: 'COUNT' }] }))[0]!.values).toEqual({
        COUNT: 3,
      })
      const sum = await ask({ metric: 'input_tokens', aggregations: [{ type: 'SUM' }], from: 7_000_000 })
      expect(sum[0]!.values).toEqual({ SUM: 5 })
    })

    it.each([
      [["trace.status = 'OK'", "trace.tag.`mlflow.traceName` = 'b'"], 40],
      [["trace.metadata.`mlflow.trace.session` = 's'"], 15],
    ])('filtered by %j', async (filters, average) => {
      expect((await ask({ filters }))[0]!.values).toEqual({ AVG: average })
    })

    it('of spans by model, and of assessments that are valid', async () => {
      const cost = (usd: number) => ({ 'mlflow.llm.cost': `{"total_cost": ${usd}}`, 'mlflow.llm.model': '"m"' })
      await traces.logSpans('0', [
        span(0, 1, { attributes: cost(0.5) }),
        span(0, 2, { ...parent(1), attributes: cost(0.25) }),
      ])
      const dimensions = ['span_model_name']
      expect(await ask({ view: 'SPANS', metric: 'total_cost', aggregations: [{ type: 'SUM' }], dimensions })).toEqual([
        { metric: 'total_cost', dimensions: { span_model_name: 'm' }, values: { SUM: 0.75 } },
      ])
      const { assessmentId } = await assess(0, 'q', '"yes"')
      await assess(0, 'q', '"no"', { overrides: assessmentId })
      const values = await ask({ view: 'ASSESSMENTS', metric: 'assessment_value', dimensions: ['assessment_name'] })
      expect(values).toEqual([{ metric: 'assessment_value', dimensions: { assessment_name: 'q' }, values: { AVG: 0 } }])
    })

    it.each([
      [{ metric: 'nope' }, 'metric_name must be one of'],
      [{ metric: 'trace_count' }, "Found invalid aggregation_type(s): ['AVG']"],
      [{ dimensions: ['trace_status'] }, 'Found invalid dimension(s)'],
      [{ filters: ["span.name = 'x'"] }, 'only supported for SPANS'],
      [{ filters: ["trace.status != 'OK'"] }, "only '=' operator is supported"],
      [{ filters: ["trace.tag = 'x'"] }, 'requires a key'],
      [{ filters: ["other.x = 'x'"] }, 'Invalid view type'],
    ])('refuse %j', async (asked, words) => {
      await expect(ask(asked)).rejects.toThrow(words)
    })
  })
})
