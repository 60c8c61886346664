import { z } from 'zod'
import { route } from '../kernel/route.ts'

export const promotionShape = z.object({
  id: z.string(),
  project: z.string(),
  environment: z.string(),
  model: z.string(),
  version: z.int(),
  digest: z.string(),
  kind: z.enum(['promotion', 'revert']),
  state: z.enum([
    ...['intended', 'proposed', 'approved', 'committed', 'merged'],
    ...['superseded', 'rejected', 'barred', 'blocked'],
  ] as const),
  waitsForPerson: z.boolean(),
  approver: z.string().optional().describe('the role whose approval the file asks for'),
  replaces: z.string().optional(),
  executionId: z.string().optional(),
  verdictId: z.string().optional(),
  verdictOutcome: z.enum(['pass', 'warn', 'fail', 'inconclusive']).optional(),
  reasons: z.array(z.string()),
  proposalBranch: z.string(),
  commit: z.string().optional(),
  decidedBy: z.string().optional(),
  note: z.string().optional(),
  createdAt: z.int(),
  updatedAt: z.int(),
})

const byId = z.object({ id: z.string() })

export const listPromotions = route({
  id: 'promotions.list',
  summary: "A project's promotions, newest first; `waiting` for those that a person can decide.",
  method: 'GET',
  path: '/api/v1/projects/:project/promotions',
  access: 'read',
  params: z.object({ project: z.string() }),
  query: z.object({
    waiting: z.enum(['true', 'false']).optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().max(200).optional(),
  }),
  output: z.object({ items: z.array(promotionShape), nextPageToken: z.string().optional() }),
})

export const getPromotion = route({
  id: 'promotions.get',
  summary: 'One promotion',
  method: 'GET',
  path: '/api/v1/promotions/:id',
  access: 'read',
  params: byId,
  output: promotionShape,
  errors: ['NotFound'],
})

export const approvePromotion = route({
  id: 'promotions.approve',
  summary: "A person's yes: Modelwright commits it to the authoritative branch, and a bar on the version is lifted.",
  method: 'POST',
  path: '/api/v1/promotions/:id/approve',
  access: 'member',
  params: byId,
  output: promotionShape,
  errors: ['NotFound', 'Conflict', 'Forbidden'],
})

export const rejectPromotion = route({
  id: 'promotions.reject',
  summary: "A person's no: its branch goes, and the version is not proposed there again.",
  method: 'POST',
  path: '/api/v1/promotions/:id/reject',
  access: 'member',
  params: byId,
  output: promotionShape,
  errors: ['NotFound', 'Conflict', 'Forbidden'],
})
