import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { type Db, eventsAfter, lastEventId } from '../../db/index.ts'
import type { AppEvent } from '../../kernel/events.ts'

type Listener = { response: ServerResponse; project: string | undefined; position: number }

const pageSize = 200

/** Server-sent events from the outbox: `GET /api/v1/events?project=`, resumed by Last-Event-ID. */
export class LiveEvents {
  readonly #db: Db
  readonly #listeners = new Set<Listener>()

  constructor(db: Db) {
    this.#db = db
  }

  mount(app: FastifyInstance): void {
    app.get('/api/v1/events', async (request, reply) => {
      const { project } = request.query as { project?: string }
      const resumed = Number(request.headers['last-event-id'])
      const position = Number.isSafeInteger(resumed) && resumed > 0 ? resumed : await lastEventId(this.#db)
      reply.hijack()
      const response = reply.raw
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      response.write(`retry: 1000\nid: ${position}\n\n`)
      const listener: Listener = { response, project, position }
      this.#listeners.add(listener)
      response.on('close', () => this.#listeners.delete(listener))
    })
  }

  /** Sends what came since the last time; a comment when there is nothing keeps the connection alive. */
  async pass(): Promise<void> {
    for (const listener of this.#listeners) {
      const events = await eventsAfter(this.#db, listener.position, { limit: pageSize })
      for (const event of events) send(listener, event)
      listener.position = events.at(-1)?.id ?? listener.position
      if (events.length === 0) listener.response.write(': nothing new\n\n')
    }
  }

  close(): void {
    for (const { response } of this.#listeners) response.end()
  }
}

function send({ response, project }: Listener, event: AppEvent): void {
  const about = 'project' in event.payload ? event.payload.project : undefined
  if (project !== undefined && about !== undefined && about !== project) return
  response.write(
    `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify({ ...event.payload, at: event.at })}\n\n`,
  )
}
