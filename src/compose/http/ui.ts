import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

/** Both from src/compose/http and from the bundle in dist/, the pages lie in ui/dist below the package's root. */
const candidates = ['../../../ui/dist', '../ui/dist'].map((path) => fileURLToPath(new URL(path, import.meta.url)))

const ownPaths = /^\/(api|ajax-api|git|internal|health|version|v1|get-artifact|model-versions|invocations)(\/|$|\?)/

/** The web page: files as they are, and every other address of the page itself to its one document. */
export function serveUi(app: FastifyInstance): void {
  const root = candidates.find((path) => existsSync(path))
  if (!root) {
    app.get('/', async (_, reply) => reply.type('text/plain').send('The pages are not built: npm run build\n'))
    return
  }
  void app.register(fastifyStatic, { root, wildcard: false, immutable: true, maxAge: '1h', index: false })
  app.get('/', (_, reply) =>
    reply.header('cache-control', 'no-cache').sendFile('index.html', { maxAge: 0, immutable: false }),
  )
  app.get('/*', (request, reply) => {
    if (ownPaths.test(request.url) || /\.[a-z0-9]+$/i.test(request.url.split('?')[0]!)) return reply.callNotFound()
    return reply.header('cache-control', 'no-cache').sendFile('index.html', { maxAge: 0, immutable: false })
  })
}
