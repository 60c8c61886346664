import { AppError } from '../../kernel/errors.ts'
import { parseTraceFilter } from '../../traces/decide/trace-filter.ts'
import { invalid } from '../../tracking/decide/limits.ts'

type Serialized = Record<string, unknown>

/**
 * What a scorer's JSON may hold, as MLflow's server decides it (server/handlers.py, genai/scorers/scorer_utils.py, 3.17.2): no code
 * that would run where it is read, nothing that chooses where a judge sends its requests, no gateway endpoint (there is no gateway).
 * Throws BadRequest, or NotFound for the endpoint.
 */
export function checkSerializedScorer(text: string): void {
  const scorer = parsed(text)
  if (holdsCode(scorer)) throw invalid(codeRefused)
  for (const wrapped of thirdPartyData(scorer)) checkThirdParty(wrapped)
  const model = modelOf(scorer)
  if (model === undefined || model === null) return
  if (typeof model !== 'string') throw invalid(`Scorer model must be a string, got ${typeof model}.`)
  if (model.trim() === '') throw invalid('Scorer model cannot be empty or contain only whitespace.')
  const endpoint = gatewayEndpoint(model)
  if (endpoint !== undefined)
    throw new AppError('NotFound', `GatewayEndpoint not found (name='${endpoint}')`, 'Name a model of a provider.')
}

/** Throws BadRequest for a name of blanks. */
export function checkScorerName(name: string): void {
  if (name.trim() === '') throw invalid('Scorer name cannot be empty or contain only whitespace.')
}

/** Throws BadRequest for what is no share. */
export function checkSampleRate(sampleRate: number): void {
  if (sampleRate >= 0 && sampleRate <= 1) return
  throw invalid(`sample_rate must be between 0.0 and 1.0, got ${sampleRate}`)
}

/** Throws BadRequest for what is no question about traces. */
export function checkTraceFilter(filter: string | undefined): void {
  if (filter) parseTraceFilter(filter)
}

/** Only judges behind MLflow's gateway judge traces as they come in, and there is no gateway. Throws BadRequest for any share. */
export function checkOnlineScoring(name: string, sampleRate: number): void {
  if (sampleRate > 0)
    throw invalid(
      `Scorer '${name}' does not use a gateway model. Automatic evaluation is only supported for scorers that use gateway models.`,
    )
}

const codeRefused = `Custom scorer registration (using @scorer decorator) is disabled by default outside of Databricks tracking environments due to security concerns. Custom scorers require arbitrary code execution during deserialization.

To use custom scorers:
1. Manage your custom scorer code in a source code repository (e.g., GitHub) and import it directly, or
2. Use built-in scorers or make_judge() scorers instead.`

function parsed(text: string): Serialized {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid('serialized_scorer must be valid JSON')
  }
  if (!isObject(value)) throw invalid('serialized_scorer must be a JSON object')
  return value
}

function holdsCode(value: unknown): boolean {
  if (isObject(value) && (value.call_source ?? null) !== null) return true
  return inside(value).some(holdsCode)
}

function thirdPartyData(value: unknown): Serialized[] {
  const own = isObject(value) && isObject(value.third_party_scorer_data) ? [value.third_party_scorer_data] : []
  return [...own, ...inside(value).flatMap(thirdPartyData)]
}

function checkThirdParty({ kwargs }: Serialized): void {
  if (kwargs === undefined || kwargs === null) return
  if (!isObject(kwargs))
    throw invalid(
      `third_party_scorer_data.kwargs must be a JSON object, got ${Array.isArray(kwargs) ? 'list' : typeof kwargs}.`,
    )
  const found = [...new Set(destinationKeys(kwargs))].sort()
  if (found.length > 0)
    throw invalid(
      `third_party_scorer_data.kwargs must not contain ${found.map((key) => `'${key}'`).join(', ')}: these options choose where the ` +
        "scorer's LLM client sends requests. Configure the judge endpoint on the server instead, for example through a gateway " +
        "endpoint ('gateway:/<name>') or the provider's environment variables.",
    )
}

const destinations = new Set(['api_base', 'base_url', 'model_list', 'fallbacks', 'custom_llm_provider'])

/** Options may also come as a list of pairs, as `dict()` takes them. */
function destinationKeys(value: unknown): string[] {
  const own = isObject(value) ? Object.keys(value) : Array.isArray(value) && value.length === 2 ? [value[0]] : []
  const found = own.filter((key): key is string => typeof key === 'string' && destinations.has(key))
  return [...found, ...inside(value).flatMap(destinationKeys)]
}

function modelOf(scorer: Serialized): unknown {
  for (const kind of ['instructions_judge_pydantic_data', 'builtin_scorer_pydantic_data']) {
    const data = scorer[kind]
    if (isObject(data)) return data.model
  }
  const memory = scorer.memory_augmented_judge_data
  if (isObject(memory)) return isObject(memory.base_judge) ? modelOf(memory.base_judge) : undefined
  const wrapped = scorer.third_party_scorer_data
  return isObject(wrapped) ? wrapped.model : undefined
}

const gatewayEndpoint = (model: string): string | undefined => /^gateway:\/+([^/].*)$/s.exec(model)?.[1]

const isObject = (value: unknown): value is Serialized =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const inside = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []
