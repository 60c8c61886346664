import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { fillPath } from './client.ts'
import { type Call, endpoint, type InputOf, route } from './route.ts'

const getThing = route({
  id: 'things.get',
  summary: 'One thing',
  method: 'GET',
  path: '/api/v1/things/:id',
  access: 'read',
  params: z.object({ id: z.string() }),
  query: z.object({ limit: z.coerce.number().default(10) }),
  output: z.object({ name: z.string() }),
})

describe('a route contract', () => {
  it('gives the handler parsed values and the client the unparsed ones', () => {
    expectTypeOf<Call<typeof getThing>['query']>().toEqualTypeOf<{ limit: number }>()
    expectTypeOf<Call<typeof getThing>['body']>().toEqualTypeOf<undefined>()
    expectTypeOf<InputOf<typeof getThing>['params']>().toEqualTypeOf<{ id: string }>()
    expect(endpoint(getThing, async ({ params }) => ({ name: params.id })).route.id).toBe('things.get')
  })

  it('escapes values in paths', () => {
    expect(fillPath('/api/v1/things/:id', { id: 'a/b c' })).toBe('/api/v1/things/a%2Fb%20c')
  })
})
