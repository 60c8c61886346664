import { expect, it } from 'vitest'
import { encodeFrame, type Frame, FrameReader } from './frames.ts'

it('cuts frames out of a stream, wherever its chunks end', () => {
  const sent: Frame[] = [
    { header: { op: 'a', text: 'ü' }, body: Buffer.from('{"x":1}') },
    { header: { op: 'b' }, body: Buffer.alloc(0) },
    { header: { op: 'c' }, body: Buffer.alloc(5000, 7) },
  ]
  const stream = Buffer.concat(sent.map((frame) => encodeFrame(frame.header, frame.body)))
  for (const size of [1, 3, 7, 8, 9, 100, stream.length]) {
    const received: Frame[] = []
    const reader = new FrameReader((frame) => received.push(frame))
    for (let i = 0; i < stream.length; i += size) reader.push(stream.subarray(i, i + size))
    expect(received).toEqual(sent)
  }
})
