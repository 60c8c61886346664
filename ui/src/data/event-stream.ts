type StreamOptions = {
  url: string
  token: () => string | undefined
  signal: AbortSignal
  onOpen: () => void
  onDown: () => void
  onEvent: (type: string, data: string) => void
}

const firstDelayMs = 500
const longestDelayMs = 10_000

/**
 * Server-sent events by fetch: unlike EventSource it can send a token. Reconnects with growing pauses and resumes with
 * Last-Event-ID; ends when the signal is aborted.
 */
export async function readEventStream(options: StreamOptions): Promise<void> {
  let lastId: string | undefined
  let delay = firstDelayMs
  while (!options.signal.aborted) {
    try {
      const response = await fetch(options.url, {
        headers: headers(options.token(), lastId),
        signal: options.signal,
        credentials: 'omit',
      })
      if (response.ok && response.body && isEventStream(response)) {
        options.onOpen()
        delay = firstDelayMs
        for await (const message of messagesIn(response.body)) {
          if (message.id !== undefined) lastId = message.id
          if (message.data !== undefined) options.onEvent(message.event ?? 'message', message.data)
        }
      }
    } catch {
      // The stream broke, or was ended from here: either way the loop decides what is next.
    }
    if (options.signal.aborted) return
    options.onDown()
    await pause(delay, options.signal)
    delay = Math.min(delay * 2, longestDelayMs)
  }
}

const headers = (token: string | undefined, lastId: string | undefined): Record<string, string> => ({
  accept: 'text/event-stream',
  ...(token ? { authorization: `Bearer ${token}` } : {}),
  ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
})

const isEventStream = (response: Response): boolean =>
  response.headers.get('content-type')?.startsWith('text/event-stream') ?? false

type Message = { id?: string; event?: string; data?: string }

async function* messagesIn(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const blocks = (rest + value).split(/\r?\n\r?\n/)
    rest = blocks.pop()!
    for (const block of blocks) yield parseMessage(block)
  }
}

function parseMessage(block: string): Message {
  const message: Message = {}
  for (const line of block.split(/\r?\n/)) {
    const [, field, value = ''] = /^(id|event|data): ?(.*)$/.exec(line) ?? []
    if (field === 'data') message.data = message.data === undefined ? value : `${message.data}\n${value}`
    else if (field === 'id') message.id = value
    else if (field === 'event') message.event = value
  }
  return message
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
