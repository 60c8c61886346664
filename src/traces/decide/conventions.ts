import { dumps, type PythonValue, plain, unwrapped } from './python-json.ts'

/** Attributes of a span: each value is JSON text. */
export type Attributes = Readonly<Record<string, string>>
export type SpanEvent = { name: string; attributes: Attributes }

/**
 * How one family of libraries names in OpenTelemetry what MLflow calls a span's type, inputs, outputs, tokens and model.
 * Values that are empty (null, "", 0, [], {}) count as absent.
 */
export type Convention = {
  kindKey?: string
  types?: Readonly<Record<string, string>>
  inputs?: readonly (string | RegExp)[]
  outputs?: readonly (string | RegExp)[]
  inputTokens?: readonly string[]
  outputTokens?: readonly string[]
  totalTokens?: readonly string[]
  /** Where its input tokens leave out those that were cached. */
  inputWithoutCache?: boolean
  /** Where not all of its spans count tokens. */
  counts?: (attributes: Attributes) => boolean
  cacheRead?: readonly string[]
  cacheCreation?: readonly string[]
  models?: readonly string[]
  provider?: string
  tools?: string
  /** Where it writes inputs and outputs as events. */
  inputsFromEvents?: (events: readonly SpanEvent[]) => string | undefined
  outputsFromEvents?: (events: readonly SpanEvent[]) => string | undefined
  /** Only spans of which this holds are this family's. */
  applies?: (attributes: Attributes) => boolean
  /** How its messages are to be shown. */
  format?: (attributes: Attributes) => string | undefined
  /** Where a table does not tell it. */
  typeOf?: (attributes: Attributes) => string | undefined
  inputsOf?: (attributes: Attributes) => string | undefined
  outputsOf?: (attributes: Attributes) => string | undefined
}

const genAiTypes = {
  chat: 'CHAT_MODEL',
  create_agent: 'AGENT',
  embeddings: 'EMBEDDING',
  execute_tool: 'TOOL',
  generate_content: 'LLM',
  invoke_agent: 'AGENT',
  text_completion: 'LLM',
  response: 'LLM',
}

/** OpenTelemetry's own: opentelemetry.io/docs/specs/semconv/gen-ai. */
const genAi: Convention = {
  kindKey: 'gen_ai.operation.name',
  types: genAiTypes,
  inputs: ['gen_ai.input.messages', 'gen_ai.tool.call.arguments'],
  outputs: ['gen_ai.output.messages', 'gen_ai.tool.call.result'],
  inputTokens: ['gen_ai.usage.input_tokens'],
  outputTokens: ['gen_ai.usage.output_tokens'],
  cacheRead: ['gen_ai.usage.cache_read.input_tokens'],
  cacheCreation: ['gen_ai.usage.cache_write.input_tokens', 'gen_ai.usage.cache_creation.input_tokens'],
  models: ['gen_ai.response.model', 'gen_ai.request.model'],
  provider: 'gen_ai.provider.name',
  tools: 'gen_ai.tool.definitions',
}

/** github.com/Arize-ai/openinference */
const openInference: Convention = {
  kindKey: 'openinference.span.kind',
  types: sameNames(
    'TOOL',
    'CHAIN',
    'LLM',
    'RETRIEVER',
    'EMBEDDING',
    'AGENT',
    'RERANKER',
    'UNKNOWN',
    'GUARDRAIL',
    'EVALUATOR',
  ),
  inputs: ['input.value'],
  outputs: ['output.value'],
  inputTokens: ['llm.token_count.prompt'],
  outputTokens: ['llm.token_count.completion'],
  totalTokens: ['llm.token_count.total'],
  cacheRead: ['llm.token_count.prompt_details.cache_read'],
  cacheCreation: ['llm.token_count.prompt_details.cache_write'],
  models: ['llm.response.model_name', 'llm.model_name', 'llm.request.model_name', 'embedding.model_name'],
  provider: 'llm.provider',
}

/** Gemini's command line: GenAI's keys with names of its own, shown in Gemini's form of messages. */
const geminiCli: Convention = {
  ...genAi,
  applies: (attributes) => textAt(attributes, 'gen_ai.agent.name') === 'gemini-cli',
  types: { llm_call: 'LLM', tool_call: 'TOOL', agent_call: 'AGENT' },
  format: () => 'gemini',
  inputsOf: (attributes) => {
    const value = firstOf(attributes, genAi.inputs)
    const messages = value === undefined ? undefined : plain(value)
    return Array.isArray(messages) || typeof messages === 'string'
      ? dumps({ contents: withSystemRole(messages, attributes) as PythonValue })
      : value
  },
  outputsOf: (attributes) => {
    const value = firstOf(attributes, genAi.outputs)
    const parts = [plain(value)].flat().flatMap((content) => (content as { parts?: unknown[] } | null)?.parts ?? [])
    if (!Array.isArray(plain(value)) || parts.length === 0) return value
    return dumps({ candidates: [{ content: { role: 'model', parts: parts as PythonValue[] } }] })
  },
}

const claudeTypes: Readonly<Record<string, string>> = {
  'claude_code.interaction': 'AGENT',
  'claude_code.llm_request': 'LLM',
  'claude_code.tool': 'TOOL',
}

const claudeCode: Convention = {
  applies: (attributes) => claudeKind(attributes) !== undefined,
  typeOf: (attributes) => claudeTypes[claudeKind(attributes) ?? ''],
  inputTokens: ['input_tokens'],
  outputTokens: ['output_tokens'],
  cacheRead: ['cache_read_tokens'],
  cacheCreation: ['cache_creation_tokens'],
  inputWithoutCache: true,
  counts: (attributes) => claudeKind(attributes) === 'claude_code.llm_request',
  inputsOf: (attributes) => {
    const kind = claudeKind(attributes)
    if (kind === 'claude_code.tool') return shown(attributes, 'tool_input') ?? toolDetails(attributes)
    const prompt = kind === 'claude_code.interaction' ? shown(attributes, 'user_prompt') : undefined
    return prompt ?? shown(attributes, 'new_context')
  },
  outputsOf: (attributes) => {
    const kind = claudeKind(attributes)
    if (kind === 'claude_code.llm_request') return shown(attributes, 'response.model_output')
    return kind === 'claude_code.tool' ? shown(attributes, 'new_context') : undefined
  },
  outputsFromEvents: (events) => {
    const output = events.find((event) => event.name === 'tool.output')
    return output && ['output', 'content', 'diff'].map((key) => shown(output.attributes, key)).find(Boolean)
  },
}

const springAi: Convention = {
  kindKey: 'gen_ai.operation.name',
  types: { chat: 'CHAT_MODEL', embeddings: 'EMBEDDING' },
  inputTokens: ['gen_ai.usage.input_tokens'],
  outputTokens: ['gen_ai.usage.output_tokens'],
  inputsFromEvents: (events) => eventValue(events, 'gen_ai.content.prompt', 'gen_ai.prompt'),
  outputsFromEvents: (events) => eventValue(events, 'gen_ai.content.completion', 'gen_ai.completion'),
}

/** github.com/traceloop/openllmetry */
const traceloop: Convention = {
  kindKey: 'traceloop.span.kind',
  types: { workflow: 'WORKFLOW', task: 'TASK', agent: 'AGENT', tool: 'TOOL', unknown: 'UNKNOWN' },
  inputs: [
    'traceloop.entity.input',
    /^gen_ai\.prompt\.\d+\.content/,
    /^gen_ai\.completion\.\d+\.tool_calls\.\d+\.arguments/,
  ],
  outputs: ['traceloop.entity.output', /^gen_ai\.completion\.\d+\.content/],
  inputTokens: ['gen_ai.usage.prompt_tokens'],
  outputTokens: ['gen_ai.usage.completion_tokens'],
  totalTokens: ['llm.usage.total_tokens'],
  provider: 'gen_ai.system',
}

const googleAdk: Convention = {
  inputs: ['gcp.vertex.agent.llm_request', 'gcp.vertex.agent.tool_call_args'],
  outputs: ['gcp.vertex.agent.llm_response', 'gcp.vertex.agent.tool_response'],
}

const vercelChat = ['ai.generateText.doGenerate', 'ai.streamText.doStream']

/** Vercel's AI SDK; a chat's request and response are spread over many attributes. */
const vercelAi: Convention = {
  kindKey: 'ai.operationId',
  types: {
    'ai.generateText': 'LLM',
    'ai.generateText.doGenerate': 'LLM',
    'ai.toolCall': 'TOOL',
    'ai.streamText': 'LLM',
    'ai.streamText.doStream': 'LLM',
    'ai.generateObject': 'LLM',
    'ai.generateObject.doGenerate': 'LLM',
    'ai.streamObject': 'LLM',
    'ai.streamObject.doStream': 'LLM',
    'ai.embed': 'EMBEDDING',
    'ai.embed.doEmbed': 'EMBEDDING',
    'ai.embedMany': 'EMBEDDING',
  },
  inputs: ['ai.prompt', 'ai.toolCall.args', 'ai.value', 'ai.values'],
  outputs: ['ai.response.text', 'ai.toolCall.result', 'ai.response.object', 'ai.embedding', 'ai.embeddings'],
  format: (attributes) => (isVercelChat(attributes) ? 'vercel_ai' : undefined),
  inputsOf: (attributes) => (isVercelChat(attributes) ? gathered(attributes, 'ai.prompt.') : undefined),
  outputsOf: (attributes) => (isVercelChat(attributes) ? gathered(attributes, 'ai.response.') : undefined),
}

const voltAgentTypes: Readonly<Record<string, string>> = { agent: 'AGENT', llm: 'LLM', tool: 'TOOL', memory: 'MEMORY' }

const voltAgent: Convention = {
  // A child's entity is its parent's, so the span's own type goes first.
  typeOf: (attributes) =>
    voltAgentTypes[textAt(attributes, 'span.type') ?? ''] ?? voltAgentTypes[textAt(attributes, 'entity.type') ?? ''],
  inputs: ['agent.messages', 'llm.messages', 'input'],
  outputs: ['output'],
  inputTokens: ['usage.prompt_tokens', 'llm.usage.prompt_tokens'],
  outputTokens: ['usage.completion_tokens', 'llm.usage.completion_tokens'],
  totalTokens: ['usage.total_tokens', 'llm.usage.total_tokens'],
  format: (attributes) =>
    'voltagent.operation_id' in attributes || 'voltagent.conversation_id' in attributes ? 'voltagent' : undefined,
}

const liveKit: Convention = {
  ...genAi,
  inputs: ['lk.user_input', 'lk.user_transcript', 'lk.chat_ctx', 'lk.input_text'],
  outputs: ['lk.response.text', 'lk.response.function_calls'],
  typeOf: (attributes) => {
    if ('gen_ai.request.model' in attributes || 'lk.retry_count' in attributes) return 'LLM'
    const keys = Object.keys(attributes)
    if (keys.some((key) => key.startsWith('lk.function_tool'))) return 'TOOL'
    return ['lk.agent_name', 'lk.instructions', 'lk.generation_id'].some((key) => key in attributes)
      ? 'AGENT'
      : undefined
  },
  inputsFromEvents: (events) => eventMessages(events, genAiInputEvents),
  outputsFromEvents: (events) => eventMessages(events, { 'gen_ai.choice': 'assistant' }),
  format: (attributes) => (Object.keys(attributes).some((key) => key.startsWith('lk.')) ? 'livekit' : undefined),
}

const laminar: Convention = {
  kindKey: 'lmnr.span.type',
  types: {
    LLM: 'LLM',
    TOOL: 'TOOL',
    DEFAULT: 'CHAIN',
    PIPELINE: 'CHAIN',
    EXECUTOR: 'AGENT',
    EVALUATOR: 'EVALUATOR',
    HUMAN_EVALUATOR: 'EVALUATOR',
    EVALUATION: 'EVALUATOR',
    CACHED: 'LLM',
  },
  inputs: ['lmnr.span.input'],
  outputs: ['lmnr.span.output'],
  inputTokens: ['gen_ai.usage.input_tokens'],
  outputTokens: ['gen_ai.usage.output_tokens'],
  models: ['gen_ai.response.model', 'gen_ai.request.model'],
  provider: 'gen_ai.system',
  format: (attributes) => ('lmnr.span.type' in attributes ? 'openai' : undefined),
}

const langfuse: Convention = {
  kindKey: 'langfuse.observation.type',
  types: {
    generation: 'LLM',
    embedding: 'EMBEDDING',
    tool: 'TOOL',
    retriever: 'RETRIEVER',
    agent: 'AGENT',
    chain: 'CHAIN',
    evaluator: 'EVALUATOR',
    guardrail: 'GUARDRAIL',
    span: 'UNKNOWN',
  },
  inputs: ['langfuse.observation.input'],
  outputs: ['langfuse.observation.output'],
}

/** In the order in which MLflow asks them: the first that knows an answer gives it. */
export const conventions: readonly Convention[] = [
  openInference,
  geminiCli,
  claudeCode,
  genAi,
  springAi,
  traceloop,
  googleAdk,
  vercelAi,
  voltAgent,
  liveKit,
  laminar,
  langfuse,
]

/** The first of these attributes that has a value. */
export function firstOf(attributes: Attributes, keys: readonly (string | RegExp)[] = []): string | undefined {
  for (const key of keys) {
    const names = typeof key === 'string' ? [key] : Object.keys(attributes).filter((name) => key.test(name))
    for (const name of names) if (isFilled(attributes[name])) return attributes[name]
  }
  return undefined
}

/** An attribute that is a text, as that text. */
export function textAt(attributes: Attributes, key: string): string | undefined {
  const value = plain(attributes[key])
  return typeof value === 'string' ? value : undefined
}

function isFilled(json: string | undefined): json is string {
  if (json === undefined) return false
  const value = plain(json)
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

function sameNames(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, name]))
}

function claudeKind(attributes: Attributes): string | undefined {
  const type = textAt(attributes, 'span.type')
  if (type === undefined) return undefined
  const kind = type.startsWith('claude_code.') ? type : `claude_code.${type}`
  return Object.hasOwn(claudeTypes, kind) ? kind : undefined
}

/** What the user did not ask to keep out of the trace. */
function shown(attributes: Attributes, key: string): string | undefined {
  const value = firstOf(attributes, [key])
  return value !== undefined && plain(value) === '<REDACTED>' ? undefined : value
}

function toolDetails(attributes: Attributes): string | undefined {
  const details = ['full_command', 'file_path', 'skill_name', 'subagent_type'].flatMap((key) => {
    const value = shown(attributes, key)
    return value === undefined ? [] : [[key, plain(value) as PythonValue] as const]
  })
  return details.length === 0 ? undefined : dumps(Object.fromEntries(details))
}

/** The system's prompt is told by the operation, not by the message's role. */
function withSystemRole(messages: unknown[] | string, attributes: Attributes): unknown {
  if (typeof messages === 'string' || textAt(attributes, 'gen_ai.operation.name') !== 'system_prompt') return messages
  return messages.map((message) =>
    (message as { role?: unknown } | null)?.role === 'user' ? { ...(message as object), role: 'system' } : message,
  )
}

const isVercelChat = (attributes: Attributes): boolean =>
  vercelChat.includes(textAt(attributes, 'ai.operationId') ?? '')

function gathered(attributes: Attributes, prefix: string): string | undefined {
  const parts = Object.entries(attributes).filter(([key]) => key.startsWith(prefix))
  if (parts.length === 0) return undefined
  return dumps(Object.fromEntries(parts.map(([key, json]) => [key.slice(prefix.length), unpacked(json)])))
}

/** JSON in texts, up to three deep. */
function unpacked(json: string): PythonValue {
  let value: unknown = json
  for (let depth = 0; depth < 3 && typeof value === 'string'; depth++) {
    const inner = plain(value)
    if (inner === undefined) break
    value = inner
  }
  return Array.isArray(value)
    ? value.map((item) => (typeof item === 'string' ? unpacked(item) : item))
    : (value as PythonValue)
}

/** As it stands: what such a library writes into an event is a text, JSON or not. */
function eventValue(events: readonly SpanEvent[], name: string, key: string): string | undefined {
  const value = events
    .filter((event) => event.name === name)
    .map((event) => event.attributes[key])
    .find(isFilled)
  return value === undefined ? undefined : unwrapped(value)
}

const genAiInputEvents = {
  'gen_ai.system.message': 'system',
  'gen_ai.user.message': 'user',
  'gen_ai.assistant.message': 'assistant',
}

function eventMessages(events: readonly SpanEvent[], roles: Readonly<Record<string, string>>): string | undefined {
  const messages = events.flatMap(({ name, attributes }) => {
    const role = Object.hasOwn(roles, name) ? roles[name] : undefined
    if (role === undefined || !isFilled(attributes.content)) return []
    const told = name === 'gen_ai.choice' ? textAt(attributes, 'role') : undefined
    return [{ role: told ?? role, content: plain(attributes.content) as PythonValue }]
  })
  return messages.length === 0 ? undefined : dumps(messages)
}
