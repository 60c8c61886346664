import { describe, expect, it } from 'vitest'
import { bytesFromJson, jsonOf } from './models/tensor-json.ts'
import {
  bfloatFromBits,
  bfloatToBits,
  bytesElements,
  elementCount,
  halfFromBits,
  halfToBits,
  joinedElements,
  sizeProblem,
} from './tensor.ts'

describe('tensors', () => {
  it('counts elements, and knows shapes that are none', () => {
    expect([[], [0, 5], [2, 3]].map(elementCount)).toEqual([1, 0, 6])
    for (const shape of [[-1], [1.5], ['2'], [2 ** 53], [2 ** 30, 2 ** 30]]) expect(elementCount(shape)).toBeNaN()
  })

  it('reads the texts that it wrote, and no others', () => {
    const texts = ['', 'é', 'abc'].map((text) => Buffer.from(text))
    expect(bytesElements(joinedElements(texts))).toEqual(texts)
    expect(bytesElements(joinedElements(texts).subarray(0, -1))).toBeUndefined()
    expect(bytesElements(Buffer.from([1, 0]))).toBeUndefined()
  })

  // IEEE 754 binary16 and the upper half of binary32.
  it('keeps half floats and bfloats by their bits', () => {
    expect([0x3c00, 0xc000, 0x7c00, 0x0001].map(halfFromBits)).toEqual([1, -2, Number.POSITIVE_INFINITY, 2 ** -24])
    expect([1, -2, 65504].map(halfToBits)).toEqual([0x3c00, 0xc000, 0x7bff])
    expect([0x3f80, 0xc000, 0x7f80].map(bfloatFromBits)).toEqual([1, -2, Number.POSITIVE_INFINITY])
    expect([1, -2, 1 + 2 ** -9, Number.NaN].map(bfloatToBits)).toEqual([0x3f80, 0xc000, 0x3f80, 0x7fc0])
  })

  it('says what is wrong with the size of the bytes', () => {
    expect(sizeProblem({ datatype: 'FP32', shape: [2], bytes: Buffer.alloc(8) })).toBeUndefined()
    expect(sizeProblem({ datatype: 'FP32', shape: [2], bytes: Buffer.alloc(7) })).toMatch(/7 bytes/)
    expect(sizeProblem({ datatype: 'BYTES', shape: [2], bytes: joinedElements([Buffer.from('a')]) })).toMatch(
      /1 elements/,
    )
  })

  it('writes bytes that are no text as base64, and reads them back where the parameters say so', () => {
    const bytes = joinedElements([Buffer.from([0xff, 0])])
    const { data, parameters } = jsonOf({ name: 'x', datatype: 'BYTES', shape: [1], bytes })
    expect([JSON.parse(data), parameters]).toEqual([['/wA='], { content_type: 'base64' }])
    expect(
      bytesFromJson({ name: 'x', datatype: 'BYTES', shape: [1], parameters: parameters! }, JSON.parse(data)),
    ).toEqual(bytes)
  })
})
