// Models served by Python and as ONNX, side by side: what any client is answered must be the same, also what it is refused.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { convertModel, readMlmodel } from '../../../src/serving/serve/index.ts'
import { post, serveModel } from '../../dialects/serving/serve-model.ts'

type Cell = number | string | boolean | null
/** `mayRefuse`: MLflow makes something of nonsense (a list for a text, a number too large for an integer); refusing it is right as well. */
type Request = { path: string; type: string; body: string; mayRefuse?: boolean }
type Answer = { status: number; body: unknown }

/** How many models were not served alike. @param models as make_served.py makes them */
export async function checkDoors(python: string, models: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-doors-'))
  try {
    let failed = 0
    for (const name of readdirSync(models).filter((one) => one !== 'own-code'))
      if (!(await checkModel(name, join(models, name), python, join(folder, name)))) failed++
    return failed
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function checkModel(name: string, model: string, python: string, scratch: string): Promise<boolean> {
  const graphPath = join(scratch, 'onnx')
  const { signal } = new AbortController()
  const parts = { pythonPath: python, env: {}, scratch, signal }
  await convertModel({ model, output: graphPath, tolerance: 1e-5, answerOnly: true }, parts)
  const [original, converted] = await Promise.all([
    serveModel(model, { pythonPath: python }),
    serveModel(model, { graphPath }),
  ])
  try {
    const problems: string[] = []
    const requests = requestsFor(model)
    for (const request of requests) {
      const [theirs, ours] = [await ask(original.url, request), await ask(converted.url, request)]
      if (request.mayRefuse && ours.status === 400 && theirs.status <= 400) continue
      if (!alike(comparable(theirs), comparable(ours)))
        problems.push(
          `${request.path} ${request.type} ${request.body.slice(0, 300)}\n    Python ${shown(theirs)}\n    ONNX   ${shown(ours)}`,
        )
    }
    console.log(
      `${problems.length === 0 ? 'ok     ' : 'FAILED '} ${name}, served by both: ${requests.length - problems.length} of ${requests.length} requests answered alike`,
    )
    for (const problem of problems) console.log(`  ${problem}`)
    return problems.length === 0
  } finally {
    await Promise.all([original.stop(), converted.stop()])
  }
}

const shown = (answer: Answer): string => `${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`

async function ask(url: string, { path, type, body }: Request): Promise<Answer> {
  const response =
    path === 'metadata' ? await fetch(`${url}/v2/models/m`) : await post(url + path, body, { 'content-type': type })
  const text = await response.text()
  try {
    return { status: response.status, body: JSON.parse(text) }
  } catch {
    return { status: response.status, body: text }
  }
}

/** Of refusals the status and the code: MLflow's words carry Python's own. */
function comparable({ status, body }: Answer): unknown {
  if (status === 200) return { status, body: withoutPlatform(body) }
  return { status, code: (body as { error_code?: string }).error_code }
}

const withoutPlatform = (body: unknown): unknown =>
  typeof body === 'object' && body !== null ? { ...body, platform: undefined, id: undefined } : body

/** Equal, numbers within what was proved. */
function alike(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(a))
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return Array.isArray(a) === Array.isArray(b) && [...keys].every((key) => alike(a[key as never], b[key as never]))
}

function requestsFor(model: string): Request[] {
  const { facts } = readMlmodel(model)
  // MLflow writes NaN, which is no JSON.
  const written = readFileSync(join(model, 'serving_input_example.json'), 'utf8').replaceAll(/\bNaN\b/g, 'null')
  const example = JSON.parse(written) as {
    dataframe_split?: { columns: string[]; data: Cell[][] }
    inputs?: Cell[][]
  }
  const rows = (example.dataframe_split?.data ?? example.inputs ?? []).slice(0, 4)
  const names = example.dataframe_split?.columns ?? rows[0]!.map((_, index) => String(index))
  const records = rows.map((row) => Object.fromEntries(row.map((value, at) => [names[at]!, value])))
  const column = (at: number) => rows.map((row) => row[at]!)
  const byName = Object.fromEntries(names.map((name, at) => [name, column(at)]))
  const first = records[0]!
  const [name0] = names as [string]
  const json = (body: unknown, mayRefuse = false): Request => ({
    mayRefuse,
    path: '/invocations',
    type: 'application/json',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const csv = (lines: readonly (readonly unknown[])[]): Request => ({
    path: '/invocations',
    type: 'text/csv',
    body: lines.map((line) => line.map((cell) => cell ?? '').join(',')).join('\n'),
  })
  const infer = (inputs: unknown, more: object = {}): Request => ({
    path: '/v2/models/m/infer',
    type: 'application/json',
    body: JSON.stringify({ inputs, ...more }),
  })
  const isNonsense = (value: unknown) =>
    typeof value === 'object' ? value !== null : typeof value === 'number' && value > 2 ** 31
  const odd = (value: unknown) =>
    names.flatMap((name) => [
      json({ dataframe_records: [{ ...first, [name]: value }, first] }, isNonsense(value)),
      json({ dataframe_records: [{ ...first, [name]: value }] }, isNonsense(value)),
      json(
        { dataframe_split: { columns: names, data: [names.map((one) => (one === name ? value : first[one]))] } },
        isNonsense(value),
      ),
      json(
        { inputs: { ...Object.fromEntries(names.map((one) => [one, [first[one]]])), [name]: [value] } },
        isNonsense(value),
      ),
      json({ instances: [{ ...first, [name]: value }] }, isNonsense(value)),
    ])
  const forms = [
    json({ dataframe_split: { columns: names, data: rows } }),
    json({ dataframe_split: { columns: names, data: rows, index: rows.map((_, at) => at + 7) } }),
    json({ dataframe_split: { columns: names.toReversed(), data: rows.map((row) => row.toReversed()) } }),
    json({ dataframe_split: { data: rows } }),
    json({ dataframe_split: { columns: names, data: [] } }),
    json({ dataframe_split: { columns: [...names, 'more'], data: rows.map((row) => [...row, 1]) } }),
    json({ dataframe_split: { columns: names.slice(1), data: rows.map((row) => row.slice(1)) } }),
    json({ dataframe_split: { columns: names, data: [rows[0]!.slice(1)] } }),
    json({ dataframe_records: records }),
    json({ dataframe_records: [] }),
    json({ dataframe_records: [first, {}] }),
    json({ dataframe_records: records, params: { more: 1 } }),
    json({ dataframe_records: records, params: null }),
    json({ dataframe_records: records, surplus: 1 }),
    json({ instances: records }),
    json({ instances: rows }),
    json({ instances: rows[0] }),
    json({ instances: [] }, true),
    json({ inputs: byName }),
    json({ inputs: records }),
    json({ inputs: rows }),
    json({ inputs: rows.map((row) => row.slice(1)) }, true),
    json({ inputs: rows[0] }),
    json({ inputs: rows[0]![0] }),
    json({ inputs: first }),
    json({ inputs: [] }),
    json({ inputs: {} }),
    json({ inputs: { ...byName, more: column(0) } }),
    json({ inputs: { ...byName, [name0]: [1] } }),
    json({ inputs: [rows] }, true),
    json({ messages: [{ role: 'user', content: 'hi' }] }),
    json({ prompt: 'hi' }),
    json({ input: ['a'] }),
    json({ inputs: rows, instances: rows }),
    ...['', '{', '[]', '3', '{}', '{"predictions": []}'].map((text) => json(text)),
    json('{"inputs": NaN}', true),
    json(
      `{"dataframe_split": {"columns": ${JSON.stringify(names)}, "data": [${JSON.stringify(rows[0]).replace(/null|-?\d[^,\]]*/, 'NaN')}]}}`,
    ),
    csv([names, ...rows]),
    csv([names]),
    csv([names.toReversed(), ...rows.map((row) => row.toReversed())]),
    csv([names, ...rows.map((row) => row.map((cell, at) => (at === 0 ? null : cell)))]),
    csv([names, ['x', ...rows[0]!.slice(1)]]),
    csv([[]]),
    { ...csv([names, ...rows]), type: 'text/csv; charset=latin-1' },
    { path: 'metadata', type: '', body: '' },
  ]
  const odds = [
    null,
    1,
    1.5,
    -3,
    1e40,
    3_000_000_000,
    2 ** 60,
    true,
    false,
    'x',
    '',
    '7',
    '1.5',
    'nan',
    '5.0',
    'true',
    [1],
    { a: 1 },
  ].flatMap(odd)
  const raw = names.flatMap((name) =>
    ['5.0', '1e2', '1E400', '-0.0', '12345678901234567890'].map((number) =>
      json(
        JSON.stringify({ dataframe_records: [{ ...first, [name]: '@' }] }).replace('"@"', number),
        number.length > 10,
      ),
    ),
  )
  const tensor = (name: string, datatype: string, shape: number[], data: unknown) => ({ name, datatype, shape, data })
  const n = rows.length
  const columnTensors = facts.inputs.map(({ name, datatype }, at) => tensor(name, datatype, [n], column(at)))
  const tensors =
    facts.signature === 'columns'
      ? [
          infer(columnTensors),
          infer(columnTensors.toReversed()),
          infer(columnTensors, { id: '7', outputs: [{ name: 'output-0' }] }),
          infer(columnTensors, { outputs: [{ name: 'probability_1' }] }),
          infer(columnTensors.map((one) => ({ ...one, shape: [n, 1] }))),
          infer(columnTensors.slice(1)),
          infer(columnTensors.map((one) => ({ ...one, shape: [1], data: [null] }))),
          infer(columnTensors.map((one) => ({ ...one, shape: [0], data: [] }))),
          infer([...columnTensors, tensor('more', 'FP64', [n], [1, 2, 3, 4])]),
          ...['FP64', 'FP32', 'INT64', 'INT32', 'INT8', 'UINT8', 'BOOL', 'BYTES'].flatMap((datatype) => [
            infer(
              columnTensors.map((one) => ({
                ...one,
                datatype,
                shape: [1],
                data: [datatype === 'BYTES' ? 'x' : datatype === 'BOOL' ? true : 1],
              })),
            ),
            infer([
              tensor(
                'x',
                datatype,
                [2, names.length],
                Array(2 * names.length).fill(datatype === 'BYTES' ? 'x' : datatype === 'BOOL' ? true : 1),
              ),
            ]),
          ]),
        ]
      : [
          infer([tensor('x', facts.inputs[0]!.datatype, [n, names.length], rows)]),
          infer([tensor('input-0', facts.inputs[0]!.datatype, [n, names.length], rows)]),
          infer([
            tensor(
              'x',
              'INT64',
              [1, names.length],
              names.map(() => 1),
            ),
          ]),
          infer([tensor('x', facts.inputs[0]!.datatype, [n, 1], column(0))]),
          infer([tensor('x', facts.inputs[0]!.datatype, [0, names.length], [])]),
          infer([tensor('x', facts.inputs[0]!.datatype, [names.length], rows[0])]),
          infer([
            tensor(
              'x',
              facts.inputs[0]!.datatype,
              [1, names.length],
              names.map(() => null),
            ),
          ]),
        ]
  return [...forms, ...odds, ...raw, ...tensors]
}
