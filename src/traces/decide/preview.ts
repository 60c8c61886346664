import { dumps, type PythonValue, plain } from './python-json.ts'

/** Characters of a request or response that a list of traces shows. Source: mlflow 3.17.2, tracing/constant.py. */
const maxPreview = 1000

/**
 * The beginning of what went in or came out: of a chat the last message of that role, else the JSON as it stands.
 * Source: mlflow 3.17.2, tracing/utils/truncation.py.
 */
export function previewOf(json: string, role: 'user' | 'assistant'): string {
  const messages = messagesOf(plain(json))
  const text = (messages && messages.length > 0 ? textOf(lastOf(messages, role)) : '') || json
  return text.length <= maxPreview ? text : `${text.slice(0, maxPreview - 3)}...`
}

type Message = { role: unknown; content: unknown }

function messagesOf(value: unknown): Message[] | undefined {
  if (!isObject(value)) return undefined
  if (isFilledList(value.messages)) return value.messages.filter(isMessage)
  if (isFilledList(value.choices)) {
    const [first] = value.choices
    if (isObject(first) && isMessage(first.message)) return [first.message]
  }
  if (isFilledList(value.input)) return value.input.filter(isMessage)
  if (isFilledList(value.output)) return value.output.filter(isMessage)
  return 'request' in value ? messagesOf(value.request) : undefined
}

const lastOf = (messages: readonly Message[], role: string): Message =>
  messages.findLast((message) => message.role === role) ?? messages.at(-1)!

function textOf({ content }: Message): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  for (const part of content as unknown[]) {
    if (typeof part === 'string') return part
    if (isObject(part) && (part.type === 'text' || part.type === 'output_text'))
      return typeof part.text === 'string' ? part.text : dumps((part.text ?? '') as PythonValue)
  }
  return ''
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isFilledList = (value: unknown): value is unknown[] => Array.isArray(value) && value.length > 0
const isMessage = (value: unknown): value is Message => isObject(value) && 'role' in value && 'content' in value
