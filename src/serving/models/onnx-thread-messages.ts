import type { Tensor } from '../tensor.ts'

/** Buffers come out of a thread's message as plain bytes. */
export const bufferOf = (tensor: Tensor): Tensor => {
  const bytes: Uint8Array = tensor.bytes
  return { ...tensor, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}
