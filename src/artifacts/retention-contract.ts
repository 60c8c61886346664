import { z } from 'zod'
import { route } from '../kernel/route.ts'

const ids = (form: RegExp) => z.array(z.string().regex(form)).min(1).max(10_000)

const swept = z.object({
  objects: z.number().int(),
  bytes: z.number().int(),
  waiting: z.number().int().describe('unreferenced, but not for long enough yet'),
})

const unusedEnvironments = z
  .array(z.object({ digest: z.string(), pythonVersion: z.string(), usedAt: z.number() }))
  .describe('Python environments that nobody used for 30 days; each is built again from its lock when it is wanted')

const going = z.object({
  experiments: z.array(z.object({ experimentId: z.string(), name: z.string() })),
  runs: z.array(z.string()).describe('those of their own; an experiment takes its runs along'),
  loggedModels: z.array(z.string()),
})

export const collectGarbage = route({
  id: 'retention.collect',
  summary:
    'Purges what was deleted before a time, for good, and frees objects that nothing refers to. Carried out in the background',
  method: 'POST',
  path: '/api/v1/retention/collect',
  access: 'owner',
  // Said out loud, and nothing else beside it: what is purged does not come back.
  body: z.strictObject({
    olderThanMs: z
      .number()
      .int()
      .min(0)
      .optional()
      .describe('deleted for at least so long; the setting where nothing is said'),
    experiments: ids(/^\d{1,15}$/).optional(),
    runs: ids(/^[\w-]{1,256}$/).optional(),
    graceMs: z.number().int().min(0).optional().describe('how long nothing may have referred to an object; 24 hours'),
    dryRun: z.boolean().describe('only tell what would go'),
  }),
  output: going.extend({
    ticket: z.number().int().describe('the pass that carries it out; see retention.state'),
    wouldFree: swept.optional().describe('of a rehearsal: objects that nothing refers to already'),
    unusedEnvironments: unusedEnvironments.optional(),
  }),
  errors: ['BadRequest', 'Conflict'],
})

export const retentionState = route({
  id: 'retention.state',
  summary: 'What is purged but not yet gone, and what the last sweep freed',
  method: 'GET',
  path: '/api/v1/retention',
  access: 'owner',
  output: z.object({
    retentionMs: z.number().int(),
    left: z.object({ experiments: z.number().int(), runs: z.number().int(), loggedModels: z.number().int() }),
    done: z.number().int().describe('the last ticket that was carried out by this server'),
    swept: swept.optional(),
    /** Of the last sweep. */
    unusedEnvironments: unusedEnvironments.optional(),
    failure: z.string().optional(),
  }),
})
