import { type Endpoint, endpoint } from '../kernel/route.ts'
import { canHear } from './decide/promotion-states.ts'
import type { Promotion, PromotionState } from './promotion.ts'
import { approvePromotion, getPromotion, listPromotions, rejectPromotion } from './promotions-contract.ts'
import type { PromotionsService } from './promotions-service.ts'

const waiting: PromotionState[] = ['proposed', 'barred', 'blocked']

export function promotionEndpoints(promotions: PromotionsService): Endpoint[] {
  return [
    endpoint(listPromotions, async ({ params, query }) => {
      const found = await promotions.list(params.project, {
        before: query.pageToken,
        limit: query.limit + 1,
        ...(query.waiting === 'true' ? { states: waiting } : {}),
      })
      const items = found.slice(0, query.limit).map(shown)
      return found.length > query.limit ? { items, nextPageToken: items.at(-1)!.id } : { items }
    }),
    endpoint(getPromotion, async ({ params }) => shown(await promotions.get(params.id))),
    endpoint(approvePromotion, async ({ params, actor }) => shown(await promotions.approve(params.id, actor))),
    endpoint(rejectPromotion, async ({ params, actor }) => shown(await promotions.reject(params.id, actor))),
  ]
}

/** The commit's own bookkeeping (base, message) stays inside. */
function shown({ base, message, intendedAt, destination, ...promotion }: Promotion) {
  return { ...promotion, waitsForPerson: waiting.includes(promotion.state) && canHear(promotion.state, 'approve') }
}
