import { createHash } from 'node:crypto'

const payloadType = 'application/vnd.in-toto+json'

/** What a DSSE signature is made over: type and payload with their lengths. Source: DSSE protocol 1.0, PAE. */
export const signedBytes = (payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `), payload])

/**
 * A sigstore bundle (v0.3) around one DSSE signature by a key that is known to whoever verifies; `publicKey` is its PEM text, of which
 * the bundle names the SHA-256.
 */
export function bundleOf(payload: Uint8Array, signature: Uint8Array, publicKey: string) {
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: keyHint(publicKey) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: Buffer.from(payload).toString('base64'),
      payloadType,
      signatures: [{ sig: Buffer.from(signature).toString('base64'), keyid: '' }],
    },
  }
}

export const keyHint = (publicKey: string): string => createHash('sha256').update(publicKey).digest('hex')
