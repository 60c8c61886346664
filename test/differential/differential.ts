import { type Answer, classOf, type Difference, differences, type Names } from './compare.ts'
import { evaluations } from './families/evaluations.ts'
import { experiments, pick } from './families/experiments.ts'
import { loggedModels } from './families/logged-models.ts'
import { registry } from './families/registry.ts'
import { histories, runs } from './families/runs.ts'
import { traces } from './families/traces.ts'
import { type KnownDifference, knownDifferences } from './known-differences.ts'
import { type Call, type Family, type Kind, World } from './world.ts'

export const families: readonly Family[] = [experiments, runs, histories, loggedModels, registry, traces, evaluations]

const callsOfEpisode = 90
const mostPages = 4

/** One kind of difference, with the first example of it. */
export type Found = {
  class: string
  count: number
  call: Call
  difference: Difference
  stock: unknown
  ours: unknown
  atCall: number
}
export type Outcome = {
  calls: number
  requests: number
  refused: number
  episodes: number
  known: Map<KnownDifference, number>
  found: Map<string, Found>
}

export type Send = (call: Call) => Promise<Answer>
export type Side = { send: Send; names: Names }

/** The same seeded calls to both; what differs, by kind. */
export class Differential {
  readonly #world: World
  readonly #families: readonly Family[]
  readonly #stock: Side
  readonly #ours: Side
  #apart = false
  readonly outcome: Outcome = { calls: 0, requests: 0, refused: 0, episodes: 0, known: new Map(), found: new Map() }

  constructor(asked: { seed: number; families: readonly Family[]; stock: Side; ours: Side }) {
    this.#world = new World(asked.seed)
    this.#families = asked.families
    this.#stock = asked.stock
    this.#ours = asked.ours
  }

  async run(calls: number): Promise<Outcome> {
    while (this.outcome.calls < calls) await this.#episode(Math.min(callsOfEpisode, calls - this.outcome.calls))
    return this.outcome
  }

  async #episode(calls: number): Promise<void> {
    this.#world.beginEpisode()
    this.outcome.episodes += 1
    this.#apart = false
    for (const make of [newExperiment, newExperiment, newRun, newRun]) await this.#make(make(this.#world))
    for (let index = 0; index < calls && !this.#apart; index++) await this.#make(this.#next())
  }

  #next(): Call {
    const makers = this.#families.map(({ weight, call }) => [weight, call] as const)
    return spoiled(this.#world, pick(this.#world, makers))
  }

  async #make(call: Call): Promise<void> {
    this.outcome.calls += 1
    const answers = await this.#both(call, call)
    if (call.paged) await this.#nextPages(call, answers)
  }

  async #nextPages(call: Call, first: Answers): Promise<void> {
    let answers = first
    for (let page = 1; page < mostPages; page++) {
      const [theirs, own] = [tokenOf(answers.stock), tokenOf(answers.ours)]
      if (!theirs || !own) return
      answers = await this.#both(withToken(call, theirs), withToken(call, own))
    }
  }

  async #both(toStock: Call, toOurs: Call): Promise<Answers> {
    const [stock, ours] = await Promise.all([this.#ask(this.#stock, toStock), this.#ask(this.#ours, toOurs)])
    this.outcome.requests += 1
    if (stock.status >= 400) this.outcome.refused += 1
    const neutral = (side: Side, { status, body }: Answer): Answer => ({ status, body: side.names.neutral(body) })
    // What is about to be made gets its symbol before answers are compared.
    if (toStock.makes) this.#bind(toStock.makes, { stock, ours })
    const [theirs, own] = [neutral(this.#stock, stock), neutral(this.#ours, ours)]
    for (const difference of differences(theirs, own)) this.#note(toStock, difference, theirs, own)
    if (stock.status < 300 !== ours.status < 300 && toStock.method !== 'GET' && !toStock.path.endsWith('/search'))
      this.#apart = true
    return { stock, ours }
  }

  #ask = (side: Side, call: Call): Promise<Answer> =>
    side.send({
      ...call,
      path: side.names.render(call.path),
      body: side.names.render(call.body),
      query: side.names.render(call.query),
    })

  #bind({ kind, at }: { kind: Kind; at: string }, { stock, ours }: Answers): void {
    const [theirs, own] = [valueAt(stock.body, at), valueAt(ours.body, at)]
    if (typeof theirs !== 'string' || typeof own !== 'string') return
    const symbol = this.#world.nextSymbol(kind)
    this.#stock.names.bind(theirs, symbol)
    this.#ours.names.bind(own, symbol)
    this.#world.add(kind, symbol)
  }

  #note(call: Call, difference: Difference, stock: Answer, ours: Answer): void {
    const endpoint = endpointOf(call)
    const known = knownDifferences.find((one) => isOf(one, endpoint, difference))
    if (known) {
      this.outcome.known.set(known, (this.outcome.known.get(known) ?? 0) + 1)
      return
    }
    const name = classOf(endpoint, difference)
    const before = this.outcome.found.get(name)
    if (before) before.count += 1
    else
      this.outcome.found.set(name, { class: name, count: 1, call, difference, stock, ours, atCall: this.outcome.calls })
  }
}

type Answers = { stock: Answer; ours: Answer }

export const isOf = (known: KnownDifference, endpoint: string, { field, stock, ours }: Difference): boolean =>
  known.field.test(field) &&
  (known.endpoint?.test(endpoint) ?? true) &&
  (known.stock?.test(stock) ?? true) &&
  (known.ours?.test(ours) ?? true)

const newExperiment = (world: World): Call => ({
  method: 'POST',
  path: '/api/2.0/mlflow/experiments/create',
  body: { name: world.name(`x${world.unique()}`) },
  makes: { kind: 'experiment', at: 'experiment_id' },
})

const newRun = (world: World): Call => ({
  method: 'POST',
  path: '/api/2.0/mlflow/runs/create',
  body: {
    experiment_id: world.all('experiment')[0],
    start_time: world.unique() * 1000,
    run_name: `r${world.unique()}`,
  },
  makes: { kind: 'run', at: 'run.info.run_id' },
})

/** A search without its restriction would see what other episodes left; runs without a start have no order. */
const unspoiled = ['filter', 'experiment_ids', 'locations', 'start_time']

/** Now and then a field is missing, of another type, spelt otherwise, or one too many. */
function spoiled(world: World, call: Call): Call {
  const { values } = world
  if (!call.body || !values.chance(0.08)) return call
  const names = Object.keys(call.body).filter((name) => call.body?.[name] !== undefined)
  if (names.length === 0) return call
  const name = values.of(names)
  const { [name]: value, ...rest } = call.body
  const body = values.of<() => Record<string, unknown>>([
    () => rest,
    () => ({ ...call.body, [name]: values.anything() }),
    () => ({ ...call.body, [name]: values.anything() }),
    () => ({ ...call.body, surplus: values.anything() }),
    () => ({ ...rest, [camelCase(name)]: value }),
    () => ({ ...call.body, [name]: null }),
  ])()
  if (unspoiled.includes(name)) return call
  return { ...call, body }
}

const camelCase = (name: string): string => name.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase())

const endpointOf = ({ method, path }: Call): string => `${method} ${path.replace(/⟦[^⟧]*⟧/g, ':id')}`

const tokenOf = ({ body }: Answer): string | undefined => {
  const token = valueAt(body, 'next_page_token')
  return typeof token === 'string' && token !== '' ? token : undefined
}

const withToken = (call: Call, token: string): Call =>
  call.method === 'GET'
    ? { ...call, query: { ...call.query, page_token: token } }
    : { ...call, body: { ...call.body, page_token: token } }

function valueAt(body: unknown, at: string): unknown {
  let value: unknown = body
  for (const name of at.split('.')) value = (value as Record<string, unknown> | undefined)?.[name]
  return value
}
