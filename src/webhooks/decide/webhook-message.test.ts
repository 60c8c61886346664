import { describe, expect, it } from 'vitest'
import { actionsOf, type WebhookEntity, type WebhookEvent } from '../webhook.ts'
import { exampleMessage, type ToldEvent, webhookMessage } from './webhook-message.ts'

const model = { model: 'm', prompt: false }
const prompt = { model: 'p', prompt: true }
const told = <T extends ToldEvent['type']>(type: T, payload: Extract<ToldEvent, { type: T }>['payload']): ToldEvent =>
  ({ id: 1, at: 0, type, payload }) as ToldEvent

describe('what a receiver is told', () => {
  it('of a model: an empty description where there is none', () => {
    expect(webhookMessage(told('model.registered', { ...model, tags: { k: 'v' } }))).toEqual({
      entity: 'registered_model',
      action: 'created',
      data: { name: 'm', tags: { k: 'v' }, description: '' },
    })
  })

  it('of a prompt: without the tags that make it one', () => {
    const tags = { 'mlflow.prompt.is_prompt': 'true', _mlflow_prompt_type: 'text', team: 'x' }
    expect(webhookMessage(told('model.registered', { ...prompt, tags, description: 'd' }))).toEqual({
      entity: 'prompt',
      action: 'created',
      data: { name: 'p', tags: { team: 'x' }, description: 'd' },
    })
  })

  it('of a version: its number as a text, null where there is no run and no description', () => {
    expect(webhookMessage(told('version.registered', { ...model, version: 3, source: 's3://b/p', tags: {} }))).toEqual({
      entity: 'model_version',
      action: 'created',
      data: { name: 'm', version: '3', source: 's3://b/p', run_id: null, tags: {}, description: null },
    })
  })

  it("of a prompt's version: the template, and no inner tags", () => {
    const tags = { 'mlflow.prompt.is_prompt': 'true', 'mlflow.prompt.text': 'Hello {{name}}', k: 'v' }
    expect(
      webhookMessage(
        told('version.registered', { ...prompt, version: 1, source: 'dummy-source', tags, description: 'first' }),
      ),
    ).toEqual({
      entity: 'prompt_version',
      action: 'created',
      data: { name: 'p', version: '1', template: 'Hello {{name}}', tags: { k: 'v' }, description: 'first' },
    })
  })

  it('of tags of a registered model only where it is a prompt', () => {
    expect(webhookMessage(told('model.tagged', { ...model, key: 'k', value: 'v' }))).toBeUndefined()
    expect(webhookMessage(told('model.untagged', { ...model, key: 'k' }))).toBeUndefined()
    expect(webhookMessage(told('model.tagged', { ...prompt, key: 'k', value: 'v' }))).toEqual({
      entity: 'prompt_tag',
      action: 'set',
      data: { name: 'p', key: 'k', value: 'v' },
    })
  })

  it.each<[ToldEvent, string, Record<string, string>]>([
    [
      told('version.tagged', { ...model, version: 2, key: 'k', value: 'v' }),
      'model_version_tag.set',
      { name: 'm', version: '2', key: 'k', value: 'v' },
    ],
    [
      told('version.untagged', { ...prompt, version: 2, key: 'k' }),
      'prompt_version_tag.deleted',
      { name: 'p', version: '2', key: 'k' },
    ],
    [
      told('alias.set', { ...model, alias: 'best', version: 2 }),
      'model_version_alias.created',
      { name: 'm', alias: 'best', version: '2' },
    ],
    [told('alias.deleted', { ...prompt, alias: 'best' }), 'prompt_alias.deleted', { name: 'p', alias: 'best' }],
  ])('of %o', (event, name, data) => {
    const message = webhookMessage(event)
    expect(`${message?.entity}.${message?.action}`).toBe(name)
    expect(message?.data).toEqual(data)
  })

  it('has an example for every event that can be subscribed to', () => {
    for (const [entity, actions] of Object.entries(actionsOf))
      for (const action of actions) {
        const event: WebhookEvent = { entity: entity as WebhookEntity, action }
        expect(Object.keys(exampleMessage(event).data), `${entity}.${action}`).not.toEqual([])
      }
  })
})
