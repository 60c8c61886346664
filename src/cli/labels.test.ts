import { describe, expect, it } from 'vitest'
import { labelsIn } from './labels.ts'

describe('a file of labels', () => {
  it('is read by its head, whatever the order, and keeps the line of each', async () => {
    expect(await labelsIn('t.csv', '\ufeffnote,Label,prediction_id\n"a, b",1,p1\n\n,malignant,p2:0\n')).toEqual([
      { predictionId: 'p1', value: 1, line: 2 },
      { predictionId: 'p2:0', value: 'malignant', line: 4 },
    ])
  })

  it.each([
    ['without the columns', 'a,b\n1,2\n', 'DataUnreadable'],
    ['without rows', 'prediction_id,label\n', 'DataUnreadable'],
    ['with an open quote', 'prediction_id,label\n"p1,2\n', 'DataUnreadable'],
    ['with a row too long', 'prediction_id,label\np1,2,3\n', 'DataUnreadable'],
  ])('%s is refused', async (_, text, code) => {
    await expect(labelsIn('t.csv', text)).rejects.toMatchObject({ code })
  })
})
